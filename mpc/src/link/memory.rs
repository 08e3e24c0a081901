//! A link between two ends in one process, as bounded as a socket is: what is sent and not yet
//! taken waits here up to `WAITING_FRAMES` and `WAITING_BYTES`, then the sender waits.

use super::{Link, LinkError, WAITING_BYTES, WAITING_FRAMES, after, check_length};
use crate::LIMIT;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One end.
pub struct MemoryLink {
    to_peer: Arc<Channel>,
    from_peer: Arc<Channel>,
    limit: Duration,
}

/// One direction.
#[derive(Default)]
struct Channel {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Bytes>,
    /// In `frames`.
    bytes: usize,
    /// An end is gone.
    closed: bool,
}

/// Two connected ends.
#[must_use]
pub fn pair() -> (MemoryLink, MemoryLink) {
    let (there, back) = (Arc::new(Channel::default()), Arc::new(Channel::default()));
    let end = |to: &Arc<Channel>, from: &Arc<Channel>| MemoryLink {
        to_peer: Arc::clone(to),
        from_peer: Arc::clone(from),
        limit: LIMIT,
    };
    (end(&there, &back), end(&back, &there))
}

impl MemoryLink {
    /// A peer that takes nothing for so long is late.
    #[must_use]
    pub fn waiting(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

impl State {
    fn has_room(&self, length: usize) -> bool {
        self.frames.len() < WAITING_FRAMES && self.bytes + length <= WAITING_BYTES
    }
}

impl Channel {
    /// The state, once it is as wanted or closed; none if it is not by then.
    fn wait(&self, by: Instant, ready: impl Fn(&State) -> bool) -> Option<MutexGuard<'_, State>> {
        // Nothing is left half done in there, so a panic elsewhere spoils nothing.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.closed || ready(&state) {
                return Some(state);
            }
            let left = by.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_all();
    }
}

impl Link for MemoryLink {
    fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        check_length(frame.len())?;
        let by = after(self.limit);
        let room = self.to_peer.wait(by, |state| state.has_room(frame.len()));
        let mut state = room.ok_or(LinkError::Late(self.limit))?;
        if state.closed {
            return Err(LinkError::Closed);
        }
        state.bytes += frame.len();
        state.frames.push_back(frame);
        drop(state);
        self.to_peer.changed.notify_all();
        Ok(())
    }

    fn recv(&mut self, by: Instant) -> Result<Bytes, LinkError> {
        let wait = by.saturating_duration_since(Instant::now());
        let come = self.from_peer.wait(by, |state| !state.frames.is_empty());
        let mut state = come.ok_or(LinkError::Late(wait))?;
        // What was sent before the peer hung up is still there.
        let frame = state.frames.pop_front().ok_or(LinkError::Closed)?;
        state.bytes -= frame.len();
        drop(state);
        self.from_peer.changed.notify_all();
        Ok(frame)
    }
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        self.to_peer.close();
        self.from_peer.close();
    }
}
