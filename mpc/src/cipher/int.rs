//! Integers of a few words in two's complement: blinds, blinded values, and sums of their products.
//! No operation branches on a value.

use dyad_bcp::matrix::Int;
use std::ops::Deref;
use zeroize::Zeroize;

/// Room for a sum of products of two [`Int`]s.
pub(super) type Wide = [u64; 8];

/// Integers of a tensor, row by row; wiped when dropped.
#[derive(Clone, Default)]
pub(super) struct Ints(Vec<Int>);

impl From<Vec<Int>> for Ints {
    fn from(ints: Vec<Int>) -> Self {
        Self(ints)
    }
}

impl Ints {
    /// Room for so many: one that grows would leave what it held behind.
    pub(super) fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    pub(super) fn push(&mut self, x: Int) {
        self.0.push(x);
    }

    /// These too; there is room for them.
    pub(super) fn append(&mut self, mut ints: Vec<Int>) {
        self.0.extend_from_slice(&ints);
        ints.zeroize();
    }
}

impl Deref for Ints {
    type Target = [Int];
    fn deref(&self) -> &[Int] {
        &self.0
    }
}

impl Drop for Ints {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A signed number.
pub(super) const fn signed<const L: usize>(x: i64) -> [u64; L] {
    let mut out = [(x >> 63) as u64; L];
    out[0] = x as u64;
    out
}

/// 2^bit
pub(super) const fn power<const L: usize>(bit: usize) -> [u64; L] {
    let mut out = [0; L];
    out[bit / 64] = 1 << (bit % 64);
    out
}

/// The same number in more words.
pub(super) fn widened<const S: usize, const L: usize>(x: &[u64; S]) -> [u64; L] {
    let mut out = [((x[S - 1] as i64) >> 63) as u64; L];
    out[..S].copy_from_slice(x);
    out
}

/// A number that is not negative in more words.
pub(super) fn unsigned<const S: usize, const L: usize>(x: &[u64; S]) -> [u64; L] {
    let mut out = [0; L];
    out[..S].copy_from_slice(x);
    out
}

pub(super) fn add<const L: usize>(x: &[u64; L], y: &[u64; L]) -> [u64; L] {
    let (mut out, mut carry) = ([0; L], 0);
    for i in 0..L {
        let sum = u128::from(x[i]) + u128::from(y[i]) + carry;
        out[i] = sum as u64;
        carry = sum >> 64;
    }
    out
}

pub(super) fn neg<const L: usize>(x: &[u64; L]) -> [u64; L] {
    let mut one = [0; L];
    one[0] = 1;
    add(&std::array::from_fn(|i| !x[i]), &one)
}

pub(super) fn sub<const L: usize>(x: &[u64; L], y: &[u64; L]) -> [u64; L] {
    add(x, &neg(y))
}

/// The low words of the product.
pub(super) fn mul<const L: usize>(x: &[u64; L], y: &[u64; L]) -> [u64; L] {
    let mut out = [0; L];
    for i in 0..L {
        let mut carry = 0;
        for j in 0..L - i {
            let t = u128::from(x[i]) * u128::from(y[j]) + u128::from(out[i + j]) + carry;
            out[i + j] = t as u64;
            carry = t >> 64;
        }
    }
    out
}

/// x where the bit is set, else 0.
pub(super) fn gated<const L: usize>(bit: u64, x: &[u64; L]) -> [u64; L] {
    let mask = std::hint::black_box(bit).wrapping_neg();
    std::array::from_fn(|i| x[i] & mask)
}

/// x, or -x where the bit is set.
pub(super) fn flipped<const L: usize>(bit: u64, x: &[u64; L]) -> [u64; L] {
    let mask = std::hint::black_box(bit).wrapping_neg();
    let mut low = [0; L];
    low[0] = bit;
    add(&std::array::from_fn(|i| x[i] ^ mask), &low)
}

/// x >> s as a number that is not negative; s below 64.
pub(super) fn shifted<const L: usize>(x: &[u64; L], s: u8) -> [u64; L] {
    if s == 0 {
        return *x;
    }
    let above = |i: usize| if i + 1 < L { x[i + 1] << (64 - s) } else { 0 };
    std::array::from_fn(|i| x[i] >> s | above(i))
}

/// The low `bits` bits of the lowest word, all of it for 64.
pub(super) const fn low(x: u64, bits: u8) -> u64 {
    if bits == 64 { x } else { x & ((1 << bits) - 1) }
}

/// Bit `at`.
pub(super) const fn bit(x: &Int, at: u8) -> u64 {
    x[at as usize / 64] >> (at % 64) & 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_count_as_longer_integers_do() {
        let samples = [0i64, 1, -1, 77, i64::MAX, i64::MIN, -123_456_789_012];
        let wide =
            |x: i128| -> [u64; 3] { [x as u64, (x >> 64) as u64, ((x >> 127) as i64) as u64] };
        for x in samples {
            for y in samples {
                let (a, b) = (signed::<3>(x), signed::<3>(y));
                let (x, y) = (i128::from(x), i128::from(y));
                assert_eq!(add(&a, &b), wide(x + y));
                assert_eq!(sub(&a, &b), wide(x - y));
                assert_eq!(mul(&a, &b), wide(x * y));
                for bit in [0, 1] {
                    assert_eq!(gated(bit, &a), wide(x * i128::from(bit)));
                    assert_eq!(flipped(bit, &a), wide(x * (1 - 2 * i128::from(bit))));
                }
                assert_eq!(widened::<3, 5>(&a)[..3], a);
            }
        }
        let x: Int = [5 << 60, 3, 1 << 63, 9];
        assert_eq!(shifted(&x, 0), x);
        assert_eq!(shifted(&x, 61), [5 << 60 >> 61 | 3 << 3, 0, 1 << 2 | 9 << 3, 0]);
        assert_eq!((bit(&x, 60), bit(&x, 64), bit(&x, 191)), (1, 1, 1));
        assert_eq!((low(u64::MAX, 64), low(u64::MAX, 3)), (u64::MAX, 7));
        assert_eq!(power::<4>(130), [0, 0, 4, 0]);
    }
}
