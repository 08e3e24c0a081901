//! Little-endian slices of 64-bit limbs: the few constant-time operations everything else is made
//! of.
//!
//! Nothing here branches or indexes on a limb's value. Lengths are public. `num-bigint` serves
//! wherever a number is public; a secret lives in limbs, because a `BigUint` neither keeps its
//! length nor is zeroised.

use num_bigint::BigUint;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

/// Secret limbs: wiped when dropped. Never pushed to, resized or extended: a vector that grows
/// moves and leaves its old buffer to the allocator as it was. [`widened`] makes a longer one.
pub(crate) type SecretLimbs = Zeroizing<Vec<u64>>;

/// `2^64` per limb.
pub(crate) const LIMB_BITS: usize = 64;

/// How many limbs hold `bits` bits.
pub(crate) const fn limbs_for(bits: usize) -> usize {
    bits.div_ceil(LIMB_BITS)
}

/// The limbs of a public number, padded to `len`. The number must fit.
pub(crate) fn from_public(x: &BigUint, len: usize) -> Vec<u64> {
    let digits = x.iter_u64_digits();
    assert!(digits.len() <= len, "a number of {} limbs does not fit in {len}", digits.len());
    let mut limbs = vec![0; len];
    limbs.iter_mut().zip(digits).for_each(|(limb, digit)| *limb = digit);
    limbs
}

/// The same number in `len` limbs, in a buffer of its own.
pub(crate) fn widened(x: &[u64], len: usize) -> SecretLimbs {
    let mut wide = Zeroizing::new(vec![0; len]);
    wide[..x.len()].copy_from_slice(x);
    wide
}

/// The number the limbs spell. From here on it is treated as public.
pub(crate) fn to_public(limbs: &[u64]) -> BigUint {
    let halves = limbs.iter().flat_map(|l| [*l as u32, (l >> 32) as u32]).collect();
    BigUint::new(halves)
}

/// `a += b`, returning the carry out of `a`'s top. `b` may be shorter; one that is longer does not
/// lose its upper limbs, in no build: `split_at_mut` stops there.
pub(crate) fn add_assign(a: &mut [u64], b: &[u64]) -> u64 {
    let mut carry = 0u64;
    let (low, high) = a.split_at_mut(b.len());
    for (x, y) in low.iter_mut().zip(b) {
        let sum = u128::from(*x) + u128::from(*y) + u128::from(carry);
        *x = sum as u64;
        carry = (sum >> 64) as u64;
    }
    for x in high {
        let sum = u128::from(*x) + u128::from(carry);
        *x = sum as u64;
        carry = (sum >> 64) as u64;
    }
    carry
}

/// `a -= b & mask`, returning the borrow (0 or 1). `b` may be shorter; `mask` is all zeros or all
/// ones. One that is longer is stopped at, as in [`add_assign`].
pub(crate) fn sub_assign_masked(a: &mut [u64], b: &[u64], mask: u64) -> u64 {
    let mut borrow = 0u64;
    let (low, high) = a.split_at_mut(b.len());
    for (x, y) in low.iter_mut().zip(b) {
        let diff =
            u128::from(*x).wrapping_sub(u128::from(*y & mask)).wrapping_sub(u128::from(borrow));
        *x = diff as u64;
        borrow = (diff >> 64) as u64 & 1;
    }
    for x in high {
        let diff = u128::from(*x).wrapping_sub(u128::from(borrow));
        *x = diff as u64;
        borrow = (diff >> 64) as u64 & 1;
    }
    borrow
}

/// `a -= b`, returning the borrow.
pub(crate) fn sub_assign(a: &mut [u64], b: &[u64]) -> u64 {
    sub_assign_masked(a, b, u64::MAX)
}

/// All ones if `bit` is 1, zero if it is 0. Through `subtle`, because a plain negation is a mask in
/// the source and may be a branch in the program: compilers recognise it (the instruction counts of
/// `tests/constant_time.rs` saw it happen).
pub(crate) fn mask(bit: u64) -> u64 {
    u64::conditional_select(&0, &u64::MAX, Choice::from(bit as u8))
}

/// All ones if `a >= b`, else zero. Equal lengths, in every build: of unlike ones the upper limbs
/// would be left out, and the verdict would be on other numbers.
pub(crate) fn ge_mask(a: &[u64], b: &[u64]) -> u64 {
    assert_eq!(a.len(), b.len(), "numbers of one length are compared");
    let mut borrow = 0u64;
    for (x, y) in a.iter().zip(b) {
        let diff = u128::from(*x).wrapping_sub(u128::from(*y)).wrapping_sub(u128::from(borrow));
        borrow = (diff >> 64) as u64 & 1;
    }
    mask(borrow ^ 1)
}

