//! A positive number brought to one or two octaves.
//!
//! ```text
//! β_i = -[x < 2^{lo + i step}],  i = 1 .. m-1,  m step >= hi - lo
//! F = 2^{(m-1-i) step} in interval i,   z = x F in [1, 2^step) 2^{lo + (m-1) step}
//! ```
//!
//! F is linear in the steps; z is exact.
//! Range: x in [2^lo, 2^hi), hi - lo <= 16; outside it results are meaningless, and Clear says so
//! where a declared bound breaks.
//! Nobody learns anything. Rounds: compare (4; 3 if hi and x's scale add up to 16 or less, 0 if
//! there is one interval), mask x and F (1).

use super::piecewise::Piecewise;
use super::steps::{self, apart, choose, differences, narrow, steps};
use super::truncation_rounds;
use crate::engine::Engine;
use crate::error::Result;
use crate::session::{Masked, Session, Shared, Shift};
use crate::tensor::{Shape, View};

/// x in [2^lo, 2^hi).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The lowest power of two.
    pub lo: i8,
    /// The power of two that is not reached.
    pub hi: i8,
}

impl Range {
    /// [2^lo, 2^hi)
    #[must_use]
    pub const fn new(lo: i8, hi: i8) -> Self {
        Self { lo, hi }
    }

    /// What is wrong with it, for x at a scale.
    fn fault(self, scale: u8, step: u8) -> Option<String> {
        let Self { lo, hi } = self;
        let (lo, hi, scale) = (i32::from(lo), i32::from(hi), i32::from(scale));
        let fits = lo < hi && hi - lo <= 16 && lo + scale >= 0 && (-24..=16).contains(&lo);
        // With the room of the last interval, which may reach beyond hi.
        let fits = fits && hi + i32::from(step) + scale <= 48;
        (!fits).then(|| format!("a range [2^{lo}, 2^{hi}) at scale {scale}"))
    }

    /// m
    pub(super) const fn intervals(self, step: u8) -> u8 {
        ((self.hi as i16 - self.lo as i16) as u8).div_ceil(step)
    }

    /// lo + (m-1) step: the power z is brought to.
    pub(super) const fn power(self, step: u8) -> i8 {
        (self.lo as i16 + (self.intervals(step) as i16 - 1) * step as i16) as i8
    }

    /// The scale at which z is in [1, 2^step).
    pub(super) const fn scale(self, scale: u8, step: u8) -> u8 {
        (scale as i16 + self.power(step) as i16) as u8
    }
}

/// A normalised number.
pub struct Normalised<E: Engine> {
    /// z in [1, 2^step).
    pub z: Shared<E>,
    /// `-[x < t]`, each a single row.
    pub steps: Vec<Shared<E>>,
    /// F and what else was asked for by interval, each a single row, masked.
    pub factors: Vec<Masked<E>>,
}

/// Brings x to [1, 2^step), read at the scale at which that is so. `factors` are integers for each
/// interval, the lowest first, which are masked along.
pub fn normalise<E: Engine>(
    e: &mut Session<E>,
    x: &Shared<E>,
    range: Range,
    step: u8,
    factors: &[Vec<i64>],
) -> Result<Normalised<E>> {
    if let Some(fault) = range.fault(x.scale(), step) {
        return Err(e.refusal("normalise", fault));
    }
    let (len, m) = (x.shape().len(), range.intervals(step));
    // x and the thresholds are positive, so their difference is not larger.
    let bound = (i16::from(range.hi) + i16::from(x.scale())) as u8;
    let x = e.declare(x, bound)?;
    let lowest = (i16::from(range.lo) + i16::from(x.scale())) as u8;
    let thresholds: Vec<i64> = (1..m).map(|i| 1 << (lowest + i * step)).collect();
    let betas = steps(e, &x, &thresholds, Some(bound))?;
    let powers: Vec<i64> = (0..m).rev().map(|i| 1 << (i * step)).collect();
    let mut chosen = vec![e.view(&x, &View::Reshape(Shape::new(1, len)))?];
    for values in std::iter::once(&powers).chain(factors) {
        chosen.push(choose(e, &betas, values, len, 0)?);
    }
    let mut factors = e.mask(&chosen.iter().collect::<Vec<_>>())?;
    let x = factors.remove(0);
    let z = e.multiply(&x, &factors[0])?;
    let scale = range.scale(x.scale(), step);
    let z = e.read_at(&z, scale)?;
    let z = e.declare(&z, scale + step)?;
    Ok(Normalised { z, steps: betas, factors })
}

/// Rounds of [`normalise`], for x at this scale.
#[must_use]
pub const fn normalise_rounds(scale: u8, range: Range, step: u8) -> u64 {
    match range.intervals(step) {
        1 => 1,
        _ => steps::rounds(scale, (range.hi as i16 + scale as i16) as u8) + 1,
    }
}

/// z at a scale of at most w, and where in its octaves it is: compared and truncated in the same
/// rounds.
pub(super) fn refine<E: Engine>(
    e: &mut Session<E>,
    z: &Shared<E>,
    pieces: &Piecewise,
) -> Result<(Shared<E>, Vec<Shared<E>>)> {
    let (finer, bound) = (z.scale() - pieces.scale, z.meta().bound);
    let thresholds: Vec<i64> = pieces.thresholds.iter().map(|t| t << finer).collect();
    if finer == 0 {
        return Ok((z.clone(), steps(e, z, &thresholds, Some(bound))?));
    }
    let difference = differences(e, z, &thresholds)?;
    let difference = e.declare(&difference, bound)?;
    let (difference, shift) = narrow(e, &difference)?;
    let both = e.truncate(&[(z, Shift::nearest(finer)), (&difference, shift)])?;
    let [z, betas] = &both[..] else { unreachable!("as many as were truncated") };
    let betas = e.declare(betas, 1)?;
    Ok((z.clone(), apart(e, &betas)?))
}

/// Rounds of [`refine`].
const fn refine_rounds(scale: u8, range: Range, step: u8) -> u64 {
    truncation_rounds(range.scale(scale, step) + step)
}

/// Rounds of a polynomial (2) between [`normalise`] and [`refine`], and a truncation by `cut` bits.
pub(super) const fn normalised_rounds(scale: u8, range: Range, step: u8, cut: u8) -> u64 {
    normalise_rounds(scale, range, step)
        + refine_rounds(scale, range, step)
        + 2
        + truncation_rounds(cut)
}
