//! Products and Montgomery reduction, the hot loops of the whole system.

use super::digits::{self, ZERO};
use super::{BLOCK, Block, DIGIT_BITS, LANES};
use crate::arith::limbs::{self, SecretLimbs};
use core::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_andnot_si512, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_mask_add_epi64, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_srli_epi64,
};
use zeroize::{Zeroize, Zeroizing};

const DIGIT_MASK: i64 = (1 << DIGIT_BITS) - 1;

/// Eight moduli and what their reduction needs.
pub(super) struct Modulus {
    /// M, lane by lane.
    m: Vec<Block>,
    /// -M^{-1} mod 2^52.
    m_inv: __m512i,
    /// (1 - R) mod M: turns the complement of q into -q.
    one_minus_r: Vec<Block>,
}

impl Drop for Modulus {
    fn drop(&mut self) {
        digits::wipe(&mut self.m);
        self.m_inv.zeroize();
        digits::wipe(&mut self.one_minus_r);
    }
}

impl Modulus {
    pub(super) fn new(moduli: &[&[u64]], blocks: usize) -> Self {
        let n = blocks * BLOCK;
        let mut m_inv = [0; LANES];
        let (mut m_digits, mut d_digits) = (Vec::new(), Vec::new());
        for (lane, m) in moduli.iter().enumerate() {
            let padded = limbs::widened(m, m.len() + 1);
            let d = limbs::one_minus_power(&padded, limbs::bit_length(m), n * DIGIT_BITS);
            let mut m_lane = Zeroizing::new(vec![0; n]);
            let mut d_lane = m_lane.clone();
            digits::split(m, &mut m_lane);
            digits::split(&d, &mut d_lane);
            m_inv[lane] = limbs::negated_inverse(m[0]) & DIGIT_MASK as u64;
            m_digits.push(m_lane);
            d_digits.push(d_lane);
        }
        let gather = |lanes: &[SecretLimbs]| {
            digits::gather(&lanes.iter().map(|lane| lane.as_slice()).collect::<Vec<_>>(), blocks)
        };
        Self { m: gather(&m_digits), m_inv: digits::lanes(m_inv), one_minus_r: gather(&d_digits) }
    }

