//! ```text
//! 1/(1 + e^-x) = C0 + C1 r + r² (C2 + C3 r),   r = x - m,   0 below -11.33, 1 above 11.33
//! ```
//!
//! Range: any x, |x| < 2^30 as a ring element, at any scale; a scale above 16 is first rounded to
//! 16, which costs 2^-19 more of error.
//! Worst error: 2^-16, and half an ulp of the scale asked for.
//! Rounds: compare 20 thresholds (4; 3 if |x - t| < 2^16), 2, truncate (4): 10. The sign alone
//! would halve the thresholds, but comparing with it first would take 5 rounds more.

use super::fit::exp;
use super::piecewise::{End, Piecewise};
use super::{FINEST, at_most, at_most_meta, round_to, steps, truncation_rounds};
use crate::engine::Engine;
use crate::error::Result;
use crate::session::{Session, Shared};
use crate::tensor::Meta;

/// And their opposites.
const KNOTS: [f64; 10] =
    [0.468_75, 1.093_75, 1.75, 2.906_25, 3.8125, 4.75, 6.125, 7.5, 9.0625, 11.328_125];

const OUT: u8 = 60;

fn pieces(scale: u8) -> Piecewise {
    let knots: Vec<f64> = KNOTS.iter().rev().map(|t| -t).chain(KNOTS).collect();
    let ends = [End::Constant(0.0), End::Constant(1.0)];
    Piecewise::new(|x| 1.0 / (1.0 + exp(-x)), &knots, ends, 3, (scale, OUT))
}

/// 1/(1 + e^-x), at `scale`.
pub fn sigmoid<E: Engine>(e: &mut Session<E>, x: &Shared<E>, scale: u8) -> Result<Shared<E>> {
    let x = at_most(e, x, FINEST)?;
    let pieces = pieces(x.scale());
    let betas = steps::steps(e, &x, &pieces.thresholds, None)?;
    let y = pieces.cubic(e, &x, &betas, OUT + 1)?;
    round_to(e, &y, scale, scale + 1)
}

/// Rounds of [`sigmoid`].
#[must_use]
pub fn sigmoid_rounds(x: Meta, scale: u8) -> u64 {
    let (x, before) = at_most_meta(x, FINEST);
    // As with the exponential: the outermost knot is the same.
    let bound = super::exponential::difference_bound(x);
    before + steps::rounds(x.scale, bound) + 2 + truncation_rounds(OUT.saturating_sub(scale))
}
