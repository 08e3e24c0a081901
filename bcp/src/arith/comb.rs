//! Exponentiation of a fixed base: the comb of Lim and Lee (More Flexible Exponentiation with
//! Precomputation, CRYPTO '94) with h teeth and v blocks.
//!
//! An exponent of l bits is read as h rows of a = ceil(l / h) bits, each row cut into v pieces of b
//! = ceil(a / v) bits:
//!
//! ```text
//! G_j[I] = prod over the bits i of I of  g^(2^(i a + j b))           0 <= j < v, 0 <= I < 2^h
//! g^e    = prod over k from b - 1 down to 0, squaring between, of
//!              prod_j G_j[ bits e_(i a + j b + k) over i ]
//! ```
//!
//! so a + b products in place of l squarings and l / 5 products. Every entry of a block is touched
//! at every look-up.

use super::kernel::Kernel;
use super::limbs;
use super::ring::{FixedBase, Group, Pair, RingOf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The powers of one base.
pub(crate) struct Comb<K: Kernel> {
    ring: Arc<RingOf<K>>,
    teeth: Teeth<K>,
}

/// The tables of a comb and how to read an exponent with them.
struct Teeth<K: Kernel> {
    blocks: Vec<K::Table>,
    /// a: bits in a row.
    row: usize,
    /// b: bits in a piece.
    piece: usize,
}

impl<K: Kernel> Comb<K> {
    /// Tables for exponents of up to `bits` bits, in a ring of one modulus.
    pub(crate) fn new(ring: Arc<RingOf<K>>, base: &[u64], bits: usize) -> Self {
        let teeth = ring.only_group().teeth(base, bits);
        Self { ring, teeth }
    }
}

impl<K: Kernel> FixedBase for Comb<K> {
    fn pow_many(&self, exponents: &[&[u64]], plaintexts: Option<&[&[u64]]>) -> Vec<Pair> {
        self.ring.each_chunk(exponents, |first, group, chunk| {
            let mut scratch = Zeroizing::new(group.kernel.scratch());
            let x = group.comb_pow(&self.teeth, chunk, &mut scratch);
            let m: Vec<_> = (0..chunk.len()).map(|i| plaintexts.map(|m| m[first + i])).collect();
            self.ring.exit(group, first, x, &m, &mut scratch)
        })
    }
}

impl<K: Kernel> Group<K> {
    fn teeth(&self, base: &[u64], bits: usize) -> Teeth<K> {
        let row = bits.div_ceil(K::TEETH);
        let piece = row.div_ceil(K::BLOCKS);
        // A modulus may be a secret prime, and these numbers give it away.
        let mut scratch = Zeroizing::new(self.kernel.scratch());

        // teeth[j][i] = g^(2^(i a + j b)), one lane's digits each
        let mut teeth = Zeroizing::new(vec![vec![Vec::new(); K::TEETH]; K::BLOCKS]);
        let mut x = self.enter(&vec![base; K::LANES], &mut scratch);
        let last = (K::TEETH - 1) * row + (K::BLOCKS - 1) * piece;
        for at in 0..=last {
            for (i, j) in (0..K::TEETH).flat_map(|i| (0..K::BLOCKS).map(move |j| (i, j))) {
                if i * row + j * piece == at {
                    teeth[j][i] = self.kernel.scatter(&x, 0);
                }
            }
            self.kernel.square(&mut x, &mut scratch);
        }

        // As many blocks at once as there are lanes.
        let one = Zeroizing::new(self.kernel.scatter(&self.one, 0));
        let mut blocks = Vec::with_capacity(K::BLOCKS);
        for some in teeth.chunks(K::LANES) {
            let tooth = |i: usize| -> K::Value {
                let lane = |lane: usize| some[lane.min(some.len() - 1)][i].as_slice();
                self.kernel.gather(&(0..K::LANES).map(lane).collect::<Vec<_>>())
            };
            let teeth = Zeroizing::new((0..K::TEETH).map(tooth).collect::<Vec<_>>());
            let mut products = Zeroizing::new(Vec::with_capacity(1 << K::TEETH));
            products.push(self.one.clone());
            for index in 1usize..1 << K::TEETH {
                let mut next = products[index & (index - 1)].clone();
                self.kernel.mul(&mut next, &teeth[index.trailing_zeros() as usize], &mut scratch);
                products.push(next);
            }
            for lane in 0..some.len() {
                let entry = |p: &K::Value| self.kernel.scatter(p, lane);
                let mut entries: Zeroizing<Vec<Vec<u64>>> =
                    Zeroizing::new(products.iter().map(entry).collect());
                entries[0].copy_from_slice(&one);
                blocks.push(self.kernel.table(&entries));
            }
        }
        Teeth { blocks, row, piece }
    }

    fn comb_pow(
        &self,
        comb: &Teeth<K>,
        exponents: &[&[u64]],
        scratch: &mut K::Scratch,
    ) -> Zeroizing<K::Value> {
        // Bits e_(i a + j b + k) over the teeth i; a piece's end that sticks out of its row counts
        // as zero, for it belongs to the next row.
        let index = |e: &[u64], j: usize, k: usize| -> u64 {
            let column = j * comb.piece + k;
            let inside = u64::from(column < comb.row);
            (0..K::TEETH).fold(0, |index, i| {
                index | (limbs::bits_at(e, i * comb.row + column, 1) & inside) << i
            })
        };
        let mut acc = Zeroizing::new(self.one.clone());
        let mut factor = Zeroizing::new(self.one.clone());
        for k in (0..comb.piece).rev() {
            if k + 1 < comb.piece {
                self.kernel.square(&mut acc, scratch);
            }
            for (j, block) in comb.blocks.iter().enumerate() {
                let digits: Zeroizing<Vec<u64>> =
                    Zeroizing::new(exponents.iter().map(|e| index(e, j, k)).collect());
                self.kernel.look_up(block, &digits, &mut factor);
                self.kernel.mul(&mut acc, &factor, scratch);
            }
        }
        acc
    }
}