    /// x := x y R^{-1} modulo M², pairs.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn mul(&self, x: &mut [Block], y: &[Block], sums: &mut [Block]) {
        let n = self.m.len();
        let (t0, t1) = sums.split_at_mut(2 * n);
        let (x0, x1) = x.split_at(n);
        let (y0, y1) = y.split_at(n);
        t0.fill(ZERO);
        t1.fill(ZERO);
        mul_add(t0, x0, y0);
        mul_add(t1, x0, y1);
        mul_add(t1, x1, y0);
        self.finish(t0, t1, x);
    }

    /// x := x² R^{-1} modulo M², pairs.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn square(&self, x: &mut [Block], sums: &mut [Block]) {
        let n = self.m.len();
        let (t0, t1) = sums.split_at_mut(2 * n);
        let (x0, x1) = x.split_at(n);
        square_into(t0, x0);
        t1.fill(ZERO);
        mul_add(t1, x0, x1);
        for t in t1.as_flattened_mut() {
            *t = _mm512_add_epi64(*t, *t);
        }
        self.finish(t0, t1, x);
    }

    /// x := 2^e R modulo M for R in x, first components only; lane i has the exponent e_i of `bits`
    /// bits.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn power_of_two(
        &self,
        x: &mut [Block],
        exponents: &[&[u64]],
        bits: usize,
        sums: &mut [Block],
    ) {
        let n = self.m.len();
        let (x, t) = (&mut x[..n], &mut sums[..2 * n]);
        for at in (0..bits).rev() {
            square_into(t, x);
            self.reduce(t);
            let mut bit = 0u8;
            for (lane, e) in exponents.iter().enumerate() {
                bit |= (limbs::bits_at(e, at, 1) as u8) << lane;
            }
            // Doubling where the bit is set: x stays below 4M.
            for t in t[n..].as_flattened_mut() {
                *t = _mm512_mask_add_epi64(*t, bit, *t, *t);
            }
            carry(&t[n..], x);
        }
        // Out of Montgomery form: x R^{-1}.
        t.fill(ZERO);
        t[..n].copy_from_slice(x);
        self.reduce(t);
        carry(&t[n..], x);
    }

    /// From T0 = x0 y0 and T1 = x0 y1 + x1 y0 to the pair of the product.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn finish(&self, t0: &mut [Block], t1: &mut [Block], z: &mut [Block]) {
        let n = self.m.len();
        self.reduce(t0);
        // T1 - q = T1 + ~q + (1 - R)  (mod M)
        let mask = _mm512_set1_epi64(DIGIT_MASK);
        let qs = t0[..n].as_flattened().iter();
        let ds = self.one_minus_r.as_flattened().iter();
        for ((t, q), d) in t1.as_flattened_mut().iter_mut().zip(qs).zip(ds) {
            let minus_q = _mm512_add_epi64(_mm512_andnot_si512(*q, mask), *d);
            *t = _mm512_add_epi64(*t, minus_q);
        }
        self.reduce(t1);
        let (z0, z1) = z.split_at_mut(n);
        carry(&t0[n..], z0);
        carry(&t1[n..], z1);
    }

    /// t := (t + q M) / R in t's upper half, carries not yet taken; the digits of q in its lower
    /// half.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn reduce(&self, t: &mut [Block]) {
        for r in 0..self.m.len() {
            let q = self.reduce_block(&mut t[r..r + 2], &self.m[0]);
            sweep(t[r + 1..].as_flattened_mut(), &q, self.m[1..].as_flattened());
            t[r] = q;
        }
    }

    /// Ten digits of q, and the part of q M that the lowest block of M makes.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn reduce_block(&self, t: &mut [Block], m: &Block) -> Block {
        let t = t.as_flattened_mut();
        let mut q = ZERO;
        let mut window = [_mm512_setzero_si512(); BLOCK + 1];
        window[..BLOCK].copy_from_slice(&t[..BLOCK]);
        for i in 0..BLOCK {
            window[BLOCK] = t[i + BLOCK];
            let q_i = _mm512_madd52lo_epu64(_mm512_setzero_si512(), window[0], self.m_inv);
            // The lowest digit becomes zero by the choice of q: no product is needed to know what
            // it carries, the next multiple of 2^52, and so the next q waits for one product less.
            let carry = _mm512_add_epi64(window[0], _mm512_set1_epi64(DIGIT_MASK));
            let carry = _mm512_srli_epi64::<{ DIGIT_BITS as u32 }>(carry);
            let next = _mm512_madd52hi_epu64(carry, q_i, m[0]);
            for k in 1..BLOCK {
                window[k] = _mm512_madd52lo_epu64(window[k], q_i, m[k]);
            }
            for k in 1..BLOCK {
                window[k + 1] = _mm512_madd52hi_epu64(window[k + 1], q_i, m[k]);
            }
            window = up(window);
            window[0] = _mm512_add_epi64(window[0], next);
            q[i] = q_i;
        }
        t[BLOCK..].copy_from_slice(&window[..BLOCK]);
        q
    }
}

/// x := x + y, component by component, carries taken.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn add(x: &mut [Block], y: &[Block]) {
    let n = x.len() / 2;
    for (x, y) in x.chunks_exact_mut(n).zip(y.chunks_exact(n)) {
        let mut sum = x.to_vec();
        for (s, y) in sum.as_flattened_mut().iter_mut().zip(y.as_flattened()) {
            *s = _mm512_add_epi64(*s, *y);
        }
        carry(&sum, x);
        digits::wipe(&mut sum);
    }
}

