//! C1, the main cloud. It co-ordinates: it begins attempts, runs its side of them, seals and
//! releases. It holds ciphertexts and shares and cannot open any.

pub mod blind;
mod compare;
mod drive;
mod peer;
mod runner;
mod shares;

use dyad_cloud::serve::{Config, listen, open, routes};
use dyad_net::identity::Role;
use dyad_net::member::Member;
use dyad_node::{Context, Serving};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves until it is to stop.
#[must_use = "it serves while it is awaited"]
pub fn serve(config: Config, context: Context, listener: Option<TcpListener>) -> Serving {
    Box::pin(run(config, context, listener))
}

async fn run(
    config: Config,
    context: Context,
    listener: Option<TcpListener>,
) -> anyhow::Result<()> {
    let house = open(Role::C1, &config, context).await?;
    let runner = tokio::spawn(runner::run(Arc::clone(&house), config.patience));
    let comparing = tokio::spawn(compare::run(Arc::clone(&house)));
    let routes = routes(&house);
    let served = listen(&house, &config, listener, routes).await;
    for task in [runner, comparing] {
        task.abort();
        // Gone, and with it its hold on the store: the next start may come at once.
        drop(task.await);
    }
    served
}

/// Has this cloud certified.
pub async fn enrol(config: &Config, token: &str) -> anyhow::Result<Member> {
    dyad_cloud::serve::enrol(Role::C1, config, token).await
}
