//! A tensor behind a mask: X~ = X + R. C0 has X~, C1 has R and [X].
//!
//! What C0 encrypts of X~ for products is kept: the next product with the tensor finds it here.

use super::int::{Ints, add, mul, signed};
use super::secret::{Body, Ground, Secret};
use crate::tensor::{Axis, Shape, Tensor, View, bits_of_sum, joined, viewed};
use dyad_bcp::Ciphertext;
use dyad_bcp::matrix::Int;
use std::sync::{Arc, OnceLock};

/// Beyond so many bits of R, a product masks anew instead.
pub(super) const MOST_BITS: usize = 190;

/// A secret tensor and its mask.
#[derive(Clone)]
pub struct Veil(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) x: Secret,
    /// X~ at C0, R at C1.
    pub(super) ints: Ints,
    /// Both are below 2^bits in magnitude.
    pub(super) bits: usize,
    /// May they be negative?
    pub(super) signed: bool,
    /// Of -X~, at C1: one by one, and packed row by row, as it is and transposed.
    pub(super) singles: OnceLock<Vec<Ciphertext>>,
    pub(super) packed: [OnceLock<Vec<Ciphertext>>; 2],
    /// Rows of a table, of which single ciphertexts are kept by the row.
    pub(super) rows: Option<(Table, Vec<u32>)>,
}

/// A table, masked once.
#[derive(Clone)]
pub struct Table(pub(super) Arc<Rows>);

pub(super) struct Rows {
    pub(super) veil: Veil,
    /// Of -X~, row by row, at C1.
    pub(super) singles: Vec<OnceLock<Vec<Ciphertext>>>,
}

impl Veil {
    pub(super) fn new(x: Secret, ints: Ints, bits: usize, signed: bool) -> Self {
        let packed = [OnceLock::new(), OnceLock::new()];
        let singles = OnceLock::new();
        Self(Arc::new(Inner { x, ints, bits, signed, singles, packed, rows: None }))
    }

    pub(super) fn shape(&self) -> Shape {
        self.0.x.shape
    }

    pub(super) fn ground(&self) -> &Arc<Ground> {
        &self.0.x.ground
    }

    fn map(&self, x: Secret, more: usize, ints: impl FnOnce(&[Int]) -> Vec<Int>) -> Self {
        // What is too wide for a product is not kept.
        let bits = self.0.bits + more;
        let ints = if bits > MOST_BITS { vec![] } else { ints(&self.0.ints) };
        Self::new(x, ints.into(), bits, self.0.signed)
    }
}

impl Table {
    pub(super) fn new(veil: Veil) -> Self {
        let singles = (0..veil.shape().rows).map(|_| OnceLock::new()).collect();
        Self(Arc::new(Rows { veil, singles }))
    }

    pub(super) fn rows(&self, rows: &[u32]) -> Veil {
        let view = View::Rows(rows);
        let Inner { x, ints, bits, signed, .. } = &*self.0.veil.0;
        let of = x.shape;
        let rows = Some((self.clone(), rows.to_vec()));
        let packed = [OnceLock::new(), OnceLock::new()];
        // What is too wide for a product has no numbers.
        let ints = if *bits > MOST_BITS { vec![] } else { viewed(ints, of, &view) };
        let (x, ints) = (x.view(of, &view), ints.into());
        let (bits, signed, singles) = (*bits, *signed, OnceLock::new());
        Veil(Arc::new(Inner { x, ints, bits, signed, singles, packed, rows }))
    }
}

/// Bits of a factor.
fn bits_of(k: u64) -> usize {
    (u64::BITS - (k as i64).unsigned_abs().leading_zeros()) as usize
}

impl Tensor for Veil {
    fn linear(terms: &[(u64, &Self)]) -> Self {
        let secrets: Vec<_> = terms.iter().map(|(k, x)| (*k, &x.0.x)).collect();
        let most = terms.iter().map(|(k, x)| x.0.bits + bits_of(*k)).max().unwrap_or(0);
        let bits = most + usize::from(bits_of_sum(terms.len()));
        let signed_sum = terms.iter().any(|(k, x)| x.0.signed || (*k as i64) < 0);
        let x: Secret = Tensor::linear(&secrets);
        let ints = if bits > MOST_BITS {
            vec![]
        } else {
            let entry = |i: usize| {
                terms
                    .iter()
                    .fold([0; 4], |sum, (k, x)| add(&sum, &mul(&signed(*k as i64), &x.0.ints[i])))
            };
            (0..x.shape.len()).map(entry).collect()
        };
        Self::new(x, ints.into(), bits, signed_sum)
    }

    fn weigh(&self, factors: &[u64]) -> Self {
        let more = factors.iter().map(|k| bits_of(*k)).max().unwrap_or(0);
        let weighed = self.map(self.0.x.weigh(factors), more, |ints| {
            ints.iter().zip(factors).map(|(x, k)| mul(x, &signed(*k as i64))).collect()
        });
        let negative = factors.iter().any(|k| (*k as i64) < 0);
        let Inner { x, ints, bits, signed, .. } = &*weighed.0;
        Self::new(x.clone(), ints.clone(), *bits, *signed || negative)
    }

    fn view(&self, of: Shape, view: &View<'_>) -> Self {
        self.map(self.0.x.view(of, view), 0, |ints| viewed(ints, of, view))
    }

    fn sum(&self, of: Shape, axis: Axis) -> Self {
        let (count, terms) = match axis {
            Axis::Rows => (of.cols, of.rows),
            Axis::Columns => (of.rows, of.cols),
        };
        let at = |i: usize, j: usize| match axis {
            Axis::Rows => j * of.cols + i,
            Axis::Columns => i * of.cols + j,
        };
        self.map(self.0.x.sum(of, axis), bits_of_sum(terms).into(), |ints| {
            let entry = |i| (0..terms).fold([0; 4], |sum, j| add(&sum, &ints[at(i, j)]));
            (0..count).map(entry).collect()
        })
    }

    fn join(parts: &[(&Self, Shape)], axis: Axis) -> Self {
        let secrets: Vec<_> = parts.iter().map(|(x, shape)| (&x.0.x, *shape)).collect();
        let ints: Vec<(&[Int], Shape)> =
            parts.iter().map(|(x, shape)| (&*x.0.ints, *shape)).collect();
        let bits = parts.iter().map(|(x, _)| x.0.bits).max().unwrap_or(0);
        let ints = if bits > MOST_BITS { vec![] } else { joined(&ints, axis) };
        let signed = parts.iter().any(|(x, _)| x.0.signed);
        Self::new(Tensor::join(&secrets, axis), ints.into(), bits, signed)
    }
}

/// The bits of a tensor that is nothing else, a cloud's share.
pub(super) fn bits_of_leaf(x: &Secret) -> &[u64] {
    match &x.body {
        Body::Leaf(leaf) => &leaf.bits,
        _ => unreachable!("bits are moved about and not summed"),
    }
}
