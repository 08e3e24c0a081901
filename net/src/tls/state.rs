//! What one party needs for its connections, replaceable while they live.

use super::verify::Verifier;
use super::{ALPN, ClientAuth, provider};
use crate::authority::{RootCertificate, Serial};
use crate::credentials::Credentials;
use crate::error::{Error, Refused, Result};
use crate::facts;
use crate::identity::{Fingerprint, Identity};
use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivatePkcs8KeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::sync::watch;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

/// One party's end of all its connections. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    root: RootCertificate,
    state: ArcSwap<State>,
    /// One change at a time.
    changing: Mutex<()>,
    refusals: Refusals,
    /// Told of every new revocation list.
    lists: watch::Sender<()>,
}

/// What new connections use.
pub(super) struct State {
    own: Arc<CertifiedKey>,
    identity: Identity,
    fingerprint: Fingerprint,
    not_after: SystemTime,
    pub(super) revoked: Option<Arc<RevocationList>>,
    required: Arc<ServerConfig>,
    optional: Arc<ServerConfig>,
}

impl Tls {
    /// With these credentials, whose root is this one, and a revocation list (DER) if there is one.
    pub fn new(
        credentials: Credentials,
        root: RootCertificate,
        crl: Option<Vec<u8>>,
    ) -> Result<Self> {
        let revoked = crl.map(|der| RevocationList::from_der(der, &root)).transpose()?;
        let state = State::new(&credentials, &root, revoked.map(Arc::new))?;
        drop(credentials);
        Ok(Self(Arc::new(Inner {
            root,
            state: ArcSwap::from_pointee(state),
            changing: Mutex::new(()),
            refusals: Refusals::default(),
            lists: watch::Sender::new(()),
        })))
    }

    /// New credentials for new connections: renewed ones, of the same identity.
    pub fn replace_credentials(&self, credentials: Credentials) -> Result<()> {
        let changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.state();
        if *credentials.identity() != now.identity {
            return Err(Error::Mismatch(format!(
                "it is of {}, where {} was expected",
                credentials.identity(),
                now.identity
            )));
        }
        let state = State::new(&credentials, &self.0.root, now.revoked.clone())?;
        self.0.state.store(Arc::new(state));
        drop((changing, credentials));
        Ok(())
    }

    /// A new revocation list (DER), signed by the root and no older than the one in use. New
    /// connections are verified with it, and so is the next request on connections that live.
    pub fn replace_crl(&self, crl: Vec<u8>) -> Result<()> {
        let changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.state();
        let new = RevocationList::from_der(crl, &self.0.root)?;
        if let Some(old) = &now.revoked
            && new.number < old.number
        {
            return Err(Error::RevocationList(format!(
                "its number {} is below the present one's, {}",
                new.number, old.number
            )));
        }
        let state = now.with_list(&self.0.root, Arc::new(new))?;
        self.0.state.store(Arc::new(state));
        self.0.lists.send_replace(());
        drop(changing);
        Ok(())
    }

    /// A list that came was refused; the one in use stays. Logged and counted.
    pub(crate) fn list_refused(&self, error: &Error) {
        self.0.refusals.tell(super::causes::LIST, error);
    }

    /// Calls this for every peer that is refused, with its cause (one of
    /// [`causes`](super::causes)) and a line for the log.
    pub fn on_refused(&self, hook: impl Fn(&'static str, String) + Send + Sync + 'static) {
        self.0.refusals.0.store(Some(Arc::new(Box::new(hook))));
    }

    /// Whom this party's certificate names.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.state().identity.clone()
    }

    /// Of this party's key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.state().fingerprint
    }

    /// Until when this party's certificate is good.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.state().not_after
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> &RootCertificate {
        &self.0.root
    }

    /// The revocation list in use.
    #[must_use]
    pub fn revocation_list(&self) -> Option<Arc<RevocationList>> {
        self.state().revoked.clone()
    }

    pub(super) fn state(&self) -> Arc<State> {
        self.0.state.load_full()
    }

    pub(super) fn refusals(&self) -> Refusals {
        self.0.refusals.clone()
    }

    pub(super) fn lists(&self) -> watch::Receiver<()> {
        self.0.lists.subscribe()
    }

    pub(super) fn is_revoked(&self, serial: &Serial) -> bool {
        self.0.state.load().revoked.as_ref().is_some_and(|list| list.serials.contains(serial))
    }

    pub(super) fn server_config(&self, clients: ClientAuth) -> Arc<ServerConfig> {
        let state = self.state();
        let config = match clients {
            ClientAuth::Required => &state.required,
            ClientAuth::Optional => &state.optional,
        };
        #[cfg(feature = "testkit")]
        if let Some(log) = super::testkit::log_of(Some(&state.identity)) {
            let mut config = ServerConfig::clone(config);
            config.key_log = log;
            return Arc::new(config);
        }
        config.clone()
    }

    pub(super) fn client_config(&self, verifier: Verifier) -> Result<ClientConfig> {
        let key = SingleCertAndKey::from(self.state().own.clone());
        let config = client_builder(verifier)?.with_client_cert_resolver(Arc::new(key));
        #[allow(unused_mut)] // By the feature testkit alone.
        let mut config = finished(config);
        #[cfg(feature = "testkit")]
        if let Some(log) = super::testkit::log_of(Some(&self.state().identity)) {
            config.key_log = log;
        }
        Ok(config)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Tls")
            .field("identity", &state.identity)
            .field("fingerprint", &state.fingerprint)
            .field("root", &self.0.root)
            .finish_non_exhaustive()
    }
}

