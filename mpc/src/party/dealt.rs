//! A cloud's share of what is dealt for an operation: C0 draws it from its seed, C1 was sent it.

use crate::prg::{Label, Prg};
use crate::wire;
use bytes::Bytes;
use std::sync::Arc;

/// Read anywhere, any number of times.
#[derive(Clone)]
pub(super) enum Dealt {
    /// C0's: the stream of a label, from a word on.
    Seeded(Arc<Prg>, Label, u64),
    /// C1's: the payload of a frame, from a word on.
    Sent(Bytes, usize),
}

impl Dealt {
    /// Words `first` and on.
    #[inline]
    pub(super) fn read(&self, first: usize, out: &mut [u64]) {
        match self {
            Self::Seeded(prg, label, from) => prg.words(*label, from + first as u64, out),
            Self::Sent(payload, from) => wire::words(payload, from + first, out),
        }
    }

    /// The same, so many words further on.
    pub(super) fn skip(&self, words: u64) -> Self {
        match self {
            Self::Seeded(prg, label, from) => Self::Seeded(Arc::clone(prg), *label, from + words),
            Self::Sent(payload, from) => Self::Sent(payload.clone(), from + words as usize),
        }
    }
}
