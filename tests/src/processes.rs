//! Key centre and clouds as processes of their own, which can be killed.

use crate::services::Services;
use anyhow::{Context as _, bail, ensure};
use dyad_protos::Role;
use std::collections::BTreeMap;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// How long a service gets to answer.
const STARTED: Duration = Duration::from_secs(30);

/// The three services.
pub struct Processes {
    folder: PathBuf,
    addresses: BTreeMap<Role, SocketAddr>,
    running: BTreeMap<Role, Child>,
    environment: Vec<(String, String)>,
}

/// A program of this workspace: beside the one that runs.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folders = here.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("program {name} is not built: cargo build --release --workspace"))
}

const fn name(role: Role) -> &'static str {
    match role {
        Role::Kgc => "kgc",
        Role::C0 => "cloud0",
        Role::C1 => "cloud1",
        Role::Owner => "dyad",
    }
}

impl Processes {
    /// Makes a key centre, has both clouds enrolled, and starts all three.
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        Self::start_with(folder, &[]).await
    }

    /// The same, with environment variables for each process.
    pub async fn start_with(folder: &Path, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let mut services = Self {
            folder: folder.to_owned(),
            addresses: BTreeMap::new(),
            running: BTreeMap::new(),
            environment: environment.iter().map(own).collect(),
        };
        for role in [Role::Kgc, Role::C0, Role::C1] {
            let free = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
            services.addresses.insert(role, free);
        }
        services.call(Role::Kgc, &["init", "--name", "kgc", "--insecure-demo"]).await?;
        let mut tokens = Vec::new();
        for role in [Role::C0, Role::C1] {
            tokens.push((role, services.token(role, role.as_str()).await?));
        }
        services.run(Role::Kgc).await?;
        for (role, token) in tokens {
            services.call(role, &["enrol", "--token", &token]).await?;
            services.run(role).await?;
        }
        Ok(services)
    }

    /// A service's process id, if it runs.
    #[must_use]
    pub fn pid(&self, role: Role) -> Option<u32> {
        self.running.get(&role)?.id()
    }

    /// What a service has said so far.
    pub fn log(&self, role: Role) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.log_path(role))?)
    }

    fn log_path(&self, role: Role) -> PathBuf {
        self.folder.join(format!("{}.log", name(role)))
    }

    fn command(&self, role: Role) -> anyhow::Result<Command> {
        let mut command = Command::new(program(name(role))?);
        let place = if role == Role::Kgc { "store" } else { "folder" };
        let folder = self.folder.join(name(role));
        let set = |command: &mut Command, key: &str, value: &str| {
            command.arg("--set").arg(format!("{key}={value}"));
        };
        set(&mut command, place, &folder.display().to_string());
        set(&mut command, "listen", &self.addresses[&role].to_string());
        set(&mut command, "insecure_demo", "true");
        // All of them share this machine.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = (cores / 2).max(1).to_string();
        if role == Role::Kgc {
            set(&mut command, "limits.dealer_threads", &threads);
        } else {
            set(&mut command, "threads", &threads);
            set(&mut command, "refresh", "1");
            set(&mut command, "patience", "10");
        }
        let variables = self.environment.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        command.envs(variables).kill_on_drop(true).stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a command of a service to its end, and gives what it printed.
    pub async fn call(&self, role: Role, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.command(role)?.args(arguments).output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} {}: {said}", name(role), arguments.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Kills a service as nothing can prevent: SIGKILL.
    pub async fn kill_hard(&mut self, role: Role) -> anyhow::Result<()> {
        if let Some(mut child) = self.running.remove(&role) {
            child.kill().await?;
        }
        Ok(())
    }
}

impl Services for Processes {
    async fn token(&self, role: Role, name: &str) -> anyhow::Result<String> {
        let said =
            self.call(Role::Kgc, &["token", "--role", role.as_str(), "--name", name]).await?;
        let token = said.lines().find(|line| line.starts_with("dyad1-"));
        Ok(token.context("no token was printed")?.to_owned())
    }

    async fn kill(&mut self, role: Role) -> anyhow::Result<()> {
        self.kill_hard(role).await
    }

    async fn run(&mut self, role: Role) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log_path(role))?;
        let mut child =
            self.command(role)?.arg("serve").stdout(log.try_clone()?).stderr(log).spawn()?;
        let by = Instant::now() + STARTED;
        while TcpStream::connect(self.addresses[&role]).is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("{} has ended ({status}): {}", name(role), self.log(role)?);
            }
            // C0 answers once it has the master key, for which it needs the key centre.
            if Instant::now() > by || (role == Role::C0 && !self.running.contains_key(&Role::Kgc)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.running.insert(role, child);
        Ok(())
    }
}
