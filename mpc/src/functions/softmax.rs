//! ```text
//! d_i = x_i - max x,   e_i = exp d_i,   S = Σ e_i in [1, n],   R = 1/S
//! softmax_i = e_i R,   ln Σ exp x_i = max x + ln S
//! ```
//!
//! S is at most n, so 1/S and ln S are cubics between thresholds; there are few rows to compare
//! for, so there may be many. The comparisons of S and the truncation of e share their rounds, if S
//! has room before e is truncated (3 f + log2 n <= 48 for x at scale f; else 4 rounds more).
//! Range: rows of up to 2^10 entries, |x| < 2^29 as a ring element, at any scale; a scale above 16
//! is first rounded to 16.
//! Worst error: softmax (n + 2) 2^-16 and half an ulp of the scale asked for: each e_i may be off
//! by 2^-16 the same way. Log-sum-exp (n + 1) 2^-16 and half an ulp.
//! Nobody learns anything.
//! Rounds: max (7 for n <= 16), exp (4 + 2), truncate e and compare S (4), 2; softmax then
//! truncates R (4), masks e and R (1) and truncates their product (4): 28; log-sum-exp truncates
//! ln S (4): 23.

use super::exponential::{difference_bound, pieces as exponents};
use super::fit::ln;
use super::maximum::{max, max_rounds};
use super::normalise::refine;
use super::piecewise::{End, Piecewise};
use super::steps::{self, apart, differences, narrow, steps};
use super::{FINEST, at_most, at_most_meta, round_to, truncation_rounds};
use crate::engine::Engine;
use crate::error::Result;
use crate::session::{Session, Shared, Shift};
use crate::tensor::{Axis, Meta, Shape, View};

/// e and R have this scale when they are multiplied.
const FACTOR: u8 = 24;
/// S has this scale in the cubics of 1/S and of ln S: their room differs by the size of ln S.
const SUM: [u8; 2] = [16, 15];
/// The scales of 1/S <= 1 and of ln S < 7 before they are truncated.
const OUT: [u8; 2] = [60, 57];
/// Most entries in a row.
const MOST: usize = 1 << 10;

/// 2^bits >= n
fn bits_of(n: usize) -> u8 {
    (usize::BITS - n.saturating_sub(1).leading_zeros()) as u8
}

/// The scale of e before it is truncated, such that S has room at that scale too, if it can.
fn room(scale: u8, n: usize) -> Option<u8> {
    (3 * scale + bits_of(n) <= 48).then(|| 60 - bits_of(n))
}

/// Where S is compared: pieces as long as a seventh of S, and at most 1.
fn knots(n: usize) -> Vec<f64> {
    let mut knots = vec![1.0];
    let mut at = 1.0;
    // Two pieces at least: what follows counts on something to compare.
    while at < n as f64 || knots.len() < 3 {
        at += ((at / 7.0 * 64.0_f64).round() / 64.0).min(1.0);
        knots.push(at);
    }
    knots
}

/// What a row's exponentials give.
struct Exponentials<E: Engine> {
    /// At the scale [`FACTOR`].
    e: Shared<E>,
    /// f(S), before it is truncated.
    y: Shared<E>,
    max: Shared<E>,
}

/// Exponentials, and a function of their sum: 1/S or ln S.
fn exponentials<E: Engine>(
    session: &mut Session<E>,
    x: &Shared<E>,
    which: usize,
) -> Result<Exponentials<E>> {
    let n = x.shape().cols;
    if n == 0 || n > MOST {
        let fault = format!("rows of {n} entries: 1 to {MOST} are taken");
        return Err(session.refusal("softmax", fault));
    }
    let max = max(session, x)?;
    let repeated = session.view(&max, &View::RepeatColumn(n))?;
    let d = session.sub(x, &repeated)?;
    let room = room(x.scale(), n);
    let out = room.unwrap_or(60);
    let e = {
        let pieces = exponents(x.scale(), out);
        let betas = steps(session, &d, &pieces.thresholds, None)?;
        pieces.cubic(session, &d, &betas, out + 1)?
    };
    let functions = [|s: f64| 1.0 / s, ln];
    let scales = (SUM[which], OUT[which]);
    let ends = [End::Promised, End::Promised];
    let pieces = Piecewise::new(functions[which], &knots(n), ends, 3, scales);
    let (e, s, betas) = if room.is_some() {
        let s = session.sum(&e, Axis::Columns)?;
        let s = session.declare(&s, 61)?;
        let finer = out - pieces.scale;
        let thresholds: Vec<i64> = pieces.thresholds.iter().map(|t| t << finer).collect();
        let z = differences(session, &s, &thresholds)?;
        let z = session.declare(&z, 61)?;
        let (z, all) = narrow(session, &z)?;
        let shift = Shift::nearest(out - FACTOR);
        let three = session.truncate(&[(&e, shift), (&s, Shift::nearest(finer)), (&z, all)])?;
        let [e, s, betas] = &three[..] else { unreachable!("as many as were truncated") };
        let betas = session.declare(betas, 1)?;
        (e.clone(), s.clone(), apart(session, &betas)?)
    } else {
        let e = session.truncate_one(&e, Shift::nearest(out - FACTOR))?;
        let s = session.sum(&e, Axis::Columns)?;
        let s = session.declare(&s, sum_bound(n))?;
        let (s, betas) = refine(session, &s, &pieces)?;
        (e, s, betas)
    };
    let y = pieces.cubic(session, &s, &betas, 61)?;
    Ok(Exponentials { e, y, max })
}

