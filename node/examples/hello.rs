//! The smallest service: `cargo run -p dyad-node --example hello -- serve`.

use dyad_node::config::{Docs, Secret, render_config};
use dyad_node::{Advise, Context, Service, Usage, service_main};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use std::time::Duration;

struct Hello;

/// All keys have a default here; one that has none is left out of `serde(default)`.
#[derive(Serialize, Deserialize)]
#[serde(default)]
struct Config {
    greeting: String,
    passphrase: Secret,
    limits: Limits,
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct Limits {
    guests: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            greeting: "hello".to_owned(),
            passphrase: Secret::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { guests: 3 }
    }
}

#[derive(clap::Subcommand)]
enum Command {
    /// Greet, then wait until told to stop
    Serve,
    /// Do not heed the wish to stop
    Stuck,
    /// Print the configuration as a file
    Config,
    /// Fail
    Fail,
    /// Find the usage wrong
    Misused,
    /// Run into a mistake of the program
    Broken,
}

impl Service for Hello {
    const NAME: &'static str = "hello";
    const ABOUT: &'static str = "Greets";
    const EXAMPLES: &'static str = "  \
  hello serve --set greeting=moin    greet in northern manner
  hello config > hello.toml          begin a configuration
";
    const DOCS: Docs = &[
        ("greeting", "What is said."),
        ("passphrase", "Never shown."),
        ("limits", "What is not exceeded."),
        ("limits.guests", "How many are greeted."),
    ];
    type Config = Config;
    type Command = Command;

    fn serves(command: &Command) -> bool {
        matches!(command, Command::Serve | Command::Stuck)
    }

    async fn run(command: Command, config: Config, context: Context) -> anyhow::Result<()> {
        match command {
            Command::Serve => {
                println!("{} to {} guests", config.greeting, config.limits.guests);
                context.health.ready("voice");
                context.stop.stopped().await;
                println!("bye");
                Ok(())
            }
            Command::Stuck => {
                println!("stuck");
                loop {
                    tokio::time::sleep(Duration::from_mins(1)).await;
                }
            }
            Command::Config => {
                print!("{}", render_config(&config, Hello::DOCS));
                Ok(())
            }
            Command::Fail => {
                let cause = std::io::Error::other("the voice is gone");
                Err(anyhow::Error::from(cause).context("cannot greet")).advise("drink some tea")
            }
            Command::Misused => Err(Usage("nobody to greet".to_owned()).into()),
            // What a mistake looks like: an index out of range.
            Command::Broken => {
                Err(Usage([String::new()][usize::from(config.limits.guests)].clone()).into())
            }
        }
    }
}

fn main() -> ExitCode {
    service_main::<Hello>()
}
