//! Extension: from 128 base transfers to any number.
//!
//! ```text
//! receiver   for each tree g: u_g = sum (XOR) of all streams, v_{g,b} = sum of the streams y with
//!            bit b of y set; sends c_g = u_g ^ x, x its bits
//! sender     w_{g,b} = sum of the streams y with bit b of y ^ Δ_g set: never the one it lacks;
//!            q_{g,b} = w_{g,b} ^ Δ_{g,b} c_g = v_{g,b} ^ Δ_{g,b} x
//! rows       bit i of all columns (g, b): q_i = t_i ^ x_i Δ
//! ```
//!
//! Roy's SoftSpoken transfers ("... from Small-Field Silent VOLE in the Minicrypt Model"),
//! CRYPTO 2022, without its consistency check, so semi-honest (with K = 1 it is Ishai, Kilian,
//! Nissim and Petrank's, CRYPTO 2003). Streams are AES-128 in counter mode under a leaf of the
//! tree; a place in them is used once.
//!
//! Who learns what: the sender sees c_g = u_g ^ x, in which u_g hides x under the stream it lacks:
//! uniform. The receiver sees nothing. A simulator of the sender draws c_g at random.

use super::base::{self, Choosing, POINT, fresh};
use super::hash::{Hash, encrypt_words};
use super::tree::{K, LEAVES, grow, prune};
use super::{Context, Refused, mask, sized};
use crate::bits::plane::{Plane, transpose, vectorised};
use aes::Aes128Enc;
use aes::cipher::KeyInit;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// Columns: bits of Δ, and base transfers.
const COLUMNS: usize = 128;
/// Trees.
const TREES: usize = COLUMNS / K;
/// 64 blocks of a stream, what the cipher's widest kernel takes at once: rows in a chunk.
const BLOCKS: usize = 64;
/// The same in words of 64 rows.
const WORDS: usize = 2 * BLOCKS;

/// Words of the first message of the base transfers.
pub(super) const ASKS: usize = COLUMNS * 2 * POINT;
/// Words of the second: a point and two sums each.
pub(super) const ANSWER: usize = COLUMNS * (POINT + 4);

/// Words the receiver sends for so many words of bits.
pub(crate) const fn asks(words: usize) -> usize {
    TREES * 2 * words.div_ceil(2)
}

/// The streams of all trees, and how far they are used.
struct Streams {
    /// Of tree g at g * leaves.
    ciphers: Vec<Aes128Enc>,
    at: u64,
}

impl Streams {
    fn new(seeds: &[u128]) -> Self {
        let ciphers = seeds.iter().map(|seed| Aes128Enc::new(&seed.to_le_bytes().into()));
        Self { ciphers: ciphers.collect(), at: 0 }
    }

    /// Takes so many blocks of each stream for oneself.
    const fn take(&mut self, blocks: usize) -> u64 {
        let at = self.at;
        self.at += blocks as u64;
        at
    }

    /// Sums of the streams of a tree, from a block on: those with bit b set for each b, and of all,
    /// in place of the first stream. A sender has no stream 0, which is in no sum for a bit.
    #[expect(clippy::inline_always, reason = "it must be compiled for wide vectors")]
    #[inline(always)]
    fn sums(&self, tree: usize, at: u64, room: &mut Room) {
        let each = self.ciphers.len() / TREES;
        let lacking = LEAVES - each;
        let Room { streams, sums, words, .. } = room;
        let words = *words;
        streams[..lacking * WORDS].fill(0);
        for (i, cipher) in self.ciphers[tree * each..][..each].iter().enumerate() {
            let stream = &mut streams[(lacking + i) * WORDS..][..words];
            for (block, number) in stream.as_chunks_mut::<2>().0.iter_mut().zip(at..) {
                *block = [number, 0];
            }
            encrypt_words(cipher, stream);
        }
        // The upper half has the highest bit set; added to the lower, it leaves a tree half as
        // large.
        let mut half = LEAVES;
        for sum in sums.chunks_exact_mut(WORDS).rev() {
            half /= 2;
            let sum = &mut sum[..words];
            sum.fill(0);
            let (lower, upper) = streams.split_at_mut(half * WORDS);
            for (lower, upper) in lower.chunks_exact_mut(WORDS).zip(upper.chunks_exact(WORDS)) {
                let pairs = lower[..words].iter_mut().zip(&upper[..words]);
                for ((lower, upper), sum) in pairs.zip(&mut *sum) {
                    *lower ^= upper;
                    *sum ^= upper;
                }
            }
        }
    }
}