/// z := t with carries taken, so that each digit is below 2^52.
#[target_feature(enable = "avx512f,avx512ifma")]
fn carry(t: &[Block], z: &mut [Block]) {
    let mask = _mm512_set1_epi64(DIGIT_MASK);
    let mut carry = _mm512_setzero_si512();
    for (t, z) in t.as_flattened().iter().zip(z.as_flattened_mut()) {
        let sum = _mm512_add_epi64(*t, carry);
        *z = _mm512_and_si512(sum, mask);
        carry = _mm512_srli_epi64::<{ DIGIT_BITS as u32 }>(sum);
    }
}

/// t += x y, digit by digit.
#[target_feature(enable = "avx512f,avx512ifma")]
fn mul_add(t: &mut [Block], x: &[Block], y: &[Block]) {
    let y = y.as_flattened();
    for (r, row) in x.iter().enumerate() {
        sweep(t[r..].as_flattened_mut(), row, y);
    }
}

/// t := x², each product of two different digits formed once.
#[target_feature(enable = "avx512f,avx512ifma")]
fn square_into(t: &mut [Block], x: &[Block]) {
    t.fill(ZERO);
    for (r, row) in x.iter().enumerate() {
        sweep(t[2 * r + 1..].as_flattened_mut(), row, x[r + 1..].as_flattened());
    }
    for (r, row) in x.iter().enumerate() {
        square_block(t[2 * r..2 * r + 2].as_flattened_mut(), row);
    }
}

/// t := 2 (t + products of different digits of x) + squares of the digits of x.
#[target_feature(enable = "avx512f,avx512ifma")]
fn square_block(t: &mut [__m512i], x: &Block) {
    let mut s = [_mm512_setzero_si512(); 2 * BLOCK];
    s.copy_from_slice(&t[..2 * BLOCK]);
    for i in 0..BLOCK {
        for k in i + 1..BLOCK {
            s[i + k] = _mm512_madd52lo_epu64(s[i + k], x[i], x[k]);
            s[i + k + 1] = _mm512_madd52hi_epu64(s[i + k + 1], x[i], x[k]);
        }
    }
    for s in &mut s {
        *s = _mm512_add_epi64(*s, *s);
    }
    for i in 0..BLOCK {
        s[2 * i] = _mm512_madd52lo_epu64(s[2 * i], x[i], x[i]);
        s[2 * i + 1] = _mm512_madd52hi_epu64(s[2 * i + 1], x[i], x[i]);
    }
    t[..2 * BLOCK].copy_from_slice(&s);
}

/// t += x y for the ten digits of x: column by column of y, with a window of eleven sums that moves
/// up by one each time, its lowest finished and stored, a new one loaded.
#[target_feature(enable = "avx512f,avx512ifma")]
fn sweep(t: &mut [__m512i], x: &Block, y: &[__m512i]) {
    let t = &mut t[..y.len() + BLOCK];
    let mut window = [_mm512_setzero_si512(); BLOCK + 1];
    window[..BLOCK].copy_from_slice(&t[..BLOCK]);
    for (j, y_j) in y.iter().enumerate() {
        window[BLOCK] = t[j + BLOCK];
        for i in 0..BLOCK {
            window[i] = _mm512_madd52lo_epu64(window[i], x[i], *y_j);
        }
        for i in 0..BLOCK {
            window[i + 1] = _mm512_madd52hi_epu64(window[i + 1], x[i], *y_j);
        }
        t[j] = window[0];
        window = up(window);
    }
    t[y.len()..].copy_from_slice(&window[..BLOCK]);
}

/// The window one digit further up. Spelled out, it is a renaming of registers; as a loop, a copy
/// in memory.
#[inline]
const fn up([_, a, b, c, d, e, f, g, h, i, j]: [__m512i; BLOCK + 1]) -> [__m512i; BLOCK + 1] {
    [a, b, c, d, e, f, g, h, i, j, j]
}
