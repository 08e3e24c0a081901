//! Key centre and both clouds in one process, as they are on machines of their own: each with its
//! own folder, listening on the loopback, under mutual TLS.

use anyhow::{Context as _, ensure};
use dyad_cloud::serve::Config as CloudConfig;
use dyad_kgc::{Config as KgcConfig, Init};
use dyad_net::identity::{Name, Role};
use dyad_node::Context;
use dyad_node::clock::Clock;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How long a service gets to end in good order.
const GRACE: Duration = Duration::from_secs(20);
/// Tokens made here are used at once.
const TOKEN: Duration = Duration::from_hours(1);

/// Which parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// The bundled ones, whose master key is public: nothing has to be searched for.
    InsecureDemo,
    /// Fresh ones of so many bits.
    Fresh(usize),
}

/// Where a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it listens.
    pub listens: SocketAddr,
    /// Where the others are told that it is.
    pub told: SocketAddr,
}

/// The three services.
pub struct World {
    folder: PathBuf,
    places: BTreeMap<Role, Place>,
    kgc: KgcConfig,
    clouds: BTreeMap<Role, CloudConfig>,
    clocks: BTreeMap<Role, Arc<dyn Clock>>,
    running: BTreeMap<Role, Running>,
}

struct Running {
    context: Context,
    task: JoinHandle<anyhow::Result<()>>,
}

impl World {
    /// Makes a key centre, has both clouds enrolled, and starts all three.
    pub async fn start(folder: &Path, parameters: Parameters) -> anyhow::Result<Self> {
        let mut places = BTreeMap::new();
        for role in [Role::Kgc, Role::C0, Role::C1] {
            let listens = free_address().await?;
            places.insert(role, Place { listens, told: listens });
        }
        Self::start_at(folder, parameters, places).await
    }

    /// The same, with a place for each of the three.
    pub async fn start_at(
        folder: &Path,
        parameters: Parameters,
        places: BTreeMap<Role, Place>,
    ) -> anyhow::Result<Self> {
        let place = places.get(&Role::Kgc).context("the key centre has no place")?;
        let kgc = KgcConfig {
            listen: place.listens.to_string(),
            address: place.told.to_string(),
            store: folder.join("kgc"),
            insecure_demo: parameters == Parameters::InsecureDemo,
            ..KgcConfig::default()
        };
        let name: Name = "kgc".parse()?;
        let init = match parameters {
            Parameters::InsecureDemo => Init::demo(name),
            Parameters::Fresh(bits) => Init { bits, ..Init::new(name) },
        };
        tokio::task::block_in_place(|| dyad_kgc::init(&kgc, &init))?;
        let (folder, clouds) = (folder.to_owned(), BTreeMap::new());
        let (clocks, running) = (BTreeMap::new(), BTreeMap::new());
        let mut world = Self { folder, places, kgc, clouds, clocks, running };
        // Before it runs: until it answers, whoever wants a token opens its store himself.
        let tokens = [
            (Role::C0, world.token(Role::C0, "c0").await?),
            (Role::C1, world.token(Role::C1, "c1").await?),
        ];
        world.run(Role::Kgc).await?;
        for (role, token) in tokens {
            let added = world.add_cloud(role, &token, parameters).await;
            // Why a service has ended says more than that it is not reached.
            world.check().await?;
            added?;
            world.run(role).await?;
        }
        Ok(world)
    }

    async fn add_cloud(
        &mut self,
        role: Role,
        token: &str,
        parameters: Parameters,
    ) -> anyhow::Result<()> {
        let place = self.places.get(&role).with_context(|| format!("{role} has no place"))?;
        let config = CloudConfig {
            listen: place.listens,
            address: place.told.to_string(),
            folder: self.folder.join(role.as_str()),
            refresh: 1,
            insecure_demo: parameters == Parameters::InsecureDemo,
            ..CloudConfig::default()
        };
        match role {
            Role::C0 => dyad_cloud0::enrol(&config, token).await?,
            _ => dyad_cloud1::enrol(&config, token).await?,
        };
        self.clouds.insert(role, config);
        Ok(())
    }

