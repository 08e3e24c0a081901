//! One main for all services.

use crate::admin;
use crate::config::{Docs, LogFormat, Sources};
use crate::context::{Context, Stop};
use crate::trouble::{self, Advise};
use anyhow::Context as _;
use clap::{Args, FromArgMatches, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How long threads that are still at work get after the service has ended.
const LINGER: Duration = Duration::from_secs(2);

/// A service: what [`service_main`] runs.
pub trait Service: 'static {
    /// The program's name: `kgc`.
    const NAME: &'static str;
    /// What it is, in a line.
    const ABOUT: &'static str;
    /// Examples for `--help`: indented command lines, each with a line that says what it does.
    const EXAMPLES: &'static str = "";
    /// A key of the configuration that this service has, to show in `--help` how one is given.
    const SAMPLE_KEY: &'static str = "log_filter";
    /// What each key of the configuration means, for samples and the `config` command.
    const DOCS: Docs = &[];
    /// The version of the release.
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    /// The version of the protocol: services of different ones do not talk to each other.
    const PROTOCOL: u32 = 1;
    /// The service's own keys of the configuration.
    type Config: DeserializeOwned + Serialize + Default + Send;
    /// What it can be told to do.
    type Command: Subcommand + Send;

    /// Whether this command is the long-running service: then it has the admin endpoint, and its
    /// start is logged. Others run beside it.
    fn serves(_command: &Self::Command) -> bool {
        true
    }

    /// Does it. Ends in good order, with `Ok`, soon after [`Context::stop`] is set.
    fn run(
        command: Self::Command,
        config: Self::Config,
        context: Context,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// The flags of every service.
#[derive(Args, Debug)]
struct Flags {
    /// Read the configuration from this TOML file
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Set a key of the configuration, over file and environment; repeatable
    #[arg(long, value_name = "KEY.PATH=VALUE", global = true)]
    set: Vec<String>,
    /// How to write the log, to standard error: text or json
    #[arg(long, value_name = "FORMAT", global = true, hide_possible_values = true)]
    log: Option<LogFormat>,
    /// What to log: a level, or levels by module as info,dyad_net=debug
    #[arg(long, value_name = "FILTER", global = true)]
    log_filter: Option<String>,
    /// Serve /healthz, /readyz and /metrics here, e.g. 127.0.0.1:9090
    #[arg(long, value_name = "ADDRESS", global = true)]
    admin_listen: Option<SocketAddr>,
}

impl Flags {
    fn sources(&self, name: &str) -> Result<Sources, trouble::Usage> {
        let mut flags = Vec::new();
        for set in &self.set {
            // What stands behind the sign may be a secret and is not shown.
            let Some((key, value)) = set.split_once('=') else {
                let why = "--set wants KEY.PATH=VALUE; there is no = in it".to_owned();
                return Err(trouble::Usage(why));
            };
            flags.push((format!("--set {key}"), key.to_owned(), value.to_owned()));
        }
        let mut flag = |name: &str, key: &str, value: Option<String>| {
            flags.extend(value.map(|value| (name.to_owned(), key.to_owned(), value)));
        };
        let log = self.log.map(|log| match log {
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
        });
        flag("--log", "log", log);
        flag("--log-filter", "log_filter", self.log_filter.clone());
        flag("--admin-listen", "admin_listen", self.admin_listen.map(|a| a.to_string()));
        Ok(Sources {
            name: name.to_owned(),
            file: self.config.clone(),
            environment: std::env::vars_os().collect(),
            flags,
        })
    }
}

/// The version line: `kgc 0.1.0 (protocol 1)`.
#[must_use]
pub fn version_line<S: Service>() -> String {
    format!("{} {}", S::NAME, version::<S>())
}

fn version<S: Service>() -> String {
    format!("{} (protocol {})", S::VERSION, S::PROTOCOL)
}

/// The whole command line, also for tests that pin its help.
#[must_use]
pub fn command_line<S: Service>() -> clap::Command {
    let prefix = Sources { name: S::NAME.to_owned(), ..Sources::default() }.prefix();
    let examples = match S::EXAMPLES.trim_end() {
        "" => String::new(),
        examples => format!("Examples:\n{examples}\n\n"),
    };
    let (key, variable) = (S::SAMPLE_KEY, S::SAMPLE_KEY.replace('.', "__").to_uppercase());
    let after = format!(
        "{examples}\
         Configuration: defaults, then --config FILE, then the environment, then flags.\n  \
         Key {key} of the file is {prefix}{variable} in the environment, and\n  \
         --set {key}=... here. Unknown keys are refused.\n\n\
         Exit codes: 0 done; 1 failed; 2 usage or configuration.\n\
         SIGTERM or SIGINT: ends in good order; the second one: ends at once."
    );
    // The derived parts bring their own descriptions; ours come last.
    let command = Flags::augment_args(clap::Command::new(S::NAME));
    S::Command::augment_subcommands(command)
        .about(S::ABOUT)
        .long_about(None)
        .version(version::<S>())
        .after_help(after)
        .subcommand_required(true)
        .arg_required_else_help(true)
}

/// The whole of a service's `main`.
#[must_use]
pub fn service_main<S: Service>() -> ExitCode {
    let mut line = command_line::<S>();
    let parsed = line.try_get_matches_from_mut(std::env::args_os()).and_then(|matches| {
        let flags = Flags::from_arg_matches(&matches)?;
        Ok((flags, S::Command::from_arg_matches(&matches)?))
    });
    let (flags, command) = match parsed {
        Ok(parsed) => parsed,
        // Also help and version, which are no failure; clap knows which is which.
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // Nobody to tell if this fails.
            drop(error.format(&mut line).print());
            return ExitCode::from(code);
        }
    };
    match start::<S>(&flags, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", trouble::told(&error));
            ExitCode::from(if trouble::is_usage(&error) { 2 } else { 1 })
        }
    }
}

