//! Many values in one plaintext.
//!
//! A plaintext of |N| - 1 usable bits is cut into slots of l + sigma + 2 bits: l value bits, sigma
//! bits that a statistical blind exceeds the value by, two for carries. Slots never spill over: a
//! slot holds any sum that stays below 2^(l + sigma + 2), four numbers of l + sigma bits for
//! instance, or a value and three blinds.
//!
//! ```text
//! u = x + 2^{l-1} in [0, 2^l)                  a signed value in a slot; out of range is refused
//! M = sum u_j 2^{j (l + sigma + 2)}            sums of plaintexts are sums slot by slot
//! ```
//!
//! A blind R uniform in [0, 2^{l+sigma}) hides u up to statistical distance 2^-sigma. Distances add
//! up over all values a job blinds: [`SlotLayout::allows`] refuses a job whose total exceeds 2^-40.
//!
//! That is for one value of l bits to a blind. A sum of k such values, which the carries leave room
//! for, reaches k times as far: one blind hides it up to k 2^-sigma, and it counts as k values.

use crate::arith::limbs::{self, SecretLimbs};
use crate::params::PublicParams;
use crate::plaintext::Plaintext;
use crate::{Error, Result, random};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// sigma unless a job says otherwise.
pub const STATISTICAL_BITS: usize = 80;
/// The statistical distance a whole job may add up to is 2 to the minus this.
const JOB_DISTANCE_BITS: usize = 40;
/// Bits for carries in each slot.
const CARRY_BITS: usize = 2;
/// Limbs of a slot's number.
const SLOT_LIMBS: usize = 4;

/// How plaintexts are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotLayout {
    value_bits: usize,
    blind_bits: usize,
    slots: usize,
    plaintext_limbs: usize,
}

/// The number in one slot, below 2^(l + sigma + 2). Wiped when dropped, compared in constant time,
/// not printable. A slot lies in its vector itself: one that grows leaves its old slots behind
/// unwiped, so give it its capacity first.
#[derive(Clone)]
pub struct Slot([u64; SLOT_LIMBS]);

impl PartialEq for Slot {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Slot {}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot(redacted)")
    }
}

impl SlotLayout {
    /// Slots for values of `value_bits` bits (1 to 66: 64-bit values, and sums of a few shares of
    /// them) with blinds `blind_bits` longer (at most 128).
    pub fn new(params: &PublicParams, value_bits: usize, blind_bits: usize) -> Result<Self> {
        if !(1..=66).contains(&value_bits) {
            return Err(Error::Packing("values have 1 to 66 bits"));
        }
        if blind_bits > 128 {
            return Err(Error::Packing("blinds are at most 128 bits longer than values"));
        }
        let slots = (params.bits() - 1) / (value_bits + blind_bits + CARRY_BITS);
        if slots == 0 {
            return Err(Error::Packing(
                "no slot of this width fits below N; use a larger key or a smaller blind",
            ));
        }
        Ok(Self { value_bits, blind_bits, slots, plaintext_limbs: params.len() })
    }

    /// Values per plaintext.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Bits per slot.
    #[must_use]
    pub fn width(&self) -> usize {
        self.value_bits + self.blind_bits + CARRY_BITS
    }

    /// May a job blind this many values, each of l bits with a blind of its own? A sum of k values
    /// under one blind counts as k.
    #[must_use]
    pub fn allows(&self, blinded_values: u64) -> bool {
        // blinded_values 2^-sigma <= 2^-40
        match self.blind_bits.checked_sub(JOB_DISTANCE_BITS) {
            None => blinded_values == 0,
            Some(bits) => u128::from(blinded_values) <= 1u128 << bits,
        }
    }

    /// u = x + 2^{l-1} for a signed value of l bits (l <= 64).
    pub fn offset(&self, values: &[i64]) -> Result<Vec<Slot>> {
        let l = self.value_bits.min(64);
        let half = 1i128 << (l - 1);
        let u = |x: &i64| i128::from(*x) + half;
        // All ranges first: a vector that can stop short grows, and leaves slots behind as it does.
        if let Some(index) = values.iter().position(|x| !(0..2 * half).contains(&u(x))) {
            let limit = "a value fits in the layout's value bits";
            return Err(Error::OutOfRange { index, limit });
        }
        Ok(values.iter().map(|x| Slot([u(x) as u64, 0, 0, 0])).collect())
    }

