//! Piecewise polynomials.
//!
//! ```text
//! r = x - m,   y = C0 + C1 r + r² (C2 + C3 r)
//! ```
//!
//! m and the C are public numbers of each piece, so they are linear in the steps β. Products with
//! masked factors are exact and need no message, and nothing is truncated on the way.
//! Nobody learns anything. Rounds: 2 (mask r, C1, C3; mask r², C2 + C3 r), after the comparisons.

use super::fit::{Polynomial, fit};
use super::steps::choose;
use crate::engine::Engine;
use crate::error::Result;
use crate::session::{Masked, Session, Shared};
use crate::tensor::{Shape, View};

/// Polynomials between thresholds.
#[derive(Clone, Debug)]
pub(super) struct Piecewise {
    /// x's scale.
    pub scale: u8,
    /// y's scale.
    pub out: u8,
    /// At `scale`, ascending.
    pub thresholds: Vec<i64>,
    /// One more than thresholds.
    pub pieces: Vec<Polynomial>,
}

/// What holds at an end.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// x is not beyond it.
    Promised,
    /// The function is taken for this constant beyond it.
    Constant(f64),
}

impl Piecewise {
    /// Fits f between neighbouring knots.
    pub(super) fn new(
        f: impl Fn(f64) -> f64,
        knots: &[f64],
        ends: [End; 2],
        degree: usize,
        (scale, out): (u8, u8),
    ) -> Self {
        let mut pieces: Vec<_> = knots
            .windows(2)
            .map(|ends| fit(&f, (ends[0], ends[1]), degree, (scale, out)))
            .collect();
        let unit = super::fit::power(scale.into());
        let mut thresholds: Vec<_> = knots.iter().map(|t| (t * unit).round() as i64).collect();
        let constant = |value: f64| {
            let value = (value * super::fit::power(out.into())).round();
            Polynomial { m: 0, c: [value as i64, 0, 0, 0] }
        };
        match ends[1] {
            End::Constant(value) => pieces.push(constant(value)),
            End::Promised => drop(thresholds.pop()),
        }
        match ends[0] {
            End::Constant(value) => pieces.insert(0, constant(value)),
            End::Promised => drop(thresholds.remove(0)),
        }
        Self { scale, out, thresholds, pieces }
    }

    /// The k-th coefficient of the piece an entry is in, as a single row.
    pub(super) fn coefficient<E: Engine>(
        &self,
        e: &mut Session<E>,
        betas: &[Shared<E>],
        k: u8,
        len: usize,
    ) -> Result<Shared<E>> {
        let values: Vec<i64> = self.pieces.iter().map(|p| p.c[usize::from(k)]).collect();
        choose(e, betas, &values, len, self.out - k * self.scale)
    }

    /// r = x - m, as a single row.
    pub(super) fn rest<E: Engine>(
        &self,
        e: &mut Session<E>,
        x: &Shared<E>,
        betas: &[Shared<E>],
    ) -> Result<Shared<E>> {
        let len = x.shape().len();
        let x = e.view(x, &View::Reshape(Shape::new(1, len)))?;
        let values: Vec<i64> = self.pieces.iter().map(|p| p.m).collect();
        let m = choose(e, betas, &values, len, self.scale)?;
        e.sub(&x, &m)
    }

    /// y at the scale `out`, in the shape of x; |y| < 2^`bound`.
    pub(super) fn cubic<E: Engine>(
        &self,
        e: &mut Session<E>,
        x: &Shared<E>,
        betas: &[Shared<E>],
        bound: u8,
    ) -> Result<Shared<E>> {
        let len = x.shape().len();
        let r = self.rest(e, x, betas)?;
        let [c0, c1, c2, c3] = [0, 1, 2, 3].map(|k| self.coefficient(e, betas, k, len));
        let (c0, c1, c2, c3) = (c0?, c1?, c2?, c3?);
        let masked = e.mask(&[&r, &c1, &c3])?;
        let [r, c1, c3] = &masked[..] else { unreachable!("as many as were masked") };
        let square = e.multiply(r, r)?;
        let c1r = e.multiply(c1, r)?;
        let c3r = e.multiply(c3, r)?;
        let upper = e.add(&c2, &c3r)?;
        let masked = e.mask(&[&square, &upper])?;
        let [square, upper] = &masked[..] else { unreachable!("as many as were masked") };
        let upper = e.multiply(square, upper)?;
        let y = e.linear(&[(1, &c0), (1, &c1r), (1, &upper)])?;
        let y = e.declare(&y, bound)?;
        e.view(&y, &View::Reshape(x.shape()))
    }

    /// F y at the scale `out`, for y quadratic (C3 = 0) and F masked, an integer, a single row:
    ///
    /// ```text
    /// F y = F C0 + (F r)(C1 + C2 r)
    /// ```
    ///
    /// |F y| < 2^`bound`. Rounds: 2 (mask r, C0, C2; mask F r, C1 + C2 r).
    pub(super) fn scaled_quadratic<E: Engine>(
        &self,
        e: &mut Session<E>,
        x: &Shared<E>,
        betas: &[Shared<E>],
        factor: &Masked<E>,
        bound: u8,
    ) -> Result<Shared<E>> {
        let len = x.shape().len();
        let r = self.rest(e, x, betas)?;
        let c0 = self.coefficient(e, betas, 0, len)?;
        let c1 = self.coefficient(e, betas, 1, len)?;
        let c2 = self.coefficient(e, betas, 2, len)?;
        let masked = e.mask(&[&r, &c0, &c2])?;
        let [r, c0, c2] = &masked[..] else { unreachable!("as many as were masked") };
        let lowest = e.multiply(factor, c0)?;
        let fr = e.multiply(factor, r)?;
        let c2r = e.multiply(c2, r)?;
        let upper = e.add(&c1, &c2r)?;
        let masked = e.mask(&[&fr, &upper])?;
        let [fr, upper] = &masked[..] else { unreachable!("as many as were masked") };
        let upper = e.multiply(fr, upper)?;
        let y = e.add(&lowest, &upper)?;
        let y = e.declare(&y, bound)?;
        e.view(&y, &View::Reshape(x.shape()))
    }
}