/// S at the scale [`FACTOR`] is below 2 to this: a little more than n fits.
fn sum_bound(n: usize) -> u8 {
    FACTOR + bits_of(n) + 1
}

fn exponentials_rounds(x: Meta) -> u64 {
    let n = x.shape.cols;
    // d has one bit more than x.
    let d = Meta { bound: x.bound + 1, ..x };
    let compare = steps::rounds(x.scale, difference_bound(d));
    let sum = match room(x.scale, n) {
        Some(_) => 4,
        None => 4 + truncation_rounds(sum_bound(n)),
    };
    max_rounds(x) + compare + 2 + sum + 2
}

/// e^x_i / Σ e^x_j of each row, at `scale`.
pub fn softmax<E: Engine>(session: &mut Session<E>, x: &Shared<E>, scale: u8) -> Result<Shared<E>> {
    let x = at_most(session, x, FINEST)?;
    let Exponentials { e, y, .. } = exponentials(session, &x, 0)?;
    let r = round_to(session, &y, FACTOR, FACTOR + 1)?;
    let masked = session.mask(&[&e, &r])?;
    let [e, r] = &masked[..] else { unreachable!("as many as were masked") };
    let r = session.view_masked(r, &View::RepeatColumn(x.shape().cols))?;
    let p = session.multiply(e, &r)?;
    round_to(session, &p, scale, scale + 1)
}

/// Rounds of [`softmax`].
#[must_use]
pub fn softmax_rounds(x: Meta, scale: u8) -> u64 {
    let (x, before) = at_most_meta(x, FINEST);
    let last = truncation_rounds((2 * FACTOR).saturating_sub(scale));
    before + exponentials_rounds(x) + truncation_rounds(OUT[0] - FACTOR) + 1 + last
}

/// ln Σ e^x_j of each row, as a column, at x's scale (at most 16).
pub fn log_sum_exp<E: Engine>(session: &mut Session<E>, x: &Shared<E>) -> Result<Shared<E>> {
    let x = at_most(session, x, FINEST)?;
    let Exponentials { y, max, .. } = exponentials(session, &x, 1)?;
    let y = round_to(session, &y, x.scale(), x.scale() + 4)?;
    session.add(&max, &y)
}

/// Rounds of [`log_sum_exp`].
#[must_use]
pub fn log_sum_exp_rounds(x: Meta) -> u64 {
    let (x, before) = at_most_meta(x, FINEST);
    before + exponentials_rounds(x) + truncation_rounds(OUT[1] - x.scale)
}

/// The cross-entropy ln Σ e^x_j - Σ t_j x_j of each row, as a column, at x's scale (at most 16);
/// the targets t are numbers 0 and 1 at scale 0. Rounds: those of [`log_sum_exp`] and 1.
pub fn cross_entropy<E: Engine>(
    session: &mut Session<E>,
    x: &Shared<E>,
    t: &Shared<E>,
) -> Result<Shared<E>> {
    let x = at_most(session, x, FINEST)?;
    let all = log_sum_exp(session, &x)?;
    let masked = session.mask(&[&x, t])?;
    let [mx, t] = &masked[..] else { unreachable!("as many as were masked") };
    let hit = session.multiply(mx, t)?;
    let hit = session.sum(&hit, Axis::Columns)?;
    debug_assert_eq!(hit.shape(), Shape::new(x.shape().rows, 1));
    session.sub(&all, &hit)
}