    /// A token for somebody who is to be enrolled.
    pub async fn token(&self, role: Role, name: &str) -> anyhow::Result<String> {
        let token = dyad_kgc::token(&self.kgc, role, &name.parse()?, TOKEN).await?;
        Ok(token.to_string())
    }

    /// What a service has counted since it was started.
    #[must_use]
    pub fn metrics(&self, role: Role) -> Option<String> {
        Some(self.running.get(&role)?.context.metrics.render())
    }

    /// Where everything is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The key centre's configuration.
    #[must_use]
    pub const fn kgc(&self) -> &KgcConfig {
        &self.kgc
    }

    /// A cloud's configuration: changed, it counts from the next start on.
    pub fn cloud(&mut self, role: Role) -> Option<&mut CloudConfig> {
        self.clouds.get_mut(&role)
    }

    /// Another clock for a service: it counts from the next start on.
    pub fn set_clock(&mut self, role: Role, clock: impl Clock) {
        self.clocks.insert(role, Arc::new(clock));
    }

    /// Stop, health and metrics of a service that runs.
    #[must_use]
    pub fn context(&self, role: Role) -> Option<&Context> {
        self.running.get(&role).map(|running| &running.context)
    }

    /// Starts a service that does not run.
    pub async fn run(&mut self, role: Role) -> anyhow::Result<()> {
        ensure!(!self.running.contains_key(&role), "{role} runs already");
        let mut context = Context::detached();
        if let Some(clock) = self.clocks.get(&role) {
            context.clock = Arc::clone(clock);
        }
        let task = match self.clouds.get(&role).cloned() {
            None => {
                let (config, context) = (self.kgc.clone(), context.clone());
                let listener = TcpListener::bind(&config.listen).await?;
                tokio::spawn(dyad_kgc::serve(config, context, Some(listener)))
            }
            Some(config) => {
                let context = context.clone();
                let listener = Some(TcpListener::bind(config.listen).await?);
                match role {
                    Role::C0 => tokio::spawn(dyad_cloud0::serve(config, context, listener)),
                    _ => tokio::spawn(dyad_cloud1::serve(config, context, listener)),
                }
            }
        };
        self.running.insert(role, Running { context, task });
        Ok(())
    }

    /// Stops a service in good order.
    pub async fn stop(&mut self, role: Role) -> anyhow::Result<()> {
        let Some(Running { context, task }) = self.running.remove(&role) else { return Ok(()) };
        context.stop.stop();
        let ended = tokio::time::timeout(GRACE, task).await;
        ended.with_context(|| format!("{role} does not end"))??
    }

    /// Stops all.
    pub async fn end(mut self) -> anyhow::Result<()> {
        for role in [Role::C1, Role::C0, Role::Kgc] {
            self.stop(role).await?;
        }
        Ok(())
    }

    /// Fails if a service has ended by itself, with what it said.
    pub async fn check(&mut self) -> anyhow::Result<()> {
        let ended = self.running.iter().find(|(_, running)| running.task.is_finished());
        let Some((role, _)) = ended.map(|(role, running)| (*role, running)) else { return Ok(()) };
        let Some(Running { task, .. }) = self.running.remove(&role) else { return Ok(()) };
        task.await?.with_context(|| format!("{role} has ended"))?;
        anyhow::bail!("{role} has ended by itself")
    }
}

/// An address of the loopback that nobody listens on.
async fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn services_start_enrol_and_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::start(folder.path(), Parameters::InsecureDemo).await.unwrap();
        // C0 gets the master key.
        for _ in 0..100 {
            world.check().await.unwrap();
            if folder.path().join("c0/keys/master.key").exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(folder.path().join("c0/keys/master.key").exists());
        world.end().await.unwrap();
    }
}