fn start<S: Service>(flags: &Flags, command: S::Command) -> anyhow::Result<()> {
    let loaded = flags.sources(S::NAME)?.load::<S::Config>()?;
    log_to_stderr(loaded.common.log, &loaded.common.log_filter)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime does not start")?;
    let result = runtime.block_on(async {
        let context = Context::new(S::NAME);
        context.metrics.install();
        let (terminate, interrupt) = signals().context("signals cannot be handled")?;
        tokio::spawn(heed(terminate, interrupt, context.stop.clone()));
        let mut admin = None;
        if S::serves(&command) {
            tracing::info!(configuration = loaded.sources, "{} starts", version_line::<S>());
            if let Some(listen) = loaded.common.admin_listen {
                let endpoint = admin::serve(listen, &context)
                    .await
                    .with_context(|| format!("the admin endpoint cannot listen on {listen}"))
                    .advise("choose another admin_listen, or end what listens there")?;
                tracing::info!(address = %endpoint.address(), "admin endpoint");
                admin = Some(endpoint);
            }
        }
        // A task of its own: a panic becomes an error, told like any other.
        let run = tokio::spawn(S::run(command, loaded.config, context));
        let result = match run.await {
            Ok(result) => result,
            Err(error) => Err(anyhow::Error::from(error).context("a mistake of the program")),
        };
        drop(admin);
        result
    });
    runtime.shutdown_timeout(LINGER);
    result
}

fn signals() -> std::io::Result<(Signal, Signal)> {
    Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
}

/// The first signal asks to stop, the second does not ask.
async fn heed(mut terminate: Signal, mut interrupt: Signal, stop: Stop) {
    for again in [false, true] {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        if again {
            eprintln!("error: {name} again: ended at once");
            // Whatever is half done is found and undone at the next start, as after a kill.
            std::process::exit(1);
        }
        tracing::info!("{name}: stopping; once more ends at once");
        stop.stop();
    }
}

fn log_to_stderr(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let wrong = |error: &dyn Display| trouble::Usage(format!("key `log_filter`: {error}"));
    let filter = EnvFilter::try_new(filter).map_err(|error| wrong(&error))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_ansi(false).try_init(),
    };
    // A program that has set up its own log keeps it.
    if let Err(error) = set {
        tracing::debug!(error, "the log was set up before");
    }
    Ok(())
}
