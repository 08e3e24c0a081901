//! The area under the receiver's curve for two classes: the share of pairs of a row of class 1 and
//! one of class 0 whose scores are in this order, equal ones counted half.
//!
//! ```text
//! pairs   g_ij = [s_i >= s_j] of all pairs, d_i = Σ_j g_ij - Σ_j g_ji
//!         2 U = P N + Σ_{i of 1, j of 0} (g_ij - g_ji) = P N + Σ_i y_i d_i
//!         (the sum over j of 1 as well, as g_ij - g_ji is antisymmetric)
//! bins    g_ib = [s_i >= t_b], C_b = Σ_i y_i g_ib rows of class 1 in bin b or above
//!         C'_b of class 0
//!         2 U = Σ_b (C_b - C_{b+1}) (2N - C'_b - C'_{b+1})
//! ```
//!
//! Opened are P and Σ y d (pairs), or P, 2 U and the pairs within a bin (bins): half of those
//! is the most by which bins can be wrong.

use super::inner;
use dyad_mpc::engine::{Engine, Transpose};
use dyad_mpc::tensor::{Axis, Meta, View};
use dyad_mpc::{Result, Session, Shared};

/// Rows up to which all pairs are compared.
pub(crate) const PAIRS: usize = 4000;
/// Bins for more rows than that, of scores from -[`SPAN`] to [`SPAN`]; the outermost have no end.
const BINS: usize = 1000;
const SPAN: f64 = 8.0;
/// Comparisons at once.
const AT_ONCE: usize = 1 << 20;

/// What is to be opened. Scores and labels are columns; labels are 0 and 1 at scale 0.
pub(crate) fn area<E: Engine>(
    session: &mut Session<E>,
    scores: &Shared<E>,
    y: &Shared<E>,
) -> Result<Vec<Shared<E>>> {
    if scores.shape().rows <= PAIRS { pairs(session, scores, y) } else { bins(session, scores, y) }
}

fn pairs<E: Engine>(
    session: &mut Session<E>,
    scores: &Shared<E>,
    y: &Shared<E>,
) -> Result<Vec<Shared<E>>> {
    let n = scores.shape().rows;
    let all = session.view(scores, &View::Transpose)?;
    let mut ahead = Vec::new();
    let mut behind = None;
    let rows: Vec<u32> = (0..n as u32).collect();
    for rows in rows.chunks((AT_ONCE / n).max(1)) {
        let some = session.view(scores, &View::Rows(rows))?;
        let some = session.view(&some, &View::RepeatColumn(n))?;
        let others = session.view(&all, &View::RepeatRow(rows.len()))?;
        let g = at_least(session, &some, &others)?;
        ahead.push(session.sum(&g, Axis::Columns)?);
        let more = session.sum(&g, Axis::Rows)?;
        behind = Some(match behind {
            Some(sum) => session.add(&sum, &more)?,
            None => more,
        });
    }
    let ahead: Vec<_> = ahead.iter().collect();
    let ahead = session.join(&ahead, Axis::Rows)?;
    let Some(behind) = behind else { return Ok(Vec::new()) };
    let behind = session.view(&behind, &View::Transpose)?;
    let d = session.sub(&ahead, &behind)?;
    let masked = session.mask(&[&d, y])?;
    let [d, masked_y] = &masked[..] else { unreachable!("as many as were masked") };
    let order = inner(session, d, masked_y)?;
    Ok(vec![session.sum(y, Axis::Rows)?, order])
}

fn bins<E: Engine>(
    session: &mut Session<E>,
    scores: &Shared<E>,
    y: &Shared<E>,
) -> Result<Vec<Shared<E>>> {
    let n = scores.shape().rows;
    let unit = f64::from(scores.scale()).exp2();
    let step = 2.0 * SPAN / BINS as f64;
    // Above the first, which all reach.
    let bounds: Vec<i64> =
        (1..BINS).map(|b| ((step * b as f64 - SPAN) * unit).round() as i64).collect();
    let meta = Meta::new(1, bounds.len(), scores.scale(), scores.scale() + 4);
    let bounds = session.public(meta, &bounds)?;
    // Rows of each class that reach a bound; the last bound nobody reaches.
    let (mut ones, mut all) = (None, None);
    let rows: Vec<u32> = (0..n as u32).collect();
    for rows in rows.chunks((AT_ONCE / BINS).max(1)) {
        let some = session.view(scores, &View::Rows(rows))?;
        let some = session.view(&some, &View::RepeatColumn(BINS - 1))?;
        let bounds = session.view(&bounds, &View::RepeatRow(rows.len()))?;
        let g = at_least(session, &some, &bounds)?;
        let y = session.view(y, &View::Rows(rows))?;
        let masked = session.mask(&[&y, &g])?;
        let [y, masked_g] = &masked[..] else { unreachable!("as many as were masked") };
        let more = session.matmul(y, masked_g, Transpose::First)?;
        let both = session.sum(&g, Axis::Rows)?;
        (ones, all) = match (ones, all) {
            (Some(ones), Some(all)) => {
                (Some(session.add(&ones, &more)?), Some(session.add(&all, &both)?))
            }
            _ => (Some(more), Some(both)),
        };
    }
    let (Some(ones), Some(all)) = (ones, all) else { return Ok(Vec::new()) };
    let zeros = session.sub(&all, &ones)?;
    let count = session.sum(y, Axis::Rows)?;
    let rows = session.constant(count.meta(), n as i64)?;
    let rest = session.sub(&rows, &count)?;
    let ones = Reached::new(session, &count, &ones)?;
    let zeros = Reached::new(session, &rest, &zeros)?;
    let inside = [ones.inside(session)?, zeros.inside(session)?];
    // 2N - C'_b - C'_{b+1}
    let twice = session.view(&rest, &View::RepeatColumn(BINS))?;
    let below = session.linear(&[(2, &twice), (-1, &zeros.from), (-1, &zeros.beyond)])?;
    let masked = session.mask(&[&inside[0], &inside[1], &below])?;
    let [ones, zeros, below] = &masked[..] else { unreachable!("as many as were masked") };
    Ok(vec![count, inner(session, ones, below)?, inner(session, ones, zeros)?])
}

/// For each bin, how many rows of a class are in it or above, and how many above.
struct Reached<E: Engine> {
    from: Shared<E>,
    beyond: Shared<E>,
}

impl<E: Engine> Reached<E> {
    fn new(session: &mut Session<E>, count: &Shared<E>, reached: &Shared<E>) -> Result<Self> {
        let from = session.join(&[count, reached], Axis::Columns)?;
        let none = session.constant(count.meta(), 0)?;
        Ok(Self { from, beyond: session.join(&[reached, &none], Axis::Columns)? })
    }

    fn inside(&self, session: &mut Session<E>) -> Result<Shared<E>> {
        session.sub(&self.from, &self.beyond)
    }
}

/// [x >= y] as numbers.
fn at_least<E: Engine>(
    session: &mut Session<E>,
    x: &Shared<E>,
    y: &Shared<E>,
) -> Result<Shared<E>> {
    let difference = session.sub(x, y)?;
    let bits = session.not_negative(&[&difference])?;
    let [bit] = &bits[..] else { unreachable!("one in, one out") };
    session.number(bit)
}
