//! A cloud as a service: its files, its configuration, its calls.

use crate::house::House;
use crate::ledger::{Ledger, MIGRATIONS};
use crate::quota::Limits;
use crate::service::Calls;
use crate::sized::BySize;
use crate::tidy::keep_tidy;
use anyhow::{Context as _, ensure};
use dyad_bcp::PublicParams;
use dyad_net::credentials::good_for;
use dyad_net::identity::Role;
use dyad_net::member::Member;
use dyad_net::tls::{causes, check_address};
use dyad_net::{ClientAuth, serve};
use dyad_node::config::Secret;
use dyad_node::store::{Bulk, Db, StoreError};
use dyad_node::{Context, Usage, series};
use dyad_protos::limits::{MESSAGE, STREAM_MESSAGE};
use dyad_protos::wire::cloud::v1::cloud_server::CloudServer;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;
use tonic::service::Routes;

/// Configuration of a cloud.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Under which owners and the others reach it, host:port. Told to the key centre when it is
    /// enrolled.
    pub address: String,
    /// Its keys, and all else unless told otherwise.
    pub folder: PathBuf,
    /// What key files are locked with. Empty: they are not locked.
    pub passphrase: Secret,
    /// The ledger: `sqlite:///folder/ledger.db`. Empty: in the folder.
    pub ledger: String,
    /// What is large: `file:///folder`. Empty: in the folder.
    pub bulk: String,
    /// How long the other cloud and the dealer are waited for at a time, in seconds: more than the
    /// longest step takes.
    pub patience: u64,
    /// How often the key centre is asked for revocations and addresses, in seconds.
    pub refresh: u64,
    /// Threads that a job computes with; 0: as many as there are cores. Fewer where several parties
    /// share a machine.
    pub threads: usize,
    /// Serve with parameters whose master key is public. For trying things out.
    pub insecure_demo: bool,
    /// What is refused beyond, and how long is kept what nobody fetches.
    pub limits: Limits,
}

/// A key of the configuration has a value that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("configuration: key `{key}`: {why}")]
pub struct Misconfigured {
    /// Which.
    pub key: &'static str,
    /// What it may be.
    pub why: String,
}

/// Threads of a job.
const MOST_THREADS: usize = 1024;
/// A hundred years.
const MOST_DAYS: u64 = 36_500;

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            address: String::new(),
            folder: PathBuf::from("."),
            passphrase: Secret::default(),
            ledger: String::new(),
            bulk: String::new(),
            patience: 60,
            refresh: 60,
            threads: 0,
            insecure_demo: false,
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// What the key centre is to tell the others.
    fn reached_at(&self) -> Result<String, String> {
        if !self.address.is_empty() {
            return Ok(self.address.clone());
        }
        let listens = self.listen.to_string();
        match check_address(&listens) {
            Ok(()) => Ok(listens),
            Err(_) => Err(format!(
                "key `address`: say where owners and the other services reach this cloud, as \
                 --set address=HOST:PORT; by where it listens, {listens}, nobody could (or give \
                 `listen` an address and a port of this machine)"
            )),
        }
    }

    fn keys(&self) -> PathBuf {
        self.folder.join("keys")
    }

    /// Refuses what cannot be meant, each key by name.
    pub fn check(&self) -> Result<(), Misconfigured> {
        let Limits { uploads, bytes, jobs, retention_days } = self.limits;
        let nought = "nought would refuse everything";
        let most_patience = 24 * 3600;
        if !self.address.is_empty() {
            let wrong = |error| Misconfigured { key: "address", why: format!("{error}") };
            check_address(&self.address).map_err(wrong)?;
        }
        for (key, is_right, why) in [
            ("folder", !self.folder.as_os_str().is_empty(), "name a folder"),
            ("patience", (1..=most_patience).contains(&self.patience), "1 to 86400 seconds"),
            ("refresh", (1..=most_patience).contains(&self.refresh), "1 to 86400 seconds"),
            (
                "threads",
                self.threads <= MOST_THREADS,
                "1024 at most; 0: as many as there are cores",
            ),
            ("limits.uploads", uploads > 0, nought),
            ("limits.bytes", bytes > 0, nought),
            ("limits.jobs", jobs > 0, nought),
            (
                "limits.retention_days",
                (1..=MOST_DAYS).contains(&retention_days),
                "1 to 36500: in no time nobody could fetch a model",
            ),
        ] {
            if !is_right {
                return Err(Misconfigured { key, why: why.to_owned() });
            }
        }
        Ok(())
    }

    /// The ledger, as it is opened.
    pub fn ledger_url(&self) -> anyhow::Result<String> {
        self.url(&self.ledger, "sqlite", "ledger.db")
    }

    fn url(&self, given: &str, scheme: &str, name: &str) -> anyhow::Result<String> {
        if !given.is_empty() {
            return Ok(given.to_owned());
        }
        let folder = std::path::absolute(&self.folder)?;
        Ok(format!("{scheme}://{}/{name}", folder.display()))
    }
}

