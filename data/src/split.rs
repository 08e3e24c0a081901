//! Splits that anybody can repeat: rows are shuffled by a public seed, the same way on every
//! machine.
//!
//! ```text
//! stream    word 4k + i = bytes 8i .. 8i+8 of SHA-256(domain || seed || k),  k = 0, 1, ...
//! below(n)  the first word w < 2^64 - (2^64 mod n), modulo n: unbiased
//! shuffle   a = 0, 1, ..., n-1;  for i = n-1 down to 1: j = below(i + 1), swap a_i and a_j
//! ```
//!
//! Seed, k and words are 64 bits, little-endian; the shuffle is that of Fisher and Yates. Train and
//! test have the domain `dyad-data/train-test/1` and owners `dyad-data/owners/1`, each with a zero
//! byte behind.

use crate::{Error, Result};
use sha2::{Digest, Sha256};

pub(crate) const TRAIN_TEST: &[u8] = b"dyad-data/train-test/1\0";
pub(crate) const OWNERS: &[u8] = b"dyad-data/owners/1\0";

/// Which rows are for training and which for testing, both ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainTest {
    /// Rows to train on.
    pub train: Vec<u32>,
    /// Rows to test on.
    pub test: Vec<u32>,
}

impl TrainTest {
    /// Of so many rows, `test` for testing: the first of the shuffled rows. Neither part may be
    /// empty.
    pub fn by_seed(rows: usize, test: usize, seed: u64) -> Result<Self> {
        if u32::try_from(rows).is_err() {
            return Err(Error::Split("more than 2^32 - 1 rows"));
        }
        if test == 0 || test >= rows {
            return Err(Error::Split("both parts need at least one row; choose another share"));
        }
        let mut shuffled = Stream::new(TRAIN_TEST, seed).shuffled(rows as u32);
        let mut train = shuffled.split_off(test);
        train.sort_unstable();
        shuffled.sort_unstable();
        Ok(Self { train, test: shuffled })
    }

    /// The same with so many thousandths of the rows for testing, rounded down.
    pub fn by_share(rows: usize, test_per_mille: u32, seed: u64) -> Result<Self> {
        let test = rows as u128 * u128::from(test_per_mille) / 1000;
        Self::by_seed(rows, usize::try_from(test).unwrap_or(usize::MAX), seed)
    }
}

/// The public stream of a seed.
pub(crate) struct Stream {
    start: Sha256,
    block: u64,
    words: Vec<u64>,
}

impl Stream {
    pub(crate) fn new(domain: &[u8], seed: u64) -> Self {
        let start = Sha256::new().chain_update(domain).chain_update(seed.to_le_bytes());
        Self { start, block: 0, words: Vec::new() }
    }

    fn word(&mut self) -> u64 {
        loop {
            if let Some(word) = self.words.pop() {
                return word;
            }
            let digest = self.start.clone().chain_update(self.block.to_le_bytes()).finalize();
            self.block += 1;
            let (words, _) = digest.as_slice().as_chunks();
            // Taken from the end.
            self.words.extend(words.iter().rev().map(|bytes| u64::from_le_bytes(*bytes)));
        }
    }

    /// Uniform below n, which is not zero.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        let n = u64::from(n);
        // 2^64 mod n
        let excess = (u64::MAX % n + 1) % n;
        loop {
            let word = self.word();
            if word <= u64::MAX - excess {
                return (word % n) as u32;
            }
        }
    }

    /// 0, 1, ..., n-1 in the order that the stream gives.
    pub(crate) fn shuffled(&mut self, n: u32) -> Vec<u32> {
        let mut a: Vec<u32> = (0..n).collect();
        for i in (1..n).rev() {
            let j = self.below(i + 1);
            a.swap(i as usize, j as usize);
        }
        a
    }
}