/// `a := a mod m` for `a < 2m`, returning 1 if `m` was taken off. `a` may be longer than `m`; an `m`
/// that is longer is stopped at, as in [`add_assign`].
pub(crate) fn reduce_once(a: &mut [u64], m: &[u64]) -> u64 {
    let mut borrow = 0u64;
    for (i, x) in a.iter().enumerate() {
        let y = m.get(i).copied().unwrap_or(0);
        let diff = u128::from(*x).wrapping_sub(u128::from(y)).wrapping_sub(u128::from(borrow));
        borrow = (diff >> 64) as u64 & 1;
    }
    let taken_off = borrow ^ 1;
    sub_assign_masked(a, m, mask(taken_off));
    taken_off
}

/// `acc[..a.len()] += a * b` for one limb `b`, returning the carry into the next limb.
#[inline]
pub(crate) fn add_scaled(acc: &mut [u64], a: &[u64], b: u64) -> u64 {
    let mut carry = 0u64;
    for (x, y) in acc[..a.len()].iter_mut().zip(a) {
        let t = u128::from(*y) * u128::from(b) + u128::from(*x) + u128::from(carry);
        *x = t as u64;
        carry = (t >> 64) as u64;
    }
    carry
}

/// `a * b`, in `a.len() + b.len()` limbs.
pub(crate) fn mul(a: &[u64], b: &[u64]) -> SecretLimbs {
    let mut out = Zeroizing::new(vec![0u64; a.len() + b.len()]);
    for (i, y) in b.iter().enumerate() {
        let carry = add_scaled(&mut out[i..], a, *y);
        out[i + a.len()] = carry;
    }
    out
}

/// `a <<= 1`, returning the bit shifted out.
pub(crate) fn double(a: &mut [u64]) -> u64 {
    let mut carry = 0;
    for x in a {
        let next = *x >> 63;
        *x = (*x << 1) | carry;
        carry = next;
    }
    carry
}

/// Bits `[at, at + width)` of `a`, zeros beyond its end. `width <= 32`; position and width are
/// public.
#[inline]
pub(crate) fn bits_at(a: &[u64], at: usize, width: usize) -> u64 {
    let (limb, shift) = (at / LIMB_BITS, at % LIMB_BITS);
    let low = a.get(limb).copied().unwrap_or(0) >> shift;
    let high =
        if shift == 0 { 0 } else { a.get(limb + 1).copied().unwrap_or(0) << (LIMB_BITS - shift) };
    (low | high) & ((1 << width) - 1)
}

/// `-m^{-1} mod 2^64` for odd `m`, by Newton's iteration (each step doubles the correct bits; five
/// bits are right at the start).
pub(crate) const fn negated_inverse(m: u64) -> u64 {
    let mut x = m.wrapping_mul(3) ^ 2;
    let mut step = 0;
    while step < 4 {
        x = x.wrapping_mul(2u64.wrapping_sub(m.wrapping_mul(x)));
        step += 1;
    }
    x.wrapping_neg()
}

/// Bits in the number up to its highest one: for moduli, whose size is public.
pub(crate) fn bit_length(a: &[u64]) -> usize {
    a.iter()
        .rposition(|l| *l != 0)
        .map_or(0, |i| LIMB_BITS * i + LIMB_BITS - a[i].leading_zeros() as usize)
}

/// `2^exponent mod m` for an m of `bits` bits and `exponent >= bits`, by doubling: no division sees
/// m, which may be a secret prime.
pub(crate) fn power_of_two(m: &[u64], bits: usize, exponent: usize) -> SecretLimbs {
    let mut x = Zeroizing::new(vec![0u64; m.len()]);
    x[(bits - 1) / LIMB_BITS] = 1 << ((bits - 1) % LIMB_BITS);
    for _ in bits - 1..exponent {
        double(&mut x);
        reduce_once(&mut x, m);
    }
    x
}

/// `(1 - 2^exponent) mod m` for odd m, in `[2, m]`.
pub(crate) fn one_minus_power(m: &[u64], bits: usize, exponent: usize) -> SecretLimbs {
    let mut d = Zeroizing::new(m.to_vec());
    add_assign(&mut d, &[1]);
    sub_assign(&mut d, &power_of_two(m, bits, exponent));
    d
}

/// `a >>= 1`
pub(crate) fn halve(a: &mut [u64]) {
    let mut carry = 0;
    for x in a.iter_mut().rev() {
        let next = *x << 63;
        *x = (*x >> 1) | carry;
        carry = next;
    }
}

/// Is `a` zero? Every limb is looked at.
pub(crate) fn is_zero(a: &[u64]) -> Choice {
    a.iter().fold(0, |acc, limb| acc | limb).ct_eq(&0)
}

/// True if `a < 2^bits`, without a branch on its limbs until the verdict.
pub(crate) fn fits(a: &[u64], bits: usize) -> bool {
    let beyond = a.iter().enumerate().fold(0, |acc, (i, limb)| {
        let free = bits.saturating_sub(i * LIMB_BITS);
        acc | if free >= LIMB_BITS { 0 } else { limb >> free }
    });
    beyond == 0
}
