//! A link with a delay and a rate, as between two places far apart.
//!
//! Each frame carries the time at which it would arrive; the receiver waits until then. So both
//! ends must be shaped, and must share a clock: it is made for measuring on one machine.

use super::{Link, LinkError};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How far apart the ends seem to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// From the last byte sent to its arrival.
    pub delay: Duration,
    /// Bytes per second in each direction.
    pub bytes_per_second: f64,
}

/// One end of a long line.
pub struct Shaped<L> {
    link: L,
    shape: Shape,
    /// When this end will have sent all it was given.
    free_at: Duration,
    /// A frame that has come but not yet arrived.
    under_way: Option<Bytes>,
}

impl<L: Link> Shaped<L> {
    /// Shapes what this end sends, and waits for what the other end has shaped.
    pub fn new(link: L, shape: Shape) -> Self {
        Self { link, shape, free_at: Duration::ZERO, under_way: None }
    }
}

/// Time since the epoch: the clock both ends share.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl<L: Link> Link for Shaped<L> {
    fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        let takes = Duration::from_secs_f64(frame.len() as f64 / self.shape.bytes_per_second);
        self.free_at = self.free_at.max(now()) + takes;
        let arrives = self.free_at + self.shape.delay;
        let mut stamped = BytesMut::with_capacity(8 + frame.len());
        stamped.put_u64(arrives.as_nanos() as u64);
        stamped.put(frame);
        self.link.send(stamped.freeze())
    }

    fn recv(&mut self, by: Instant) -> Result<Bytes, LinkError> {
        let frame = match self.under_way.take() {
            Some(frame) => frame,
            None => self.link.recv(by)?,
        };
        let Some(stamp) = frame.first_chunk::<8>() else {
            return Err(std::io::Error::other("the other end of this link is not shaped").into());
        };
        let wait = Duration::from_nanos(u64::from_be_bytes(*stamp)).saturating_sub(now());
        let left = by.saturating_duration_since(Instant::now());
        if wait > left {
            self.under_way = Some(frame);
            sleep(left);
            return Err(LinkError::Late(left));
        }
        sleep(wait);
        let mut frame = frame;
        frame.advance(8);
        Ok(frame)
    }
}
