//! Many thresholds at once.
//!
//! ```text
//! β = (x - t) >> s = -[x < t],   |x - t| < 2^s
//! ```
//!
//! A number that is known to be small is compared by truncating all of it away, which takes fewer
//! digits than its sign as a ring element does; beyond 2^32 the sign is cheaper.
//! Nobody learns anything. Rounds: those of a truncation by s, at most 4.

use super::truncation_rounds;
use crate::engine::Engine;
use crate::error::Result;
use crate::session::{Session, Shared, Shift};
use crate::tensor::{Meta, Shape, View};

/// Where the sign becomes cheaper than a truncation.
const NARROW: u8 = 32;

/// The shift that leaves nothing but the sign.
const fn shift(meta: Meta) -> u8 {
    if meta.bound > meta.scale { meta.bound } else { meta.scale }
}

/// Rounds of comparing numbers z of this scale, |z| < 2^bound.
pub(super) const fn rounds(scale: u8, bound: u8) -> u64 {
    truncation_rounds(shift(Meta::new(1, 1, scale, bound)))
}

/// What is truncated to leave `-[z < 0]`.
pub(super) fn narrow<E: Engine>(e: &mut Session<E>, z: &Shared<E>) -> Result<(Shared<E>, Shift)> {
    let s = shift(z.meta());
    Ok((e.halve(z, s - z.scale())?, Shift::floor(s)))
}

/// `-[z < 0]` at scale 0.
pub(super) fn below_zero<E: Engine>(e: &mut Session<E>, z: &Shared<E>) -> Result<Shared<E>> {
    if shift(z.meta()) <= NARROW {
        let (z, shift) = narrow(e, z)?;
        let beta = e.truncate_one(&z, shift)?;
        return e.declare(&beta, 1);
    }
    let bits = e.not_negative(&[z])?;
    let bits = bits.iter().map(|b| e.number(b)).collect::<Result<Vec<_>>>()?;
    let minus = filled(e, z.shape(), 0, -1)?;
    // One comparison gives one tensor of bits.
    let beta = bits.iter().try_fold(minus, |sum, b| e.add(&sum, b))?;
    e.declare(&beta, 1)
}

/// x - t for each t: as many rows as thresholds, x row by row in each.
pub(super) fn differences<E: Engine>(
    e: &mut Session<E>,
    x: &Shared<E>,
    thresholds: &[i64],
) -> Result<Shared<E>> {
    let (len, count) = (x.shape().len(), thresholds.len());
    let x = e.view(x, &View::Reshape(Shape::new(1, len)))?;
    let x = e.view(&x, &View::RepeatRow(count))?;
    let bound = thresholds.iter().map(|t| bits(*t)).max().unwrap_or(1);
    let t = e.public(Meta::new(count, 1, x.scale(), bound), thresholds)?;
    let t = e.view(&t, &View::RepeatColumn(len))?;
    e.sub(&x, &t)
}

/// The rows apart.
pub(super) fn apart<E: Engine>(e: &mut Session<E>, betas: &Shared<E>) -> Result<Vec<Shared<E>>> {
    (0..betas.shape().rows as u32).map(|row| e.view(betas, &View::Rows(&[row]))).collect()
}

/// `-[x < t]` for each t, each a single row at scale 0. |x - t| < 2^`bound`, if that is known.
pub(super) fn steps<E: Engine>(
    e: &mut Session<E>,
    x: &Shared<E>,
    thresholds: &[i64],
    bound: Option<u8>,
) -> Result<Vec<Shared<E>>> {
    if thresholds.is_empty() {
        return Ok(vec![]);
    }
    let mut z = differences(e, x, thresholds)?;
    if let Some(bound) = bound {
        z = e.declare(&z, bound)?;
    }
    let betas = below_zero(e, &z)?;
    apart(e, &betas)
}

/// The public number that belongs to the interval an entry is in, as a single row. Interval i is
/// below threshold i: v = v_J + Σ β_i (v_{i+1} - v_i), linear in the steps.
pub(super) fn choose<E: Engine>(
    e: &mut Session<E>,
    betas: &[Shared<E>],
    values: &[i64],
    len: usize,
    scale: u8,
) -> Result<Shared<E>> {
    let last = values.last().copied().unwrap_or(0);
    let last = filled(e, Shape::new(1, len), 0, last)?;
    let mut terms = vec![(1, &last)];
    terms.extend(betas.iter().zip(values.windows(2)).map(|(beta, v)| (v[1] - v[0], beta)));
    let chosen = e.linear(&terms)?;
    let chosen = e.halve(&chosen, scale)?;
    e.declare(&chosen, values.iter().map(|v| bits(*v)).max().unwrap_or(1))
}

/// One public number everywhere.
pub(super) fn filled<E: Engine>(
    e: &mut Session<E>,
    shape: Shape,
    scale: u8,
    value: i64,
) -> Result<Shared<E>> {
    // One entry repeated: the hash of the operations need not go through all of them.
    let one = e.constant(Meta::new(1, 1, scale, bits(value)), value)?;
    let all = e.view(&one, &View::RepeatColumn(shape.len()))?;
    e.view(&all, &View::Reshape(shape))
}

/// |v| < 2^bits
pub(super) const fn bits(v: i64) -> u8 {
    let bits = (u64::BITS - v.unsigned_abs().leading_zeros()) as u8;
    if bits == 0 { 1 } else { bits }
}
