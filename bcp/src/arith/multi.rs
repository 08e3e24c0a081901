//! Products of powers with many bases and several outputs: a matrix of residues times a secret
//! matrix of exponents.
//!
//! ```text
//! z_mj = prod_k x_mk ^ s_kj                  0 <= s_kj < 2^bits
//! ```
//!
//! By the interleaved windows of Straus (Addition chains of vectors, 1964): each base has a table
//! of its small powers, and all bases of an output share its squarings. Two ways to fill the lanes:
//!
//! - *wide*, for many columns: the lanes are outputs of one row. They share a base, so its table
//!   is looked up as a comb's is, and is built once for all columns.
//! - *tall*, for few columns: the lanes are rows. They share an exponent, each has its own bases.
//!
//! Every entry of a table is touched at every look-up; what shows is the matrices' shapes and
//! `bits`.

use super::kernel::Kernel;
use super::limbs;
use super::ring::{Group, Pair, RingOf};
use rayon::prelude::*;
use zeroize::Zeroizing;

/// Bases whose tables are kept at once: they must stay in the cache. Each lot of them has its own
/// squarings.
const LOT: usize = 40;

impl<K: Kernel> RingOf<K> {
    /// `bases` row by row, `inner` a row; `exponents` row by row, `inner` rows of `bits` bits.
    pub(super) fn matrix_pow(
        &self,
        bases: &[&[u64]],
        inner: usize,
        exponents: &[&[u64]],
        bits: usize,
    ) -> Vec<Pair> {
        let columns = exponents.len() / inner;
        let group = self.only_group();
        // What a row's base costs, in products of a full value.
        let (wide_width, wide) = cheapest(|w| {
            (1usize << w).div_ceil(K::LANES) + columns.div_ceil(K::LANES) * bits.div_ceil(w)
        });
        let (tall_width, tall) =
            cheapest(|w| ((1usize << w) + columns * bits.div_ceil(w)).div_ceil(K::LANES));
        if K::LANES == 1 || wide <= tall {
            let row = |row: &[&[u64]]| {
                let mut scratch = Zeroizing::new(group.kernel.scratch());
                let sums = group.wide(row, exponents, bits, wide_width, &mut scratch);
                let ends = (0..columns).step_by(K::LANES).zip(sums);
                ends.flat_map(|(at, x)| {
                    let lanes = (columns - at).min(K::LANES);
                    self.exit(group, 0, x, &vec![None; lanes], &mut scratch)
                })
                .collect::<Vec<_>>()
            };
            return bases.par_chunks(inner).flat_map_iter(row).collect();
        }
        let rows: Vec<&[&[u64]]> = bases.chunks(inner).collect();
        let some = |rows: &[&[&[u64]]]| {
            let mut scratch = Zeroizing::new(group.kernel.scratch());
            let sums = group.tall(rows, exponents, bits, tall_width, &mut scratch);
            let mut out: Vec<Vec<Pair>> = (0..rows.len()).map(|_| Vec::new()).collect();
            for x in sums {
                let lanes = self.exit(group, 0, x, &vec![None; rows.len()], &mut scratch);
                out.iter_mut().zip(lanes).for_each(|(row, x)| row.push(x));
            }
            out.into_iter().flatten().collect::<Vec<_>>()
        };
        rows.par_chunks(K::LANES).flat_map_iter(some).collect()
    }

    /// `prod_j x_ij ^ (2^(j width))`, `terms` factors each: by Horner's rule.
    pub(super) fn shifted_products(&self, x: &[&[u64]], terms: usize, width: usize) -> Vec<Pair> {
        let group = self.only_group();
        let rows: Vec<&[&[u64]]> = x.chunks(terms).collect();
        let some = |rows: &[&[&[u64]]]| {
            let mut scratch = Zeroizing::new(group.kernel.scratch());
            let mut column = |j: usize| {
                let entries: Vec<&[u64]> = rows.iter().map(|row| row[j]).collect();
                group.enter(&entries, &mut scratch)
            };
            let columns: Vec<_> = (0..terms).map(&mut column).collect();
            let mut columns = columns.into_iter().rev();
            let mut acc = columns.next().unwrap_or_else(|| Zeroizing::new(group.one.clone()));
            for x in columns {
                for _ in 0..width {
                    group.kernel.square(&mut acc, &mut scratch);
                }
                group.kernel.mul(&mut acc, &x, &mut scratch);
            }
            self.exit(group, 0, acc, &vec![None; rows.len()], &mut scratch)
        };
        rows.par_chunks(K::LANES).flat_map_iter(some).collect()
    }
}

