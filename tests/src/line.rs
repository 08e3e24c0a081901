//! A line between a service and all who call it, that a test can cut, hold up, slow down, and listen
//! in to.
//!
//! It is a relay on the loopback: whoever is told that the service is here is passed on to where it
//! listens. Bytes are passed as they come; what is inside is TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Bytes that are passed on at a time.
const PIECE: usize = 64 << 10;

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weather {
    /// It is passed on.
    #[default]
    Fair,
    /// Connections are broken, and new ones too.
    Cut,
    /// Connections stand, new ones too, but nothing comes through.
    Held,
    /// At most so many bytes a second, on each connection each way.
    Slow(u32),
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From who called.
    ToService,
    /// Back.
    FromService,
}

impl Way {
    const fn index(self) -> usize {
        match self {
            Self::ToService => 0,
            Self::FromService => 1,
        }
    }
}

/// One connection, as it was heard.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<Mutex<[Vec<u8>; 2]>>);

impl Heard {
    /// What went this way so far.
    #[must_use]
    pub fn bytes(&self, way: Way) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[way.index()].clone()
    }

    fn add(&self, way: Way, bytes: &[u8]) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard[way.index()].extend_from_slice(bytes);
    }
}

/// A line to one service. Clones share it; it works as long as the runtime it was made in.
#[derive(Clone, Debug)]
pub struct Line {
    address: SocketAddr,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    service: SocketAddr,
    weather: watch::Sender<Weather>,
    passed: [AtomicU64; 2],
    heard: Option<Mutex<Vec<Heard>>>,
}

impl Line {
    /// To where a service listens, or will.
    pub async fn to(service: SocketAddr) -> io::Result<Self> {
        Self::open(service, None).await
    }

    /// The same, and all that is passed is kept.
    pub async fn tapped(service: SocketAddr) -> io::Result<Self> {
        Self::open(service, Some(Mutex::default())).await
    }

    async fn open(service: SocketAddr, heard: Option<Mutex<Vec<Heard>>>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (weather, passed) = (watch::Sender::new(Weather::Fair), Default::default());
        let inner = Arc::new(Inner { service, weather, passed, heard });
        let line = Self { address: listener.local_addr()?, inner: Arc::clone(&inner) };
        tokio::spawn(async move {
            // A connection that cannot be accepted is one that its caller makes again.
            loop {
                if let Ok((caller, _)) = listener.accept().await {
                    tokio::spawn(pass(Arc::clone(&inner), caller));
                }
            }
        });
        Ok(line)
    }

    /// Where callers come in.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on.
    pub fn set(&self, weather: Weather) {
        self.inner.weather.send_replace(weather);
    }

    /// Bytes that have been passed.
    #[must_use]
    pub fn passed(&self, way: Way) -> u64 {
        self.inner.passed[way.index()].load(SeqCst)
    }

    /// All connections so far; none unless it is tapped.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        let heard = self.inner.heard.as_ref();
        let all = heard.map(|heard| heard.lock().unwrap_or_else(PoisonError::into_inner).clone());
        all.unwrap_or_default()
    }
}

/// Passes one connection on, until either side ends or the line is cut.
async fn pass(inner: Arc<Inner>, caller: TcpStream) {
    let mut weather = inner.weather.subscribe();
    if *weather.borrow_and_update() == Weather::Cut {
        return;
    }
    // A service that does not run refuses, and so does this.
    let Ok(service) = TcpStream::connect(inner.service).await else { return };
    drop((caller.set_nodelay(true), service.set_nodelay(true)));
    let heard = inner.heard.as_ref().map(|all| {
        let heard = Heard::default();
        all.lock().unwrap_or_else(PoisonError::into_inner).push(heard.clone());
        heard
    });
    let (from_caller, to_caller) = caller.into_split();
    let (from_service, to_service) = service.into_split();
    let there = relay(&inner, Way::ToService, heard.as_ref(), from_caller, to_service);
    let back = relay(&inner, Way::FromService, heard.as_ref(), from_service, to_caller);
    let cut = weather.wait_for(|weather| *weather == Weather::Cut);
    tokio::select! {
        // Either way may end before the other; errors end both.
        _ = async { tokio::try_join!(there, back) } => {}
        _ = cut => {}
    }
}

async fn relay(
    inner: &Inner,
    way: Way,
    heard: Option<&Heard>,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
) -> io::Result<()> {
    let mut weather = inner.weather.subscribe();
    let mut piece = vec![0; PIECE];
    loop {
        let most = match *weather.borrow() {
            // A tenth of a second's worth, so that it flows.
            Weather::Slow(rate) => (rate as usize / 10).clamp(1, PIECE),
            _ => PIECE,
        };
        let count = from.read(&mut piece[..most]).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        let now = *weather
            .wait_for(|weather| *weather != Weather::Held)
            .await
            .map_err(|_| io::ErrorKind::BrokenPipe)?;
        if let Weather::Slow(rate) = now {
            let pause = Duration::from_secs_f64(count as f64 / f64::from(rate.max(1)));
            tokio::time::sleep(pause).await;
        }
        inner.passed[way.index()].fetch_add(count as u64, SeqCst);
        if let Some(heard) = heard {
            heard.add(way, &piece[..count]);
        }
        to.write_all(&piece[..count]).await?;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// A service that gives back what it is sent.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    drop(tokio::io::copy(&mut from, &mut to).await);
                });
            }
        });
        address
    }

    async fn asked(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(bytes).await?;
        let mut answer = vec![0; bytes.len()];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_passes_on_holds_cuts_and_hears() {
        let line = Line::tapped(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(line.address()).await.unwrap();
        assert_eq!(asked(&mut stream, b"one").await.unwrap(), b"one");

        line.set(Weather::Held);
        let held = tokio::time::timeout(Duration::from_millis(100), asked(&mut stream, b"two"));
        assert!(held.await.is_err());
        line.set(Weather::Fair);
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"two");

        line.set(Weather::Slow(10_000));
        let start = Instant::now();
        asked(&mut stream, &[7; 2000]).await.unwrap();
        assert!(start.elapsed() > Duration::from_millis(150), "{:?}", start.elapsed());

        line.set(Weather::Cut);
        assert!(asked(&mut stream, b"three").await.is_err());
        if let Ok(mut stream) = TcpStream::connect(line.address()).await {
            assert!(asked(&mut stream, b"four").await.is_err());
        }
        line.set(Weather::Fair);
        let mut stream = TcpStream::connect(line.address()).await.unwrap();
        assert_eq!(asked(&mut stream, b"five").await.unwrap(), b"five");
        let heard = line.heard();
        assert!(heard[0].bytes(Way::ToService).starts_with(b"onetwo"));
        let last = heard.last().unwrap();
        assert_eq!(last.bytes(Way::ToService), b"five");
        assert_eq!(last.bytes(Way::FromService), b"five");
    }
}
