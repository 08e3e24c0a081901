//! Two ends of a link over real TLS on the loopback, in one process.

use super::{GrpcLink, LinkHub, dial};
use crate::authority::{Authority, Validity};
use crate::credentials::{Credentials, TlsKey};
use crate::error::Result;
use crate::identity::Identity;
use crate::random;
use crate::tls::{ClientAuth, Expect, Tls, serve};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tonic::service::Routes;

/// Two connected ends, and the runtime that their service runs on.
pub struct Pair {
    /// Of the party that dials, C0.
    pub dialler: GrpcLink,
    /// Of the party that is dialled, C1.
    pub acceptor: GrpcLink,
    /// Must outlive both.
    pub runtime: Runtime,
}

/// Makes an authority, two parties, a service on the loopback, and a link between the two.
pub fn loopback_pair() -> Result<Pair> {
    crate::tls::install_provider();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let authority = Authority::create(&"loopback".parse()?)?;
    let party = |identity: &Identity| {
        let key = TlsKey::generate()?;
        let issued = authority.issue(&key.csr()?, identity, Validity::days(1))?;
        let credentials = Credentials::issued(issued.der, &authority.root(), key)?;
        Tls::new(credentials, authority.root(), None)
    };
    let (zero, one): (Identity, Identity) = ("c0 zero".parse()?, "c1 one".parse()?);
    let (tls_zero, tls_one) = (party(&zero)?, party(&one)?);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?.to_string();
    let hub = LinkHub::new();
    let routes = Routes::new(hub.service());
    runtime.spawn(async move {
        let never = std::future::pending();
        serve(listener, &tls_one, ClientAuth::Required, routes, never).await
    });
    let mut session = [0; 32];
    random::fill(&mut session)?;
    let acceptor = hub.expect(session, zero);
    let line = tls_zero.line(&address, Expect::identity(one))?;
    let dialler = dial(runtime.handle(), line, session);
    Ok(Pair { dialler, acceptor, runtime })
}