/// Where a chunk is worked on.
struct Room {
    /// Of one tree; in the end, the first is the sum of all.
    streams: Vec<u64>,
    /// For each bit.
    sums: Vec<u64>,
    /// Words of a stream in the chunk, two a block.
    words: usize,
    /// 128 columns.
    columns: Vec<u64>,
}

impl Room {
    fn new() -> Self {
        Self {
            streams: vec![0; LEAVES * WORDS],
            sums: vec![0; K * WORDS],
            words: 0,
            columns: vec![0; COLUMNS * WORDS],
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.streams.zeroize();
        self.sums.zeroize();
        self.columns.zeroize();
    }
}

/// Bit i of all columns is row i.
#[expect(clippy::inline_always, reason = "it must be compiled for wide vectors")]
#[inline(always)]
fn transposed(columns: &[u64], rows: &mut [u128]) {
    for (start, rows) in (0..).step_by(8).zip(rows.chunks_mut(512)) {
        let width = rows.len() / 64;
        let mut halves = [[Plane::<8>::ZERO; 64]; 2];
        for (half, columns) in halves.iter_mut().zip(columns.chunks_exact(64 * WORDS)) {
            for (plane, column) in half.iter_mut().zip(columns.chunks_exact(WORDS)) {
                plane.0[..width].copy_from_slice(&column[start..start + width]);
            }
            transpose(half);
        }
        let [low, high] = &halves;
        for (w, rows) in rows.chunks_exact_mut(64).enumerate() {
            for ((row, low), high) in rows.iter_mut().zip(low).zip(high) {
                *row = u128::from(low.0[w]) | u128::from(high.0[w]) << 64;
            }
        }
    }
}

/// Who has the bits.
pub struct Receiver {
    streams: Streams,
    hash: Arc<Hash>,
    next: u64,
}

/// Who has the secrets.
pub struct Sender {
    streams: Streams,
    hash: Arc<Hash>,
    delta: Zeroizing<u128>,
    next: u64,
}

/// A sender between its base transfers' two messages.
pub struct Begun(Context, Choosing, Zeroizing<u128>);

/// Which permutation the transfers use: of all that was said before.
fn permutation(context: &Context, asks: &[u64], answer: &[u64]) -> Arc<Hash> {
    let mut hash = Sha256::new();
    hash.update(b"dyad-mpc transfer permutation v2");
    hash.update(context.as_bytes());
    asks.iter().chain(answer).for_each(|word| hash.update(word.to_le_bytes()));
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finalize()[..16]);
    Arc::new(Hash::new(key))
}

/// Two words.
fn block(words: &[u64]) -> u128 {
    u128::from(words[0]) | u128::from(words[1]) << 64
}

impl Receiver {
    /// Takes the sender's first message; gives the second, to be sent.
    pub fn begin(context: &Context, asked: &[u64]) -> Result<(Self, Vec<u64>), Refused> {
        sized("base transfers", asked.len(), ASKS)?;
        let (keys, mut answer) = base::answer(context, asked)?;
        let mut seeds = Zeroizing::new(Vec::with_capacity(TREES * LEAVES));
        for keys in keys.as_chunks::<K>().0 {
            let (leaves, sums) = grow(keys);
            seeds.extend_from_slice(&*leaves);
            let sums = sums.as_flattened();
            answer.extend(sums.iter().flat_map(|sum| [*sum as u64, (sum >> 64) as u64]));
        }
        let hash = permutation(context, asked, &answer);
        Ok((Self { streams: Streams::new(&seeds), hash, next: 0 }, answer))
    }

    /// Rows for these bits, 64 a word; and what is sent for them.
    pub fn ask(&mut self, bits: &[u64]) -> (Vec<u64>, Rows) {
        let blocks = bits.len().div_ceil(2);
        let first = self.streams.take(blocks);
        let mut message = vec![0; asks(bits.len())];
        let mut rows = Zeroizing::new(vec![0; 64 * bits.len()]);
        let streams = &self.streams;
        message
            .par_chunks_mut(TREES * WORDS)
            .zip(rows.par_chunks_mut(64 * WORDS))
            .zip(bits.par_chunks(WORDS))
            .enumerate()
            .for_each_init(Room::new, |room, (chunk, ((message, rows), bits))| {
                let at = first + (chunk * BLOCKS) as u64;
                vectorised(|| streams.asking(at, bits, message, rows, room));
            });
        let start = self.next;
        self.next += rows.len() as u64;
        (message, Rows { blocks: rows, first: start, delta: None, hash: Arc::clone(&self.hash) })
    }
}

