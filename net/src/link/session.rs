//! One end of a line of frames, whatever connections come and go. Pure state: no sockets, no clock.
//!
//! Frames are numbered from 1. A frame sent is kept until the other end says that its party has
//! taken it; so what is kept here bounds what waits there. After a broken connection each end tells
//! how much it has received, and the other goes on from there with the very same bytes.

use bytes::Bytes;
use dyad_mpc::link::MAX_FRAME;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Bytes of frames kept for sending again; then sending waits.
pub const WINDOW_BYTES: usize = 64 << 20;

/// Frames kept for sending again; then sending waits.
pub const WINDOW_FRAMES: usize = 1 << 16;

/// The other end is told at the latest when its party's frames of so many bytes were taken,
const TELL_BYTES: usize = 256 << 10;

/// or so many frames.
const TELL_FRAMES: u64 = 16;

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The other end is done, or does not know the session.
    Closed,
    /// It went wrong.
    Failed(String),
}

/// What to put on the wire next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Hello {
        received: u64,
    },
    Ack {
        received: u64,
    },
    Frame {
        number: u64,
        payload: Bytes,
    },
    Bye,
    /// Nothing more on this connection.
    End,
}

/// A connection of a session. When a newer one has come, the older ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attachment(u64);

#[derive(Default)]
pub(super) struct Session {
    state: Mutex<State>,
}

/// What was said on a connection, beside frames and acknowledgements.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    #[default]
    Nothing,
    Hello,
    Bye,
    /// After the other's Bye: how much has come, once and for all.
    LastAck,
}

#[derive(Default)]
struct State {
    /// Sent or to be sent, and not known to be taken.
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
    /// The number of the first of them, less one: so many have been taken.
    taken_there: u64,
    /// Frames put on this connection or known to have arrived. None until it is known where to go
    /// on from.
    sent: Option<u64>,
    /// Frames that came.
    received: u64,
    /// Those of them that nobody has taken yet.
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// What was taken since the other end was last told.
    untold_frames: u64,
    untold_bytes: usize,
    /// The present connection, and how far it got.
    attachment: u64,
    attached: bool,
    said: Said,
    /// This end is done: what is kept goes out, then Bye.
    closing: bool,
    bye_heard: bool,
    ended: Option<Ended>,
    /// Who waits for something to send, for a frame, for room, for the end.
    writer: Option<Waker>,
    reader: Option<Waker>,
    sender: Option<Waker>,
    closer: Option<Waker>,
}

impl State {
    fn wake_all(&mut self) {
        let waiting = [&mut self.writer, &mut self.reader, &mut self.sender, &mut self.closer];
        waiting.into_iter().filter_map(Option::take).for_each(Waker::wake);
    }

    fn end(&mut self, why: Ended) {
        self.ended.get_or_insert(why);
        self.wake_all();
    }

    fn last(&self) -> u64 {
        self.taken_there + self.kept.len() as u64
    }

    /// The other end has so many, and needs them no more.
    fn forget(&mut self, taken: u64) -> Result<(), String> {
        let sent = self.sent.unwrap_or(self.taken_there);
        if taken > sent {
            return Err(format!("the peer says it took {taken} frames of {sent}"));
        }
        while self.taken_there < taken {
            self.kept_bytes -= self.kept.pop_front().map_or(0, |frame| frame.len());
            self.taken_there += 1;
        }
        Ok(())
    }
}

impl Session {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The party's side.

    /// Takes a frame for sending, if there is room. Otherwise says so, and wakes the caller when
    /// there is.
    pub(super) fn send(&self, frame: &Bytes, waker: Option<&Waker>) -> Result<bool, Ended> {
        let mut state = self.state();
        if let Some(why) = &state.ended {
            return Err(why.clone());
        }
        if state.bye_heard || state.closing {
            return Err(Ended::Closed);
        }
        let full = state.kept_bytes + frame.len() > WINDOW_BYTES && !state.kept.is_empty();
        if full || state.kept.len() >= WINDOW_FRAMES {
            state.sender = waker.cloned();
            return Ok(false);
        }
        state.kept_bytes += frame.len();
        state.kept.push_back(frame.clone());
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        Ok(true)
    }

    /// The next frame that came, if one has. Otherwise wakes the caller when one has.
    pub(super) fn take(&self, waker: Option<&Waker>) -> Result<Option<Bytes>, Ended> {
        let mut state = self.state();
        if let Some(frame) = state.waiting.pop_front() {
            state.waiting_bytes -= frame.len();
            state.untold_frames += 1;
            state.untold_bytes += frame.len();
            if state.ack_is_due() {
                let writer = state.writer.take();
                drop(state);
                if let Some(writer) = writer {
                    writer.wake();
                }
            }
            return Ok(Some(frame));
        }
        // Why it failed is said once; from then on it is closed.
        if state.ended.is_some() {
            return Err(state.ended.replace(Ended::Closed).unwrap_or(Ended::Closed));
        }
        if state.bye_heard {
            return Err(Ended::Closed);
        }
        state.reader = waker.cloned();
        Ok(None)
    }

