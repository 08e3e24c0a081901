//! A cloud's share of what is dealt for an operation: C0 draws it from its seed, C1 was sent it, or
//! both made it together; and of the masks of a table's rows.

use crate::prg::{Label, Prg};
use crate::tensor::Meta;
use crate::transfer::Words;
use crate::wire::{self, PIECE, in_place};
use bytes::Bytes;
use std::sync::Arc;

/// Read anywhere, any number of times.
#[derive(Clone)]
pub(super) enum Dealt {
    /// C0's: the stream of a label, from a word on.
    Seeded(Arc<Prg>, Label, u64),
    /// C1's: the payloads of frames, from a word on.
    Sent(Arc<Vec<Bytes>>, usize),
    /// Made with the other cloud: words, from one on.
    Made(Arc<Words>, usize),
}

impl Dealt {
    /// Words `first` and on.
    #[inline]
    pub(super) fn read(&self, first: usize, out: &mut [u64]) {
        match self {
            Self::Seeded(prg, label, from) => prg.fill(*label, from + first as u64, out),
            Self::Made(words, from) => {
                let at = from + first;
                out.copy_from_slice(&words[at..at + out.len()]);
            }
            Self::Sent(pieces, from) => {
                let mut at = from + first;
                let mut rest = out;
                while !rest.is_empty() {
                    let inside = at % PIECE;
                    let len = rest.len().min(PIECE - inside);
                    let (part, behind) = rest.split_at_mut(len);
                    wire::words(&pieces[at / PIECE], inside, part);
                    (at, rest) = (at + len, behind);
                }
            }
        }
    }

    /// The same words, where they lie or else drawn or copied into `room`.
    #[inline]
    pub(super) fn get<'a>(&'a self, first: usize, room: &'a mut [u64]) -> &'a [u64] {
        if let Self::Sent(pieces, from) = self {
            let (piece, inside) = ((from + first) / PIECE, (from + first) % PIECE);
            let there = pieces.get(piece).and_then(|piece| in_place(piece));
            if let Some(words) = there.and_then(|words| words.get(inside..inside + room.len())) {
                return words;
            }
        }
        if let Self::Made(words, from) = self {
            return &words[from + first..][..room.len()];
        }
        self.read(first, room);
        room
    }

    /// The same, so many words further on.
    pub(super) fn skip(&self, words: u64) -> Self {
        match self {
            Self::Seeded(prg, label, from) => Self::Seeded(Arc::clone(prg), *label, from + words),
            Self::Sent(pieces, from) => Self::Sent(Arc::clone(pieces), from + words as usize),
            Self::Made(made, from) => Self::Made(Arc::clone(made), from + words as usize),
        }
    }
}

/// A party's share of the masks of some rows.
pub(crate) fn row_masks(prg: &Prg, label: Label, meta: Meta, rows: &[u32]) -> Vec<u64> {
    let cols = meta.shape.cols;
    let mut share = vec![0; rows.len() * cols];
    for (row, share) in rows.iter().zip(share.chunks_exact_mut(cols.max(1))) {
        prg.words(label, u64::from(*row) * cols as u64, share);
    }
    share
}
