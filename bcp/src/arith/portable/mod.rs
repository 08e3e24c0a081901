//! The backend for every machine: 64-bit limbs, one residue at a time, no branch and no index on
//! data.

use crate::arith::kernel::{Kernel, SPARE_BITS};
use crate::arith::limbs::{self, SecretLimbs, add_scaled, negated_inverse};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Arithmetic modulo the square of one odd modulus.
pub(crate) struct Portable {
    /// M.
    m: SecretLimbs,
    /// -M^{-1} mod 2^64.
    m_inv: u64,
    /// (1 - R) mod M: turns the complement of q into -q.
    one_minus_r: SecretLimbs,
}

impl Drop for Portable {
    fn drop(&mut self) {
        self.m_inv.zeroize();
    }
}

impl Portable {
    fn n(&self) -> usize {
        self.m.len()
    }

    /// t := (t + q M) / R in t's upper half, q in t's lower half.
    fn reduce(&self, t: &mut [u64]) {
        let n = self.n();
        let mut carry = 0;
        for i in 0..n {
            let q = t[i].wrapping_mul(self.m_inv);
            let over = add_scaled(&mut t[i..], &self.m, q);
            // Limb i is zero now: keep q there.
            t[i] = q;
            let sum = u128::from(t[i + n]) + u128::from(over) + u128::from(carry);
            t[i + n] = sum as u64;
            carry = (sum >> 64) as u64;
        }
    }

    /// From T0 = x0 y0 in `t0` and T1 = x0 y1 + x1 y0 in `t1` to the pair of the product.
    fn finish(&self, t0: &mut [u64], t1: &mut [u64], z: &mut [u64]) {
        let n = self.n();
        self.reduce(t0);
        // T1 - q = T1 + ~q + (1 - R)  (mod M)
        for q in &mut t0[..n] {
            *q = !*q;
        }
        limbs::add_assign(t1, &t0[..n]);
        limbs::add_assign(t1, &self.one_minus_r);
        self.reduce(t1);
        z[..n].copy_from_slice(&t0[n..]);
        z[n..].copy_from_slice(&t1[n..]);
    }
}

/// t := x², each product of two different limbs formed once.
fn square_into(t: &mut [u64], x: &[u64]) {
    t.fill(0);
    let n = x.len();
    for i in 0..n {
        let carry = add_scaled(&mut t[2 * i + 1..], &x[i + 1..], x[i]);
        t[i + n] = carry;
    }
    limbs::double(t);
    let mut carry = 0u64;
    for i in 0..n {
        let square = u128::from(x[i]) * u128::from(x[i]);
        let low = u128::from(t[2 * i]) + u128::from(square as u64) + u128::from(carry);
        t[2 * i] = low as u64;
        let high = u128::from(t[2 * i + 1]) + (square >> 64) + (low >> 64);
        t[2 * i + 1] = high as u64;
        carry = (high >> 64) as u64;
    }
}

/// t += x y; the sum must fit in t.
fn mul_add(t: &mut [u64], x: &[u64], y: &[u64]) {
    let n = x.len();
    let mut carry = 0;
    for (i, y) in y.iter().enumerate() {
        let over = add_scaled(&mut t[i..], x, *y);
        let sum = u128::from(t[i + n]) + u128::from(over) + u128::from(carry);
        t[i + n] = sum as u64;
        carry = (sum >> 64) as u64;
    }
}

impl Kernel for Portable {
    type Value = Vec<u64>;
    type Table = Zeroizing<Vec<u64>>;
    type Scratch = Vec<u64>;

    const LANES: usize = 1;
    // The look-up reads a whole block per product: 32 entries keep it at a sixth of the product's
    // time.
    const TEETH: usize = 5;
    const BLOCKS: usize = 32;

    fn new(moduli: &[&[u64]]) -> Self {
        let m = moduli[0];
        let bits = limbs::bit_length(m);
        let n = limbs::limbs_for(bits + SPARE_BITS);
        // Moduli of unlike lengths come padded, perhaps beyond n.
        let padded = limbs::widened(&m[..m.len().min(n)], n);
        let one_minus_r = limbs::one_minus_power(&padded, bits, n * limbs::LIMB_BITS);
        Self { m_inv: negated_inverse(padded[0]), m: padded, one_minus_r }
    }

