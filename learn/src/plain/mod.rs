//! The same training in floating point: same rows in the same order, same weights at the start,
//! same rates. What privacy costs in accuracy is the difference to this.

mod matrix;
pub mod metrics;

use crate::data::Data;
use crate::job::{Loss, Metric, Start};
use crate::metrics::{Area, Scores};
use crate::plan::{DECAY, MOMENTUM, Plan};
use crate::public::{he, shuffled};
pub(crate) use matrix::Matrix;
use matrix::{product, product_first, product_second};

/// A model in floating point.
#[derive(Clone, Debug)]
pub struct Plain<'p> {
    plan: &'p Plan,
    layers: Vec<Tensors>,
    done: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Tensors {
    weights: Matrix,
    bias: Vec<f64>,
    velocity: (Matrix, Vec<f64>),
}

impl<'p> Plain<'p> {
    /// As the job has it start; at zero where the weights are inputs, then [`with`](Self::with) is
    /// called for.
    #[must_use]
    pub fn new(plan: &'p Plan) -> Self {
        let layers = plan.layers().iter().enumerate().map(|(l, layer)| {
            let (rows, cols) = (layer.inputs, layer.outputs);
            let weights = match plan.job().start {
                Start::Zero | Start::Inputs | Start::Dealer => vec![0.0; rows * cols],
                Start::Seed(seed) => he(rows, cols, &seed.to_le_bytes(), l as u64),
            };
            let bias = vec![0.0; cols];
            let velocity = (Matrix::zero(rows, cols), vec![0.0; cols]);
            Tensors { weights: Matrix::new(weights, rows, cols), bias, velocity }
        });
        Self { plan, layers: layers.collect(), done: 0 }
    }

    /// All steps.
    pub fn train(&mut self, data: &Data) {
        while self.done < self.plan.steps() {
            self.epoch(data);
        }
    }

    /// The next epoch.
    pub fn epoch(&mut self, data: &Data) {
        let (plan, job) = (self.plan, self.plan.job());
        let epoch = (self.done / plan.steps_per_epoch()) as u32;
        let order = shuffled(job.rows as u32, job.shuffle, epoch.into());
        for rows in order.chunks_exact(job.batch) {
            let x = data.features(rows, plan);
            let y = data.labels(rows, plan);
            self.step(x, &y, epoch);
            self.done += 1;
        }
    }

    fn step(&mut self, x: Matrix, y: &Matrix, epoch: u32) {
        let (inputs, z) = self.forward(x);
        let mut error = self.error(&z, y);
        let (_, decay) = self.plan.factors(epoch);
        let rate = self.plan.rate(epoch) / self.plan.job().batch as f64;
        let kept = self.plan.momentum() as f64 * (-f64::from(MOMENTUM)).exp2();
        let lost = decay as f64 * (-f64::from(DECAY)).exp2();
        for (l, layer) in self.layers.iter_mut().enumerate().rev() {
            let gradient = product_first(&inputs[l], &error);
            let bias = error.sum_of_rows();
            if l > 0 {
                error = product_second(&error, &layer.weights);
                // On shares the bit comes from the rounded z: it is one from half a unit of the
                // activation below zero. In floating point so small a z hardly occurs.
                error.keep_where(&inputs[l], |h| h > 0.0);
            }
            let update = |weight: &mut f64, velocity: &mut f64, gradient: f64, lost: f64| {
                *velocity = kept * *velocity + gradient;
                *weight -= lost * *weight + rate * *velocity;
            };
            let (velocity, slow) = &mut layer.velocity;
            let all = layer.weights.data.iter_mut().zip(&mut velocity.data).zip(&gradient.data);
            all.for_each(|((w, v), g)| update(w, v, *g, lost));
            let all = layer.bias.iter_mut().zip(slow).zip(&bias);
            all.for_each(|((w, v), g)| update(w, v, *g, 0.0));
        }
    }

    /// The inputs of all layers, and the answer.
    fn forward(&self, x: Matrix) -> (Vec<Matrix>, Matrix) {
        let mut inputs = vec![x];
        for (l, layer) in self.layers.iter().enumerate() {
            let mut z = product(&inputs[l], &layer.weights);
            z.add_row(&layer.bias);
            if l + 1 == self.layers.len() {
                return (inputs, z);
            }
            z.data.iter_mut().for_each(|z| *z = z.max(0.0));
            inputs.push(z);
        }
        unreachable!("a checked job has a layer")
    }

    fn error(&self, z: &Matrix, y: &Matrix) -> Matrix {
        let mut p = z.clone();
        match self.plan.job().loss {
            Loss::SquaredError => {}
            Loss::Sigmoid => p.data.iter_mut().for_each(|z| *z = 1.0 / (1.0 + (-*z).exp())),
            Loss::Softmax => p.rows_mut().for_each(softmax),
        }
        p.data.iter_mut().zip(&y.data).for_each(|(p, y)| *p -= y);
        p
    }

    /// What the model answers to rows of features, row by row: the sums of its last layer.
    #[must_use]
    pub fn answer(&self, data: &Data) -> Vec<f64> {
        let rows: Vec<u32> = (0..data.rows() as u32).collect();
        let answers =
            rows.chunks(256).flat_map(|rows| self.forward(data.features(rows, self.plan)).1.data);
        answers.collect()
    }

    /// The job's metrics on these rows.
    #[must_use]
    pub fn scores(&self, data: &Data) -> Scores {
        let (job, z) = (self.plan.job(), self.answer(data));
        let (y, outputs) = (data.labels_as_numbers(self.plan), job.outputs());
        let mut scores = Scores::default();
        for metric in &job.metrics {
            match metric {
                Metric::Loss => scores.loss = Some(metrics::loss(job.loss, &z, &y, outputs)),
                Metric::Accuracy => scores.accuracy = Some(metrics::accuracy(&z, &y, outputs)),
                Metric::Confusion => scores.confusion = Some(metrics::confusion(&z, &y, outputs)),
                Metric::Auc => {
                    let value = metrics::auc(&z, &y, outputs);
                    scores.auc = Some(Area { value, error: 0.0 });
                }
            }
        }
        scores
    }

    /// Each layer's weights, row by row, and bias.
    #[must_use]
    pub fn weights(&self) -> Vec<(Vec<f64>, Vec<f64>)> {
        self.layers.iter().map(|layer| (layer.weights.data.clone(), layer.bias.clone())).collect()
    }

    /// The same with weights from elsewhere: each layer's weights and bias.
    #[must_use]
    pub fn with(plan: &'p Plan, layers: &[(Vec<f64>, Vec<f64>)]) -> Self {
        let mut model = Self::new(plan);
        for (tensors, (weights, bias)) in model.layers.iter_mut().zip(layers) {
            tensors.weights.data.clone_from(weights);
            tensors.bias.clone_from(bias);
        }
        model
    }
}

pub(crate) fn softmax(z: &mut [f64]) {
    let most = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for z in z.iter_mut() {
        *z = (*z - most).exp();
    }
    let sum: f64 = z.iter().sum();
    for z in z.iter_mut() {
        *z /= sum;
    }
}
