//! An owner who is enrolled, and the calls it makes.

use crate::error::{Doing, Error, Result, contradiction};
use crate::home::{self, Home};
use dyad_bcp::PublicParams;
use dyad_net::identity::{Fingerprint, Identity};
use dyad_net::keyfile::{read_locked, write_locked};
use dyad_net::member::Member;
use dyad_net::retry::{Backoff, Fault, classify, explain};
use dyad_net::tls::Expect;
use dyad_protos::limits::STREAM_MESSAGE;
use dyad_protos::wire::cloud::v1::cloud_client::CloudClient;
use dyad_protos::wire::kgc::v1::registry_client::RegistryClient;
use dyad_protos::{INSECURE_DEMO, Name, Role, Study};
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

/// How long a call is tried again before it is given up, unless the caller says otherwise.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// What is tried again longer is not worth waiting for.
const LONGEST_PATIENCE: Duration = Duration::from_hours(24);
/// A single answer may take this long: matching many rows does.
const LONGEST_CALL: Duration = Duration::from_mins(5);
/// A certificate that ends sooner is renewed.
const RENEW_BEFORE: Duration = Duration::from_hours(30 * 24);

/// What opens a home folder.
#[derive(Clone, Copy, Default)]
pub struct Access<'a> {
    /// Of its keys, if they are locked.
    pub passphrase: Option<&'a str>,
    /// Take part even if the parameters' master key is published: for invented data alone.
    pub insecure_demo: bool,
}

impl fmt::Debug for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passphrase = self.passphrase.map(|_| "redacted");
        let demo = self.insecure_demo;
        write!(f, "Access(passphrase: {passphrase:?}, insecure_demo: {demo})")
    }
}

/// An enrolled owner, and its home folder. Works on a tokio runtime of several threads.
pub struct Client {
    pub(crate) home: Home,
    pub(crate) me: Member,
    pub(crate) params: PublicParams,
    passphrase: Option<Zeroizing<String>>,
    patience: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({}, {})", self.me.identity, self.home.path().display())
    }
}

