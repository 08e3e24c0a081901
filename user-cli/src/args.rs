//! The command line.

use clap::{Args as Arguments, Parser, Subcommand, ValueEnum};
use dyad_protos::job;
use std::path::PathBuf;

/// Train one model together with others without showing anybody your data.
///
/// Owners enrol with a key centre, agree on a study, upload encrypted tables to two clouds, agree on
/// a training job, and get the model. Neither cloud sees a record, a value or the model.
// Switches are bools.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Parser)]
#[command(name = "dyad", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Folder of this owner's keys and studies [default: $DYAD_HOME, else ~/.dyad]
    #[arg(long, global = true, help_heading = "Everywhere", value_name = "FOLDER")]
    pub home: Option<PathBuf>,
    /// Print one JSON document instead of lines
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
    /// Do not ask before doing it
    #[arg(long, short, global = true, help_heading = "Everywhere")]
    pub yes: bool,
    /// Try failing calls again for so many seconds
    #[arg(
        long,
        global = true,
        help_heading = "Everywhere",
        value_name = "SECONDS",
        default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(..=LONGEST_PATIENCE)
    )]
    pub patience: u64,
    /// Take part even though the master key of the parameters is published: for invented data
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub insecure_demo: bool,
    /// Say what is being tried again and why
    #[arg(long, short, global = true, help_heading = "Everywhere")]
    pub verbose: bool,
    #[command(subcommand)]
    pub command: Command,
}

/// A day: whoever waits longer runs the command again.
const LONGEST_PATIENCE: u64 = 86_400;
/// What clouds take: a year and a day.
const LONGEST_APPROVAL: u64 = 366;

const EXAMPLES: &str = "\
From the token to the model:
  dyad enroll --token dyad1-...
  dyad study suggest-schema patients.csv --label ill > schema.toml
  dyad study create heart --schema schema.toml --member north --member south
  dyad study join heart
  dyad upload patients.csv --study heart
  dyad job propose --study heart --model mlp:32,16 --epochs 10
  dyad job approve 1f3a
  dyad job watch 1f3a --answer
  dyad model fetch 1f3a
  dyad model score new.csv --model 1f3a

Jobs and uploads are named by the first digits of their digest; where help says [JOB], none need be
named if there is only one. If keys are locked, the passphrase is taken from $DYAD_PASSPHRASE or asked for.

Ends with 0; with 1 if it failed, and then says why and what to do; with 2 if it was called wrongly.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Have your keys certified with the token that the key centre gave you
    Enroll(Enroll),
    /// Agree on what data mean, and with whom
    #[command(subcommand)]
    Study(StudyCommand),
    /// Upload a table: split and sealed, to each cloud a part that says nothing
    Upload(Upload),
    /// List your uploads
    Uploads(Uploads),
    /// Take an upload back: both clouds delete it
    #[command(
        after_help = "Example:\n  dyad withdraw 9c41\n\nIt need not have been uploaded from \
                            this machine, as long as your keys are here."
    )]
    Withdraw {
        /// First digits of the upload's digest
        upload: String,
    },
    /// Agree on a training, and watch it
    #[command(subcommand)]
    Job(JobCommand),
    /// Get the trained model and use it
    #[command(subcommand)]
    Model(ModelCommand),
    /// Keep your keys safe
    #[command(subcommand)]
    Key(KeyCommand),
}

#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  dyad enroll --token dyad1-...\n  dyad enroll --token - \
                        --passphrase < token.txt")]