    fn digits(&self) -> usize {
        self.n()
    }

    fn digit_bits(&self) -> usize {
        limbs::LIMB_BITS
    }

    fn split(&self, limbs: &[u64], digits: &mut [u64]) {
        for (i, digit) in digits.iter_mut().enumerate() {
            *digit = limbs.get(i).copied().unwrap_or(0);
        }
    }

    fn join(&self, digits: &[u64]) -> Vec<u64> {
        digits.to_vec()
    }

    fn gather(&self, lanes: &[&[u64]]) -> Self::Value {
        lanes[0].to_vec()
    }

    fn scatter(&self, x: &Self::Value, _lane: usize) -> Vec<u64> {
        x.clone()
    }

    fn scratch(&self) -> Self::Scratch {
        vec![0; 4 * self.n()]
    }

    fn mul(&self, x: &mut Self::Value, y: &Self::Value, scratch: &mut Self::Scratch) {
        let (t0, t1) = scratch.split_at_mut(2 * self.n());
        let ((x0, x1), (y0, y1)) = (x.split_at(self.n()), y.split_at(self.n()));
        t0.fill(0);
        mul_add(t0, x0, y0);
        t1.fill(0);
        mul_add(t1, x0, y1);
        mul_add(t1, x1, y0);
        self.finish(t0, t1, x);
    }

    fn square(&self, x: &mut Self::Value, scratch: &mut Self::Scratch) {
        let (t0, t1) = scratch.split_at_mut(2 * self.n());
        let (x0, x1) = x.split_at(self.n());
        square_into(t0, x0);
        t1.fill(0);
        mul_add(t1, x0, x1);
        limbs::double(t1);
        self.finish(t0, t1, x);
    }

    fn add(&self, x: &mut Self::Value, y: &Self::Value) {
        let n = self.n();
        limbs::add_assign(&mut x[..n], &y[..n]);
        limbs::add_assign(&mut x[n..], &y[n..]);
    }

    fn power_of_two(
        &self,
        x: &mut Self::Value,
        exponents: &[&[u64]],
        bits: usize,
        scratch: &mut Self::Scratch,
    ) {
        let n = self.n();
        let (x, t) = (&mut x[..n], &mut scratch[..2 * n]);
        for at in (0..bits).rev() {
            square_into(t, x);
            self.reduce(t);
            // Doubling where the bit is set: x stays below 4M.
            let mask = limbs::mask(limbs::bits_at(exponents[0], at, 1));
            let mut carry = 0;
            for (x, t) in x.iter_mut().zip(&t[n..]) {
                let doubled = t & mask;
                let sum = u128::from(*t) + u128::from(doubled) + u128::from(carry);
                *x = sum as u64;
                carry = (sum >> 64) as u64;
            }
        }
        t[n..].fill(0);
        t[..n].copy_from_slice(x);
        self.reduce(t);
        x.copy_from_slice(&t[n..]);
    }

    fn select(&self, table: &[Self::Value], digits: &[u64], out: &mut Self::Value) {
        scan(table.iter().map(Vec::as_slice), digits[0], out);
    }

    fn table(&self, entries: &[Vec<u64>]) -> Self::Table {
        Zeroizing::new(entries.concat())
    }

    fn look_up(&self, table: &Self::Table, digits: &[u64], out: &mut Self::Value) {
        scan(table.chunks_exact(2 * self.n()), digits[0], out);
    }
}

/// out := the entry at `index`, found by reading them all.
fn scan<'a>(entries: impl Iterator<Item = &'a [u64]>, index: u64, out: &mut [u64]) {
    out.fill(0);
    for (e, entry) in entries.enumerate() {
        let mask = limbs::mask((e as u64).ct_eq(&index).unwrap_u8().into());
        for (o, x) in out.iter_mut().zip(entry) {
            *o |= x & mask;
        }
    }
}
