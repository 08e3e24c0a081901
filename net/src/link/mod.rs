//! [`Link`] over gRPC: a line of frames between two parties that survives broken connections.
//!
//! One party [expects](LinkHub::expect) a session, the other [dials](dial) it. Frames arrive whole,
//! once and in order, whatever happens to connections; what was sent and not known to be taken is
//! kept and sent again, the very same bytes. When an end is dropped, what it sent still goes out,
//! and the other end then finds the link closed.
//!
//! A link belongs to a plain thread, not to a task: its calls block, and while they do, their thread
//! reads the link's socket itself. A dialler gets this by [`Tls::line`](crate::Tls::line), which
//! gives the link a connection of its own; over a channel that other calls share it works as well,
//! at several times the round trip.
//!
//! Frames are sent again from their start: there is progress as long as connections now and then
//! live for one frame.
//!
//! A session is a secret of the two parties, drawn for one link and never used again.

mod codec;
mod dial;
mod hub;
mod pump;
mod session;
#[cfg(feature = "testkit")]
mod testkit;
mod watched;

pub use dial::{Line, dial};
pub use hub::{EARLY, LINGER, LinkHub, LinkService};
pub use session::{WINDOW_BYTES, WINDOW_FRAMES};
#[cfg(feature = "testkit")]
pub use testkit::{Pair, loopback_pair};
pub use watched::{Event, Watched};

use crate::steer::Steered;
use bytes::Bytes;
use dyad_mpc::link::{Link, LinkError, MAX_FRAME, Traffic};
use session::{Ended, Session};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::time::timeout_at;

/// In the call of a dialler whose connection is the link's alone.
const OWN_LINE: &str = "dyad-own-line";

/// Who runs the link's tasks while its party waits.
enum Driver {
    /// The party's own thread.
    Steered(Steered),
    /// A runtime. What is left to do when the link is dropped.
    Tokio(Handle, Option<Farewell>),
    /// There are no tasks: it failed before it began.
    None,
}

type Farewell = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Driver {
    /// Waits until this gives something, or the time has come.
    fn wait<T>(&self, by: Instant, mut done: impl FnMut(Option<&Waker>) -> Option<T>) -> Option<T> {
        match self {
            Self::Steered(steered) => steered.drive(Some(by), |waker| done(Some(waker))),
            Self::Tokio(runtime, _) => runtime.block_on(async {
                let done = poll_fn(|context| match done(Some(context.waker())) {
                    Some(out) => Poll::Ready(out),
                    None => Poll::Pending,
                });
                timeout_at(by.into(), done).await.ok()
            }),
            Self::None => done(None),
        }
    }
}

/// One end of a link over gRPC.
pub struct GrpcLink {
    session: Arc<Session>,
    driver: Driver,
    limit: Duration,
    traffic: Traffic,
    /// Sent since the last receive?
    sent: bool,
}

impl GrpcLink {
    fn new(session: Arc<Session>, driver: Driver) -> Self {
        let traffic = Traffic::default();
        Self { session, driver, limit: dyad_mpc::LIMIT, traffic, sent: false }
    }

    /// A peer that takes nothing for so long is late, when so much has been sent that sending waits.
    #[must_use]
    pub fn waiting(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Ends the link, and waits until the peer has received all that was sent: for a party whose
    /// process ends next. Merely dropped, a link does the same without the wait.
    pub fn finish(self, by: Instant) -> Result<(), LinkError> {
        let start = Instant::now();
        self.session.close();
        let over = |waker: Option<&Waker>| {
            self.session.is_over(waker.unwrap_or(Waker::noop())).then_some(())
        };
        let late = || LinkError::Late(by.saturating_duration_since(start));
        self.driver.wait(by, over).ok_or_else(late)
    }

    /// What went over it so far, whatever had to be sent again.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }
}

fn error(why: Ended) -> LinkError {
    match why {
        Ended::Closed => LinkError::Closed,
        Ended::Failed(why) => LinkError::Io(io::Error::other(why)),
    }
}

impl Link for GrpcLink {
    fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        if frame.len() > MAX_FRAME {
            return Err(LinkError::TooLong(frame.len()));
        }
        if !self.session.send(&frame, None).map_err(error)? {
            let room = |waker: Option<&Waker>| match self.session.send(&frame, waker) {
                Ok(false) => None,
                Ok(true) => Some(Ok(())),
                Err(why) => Some(Err(why)),
            };
            match self.driver.wait(Instant::now() + self.limit, room) {
                Some(sent) => sent.map_err(error)?,
                None => return Err(LinkError::Late(self.limit)),
            }
        }
        self.traffic.messages_sent += 1;
        self.traffic.bytes_sent += frame.len() as u64;
        self.sent = true;
        // It leaves at once, by this thread if no other is at it.
        if let Driver::Steered(steered) = &self.driver {
            steered.nudge();
        }
        Ok(())
    }

    fn recv(&mut self, by: Instant) -> Result<Bytes, LinkError> {
        let frame = if let Some(frame) = self.session.take(None).map_err(error)? {
            frame
        } else {
            let start = Instant::now();
            let came = self.driver.wait(by, |waker| self.session.take(waker).transpose());
            let late = || LinkError::Late(by.saturating_duration_since(start));
            came.ok_or_else(late)?.map_err(error)?
        };
        self.traffic.messages_received += 1;
        self.traffic.bytes_received += frame.len() as u64;
        self.traffic.rounds += u64::from(std::mem::take(&mut self.sent));
        Ok(frame)
    }
}

impl Drop for GrpcLink {
    fn drop(&mut self) {
        self.session.close();
        match &mut self.driver {
            Driver::Steered(steered) => steered.stop(),
            Driver::Tokio(runtime, farewell) => {
                if let Some(farewell) = farewell.take() {
                    runtime.spawn(farewell);
                }
            }
            Driver::None => {}
        }
    }
}
