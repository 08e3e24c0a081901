//! ```text
//! z = x F in [1, 2) 2^k,   r = z - m,   1/x = F C0 + (F r)(C1 + C2 r)
//! ```
//!
//! Range: x in [2^lo, 2^hi), at most 16 octaves, -24 <= lo <= 16.
//! Worst error: 2^-16.5 of 1/x (z is rounded to 18 bits behind the point), and half an ulp of the
//! scale asked for. Where lo is above 2, x is read 2^(lo - 2) times smaller and 1/x as many times
//! larger: else C2 had no bits left.
//! Rounds: normalise (5), compare 16 thresholds and truncate z (4), 2, truncate (4): 15.

use super::fit::power;
use super::normalise::{Range, normalise, normalised_rounds, refine};
use super::piecewise::{End, Piecewise};
use super::round_to;
use crate::engine::Engine;
use crate::error::Result;
use crate::session::{Session, Shared};
use crate::tensor::Meta;

/// Between these a quadratic is within 6e-6 of 1/z, relatively.
const KNOTS: [f64; 18] = [
    1.0,
    1.011_718_75,
    1.058_593_75,
    1.105_468_75,
    1.156_25,
    1.207_031_25,
    1.261_718_75,
    1.316_406_25,
    1.375,
    1.433_593_75,
    1.496_093_75,
    1.5625,
    1.628_906_25,
    1.699_218_75,
    1.769_531_25,
    1.839_843_75,
    1.917_968_75,
    2.0,
];

/// z is rounded to this scale.
const FINE: u8 = 18;
/// Octaves z can be in.
const STEP: u8 = 1;

/// The scale before it is truncated: 1/x <= 2^-lo is then below 2^61.
fn out(range: Range) -> u8 {
    (60 + i16::from(range.lo)).min(62) as u8
}

/// By how many bits x is read smaller, and its range then. 1/x is no larger than 2^-lo, so where the
/// scale asked for allows for no more, nothing is left of it anyway.
fn nearer(range: Range, scale: u8) -> (u8, Range) {
    let by = range.lo.saturating_sub(2).clamp(0, scale.min(62) as i8);
    (by as u8, Range { lo: range.lo - by, hi: range.hi - by })
}

/// 1/x for x in a range, at `scale`.
pub fn reciprocal<E: Engine>(
    e: &mut Session<E>,
    x: &Shared<E>,
    range: Range,
    scale: u8,
) -> Result<Shared<E>> {
    let (by, range) = nearer(range, scale);
    let x = e.halve(x, by)?;
    let normalised = normalise(e, &x, range, STEP, &[])?;
    let k = power(-i32::from(range.power(STEP)));
    let scales = (normalised.z.scale().min(FINE), out(range));
    let ends = [End::Promised, End::Promised];
    let pieces = Piecewise::new(|z| k / z, &KNOTS, ends, 2, scales);
    let (z, betas) = refine(e, &normalised.z, &pieces)?;
    let bound = (i16::from(out(range)) - i16::from(range.lo) + 1) as u8;
    let y = pieces.scaled_quadratic(e, &z, &betas, &normalised.factors[0], bound)?;
    let y = e.view(&y, &crate::tensor::View::Reshape(x.shape()))?;
    let bound = i16::from(scale - by) - i16::from(range.lo) + 1;
    let y = round_to(e, &y, scale - by, bound.max(1) as u8)?;
    e.read_at(&y, scale)
}

/// Rounds of [`reciprocal`].
#[must_use]
pub fn reciprocal_rounds(x: Meta, range: Range, scale: u8) -> u64 {
    let (by, range) = nearer(range, scale);
    normalised_rounds(x.scale + by, range, STEP, out(range).saturating_sub(scale - by))
}
