//! Connecting.

use super::home::Socket;
use super::state::{Refusals, anonymous_config};
use super::verify::{Verifier, meaning, refused_in};
use super::{CONNECTION_WINDOW, HANDSHAKE_LIMIT, KEEP_ALIVE, MAX_HTTP_FRAME, STREAM_WINDOW, Tls};
use crate::authority::RootCertificate;
use crate::error::{Error, Refused, Result};
use crate::identity::{Fingerprint, Identity, Role};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};

/// Whom one expects at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// This party.
    Identity(Identity),
    /// Anybody of this role.
    Role(Role),
}

/// What one expects of the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Who it is.
    pub who: Who,
    /// Its key, if that is agreed on.
    pub pin: Option<Fingerprint>,
}

impl Expect {
    /// This party.
    #[must_use]
    pub fn identity(identity: Identity) -> Self {
        Self { who: Who::Identity(identity), pin: None }
    }

    /// Anybody of this role.
    #[must_use]
    pub fn role(role: Role) -> Self {
        Self { who: Who::Role(role), pin: None }
    }

    /// With this key.
    #[must_use]
    pub fn pinned(self, pin: Fingerprint) -> Self {
        Self { pin: Some(pin), ..self }
    }

    /// The role, in either case.
    #[must_use]
    pub fn role_of(&self) -> Role {
        match &self.who {
            Who::Identity(identity) => identity.role,
            Who::Role(role) => *role,
        }
    }
}

impl From<Identity> for Expect {
    fn from(identity: Identity) -> Self {
        Self::identity(identity)
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            Who::Identity(identity) => write!(f, "{identity}")?,
            Who::Role(role) => write!(f, "any {role}")?,
        }
        match self.pin {
            Some(pin) => write!(f, " with the key {pin}"),
            None => Ok(()),
        }
    }
}

impl Tls {
    /// A channel to `host:port` or `https://host:port`. It connects when it is first used, and
    /// again whenever it must, each time with the credentials and the revocation list of that
    /// moment.
    pub fn channel(&self, address: &str, expect: Expect) -> Result<Channel> {
        self.connector(address, expect)?.channel()
    }

    pub(crate) fn connector(&self, address: &str, expect: Expect) -> Result<Connector> {
        let target = Target::parse(address)?;
        Ok(Connector { configs: Configs::Mutual(self.clone(), expect), target })
    }
}

/// A channel for somebody who has no certificate yet: the server must show its root, of which the
/// caller knows the fingerprint. Connects once, to get to know it.
pub async fn anonymous_channel(
    address: &str,
    root_fingerprint: Fingerprint,
    expect: Expect,
) -> Result<(Channel, RootCertificate)> {
    let target = Target::parse(address)?;
    let found = Arc::new(OnceLock::new());
    let verifier =
        Verifier::announced(root_fingerprint, found.clone(), expect.clone(), &target.address);
    let config = Arc::new(anonymous_config(verifier)?);
    drop(connect(&target, config, &Refusals::default()).await?);
    let Some(root) = found.get().cloned() else {
        return Err(Error::Certificate("the server's root was not verified".to_owned()));
    };
    let configs = Configs::Anonymous(root.clone(), expect);
    Ok((Connector { configs, target }.channel()?, root))
}

/// Can somebody else connect to this address? It names a host and a port, and not every host.
pub fn check_address(address: &str) -> Result<()> {
    let target = Target::parse(address)?;
    let host = target.uri.host().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if ip.is_ok_and(|ip| ip.is_unspecified()) {
        let found = format!("{address} stands for every address of a machine");
        return Err(Error::malformed("an address that others can connect to", found));
    }
    Ok(())
}

/// Where to connect to.
#[derive(Clone, Debug)]
struct Target {
    /// Host and port.
    address: String,
    uri: Uri,
}

impl Target {
    fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::Address(text.to_owned());
        let address = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
        let uri: Uri = format!("https://{address}").parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|authority| {
            authority.port_u16().is_some_and(|port| port != 0)
                && !authority.host().is_empty()
                && authority.as_str() == address
                && !address.contains('@')
        });
        authority.ok_or_else(wrong)?;
        Ok(Self { address: address.to_owned(), uri })
    }
}

#[derive(Clone)]
enum Configs {
    Mutual(Tls, Expect),
    Anonymous(RootCertificate, Expect),
}

impl Configs {
    fn now(&self, address: &str) -> Result<(Arc<ClientConfig>, Refusals)> {
        let (config, refusals) = match self {
            Self::Mutual(tls, expect) => {
                let revoked = tls.revocation_list();
                let verifier =
                    Verifier::new(tls.root(), revoked.as_deref(), expect.clone(), address)?;
                (tls.client_config(verifier)?, tls.refusals())
            }
            Self::Anonymous(root, expect) => {
                let verifier = Verifier::new(root, None, expect.clone(), address)?;
                (anonymous_config(verifier)?, Refusals::default())
            }
        };
        Ok((Arc::new(config), refusals))
    }
}

/// What a channel connects with.
#[derive(Clone)]
pub(crate) struct Connector {
    configs: Configs,
    target: Target,
}

impl Connector {
    fn channel(self) -> Result<Channel> {
        let wrong = |_| Error::Address(self.target.address.clone());
        let endpoint = Endpoint::new(self.target.uri.clone())
            .map_err(wrong)?
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_HTTP_FRAME)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        Ok(endpoint.connect_with_connector_lazy(self))
    }

    /// A connection of one's own, and where to it is.
    pub(crate) async fn connect(&self) -> Result<(TlsStream<Socket>, Uri)> {
        let (config, refusals) = self.configs.now(&self.target.address)?;
        Ok((connect(&self.target, config, &refusals).await?, self.target.uri.clone()))
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<Socket>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(TokioIo::new(Self::connect(&this).await?.0)) })
    }
}

/// Connects and shakes hands.
async fn connect(
    target: &Target,
    config: Arc<ClientConfig>,
    refusals: &Refusals,
) -> Result<TlsStream<Socket>> {
    let unreachable = |reason: String| {
        let address = target.address.clone();
        Error::Unreachable { address, reason }
    };
    // The name is that of the certificate itself: see Verifier.
    let name = ServerName::try_from("dyad.internal")
        .map_err(|error| Error::malformed("a DNS name", error))?;
    let connecting = async {
        let socket = TcpStream::connect(&target.address)
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        socket.set_nodelay(true)?;
        TlsConnector::from(config).connect(name, Socket::new(socket)).await.map_err(|error| {
            if let Some(refused) = refused_in(&error) {
                refusals.refused(&refused);
                return refused.into();
            }
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(tls) => not_understood(&target.address, tls).into(),
                None => unreachable(error.to_string()),
            }
        })
    };
    timeout(HANDSHAKE_LIMIT, connecting)
        .await
        .unwrap_or_else(|_| Err(unreachable(format!("no answer within {HANDSHAKE_LIMIT:?}"))))
}

fn not_understood(address: &str, error: &rustls::Error) -> Refused {
    let (cause, remedy) = meaning(error);
    Refused {
        cause,
        role: None,
        address: address.to_owned(),
        expected: "TLS 1.3 with certificates of Dyad".to_owned(),
        found: error.to_string(),
        remedy,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_that_others_reach() {
        for good in ["127.0.0.1:7310", "cloud.example:443", "[::1]:1", "https://cloud.example:443"]
        {
            check_address(good).unwrap();
        }
        for bad in
            ["", "127.0.0.1", "127.0.0.1:0", "0.0.0.0:7310", "[::]:7310", ":7310", "a b:1", "h:0"]
        {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }
}
