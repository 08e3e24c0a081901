//! What operations cost on the line, as formulas of shapes and key.
//!
//! ```text
//! G = (|N| - 2) / 145 values in a ciphertext, |N| / 8 words of 8 bytes
//! c(shape)       ciphertexts: rows ceil(cols / G); of single columns revealed: ceil(rows / G)
//! mask, open     C1 -> C0  c                                                      no wait of C1's
//! product        C0 -> C1  c of the result, and of a factor at its first use: one for each entry of
//!                          the left one, c of the right one
//! act            C1 -> C0  c;  transfers;  C0 -> C1  c of a numeric result
//! gate           each way  rows of n transfers, and 4 words a value
//! numbers        C1 -> C0  rows of n transfers;  C0 -> C1  4 words a value
//! comparison     see `transfer::compare`
//! ```
//!
//! Rows of n transfers are 64 words for each 128 of them.

use super::moves::AT_ONCE;
use super::secret::WIDTH;
use crate::tensor::Shape;
use crate::transfer::asks;
use crate::wire::frame_bytes;
use dyad_bcp::KeySize;

/// Bytes from C0 and from C1, headers included.
pub type Bytes = [u64; 2];

/// Costs under keys of a size.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// G
    slots: usize,
    /// Words of a ciphertext.
    words: usize,
}

/// Of messages.
fn of(messages: &[[usize; 2]]) -> Bytes {
    [0, 1].map(|i| messages.iter().map(|words| bytes(words[i])).sum())
}

fn bytes(words: usize) -> u64 {
    if words == 0 { 0 } else { frame_bytes(words) as u64 }
}

impl Costs {
    /// For keys of this size.
    #[must_use]
    pub const fn new(size: KeySize) -> Self {
        let bits = size.bits();
        Self { slots: (bits - 2) / WIDTH, words: 2 * (2 * bits).div_ceil(64) }
    }

    /// Ciphertexts of a tensor as operations give it.
    #[must_use]
    pub const fn ciphertexts(&self, shape: Shape) -> usize {
        shape.rows * shape.cols.div_ceil(self.slots)
    }

    /// Ciphertexts in which it is revealed.
    #[must_use]
    pub const fn revealed(&self, shape: Shape) -> usize {
        let (each, packs) = (shape.cols, self.slots);
        if each <= 1 || packs == 1 { shape.len().div_ceil(packs) } else { self.ciphertexts(shape) }
    }

    /// Of masking tensors together, or opening them to C0.
    #[must_use]
    pub fn mask(&self, shapes: &[Shape]) -> Bytes {
        [0, self.bytes(shapes.iter().map(|shape| self.revealed(*shape)).sum())]
    }

    /// Of a product of matrices: `left` and `right` are the factors' shapes, as they are multiplied,
    /// that were in no such product before.
    #[must_use]
    pub fn matmul(&self, left: Option<Shape>, right: Option<Shape>, out: Shape) -> Bytes {
        let left = left.map_or(0, Shape::len);
        let right = right.map_or(0, |shape| self.ciphertexts(shape));
        [self.bytes(left + right + self.ciphertexts(out)), 0]
    }

    /// C0's encryptions of a result.
    #[must_use]
    pub fn deal(&self, shape: Shape) -> Bytes {
        [self.bytes(self.ciphertexts(shape)), 0]
    }

    /// Bytes of so many ciphertexts.
    fn bytes(&self, count: usize) -> u64 {
        self.messages(count).map(bytes).sum()
    }

    /// Words of the messages in which so many ciphertexts go.
    pub(super) fn messages(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let words = self.words;
        (0..count).step_by(AT_ONCE).map(move |at| words * AT_ONCE.min(count - at))
    }

    /// Words of a ciphertext.
    pub(super) const fn words(&self) -> usize {
        self.words
    }

    /// Of gating n values, comparisons apart.
    #[must_use]
    pub fn gate(n: usize) -> Bytes {
        of(&Self::gate_words(n))
    }

    pub(super) const fn gate_words(n: usize) -> [[usize; 2]; 2] {
        [[asks(n.div_ceil(64)); 2], [4 * n; 2]]
    }

    /// Of making numbers of n bits.
    #[must_use]
    pub fn numbers(n: usize) -> Bytes {
        of(&Self::numbers_words(n))
    }

    pub(super) const fn numbers_words(n: usize) -> [[usize; 2]; 2] {
        [[0, asks(n.div_ceil(64))], [4 * n, 0]]
    }
}
