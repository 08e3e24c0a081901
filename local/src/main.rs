//! `dyad-local`: every party in one process, over loopback gRPC and mutual TLS. The first thing to
//! run.

mod files;
mod parties;
mod screen;
mod story;
mod sums;

use clap::{Args, Parser, Subcommand, ValueEnum};
use screen::Screen;
use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// All parties in one process: a key centre, two clouds and the owners, over loopback gRPC and
/// mutual TLS, in a temporary folder. Without a command: trains on a data set that comes with the
/// program, split among three owners.
#[derive(Parser)]
#[command(name = "dyad-local", version, after_help = EXAMPLES)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  dyad-local
      three hospitals, 569 patients, a network; ends with a table
  dyad-local train --owner a.csv --owner b.csv --label y --model mlp:32,16 --epochs 10
      your own files, one for each owner
  dyad-local train --owner a.csv --owner b.csv --label y --model mlp:16 --epochs 1 --engine cipher
      the same on ciphertexts, as in the paper
  dyad-local sums
      the set-up phase of the paper: encrypted columns under one key, added and opened together
";

#[derive(Subcommand)]
enum Command {
    /// Trains on your own files.
    Train(Train),
    /// Adds up encrypted columns.
    Sums,
}

/// What is trained on which files.
#[derive(Args, Clone, Debug)]
pub(crate) struct Train {
    /// An owner's file (CSV, Parquet, NPY); once for each owner.
    #[arg(long, required = true, value_name = "FILE")]
    owner: Vec<PathBuf>,
    /// The column to be learned.
    #[arg(long)]
    label: String,
    /// The column by which rows of different owners are matched. Without it every row is a person
    /// of its own, and all files have the same columns.
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
    /// The schema of all columns, TOML. Without it one is suggested from the files, which publishes
    /// ranges and categories of their values: here that leaves nobody's hands.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// logistic, linear, or mlp with the widths of its hidden layers.
    #[arg(long, default_value = "mlp:32,16")]
    model: String,
    /// How often all rows are gone through.
    #[arg(long, default_value_t = 10)]
    epochs: u32,
    /// Rows in a step.
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Learning rate, of the mean over a batch; a usual one if none is given.
    #[arg(long)]
    rate: Option<f64>,
    /// Upload as packed ciphertexts, as in the paper. Slower.
    #[arg(long)]
    packed: bool,
    /// How it is computed: on shares; or on ciphertexts, as in the paper, by the two clouds alone,
    /// which takes a second or more a step.
    #[arg(long, value_enum, default_value_t = Engine::Share)]
    engine: Engine,
    /// Who makes the clouds' randomness: the key centre; or the two clouds, which need no key centre
    /// then [default: dealer; with --engine cipher pairwise].
    #[arg(long, value_enum, hide_default_value = true)]
    randomness: Option<Randomness>,
    /// Open the model with partial decryptions of all owners, as in the paper.
    #[arg(long)]
    joint: bool,
    /// Leave out rows that lack a column; otherwise they are refused.
    #[arg(long)]
    leave_out: bool,
    /// Search for parameters of so many bits (2048, 3072), in place of the bundled ones, whose
    /// master key is public.
    #[arg(long, value_name = "BITS")]
    fresh: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Engine {
    Share,
    Cipher,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Randomness {
    Dealer,
    Pairwise,
}

impl Train {
    fn on_ciphertexts(&self) -> bool {
        self.engine == Engine::Cipher
    }

    fn alone(&self) -> bool {
        self.randomness.map_or(self.on_ciphertexts(), |asked| asked == Randomness::Pairwise)
    }
}

fn main() -> ExitCode {
    let screen = Screen::new();
    let result = match Line::parse().command {
        None => story::run(&screen, None),
        Some(Command::Train(train)) => story::run(&screen, Some(&train)),
        Some(Command::Sums) => sums::run(&screen),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read this has seen enough.
        Err(error) if is_closed_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "dyad-local: {error}"));
            let mut cause = error.source();
            while let Some(error) = cause {
                drop(writeln!(io::stderr(), "  because: {error}"));
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