/// Has this cloud certified. Repeatable.
pub async fn enrol(role: Role, config: &Config, token: &str) -> anyhow::Result<Member> {
    config.check().map_err(|wrong| Usage(wrong.to_string()))?;
    let address = config.reached_at().map_err(Usage)?;
    let member =
        Member::enrol(&config.keys(), token, Some(&address), config.passphrase.reveal()).await?;
    is_role(&member, role)?;
    Ok(member)
}

fn is_role(member: &Member, role: Role) -> anyhow::Result<()> {
    let found = member.identity.role;
    ensure!(found == role, "the token was made for the role {found}, this is {role}");
    Ok(())
}

/// Reads parameters; those that anybody can open only where the configuration says so.
fn params(bytes: &[u8], insecure_demo: bool) -> anyhow::Result<PublicParams> {
    let params = PublicParams::from_bytes(bytes)?;
    let is_demo = *params.id().as_bytes() == dyad_protos::INSECURE_DEMO.0;
    ensure!(
        insecure_demo || !is_demo,
        "the key centre has the demonstration's parameters, whose master key is public: make a \
         real one (kgc init), or set insecure_demo for trying things out"
    );
    if is_demo {
        tracing::warn!("INSECURE: anybody can read what is uploaded under these parameters");
    }
    Ok(params)
}

/// Opens all that a cloud keeps.
pub async fn open(role: Role, config: &Config, context: Context) -> anyhow::Result<Arc<House>> {
    config.check().map_err(|wrong| Usage(wrong.to_string()))?;
    dyad_net::install_provider();
    let keys = config.keys();
    let member = Member::load(&keys, config.passphrase.reveal())
        .with_context(|| format!("{} holds no enrolment: enrol first", keys.display()))?;
    is_role(&member, role)?;
    let params = params(&member.params, config.insecure_demo)?;
    let (url, folder) = (config.ledger_url()?, config.url(&config.bulk, "file", "bulk")?);
    let db = once_free(|| Db::open(&url, &[MIGRATIONS])).await?;
    let bulk = once_free(|| Bulk::open(&folder)).await?;
    let ledger = Ledger::new(db);
    let ran = ledger.ran().await?;
    let house = House::new(member, params, ledger, bulk, context, config, ran);
    let (counter, witness) = (house.context.metrics.clone(), house.witness.clone());
    house.me.tls.on_refused(move |cause, line| {
        counter.counter(series::REFUSALS, &[("cause", cause)]).increment(1);
        if causes::OF_PARTIES.contains(&cause) {
            witness.refused("tls", cause, line);
        }
    });
    house.sweep().await?;
    Ok(Arc::new(house))
}

/// Opens what the service before, which was stopped, may hold for a moment longer.
async fn once_free<T, F>(open: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let until = Instant::now() + LAST_WORDS;
    loop {
        match open().await {
            Err(StoreError::InUse { .. }) if Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => return opened,
        }
    }
}