pub(crate) struct Enroll {
    /// The token; `-` reads it from standard input, where other users do not see it
    #[arg(long)]
    pub token: String,
    /// Lock the keys with a passphrase ($DYAD_PASSPHRASE, or asked for)
    #[arg(long)]
    pub passphrase: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StudyCommand {
    /// Announce a study to its members
    Create(Create),
    /// Agree to a study: makes your key for it
    Join(Join),
    /// Show what a study says and who is awaited
    #[command(after_help = "Example:\n  dyad study show heart")]
    Show {
        /// The study
        name: String,
    },
    /// List the studies you take part in, or are asked to
    List,
    /// Propose a schema for a file, to be corrected by hand
    SuggestSchema(Suggest),
}

#[derive(Debug, Arguments)]
#[command(after_help = "Example:\n  dyad study create heart --schema schema.toml --member north \
                        --member south --label ill")]
pub(crate) struct Create {
    /// Its name: small letters, digits and hyphens
    pub name: String,
    /// What columns mean: TOML, see docs/data.md
    #[arg(long, value_name = "FILE")]
    pub schema: PathBuf,
    /// Those who take part, besides you
    #[arg(long = "member", value_name = "NAME")]
    pub members: Vec<String>,
    /// The column to be predicted, to be sure: the schema says it
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// Join it as well
    #[arg(long)]
    pub join: bool,
}

#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  dyad study join heart\n  dyad study join heart --wait --yes")]
pub(crate) struct Join {
    /// The study
    pub name: String,
    /// Only if its draft has this digest, which you were told
    #[arg(long, value_name = "DIGEST")]
    pub draft: Option<String>,
    /// Wait until all members have joined
    #[arg(long)]
    pub wait: bool,
}

#[derive(Debug, Arguments)]
#[command(after_help = "Example:\n  dyad study suggest-schema patients.csv --label ill > \
                        schema.toml\n\nIts ranges and categories show something of your records: \
                        replace them by what is publicly known, then delete `proposal = true`.")]
pub(crate) struct Suggest {
    #[command(flatten)]
    pub file: Reading,
    /// The column to be predicted
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
}

/// How a file is read.
#[derive(Debug, Arguments)]
pub(crate) struct Reading {
    /// The file: .csv, .npy, .idx or -ubyte, each also with .gz
    pub file: PathBuf,
    /// Its format, if its name does not say it
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<FileFormat>,
    /// Between cells of a CSV file
    #[arg(long, value_name = "CHARACTER", default_value = ",")]
    pub separator: char,
    /// What columns are called in formats without names: NAME0, NAME1, ...
    #[arg(long, value_name = "NAME")]
    pub column_name: Option<String>,
    /// Number the rows, from 1, as identifiers in a column of this name
    #[arg(long, value_name = "COLUMN")]
    pub number_rows: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FileFormat {
    Csv,
    Idx,
    Npy,
    #[cfg(feature = "parquet")]
    Parquet,
}

#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  dyad upload patients.csv --study heart\n  dyad upload \
                        patients.csv --study heart --packed\n\nThe file may have some of the \
                        study's columns, and must have the identifier. An upload that broke off \
                        goes on if the same command is run again, as long as the file is the same.")]
pub(crate) struct Upload {
    #[command(flatten)]
    pub file: Reading,
    /// The study
    #[arg(long, value_name = "STUDY")]
    pub study: String,
    /// Encrypt every value, as in the paper: slower and larger, equally secret
    #[arg(long)]
    pub packed: bool,
}

#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  dyad uploads\n  dyad uploads --study heart --all")]
pub(crate) struct Uploads {
    /// Of this study alone
    #[arg(long, value_name = "STUDY")]
    pub study: Option<String>,
    /// Those of all owners that are finished, as the clouds list them
    #[arg(long, requires = "study")]
    pub all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Propose a training to all owners of a study
    Propose(Propose),
    /// Show rounds, bytes, memory and time, before anything runs
    Estimate(Estimate),
    /// Check a job and sign it
    Approve(Approve),
    /// Take your approval back, until the job begins
    #[command(after_help = "Example:\n  dyad job revoke 1f3a")]
    Revoke {
        /// First digits of the job's digest
        job: String,
    },
    /// Call a job of your own off
    #[command(after_help = "Example:\n  dyad job cancel 1f3a")]
    Cancel {
        /// First digits of the job's digest
        job: String,
    },
    /// Show a job
    #[command(after_help = "Example:\n  dyad job show 1f3a")]
    Show {
        /// First digits of the job's digest
        #[arg(default_value = "", hide_default_value = true)]
        job: String,
    },
    /// List jobs
    List {
        /// Of this study alone
        #[arg(long, value_name = "STUDY")]
        study: Option<String>,
    },
    /// Watch a job until it ends: epoch, step, rate, time left, who is awaited
    #[command(after_help = "Example:\n  dyad job watch 1f3a --answer")]
    Watch {
        /// First digits of the job's digest
        #[arg(default_value = "", hide_default_value = true)]
        job: String,
        /// Answer a joint release when it is sealed, if you approved of the job
        #[arg(long)]
        answer: bool,
    },
}

/// What is trained, on what, for whom.
#[derive(Debug, Arguments)]
pub(crate) struct What {
    /// The study; must be given where no job is named
    #[arg(long, value_name = "STUDY")]
    pub study: Option<String>,
    /// logistic, linear, or mlp with the widths of its hidden layers: mlp:32,16
    #[arg(long, value_name = "MODEL", conflicts_with = "train")]
    pub model: Option<String>,
    /// The whole description of the training instead, TOML
    #[arg(long, value_name = "FILE")]
    pub train: Option<PathBuf>,
    /// How often all rows are gone through
    #[arg(long, default_value_t = 10)]
    pub epochs: u32,
    /// Rows in a step
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Learning rate [default: batch/256]
    #[arg(long)]
    pub rate: Option<f64>,
    /// What is kept of the velocity
    #[arg(long, default_value_t = 0.0)]
    pub momentum: f64,
    /// What weights lose in a step, times the rate
    #[arg(long, default_value_t = 0.0)]
    pub decay: f64,
    /// Public seed of the weights at the start and of the order of rows
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What is opened of the model's quality [default: loss, and accuracy for classes]
    #[arg(long = "metric", value_name = "METRIC")]
    pub metrics: Vec<Metric>,
    /// Share of the rows that the model is measured on and not trained on
    #[arg(long, default_value_t = 0.2)]
    pub test_share: f64,
    /// Public seed by which those are drawn
    #[arg(long, default_value_t = 1)]
    pub split: u64,
    /// Steps between checkpoints [default: an epoch's, at most 100]
    #[arg(long, value_name = "STEPS")]
    pub checkpoint: Option<u64>,
    /// How it is computed: on shares; or, as in the paper, on ciphertexts, which takes a
    /// second or more a step
    #[arg(long, value_enum, default_value_t = Engine::Share)]
    pub engine: Engine,
    /// Where the clouds' correlated randomness comes from: the key centre, which must be online; or
    /// the clouds alone, which sends more [default: dealer; with --engine cipher
    /// pairwise]
    #[arg(long, value_enum, hide_default_value = true)]
    pub randomness: Option<Randomness>,
    /// How the model is released [default: each; with --engine cipher joint]
    #[arg(long, value_enum, hide_default_value = true)]
    pub release: Option<Release>,
    /// Who gets it [default: all members]
    #[arg(long = "recipient", value_name = "NAME")]
    pub recipients: Vec<String>,
    /// Who may ask the shared model once that is possible; today nothing answers: it is written
    /// into the job, and the clouds keep their shares as long as they keep released models
    #[arg(long, value_name = "NAME")]
    pub may_predict: Vec<String>,
    /// Uploads to use, by the first digits of their digests [default: all that are finished]
    #[arg(long = "upload", value_name = "UPLOAD")]
    pub uploads: Vec<String>,
    /// Train without rows that lack a column; otherwise they are refused
    #[arg(long)]
    pub leave_out: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// On additive shares
    Share,
    /// On ciphertexts under the unified key, as in the paper
    Cipher,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Randomness {
    /// The key centre deals it
    Dealer,
    /// The clouds make it with each other, by oblivious transfers
    Pairwise,
}

impl What {
    /// The engine, the randomness and the release that were asked for, or that go with the engine.
    pub(crate) fn means(&self) -> (job::Engine, job::Randomness, job::Opening) {
        let cipher = self.engine == Engine::Cipher;
        let engine = if cipher { job::Engine::Cipher } else { job::Engine::Share };
        let pairwise = self.randomness.map_or(cipher, |asked| asked == Randomness::Pairwise);
        let joint = self.release.map_or(cipher, |asked| asked == Release::Joint);
        let randomness = if pairwise { job::Randomness::Pairwise } else { job::Randomness::Dealer };
        (engine, randomness, if joint { job::Opening::Joint } else { job::Opening::Each })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Release {
    /// Each cloud seals its share to each recipient
    Each,
    /// Opened by all members together; one lost key ends it for ever
    Joint,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Metric {
    Loss,
    Accuracy,
    Confusion,
    Auc,
}

#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  dyad job propose --study heart --model logistic\n  dyad job \
                        propose --study heart --model mlp:32,16 --epochs 20 --rate 0.25 --release \
                        joint --recipient north\n  dyad job propose --study heart --model mlp:16 \
                        --engine cipher")]
pub(crate) struct Propose {
    #[command(flatten)]
    pub what: What,
    /// Approve of it as well
    #[arg(long)]
    pub approve: bool,
    /// Days that the approval lasts
    #[arg(long, value_name = "DAYS", default_value_t = 7,
          value_parser = clap::value_parser!(u64).range(1..=LONGEST_APPROVAL))]
    pub valid: u64,
}

#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  dyad job estimate 1f3a\n  dyad job estimate --study heart \
                        --model mlp:128,128 --epochs 5 --round-trip 30 --bandwidth 1000")]
pub(crate) struct Estimate {
    /// First digits of the digest of a job that was proposed; or say what would be proposed
    #[arg(conflicts_with = "study")]
    pub job: Option<String>,
    #[command(flatten)]
    pub what: What,
    /// Between the clouds, there and back, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0.5)]
    pub round_trip: f64,
    /// Of the line between the clouds, in megabits a second
    #[arg(long, value_name = "MBIT", default_value_t = 10_000.0)]
    pub bandwidth: f64,
}

#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  dyad job approve 1f3a\n  dyad job approve 1f3a --valid 2 \
                        --answer --yes")]
pub(crate) struct Approve {
    /// First digits of the job's digest
    #[arg(default_value = "", hide_default_value = true)]
    pub job: String,
    /// Days that the approval lasts
    #[arg(long, value_name = "DAYS", default_value_t = 7,
          value_parser = clap::value_parser!(u64).range(1..=LONGEST_APPROVAL))]
    pub valid: u64,
    /// Watch the job then, and answer a joint release when it is sealed
    #[arg(long)]
    pub answer: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Fetch a model that was released to you
    #[command(after_help = "Example:\n  dyad model fetch 1f3a --out heart.json")]
    Fetch {
        /// First digits of the job's digest
        #[arg(default_value = "", hide_default_value = true)]
        job: String,
        /// Where it is put [default: in the home folder]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Give your part of a joint release
    #[command(after_help = "Example:\n  dyad model answer 1f3a")]
    Answer {
        /// First digits of the job's digest
        #[arg(default_value = "", hide_default_value = true)]
        job: String,
    },
    /// Compare a fetched model with what the other recipients got
    #[command(
        after_help = "Example:\n  dyad model compare 1f3a\n\nFetching does it too; those who \
                            fetch first have nobody to compare with yet.\nEnds with 1 if somebody \
                            has another model."
    )]
    Compare {
        /// Its file, or the first digits of its job's digest
        model: String,
    },
    /// Show a fetched model
    #[command(after_help = "Examples:\n  dyad model show 1f3a\n  dyad model show heart.json")]
    Show {
        /// Its file, or the first digits of its job's digest
        model: String,
    },
    /// Have a model say what it takes rows for: here, nothing leaves this machine
    Score(Score),
}

#[derive(Debug, Arguments)]
#[command(after_help = "Example:\n  dyad model score new.csv --model 1f3a > predictions.csv")]
pub(crate) struct Score {
    #[command(flatten)]
    pub file: Reading,
    /// Its file, or the first digits of its job's digest
    #[arg(long, value_name = "MODEL")]
    pub model: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Write all keys, studies and receipts into one file that a passphrase locks
    #[command(after_help = "Example:\n  dyad key backup dyad-keys.backup")]
    Backup {
        /// The file
        file: PathBuf,
    },
    /// Bring a backup back into a home folder without keys
    #[command(after_help = "Example:\n  dyad key restore dyad-keys.backup --home /media/new/.dyad")]
    Restore {
        /// The file
        file: PathBuf,
    },
    /// Show who you are, and until when your certificate lasts
    #[command(after_help = "Example:\n  dyad key show")]
    Show,
}
