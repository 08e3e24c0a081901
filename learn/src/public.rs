//! Numbers that everybody may know and everybody must agree on: the order of the rows in an epoch,
//! and initial weights that are no secret.
//!
//! ```text
//! stream    word 4k + i = bytes 8i .. 8i+8 of SHA-256(domain || seed || number || k)
//! below(n)  the first word w < 2^64 - (2^64 mod n), modulo n: unbiased
//! shuffle   a = 0, 1, ..., n-1;  for i = n-1 down to 1: j = below(i + 1), swap a_i and a_j
//! He        u sqrt(6 / inputs) with u uniform in [-1, 1): variance 2 / inputs
//! ```
//!
//! Seeds of a job are 8 bytes, words little-endian. Only operations that IEEE 754 rounds exactly
//! are used (no logarithm, no cosine), so both clouds and the key centre get the same bits on any
//! machine; that is also why the weights are uniform and not normal.

use sha2::{Digest, Sha256};

const SHUFFLE: &[u8] = b"dyad-learn/shuffle/1\0";
const SPLIT: &[u8] = b"dyad-learn/split/1\0";
const WEIGHTS: &[u8] = b"dyad-learn/weights/1\0";

/// The public stream of a seed and a number.
struct Stream {
    start: Sha256,
    block: u64,
    words: Vec<u64>,
}

impl Stream {
    fn new(domain: &[u8], seed: &[u8], number: u64) -> Self {
        let start = Sha256::new()
            .chain_update(domain)
            .chain_update(seed)
            .chain_update(number.to_le_bytes());
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
    fn below(&mut self, n: u32) -> u32 {
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

    /// Uniform in [-1, 1), a multiple of 2^-52.
    fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 * (-52f64).exp2() - 1.0
    }
}

/// The rows' order in an epoch.
pub(crate) fn shuffled(rows: u32, seed: u64, epoch: u64) -> Vec<u32> {
    shuffle(SHUFFLE, rows, seed, epoch)
}

fn shuffle(domain: &[u8], rows: u32, seed: u64, number: u64) -> Vec<u32> {
    let mut stream = Stream::new(domain, &seed.to_le_bytes(), number);
    let mut a: Vec<u32> = (0..rows).collect();
    for i in (1..rows).rev() {
        let j = stream.below(i + 1);
        a.swap(i as usize, j as usize);
    }
    a
}

/// Rows to train on and rows to test on, each in their order: drawn by a public seed.
#[must_use]
pub fn split(rows: u32, test: u32, seed: u64) -> (Vec<u32>, Vec<u32>) {
    let mut order = shuffle(SPLIT, rows, seed, 0);
    let mut tested = order.split_off(rows.saturating_sub(test) as usize);
    order.sort_unstable();
    tested.sort_unstable();
    (order, tested)
}

/// A layer's initial weights, row by row: `inputs` times `outputs` of them.
pub(crate) fn he(inputs: usize, outputs: usize, seed: &[u8], layer: u64) -> Vec<f64> {
    let mut stream = Stream::new(WEIGHTS, seed, layer);
    let limit = (6.0 / inputs as f64).sqrt();
    (0..inputs * outputs).map(|_| stream.unit() * limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_each_row_once() {
        let mut order = shuffled(1000, 7, 3);
        assert_ne!(order, shuffled(1000, 7, 4));
        assert_ne!(order, shuffled(1000, 8, 3));
        order.sort_unstable();
        assert!(order.into_iter().eq(0..1000));
    }

    #[test]
    fn a_split_has_each_row_once() {
        let (train, test) = split(100, 30, 5);
        assert_eq!((train.len(), test.len()), (70, 30));
        let mut all = [train, test].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..100));
        assert_ne!(split(100, 30, 5), split(100, 30, 6));
    }

    /// Written down once: another machine, or a later release, must get the same.
    #[test]
    fn vectors() {
        let one = 1u64.to_le_bytes();
        assert_eq!(shuffled(10, 1, 0), VECTOR);
        assert!(he(8, 1, &one, 0).iter().all(|w| w.abs() <= 0.75f64.sqrt()));
        assert_eq!(he(6, 1, &one, 0)[0].to_bits(), WEIGHT);
    }

    // Computed apart, by a few lines of Python.
    const VECTOR: [u32; 10] = [6, 2, 4, 1, 5, 8, 9, 3, 0, 7];
    const WEIGHT: u64 = 0x3fea_6ab9_3569_2db8;

    #[test]
    fn weights_have_the_variance_of_he() {
        let w = he(100, 400, &[5], 1);
        let mean = w.iter().sum::<f64>() / w.len() as f64;
        let variance = w.iter().map(|w| w * w).sum::<f64>() / w.len() as f64;
        assert!(mean.abs() < 0.003, "{mean}");
        assert!((variance / 0.02 - 1.0).abs() < 0.02, "{variance}");
    }
}