/// A client without a certificate.
pub(super) fn anonymous_config(verifier: Verifier) -> Result<ClientConfig> {
    #[allow(unused_mut)] // By the feature testkit alone.
    let mut config = finished(client_builder(verifier)?.with_no_client_auth());
    #[cfg(feature = "testkit")]
    if let Some(log) = super::testkit::log_of(None) {
        config.key_log = log;
    }
    Ok(config)
}

fn client_builder(
    verifier: Verifier,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        // Standard verification, and the peer's identity and pin after it.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier)))
}

fn finished(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    // Whom one talks to is nobody else's business, and the peer has one certificate only.
    config.enable_sni = false;
    config
}

impl State {
    fn new(
        credentials: &Credentials,
        root: &RootCertificate,
        revoked: Option<Arc<RevocationList>>,
    ) -> Result<Self> {
        if credentials.root() != root.der() {
            return Err(Error::Mismatch(format!("its root is not {}", root.fingerprint())));
        }
        let chain = credentials.chain().iter().cloned().map(CertificateDer::from).collect();
        let key = PrivatePkcs8KeyDer::from(credentials.key().der().to_vec());
        let key = provider().key_provider.load_private_key(key.into())?;
        let own = Arc::new(CertifiedKey::new(chain, key));
        let config = |clients| server_config(&own, root, revoked.as_deref(), clients);
        Ok(Self {
            identity: credentials.identity().clone(),
            fingerprint: credentials.fingerprint(),
            not_after: credentials.not_after(),
            required: config(ClientAuth::Required)?,
            optional: config(ClientAuth::Optional)?,
            own,
            revoked,
        })
    }

    fn with_list(&self, root: &RootCertificate, list: Arc<RevocationList>) -> Result<Self> {
        let config = |clients| server_config(&self.own, root, Some(&list), clients);
        Ok(Self {
            identity: self.identity.clone(),
            fingerprint: self.fingerprint,
            not_after: self.not_after,
            required: config(ClientAuth::Required)?,
            optional: config(ClientAuth::Optional)?,
            own: self.own.clone(),
            revoked: Some(list),
        })
    }
}

/// The root, as rustls has it.
pub(super) fn roots(root: &RootCertificate) -> Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.der().into())?;
    Ok(Arc::new(roots))
}

fn server_config(
    own: &Arc<CertifiedKey>,
    root: &RootCertificate,
    revoked: Option<&RevocationList>,
    clients: ClientAuth,
) -> Result<Arc<ServerConfig>> {
    let mut verifier = WebPkiClientVerifier::builder_with_provider(roots(root)?, provider());
    if let Some(list) = revoked {
        verifier = verifier.with_crls([list.der()]);
    }
    if clients == ClientAuth::Optional {
        verifier = verifier.allow_unauthenticated();
    }
    let verifier = verifier.build().map_err(|error| Error::Certificate(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(own.clone())));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // No resumption: a resumed session would skip the revocation list.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Certificates that are no longer good, as the authority lists them.
#[derive(Clone, PartialEq, Eq)]
pub struct RevocationList {
    der: Vec<u8>,
    number: u64,
    serials: HashSet<Serial>,
    next: Option<SystemTime>,
}

impl RevocationList {
    /// Reads it and verifies its signature.
    pub fn from_der(der: Vec<u8>, root: &RootCertificate) -> Result<Self> {
        let refused = |what: &str| Error::RevocationList(what.to_owned());
        let Ok(([], list)) = CertificateRevocationList::from_der(&der) else {
            return Err(refused("it cannot be read"));
        };
        if list.verify_signature(facts::parse(root.der())?.public_key()).is_err() {
            return Err(refused("it is not signed by this authority"));
        }
        let number = list.crl_number().ok_or_else(|| refused("it has no number"))?;
        let number = number.try_into().map_err(|_| refused("its number is too large"))?;
        let serials = list
            .iter_revoked_certificates()
            .filter_map(|entry| Serial::from_der(entry.raw_serial()).ok())
            .collect();
        let next = list.next_update().map(facts::time);
        Ok(Self { der, number, serials, next })
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// When the authority means to make the next one. A list that is older is still used: better
    /// an old list than none.
    #[must_use]
    pub fn next_update(&self) -> Option<SystemTime> {
        self.next
    }

    /// Is this certificate on it?
    #[must_use]
    pub fn contains(&self, serial: &Serial) -> bool {
        self.serials.contains(serial)
    }

    pub(super) fn der(&self) -> CertificateRevocationListDer<'static> {
        self.der.clone().into()
    }
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevocationList({}, of {})", self.number, self.serials.len())
    }
}

type Hook = Box<dyn Fn(&'static str, String) + Send + Sync>;

/// Where refusals are told.
#[derive(Clone, Default)]
pub(super) struct Refusals(Arc<ArcSwapOption<Hook>>);

impl Refusals {
    pub(super) fn tell(&self, cause: &'static str, line: impl fmt::Display) {
        let line = line.to_string();
        tracing::warn!(cause, "{line}");
        if let Some(hook) = &*self.0.load() {
            hook(cause, line);
        }
    }

    pub(super) fn refused(&self, refused: &Refused) {
        self.tell(refused.cause, refused);
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusals")
    }
}
