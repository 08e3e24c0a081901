//! ```text
//! e^x = C0 + C1 r + r² (C2 + C3 r),   r = x - m,   0 below -13
//! ```
//!
//! A scale of 15 or 16 leaves C3 so few bits that pieces must be shorter; it is 0 below -11.33.
//! Range: x in [-16, 0]; anything below gives 0. |x| < 2^30 as a ring element, at any scale; a
//! scale above 16 is first rounded to 16, which costs 2^-17 more of error.
//! Worst error: 2^-16, and half an ulp of the scale asked for. Near -11 it may be negative.
//! Rounds: compare 12 thresholds (4; 3 if |x - t| < 2^16), 2, truncate (4): 10.

use super::fit::exp;
use super::piecewise::{End, Piecewise};
use super::{FINEST, at_most, at_most_meta, round_to, steps, truncation_rounds};
use crate::engine::Engine;
use crate::error::Result;
use crate::session::{Session, Shared};
use crate::tensor::Meta;

/// Between these a cubic whose highest coefficient has 12 bits is within 1.21e-5.
const KNOTS: [f64; 13] = [
    -11.328_125,
    -9.0625,
    -7.5,
    -6.125,
    -4.843_75,
    -3.875,
    -3.031_25,
    -2.343_75,
    -1.75,
    -1.25,
    -0.781_25,
    -0.375,
    0.0,
];
/// The same with 17 bits, and within 6.1e-6 below -3.875: what is small in a sum of many.
const FINER: [f64; 13] = [
    -13.0, -9.718_75, -7.343_75, -5.843_75, -4.75, -3.875, -3.031_25, -2.343_75, -1.75, -1.25,
    -0.781_25, -0.375, 0.0,
];

/// y has this scale before it is truncated: 2^60 is what truncation leaves room for.
const OUT: u8 = 60;

/// The pieces for x at a scale.
pub(super) fn pieces(scale: u8, out: u8) -> Piecewise {
    let knots = if out >= 3 * scale + 17 { &FINER } else { &KNOTS };
    Piecewise::new(exp, knots, [End::Constant(0.0), End::Promised], 3, (scale, out))
}

/// e^x for x <= 0, at `scale`.
pub fn exponential<E: Engine>(e: &mut Session<E>, x: &Shared<E>, scale: u8) -> Result<Shared<E>> {
    let x = at_most(e, x, FINEST)?;
    let y = untruncated(e, &x, OUT)?;
    round_to(e, &y, scale, scale + 1)
}

/// The same at the scale `out`, for x at a scale of at most 16.
pub(super) fn untruncated<E: Engine>(
    e: &mut Session<E>,
    x: &Shared<E>,
    out: u8,
) -> Result<Shared<E>> {
    let pieces = pieces(x.scale(), out);
    let betas = steps::steps(e, x, &pieces.thresholds, None)?;
    pieces.cubic(e, x, &betas, out + 1)
}

/// The bits of x - t.
pub(super) fn difference_bound(x: Meta) -> u8 {
    // Thresholds stay below 2^(scale + 4).
    let t = pieces(x.scale, OUT).thresholds.iter().map(|t| steps::bits(*t)).max().unwrap_or(1);
    x.bound.max(t) + 1
}

/// Rounds of [`exponential`].
#[must_use]
pub fn exponential_rounds(x: Meta, scale: u8) -> u64 {
    let (x, before) = at_most_meta(x, FINEST);
    before
        + steps::rounds(x.scale, difference_bound(x))
        + 2
        + truncation_rounds(OUT.saturating_sub(scale))
}
