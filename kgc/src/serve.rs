//! `kgc serve`.

use crate::admin;
use crate::config::Config;
use crate::dealer::Dealers;
use crate::error::Error;
use crate::office::Office;
use crate::rpc::Desk;
use anyhow::{Context as _, bail};
use dyad_net::authority::Validity;
use dyad_net::credentials::good_for;
use dyad_net::link::LinkHub;
use dyad_net::tls::{ClientAuth, causes, serve as serve_tls};
use dyad_net::{Credentials, Standing, Tls};
use dyad_node::store::StoreError;
use dyad_node::{Context, Serving, Witness, series};
use dyad_protos::limits::MESSAGE;
use dyad_protos::wire::kgc::v1::enrolment_server::EnrolmentServer;
use dyad_protos::wire::kgc::v1::registry_server::RegistryServer;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tonic::service::Routes;

/// How often its own certificate and revocation list are looked at without being told.
const LOOK: Duration = Duration::from_mins(1);

/// A root certificate that ends sooner is warned of at every start.
const ROOT_SOON: Duration = Duration::from_hours(365 * 24);

/// How long dealers get to end, and others to let go of the store.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves until the context says stop. `listener`: one that listens already, in place of the
/// configuration's.
#[must_use = "it serves while it is awaited"]
pub fn serve(config: Config, context: Context, listener: Option<TcpListener>) -> Serving {
    Box::pin(run(config, context, listener))
}

async fn run(
    config: Config,
    context: Context,
    listener: Option<TcpListener>,
) -> anyhow::Result<()> {
    dyad_net::install_provider();
    let mut office = open(&config, &context).await?;
    // Refused before it listens: nobody is to connect to a key centre that will not serve.
    if office.keys.is_demo() {
        if !config.insecure_demo {
            bail!(
                "this key centre was made with --insecure-demo: its master key is public. To try \
                 things out with it set insecure_demo = true; for real data make another one"
            );
        }
        tracing::warn!("insecure demo parameters: everybody has the master key");
    }
    let listener = match listener {
        Some(listener) => listener,
        None => TcpListener::bind(&config.listen)
            .await
            .with_context(|| format!("cannot listen on {}", config.listen))?,
    };
    let address = listener.local_addr()?;
    if config.address.is_empty() && !address.ip().is_unspecified() {
        // With port 0 it is known only now.
        office.config.address = address.to_string();
    }
    let (config, office) = (office.config.clone(), Arc::new(office));
    office.delete_old_drafts().await?;
    let own = own_credentials(&office)?;
    let (number, list) = {
        let mut tx = office.db.begin().await?;
        office.revocation_list(&mut tx).await?
    };
    let tls = Tls::new(own, office.keys.root.clone(), Some(list))?;
    let witness = Witness::new(office.db.clone(), Arc::clone(&context.clock));
    let (metrics, seen) = (context.metrics.clone(), witness.clone());
    tls.on_refused(move |cause, line| {
        metrics.counter(series::REFUSALS, &[("cause", cause)]).increment(1);
        if causes::OF_PARTIES.contains(&cause) {
            seen.refused("tls", cause, line);
        }
    });
    let hub = LinkHub::new();
    let dealers = Dealers::new(hub.clone(), context.metrics.clone());
    let desk = Desk::new(Arc::clone(&office), dealers, context.clone(), witness.clone());

    let revoked = Arc::new(Notify::new());
    let socket = config.socket();
    let operator = match admin::listen(&socket) {
        Ok(listener) => {
            let revoked = Arc::clone(&revoked);
            let changed = move || revoked.notify_one();
            Some(tokio::spawn(admin::serve(listener, Arc::clone(&office), changed)))
        }
        Err(error) => {
            let socket = socket.display();
            tracing::warn!("{socket}: {error}: tokens can be made only while it is stopped");
            None
        }
    };
    let keeper =
        tokio::spawn(keep(Arc::clone(&office), tls.clone(), number, revoked, context.clone()));

    let sized = RegistryServer::new(desk.clone())
        .max_decoding_message_size(MESSAGE)
        .max_encoding_message_size(MESSAGE);
    let enrolment = EnrolmentServer::new(desk.clone())
        .max_decoding_message_size(MESSAGE)
        .max_encoding_message_size(MESSAGE);
    let routes = Routes::new(enrolment).add_service(sized).add_service(hub.service());
    let root = office.keys.root.fingerprint();
    let certificate = good_for(tls.not_after());
    tracing::info!(%address, reached_by = config.reached_by(), %root, %certificate, "serving");
    let root_ends = office.keys.root.not_after()?;
    if root_ends < SystemTime::now() + ROOT_SOON {
        tracing::warn!(
            "the root certificate is {}: with it ends every certificate made here. Make another key \
             centre in time, and have everybody enrol there",
            good_for(root_ends)
        );
    }
    context.health.ready("serving");
    // Links of dealers would hold the connections open until they are cut off.
    let dealers = tokio::spawn({
        let (desk, stop) = (desk.clone(), context.stop.clone());
        async move {
            stop.stopped().await;
            desk.0.dealers.stop_all(PATIENCE).await;
        }
    });
    let served =
        serve_tls(listener, &tls, ClientAuth::Optional, routes, context.stop.stopped()).await;
    context.health.not_ready("serving", "stopping");
    keeper.abort();
    if let Some(operator) = operator {
        operator.abort();
        // Another start makes its own anyway.
        drop(std::fs::remove_file(&socket));
    }
    dealers.abort();
    desk.0.dealers.stop_all(PATIENCE).await;
    witness.flush().await;
    office.db.close().await;
    Ok(served?)
}

