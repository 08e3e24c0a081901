//! Frames: what is sent, with a header that says which operation it belongs to.
//!
//! ```text
//! magic "dyad" (4)  version (2)  kind (1)  round (1)  step (8)
//! operation (4)  shape (4)  piece (4)  words (4)
//! then the words, little-endian
//! ```
//!
//! The highest bit of `round` says which cloud sends, so that a cloud whose own frames come back to
//! it does not take them for the other's.
//!
//! `shape` is the first bytes of a hash over the operation's name and the metas of its tensors, so
//! that two programs that differ do not take each other's frames.

use crate::engine::Act;
use crate::error::Op;
use crate::prg::Party as Side;
use crate::tensor::Meta;
use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest, Sha256};
use std::fmt;

/// Version of frames and protocols. Two ends of different versions do not talk.
pub const VERSION: u16 = 1;

/// Words in a frame at most; more go in pieces. 1 MiB: large enough for the line, small enough for
/// the caches and the allocator.
pub const PIECE: usize = 1 << 17;

/// Pieces a party sends before it takes the first of the other's: fewer than a link holds.
pub const WINDOW: usize = 16;

/// Frames for so many words: at least one.
#[must_use]
pub const fn pieces(words: usize) -> usize {
    if words == 0 { 1 } else { words.div_ceil(PIECE) }
}

/// Times a party waits for the other in an exchange of so many words: once, unless they are many.
#[must_use]
pub const fn waits(words: usize) -> usize {
    1 + pieces(words).saturating_sub(WINDOW)
}

/// Bytes of the frames of so many words.
#[must_use]
pub const fn frame_bytes(words: usize) -> usize {
    pieces(words) * HEADER + 8 * words
}

/// Bytes before the words.
pub const HEADER: usize = 32;

const MAGIC: [u8; 4] = *b"dyad";

/// In `round`: C1 sends it.
const BY_C1: u8 = 0x80;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Shares or masked shares, from cloud to cloud.
    Opening = 1,
    /// A cloud's share of what the dealer deals.
    Dealt = 2,
    /// How far the dealer may run ahead.
    Credit = 3,
    /// Who one is, before anything else.
    Hello = 4,
    /// The hash of all that was done so far, between the dealer and C1.
    Trace = 5,
    /// Messages of transfers, from cloud to cloud.
    Transfer = 6,
}

/// Names a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub(crate) version: u16,
    pub(crate) kind: u8,
    pub(crate) round: u8,
    pub(crate) step: u64,
    pub(crate) operation: u32,
    pub(crate) shape: u32,
    pub(crate) piece: u32,
    pub(crate) words: u32,
}

impl Header {
    pub(crate) fn new(kind: Kind, op: Op, shape: u32, round: u8) -> Self {
        Self {
            version: VERSION,
            kind: kind as u8,
            round,
            step: op.step,
            operation: op.number,
            shape,
            piece: 0,
            words: 0,
        }
    }

    /// The header of a piece of what is sent.
    pub(crate) const fn piece(mut self, piece: usize, words: usize) -> Self {
        (self.piece, self.words) = (piece as u32, words as u32);
        self
    }

    /// The header of what this cloud sends.
    pub(crate) const fn from(mut self, side: Side) -> Self {
        self.round = self.round & !BY_C1 | if side.index() == 1 { BY_C1 } else { 0 };
        self
    }

    /// A frame of these words.
    pub(crate) fn frame(&self, words: &[u64]) -> Bytes {
        let mut frame = self.begin();
        put_words(&mut frame, words);
        frame.freeze()
    }

    /// A frame whose words are still to come.
    pub(crate) fn begin(&self) -> BytesMut {
        let mut frame = BytesMut::with_capacity(HEADER + 8 * self.words as usize);
        frame.put_slice(&MAGIC);
        frame.put_u16(self.version);
        frame.put_u8(self.kind);
        frame.put_u8(self.round);
        frame.put_u64(self.step);
        frame.put_u32(self.operation);
        frame.put_u32(self.shape);
        frame.put_u32(self.piece);
        frame.put_u32(self.words);
        frame
    }

