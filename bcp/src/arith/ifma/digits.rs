//! Between 64-bit limbs, digits of 52 bits, and eight lanes of them.

use super::{BLOCK, Block, DIGIT_BITS, LANES};
use core::arch::x86_64::__m512i;
use zeroize::Zeroize;

/// Eight zeros, ten times.
pub(super) const ZERO: Block = [zero(); BLOCK];

const fn zero() -> __m512i {
    lanes([0; LANES])
}

/// A vector of eight given lanes.
pub(super) const fn lanes(x: [u64; LANES]) -> __m512i {
    // SAFETY: both are 64 bytes for which every bit pattern is valid.
    unsafe { core::mem::transmute(x) }
}

/// The eight lanes of a vector.
pub(super) const fn unpack(x: __m512i) -> [u64; LANES] {
    // SAFETY: both are 64 bytes for which every bit pattern is valid.
    unsafe { core::mem::transmute(x) }
}

/// Overwrites with zeros, for good.
pub(super) fn wipe(blocks: &mut [Block]) {
    blocks.as_flattened_mut().iter_mut().for_each(Zeroize::zeroize);
}

/// 64-bit limbs to digits; the number must fit.
pub(super) fn split(limbs: &[u64], digits: &mut [u64]) {
    for (i, digit) in digits.iter_mut().enumerate() {
        let at = i * DIGIT_BITS;
        let (limb, shift) = (at / 64, at % 64);
        let low = limbs.get(limb).copied().unwrap_or(0) >> shift;
        let high = if shift > 64 - DIGIT_BITS {
            limbs.get(limb + 1).copied().unwrap_or(0) << (64 - shift)
        } else {
            0
        };
        *digit = (low | high) & ((1 << DIGIT_BITS) - 1);
    }
}

/// Digits to 64-bit limbs.
pub(super) fn join(digits: &[u64]) -> Vec<u64> {
    let mut limbs = vec![0; (digits.len() * DIGIT_BITS).div_ceil(64)];
    for (i, digit) in digits.iter().enumerate() {
        let at = i * DIGIT_BITS;
        let (limb, shift) = (at / 64, at % 64);
        limbs[limb] |= digit << shift;
        if shift > 64 - DIGIT_BITS {
            limbs[limb + 1] |= digit >> (64 - shift);
        }
    }
    limbs
}

/// One slice of digits per lane, as blocks.
pub(super) fn gather(slices: &[&[u64]], blocks: usize) -> Vec<Block> {
    let digit = |i: usize| {
        let mut x = [0; LANES];
        for (lane, digits) in x.iter_mut().zip(slices) {
            *lane = digits[i];
        }
        lanes(x)
    };
    (0..blocks).map(|b| core::array::from_fn(|i| digit(b * BLOCK + i))).collect()
}

/// The digits of one lane.
pub(super) fn scatter(blocks: &[Block], lane: usize) -> Vec<u64> {
    blocks.as_flattened().iter().map(|x| unpack(*x)[lane]).collect()
}