/// The width of windows that costs least, and what it costs.
fn cheapest(cost: impl Fn(usize) -> usize) -> (usize, usize) {
    let all = (4..=6).map(|w| (w, cost(w)));
    all.min_by_key(|(_, cost)| *cost).unwrap_or((4, usize::MAX))
}

impl<K: Kernel> Group<K> {
    /// One row of bases with all columns of exponents: `LANES` outputs a value.
    fn wide(
        &self,
        row: &[&[u64]],
        exponents: &[&[u64]],
        bits: usize,
        width: usize,
        scratch: &mut K::Scratch,
    ) -> Vec<Zeroizing<K::Value>> {
        let columns = exponents.len() / row.len();
        let blocks = columns.div_ceil(K::LANES);
        let mut products = vec![Zeroizing::new(self.one.clone()); blocks];
        let mut factor = Zeroizing::new(self.one.clone());
        for (lot, bases) in row.chunks(LOT).enumerate() {
            let tables: Vec<K::Table> = bases
                .chunks(K::LANES)
                .flat_map(|some| {
                    let x = self.enter(some, scratch);
                    let powers = self.powers(&x, width, scratch);
                    (0..some.len())
                        .map(|lane| {
                            let entry = |p: &K::Value| self.kernel.scatter(p, lane);
                            self.kernel.table(&powers.iter().map(entry).collect::<Vec<_>>())
                        })
                        .collect::<Vec<_>>()
                })
                .collect();
            for (block, product) in products.iter_mut().enumerate() {
                let from = block * K::LANES;
                let lanes = (columns - from).min(K::LANES);
                let x = self.windows(
                    bits,
                    width,
                    scratch,
                    |w, k, out| {
                        let Some(table) = tables.get(k) else { return false };
                        let at = (lot * LOT + k) * columns + from;
                        let digit = |e: &&[u64]| limbs::bits_at(e, w * width, width);
                        let digits: Zeroizing<Vec<u64>> =
                            Zeroizing::new(exponents[at..at + lanes].iter().map(digit).collect());
                        self.kernel.look_up(table, &digits, out);
                        true
                    },
                    &mut factor,
                );
                self.kernel.mul(product, &x, scratch);
            }
        }
        products
    }

    /// Up to `LANES` rows of bases, each lane a row; one value for each column of exponents.
    fn tall(
        &self,
        rows: &[&[&[u64]]],
        exponents: &[&[u64]],
        bits: usize,
        width: usize,
        scratch: &mut K::Scratch,
    ) -> Vec<Zeroizing<K::Value>> {
        let inner = rows.first().map_or(0, |row| row.len());
        let columns = exponents.len() / inner;
        let mut products = vec![Zeroizing::new(self.one.clone()); columns];
        let mut factor = Zeroizing::new(self.one.clone());
        // A table here has eight bases side by side.
        let lot = (LOT / K::LANES).max(1);
        for from in (0..inner).step_by(lot) {
            let tables: Vec<Vec<K::Value>> = (from..inner.min(from + lot))
                .map(|k| {
                    let bases: Vec<&[u64]> = rows.iter().map(|row| row[k]).collect();
                    let x = self.enter(&bases, scratch);
                    self.powers(&x, width, scratch)
                })
                .collect();
            for (column, product) in products.iter_mut().enumerate() {
                let x = self.windows(
                    bits,
                    width,
                    scratch,
                    |w, k, out| {
                        let Some(table) = tables.get(k) else { return false };
                        let e = exponents[(from + k) * columns + column];
                        let digit = limbs::bits_at(e, w * width, width);
                        let digits = Zeroizing::new(vec![digit; K::LANES]);
                        self.kernel.select(table, &digits, out);
                        true
                    },
                    &mut factor,
                );
                self.kernel.mul(product, &x, scratch);
            }
        }
        products
    }

    /// Squarings shared by all bases; `look(w, k, factor)` fetches the power of base k that window
    /// w wants, until there is no such base.
    fn windows(
        &self,
        bits: usize,
        width: usize,
        scratch: &mut K::Scratch,
        look: impl Fn(usize, usize, &mut K::Value) -> bool,
        factor: &mut K::Value,
    ) -> Zeroizing<K::Value> {
        let mut acc = Zeroizing::new(self.one.clone());
        for w in (0..bits.div_ceil(width)).rev() {
            if w + 1 < bits.div_ceil(width) {
                for _ in 0..width {
                    self.kernel.square(&mut acc, scratch);
                }
            }
            let mut k = 0;
            while look(w, k, factor) {
                self.kernel.mul(&mut acc, factor, scratch);
                k += 1;
            }
        }
        acc
    }
}