impl Streams {
    #[expect(clippy::inline_always, reason = "it must be compiled for wide vectors")]
    #[inline(always)]
    fn asking(
        &self,
        at: u64,
        bits: &[u64],
        message: &mut [u64],
        rows: &mut [u128],
        room: &mut Room,
    ) {
        let words = message.len() / TREES;
        room.words = words;
        for (tree, message) in message.chunks_exact_mut(words).enumerate() {
            self.sums(tree, at, room);
            message.copy_from_slice(&room.streams[..words]);
            message.iter_mut().zip(bits).for_each(|(message, bits)| *message ^= bits);
            let columns = room.columns[tree * K * WORDS..].chunks_exact_mut(WORDS);
            for (column, sum) in columns.zip(room.sums.chunks_exact(WORDS)) {
                column[..words].copy_from_slice(&sum[..words]);
            }
        }
        transposed(&room.columns, rows);
    }

    #[expect(clippy::inline_always, reason = "it must be compiled for wide vectors")]
    #[inline(always)]
    fn answering(&self, at: u64, delta: u128, message: &[u64], rows: &mut [u128], room: &mut Room) {
        let words = message.len() / TREES;
        room.words = words;
        for (tree, message) in message.chunks_exact(words).enumerate() {
            self.sums(tree, at, room);
            let columns = room.columns[tree * K * WORDS..].chunks_exact_mut(WORDS);
            for (b, (column, sum)) in columns.zip(room.sums.chunks_exact(WORDS)).enumerate() {
                let set = mask((delta >> (tree * K + b)) as u64);
                for ((column, sum), message) in column.iter_mut().zip(sum).zip(message) {
                    *column = sum ^ set & message;
                }
            }
        }
        transposed(&room.columns, rows);
    }
}

impl Sender {
    /// Draws Δ; gives the first message of the base transfers.
    #[must_use]
    pub fn begin(context: &Context) -> (Begun, Vec<u64>) {
        let delta = Zeroizing::new(u128::from_le_bytes(*fresh::<16>()));
        // Level l of a tree takes bit K - 1 - l of Δ_g, and the sum beside it is wanted.
        let mut chosen = Zeroizing::new(0);
        for tree in 0..TREES {
            for level in 0..K {
                let alpha = *delta >> (tree * K + K - 1 - level) & 1;
                *chosen |= (1 ^ alpha) << (tree * K + level);
            }
        }
        let (choosing, asks) = Choosing::new(context, &chosen, COLUMNS);
        (Begun(*context, choosing, delta), asks)
    }

    /// Rows for so many words of the receiver's bits, from what it sent.
    pub fn answer(&mut self, message: &[u64], words: usize) -> Result<Rows, Refused> {
        sized("what asks for rows", message.len(), asks(words))?;
        let first = self.streams.take(words.div_ceil(2));
        let mut rows = Zeroizing::new(vec![0; 64 * words]);
        let (streams, delta) = (&self.streams, *self.delta);
        message
            .par_chunks(TREES * WORDS)
            .zip(rows.par_chunks_mut(64 * WORDS))
            .enumerate()
            .for_each_init(Room::new, |room, (chunk, (message, rows))| {
                let at = first + (chunk * BLOCKS) as u64;
                vectorised(|| streams.answering(at, delta, message, rows, room));
            });
        let start = self.next;
        self.next += rows.len() as u64;
        let delta = Some(self.delta.clone());
        Ok(Rows { blocks: rows, first: start, delta, hash: Arc::clone(&self.hash) })
    }
}

impl Begun {
    /// Takes the receiver's answer to what was asked.
    pub fn finish(self, asks: &[u64], answer: &[u64]) -> Result<Sender, Refused> {
        sized("base transfers", answer.len(), ANSWER)?;
        let Self(context, choosing, delta) = self;
        let (points, sums) = answer.split_at(COLUMNS * POINT);
        let keys = choosing.finish(points)?;
        let mut seeds = Zeroizing::new(Vec::with_capacity(TREES * (LEAVES - 1)));
        let sums = sums.chunks_exact(4 * K);
        for (tree, (keys, sums)) in keys.as_chunks::<K>().0.iter().zip(sums).enumerate() {
            let mut pairs = [[0; 2]; K];
            for (pair, words) in pairs.iter_mut().zip(sums.chunks_exact(4)) {
                *pair = [block(&words[..2]), block(&words[2..])];
            }
            let path = Zeroizing::new(std::array::from_fn(|level| {
                let set = mask((*delta >> (tree * K + K - 1 - level)) as u64);
                u128::from(set) << 64 | u128::from(set)
            }));
            seeds.extend_from_slice(&prune(keys, &path, &pairs)[1..]);
        }
        let hash = permutation(&context, asks, answer);
        Ok(Sender { streams: Streams::new(&seeds), hash, delta, next: 0 })
    }
}

