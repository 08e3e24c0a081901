//! Worst errors over whole ranges.
//!
//! What is brought to [1, 2^step) first, exactly, is rounded there to w bits behind the point; pieces
//! are chosen by its first w bits. So a result depends on x's interval and on the first w + 1 bits
//! of z alone: all x with the same ones are a class, and have one result y. Over a class the error
//! is largest at its first or its last x:
//!
//! ```text
//! 1/x:   |xy - 1| - x u     is convex in x      (u is half an ulp)
//! 1/√x:  |√x y - 1| - √x u  is convex in √x
//! ln x:  |y - ln x| - u     is convex in ln x
//! ```
//!
//! So the first and the last x of every class are the whole range. That they have one result is
//! seen on the way, and `classes_have_one_result` goes through whole classes.

use super::{
    OUT, RANGES, Run, Which, bound, half, off_inverse_root, off_logarithm, off_reciprocal, random,
    ulp,
};
use dyad_mpc::functions::Range;
use dyad_mpc::tensor::Meta;
use rayon::prelude::*;

/// Every range of the sampled test, and of 16 octaves the lowest, the highest and those between.
fn ranges() -> impl Iterator<Item = (Range, u8)> {
    let widest = (-24..=16).step_by(4).map(|lo| (Range::new(lo, lo + 16), 30.min(30 - lo) as u8));
    RANGES.into_iter().chain(widest)
}

/// Functions by octaves that z can be in, bits it is rounded to, and what is wrong at most.
const FUNCTIONS: [(Of, u8, u8, Error, f64); 3] = [
    (Which::Reciprocal, 1, 18, off_reciprocal, -16.5),
    (Which::InverseRoot, 2, 18, off_inverse_root, -16.5),
    (Which::Logarithm, 1, 17, off_logarithm, -17.0),
];

type Of = fn(Range) -> Which;
type Error = fn(f64, f64) -> f64;

/// The intervals of a range: where each begins and ends, and how many bits of x its classes have.
fn intervals(range: Range, scale: u8, step: u8, fine: u8) -> Vec<(i64, i64, u8)> {
    let at = |power: i16| 1i64 << (power + i16::from(scale));
    let (lo, hi) = (i16::from(range.lo), i16::from(range.hi));
    let m = (hi - lo + i16::from(step) - 1) / i16::from(step);
    let z_scale = lo + (m - 1) * i16::from(step) + i16::from(scale);
    let classes = (z_scale - i16::from(fine) - 1).max(0);
    (0..m)
        .map(|i| {
            let low = lo + i * i16::from(step);
            let high = (low + i16::from(step)).min(hi);
            let bits = (classes - (m - 1 - i) * i16::from(step)).max(0);
            (at(low), at(high), bits as u8)
        })
        .collect()
}

/// The worst error over all classes, and how many there are.
fn worst(run: &Run, intervals: &[(i64, i64, u8)], error: Error) -> (f64, i64) {
    const AT_A_TIME: i64 = 1 << 14;
    let blocks: Vec<_> = intervals
        .iter()
        .flat_map(|&(low, high, bits)| {
            let blocks = (low..high).step_by((AT_A_TIME << bits) as usize);
            blocks.map(move |first| (first, high.min(first + (AT_A_TIME << bits)), bits))
        })
        .collect();
    let classes = intervals.iter().map(|(low, high, bits)| (high - low) >> bits).sum();
    let (unit, out) = (ulp(run.x.scale), ulp(run.scale));
    let of_block = |&(first, end, bits): &(i64, i64, u8)| {
        let firsts = (first..end).step_by(1 << bits);
        let last = (1 << bits) - 1;
        let xs: Vec<i64> =
            if bits == 0 { firsts.collect() } else { firsts.flat_map(|x| [x, x + last]).collect() };
        let ys = run.of(&xs);
        if bits > 0 {
            assert!(ys.chunks(2).all(|pair| pair[0] == pair[1]), "{run:?} at {first}");
        }
        let errors = xs.iter().zip(ys).map(|(x, y)| error(*x as f64 * unit, y as f64 * out));
        errors.fold(0.0, f64::max)
    };
    (blocks.par_iter().map(of_block).reduce(|| 0.0, f64::max), classes)
}

