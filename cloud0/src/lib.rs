//! C0, the auxiliary cloud. It holds the master key, so it is only ever given what is shared or
//! blinded; it does nothing on C1's word alone.

mod attempts;
mod auxiliary;
pub mod master;
pub mod open;
pub mod opener;
mod shares;

use auxiliary::Calls;
use dyad_cloud::serve::{Config, listen, open as open_house, routes};
use dyad_cloud::sized::BySize;
use dyad_net::identity::Role;
use dyad_net::{LinkHub, Result as NetResult};
use dyad_node::{Context, Serving};
use dyad_protos::limits::{MESSAGE, STREAM_MESSAGE};
use dyad_protos::wire::peer::v1::auxiliary_server::AuxiliaryServer;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves until it is to stop. The master key is fetched first, if it is not here yet.
#[must_use = "it serves while it is awaited"]
pub fn serve(config: Config, context: Context, listener: Option<TcpListener>) -> Serving {
    Box::pin(run(config, context, listener))
}

async fn run(
    config: Config,
    context: Context,
    listener: Option<TcpListener>,
) -> anyhow::Result<()> {
    let house = open_house(Role::C0, &config, context).await?;
    let stop = house.context.stop.clone();
    let fetched = stop
        .unless_stopped(master::fetch(&house.me, &house.params, config.passphrase.reveal()))
        .await;
    let Some(master) = fetched.transpose()? else { return Ok(()) };
    let hub = LinkHub::new();
    let calls = Calls::new(Arc::clone(&house), Arc::new(master), hub.clone(), config.patience);
    let forgetting = tokio::spawn(calls.clone().forget_what_is_over());
    let calls = AuxiliaryServer::new(calls).max_encoding_message_size(STREAM_MESSAGE);
    let small = calls.clone().max_decoding_message_size(MESSAGE);
    let large = calls.max_decoding_message_size(STREAM_MESSAGE);
    let calls = BySize::new(small, large, &["Transform"]);
    let routes = routes(&house).add_service(calls).add_service(hub.service());
    let served = listen(&house, &config, listener, routes).await;
    forgetting.abort();
    drop(forgetting.await);
    served
}

/// Has this cloud certified.
pub async fn enrol(config: &Config, token: &str) -> anyhow::Result<dyad_net::member::Member> {
    dyad_cloud::serve::enrol(Role::C0, config, token).await
}

/// What this crate's calls of `net` give.
type Net<T> = NetResult<T>;
