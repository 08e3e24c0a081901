//! `dyad-bench`: every figure the project claims, measured on the spot and beside its baseline.

mod bcp;
mod figure;
mod measure;

use clap::Parser;
use figure::Figure;
use std::process::ExitCode;

/// Measures the figures Dyad claims. Each line runs our code and its baseline in turns and takes medians; `ratio` is the
/// baseline's time over ours, so above 1 we are faster.
#[derive(Parser)]
#[command(name = "dyad-bench", version)]
struct Args {
    /// Figures to measure, whole names (`bcp.encrypt`) or beginnings of names (`bcp`). See --list.
    #[arg(value_name = "NAME", required_unless_present = "list")]
    names: Vec<String>,
    /// One JSON object per figure on standard output, and nothing else there.
    #[arg(long)]
    json: bool,
    /// List what can be measured.
    #[arg(long)]
    list: bool,
}

/// A named benchmark: some figures, one per set of parameters.
struct Bench {
    name: &'static str,
    about: &'static str,
    run: fn(Show<'_>) -> Done,
}

/// Takes each figure as it is measured.
type Show<'a> = &'a mut dyn FnMut(Figure);
/// How a benchmark ends.
type Done = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let args = Args::parse();
    let benches = bcp::BENCHES;
    if args.list {
        for bench in benches {
            println!("{:<24} {}", bench.name, bench.about);
        }
        return ExitCode::SUCCESS;
    }
    let wanted = |bench: &&Bench| args.names.iter().any(|name| covers(name, bench.name));
    if let Some(unknown) =
        args.names.iter().find(|name| !benches.iter().any(|b| covers(name, b.name)))
    {
        eprintln!("dyad-bench: there is no figure `{unknown}`; `dyad-bench --list` shows them all");
        return ExitCode::FAILURE;
    }
    if !args.json {
        println!("{}", Figure::heading());
    }
    for bench in benches.iter().filter(wanted) {
        eprintln!("measuring {} ...", bench.name);
        let mut show = |figure: Figure| {
            println!("{}", if args.json { figure.to_json() } else { figure.to_string() });
        };
        if let Err(error) = (bench.run)(&mut show) {
            eprintln!("dyad-bench: {} could not be measured: {error}", bench.name);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Does `name` mean this benchmark: its whole name, or a beginning that ends at a dot?
fn covers(name: &str, bench: &str) -> bool {
    bench.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cover_whole_parts_only() {
        assert!(covers("bcp", "bcp.modexp.portable"));
        assert!(covers("bcp.modexp", "bcp.modexp.portable"));
        assert!(!covers("bcp.mod", "bcp.modexp"));
        assert!(!covers("bcp.modexp.portable", "bcp.modexp"));
    }
}