#[test]
#[ignore = "minutes of two cores"]
fn normalised_functions_over_whole_ranges() {
    for (which, step, fine, error, most) in FUNCTIONS {
        let mut all = 0.0f64;
        for (range, scale) in ranges() {
            let x = Meta::new(1, 1, scale, bound(range, scale));
            let run = Run { which: which(range), x, scale: OUT };
            let (worst, classes) = worst(&run, &intervals(range, scale, step, fine), error);
            println!("{run:?}: 2^{:.2} over {classes} classes", worst.log2());
            assert!(worst < most.exp2(), "{run:?}: {worst:e}");
            all = all.max(worst);
        }
        println!("{:?} in all: 2^{:.2}", which(Range::new(0, 1)), all.log2());
    }
}

/// All of a class, or many of it, give what its first gives.
#[test]
fn classes_have_one_result() {
    let mut state = 1;
    for (which, step, fine, ..) in FUNCTIONS {
        for (range, scale) in ranges() {
            let x = Meta::new(1, 1, scale, bound(range, scale));
            let run = Run { which: which(range), x, scale: OUT };
            for (low, high, bits) in intervals(range, scale, step, fine) {
                let classes = (high - low) >> bits;
                let some = (0..12).map(|_| random(&mut state) as i64 % classes);
                for class in some.chain([0, classes - 1]) {
                    let first = low + (class << bits);
                    let step = ((1 << bits) >> 8).max(1);
                    let xs: Vec<i64> = (first..first + (1 << bits)).step_by(step).collect();
                    let ys = run.of(&xs);
                    assert!(ys.iter().all(|y| *y == ys[0]), "{run:?}, class at {first}");
                }
            }
        }
    }
}

/// Beyond 16, where both are constants: all other ring elements they take.
#[test]
#[ignore = "minutes of two cores"]
fn exponentials_and_sigmoids_far_out() {
    let x = Meta::new(1, 1, 16, 30);
    let (end, most) = (16 << 16, (1 << 30) - 1);
    let run = Run { which: Which::Exponential, x, scale: 30 };
    let (of_exponential, _) = worst(&run, &[(-most, -end, 0)], |_, y| y.abs());
    assert!(of_exponential == 0.0);
    let run = Run { which: Which::Sigmoid, ..run };
    let constant = |x: f64, y: f64| (y - f64::from(u8::from(x > 0.0))).abs();
    let (of_sigmoid, _) = worst(&run, &[(-most, -end, 0), (end, most + 1, 0)], constant);
    assert!(of_sigmoid == 0.0);
}

/// At scale 20, x is rounded to 16 bits first; at 16 and below nothing is.
#[test]
fn exponentials_and_sigmoids_from_end_to_end() {
    let exponential = |x: f64, y: f64| (y - x.exp()).abs();
    let sigmoid = |x: f64, y: f64| (y - 1.0 / (1.0 + (-x).exp())).abs();
    for (scale, rounding) in [(13, 0.0), (15, 0.0), (16, 0.0), (20, 1.0)] {
        let x = Meta::new(1, 1, scale, 30);
        let run = Run { which: Which::Exponential, x, scale: 30 };
        let end = 16 << scale;
        let (worst_one, _) = worst(&run, &[(-end, 1, 0)], exponential);
        println!("{run:?}: 2^{:.2}", worst_one.log2());
        assert!(worst_one < (-16f64).exp2() + rounding * (-17f64).exp2() + half(30));
        let run = Run { which: Which::Sigmoid, ..run };
        let (worst_one, _) = worst(&run, &[(-end, end + 1, 0)], sigmoid);
        println!("{run:?}: 2^{:.2}", worst_one.log2());
        assert!(worst_one < (-16f64).exp2() + rounding * (-19f64).exp2() + half(30));
    }
}
