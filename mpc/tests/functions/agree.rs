//! On shares the bits of the clear run, in the rounds stated.

use super::{RANGES, Run, Which, bound, inside, logits, random};
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{Lines, clear, cost, shared};

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
