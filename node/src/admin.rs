//! Health and metrics, over plain HTTP on a port of their own. Nothing secret is shown, but nobody
//! is asked who they are either: keep it to this machine or to the operator's network.

use crate::context::Context;
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::routing::get;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How often samples are folded when nobody asks for them.
const TIDY: Duration = Duration::from_secs(5);

const TEXT: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
const PROMETHEUS: [(HeaderName, &str); 1] =
    [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];

/// A running endpoint; ends when this is dropped. So it still answers while a service stops.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Admin {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves `GET /healthz` (alive), `/readyz` (all checks ready; a line for each) and `/metrics`.
pub async fn serve(listen: SocketAddr, context: &Context) -> io::Result<Admin> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "the admin endpoint is open beyond this machine");
    }
    let (health, metrics) = (context.health.clone(), context.metrics.clone());
    let (stop, tidied) = (context.stop.clone(), metrics.clone());
    let ready = move || async move {
        if stop.is_stopping() {
            return (StatusCode::SERVICE_UNAVAILABLE, TEXT, "stopping\n".to_owned());
        }
        let code = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (code, TEXT, health.report())
    };
    let router = Router::new()
        .route("/healthz", get(move || async move { (TEXT, "alive\n") }))
        .route("/readyz", get(ready))
        .route("/metrics", get(move || async move { (PROMETHEUS, metrics.render()) }));
    let task = tokio::spawn(async move {
        let server = axum::serve(listener, router);
        let tidy = async {
            loop {
                tokio::time::sleep(TIDY).await;
                tidied.tidy();
            }
        };
        // Not axum's graceful end: that would wait for idle connections of whoever scrapes.
        tokio::select! {
            ended = server => {
                if let Err(error) = ended {
                    tracing::warn!(%error, "the admin endpoint broke off");
                }
            }
            () = tidy => {}
        }
    });
    Ok(Admin { address, task })
}