/// Opens the store. The operator's other commands have it open for a moment, when no service runs.
async fn open(config: &Config, context: &Context) -> crate::Result<Office> {
    let until = Instant::now() + PATIENCE;
    loop {
        match Office::open(config, Arc::clone(&context.clock)).await {
            Err(Error::Store(StoreError::InUse { .. })) if Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other => return other,
        }
    }
}

/// Its own certificate, renewed if it ends soon.
fn own_credentials(office: &Office) -> crate::Result<Credentials> {
    let own = office.keys.credentials()?;
    match own.check_time(SystemTime::now()) {
        Standing::Good => Ok(own),
        standing => {
            tracing::info!("its own certificate {standing}: renewed");
            office.keys.renew_own(Validity::lasting(office.config.certificates_last()))
        }
    }
}

/// Keeps its own revocation list and certificate up to date.
async fn keep(office: Arc<Office>, tls: Tls, number: u64, revoked: Arc<Notify>, context: Context) {
    let mut have = number;
    loop {
        tokio::select! {
            () = revoked.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        match keep_once(&office, &tls, have, &context).await {
            Ok(number) => {
                have = number;
                context.health.ready("store");
            }
            Err(error) => {
                tracing::error!("{error}");
                context.health.not_ready("store", error.to_string());
            }
        }
    }
}

async fn keep_once(office: &Office, tls: &Tls, have: u64, context: &Context) -> crate::Result<u64> {
    office.delete_old_drafts().await?;
    let mut tx = office.db.begin().await?;
    let number = office.list_number(&mut tx).await?;
    if number != have {
        let (_, list) = office.revocation_list(&mut tx).await?;
        tls.replace_crl(list)?;
    }
    tx.rollback().await;
    let left = tls.not_after().duration_since(SystemTime::now()).unwrap_or_default();
    let days = left.as_secs_f64() / 86_400.0;
    let who = office.keys.identity.to_string();
    context.metrics.gauge(series::CERTIFICATE_DAYS, &[("identity", &who)]).set(days);
    let standing = office.keys.credentials()?.check_time(SystemTime::now());
    if standing != Standing::Good {
        tracing::warn!("its own certificate {standing}: it is being renewed");
        let validity = Validity::lasting(office.config.certificates_last());
        tls.replace_credentials(office.keys.renew_own(validity)?)?;
    }
    Ok(number)
}
