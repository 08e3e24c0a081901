//! `dyad-bench`: every figure the project claims, measured on the spot and beside its baseline.

mod bcp;
mod figure;
mod matmul;
mod measure;
mod mpc;
mod train;

use clap::Parser;
use figure::Figure;
use std::process::ExitCode;

/// Measures the figures Dyad claims. Each line runs our code and its baseline in turns and takes
/// medians; `ratio` is the baseline's time over ours, so above 1 we are faster.
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
#[derive(Clone, Copy)]
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
    if let Some(done) = train::as_party() {
        return match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("dyad-bench: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let args = Args::parse();
    let benches: Vec<&Bench> = benches().collect();
    if args.list {
        for bench in &benches {
            println!("{:<24} {}", bench.name, bench.about);
        }
        return ExitCode::SUCCESS;
    }
    let mut wanted: Vec<&Bench> = Vec::new();
    for name in &args.names {
        let meant = meant_by(name, &benches);
        if meant.is_empty() {
            eprintln!(
                "dyad-bench: there is no figure `{name}`; `dyad-bench --list` shows them all"
            );
            return ExitCode::FAILURE;
        }
        wanted.extend(meant);
    }
    if !args.json {
        println!("{}", Figure::heading());
    }
    for bench in wanted {
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

/// All there are.
fn benches() -> impl Iterator<Item = &'static Bench> {
    [bcp::BENCHES, matmul::BENCHES, mpc::BENCHES, train::BENCHES].into_iter().flatten()
}

/// The benchmark of this name, or else all whose names begin with it and a dot.
fn meant_by<'a>(name: &str, benches: &[&'a Bench]) -> Vec<&'a Bench> {
    let begins =
        |bench: &&Bench| bench.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    match benches.iter().find(|bench| bench.name == name) {
        Some(bench) => vec![bench],
        None => benches.iter().copied().filter(begins).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_itself_or_all_below_it() {
        let names = |name| {
            meant_by(name, &benches().collect::<Vec<_>>())
                .iter()
                .map(|b| b.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names("bcp.modexp"), ["bcp.modexp"]);
        assert_eq!(names("bcp.decrypt"), ["bcp.decrypt.user", "bcp.decrypt.master"]);
        assert_eq!(names("bcp").len(), bcp::BENCHES.len());
        assert!(names("bcp.mod").is_empty() && names("").is_empty());
    }
}
