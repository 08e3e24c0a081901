//! What the tests share: an authority, parties, a service that says who called.

#![allow(dead_code)]

use dyad_net::tls::{Limits, RevocationList, serve_within};
use dyad_net::{
    Authority, ClientAuth, Credentials, Identity, Issued, Peer, Role, Serial, Tls, TlsKey, Validity,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response, uri::PathAndQuery};
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Status, client::Grpc};

pub(crate) struct House {
    pub(crate) authority: Authority,
}

impl House {
    pub(crate) fn new() -> Self {
        dyad_net::install_provider();
        Self { authority: Authority::create(&"test".parse().unwrap()).unwrap() }
    }

    pub(crate) fn issue(&self, who: &str, validity: Validity) -> (Credentials, Issued) {
        self.renew(who, validity, TlsKey::generate().unwrap())
    }

    pub(crate) fn renew(
        &self,
        who: &str,
        validity: Validity,
        key: TlsKey,
    ) -> (Credentials, Issued) {
        let identity: Identity = who.parse().unwrap();
        let csr = key.csr().unwrap();
        let issued = self.authority.issue(&csr, &identity, validity).unwrap();
        let credentials =
            Credentials::issued(issued.der.clone(), &self.authority.root(), key).unwrap();
        (credentials, issued)
    }

    pub(crate) fn tls_of(&self, credentials: Credentials, crl: Option<Vec<u8>>) -> Tls {
        Tls::new(credentials, self.authority.root(), crl).unwrap()
    }

    pub(crate) fn tls(&self, who: &str) -> Tls {
        self.tls_of(self.issue(who, Validity::days(90)).0, None)
    }

    pub(crate) fn crl(&self, number: u64, serials: &[Serial]) -> Vec<u8> {
        let now = SystemTime::now();
        let revoked: Vec<_> = serials.iter().map(|serial| (*serial, now)).collect();
        let der = self.authority.crl(&revoked, number, Duration::from_hours(1)).unwrap();
        let list = RevocationList::from_der(der.clone(), &self.authority.root()).unwrap();
        assert_eq!(list.number(), number);
        assert!(serials.iter().all(|serial| list.contains(serial)));
        der
    }
}

/// Over, of a certificate.
pub(crate) fn past() -> Validity {
    let now = SystemTime::now();
    let hours = Duration::from_hours;
    Validity { not_before: now - hours(2), not_after: now - hours(1) }
}

/// Answers every call with the caller's identity in the message of an "aborted" status, so that no
/// message type is needed; path `/test.Who/Cloud` wants a cloud.
#[derive(Clone)]
pub(crate) struct WhoCalls;

impl tonic::server::NamedService for WhoCalls {
    const NAME: &'static str = "test.Who";
}

impl tower_service::Service<Request<Body>> for WhoCalls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let cloud = request.uri().path().ends_with("/Cloud");
        let request = tonic::Request::from_http(request);
        let status = dyad_net::peer(&request)
            .and_then(|peer: Peer| {
                if cloud {
                    peer.require(&[Role::C0, Role::C1])?;
                }
                Ok(Status::aborted(peer.identity.to_string()))
            })
            .unwrap_or_else(|status| status);
        ready(Ok(status.into_http()))
    }
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) refused: Arc<Mutex<Vec<(&'static str, String)>>>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<tokio::task::JoinHandle<dyad_net::Result<()>>>,
}

impl Running {
    pub(crate) async fn start(tls: &Tls, clients: ClientAuth) -> Self {
        Self::with(tls, clients, Routes::new(WhoCalls)).await
    }

    pub(crate) async fn with(tls: &Tls, clients: ClientAuth, routes: Routes) -> Self {
        Self::within(Limits::default(), tls, clients, routes).await
    }

    pub(crate) async fn within(
        limits: Limits,
        tls: &Tls,
        clients: ClientAuth,
        routes: Routes,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let refused = Arc::new(Mutex::new(vec![]));
        let (stop, stopped) = oneshot::channel::<()>();
        let told = refused.clone();
        tls.on_refused(move |cause, line| told.lock().unwrap().push((cause, line)));
        let tls = tls.clone();
        let task = tokio::spawn(async move {
            let stopped = async {
                stopped.await.ok();
            };
            serve_within(limits, listener, &tls, clients, routes, stopped).await
        });
        Self { address, refused, stop: Some(stop), task: Some(task) }
    }

    pub(crate) fn causes(&self) -> Vec<&'static str> {
        self.refused.lock().unwrap().iter().map(|(cause, _)| *cause).collect()
    }

    pub(crate) async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.task.take().unwrap().await.unwrap().unwrap();
    }
}

/// Messages without content.
struct Nothing;

impl tonic::codec::Codec for Nothing {
    type Encode = ();
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl tonic::codec::Encoder for Nothing {
    type Item = ();
    type Error = Status;
    fn encode(&mut self, (): (), _: &mut tonic::codec::EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl tonic::codec::Decoder for Nothing {
    type Item = ();
    type Error = Status;
    fn decode(&mut self, _: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<()>, Status> {
        Ok(Some(()))
    }
}

/// Calls; the status that comes.
pub(crate) async fn call_path(channel: &Channel, path: &'static str) -> Status {
    let mut grpc = Grpc::new(channel.clone());
    if let Err(error) = grpc.ready().await {
        return Status::from_error(error.into());
    }
    let path = PathAndQuery::from_static(path);
    grpc.unary(tonic::Request::new(()), path, Nothing).await.map(drop).unwrap_err()
}

pub(crate) async fn call(channel: &Channel) -> Status {
    call_path(channel, "/test.Who/Am").await
}

pub(crate) fn owner(name: &str) -> Identity {
    Identity::new(Role::Owner, name.parse().unwrap())
}

/// Until it is so, for a few seconds.
pub(crate) async fn eventually(mut so: impl FnMut() -> bool) {
    for _ in 0..500 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to pass");
}

/// Takes any server: to get as far as the server's own check.
#[derive(Debug)]
pub(crate) struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// A connection that has shaken hands without a certificate.
pub(crate) async fn shaken_hands(address: &SocketAddr) -> TlsStream<TcpStream> {
    let config = rustls::ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]);
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(Anybody));
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("dyad.internal").unwrap();
    let socket = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap()
}
