//! Links: blocking duplex channels of framed messages between two parties.
//!
//! A protocol step prepares many, exchanges once, finishes many; so frames are few and large. Every
//! receive has a deadline. What a link counts ([`Traffic`]) is what the protocols' cost formulas
//! are tested against.
//!
//! - [`memory`]: two ends in one process
//! - [`tcp`]: a socket
//! - [`shaped`]: another link with a delay and a rate, to measure as over a wide-area network
//! - `faulty` (feature `testkit`): another link that drops, delays, cuts or alters what one says

#[cfg(any(test, feature = "testkit"))]
pub mod faulty;
pub mod memory;
pub mod shaped;
pub mod tcp;

use crate::wire::{HEADER, PIECE, WINDOW};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// The longest frame a link carries: a piece with its header, and a stamp if the link is shaped.
/// Longer tensors go in pieces, so a longer frame is nobody's but a stranger's.
pub const MAX_FRAME: usize = HEADER + 8 * PIECE + 8;

/// Frames that wait to be taken; then the peer has to wait.
const WAITING_FRAMES: usize = 64;

/// Bytes in them: two windows, of the operation at hand and of the next.
const WAITING_BYTES: usize = 2 * WINDOW * MAX_FRAME;

/// What can happen to a link.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer hung up, crashed or was cut off.
    #[error("the peer closed the link")]
    Closed,
    /// Nothing came in time.
    #[error("nothing came, or was taken, within {0:.1?}")]
    Late(Duration),
    /// A frame longer than [`MAX_FRAME`], from here or from there.
    #[error("a frame of {0} bytes, where {MAX_FRAME} are the limit")]
    TooLong(usize),
    /// The operating system says so.
    #[error("the link failed: {0}")]
    Io(#[from] std::io::Error),
}

/// When a wait from now on is over; one that is longer than the clock reaches lasts for ages.
pub(crate) fn after(limit: Duration) -> Instant {
    const AGES: Duration = Duration::from_hours(24 * 365 * 100);
    let now = Instant::now();
    now.checked_add(limit).unwrap_or_else(|| now + AGES)
}

/// A duplex of frames. Frames arrive whole, once and in order, or an error says that they do not.
pub trait Link: Send {
    /// Sends a frame. Returns when it is on its way, not when it has arrived.
    fn send(&mut self, frame: Bytes) -> Result<(), LinkError>;

    /// The next frame, if it comes before the deadline.
    fn recv(&mut self, by: Instant) -> Result<Bytes, LinkError>;
}

impl<L: Link + ?Sized> Link for Box<L> {
    fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        (**self).send(frame)
    }

    fn recv(&mut self, by: Instant) -> Result<Bytes, LinkError> {
        (**self).recv(by)
    }
}

/// What went over a link, in payload bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames sent.
    pub messages_sent: u64,
    /// Bytes in them.
    pub bytes_sent: u64,
    /// Frames received.
    pub messages_received: u64,
    /// Bytes in them.
    pub bytes_received: u64,
    /// Times this party had to wait for the other: receives after something was sent.
    pub rounds: u64,
}

/// Counts what goes over another link.
pub struct Metered<L> {
    link: L,
    traffic: Traffic,
    /// Sent since the last receive?
    sent: bool,
}

impl<L: Link> Metered<L> {
    /// Counts from zero.
    pub fn new(link: L) -> Self {
        Self { link, traffic: Traffic::default(), sent: false }
    }

    /// What went over it so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }
}

impl<L: Link> Link for Metered<L> {
    fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        let length = frame.len() as u64;
        self.link.send(frame)?;
        self.traffic.messages_sent += 1;
        self.traffic.bytes_sent += length;
        self.sent = true;
        Ok(())
    }

    fn recv(&mut self, by: Instant) -> Result<Bytes, LinkError> {
        let frame = self.link.recv(by)?;
        self.traffic.messages_received += 1;
        self.traffic.bytes_received += frame.len() as u64;
        self.traffic.rounds += u64::from(std::mem::take(&mut self.sent));
        Ok(frame)
    }
}

/// A frame that may be sent.
fn check_length(length: usize) -> Result<(), LinkError> {
    if length <= MAX_FRAME { Ok(()) } else { Err(LinkError::TooLong(length)) }
}

#[cfg(test)]
mod tests;
