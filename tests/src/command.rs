//! The owners' command, given and killed.

use crate::processes::program;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// `dyad` for the owner with this home folder; it ends with whoever holds it.
pub fn dyad(home: &Path, arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(program("dyad")?);
    command.arg("--home").arg(home).args(["--insecure-demo", "--yes", "--patience", "20"]);
    command.args(arguments).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// SIGKILL. Whether it had ended by itself.
pub async fn killed(mut child: Child) -> anyhow::Result<bool> {
    let ended = child.try_wait()?.is_some();
    child.kill().await?;
    Ok(ended)
}

/// The same, so many milliseconds after it was given.
pub async fn killed_after(home: &Path, arguments: &[&str], millis: u64) -> anyhow::Result<bool> {
    let child = dyad(home, arguments)?.spawn()?;
    tokio::time::sleep(Duration::from_millis(millis)).await;
    killed(child).await
}
