//! Descriptions to start from. Every field is there to be changed; [`Job::check`] says what does
//! not fit together.

use crate::job::{Job, Loss, Metric, Ranges, Rate, Scales, Start, VERSION};

impl Job {
    /// A multi-layer perceptron: ReLU between the layers, He's weights at the start, a rate of
    /// 2^-8 for each row of a batch.
    #[must_use]
    pub fn mlp(rows: usize, widths: &[usize], loss: Loss, batch: usize, epochs: u32) -> Self {
        Self {
            version: VERSION,
            rows,
            widths: widths.to_vec(),
            loss,
            batch,
            epochs,
            rate: Rate::constant(batch as f64 / 256.0),
            momentum: 0.0,
            decay: 0.0,
            shuffle: 1,
            start: Start::Seed(1),
            scales: Scales { input: 8, label: 0, activation: 13, error: 13, rate: 8 },
            ranges: Ranges { input: 1, label: 1, weight: 3, activation: 6, sum: 8, error: 3 },
            metrics: vec![Metric::Loss, Metric::Accuracy],
        }
    }

    /// Logistic regression: with one output by the sigmoid, with more by softmax.
    #[must_use]
    pub fn logistic(rows: usize, features: usize, classes: usize, batch: usize) -> Self {
        let (outputs, loss) = match classes {
            0..=2 => (1, Loss::Sigmoid),
            _ => (classes, Loss::Softmax),
        };
        Self::without_hidden(rows, features, outputs, loss, batch)
    }

    /// Linear regression: `outputs` numbers a row, as labels of scale 16.
    #[must_use]
    pub fn linear(rows: usize, features: usize, outputs: usize, batch: usize) -> Self {
        let job = Self::without_hidden(rows, features, outputs, Loss::SquaredError, batch);
        let scales = Scales { label: 16, ..job.scales };
        let ranges = Ranges { label: 4, ..job.ranges };
        Self { scales, ranges, metrics: vec![Metric::Loss], ..job }
    }

    fn without_hidden(
        rows: usize,
        features: usize,
        outputs: usize,
        loss: Loss,
        batch: usize,
    ) -> Self {
        Self {
            start: Start::Zero,
            epochs: 10,
            scales: Scales { input: 12, label: 0, activation: 13, error: 14, rate: 8 },
            ranges: Ranges { input: 1, label: 1, weight: 6, activation: 6, sum: 12, error: 8 },
            ..Self::mlp(rows, &[features, outputs], loss, batch, 10)
        }
    }
}
