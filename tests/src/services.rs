//! What a scenario needs of key centre and clouds.

use dyad_local::World;
use dyad_protos::Role;

/// Key centre and clouds, wherever they run.
#[allow(async_fn_in_trait)]
pub trait Services {
    /// A token for somebody who is to be enrolled.
    async fn token(&self, role: Role, name: &str) -> anyhow::Result<String>;

    /// Ends a service: at once, if it is a process of its own.
    async fn kill(&mut self, role: Role) -> anyhow::Result<()>;

    /// Starts it again.
    async fn run(&mut self, role: Role) -> anyhow::Result<()>;
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
