//! Functions that are programs over exact operations: the clouds get, bit for bit, what the clear
//! engine gets, so an approximation's error is one and the same everywhere.
//!
//! Each file states its formula, range, worst error and rounds. None of them opens anything but
//! what masking, truncating and comparing open: nobody learns anything.
//!
//! Rounds are what these are built to save, so most are piecewise polynomials: all thresholds are
//! compared at once, every coefficient is then a linear function of the bits, and no power of the
//! argument is truncated on the way.

mod exponential;
mod fit;
mod inverse_root;
mod logarithm;
mod maximum;
mod normalise;
mod piecewise;
mod reciprocal;
mod sigmoid;
mod softmax;
mod steps;

pub use exponential::{exponential, exponential_rounds};
pub use inverse_root::{inverse_root, inverse_root_rounds};
pub use logarithm::{logarithm, logarithm_rounds};
pub use maximum::{argmax, max, max_and_argmax, max_rounds};
pub use normalise::{Normalised, Range, normalise, normalise_rounds};
pub use reciprocal::{reciprocal, reciprocal_rounds};
pub use sigmoid::{sigmoid, sigmoid_rounds};
pub use softmax::{cross_entropy, log_sum_exp, log_sum_exp_rounds, softmax, softmax_rounds};

use crate::engine::Engine;
use crate::error::Result;
use crate::session::{Session, Shared, Shift};
use crate::tensor::Meta;

/// Rounds of a truncation by `s` bits: digits of 4 bits, at most 4 of them folded at once.
#[must_use]
pub const fn truncation_rounds(s: u8) -> u64 {
    match s {
        0 => 0,
        1..=4 => 2,
        5..=16 => 3,
        _ => 4,
    }
}

/// The finest scale at which a cube has room.
const FINEST: u8 = 16;

/// x at a scale of at most `finest`.
fn at_most<E: Engine>(e: &mut Session<E>, x: &Shared<E>, finest: u8) -> Result<Shared<E>> {
    match x.scale().saturating_sub(finest) {
        0 => Ok(x.clone()),
        bits => e.truncate_one(x, Shift::nearest(bits)),
    }
}

/// What [`at_most`] gives and takes: meta, rounds.
const fn at_most_meta(x: Meta, finest: u8) -> (Meta, u64) {
    let bits = x.scale.saturating_sub(finest);
    if bits == 0 {
        return (x, 0);
    }
    // Rounding up can reach the power itself.
    let bound = x.bound.saturating_sub(bits) + 1;
    let bound = if bound < x.bound { bound } else { x.bound };
    (Meta { scale: finest, bound: if bound > 1 { bound } else { 1 }, ..x }, truncation_rounds(bits))
}

/// x, of scale `from`, at the scale `to`, and declared below 2^`bound`.
fn round_to<E: Engine>(e: &mut Session<E>, x: &Shared<E>, to: u8, bound: u8) -> Result<Shared<E>> {
    let rounded = match x.scale().checked_sub(to) {
        Some(0) => x.clone(),
        Some(bits) => e.truncate_one(x, Shift::nearest(bits))?,
        None => e.raise(x, to - x.scale())?,
    };
    e.declare(&rounded, bound)
}