impl Client {
    /// Has keys of its own certified with the token that the key centre gave. Repeated, it goes on
    /// where it stopped.
    pub fn enrol<'a>(home: Home, token: &'a str, access: &'a Access<'a>) -> Doing<'a, Self> {
        Box::pin(async move {
            home::make_folder(home.path())?;
            let lock = home.lock("member")?;
            home::make_folder(&home.member())?;
            let me = Member::enrol(&home.member(), token, None, access.passphrase).await?;
            drop(lock);
            Self::with(home, me, access)
        })
    }

    /// What was enrolled before.
    pub fn open(home: Home, access: &Access<'_>) -> Result<Self> {
        if !home.member().exists() {
            return Err(Error::Request(format!(
                "{} has no keys yet: ask the key centre for a token, then run `dyad enroll --token \
                 TOKEN`",
                home.path().display()
            )));
        }
        let me = Member::load(&home.member(), access.passphrase)?;
        Self::with(home, me, access)
    }

    fn with(home: Home, me: Member, access: &Access<'_>) -> Result<Self> {
        if me.identity.role != Role::Owner {
            return Err(Error::Request(format!(
                "{} is enrolled as {}: this program is for owners of data",
                home.path().display(),
                me.identity
            )));
        }
        let params = PublicParams::from_bytes(&me.params)?;
        if *params.id().as_bytes() == INSECURE_DEMO.0 && !access.insecure_demo {
            return Err(Error::Request(
                "the key centre works with the insecure-demo parameters, whose master key is \
                 published: everybody could read what is uploaded. For invented data alone say \
                 --insecure-demo; for real data enrol with a key centre that has parameters of its \
                 own"
                .into(),
            ));
        }
        let passphrase = access.passphrase.map(|text| Zeroizing::new(text.to_owned()));
        Ok(Self { home, me, params, passphrase, patience: PATIENCE })
    }

    /// How long calls are tried again: a day at most.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience: patience.min(LONGEST_PATIENCE), ..self }
    }

    /// Who this is.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.me.identity.name
    }

    /// Where its files are.
    #[must_use]
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// The key centre that enrolled it.
    #[must_use]
    pub const fn key_centre(&self) -> &Identity {
        &self.me.kgc.identity
    }

    /// Of its certificate's key, in hexadecimal digits: what others see of it in a frozen study.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.me.tls.fingerprint().to_string()
    }

    /// When its certificate ends.
    #[must_use]
    pub fn certificate_ends(&self) -> SystemTime {
        self.me.tls.not_after()
    }

    /// Learns who there is and which certificates are good no more; renews the own one if it ends
    /// soon. If the key centre is away, what is known is used.
    pub fn refresh(&self) -> Doing<'_, ()> {
        Box::pin(async move {
            let known = |role| self.me.service(role).is_ok();
            match self.me.refresh().await {
                Ok(()) => {}
                Err(error) => {
                    let error = Error::Net(error);
                    if !(error.is_transient() && known(Role::C0) && known(Role::C1)) {
                        return Err(error);
                    }
                    tracing::warn!("the key centre cannot be asked ({error}); going on without");
                    return Ok(());
                }
            }
            let soon = SystemTime::now() + RENEW_BEFORE;
            if self.me.tls.not_after() < soon
                && let Err(error) = self.me.renew().await
            {
                tracing::warn!("the certificate ends soon and could not be renewed: {error}");
            }
            Ok(())
        })
    }

    pub(crate) fn registry(&self) -> Result<RegistryClient<Channel>> {
        Ok(self.me.registry()?)
    }

    /// A cloud of a study: with the key that the study was frozen with, and no other.
    pub(crate) fn cloud(&self, study: &Study, role: Role) -> Result<Cloud> {
        let Some(pinned) = study.cloud(role) else {
            return contradiction(format!("{role} is no cloud"));
        };
        let service = self.me.service(role)?;
        let pin = Fingerprint::from_bytes(pinned.fingerprint.0);
        let identity = Identity::new(role, pinned.name.clone());
        if service.identity != identity || service.fingerprint != pin {
            return contradiction(format!(
                "study {} was frozen with {identity} and key {pin}; the key centre now says {} \
                 with key {}: nothing is sent to it. Ask the key centre; a new study may be needed",
                study.draft.name, service.identity, service.fingerprint
            ));
        }
        let channel =
            self.me.tls.channel(&service.address, Expect::identity(identity).pinned(pin))?;
        let client = CloudClient::new(channel)
            .max_decoding_message_size(STREAM_MESSAGE)
            .max_encoding_message_size(STREAM_MESSAGE);
        Ok(Cloud { role, client, patience: self.patience })
    }

    /// Both.
    pub(crate) fn clouds(&self, study: &Study) -> Result<[Cloud; 2]> {
        Ok([self.cloud(study, Role::C0)?, self.cloud(study, Role::C1)?])
    }

    /// Calls the key centre.
    pub(crate) async fn ask_centre<T, F>(
        &self,
        what: &str,
        call: impl Fn(RegistryClient<Channel>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let client = self.registry()?;
        again(&format!("the key centre, asked {what}"), self.patience, || call(client.clone()))
            .await
    }

    /// Reads a secret file of this home; nothing if it is not there.
    pub(crate) fn secret(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
        if !path.exists() {
            return Ok(None);
        }
        let passphrase = self.passphrase.as_ref().map(|text| text.as_str());
        Ok(Some(read_locked(path, passphrase)?))
    }

    /// Writes one.
    pub(crate) fn keep_secret(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        if let Some(folder) = path.parent() {
            home::make_folder(folder)?;
        }
        let passphrase = self.passphrase.as_ref().map(|text| text.as_str());
        Ok(write_locked(path, bytes, passphrase)?)
    }
}

/// A cloud, as an owner talks to it.
#[derive(Clone)]
pub(crate) struct Cloud {
    pub(crate) role: Role,
    pub(crate) client: CloudClient<Channel>,
    pub(crate) patience: Duration,
}

impl Cloud {
    /// Calls it.
    pub(crate) async fn ask<T, F>(
        &self,
        what: &str,
        call: impl Fn(CloudClient<Channel>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let who = format!("{}, asked {what}", self.role);
        again(&who, self.patience, || call(self.client.clone())).await
    }
}

/// Calls again while it may help: calls can be repeated, a repeat answers the same.
async fn again<T, F>(who: &str, patience: Duration, call: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let mut backoff = backoff();
    let until = Instant::now() + patience;
    loop {
        let result = tokio::time::timeout(LONGEST_CALL, call()).await;
        let status = match result {
            Ok(Ok(response)) => return Ok(response.into_inner()),
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded("no answer in five minutes"),
        };
        let error = failed(who, &status);
        if !error.is_transient() || Instant::now() >= until {
            return Err(error);
        }
        tracing::info!("{error}; trying again");
        tokio::time::sleep(backoff.delay()).await;
    }
}

/// Waits between two tries.
pub(crate) fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(200), Duration::from_secs(5))
}

/// A call that failed.
pub(crate) fn failed(who: &str, status: &Status) -> Error {
    let transient = classify(status) == Fault::Transient;
    Error::Call { who: who.to_owned(), what: explain(status), code: status.code(), transient }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A message with a deadline that the other side sees too.
pub(crate) fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(LONGEST_CALL);
    request
}

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    use rand::TryRng;
    let mut bytes = [0; N];
    let failed = |_| Error::NotYet("the system gives no random numbers; try again".into());
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
