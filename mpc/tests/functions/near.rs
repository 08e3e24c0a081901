//! Worst errors: over all values of a range where they are few, else over some of each octave.

use super::{
    OUT, RANGES, Run, Which, bound, half, inside, logits, off_inverse_root, off_logarithm,
    off_reciprocal,
};
use dyad_mpc::tensor::Meta;

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
        let worst = run.worst(-(16 << scale)..=16 << scale, error);
        assert!(worst < (-16f64).exp2() + half(out));
    }
    let x = Meta::new(1, 1, 16, 30);
    let run = Run { which: Which::Sigmoid, x, scale: 24 };
    assert!(
        run.worst((-(1 << 30) + 1..1 << 30).step_by(9_991), error) < (-16f64).exp2() + half(24)
    );
}

#[test]
fn normalised_functions_are_near() {
    for (range, scale) in RANGES {
        let x = Meta::new(1, 1, scale, bound(range, scale));
        let xs = inside(range, scale);
        let run = |which| Run { which, x, scale: OUT };
        let near = (-16.5f64).exp2();
        let worst = run(Which::Reciprocal(range)).worst(xs.iter().copied(), off_reciprocal);
        assert!(worst < near, "reciprocal {worst:e}");
        let worst = run(Which::InverseRoot(range)).worst(xs.iter().copied(), off_inverse_root);
        assert!(worst < near, "inverse root {worst:e}");
        let worst = run(Which::Logarithm(range)).worst(xs.iter().copied(), off_logarithm);
        assert!(worst < (-17f64).exp2(), "logarithm {worst:e}");
    }
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
