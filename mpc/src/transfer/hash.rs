//! From rows to keys: a hash that is robust against correlation, from one permutation.
//!
//! ```text
//! H(x, (i, j)) = π(π(x) ^ (i, j)) ^ π(x),   π = AES-128 under a public key
//! ```
//!
//! TMMO of Guo, Katz, Wang and Yu, "Efficient and Secure Multiparty Computation from Fixed-Key
//! Block Ciphers", S&P 2020, section 7.4: tweakable and circular correlation robust if π is a
//! random permutation. i is the number of the row in the attempt, j that of a block drawn from it:
//! no (i, j) comes twice with one offset. π is chosen anew for each pair of base transfers, from
//! all that went over the line in them, so that work against one attempt is lost on the next.

use crate::bits::plane::vectorised;
use aes::Aes128Enc;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use zeroize::Zeroizing;

/// The permutation of one direction's transfers.
pub(super) struct Hash(Aes128Enc);

/// Blocks that go through the cipher at once: a multiple of what its widest kernel takes.
const AT_ONCE: usize = 256;

impl Hash {
    pub(super) fn new(key: [u8; 16]) -> Self {
        Self(Aes128Enc::new(&key.into()))
    }

    /// Blocks j = 0 .. `each` of row i at `each` i: rows x ^ `offset`, numbered from `first`.
    pub(super) fn fill(&self, x: &[u128], offset: u128, first: u64, each: usize, out: &mut [u128]) {
        vectorised(|| self.fill_wide(x, offset, first, each, out));
    }

    #[expect(clippy::inline_always, reason = "it must be compiled for wide vectors")]
    #[inline(always)]
    fn fill_wide(&self, x: &[u128], offset: u128, first: u64, each: usize, out: &mut [u128]) {
        let mut inner = Zeroizing::new([0; AT_ONCE]);
        let mut number = first;
        for (x, out) in x.chunks(AT_ONCE).zip(out.chunks_mut(AT_ONCE * each)) {
            let inner = &mut inner[..x.len()];
            for (inner, x) in inner.iter_mut().zip(x) {
                *inner = x ^ offset;
            }
            encrypt(&self.0, inner);
            if each == 1 {
                for ((out, inner), i) in out.iter_mut().zip(&*inner).zip(number..) {
                    *out = inner ^ u128::from(i);
                }
            } else {
                let rows = out.chunks_exact_mut(each).zip(&*inner).zip(number..);
                for ((out, inner), i) in rows {
                    for (out, j) in out.iter_mut().zip(0u64..) {
                        *out = inner ^ (u128::from(i) | u128::from(j) << 64);
                    }
                }
            }
            encrypt(&self.0, out);
            if each == 1 {
                out.iter_mut().zip(&*inner).for_each(|(out, inner)| *out ^= inner);
            } else {
                for (out, inner) in out.chunks_exact_mut(each).zip(&*inner) {
                    for out in out {
                        *out ^= inner;
                    }
                }
            }
            number += x.len() as u64;
        }
    }
}

/// Encrypts blocks in place; a block is a number, low byte first.
pub(super) fn encrypt(cipher: &Aes128Enc, blocks: &mut [u128]) {
    if cfg!(target_endian = "big") {
        for block in &mut *blocks {
            *block = block.swap_bytes();
        }
    }
    encrypt_bytes(cipher, bytemuck::cast_slice_mut(blocks));
    if cfg!(target_endian = "big") {
        for block in &mut *blocks {
            *block = block.swap_bytes();
        }
    }
}

/// The same, of blocks as two words each, the low one first.
pub(super) fn encrypt_words(cipher: &Aes128Enc, words: &mut [u64]) {
    if cfg!(target_endian = "big") {
        for word in &mut *words {
            *word = word.swap_bytes();
        }
    }
    encrypt_bytes(cipher, bytemuck::cast_slice_mut(words));
    if cfg!(target_endian = "big") {
        for word in &mut *words {
            *word = word.swap_bytes();
        }
    }
}

fn encrypt_bytes(cipher: &Aes128Enc, blocks: &mut [[u8; 16]]) {
    cipher.encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the formula, block by block.
    #[test]
    fn it_is_the_formula() {
        let key = [7; 16];
        let cipher = Aes128Enc::new(&key.into());
        let permuted = |x: u128| {
            let mut block = x.to_le_bytes().into();
            cipher.encrypt_block(&mut block);
            u128::from_le_bytes(block.into())
        };
        let x: Vec<u128> = (0..300u128).map(|i| ((i * i) << 60) ^ i).collect();
        for each in [1, 3] {
            let mut out = vec![0; x.len() * each];
            Hash::new(key).fill(&x, 99, 1 << 40, each, &mut out);
            for (i, x) in x.iter().enumerate() {
                for j in 0..each {
                    let inner = permuted(x ^ 0x63);
                    let tweak = ((1u128 << 40) + i as u128) | ((j as u128) << 64);
                    assert_eq!(out[i * each + j], permuted(inner ^ tweak) ^ inner);
                }
            }
        }
    }
}
