//! From rows to keys: a hash that is robust against correlation, from one permutation.
//!
//! ```text
//! H(x, (i, j)) = π(π(x) ^ (i, j)) ^ π(x),   π = AES-128 under a public key
//! ```
//!
//! TMMO of Guo, Katz, Wang and Yu, "Efficient and Secure Multiparty Computation from Fixed-Key Block
//! Ciphers", S&P 2020, section 7.4: tweakable and circular correlation robust if π is a random
//! permutation. i is the number of the row in the attempt, j that of a block drawn from it: no
//! (i, j) comes twice with one offset. π is chosen anew for each pair of base transfers, from all that went
//! over the line in them, so that attacks do not add up over attempts (section 7 there).

use aes::Aes128Enc;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

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
        let mut inner = [0; AT_ONCE];
        let mut number = u128::from(first);
        for (x, out) in x.chunks(AT_ONCE).zip(out.chunks_mut(AT_ONCE * each)) {
            let inner = &mut inner[..x.len()];
            for (inner, x) in inner.iter_mut().zip(x) {
                *inner = x ^ offset;
            }
            encrypt(&self.0, inner);
            for (out, inner) in out.chunks_exact_mut(each).zip(&*inner) {
                for (j, out) in out.iter_mut().enumerate() {
                    *out = inner ^ number ^ (j as u128) << 64;
                }
                number += 1;
            }
            encrypt(&self.0, out);
            for (out, inner) in out.chunks_exact_mut(each).zip(&*inner) {
                for out in out {
                    *out ^= inner;
                }
            }
        }
    }
}

/// Encrypts blocks in place; a block is a number, low byte first.
pub(super) fn encrypt(cipher: &Aes128Enc, blocks: &mut [u128]) {
    if cfg!(target_endian = "big") {
        blocks.iter_mut().for_each(|block| *block = block.swap_bytes());
    }
    let bytes: &mut [[u8; 16]] = bytemuck::cast_slice_mut(blocks);
    cipher.encrypt_blocks(Array::cast_slice_from_core_mut(bytes));
    if cfg!(target_endian = "big") {
        blocks.iter_mut().for_each(|block| *block = block.swap_bytes());
    }
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
        let x: Vec<u128> = (0..300u128).map(|i| i * i << 60 ^ i).collect();
        for each in [1, 3] {
            let mut out = vec![0; x.len() * each];
            Hash::new(key).fill(&x, 99, 1 << 40, each, &mut out);
            for (i, x) in x.iter().enumerate() {
                for j in 0..each {
                    let inner = permuted(x ^ 99);
                    let tweak = (1u128 << 40) + i as u128 | (j as u128) << 64;
                    assert_eq!(out[i * each + j], permuted(inner ^ tweak) ^ inner);
                }
            }
        }
    }
}
