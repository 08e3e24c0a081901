//! Exponentiation of many bases by fixed windows: the same squarings, products and look-ups
//! whatever the exponents are. Only their common length in bits shows.

use super::kernel::Kernel;
use super::limbs;
use super::ring::{Group, Pair, RingOf};
use zeroize::Zeroizing;

/// Bits per window: 2^5 powers of each base are kept.
const WINDOW: usize = 5;

impl<K: Kernel> RingOf<K> {
    /// `bases[i] ^ exponents[i mod exponents.len()]`, exponents of `bits` bits.
    pub(super) fn windowed_pow_many(
        &self,
        bases: &[&[u64]],
        exponents: &[&[u64]],
        bits: usize,
    ) -> Vec<Pair> {
        self.each_chunk(bases, |first, group, chunk| {
            let exponents: Vec<&[u64]> =
                (first..first + chunk.len()).map(|i| exponents[i % exponents.len()]).collect();
            let mut scratch = Zeroizing::new(group.kernel.scratch());
            let x = group.enter(chunk, &mut scratch);
            let x = group.pow(&x, &exponents, bits, &mut scratch);
            self.exit(group, first, x, &vec![None; chunk.len()], &mut scratch)
        })
    }
}

impl<K: Kernel> Group<K> {
    fn pow(
        &self,
        x: &K::Value,
        exponents: &[&[u64]],
        bits: usize,
        scratch: &mut K::Scratch,
    ) -> Zeroizing<K::Value> {
        let powers = Zeroizing::new(self.powers(x, WINDOW, scratch));
        let digits = |at: usize| -> Zeroizing<Vec<u64>> {
            Zeroizing::new(exponents.iter().map(|e| limbs::bits_at(e, at, WINDOW)).collect())
        };
        let mut windows = (0..bits.div_ceil(WINDOW)).rev();
        let mut acc = Zeroizing::new(self.one.clone());
        let mut factor = Zeroizing::new(self.one.clone());
        if let Some(top) = windows.next() {
            self.kernel.select(&powers, &digits(top * WINDOW), &mut acc);
        }
        for w in windows {
            for _ in 0..WINDOW {
                self.kernel.square(&mut acc, scratch);
            }
            self.kernel.select(&powers, &digits(w * WINDOW), &mut factor);
            self.kernel.mul(&mut acc, &factor, scratch);
        }
        acc
    }

    /// x^0 .. x^(2^width - 1)
    pub(super) fn powers(
        &self,
        x: &K::Value,
        width: usize,
        scratch: &mut K::Scratch,
    ) -> Vec<K::Value> {
        let mut powers = vec![self.one.clone(), x.clone()];
        for i in 2..1 << width {
            let mut next = powers[i / 2].clone();
            self.kernel.square(&mut next, scratch);
            if i % 2 == 1 {
                self.kernel.mul(&mut next, x, scratch);
            }
            powers.push(next);
        }
        powers
    }
}
