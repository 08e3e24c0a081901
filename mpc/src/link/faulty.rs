//! A link that goes wrong as told: for tests of what happens then.

use super::{Link, LinkError};
use bytes::Bytes;
use std::collections::VecDeque;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What happens to one frame sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is lost.
    Drop,
    /// It is late.
    Delay(Duration),
    /// The link breaks instead, for good.
    Cut,
    /// One bit of it arrives wrong: this one, counted from its start, modulo its length.
    Flip(usize),
    /// It arrives twice.
    Repeat,
    /// Only this many of its bytes arrive.
    Shorten(usize),
    /// So many bytes more arrive.
    Lengthen(usize),
}

/// Sends like another link, but for the faults.
pub struct Faulty<L> {
    link: Option<L>,
    /// By the number of the frame sent, counted from 0, in rising order.
    faults: VecDeque<(u64, Fault)>,
    sent: u64,
}

impl<L: Link> Faulty<L> {
    /// With these faults, each at its frame.
    pub fn new(link: L, faults: impl IntoIterator<Item = (u64, Fault)>) -> Self {
        let mut faults: Vec<_> = faults.into_iter().collect();
        faults.sort_by_key(|(frame, _)| *frame);
        Self { link: Some(link), faults: faults.into(), sent: 0 }
    }

    fn fault(&mut self) -> Option<Fault> {
        let now = self.sent;
        self.sent += 1;
        let due = self.faults.front().is_some_and(|(frame, _)| *frame == now);
        due.then(|| self.faults.pop_front()).flatten().map(|(_, fault)| fault)
    }
}

impl<L: Link> Link for Faulty<L> {
    fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        let fault = self.fault();
        if fault == Some(Fault::Cut) {
            self.link = None;
        }
        let link = self.link.as_mut().ok_or(LinkError::Closed)?;
        match fault {
            None | Some(Fault::Cut) => link.send(frame),
            Some(Fault::Drop) => Ok(()),
            Some(Fault::Delay(time)) => {
                sleep(time);
                link.send(frame)
            }
            Some(Fault::Flip(bit)) => {
                let mut bytes = frame.to_vec();
                let bits = 8 * bytes.len();
                if bits > 0 {
                    bytes[bit % bits / 8] ^= 1 << (bit % 8);
                }
                link.send(bytes.into())
            }
            Some(Fault::Repeat) => {
                link.send(frame.clone())?;
                link.send(frame)
            }
            Some(Fault::Shorten(length)) => link.send(frame.slice(..length.min(frame.len()))),
            Some(Fault::Lengthen(by)) => {
                let mut bytes = frame.to_vec();
                bytes.resize(frame.len() + by, 0);
                link.send(bytes.into())
            }
        }
    }

    fn recv(&mut self, by: Instant) -> Result<Bytes, LinkError> {
        self.link.as_mut().ok_or(LinkError::Closed)?.recv(by)
    }
}
