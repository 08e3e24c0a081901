//! The key generation centre's command.

mod progress;

use anyhow::{Context as _, anyhow};
use clap::Subcommand;
use dyad_kgc::{BANNER, Config, DOCS, Init, TokenState};
use dyad_net::identity::{Name, Role};
use dyad_node::config::{Docs, render_config};
use dyad_node::{AuditArgs, Context, Service, Time, Usage, audit_command, service_main};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The key generation centre.
struct Kgc;

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key centre: parameters, master key, certificate authority
    Init {
        /// What it is called: small letters, digits and hyphens
        #[arg(long)]
        name: Name,
        /// Bits of the modulus: 2048, 3072 or 4096
        #[arg(long, default_value_t = 3072)]
        size: usize,
        /// Take parameters whose master key is public: for trying things out
        #[arg(long)]
        insecure_demo: bool,
    },
    /// Answer clouds and owners
    Serve,
    /// Make a one-time token with which somebody enrols
    Token {
        /// c0, c1 or owner
        #[arg(long)]
        role: Role,
        /// What the party will be called
        #[arg(long)]
        name: Name,
        /// How long the token is good: 30m, 12h, 7d
        #[arg(long, default_value = "7d", value_parser = duration)]
        valid: Duration,
    },
    /// List tokens, the newest first
    Tokens,
    /// Enrol a party no more: its certificates and unused tokens
    Revoke {
        /// c0, c1 or owner
        role: Role,
        /// What the party is called
        name: Name,
    },
    /// Say how the key centre stands
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show who did what when, and whether the table was changed
    Audit(AuditArgs),
    /// Write a configuration file with a comment for each key
    Config,
}

/// `30m`, `12h`, `7d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time: write 30m, 12h or 7d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(wrong()),
    };
    let count: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(count) * seconds))
}

impl Service for Kgc {
    const NAME: &'static str = "kgc";
    const ABOUT: &'static str = "Dyad's key generation centre";
    const EXAMPLES: &'static str = "  \
        kgc init --name centre --set store=kgc      make one, in the folder kgc\n  \
        kgc serve --set store=kgc                   answer clouds and owners\n  \
        kgc token --role owner --name north         invite an owner\n  \
        kgc config > kgc.toml                       a configuration file to change";
    const DOCS: Docs = DOCS;
    const SAMPLE_KEY: &'static str = "limits.steps";
    type Config = Config;
    type Command = Command;

    fn serves(command: &Command) -> bool {
        matches!(command, Command::Serve)
    }

    async fn run(command: Command, config: Config, context: Context) -> anyhow::Result<()> {
        config.check().map_err(Usage)?;
        match command {
            Command::Init { name, size, insecure_demo } => {
                init(config, context, name, size, insecure_demo).await
            }
            Command::Serve => {
                if config.insecure_demo && dyad_kgc::is_insecure_demo(&config)? {
                    eprintln!("{BANNER}");
                }
                dyad_kgc::serve(config, context, None).await
            }
            Command::Token { role, name, valid } => {
                let token = dyad_kgc::token(&config, role, &name, valid).await?;
                eprintln!(
                    "A token for {role} {name}, good for {}, for one set of keys. It is shown \
                     this once; hand it over so that nobody else reads it:",
                    words(valid)
                );
                println!("{token}");
                Ok(())
            }
            Command::Tokens => tokens(&config).await,
            Command::Revoke { role, name } => {
                let certificates = dyad_kgc::revoke(&config, role, &name).await?;
                println!(
                    "{role} {name} is enrolled no more; certificates that were good: {certificates}"
                );
                Ok(())
            }
            Command::Status { json } => {
                let status = dyad_kgc::status(&config).await?;
                if json {
                    println!("{}", serde_json::to_string_pretty(&status)?);
                } else {
                    println!("{status}");
                }
                Ok(())
            }
            Command::Audit(args) => audit_command(&config.database_url()?, &args).await,
            Command::Config => {
                print!("{}", render_config(&config, DOCS));
                Ok(())
            }
        }
    }
}

async fn init(
    config: Config,
    context: Context,
    name: Name,
    bits: usize,
    insecure_demo: bool,
) -> anyhow::Result<()> {
    if ![2048, 3072, 4096].contains(&bits) {
        let what = format!("--size {bits}: 2048, 3072 and 4096 are allowed");
        return Err(Usage(what).into());
    }
    let cancel = Arc::new(AtomicBool::new(false));
    let (stop, wish) = (context.stop.clone(), Arc::clone(&cancel));
    tokio::spawn(async move {
        stop.stopped().await;
        wish.store(true, Ordering::Relaxed);
    });
    let store = config.store.clone();
    let made = tokio::task::spawn_blocking(move || {
        let shown = progress::Shown::new();
        let show = |progress| shown.show(progress);
        let init =
            Init { bits, insecure_demo, progress: &show, cancel: &cancel, ..Init::new(name) };
        let made = dyad_kgc::init(&config, &init);
        shown.end();
        made
    });
    let made = match made.await.context("a mistake of the program")? {
        Err(_) if context.stop.is_stopping() => {
            return Err(anyhow!("called off: nothing was made"));
        }
        made => made?,
    };
    if insecure_demo {
        eprintln!("{BANNER}");
    }
    println!("key centre made in {}", store.display());
    println!("parameters of {} bits, {}", made.bits, made.params);
    println!("root certificate, to be compared by people who enrol:\n  {}", made.root);
    Ok(())
}

async fn tokens(config: &Config) -> anyhow::Result<()> {
    let lines = dyad_kgc::tokens(config).await?;
    if lines.is_empty() {
        eprintln!("no tokens were made so far");
        return Ok(());
    }
    println!("{:<14}{:<7}{:<26}{:<9}expires", "id", "role", "name", "state");
    for line in lines {
        let state = match line.state {
            TokenState::Open => "open",
            TokenState::Used => "used",
            TokenState::Expired => "expired",
            TokenState::Revoked => "revoked",
        };
        let expires = Time::from_millis(line.expires).to_string();
        let (id, role, name) = (line.id, line.role, line.name);
        println!("{id:<14}{role:<7}{name:<26}{state:<9}{expires:.16}");
    }
    Ok(())
}

/// A length of time for a person.
fn words(time: Duration) -> String {
    let seconds = time.as_secs();
    let (count, unit) = match seconds {
        s if s >= 48 * 3600 => (s / (24 * 3600), "days"),
        s if s >= 2 * 3600 => (s / 3600, "hours"),
        s if s >= 120 => (s / 60, "minutes"),
        s => (s, "seconds"),
    };
    format!("{count} {unit}")
}

fn main() -> ExitCode {
    service_main::<Kgc>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        assert_eq!(duration("7d"), Ok(Duration::from_hours(7 * 24)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        for wrong in ["", "d", "7", "7w", "-1d", "7 d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(words(Duration::from_hours(7 * 24)), "7 days");
        assert_eq!(words(Duration::from_mins(90)), "90 minutes");
    }

    #[test]
    fn help_is_complete() {
        dyad_node::command_line::<Kgc>().debug_assert();
    }
}
