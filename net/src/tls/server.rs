//! Serving.

use super::home::{Executor, Home, Movable, Socket};
use super::limits::{Crowd, Limits, Seat, Share};
use super::peer::{Anonymous, Peer};
use super::state::Refusals;
use super::verify::meaning;
use super::{KEEP_ALIVE, MAX_HTTP_FRAME, STREAM_WINDOW, Tls, causes};
use crate::error::Result;
use crate::facts::Facts;
use crate::steer::{Clock, Pause};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::server::TcpConnectInfo;
use tower_service::Service;

/// Handshakes at a time. More connections wait to be accepted.
pub const HANDSHAKES: usize = 256;

/// Connections at a time. More wait to be accepted.
pub const CONNECTIONS: usize = 4096;

/// How long calls may go on when the service stops.
pub const GRACE: Duration = Duration::from_secs(5);

/// What a connection keeps for a peer that does not take it.
const SEND_BUFFER: usize = 4 << 20;

/// Must clients show a certificate?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// They must.
    Required,
    /// They may; one that is shown must be good. For enrolment.
    Optional,
}

/// Serves until told to stop; calls then have [`GRACE`] to end.
pub async fn serve(
    listener: TcpListener,
    tls: &Tls,
    clients: ClientAuth,
    routes: Routes,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    serve_within(Limits::default(), listener, tls, clients, routes, stop).await
}

/// The same within these limits.
pub async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    tls: &Tls,
    clients: ClientAuth,
    routes: Routes,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let (stopping, stopped) = watch::channel(false);
    // Open as long as a connection lives, wherever it moved to.
    let (living, mut lived) = mpsc::channel::<Infallible>(1);
    let shaking = Arc::new(Semaphore::new(limits.handshakes));
    let connected = Arc::new(Semaphore::new(limits.connections));
    let crowd = Crowd::new(limits);
    let house = House { tls: tls.clone(), clients, routes: routes.prepare(), stopped, crowd };
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let place = connected.clone().acquire_owned().await;
            let turn = shaking.clone().acquire_owned().await;
            (listener.accept().await, place, turn)
        };
        let (accepted, place, turn) = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((socket, address)) => {
                let (house, living) = (house.clone(), living.clone());
                let home = Home::default();
                let moving = home.clone();
                let connection = async move {
                    let guest = house.shake_hands(socket, address, home).await;
                    drop(turn);
                    if let Some((stream, guest, seat)) = guest {
                        house.entertain(stream, guest, seat.share).await;
                        drop(seat);
                    }
                    drop((place, living));
                };
                connections.spawn(Movable::new(connection, moving));
            }
            Err(error) => {
                // Out of file descriptors, or a peer that was gone at once: neither lasts.
                tracing::warn!("accepting a connection: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop((listener, living));
    stopping.send_replace(true);
    while connections.join_next().await.is_some() {}
    // Nothing is ever sent: this waits for the last connection that moved.
    let none = lived.recv().await;
    debug_assert!(none.is_none());
    Ok(())
}

/// What all connections share.
#[derive(Clone)]
struct House {
    tls: Tls,
    clients: ClientAuth,
    routes: Routes,
    stopped: watch::Receiver<bool>,
    crowd: Crowd,
}

impl House {
    async fn shake_hands(
        &self,
        socket: TcpStream,
        address: SocketAddr,
        home: Home,
    ) -> Option<(TlsStream<Socket>, Guest, Seat)> {
        let refusals = self.tls.refusals();
        let refuse = |cause, why: String| {
            refusals.tell(cause, format!("refused {address}: {why}"));
            None
        };
        let shaking_too = match self.crowd.shake(address.ip()) {
            Ok(shaking) => shaking,
            Err(why) => return refuse(causes::CROWD, why),
        };
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!("{address} is gone already: {error}");
            return None;
        }
        let info =
            TcpConnectInfo { local_addr: socket.local_addr().ok(), remote_addr: Some(address) };
        let acceptor = TlsAcceptor::from(self.tls.server_config(self.clients));
        let shaking = acceptor.accept(Socket::new(socket)).into_fallible();
        let stream = match timeout(self.crowd.limits.handshake, shaking).await {
            Err(_) => return refuse(causes::TIMEOUT, "it was silent".to_owned()),
            Ok(Ok(stream)) => stream,
            Ok(Err((error, socket))) => {
                let inner = error.get_ref();
                let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>())
                else {
                    tracing::debug!("{address} left during the handshake: {error}");
                    return None;
                };
                let (cause, remedy) = meaning(tls);
                refuse(cause, format!("{tls}; {remedy}"));
                if let Some(socket) = socket.into_tokio() {
                    let_go(socket).await;
                }
                return None;
            }
        };
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let peer = match shown.map(|certificate| Facts::of(certificate)).transpose() {
            Ok(facts) => facts.map(|facts| Peer::new(facts, self.tls.clone())),
            Err(error) => return refuse(causes::CERTIFICATE, error.to_string()),
        };
        drop(shaking_too);
        let seat = self.crowd.seat(peer.as_ref().map(|peer| &peer.identity), address.ip());
        let seat = match seat {
            Ok(seat) => seat,
            Err(why) => return refuse(causes::CROWD, why),
        };
        let guest = Guest {
            routes: self.routes.clone(),
            peer: peer.map(Arc::new),
            info,
            refusals,
            home,
            requests: Arc::default(),
        };
        Some((stream, guest, seat))
    }

    /// Nobody calls in time, or somebody without a certificate stays for too long.
    async fn overstays(limits: Limits, guest: &Guest) {
        let Limits { silence, anonymous_life, .. } = limits;
        let now = Instant::now();
        let mut silent = Some(Pause::until(now + silence));
        let mut staying = guest.peer.is_none().then(|| Pause::until(now + anonymous_life));
        let (requests, refusals, info) = (&guest.requests, &guest.refusals, &guest.info);
        let over = poll_fn(|context| {
            // Once it has called it is not looked at again: nothing is done for a link's frames.
            if requests.load(Relaxed) > 0 {
                silent = None;
            }
            let silent = silent.as_mut().map(|pause| Pin::new(pause).poll(context));
            let staying = staying.as_mut().map(|pause| Pin::new(pause).poll(context));
            if [silent, staying].contains(&Some(Poll::Ready(()))) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        over.await;
        if requests.load(Relaxed) == 0 {
            let address = info.remote_addr.map_or_else(String::new, |address| address.to_string());
            refusals.tell(causes::SILENCE, format!("let {address} go: no call came"));
        }
    }

    async fn entertain(mut self, stream: TlsStream<Socket>, guest: Guest, share: Share) {
        let mut builder = Builder::new(Executor(guest.home.clone()));
        builder
            .timer(Clock)
            .initial_stream_window_size(STREAM_WINDOW.min(share.window << 20))
            .initial_connection_window_size(share.window << 20)
            .max_concurrent_streams(share.streams)
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .max_frame_size(MAX_HTTP_FRAME)
            .max_send_buf_size(SEND_BUFFER);
        let watched = guest.clone();
        let mut overstays = pin!(Self::overstays(self.crowd.limits, &watched));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), guest));
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            _ = self.stopped.wait_for(|stopped| *stopped) => None,
            () = overstays.as_mut() => Some(Ok(())),
        };
        let ended = if let Some(ended) = ended {
            ended
        } else {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = Pause::until(Instant::now() + GRACE) => Ok(()),
            }
        };
        if let Err(error) = ended {
            tracing::debug!("a connection ended: {error}");
        }
    }
}

