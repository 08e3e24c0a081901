//! The same step in f32, nothing secret: products by `matrixmultiply`, rows over all cores.

use super::BATCH;
use dyad_learn::{Loss, Plan};
use dyad_mpc::together::Input;
use rayon::prelude::*;
use std::time::Instant;

/// A model in f32 and the rows it is trained on.
pub(super) struct Plain {
    widths: Vec<usize>,
    loss: Loss,
    x: Vec<f32>,
    y: Vec<f32>,
    weights: Vec<Vec<f32>>,
    biases: Vec<Vec<f32>>,
    /// Is a product of one column faster by a plain loop?
    loops: bool,
}

const RATE: f32 = 1.0 / 256.0;

impl Plain {
    pub(super) fn new(plan: &Plan, inputs: &[Input]) -> Self {
        let job = plan.job();
        let widths = job.widths.clone();
        let unit = (-f32::from(job.scales.input)).exp2();
        let numbers = |i: usize, unit: f32| {
            let words = inputs.get(i).map_or(&[][..], |input| &input.words);
            words.iter().map(|x| *x as i64 as f32 * unit).collect()
        };
        let (x, y) = (numbers(0, unit), numbers(1, 1.0));
        let weights = widths.windows(2).map(|w| {
            let spread = (2.0 / w[0] as f32).sqrt();
            (0..w[0] * w[1]).map(|i| ((i * 7919 % 1000) as f32 / 500.0 - 1.0) * spread).collect()
        });
        let weights: Vec<Vec<f32>> = weights.collect();
        let biases = widths[1..].iter().map(|n| vec![0.0; *n]).collect();
        let mut plain = Self { widths, loss: job.loss, x, y, weights, biases, loops: false };
        if plain.widths == [784, 1] {
            // The faster of the two is the baseline.
            let mut time = |loops| {
                plain.loops = loops;
                plain.steps(20);
                let start = Instant::now();
                plain.steps(200);
                start.elapsed()
            };
            let (products, loops) = (time(false), time(true));
            plain.loops = loops < products;
        }
        plain
    }

    pub(super) const fn name(&self) -> &'static str {
        if self.loops {
            "the same step in f32, a plain loop"
        } else {
            "the same step in f32, matrixmultiply and rayon"
        }
    }

    pub(super) fn steps(&mut self, steps: u64) {
        for step in 0..steps as usize {
            self.step(step % (self.x.len() / self.widths[0] / BATCH) * BATCH);
        }
    }

    fn step(&mut self, from: usize) {
        let (features, outputs) = (self.widths[0], self.widths[self.widths.len() - 1]);
        let x = &self.x[from * features..][..BATCH * features];
        let y = &self.y[from * outputs..][..BATCH * outputs];
        let mut inputs = vec![x.to_vec()];
        for (l, (weights, bias)) in self.weights.iter().zip(&self.biases).enumerate() {
            let (m, n) = (self.widths[l], self.widths[l + 1]);
            let mut z = self.product((&inputs[l], (m, 1)), (weights, (n, 1)), (BATCH, m, n));
            for row in z.chunks_exact_mut(n) {
                for (z, b) in row.iter_mut().zip(bias) {
                    *z += b;
                }
            }
            if l + 1 < self.weights.len() {
                for z in &mut z {
                    *z = z.max(0.0);
                }
            }
            inputs.push(z);
        }
        let mut error = inputs.pop().unwrap_or_default();
        activate(self.loss, &mut error, outputs);
        for (error, y) in error.iter_mut().zip(y) {
            *error -= y;
        }
        for l in (0..self.weights.len()).rev() {
            let (m, n) = (self.widths[l], self.widths[l + 1]);
            let gradient = self.product((&inputs[l], (1, m)), (&error, (n, 1)), (m, BATCH, n));
            let back = (l > 0).then(|| {
                let back =
                    self.product((&error, (n, 1)), (&self.weights[l], (1, n)), (BATCH, n, m));
                back.iter().zip(&inputs[l]).map(|(e, h)| if *h > 0.0 { *e } else { 0.0 }).collect()
            });
            for (w, g) in self.weights[l].iter_mut().zip(gradient) {
                *w -= RATE * g;
            }
            for row in error.chunks_exact(n) {
                for (b, e) in self.biases[l].iter_mut().zip(row) {
                    *b -= RATE * e;
                }
            }
            error = back.unwrap_or_default();
        }
    }

    /// a b, each with the strides of its rows and columns; (rows, depth, columns).
    fn product(
        &self,
        (a, sa): (&[f32], (usize, usize)),
        (b, sb): (&[f32], (usize, usize)),
        (rows, depth, columns): (usize, usize, usize),
    ) -> Vec<f32> {
        let mut out = vec![0.0; rows * columns];
        if self.loops {
            for (i, out) in out.iter_mut().enumerate() {
                *out = (0..depth).map(|k| a[i * sa.0 + k * sa.1] * b[k * sb.0]).sum();
            }
            return out;
        }
        let cores = rayon::current_num_threads();
        let part = rows.div_ceil(cores);
        out.par_chunks_mut(part * columns).enumerate().for_each(|(i, out)| {
            #[allow(unsafe_code)] // it takes pointers
            // SAFETY: the strides are those of slices of these shapes; the part is within `a`.
            unsafe {
                matrixmultiply::sgemm(
                    out.len() / columns,
                    depth,
                    columns,
                    1.0,
                    a.as_ptr().add(i * part * sa.0),
                    sa.0 as isize,
                    sa.1 as isize,
                    b.as_ptr(),
                    sb.0 as isize,
                    sb.1 as isize,
                    0.0,
                    out.as_mut_ptr(),
                    columns as isize,
                    1,
                );
            }
        });
        out
    }
}

fn activate(loss: Loss, z: &mut [f32], outputs: usize) {
    match loss {
        Loss::SquaredError => {}
        Loss::Sigmoid => {
            for z in z {
                *z = 1.0 / (1.0 + (-*z).exp());
            }
        }
        Loss::Softmax => {
            for row in z.chunks_exact_mut(outputs) {
                let most = row.iter().copied().fold(f32::MIN, f32::max);
                for z in row.iter_mut() {
                    *z = (*z - most).exp();
                }
                let sum: f32 = row.iter().sum();
                for z in row {
                    *z /= sum;
                }
            }
        }
    }
}
