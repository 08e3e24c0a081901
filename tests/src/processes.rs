//! Key centre and clouds as processes of their own, which can be killed.

use crate::faults::{Fault, What, When};
use crate::line::Line;
use crate::machine::{Disk, WrongClock, copy_all, empty};
use crate::services::{self, Services};
use anyhow::{Context as _, bail, ensure};
use dyad_protos::Role;
use std::collections::BTreeMap;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// How long a service gets to answer.
const STARTED: Duration = Duration::from_secs(30);

/// How a service is run, besides as usual.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// A program that runs it, and that program's arguments: `sh -c 'ulimit ...; exec "$0" "$@"'`.
    pub within: Vec<String>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Configuration, in place of the usual.
    pub settings: Vec<(String, String)>,
}

impl Manner {
    /// With this configuration.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// With this environment variable.
    #[must_use]
    pub fn variable(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    /// With these.
    #[must_use]
    pub fn variables(self, variables: &[(&str, String)]) -> Self {
        variables.iter().fold(self, |manner, (key, value)| manner.variable(key, value))
    }

    /// Run by this shell command, which ends with `exec "$0" "$@"`.
    #[must_use]
    pub fn shell(mut self, script: &str) -> Self {
        self.within = ["sh", "-c", script].map(str::to_owned).to_vec();
        self
    }
}

/// The three services.
pub struct Processes {
    folder: PathBuf,
    addresses: BTreeMap<Role, SocketAddr>,
    lines: BTreeMap<Role, Line>,
    running: BTreeMap<Role, Child>,
    disks: BTreeMap<Role, Disk>,
    environment: Vec<(String, String)>,
    manners: BTreeMap<Role, Manner>,
}

/// A program of this workspace: beside the one that runs.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
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
        let mut services = Self::bare(folder)?;
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        services.environment = environment.iter().map(own).collect();
        services.all(&[]).await?;
        Ok(services)
    }

    /// The same, each behind a line that a test has a hand on.
    pub async fn start_behind_lines(folder: &Path) -> anyhow::Result<Self> {
        Self::start_through(folder, &[]).await
    }

    /// The same, while what is planned for the hand-over happens.
    pub async fn start_through(folder: &Path, plan: &[Fault]) -> anyhow::Result<Self> {
        let mut services = Self::bare(folder)?;
        for (role, listens) in &services.addresses {
            services.lines.insert(*role, Line::to(*listens).await?);
        }
        services.all(plan).await?;
        Ok(services)
    }

    fn bare(folder: &Path) -> anyhow::Result<Self> {
        let mut addresses = BTreeMap::new();
        for role in [Role::Kgc, Role::C0, Role::C1] {
            let free = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
            addresses.insert(role, free);
        }
        Ok(Self {
            folder: folder.to_owned(),
            addresses,
            lines: BTreeMap::new(),
            running: BTreeMap::new(),
            disks: BTreeMap::new(),
            environment: Vec::new(),
            manners: BTreeMap::new(),
        })
    }

    async fn all(&mut self, plan: &[Fault]) -> anyhow::Result<()> {
        self.call(Role::Kgc, &["init", "--name", "kgc", "--insecure-demo"]).await?;
        let mut tokens = Vec::new();
        for role in [Role::C0, Role::C1] {
            tokens.push((role, self.token(role, role.as_str()).await?));
        }
        self.run(Role::Kgc).await?;
        for (role, token) in tokens {
            self.call(role, &["enrol", "--token", &token]).await?;
            if role == Role::C0 {
                // C0 fetches the master key when it is first started.
                self.begin(role)?;
                for fault in plan {
                    if let When::HandOver(after) = fault.when {
                        tokio::time::sleep(Duration::from_millis(after)).await;
                        self.strike(fault).await?;
                    }
                }
                self.answers(role).await?;
            } else {
                self.run(role).await?;
            }
        }
        Ok(())
    }

    /// Starts a service and does not wait for it.
    fn begin(&mut self, role: Role) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log_path(role))?;
        let manner = self.manners.get(&role).cloned().unwrap_or_default();
        let mut command = self.command(role, &manner)?;
        let child = command.arg("serve").stdout(log.try_clone()?).stderr(log).spawn()?;
        self.running.insert(role, child);
        Ok(())
    }

    /// Waits until it answers.
    async fn answers(&mut self, role: Role) -> anyhow::Result<()> {
        let by = Instant::now() + STARTED;
        while TcpStream::connect(self.addresses[&role]).is_err() {
            if let Some(status) = self.ended(role)? {
                bail!("{} has ended ({status}): {}", name(role), self.log(role)?);
            }
            // C0 answers once it has the master key, for which it needs the key centre.
            if Instant::now() > by || (role == Role::C0 && !self.running.contains_key(&Role::Kgc)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// How a service has ended that nobody ended.
    pub fn ended(&mut self, role: Role) -> anyhow::Result<Option<ExitStatus>> {
        let Some(child) = self.running.get_mut(&role) else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.running.remove(&role);
        }
        Ok(status)
    }

    /// Moves a service's store to a small disk of its own; false where none may be mounted.
    pub async fn on_a_disk(&mut self, role: Role) -> anyhow::Result<bool> {
        if self.disks.contains_key(&role) {
            return Ok(true);
        }
        self.kill(role).await?;
        let store = self.store(role);
        let aside = store.with_extension("aside");
        std::fs::rename(&store, &aside)?;
        std::fs::create_dir(&store)?;
        let disk = Disk::mount(&store);
        copy_all(&aside, &store)?;
        std::fs::remove_dir_all(&aside)?;
        self.run(role).await?;
        Ok(disk.is_some_and(|disk| {
            self.disks.insert(role, disk);
            true
        }))
    }

    /// Fills the disk of a service's store; gives the file that does.
    pub fn fill(&self, role: Role) -> anyhow::Result<PathBuf> {
        self.disks.get(&role).context("a store that has no disk of its own")?.fill()
    }

    async fn filled(&mut self, role: Role, down: Duration) -> anyhow::Result<()> {
        if !self.on_a_disk(role).await? {
            println!("SKIPPED: the disk of {role} is full: mounting one is not allowed here");
            return Ok(());
        }
        let ballast = self.fill(role)?;
        tokio::time::sleep(down).await;
        Ok(std::fs::remove_file(ballast)?)
    }

    async fn with_another_clock(
        &mut self,
        role: Role,
        ahead: i64,
        down: Duration,
    ) -> anyhow::Result<()> {
        let Some(clock) = WrongClock::make(&self.folder)? else {
            println!("SKIPPED: the clock of {role} is wrong: no C compiler");
            return Ok(());
        };
        self.kill(role).await?;
        let said = self.log(role)?.len();
        self.manner(role, Manner::default().variables(&clock.variables(ahead)));
        self.begin(role)?;
        tokio::time::sleep(down).await;
        if let Some(status) = self.ended(role)? {
            // It may refuse to serve, and says why.
            let said = self.log(role)?.split_off(said);
            ensure!(said.contains("clock"), "{} has ended ({status}): {said}", name(role));
        }
        self.kill(role).await?;
        self.manner(role, Manner::default());
        self.run(role).await
    }

    async fn paused(&self, role: Role, down: Duration) -> anyhow::Result<()> {
        let pid = self.pid(role).context("it does not run")?.to_string();
        for (signal, then) in [("-STOP", down), ("-CONT", Duration::ZERO)] {
            let status = Command::new("kill").args([signal, &pid]).status().await?;
            ensure!(status.success(), "kill {signal} {pid}: {status}");
            tokio::time::sleep(then).await;
        }
        Ok(())
    }

    async fn put_back(&mut self, role: Role, down: Duration) -> anyhow::Result<()> {
        let (store, copy) = (self.store(role), self.folder.join(format!("copy-of-{role}")));
        self.kill(role).await?;
        copy_all(&store, &copy)?;
        self.run(role).await?;
        tokio::time::sleep(down).await;
        self.kill(role).await?;
        empty(&store)?;
        copy_all(&copy, &store)?;
        std::fs::remove_dir_all(&copy)?;
        self.run(role).await
    }

    /// A service's process id, if it runs.
    #[must_use]
    pub fn pid(&self, role: Role) -> Option<u32> {
        self.running.get(&role)?.id()
    }

    /// Where a service keeps everything.
    #[must_use]
    pub fn store(&self, role: Role) -> PathBuf {
        self.folder.join(name(role))
    }

    /// From its next start on a service is run in this manner.
    pub fn manner(&mut self, role: Role, manner: Manner) {
        self.manners.insert(role, manner);
    }

    /// What a service has said so far.
    pub fn log(&self, role: Role) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.log_path(role))?)
    }

    fn log_path(&self, role: Role) -> PathBuf {
        self.folder.join(format!("{}.log", name(role)))
    }

    fn command(&self, role: Role, manner: &Manner) -> anyhow::Result<Command> {
        let program = program(name(role))?;
        let mut command = match &manner.within[..] {
            [] => Command::new(program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        let place = if role == Role::Kgc { "store" } else { "folder" };
        let set = |command: &mut Command, key: &str, value: &str| {
            command.arg("--set").arg(format!("{key}={value}"));
        };
        set(&mut command, place, &self.store(role).display().to_string());
        set(&mut command, "listen", &self.addresses[&role].to_string());
        set(&mut command, "insecure_demo", "true");
        if let Some(line) = self.lines.get(&role) {
            set(&mut command, "address", &line.address().to_string());
        }
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
        for (key, value) in &manner.settings {
            set(&mut command, key, value);
        }
        let variables = self.environment.iter().chain(&manner.environment);
        let variables = variables.map(|(key, value)| (key.as_str(), value.as_str()));
        command.envs(variables).kill_on_drop(true).stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a command of a service to its end, and gives what it printed.
    pub async fn call(&self, role: Role, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.command(role, &Manner::default())?.args(arguments).output().await?;
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
        self.begin(role)?;
        self.answers(role).await
    }

    async fn strike(&mut self, fault: &Fault) -> anyhow::Result<()> {
        let Fault { who, what, down, .. } = *fault;
        let down = Duration::from_millis(down);
        match what {
            What::Full => self.filled(who, down).await,
            What::Clock(ahead) => self.with_another_clock(who, ahead, down).await,
            What::Paused => self.paused(who, down).await,
            What::SetBack => self.put_back(who, down).await,
            What::Killed | What::Line(_) => services::strike(self, fault).await,
        }
    }

    fn line(&self, role: Role) -> Option<&Line> {
        self.lines.get(&role)
    }
}