/// The peer has been told why; but a socket closed with bytes unread is reset, and the peer would
/// never read it.
async fn let_go(mut socket: TcpStream) {
    let politely = async {
        socket.shutdown().await?;
        let mut buffer = [0; 4096];
        let mut left = 16;
        while left > 0 && socket.read(&mut buffer).await? > 0 {
            left -= 1;
        }
        std::io::Result::Ok(())
    };
    // Impolite peers have a second.
    drop(timeout(Duration::from_secs(1), politely).await);
}

/// One connection, and who is at its other end.
#[derive(Clone)]
struct Guest {
    routes: Routes,
    peer: Option<Arc<Peer>>,
    info: TcpConnectInfo,
    refusals: Refusals,
    home: Home,
    /// Requests so far.
    requests: Arc<AtomicUsize>,
}

impl hyper::service::Service<Request<Incoming>> for Guest {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(Err(status)) = self.peer.as_ref().map(|peer| peer.still_good()) {
            return Box::pin(async move { Ok(status.into_http()) });
        }
        if self.home.is_called() {
            let status = Status::failed_precondition("this connection is a link's alone");
            return Box::pin(async move { Ok(status.into_http()) });
        }
        let extensions = request.extensions_mut();
        extensions.insert(self.info.clone());
        // Only a connection that carries nothing else may become a link's alone.
        if self.requests.fetch_add(1, Relaxed) == 0 {
            extensions.insert(self.home.clone());
        }
        match &self.peer {
            Some(peer) => drop(extensions.insert(Peer::clone(peer))),
            None => drop(extensions.insert(Anonymous(self.refusals.clone()))),
        }
        let limit = time_allowed(&request);
        let answer = self.routes.clone().call(request);
        Box::pin(async move {
            match limit {
                None => answer.await,
                Some(limit) => timeout(limit, answer).await.unwrap_or_else(|_| {
                    Ok(Status::deadline_exceeded("the caller's time is over").into_http())
                }),
            }
        })
    }
}

/// What the caller allows for its call: at most eight digits and a unit.
fn time_allowed<B>(request: &Request<B>) -> Option<Duration> {
    let text = request.headers().get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.is_empty() || number.len() > 8 || !number.bytes().all(|digit| digit.is_ascii_digit())
    {
        return None;
    }
    let number = number.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}