/// The calls of owners.
#[must_use]
pub fn routes(house: &Arc<House>) -> Routes {
    let calls = CloudServer::new(Calls(Arc::clone(house)));
    let calls = calls.max_encoding_message_size(STREAM_MESSAGE);
    let small = calls.clone().max_decoding_message_size(MESSAGE);
    let large = calls.max_decoding_message_size(STREAM_MESSAGE);
    Routes::new(BySize::new(small, large, &["Send", "Answer"]))
}

/// Listens, and answers until it is to stop.
pub async fn listen(
    house: &Arc<House>,
    config: &Config,
    listener: Option<TcpListener>,
    routes: Routes,
) -> anyhow::Result<()> {
    let listener = match listener {
        Some(listener) => listener,
        None => TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("cannot listen on {}: is it in use?", config.listen))?,
    };
    tracing::info!(
        identity = %house.me.identity,
        address = %listener.local_addr()?,
        fingerprint = %house.me.tls.fingerprint(),
        certificate = %good_for(house.me.tls.not_after()),
        "serving"
    );
    house.context.health.ready("serving");
    let refreshing = tokio::spawn(refresh(Arc::clone(house), Duration::from_secs(config.refresh)));
    let tidying = tokio::spawn(keep_tidy(Arc::clone(house)));
    let stop = house.context.stop.clone();
    let served = serve(listener, &house.me.tls, ClientAuth::Required, routes, async move {
        stop.stopped().await;
    });
    let served = served.await;
    refreshing.abort();
    drop(refreshing.await);
    // It ends by itself with the stop, and writes down how long it ran.
    if tokio::time::timeout(LAST_WORDS, tidying).await.is_err() {
        tracing::warn!("how long it ran may not be written down");
    }
    house.witness.flush().await;
    Ok(served?)
}

/// For what is written when it stops; a start waits for it as long.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Asks the key centre now and then who there is and which certificates are good no more; renews
/// one's own in time.
async fn refresh(house: Arc<House>, every: Duration) {
    let me = &house.me;
    loop {
        if let Err(error) = me.refresh().await {
            tracing::warn!("who there is, and who no more, was not asked or not believed: {error}");
        }
        let left = me.tls.not_after().duration_since(SystemTime::now()).unwrap_or_default();
        let days = left.as_secs() / 86_400;
        let name = me.identity.to_string();
        let gauge = house.context.metrics.gauge(series::CERTIFICATE_DAYS, &[("identity", &name)]);
        gauge.set(days as f64);
        if left < dyad_net::credentials::SOON {
            tracing::warn!("the certificate is good for {days} days: it is being renewed");
            if let Err(error) = me.renew().await {
                tracing::warn!("it was not renewed: {error}");
            }
        }
        let pause = tokio::time::sleep(every);
        if house.context.stop.unless_stopped(pause).await.is_none() {
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_key() {
        Config::default().check().unwrap();
        for seconds in [0, 86_401, u64::MAX] {
            let refused = |config: Config| config.check().unwrap_err().to_string();
            let refresh = refused(Config { refresh: seconds, ..Config::default() });
            assert!(refresh.contains("`refresh`") && refresh.contains("86400"), "{refresh}");
            let patience = refused(Config { patience: seconds, ..Config::default() });
            assert!(patience.contains("`patience`"), "{patience}");
        }
        let address = Config { address: "0.0.0.0:7310".into(), ..Config::default() };
        assert!(address.check().unwrap_err().to_string().contains("`address`"));
    }

    #[test]
    fn nobody_is_told_an_address_that_none_can_reach() {
        let at = |listen: &str, address: &str| {
            let (listen, address) = (listen.parse().unwrap(), address.into());
            Config { listen, address, ..Config::default() }.reached_at()
        };
        assert_eq!(at("127.0.0.1:7310", "").unwrap(), "127.0.0.1:7310");
        assert_eq!(at("0.0.0.0:7310", "c0.example:7310").unwrap(), "c0.example:7310");
        for listen in ["127.0.0.1:0", "0.0.0.0:7310", "[::]:7310"] {
            let refused = at(listen, "").unwrap_err();
            assert!(refused.contains("--set address=HOST:PORT"), "{refused}");
        }
    }
}
