//! Correlated randomness of the two clouds alone: what the dealer would deal, made by oblivious
//! transfers between them. [`Party`](crate::Party) runs on it as it runs on what is dealt.
//!
//! ```text
//! act      r = r_0 ^ r_1, each cloud's of its own stream: bits, not numbers, are sampled. Each bit
//!          is made a number by one correlated transfer; r, ρ = r >> s and M are sums of those.
//!          One-hot digits and products of bit masks are products of bits, γ and β are numbers of
//!          masks of bits, and what β gates is multiplied by it       [`recipe`], [`act`]
//! product  A B = A_0 B_0 + A_1 B_1 + A_0 B_1 + A_1 B_0; of the last two, one factor's bits choose
//!          and the other's rows are correlated                       [`product`]
//! ```
//!
//! Who learns what: each cloud its own bits and uniform shares; see [`crate::transfer`] for what
//! crosses the line. r is uniform to either, by the other's r_i. A simulator draws a cloud's shares
//! from its own stream and the messages at random.
//!
//! Transfers are begun once in an attempt and live in memory only.

mod act;
pub(crate) mod cost;
mod product;
mod recipe;

pub(crate) use act::Wanted;

use crate::engine::Product;
use crate::error::{Op, Result};
use crate::line::Line;
use crate::tensor::Shape;
use crate::transfer::{Transfers, Words};

/// One cloud's end of the making of randomness.
#[derive(Default)]
pub(crate) struct Pairwise {
    transfers: Option<Transfers>,
}

/// What was made for the acts of an operation, laid out as if it had been drawn and dealt.
pub(crate) struct Made {
    /// Shares of masks.
    pub masks: Words,
    /// Shares of what is dealt otherwise.
    pub dealt: Words,
}

impl Pairwise {
    /// The transfers; begun where they are needed first, at the same operation on both sides.
    fn transfers(&mut self, line: &mut Line, op: Op) -> Result<&mut Transfers> {
        if self.transfers.is_none() {
            self.transfers = Some(Transfers::begin(line, op)?);
        }
        // Unwrap safety: it was put there if it was not.
        Ok(self.transfers.as_mut().unwrap_or_else(|| unreachable!("just begun")))
    }

    /// This cloud's share of a product of which both have shares of the factors.
    pub(crate) fn product(
        &mut self,
        line: &mut Line,
        op: Op,
        form: Product,
        x: (&[u64], Shape),
        y: (&[u64], Shape),
        out: Shape,
    ) -> Result<Vec<u64>> {
        if product::Scaling::of(form, x.1, y.1).is_empty() {
            return Ok(crate::engine::clear::product(form, x, y, out));
        }
        product::share(self.transfers(line, op)?, line, op, form, x, y, out)
    }
}
