//! The auxiliary cloud's program.

use dyad_cloud::serve::Config;
use dyad_node::{AuditArgs, Context, Service, audit_command, service_main};
use std::process::ExitCode;

struct Cloud0;

#[derive(clap::Subcommand)]
enum Command {
    /// Has this cloud certified by the key centre, with a token made there.
    Enrol {
        /// From `kgc token --role c0`.
        #[arg(long, env = "DYAD_TOKEN", hide_env_values = true)]
        token: String,
    },
    /// Serves. Fetches the master key first, if it is not here yet.
    Serve,
    /// Shows who did what when, and whether the table was changed.
    Audit(AuditArgs),
}

impl Service for Cloud0 {
    const NAME: &'static str = "cloud0";
    const ABOUT: &'static str =
        "C0, the auxiliary cloud: holds the master key, sees blinded values";
    const EXAMPLES: &'static str = "  \
  cloud0 --set folder=/var/lib/dyad/c0 --set listen=0.0.0.0:4410 --set address=c0.example:4410 enrol --token dyad1-...
  cloud0 --config /etc/dyad/cloud0.toml serve
";
    const SAMPLE_KEY: &'static str = "limits.jobs";
    type Config = Config;
    type Command = Command;

    fn serves(command: &Command) -> bool {
        matches!(command, Command::Serve)
    }

    async fn run(command: Command, config: Config, context: Context) -> anyhow::Result<()> {
        match command {
            Command::Enrol { token } => {
                dyad_net::install_provider();
                let member = dyad_cloud0::enrol(&config, &token).await?;
                println!("enrolled as {} ({})", member.identity, member.tls.fingerprint());
                Ok(())
            }
            Command::Serve => dyad_cloud0::serve(config, context, None).await,
            Command::Audit(args) => audit_command(&config.ledger_url()?, &args).await,
        }
    }
}

fn main() -> ExitCode {
    service_main::<Cloud0>()
}