    /// Of a frame, if it has one.
    pub(crate) fn read(frame: &[u8]) -> Option<Self> {
        let header = frame.first_chunk::<HEADER>()?;
        let (magic, rest) = header.split_first_chunk::<4>()?;
        let (version, rest) = rest.split_first_chunk()?;
        let ([kind, round], rest) = rest.split_first_chunk()?;
        let (step, rest) = rest.split_first_chunk()?;
        let (operation, rest) = rest.split_first_chunk()?;
        let (shape, rest) = rest.split_first_chunk()?;
        let (piece, words) = rest.split_first_chunk()?;
        (*magic == MAGIC).then_some(Self {
            version: u16::from_be_bytes(*version),
            kind: *kind,
            round: *round,
            step: u64::from_be_bytes(*step),
            operation: u32::from_be_bytes(*operation),
            shape: u32::from_be_bytes(*shape),
            piece: u32::from_be_bytes(*piece),
            words: u32::from_be_bytes(words.try_into().ok()?),
        })
    }

    /// The words of a frame that is exactly this one; else what came instead.
    pub(crate) fn open(&self, frame: &Bytes) -> Result<Bytes, String> {
        match Self::read(frame) {
            None => Err(format!("{} bytes that are no frame", frame.len())),
            Some(got) if got != *self => Err(got.to_string()),
            Some(_) if frame.len() != HEADER + 8 * self.words as usize => {
                let len = (frame.len() - HEADER) as f64 / 8.0;
                Err(format!("a frame that promises {} words and has {len}", self.words))
            }
            Some(_) => Ok(frame.slice(HEADER..)),
        }
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_c1 = self.round & BY_C1 != 0;
        let kind = match self.kind {
            1 if by_c1 => "an opening of C1's",
            1 => "an opening of C0's",
            2 => "correlations",
            3 => "a credit",
            4 => "a greeting",
            5 => "a trace",
            6 if by_c1 => "a message of C1's transfers",
            6 => "a message of C0's transfers",
            _ => "a frame of unknown kind",
        };
        let Self { version, step, operation, shape, piece, words, .. } = self;
        let round = self.round & !BY_C1;
        write!(
            f,
            "{kind} of step {step}, operation {operation}, round {round}, piece {piece}: \
             {words} words, shape {shape:08x}, version {version}"
        )
    }
}

/// Appends words.
pub(crate) fn put_words(frame: &mut BytesMut, words: &[u64]) {
    if cfg!(target_endian = "little") {
        frame.extend_from_slice(bytemuck::cast_slice(words));
    } else {
        for word in words {
            frame.put_u64_le(*word);
        }
    }
}

/// The words of a payload where they lie, if they lie as this machine's words do.
pub(crate) fn in_place(payload: &[u8]) -> Option<&[u64]> {
    if cfg!(target_endian = "little") { bytemuck::try_cast_slice(payload).ok() } else { None }
}

/// The words of a payload, `first` and on.
pub(crate) fn words(payload: &[u8], first: usize, out: &mut [u64]) {
    let from = payload[8 * first..].as_chunks::<8>().0;
    for (word, bytes) in out.iter_mut().zip(from) {
        *word = u64::from_le_bytes(*bytes);
    }
}

/// How many words a piece has, out of so many in all.
pub(crate) const fn piece_words(words: usize, piece: usize) -> usize {
    let rest = words - piece * PIECE;
    if rest < PIECE { rest } else { PIECE }
}

/// Appends all words of a payload.
pub(crate) fn append(payload: &[u8], out: &mut Vec<u64>) {
    let words = payload.as_chunks::<8>().0.iter();
    match in_place(payload) {
        Some(words) => out.extend_from_slice(words),
        None => out.extend(words.map(|bytes| u64::from_le_bytes(*bytes))),
    }
}

/// All words of a payload.
pub(crate) fn all_words(payload: &[u8]) -> Vec<u64> {
    let mut words = Vec::new();
    append(payload, &mut words);
    words
}

/// A few bytes that stand for an operation on tensors of these shapes.
pub(crate) fn shape(op: Op, metas: impl Iterator<Item = Meta>, acts: &[Act]) -> u32 {
    let mut hash = Sha256::new();
    hash.update(op.name);
    for Meta { shape, scale, .. } in metas {
        hash.update((shape.rows as u64).to_be_bytes());
        hash.update((shape.cols as u64).to_be_bytes());
        hash.update([scale]);
    }
    for act in acts {
        let (kind, s) = match *act {
            Act::Truncate(s) => (1, s),
            Act::Sign => (2, 0),
            Act::Zero => (3, 0),
            Act::Relu(s) => (4, s),
            Act::Gate(s) => (5, s),
        };
        hash.update([kind, s]);
    }
    let digest = hash.finalize();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}
