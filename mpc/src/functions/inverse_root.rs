//! ```text
//! z = x F in [1, 4) 2^k,   r = z - m,   1/√x = √F C0 + (√F r)(C1 + C2 r)
//! ```
//!
//! F is a power of four, so √F is as linear in the steps as F is.
//! Range: x in [2^lo, 2^hi), at most 16 octaves, -24 <= lo <= 16.
//! Worst error: 2^-16.5 of 1/√x (z is rounded to 18 bits behind the point), and half an ulp of
//! the scale asked for.
//! Rounds: normalise (5), compare 22 thresholds and truncate z (4), 2, truncate (4): 15.

use super::fit::power;
use super::normalise::{Range, normalise, normalised_rounds, refine};
use super::piecewise::{End, Piecewise};
use super::round_to;
use crate::engine::Engine;
use crate::error::Result;
use crate::session::{Session, Shared};
use crate::tensor::{Meta, View};

/// Between these a quadratic is within 8e-6 of 1/√z, relatively.
const KNOTS: [f64; 24] = [
    1.0,
    1.058_593_75,
    1.136_718_75,
    1.222_656_25,
    1.3125,
    1.406_25,
    1.507_812_5,
    1.617_187_5,
    1.726_562_5,
    1.843_75,
    1.976_562_5,
    2.117_187_5,
    2.257_812_5,
    2.386_718_75,
    2.550_781_25,
    2.679_687_5,
    2.835_937_5,
    3.015_625,
    3.144_531_25,
    3.285_156_25,
    3.445_312_5,
    3.632_812_5,
    3.847_656_25,
    4.0,
];

/// z is rounded to this scale.
const FINE: u8 = 18;
/// Octaves z can be in.
const STEP: u8 = 2;

/// The scale before it is truncated: 1/√x <= 2^(-lo/2) is then below 2^61.
fn out(range: Range) -> u8 {
    (60 + i16::from(range.lo.div_euclid(2))).min(62) as u8
}

/// 1/√x for x in a range, at `scale`.
pub fn inverse_root<E: Engine>(
    e: &mut Session<E>,
    x: &Shared<E>,
    range: Range,
    scale: u8,
) -> Result<Shared<E>> {
    let m = if range.lo < range.hi { range.intervals(STEP) } else { 1 };
    // Intervals beyond what `normalise` accepts need no true root.
    let roots: Vec<i64> = (0..m.min(62)).rev().map(|i| 1 << i).collect();
    let normalised = normalise(e, x, range, STEP, &[roots])?;
    let k = power(i32::from(range.power(STEP)));
    let scales = (normalised.z.scale().min(FINE), out(range));
    let ends = [End::Promised, End::Promised];
    let pieces = Piecewise::new(|z| 1.0 / (k * z).sqrt(), &KNOTS, ends, 2, scales);
    let (z, betas) = refine(e, &normalised.z, &pieces)?;
    let most = 1 - i16::from(range.lo.div_euclid(2));
    let bound = (i16::from(out(range)) + most) as u8;
    let y = pieces.scaled_quadratic(e, &z, &betas, &normalised.factors[1], bound)?;
    let y = e.view(&y, &View::Reshape(x.shape()))?;
    round_to(e, &y, scale, (i16::from(scale) + most).max(1) as u8)
}

/// Rounds of [`inverse_root`].
#[must_use]
pub fn inverse_root_rounds(x: Meta, range: Range, scale: u8) -> u64 {
    normalised_rounds(x.scale, range, STEP, out(range).saturating_sub(scale))
}
