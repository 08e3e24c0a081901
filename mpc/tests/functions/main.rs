//! Functions: worst errors over their ranges, bits on shares equal to those in the clear, rounds.
#![allow(clippy::unwrap_used)]

mod agree;
mod near;
mod whole;

use dyad_mpc::engine::{Audience, Engine};
use dyad_mpc::functions::{
    Range, argmax, cross_entropy, exponential, exponential_rounds, inverse_root,
    inverse_root_rounds, log_sum_exp, log_sum_exp_rounds, logarithm, logarithm_rounds, max,
    max_and_argmax, max_rounds, reciprocal, reciprocal_rounds, sigmoid, sigmoid_rounds, softmax,
    softmax_rounds,
};
use dyad_mpc::tensor::{Meta, Shape};
use dyad_mpc::together::{Input, Program, clear, cost};
use dyad_mpc::{Opened, Result, Session};

#[derive(Clone, Copy, Debug)]
enum Which {
    Max,
    Argmax,
    Both,
    Exponential,
    Sigmoid,
    Reciprocal(Range),
    InverseRoot(Range),
    Logarithm(Range),
    Softmax,
    LogSumExp,
    CrossEntropy,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    which: Which,
    x: Meta,
    scale: u8,
}

impl Run {
    fn rounds(&self) -> u64 {
        let Self { which, x, scale } = *self;
        match which {
            Which::Max | Which::Both => max_rounds(x),
            Which::Argmax => max_rounds(x) - u64::from((2..=16).contains(&x.shape.cols)),
            Which::Exponential => exponential_rounds(x, scale),
            Which::Sigmoid => sigmoid_rounds(x, scale),
            Which::Reciprocal(range) => reciprocal_rounds(x, range, scale),
            Which::InverseRoot(range) => inverse_root_rounds(x, range, scale),
            Which::Logarithm(range) => logarithm_rounds(x, range, scale),
            Which::Softmax => softmax_rounds(x, scale),
            Which::LogSumExp => log_sum_exp_rounds(x),
            Which::CrossEntropy => log_sum_exp_rounds(x) + 1,
        }
    }

    fn inputs(&self, x: &[i64]) -> [Input; 2] {
        let mut t = Meta { scale: 0, bound: 1, ..self.x };
        let mut targets = vec![0; x.len()];
        targets.chunks_mut(self.x.shape.cols).for_each(|row| row[row.len() / 2] = 1);
        if !matches!(self.which, Which::CrossEntropy) {
            (t, targets) = (Meta::new(1, 1, 0, 1), vec![0]);
        }
        let x = x.iter().map(|x| *x as u64).collect();
        [Input::new("x", self.x, x), Input::new("t", t, targets)]
    }

    fn clear(&self, x: &[i64]) -> Vec<Opened> {
        clear(self, &self.inputs(x)).unwrap()
    }

    /// What comes of these inputs, as ring elements.
    fn of(&self, xs: &[i64]) -> Vec<i64> {
        let x = Meta { shape: Shape::new(1, xs.len()), ..self.x };
        Self { x, ..*self }.clear(xs)[0].signed()
    }

    /// The worst of what `error` says of an input and what comes of it.
    fn worst(&self, xs: impl Iterator<Item = i64>, error: impl Fn(f64, f64) -> f64) -> f64 {
        let (unit, out) = (ulp(self.x.scale), ulp(self.scale));
        let mut worst = (0.0, 0);
        let mut xs = xs.peekable();
        while xs.peek().is_some() {
            let chunk: Vec<i64> = xs.by_ref().take(1 << 15).collect();
            for (x, y) in chunk.iter().zip(self.of(&chunk)) {
                let error = error(*x as f64 * unit, y as f64 * out);
                if error > worst.0 {
                    worst = (error, *x);
                }
            }
        }
        println!("{:?} at scale {}: 2^{:.2} at {}", self, self.scale, worst.0.log2(), worst.1);
        worst.0
    }
}

