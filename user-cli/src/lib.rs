//! `dyad`, the owners' command, over the owners' library.
//!
//! Results go to standard output, as lines or, with `--json`, as one JSON document; how far it is
//! goes to standard error. It ends with 0, with 1 if it failed, with 2 if it was called wrongly.
#![forbid(unsafe_code)]

mod args;
mod ask;
mod commands;
mod screen;
mod words;

use args::{Args, Command, JobCommand, KeyCommand, ModelCommand, StudyCommand};
use clap::Parser;
use commands::{Context, Output};
use screen::Screen;
use std::io::{self, Write};
use std::process::ExitCode;

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    let level = if args.verbose { tracing::Level::INFO } else { tracing::Level::WARN };
    // Set once; a second call in one process changes nothing.
    drop(
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(io::stderr)
            .without_time()
            .with_target(false)
            .try_init(),
    );
    let json = args.json;
    match run(args).and_then(|output| output.print(json)) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            if json {
                let document = serde_json::json!({ "error": format!("{error:#}") });
                drop(writeln!(io::stdout(), "{document:#}"));
            }
            drop(writeln!(io::stderr(), "dyad: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whoever read this has seen enough.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run(args: Args) -> anyhow::Result<Output> {
    let context = Context::new(&args, Screen::new())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.command {
            Command::Enroll(wanted) => commands::key::enroll(&context, wanted).await,
            Command::Study(command) => match command {
                StudyCommand::Create(wanted) => commands::study::create(&context, wanted).await,
                StudyCommand::Join(wanted) => commands::study::join(&context, wanted).await,
                StudyCommand::Show { name } => commands::study::show(&context, &name).await,
                StudyCommand::List => commands::study::list(&context).await,
                StudyCommand::SuggestSchema(wanted) => commands::study::suggest(&wanted),
            },
            Command::Upload(wanted) => commands::upload::upload(&context, wanted).await,
            Command::Uploads(wanted) => commands::upload::list(&context, wanted).await,
            Command::Withdraw { upload } => commands::upload::withdraw(&context, &upload).await,
            Command::Job(command) => match command {
                JobCommand::Propose(wanted) => commands::job::propose(&context, wanted).await,
                JobCommand::Estimate(wanted) => commands::job::estimate(&context, wanted).await,
                JobCommand::Approve(wanted) => commands::job::approve(&context, wanted).await,
                JobCommand::Revoke { job } => commands::job::revoke(&context, &job).await,
                JobCommand::Cancel { job } => commands::job::cancel(&context, &job).await,
                JobCommand::List { study } => commands::job::list(&context, study).await,
                JobCommand::Show { job } => commands::job::show(&context, &job).await,
                JobCommand::Watch { job, answer } => {
                    commands::job::watch(&context, &job, answer).await
                }
            },
            Command::Model(command) => match command {
                ModelCommand::Fetch { job, out } => {
                    commands::model::fetch(&context, &job, out).await
                }
                ModelCommand::Answer { job } => commands::model::answer(&context, &job).await,
                ModelCommand::Compare { model } => commands::model::compare(&context, &model).await,
                ModelCommand::Show { model } => commands::model::show(&context, &model),
                ModelCommand::Score(wanted) => commands::model::score(&context, &wanted),
            },
            Command::Key(command) => match command {
                KeyCommand::Backup { file } => commands::key::backup(&context, &file),
                KeyCommand::Restore { file } => commands::key::restore(&context, &file),
                KeyCommand::Show => commands::key::show(&context),
            },
        }
    })
}
