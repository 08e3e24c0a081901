//! Functions: worst errors over their ranges, bits on shares equal to those in the clear, rounds.
#![allow(clippy::unwrap_used)]

use dyad_mpc::engine::{Audience, Engine};
use dyad_mpc::functions::{
    Range, argmax, cross_entropy, exponential, exponential_rounds, inverse_root,
    inverse_root_rounds, log_sum_exp, log_sum_exp_rounds, logarithm, logarithm_rounds, max,
    max_and_argmax, max_rounds, reciprocal, reciprocal_rounds, sigmoid, sigmoid_rounds, softmax,
    softmax_rounds,
};
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{Input, Lines, Program, clear, cost, shared};
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

    /// The worst of what `error` says of an input and what comes of it.
    fn worst(&self, xs: impl Iterator<Item = i64>, error: impl Fn(f64, f64) -> f64) -> f64 {
        let unit = (-f64::from(self.x.scale)).exp2();
        let mut worst = (0.0, 0);
        let mut xs = xs.peekable();
        while xs.peek().is_some() {
            let chunk: Vec<i64> = xs.by_ref().take(1 << 15).collect();
            let x = Meta { shape: dyad_mpc::tensor::Shape::new(1, chunk.len()), ..self.x };
            let y = Self { x, ..*self }.clear(&chunk)[0].numbers();
            for (x, y) in chunk.iter().zip(y) {
                let error = error(*x as f64 * unit, y);
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

/// On shares and in the clear the same bits; rounds as stated.
fn agrees(run: Run, x: &[i64]) {
    let inputs = run.inputs(x);
    let expected = clear(&run, &inputs).expect("the program runs in the clear");
    let finished = shared(&run, &inputs, Lines::Memory).unwrap();
    assert_eq!(expected, finished.opened[0], "{run:?}");
    assert_eq!(expected, finished.opened[1], "{run:?}");
    let (cost, _) = cost(&run).unwrap();
    // The opening of the result is a round, and so is the greeting.
    assert_eq!(run.rounds() + 1, cost.count().rounds, "{run:?}");
    assert_eq!(run.rounds() + 2, finished.traffic[0].rounds, "{run:?}");
    println!("{run:?}: {} rounds, {:?}", run.rounds(), cost.count());
}

/// So many numbers below 2^bound in absolute value, the edges among them.
fn numbers(n: usize, bound: u8) -> Vec<i64> {
    let (mut state, most) = (n as u64, (1i64 << bound) - 1);
    let edges = [0, 1, -1, most, -most, most - 1, 1 - most];
    let small = |x: u64| (x as i64 % (most + 1)) >> (x % u64::from(bound));
    (0..n)
        .map(|i| {
            edges.get(i).copied().unwrap_or_else(|| {
                let x = small(random(&mut state));
                if random(&mut state) & 1 == 0 { x } else { -x }
            })
        })
        .collect()
}

#[test]
fn maxima() {
    for (rows, cols, bound) in [
        (7, 1, 20),
        (9, 2, 20),
        (70, 3, 10),
        (40, 10, 25),
        (20, 16, 40),
        (5, 17, 61),
        (3, 100, 12),
        (2, 257, 20),
    ] {
        let x = Meta::new(rows, cols, 13, bound);
        let mut values = numbers(rows * cols, bound);
        // Many equal ones.
        values.iter_mut().skip(cols).step_by(2).for_each(|x| *x %= 3);
        for which in [Which::Max, Which::Argmax, Which::Both] {
            let run = Run { which, x, scale: 0 };
            agrees(run, &values);
            let opened = run.clear(&values);
            let (mut largest, mut places) = (vec![], vec![]);
            for row in values.chunks(cols) {
                let max = row.iter().max().unwrap();
                let place = row.iter().position(|x| x == max).unwrap();
                largest.push(*max);
                places.extend((0..cols).map(|i| i64::from(i == place)));
            }
            match which {
                Which::Max => assert_eq!(opened[0].signed(), largest),
                Which::Argmax => assert_eq!(opened[0].signed(), places),
                _ => {
                    assert_eq!(opened[0].signed(), largest);
                    assert_eq!(opened[1].signed(), places);
                }
            }
        }
    }
}

/// Half an ulp.
fn half(scale: u8) -> f64 {
    (-f64::from(scale) - 1.0).exp2()
}

#[test]
fn exponentials_are_near() {
    let error = |x: f64, y: f64| (y - x.exp()).abs();
    for (scale, out) in [(16, 30), (16, 16), (13, 24), (8, 13)] {
        let x = Meta::new(1, 1, scale, scale + 5);
        let run = Run { which: Which::Exponential, x, scale: out };
        let worst = run.worst(-(16 << scale)..=0, error);
        assert!(worst < (-16f64).exp2() + half(out));
    }
    let x = Meta::new(1, 1, 20, 30);
    let run = Run { which: Which::Exponential, x, scale: 24 };
    let worst = run.worst((-(16 << 20)..=0).step_by(97), error);
    assert!(worst < (-16f64).exp2() + (-17f64).exp2() + half(24));
    // Far below.
    let x = Meta::new(1, 1, 16, 30);
    let run = Run { which: Which::Exponential, x, scale: 24 };
    assert!(run.worst((-(1 << 30) + 1..-(16 << 16)).step_by(99_991), |_, y| y.abs()) == 0.0);
}

#[test]
fn sigmoids_are_near() {
    let error = |x: f64, y: f64| (y - 1.0 / (1.0 + (-x).exp())).abs();
    for (scale, out) in [(16, 30), (15, 16), (13, 13)] {
        let x = Meta::new(1, 1, scale, scale + 5);
        let run = Run { which: Which::Sigmoid, x, scale: out };
        let step = if scale == 16 { 3 } else { 1 };
        let worst = run.worst((-(16 << scale)..=16 << scale).step_by(step), error);
        assert!(worst < (-16f64).exp2() + half(out));
    }
    let x = Meta::new(1, 1, 16, 30);
    let run = Run { which: Which::Sigmoid, x, scale: 24 };
    assert!(
        run.worst((-(1 << 30) + 1..1 << 30).step_by(9_991), error) < (-16f64).exp2() + half(24)
    );
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

#[test]
fn normalised_functions_are_near() {
    for (range, scale) in RANGES {
        let x = Meta::new(1, 1, scale, bound(range, scale));
        let xs = inside(range, scale);
        let run = |which| Run { which, x, scale: 24 };
        let near = (-16.5f64).exp2();
        let half = half(24);
        let worst = run(Which::Reciprocal(range))
            .worst(xs.iter().copied(), |x, y| ((y - 1.0 / x).abs() - half).max(0.0) * x);
        assert!(worst < near, "reciprocal {worst:e}");
        let worst = run(Which::InverseRoot(range)).worst(xs.iter().copied(), |x, y| {
            ((y - 1.0 / x.sqrt()).abs() - half).max(0.0) * x.sqrt()
        });
        assert!(worst < near, "inverse root {worst:e}");
        let worst = run(Which::Logarithm(range))
            .worst(xs.iter().copied(), |x, y| (y - x.ln()).abs() - half);
        assert!(worst < (-17f64).exp2(), "logarithm {worst:e}");
    }
}

#[test]
fn entrywise_agree() {
    for (rows, cols, scale, bound, out) in [
        (3, 50, 16, 29, 16),
        (1, 64, 13, 18, 13),
        (10, 13, 10, 15, 20),
        (2, 3, 20, 26, 24),
        (1, 9, 11, 15, 13),
    ] {
        let x = Meta::new(rows, cols, scale, bound);
        let mut values = numbers(rows * cols, bound);
        // Around each threshold of the exponential, in some of the runs.
        let near = |i: usize| -((11.328_125 / (i + 1) as f64) * f64::from(1 << scale)) as i64;
        values.iter_mut().skip(7).step_by(3).enumerate().for_each(|(i, x)| *x = near(i));
        agrees(Run { which: Which::Sigmoid, x, scale: out }, &values);
        values = values.iter().map(|x| -x.abs()).collect();
        agrees(Run { which: Which::Exponential, x, scale: out }, &values);
    }
    for (range, scale) in RANGES {
        let mut xs = inside(range, scale);
        let ends = [xs[0], xs[1], xs[xs.len() - 2], xs[xs.len() - 1]];
        let step = xs.len() / 90;
        xs = xs.into_iter().step_by(step).chain(ends).collect();
        let x = Meta::new(1, xs.len(), scale, bound(range, scale));
        for out in [12, 24] {
            agrees(Run { which: Which::Reciprocal(range), x, scale: out }, &xs);
            agrees(Run { which: Which::InverseRoot(range), x, scale: out }, &xs);
            agrees(Run { which: Which::Logarithm(range), x, scale: out }, &xs);
        }
    }
}

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
fn softmax_is_near() {
    for (cols, scale, rows) in [
        (1, 13, 3),
        (2, 13, 2000),
        (10, 13, 2000),
        (10, 16, 2000),
        (16, 14, 500),
        (100, 13, 60),
        (1000, 12, 4),
    ] {
        let x = Meta::new(rows, cols, scale, scale + 8);
        let values = logits(rows, cols, scale);
        let run = |which| Run { which, x, scale: 24 };
        let p = run(Which::Softmax).clear(&values)[0].numbers();
        let l = run(Which::LogSumExp).clear(&values)[0].numbers();
        let loss = run(Which::CrossEntropy).clear(&values)[0].numbers();
        let (mut worst, mut worst_l) = (0.0f64, 0.0f64);
        for (row, x) in values.chunks(cols).enumerate() {
            let x: Vec<f64> = x.iter().map(|x| *x as f64 / f64::from(1 << scale)).collect();
            let max = x.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = x.iter().map(|x| (x - max).exp()).sum();
            for (i, x) in x.iter().enumerate() {
                worst = worst.max((p[row * cols + i] - (x - max).exp() / sum).abs());
            }
            let all = max + sum.ln();
            worst_l = worst_l.max((l[row] - all).abs() - half(scale));
            assert!((loss[row] - (l[row] - x[cols / 2])).abs() < 1e-12);
        }
        println!(
            "softmax of {cols} at scale {scale}: 2^{:.2}, 2^{:.2}",
            worst.log2(),
            worst_l.log2()
        );
        let n = cols as f64;
        assert!(worst < (n + 2.0) * (-16f64).exp2() + half(24), "softmax {cols}: {worst:e}");
        assert!(worst_l < (n + 1.0) * (-16f64).exp2(), "log-sum-exp {cols}: {worst_l:e}");
    }
}

#[test]
fn rows_agree() {
    for (rows, cols, scale, out) in [
        (1, 1, 13, 13),
        (5, 2, 13, 13),
        (20, 10, 13, 13),
        (20, 10, 16, 20),
        (3, 10, 20, 13),
        (2, 100, 13, 16),
        (4, 5, 4, 13),
    ] {
        let x = Meta::new(rows, cols, scale, scale + 8);
        let mut values = logits(rows, cols, scale);
        for (x, edge) in values.iter_mut().zip([(1 << (scale + 8)) - 1, 1 - (1 << (scale + 8))]) {
            *x = edge;
        }
        for which in [Which::Softmax, Which::LogSumExp, Which::CrossEntropy] {
            agrees(Run { which, x, scale: out }, &values);
        }
    }
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