impl Program for Run {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let x = e.input("x", self.x)?;
        let scale = self.scale;
        let y = match self.which {
            Which::Max => max(e, &x)?,
            Which::Argmax => argmax(e, &x)?,
            Which::Both => {
                let (max, place) = max_and_argmax(e, &x)?;
                return e.open(&[&max, &place], Audience::All);
            }
            Which::Exponential => exponential(e, &x, scale)?,
            Which::Sigmoid => sigmoid(e, &x, scale)?,
            Which::Reciprocal(range) => reciprocal(e, &x, range, scale)?,
            Which::InverseRoot(range) => inverse_root(e, &x, range, scale)?,
            Which::Logarithm(range) => logarithm(e, &x, range, scale)?,
            Which::Softmax => softmax(e, &x, scale)?,
            Which::LogSumExp => log_sum_exp(e, &x)?,
            Which::CrossEntropy => {
                let t = e.input("t", Meta { scale: 0, bound: 1, ..self.x })?;
                cross_entropy(e, &x, &t)?
            }
        };
        Ok(vec![e.open_one(&y)?])
    }
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 20
}

/// Half an ulp.
fn half(scale: u8) -> f64 {
    ulp(scale + 1)
}

fn ulp(scale: u8) -> f64 {
    (-f64::from(scale)).exp2()
}

/// x in [2^lo, 2^hi) at a scale: all of them, or some of each octave and its ends.
fn inside(range: Range, scale: u8) -> Vec<i64> {
    let at = |power: i8| 1i64 << (i16::from(power) + i16::from(scale));
    let (low, high) = (at(range.lo), at(range.hi));
    if high - low <= 1 << 19 {
        return (low..high).collect();
    }
    let octave = |power: i8| {
        let (low, high) = (at(power), at(power + 1));
        let step = ((high - low) >> 15).max(1) as usize;
        (low..high).step_by(step).chain([high - 1])
    };
    (range.lo..range.hi).flat_map(octave).collect()
}

const RANGES: [(Range, u8); 9] = [
    (Range::new(0, 4), 13),
    (Range::new(-8, 8), 16),
    (Range::new(-8, 8), 10),
    (Range::new(-16, 0), 20),
    (Range::new(0, 1), 16),
    (Range::new(3, 10), 8),
    (Range::new(-3, 2), 24),
    (Range::new(-20, -4), 30),
    (Range::new(0, 16), 16),
];

fn bound(range: Range, scale: u8) -> u8 {
    (i16::from(range.hi) + i16::from(scale)) as u8
}

/// How far from 1/x, in units of 1/x, beyond half an ulp.
fn off_reciprocal(x: f64, y: f64) -> f64 {
    ((y - 1.0 / x).abs() - half(OUT)).max(0.0) * x
}

/// How far from 1/√x, in units of 1/√x, beyond half an ulp.
fn off_inverse_root(x: f64, y: f64) -> f64 {
    ((y - 1.0 / x.sqrt()).abs() - half(OUT)).max(0.0) * x.sqrt()
}

/// How far from ln x, beyond half an ulp.
fn off_logarithm(x: f64, y: f64) -> f64 {
    (y - x.ln()).abs() - half(OUT)
}

/// What results of these three are asked for at.
const OUT: u8 = 24;

/// Rows of logits: equal ones, one far above, all spread about.
fn logits(rows: usize, cols: usize, scale: u8) -> Vec<i64> {
    let mut state = cols as u64;
    let unit = f64::from(1 << scale);
    (0..rows)
        .flat_map(|row| {
            let spread = [0.0, 1.0, 4.0, 12.0, 30.0, 100.0][row % 6];
            let high = [0.0, 11.5, 10.0, 0.0][row % 4];
            (0..cols)
                .map(|col| {
                    let x = (random(&mut state) % 10_001) as f64 / 10_000.0 - 0.5;
                    let x = x * spread + if col == row % cols { high } else { 0.0 };
                    (x * unit) as i64
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn ranges_that_cannot_be_are_refused() {
    for range in [
        Range::new(-128, 127),
        Range::new(3, 3),
        Range::new(0, 17),
        Range::new(-17, -8),
        Range::new(17, 20),
    ] {
        let run = Run { which: Which::InverseRoot(range), x: Meta::new(1, 1, 16, 20), scale: 16 };
        assert!(cost(&run).is_err(), "{range:?}");
    }
    for (which, cols) in [(Which::Softmax, 1025), (Which::Softmax, 0), (Which::Max, 0)] {
        assert!(cost(&Run { which, x: Meta::new(1, cols, 13, 20), scale: 16 }).is_err());
    }
}
