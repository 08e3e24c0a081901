//! `dyad-bench`: every figure the project claims, measured on the spot and beside its baseline.

mod bcp;
mod cipher;
mod figure;
mod matmul;
mod measure;
mod mpc;
mod services;
mod train;
mod transfer;

use clap::Parser;
use figure::Figure;
use serde::Serialize;
use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Measures the figures Dyad claims. Each line runs our code and its baseline in turns and takes
/// medians; `ratio` is the baseline's time over ours: above 1 we are faster, 1/5 is five times
/// slower.
#[derive(Parser)]
#[command(name = "dyad-bench", version)]
struct Args {
    /// Figures to measure, whole names (`bcp.encrypt`) or beginnings of names (`bcp`). See --list.
    #[arg(value_name = "NAME", required_unless_present = "list")]
    names: Vec<String>,
    /// One JSON object per figure on standard output, and nothing else there. With --list, one per
    /// name.
    #[arg(long)]
    json: bool,
    /// List what can be measured, or what of it the names mean.
    #[arg(long)]
    list: bool,
}

/// A named benchmark: some figures, one per set of parameters.
#[derive(Clone, Copy, Serialize)]
struct Bench {
    #[serde(rename = "bench")]
    name: &'static str,
    about: &'static str,
    #[serde(skip)]
    run: fn(Show<'_>) -> Done,
}

impl Bench {
    fn to_json(self) -> String {
        serde_json::to_string(&self).unwrap_or_else(|error| unreachable!("plain fields: {error}"))
    }
}

impl fmt::Display for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<24} {}", self.name, self.about)
    }
}

/// Takes each figure as it is measured.
type Show<'a> = &'a mut dyn FnMut(Figure) -> Done;
/// How a benchmark ends.
type Done = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    // A copy of this program that another one started takes no arguments.
    let done = train::as_party().unwrap_or_else(|| run(&Args::parse()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read this has seen enough.
        Err(error) if is_closed_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("dyad-bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Done {
    let wanted = wanted(&args.names)?;
    if args.list {
        for bench in wanted {
            print(&if args.json { bench.to_json() } else { bench.to_string() })?;
        }
        return Ok(());
    }
    if !args.json {
        print(&Figure::heading())?;
    }
    for bench in wanted {
        say(&format!("measuring {} ...", bench.name));
        let mut show =
            |figure: Figure| print(&if args.json { figure.to_json() } else { figure.to_string() });
        // A figure that cannot be printed is not one that cannot be measured.
        (bench.run)(&mut show).map_err(|error| match error.downcast::<Unprinted>() {
            Ok(error) => Box::<dyn Error>::from(*error),
            Err(error) => format!("{} could not be measured: {error}", bench.name).into(),
        })?;
    }
    Ok(())
}

/// A line that did not get to standard output, which may be closed or full.
#[derive(Debug)]
struct Unprinted(io::Error);

impl fmt::Display for Unprinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "standard output: {}", self.0)
    }
}

impl Error for Unprinted {}

fn print(line: &str) -> Done {
    Ok(writeln!(io::stdout(), "{line}").map_err(Unprinted)?)
}

/// A line for whoever watches. If nobody can read it, nothing is lost.
fn say(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let unprinted = error.downcast_ref::<Unprinted>();
    unprinted.is_some_and(|error| error.0.kind() == io::ErrorKind::BrokenPipe)
}

/// What is meant by these names, each once; by none, all there are.
fn wanted(names: &[String]) -> Result<Vec<&'static Bench>, String> {
    let all: Vec<&Bench> = benches().collect();
    if names.is_empty() {
        return Ok(all);
    }
    let mut wanted: Vec<&Bench> = Vec::new();
    for name in names {
        let meant = meant_by(name, &all);
        if meant.is_empty() {
            return Err(format!("there is no figure `{name}`; `dyad-bench --list` shows them all"));
        }
        for bench in meant {
            if wanted.iter().all(|known| known.name != bench.name) {
                wanted.push(bench);
            }
        }
    }
    Ok(wanted)
}

/// All there are.
fn benches() -> impl Iterator<Item = &'static Bench> {
    let all = [
        bcp::BENCHES,
        matmul::BENCHES,
        mpc::BENCHES,
        transfer::BENCHES,
        train::BENCHES,
        cipher::BENCHES,
        services::BENCHES,
    ];
    all.into_iter().flatten()
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
    fn a_figure_is_measured_once_however_often_it_is_meant() {
        let names = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            wanted(&names).map(|meant| meant.iter().map(|bench| bench.name).collect::<Vec<_>>())
        };
        let twice = names(&["bcp.decrypt.master", "bcp.decrypt", "bcp.decrypt.user"]);
        assert_eq!(twice, Ok(vec!["bcp.decrypt.master", "bcp.decrypt.user"]));
        assert_eq!(names(&["bcp", "bcp.encrypt"]), names(&["bcp"]));
        assert_eq!(names(&[]).map(|all| all.len()), Ok(benches().count()));
        assert!(names(&["bcp", "nothing"]).is_err());
    }

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
