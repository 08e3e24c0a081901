//! ```text
//! z = x F in [1, 2) 2^k,   ln x = ln(z 2^-k) + (lo + i) ln 2 in interval i
//! ln z = C0 + C1 r + r² (C2 + C3 r),   r = z - m
//! ```
//!
//! Range: x in [2^lo, 2^hi), at most 16 octaves, -24 <= lo <= 16.
//! Worst error: 2^-17 (z is rounded to 17 bits behind the point), and half an ulp of the scale
//! asked for.
//! Rounds: normalise (5), compare 7 thresholds and truncate z (4), 2, truncate (4): 15.

use super::fit::ln;
use super::normalise::{Range, normalise, normalised_rounds, refine};
use super::piecewise::{End, Piecewise};
use super::round_to;
use super::steps::{bits, choose};
use crate::engine::Engine;
use crate::error::Result;
use crate::session::{Session, Shared};
use crate::tensor::{Meta, View};

/// Between these a cubic whose highest coefficient has 5 bits is within 2e-6.
const KNOTS: [f64; 9] = [1.0, 1.125, 1.25, 1.375, 1.5, 1.625, 1.75, 1.875, 2.0];

/// z is rounded to this scale.
const FINE: u8 = 17;
/// Octaves z can be in.
const STEP: u8 = 1;

/// |ln x| < 2^most: ln 2 is below 0.7, and a bit more here is one less for the cubic's coefficients.
fn most(range: Range) -> u8 {
    bits(i64::from(range.lo.unsigned_abs().max(range.hi.unsigned_abs())) * 7 / 10)
}

/// The scale before it is truncated: ln x is then below 2^61.
fn out(range: Range) -> u8 {
    61 - most(range)
}

/// ln x for x in a range, at `scale`.
pub fn logarithm<E: Engine>(
    e: &mut Session<E>,
    x: &Shared<E>,
    range: Range,
    scale: u8,
) -> Result<Shared<E>> {
    let normalised = normalise(e, x, range, STEP, &[])?;
    let out = out(range);
    let scales = (normalised.z.scale().min(FINE), out);
    let ends = [End::Promised, End::Promised];
    let pieces = Piecewise::new(ln, &KNOTS, ends, 3, scales);
    let (z, betas) = refine(e, &normalised.z, &pieces)?;
    let y = pieces.cubic(e, &z, &betas, out + 1)?;
    let unit = super::fit::power(out.into());
    let octaves: Vec<i64> = (range.lo..range.hi)
        .map(|i| (f64::from(i) * std::f64::consts::LN_2 * unit).round() as i64)
        .collect();
    let octave = choose(e, &normalised.steps, &octaves, x.shape().len(), out)?;
    let y = e.add(&y, &octave)?;
    let y = e.declare(&y, 61)?;
    let y = e.view(&y, &View::Reshape(x.shape()))?;
    round_to(e, &y, scale, scale + most(range) + 1)
}

/// Rounds of [`logarithm`].
#[must_use]
pub fn logarithm_rounds(x: Meta, range: Range, scale: u8) -> u64 {
    normalised_rounds(x.scale, range, STEP, out(range).saturating_sub(scale))
}
