//! What a scenario needs of key centre and clouds.

use crate::faults::{Fault, What};
use crate::line::{Line, Weather};
use anyhow::{Context as _, bail};
use dyad_local::{Parameters, Place, World};
use dyad_protos::Role;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

/// Key centre and clouds, wherever they run.
#[allow(async_fn_in_trait)]
pub trait Services {
    /// A token for somebody who is to be enrolled.
    async fn token(&self, role: Role, name: &str) -> anyhow::Result<String>;

    /// Ends a service: at once, if it is a process of its own.
    async fn kill(&mut self, role: Role) -> anyhow::Result<()>;

    /// Starts it again.
    async fn run(&mut self, role: Role) -> anyhow::Result<()>;

    /// Has it happen, for as long as it lasts.
    async fn strike(&mut self, fault: &Fault) -> anyhow::Result<()> {
        strike(self, fault).await
    }

    /// The line to a service, if a test has a hand on it.
    fn line(&self, _role: Role) -> Option<&Line> {
        None
    }
}

/// What can be done to services wherever they run.
pub(crate) async fn strike<S: Services + ?Sized>(
    services: &mut S,
    fault: &Fault,
) -> anyhow::Result<()> {
    let Fault { who, what, down, .. } = *fault;
    let down = Duration::from_millis(down);
    match what {
        What::Killed => {
            services.kill(who).await?;
            tokio::time::sleep(down).await;
            services.run(who).await
        }
        What::Line(weather) => {
            let line = services.line(who).context("there is no hand on the line")?;
            line.set(weather);
            tokio::time::sleep(down).await;
            line.set(Weather::Fair);
            Ok(())
        }
        What::Full | What::Clock(_) | What::Paused | What::SetBack => {
            bail!("{fault}: only a process of its own has a disk and a clock, and can stand still")
        }
    }
}

impl Services for World {
    async fn token(&self, role: Role, name: &str) -> anyhow::Result<String> {
        Self::token(self, role, name).await
    }

    async fn kill(&mut self, role: Role) -> anyhow::Result<()> {
        self.stop(role).await
    }

    async fn run(&mut self, role: Role) -> anyhow::Result<()> {
        Self::run(self, role).await
    }
}

/// All three in this process, each behind a line on which a test listens in.
pub struct Tapped {
    /// They.
    pub world: World,
    lines: BTreeMap<Role, Line>,
}

impl Tapped {
    /// Starts them.
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        let (mut places, mut lines) = (BTreeMap::new(), BTreeMap::new());
        for role in [Role::Kgc, Role::C0, Role::C1] {
            let listens = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
            let line = Line::tapped(listens).await?;
            places.insert(role, Place { listens, told: line.address() });
            lines.insert(role, line);
        }
        let world = World::start_at(folder, Parameters::InsecureDemo, places).await?;
        Ok(Self { world, lines })
    }
}

impl Services for Tapped {
    async fn token(&self, role: Role, name: &str) -> anyhow::Result<String> {
        self.world.token(role, name).await
    }

    async fn kill(&mut self, role: Role) -> anyhow::Result<()> {
        self.world.stop(role).await
    }

    async fn run(&mut self, role: Role) -> anyhow::Result<()> {
        self.world.run(role).await
    }

    fn line(&self, role: Role) -> Option<&Line> {
        self.lines.get(&role)
    }
}