    /// Nothing more will be given or taken by the party.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closing = true;
        state.waiting.clear();
        state.waiting_bytes = 0;
        state.wake_all();
    }

    /// Has the other end received everything, or is there nobody to receive it? If not, wakes the
    /// caller when that may have changed.
    pub(super) fn is_over(&self, waker: &Waker) -> bool {
        let mut state = self.state();
        let settled = state.taken_there == state.last() && state.said >= Said::Bye;
        let left = state.bye_heard && (state.said == Said::LastAck || !state.attached);
        if state.ended.is_some() || (state.closing && (settled || left)) {
            return true;
        }
        state.closer = Some(waker.clone());
        false
    }

    /// It is over, and why.
    pub(super) fn end(&self, why: Ended) {
        self.state().end(why);
    }

    // The connection's side.

    /// A new connection takes the place of whatever was there.
    pub(super) fn attach(&self) -> Result<Attachment, Ended> {
        let mut state = self.state();
        if let Some(why) = &state.ended {
            return Err(why.clone());
        }
        state.attachment += 1;
        state.attached = true;
        state.said = Said::Nothing;
        state.sent = None;
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
        Ok(Attachment(state.attachment))
    }

    /// The connection is gone.
    pub(super) fn detach(&self, attachment: Attachment) {
        let mut state = self.state();
        if state.attachment == attachment.0 {
            state.attached = false;
            if let Some(writer) = state.writer.take() {
                writer.wake();
            }
        }
    }

    /// The other end has received so many: from there it goes on.
    pub(super) fn resume(&self, attachment: Attachment, received: u64) -> Result<(), String> {
        let mut state = self.state();
        if state.attachment != attachment.0 {
            return Ok(());
        }
        if received < state.taken_there || received > state.last() {
            let (from, to) = (state.taken_there, state.last());
            let why = format!("the peer received {received} frames, where {from} to {to} may be");
            state.end(Ended::Failed(why.clone()));
            return Err(why);
        }
        state.sent = Some(received);
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
        Ok(())
    }

    /// What to put on this connection now. None: nothing yet, and the caller is woken.
    pub(super) fn next(&self, attachment: Attachment, waker: &Waker) -> Option<Next> {
        let mut state = self.state();
        if state.attachment != attachment.0 || !state.attached || state.ended.is_some() {
            return Some(Next::End);
        }
        let next = state.choose();
        if next.is_none() {
            state.writer = Some(waker.clone());
        }
        if state.said >= Said::Bye {
            let closer = state.closer.take();
            drop(state);
            if let Some(closer) = closer {
                closer.wake();
            }
        }
        next
    }

    /// A frame came. False: on a connection whose place was taken.
    pub(super) fn frame(
        &self,
        attachment: Attachment,
        number: u64,
        payload: Bytes,
    ) -> Result<bool, String> {
        let mut state = self.state();
        if state.attachment != attachment.0 || !state.attached {
            return Ok(false);
        }
        if number <= state.received {
            // Sent again though it had come: once is enough.
            return Ok(true);
        }
        if number != state.received + 1 {
            return Err(format!("frame {number} came after {}", state.received));
        }
        if state.waiting_bytes > WINDOW_BYTES + MAX_FRAME || state.waiting.len() > WINDOW_FRAMES {
            return Err("the peer sends more than the window".to_owned());
        }
        state.received = number;
        if !state.closing {
            state.waiting_bytes += payload.len();
            state.waiting.push_back(payload);
        }
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(true)
    }

    /// The other end's party has taken so many.
    pub(super) fn ack(&self, attachment: Attachment, taken: u64) -> Result<(), String> {
        let mut state = self.state();
        if state.attachment != attachment.0 {
            return Ok(());
        }
        state.forget(taken)?;
        let woken = [state.sender.take(), state.closer.take()];
        drop(state);
        woken.into_iter().flatten().for_each(Waker::wake);
        Ok(())
    }

    /// The other end is done.
    pub(super) fn bye(&self, attachment: Attachment) {
        let mut state = self.state();
        if state.attachment == attachment.0 {
            state.bye_heard = true;
            state.wake_all();
        }
    }

    /// Has the other end said Bye, or is it over?
    pub(super) fn is_done(&self) -> bool {
        let state = self.state();
        state.ended.is_some() || state.bye_heard
    }
}

impl State {
    fn ack_is_due(&self) -> bool {
        self.untold_frames >= TELL_FRAMES || self.untold_bytes >= TELL_BYTES
    }

    fn ack(&mut self, received: u64) -> Next {
        self.untold_frames = 0;
        self.untold_bytes = 0;
        Next::Ack { received }
    }

    fn choose(&mut self) -> Option<Next> {
        if self.said == Said::Nothing {
            self.said = Said::Hello;
            return Some(Next::Hello { received: self.received });
        }
        if self.bye_heard {
            // The other end sends nothing more and asks one thing only: whether all has come.
            if self.said == Said::LastAck {
                return Some(Next::End);
            }
            self.said = Said::LastAck;
            return Some(self.ack(self.received));
        }
        if self.ack_is_due() {
            return Some(self.ack(self.received - self.waiting.len() as u64));
        }
        let sent = self.sent?;
        if let Some(frame) = self.kept.get((sent - self.taken_there) as usize) {
            let payload = frame.clone();
            self.sent = Some(sent + 1);
            return Some(Next::Frame { number: sent + 1, payload });
        }
        if self.closing && self.said < Said::Bye {
            self.said = Said::Bye;
            return Some(Next::Bye);
        }
        None
    }
}
