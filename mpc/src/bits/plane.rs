//! Bit-slicing: a plane holds one bit of each entry of W blocks, a block being 64 entries in one
//! word. W is 8 for most of a tensor, one vector register, and 1 for its last blocks.

use std::ops::{BitAnd, BitXor, BitXorAssign, Not};
use zeroize::Zeroize;

/// One bit of each entry of W blocks of 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Plane<const W: usize>(pub [u64; W]);

impl<const W: usize> Plane<W> {
    pub(crate) const ZERO: Self = Self([0; W]);
    pub(crate) const ONES: Self = Self([u64::MAX; W]);

    #[inline(always)]
    pub(crate) fn read(words: &[u64]) -> Self {
        Self(std::array::from_fn(|i| words[i]))
    }

    #[inline(always)]
    pub(crate) fn write(self, words: &mut [u64]) {
        words[..W].copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl<const W: usize> Zeroize for Plane<W> {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl<const W: usize> BitXor for Plane<W> {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        self.zip(other, |a, b| a ^ b)
    }
}

impl<const W: usize> BitXorAssign for Plane<W> {
    #[inline(always)]
    fn bitxor_assign(&mut self, other: Self) {
        *self = *self ^ other;
    }
}

impl<const W: usize> BitAnd for Plane<W> {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        self.zip(other, |a, b| a & b)
    }
}

impl<const W: usize> Not for Plane<W> {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        self ^ Self::ONES
    }
}

/// Bits of W blocks of entries (entry e of block w at 64 w + e, what lacks counting as 0): plane k
/// holds bit k.
#[inline(always)]
pub(crate) fn slice<const W: usize>(entries: &[u64]) -> [Plane<W>; 64] {
    let mut planes = [Plane::<W>::ZERO; 64];
    if entries.len() == 64 * W {
        for w in 0..W {
            for (plane, z) in planes.iter_mut().zip(&entries[64 * w..64 * w + 64]) {
                plane.0[w] = *z;
            }
        }
    } else {
        for (i, z) in entries.iter().enumerate() {
            planes[i % 64].0[i / 64] = *z;
        }
    }
    transpose(&mut planes);
    planes
}

/// Transposes each block's 64 by 64 bits: by halves, quarters, and so on.
#[inline(always)]
pub(crate) fn transpose<const W: usize>(rows: &mut [Plane<W>; 64]) {
    let mut half = 32;
    let mut low = u64::MAX >> 32;
    while half > 0 {
        let mut i = 0;
        while i < 64 {
            for j in i..i + half {
                let (a, b) = (rows[j], rows[j + half]);
                let swap = Plane::<W>(std::array::from_fn(|w| (a.0[w] >> half ^ b.0[w]) & low));
                rows[j + half] = b ^ swap;
                rows[j] = Plane(std::array::from_fn(|w| a.0[w] ^ swap.0[w] << half));
            }
            i += 2 * half;
        }
        half /= 2;
        low ^= low << half;
    }
}

/// Runs `work` compiled for the widest vectors of this machine.
#[inline]
pub(crate) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
        {
            // SAFETY: the machine has what the function is compiled for.
            #[allow(unsafe_code)]
            return unsafe { with_avx512(work) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has what the function is compiled for.
            #[allow(unsafe_code)]
            return unsafe { with_avx2(work) };
        }
    }
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw")]
fn with_avx512<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_holds_one_bit_of_each_entry() {
        fn check<const W: usize>(entries: usize) {
            let x: Vec<u64> =
                (0..entries as u64).map(|i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
            let planes = vectorised(|| slice::<W>(&x));
            for (k, plane) in planes.iter().enumerate() {
                for i in 0..64 * W {
                    let bit = x.get(i).map_or(0, |x| x >> k & 1);
                    assert_eq!(plane.0[i / 64] >> (i % 64) & 1, bit, "bit {k} of entry {i}");
                }
            }
        }
        check::<1>(64);
        check::<8>(512);
        check::<1>(37);
        check::<8>(500);
    }
}
