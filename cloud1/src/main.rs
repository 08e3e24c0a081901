//! The main cloud's program.

use dyad_cloud::serve::Config;
use dyad_node::{AuditArgs, Context, Service, audit_command, service_main};
use std::process::ExitCode;

struct Cloud1;

#[derive(clap::Subcommand)]
enum Command {
    /// Has this cloud certified by the key centre, with a token made there.
    Enrol {
        /// From `kgc token --role c1`.
        #[arg(long, env = "DYAD_TOKEN", hide_env_values = true)]
        token: String,
    },
    /// Serves, and drives the jobs.
    Serve,
    /// Shows who did what when, and whether the table was changed.
    Audit(AuditArgs),
}

impl Service for Cloud1 {
    const NAME: &'static str = "cloud1";
    const ABOUT: &'static str = "C1, the main cloud: co-ordinates, holds ciphertexts and shares";
    const EXAMPLES: &'static str = "  \
  cloud1 --set folder=/var/lib/dyad/c1 --set listen=0.0.0.0:4411 --set address=c1.example:4411 enrol --token dyad1-...
  cloud1 --config /etc/dyad/cloud1.toml serve
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
                let member = dyad_cloud1::enrol(&config, &token).await?;
                println!("enrolled as {} ({})", member.identity, member.tls.fingerprint());
                Ok(())
            }
            Command::Serve => dyad_cloud1::serve(config, context, None).await,
            Command::Audit(args) => audit_command(&config.ledger_url()?, &args).await,
        }
    }
}

fn main() -> ExitCode {
    service_main::<Cloud1>()
}
