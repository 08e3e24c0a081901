//! A link between two ends in one process. What is sent and not yet received is not bounded: both
//! ends are one's own.

use super::{Link, LinkError, check_length};
use bytes::Bytes;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

/// One end.
pub struct MemoryLink {
    to_peer: Sender<Bytes>,
    from_peer: Receiver<Bytes>,
}

/// Two connected ends.
#[must_use]
pub fn pair() -> (MemoryLink, MemoryLink) {
    let (to_one, from_zero) = channel();
    let (to_zero, from_one) = channel();
    (
        MemoryLink { to_peer: to_one, from_peer: from_one },
        MemoryLink { to_peer: to_zero, from_peer: from_zero },
    )
}

impl Link for MemoryLink {
    fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        check_length(frame.len())?;
        self.to_peer.send(frame).map_err(|_| LinkError::Closed)
    }

    fn recv(&mut self, by: Instant) -> Result<Bytes, LinkError> {
        receive(&self.from_peer, by)
    }
}

/// The next frame of a channel, or why there is none.
pub(super) fn receive(from: &Receiver<Bytes>, by: Instant) -> Result<Bytes, LinkError> {
    let wait = by.saturating_duration_since(Instant::now());
    from.recv_timeout(wait).map_err(|error| match error {
        RecvTimeoutError::Timeout => LinkError::Late(wait),
        RecvTimeoutError::Disconnected => LinkError::Closed,
    })
}
