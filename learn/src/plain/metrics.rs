//! The metrics of answers in floating point, as they are usually written: what those on shares are
//! held against.

use super::softmax;
use crate::job::Loss;

/// The mean loss. `z` and `y` are row by row, `outputs` wide.
#[must_use]
pub fn loss(loss: Loss, z: &[f64], y: &[f64], outputs: usize) -> f64 {
    let rows = z.chunks_exact(outputs).zip(y.chunks_exact(outputs));
    let one = |(z, y): (&[f64], &[f64])| -> f64 {
        match loss {
            Loss::SquaredError => {
                z.iter().zip(y).map(|(z, y)| (z - y) * (z - y)).sum::<f64>() / 2.0
            }
            Loss::Softmax => {
                let mut p = z.to_vec();
                softmax(&mut p);
                p.iter().zip(y).map(|(p, y)| -y * p.max(f64::MIN_POSITIVE).ln()).sum()
            }
            // -log of 1 / (1 + e^-z) or of its complement, without leaving the range.
            Loss::Sigmoid => z[0].max(0.0) - z[0] * y[0] + (-z[0].abs()).exp().ln_1p(),
        }
    };
    let count = z.len() / outputs;
    rows.map(one).sum::<f64>() / count as f64
}

/// Each row's class: the likeliest, the first among equals; with one output 1 where z >= 0.
#[must_use]
pub fn classes(z: &[f64], outputs: usize) -> Vec<usize> {
    let one = |z: &[f64]| match outputs {
        1 => usize::from(z[0] >= 0.0),
        _ => (1..outputs).fold(0, |best, k| if z[k] > z[best] { k } else { best }),
    };
    z.chunks_exact(outputs).map(one).collect()
}

/// The true classes, from labels.
#[must_use]
pub fn truth(y: &[f64], outputs: usize) -> Vec<usize> {
    match outputs {
        1 => y.iter().map(|y| usize::from(*y > 0.5)).collect(),
        _ => classes(y, outputs),
    }
}

/// Rows of the true class, columns of the class they were taken for.
#[must_use]
pub fn confusion(z: &[f64], y: &[f64], outputs: usize) -> Vec<Vec<u64>> {
    let count = outputs.max(2);
    let mut table = vec![vec![0u64; count]; count];
    for (truth, taken) in truth(y, outputs).into_iter().zip(classes(z, outputs)) {
        table[truth][taken] += 1;
    }
    table
}

/// The share of rows taken for what they are.
#[must_use]
pub fn accuracy(z: &[f64], y: &[f64], outputs: usize) -> f64 {
    let table = confusion(z, y, outputs);
    let right: u64 = (0..table.len()).map(|k| table[k][k]).sum();
    right as f64 / (z.len() / outputs) as f64
}

/// The area under the receiver's curve: the share of pairs of a row of class 1 and one of class 0
/// that are in this order, equal ones half.
#[must_use]
pub fn auc(z: &[f64], y: &[f64], outputs: usize) -> f64 {
    let score = |z: &[f64]| if outputs == 1 { z[0] } else { z[1] - z[0] };
    let scores = z.chunks_exact(outputs).map(score);
    let rows: Vec<(f64, usize)> = scores.zip(truth(y, outputs)).collect();
    let (ones, zeros): (Vec<_>, Vec<_>) = rows.iter().partition(|(_, class)| *class == 1);
    let mut twice = 0.0;
    for (a, _) in &ones {
        for (b, _) in &zeros {
            twice += f64::from(u8::from(a > b)) + f64::from(u8::from(a >= b));
        }
    }
    twice / (2.0 * ones.len() as f64 * zeros.len() as f64)
}