/// Rows of one extension: t at the receiver, q = t ^ x Δ at the sender.
pub struct Rows {
    blocks: Zeroizing<Vec<u128>>,
    /// Number of the first in the attempt.
    first: u64,
    /// The sender's.
    delta: Option<Zeroizing<u128>>,
    hash: Arc<Hash>,
}

impl Rows {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// None?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Has this end the secrets?
    pub(crate) const fn are_the_senders(&self) -> bool {
        self.delta.is_some()
    }

    /// Keys of some rows, `each` blocks a row, row after row: at the receiver those of its bits, at
    /// the sender those of bit 0.
    ///
    /// # Panics
    /// If there are fewer rows.
    pub fn keys(&self, rows: Range<usize>, each: usize, out: &mut [u128]) {
        let first = self.first + rows.start as u64;
        self.hash.fill(&self.blocks[rows], 0, first, each, out);
    }

    /// At the sender, keys of bit 1; at the receiver nothing it should ask for.
    ///
    /// # Panics
    /// If there are fewer rows.
    pub fn other_keys(&self, rows: Range<usize>, each: usize, out: &mut [u128]) {
        let first = self.first + rows.start as u64;
        let delta = self.delta.as_ref().map_or(0, |delta| **delta);
        self.hash.fill(&self.blocks[rows], delta, first, each, out);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn context() -> Context {
        let attempt = crate::prg::Attempt { job: [1; 32], nonces: [[2; 16], [3; 16]] };
        Context::new(&attempt, crate::prg::Party::Zero)
    }

    fn pair() -> (Sender, Receiver) {
        let (begun, asks) = Sender::begin(&context());
        let (receiver, answer) = Receiver::begin(&context(), &asks).unwrap();
        (begun.finish(&asks, &answer).unwrap(), receiver)
    }

    /// Batches of every kind of length, one after the other: rows fit, and so do keys.
    #[test]
    fn rows_differ_by_delta_where_the_bit_is_set() {
        let (mut sender, mut receiver) = pair();
        let mut seen = std::collections::HashSet::new();
        for words in [1, 2, 3, 0, 8, 9, 127, 128, 129, 300] {
            let bits: Vec<u64> =
                (1..=words as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
            let (message, taken) = receiver.ask(&bits);
            let sent = sender.answer(&message, words).unwrap();
            for (i, (q, t)) in sent.blocks.iter().zip(&*taken.blocks).enumerate() {
                let x = u128::from(bits[i / 64] >> (i % 64) & 1);
                assert_eq!(*q, t ^ (x * *sender.delta), "row {i} of {words} words");
                assert!(seen.insert(*t), "a row twice");
            }
            let n = sent.len();
            let mut keys = [vec![0; 2 * n], vec![0; 2 * n], vec![0; 2 * n]];
            sent.keys(0..n, 2, &mut keys[0]);
            sent.other_keys(0..n, 2, &mut keys[1]);
            taken.keys(0..n, 2, &mut keys[2]);
            for i in 0..2 * n {
                let x = (bits[i / 128] >> (i / 2 % 64) & 1) as usize;
                assert_eq!(keys[2][i], keys[x][i]);
                assert_ne!(keys[2][i], keys[1 - x][i]);
            }
        }
        assert_ne!(*sender.delta, *pair().0.delta);
    }

    #[test]
    fn what_has_another_length_is_refused() {
        let (begun, asks) = Sender::begin(&context());
        let short = |what, got, due| Some(Refused::Length { what, got, due });
        let refused = Receiver::begin(&context(), &asks[1..]).err();
        assert_eq!(refused, short("base transfers", 1023, 1024));
        let (mut receiver, answer) = Receiver::begin(&context(), &asks).unwrap();
        let cut = begun.finish(&asks, &answer[..9]).err();
        assert_eq!(cut, short("base transfers", 9, ANSWER));
        let (mut sender, _) = pair();
        let (message, _) = receiver.ask(&[1, 2, 3]);
        for (words, due) in [(1, 64), (2, 64), (5, 192)] {
            let refused = sender.answer(&message, words).err();
            assert_eq!(refused, short("what asks for rows", 128, due));
        }
        assert!(sender.answer(&message, 3).is_ok());
    }
}