    /// The value in a slot that holds a sum of `terms` offset values: the sum itself, if it fits in
    /// 64 bits.
    #[must_use]
    pub fn value(&self, slot: &Slot, terms: u32) -> Option<i64> {
        let l = self.value_bits.min(64);
        let mut sum = slot.0;
        // x = u - terms 2^{l-1}, in two's complement of 256 bits
        let offsets = u128::from(terms) << (l - 1);
        limbs::sub_assign(&mut sum, &[offsets as u64, (offsets >> 64) as u64, 0, 0]);
        let x = sum[0] as i64;
        let sign = (x >> 63) as u64;
        // Every limb is looked at before the verdict.
        let beyond = sum[1..].iter().fold(0, |acc, limb| acc | (limb ^ sign));
        sum.zeroize();
        (beyond == 0).then_some(x)
    }

    /// 2^{l + sigma}: above every blind, so that u - R + 2^{l + sigma} is never negative.
    #[must_use]
    pub fn blind_bound(&self) -> Slot {
        let bit = self.value_bits + self.blind_bits;
        let mut slot = Slot([0; SLOT_LIMBS]);
        slot.0[bit / limbs::LIMB_BITS] = 1 << (bit % limbs::LIMB_BITS);
        slot
    }

    /// Uniform in [0, 2^{l + sigma}).
    pub fn blind(&self) -> Result<Slot> {
        let x = random::bits(&mut random::os(), self.value_bits + self.blind_bits)?;
        let mut slot = Slot([0; SLOT_LIMBS]);
        slot.0[..x.len()].copy_from_slice(&x);
        Ok(slot)
    }

    /// Slots into plaintexts, as many as it takes. A number too large for its slot is refused.
    pub fn pack(&self, slots: &[Slot]) -> Result<Vec<Plaintext>> {
        if let Some(index) = slots.iter().position(|s| !limbs::fits(&s.0, self.width())) {
            return Err(Error::OutOfRange { index, limit: "a slot holds l + sigma + 2 bits" });
        }
        let plaintext = |slots: &[Slot]| {
            let mut m: SecretLimbs = Zeroizing::new(vec![0; self.plaintext_limbs]);
            for (j, slot) in slots.iter().enumerate() {
                or_shifted(&mut m, &slot.0, j * self.width());
            }
            Plaintext::from_limbs(m)
        };
        Ok(slots.chunks(self.slots).map(plaintext).collect())
    }

    /// The first `count` slots of a run of plaintexts. What lies beyond them must be zero.
    pub fn unpack(&self, plaintexts: &[Plaintext], count: usize) -> Result<Vec<Slot>> {
        if plaintexts.len() != count.div_ceil(self.slots) {
            return Err(Error::Length {
                expected: count.div_ceil(self.slots),
                found: plaintexts.len(),
            });
        }
        let mut slots = Vec::with_capacity(count);
        for (index, m) in plaintexts.iter().enumerate() {
            let here = (count - slots.len()).min(self.slots);
            if m.limbs().len() != self.plaintext_limbs
                || !limbs::fits(m.limbs(), here * self.width())
            {
                return Err(Error::OutOfRange {
                    index,
                    limit: "a packed plaintext has nothing beyond its slots",
                });
            }
            slots.extend((0..here).map(|j| self.slot(m.limbs(), j)));
        }
        Ok(slots)
    }

    fn slot(&self, m: &[u64], j: usize) -> Slot {
        let mut slot = Slot([0; SLOT_LIMBS]);
        for piece in 0..self.width().div_ceil(32) {
            let bits = (self.width() - 32 * piece).min(32);
            let x = limbs::bits_at(m, j * self.width() + 32 * piece, bits);
            slot.0[piece / 2] |= x << (32 * (piece % 2));
        }
        slot
    }
}

impl Slot {
    /// A number of up to 64 bits.
    #[must_use]
    pub fn from_u64(x: u64) -> Self {
        Self([x, 0, 0, 0])
    }

    /// The number modulo 2^64: what a ring share is made of.
    #[must_use]
    pub fn low_u64(&self) -> u64 {
        self.0[0]
    }

    /// The sum; [`SlotLayout::pack`] refuses it if it outgrows its slot. Sums stop at 2^256 - 1,
    /// which no slot holds.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        let stop = limbs::mask(limbs::add_assign(&mut sum.0, &other.0));
        sum.0.iter_mut().for_each(|limb| *limb |= stop);
        sum
    }

    /// The difference, or nothing if it is negative.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Option<Self> {
        let mut difference = self.clone();
        (limbs::sub_assign(&mut difference.0, &other.0) == 0).then_some(difference)
    }
}

/// m |= x << at
fn or_shifted(m: &mut [u64], x: &[u64], at: usize) {
    let (limb, shift) = (at / limbs::LIMB_BITS, at % limbs::LIMB_BITS);
    for (i, x) in x.iter().enumerate() {
        if let Some(m) = m.get_mut(limb + i) {
            *m |= x << shift;
        }
        if let (Some(m), true) = (m.get_mut(limb + i + 1), shift > 0) {
            *m |= x >> (limbs::LIMB_BITS - shift);
        }
    }
}
