//! What is to be trained, and how: all of it public, and the same for everybody who takes part.
//!
//! ```text
//! z_l = h_l W_l + b_l,  h_0 = x,  h_{l+1} = max(z_l, 0)
//! W  <-  (1 - rate decay) W - rate/batch V,  V <- momentum V + G
//! G is the gradient, summed over a batch
//! ```

use serde::{Deserialize, Serialize};

/// A training job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Job {
    /// Of this description: [`VERSION`].
    pub version: u32,
    /// Rows to train on.
    pub rows: usize,
    /// Features, widths of the hidden layers, outputs. Without hidden layers the model is linear.
    pub widths: Vec<usize>,
    /// What is made small.
    pub loss: Loss,
    /// Rows in a step. Rows that fill no batch wait for the next epoch, which shuffles anew.
    pub batch: usize,
    /// How often all rows are gone through.
    pub epochs: u32,
    /// The learning rate, of the mean over a batch.
    pub rate: Rate,
    /// What is kept of the velocity in a step; a multiple of 2^-10 is taken. Costs a truncation.
    #[serde(default)]
    pub momentum: f64,
    /// What the weights (not the biases) lose in a step, times the rate. Costs a truncation.
    #[serde(default)]
    pub decay: f64,
    /// From which the orders of the rows are drawn.
    pub shuffle: u64,
    /// The weights at the start. Biases start at zero.
    pub start: Start,
    /// Bits behind the point.
    pub scales: Scales,
    /// Bits before the point.
    pub ranges: Ranges,
    /// What is opened of the model's quality, and nothing else is.
    #[serde(default)]
    pub metrics: Vec<Metric>,
}

/// The version of a [`Job`]'s description.
pub const VERSION: u32 = 1;

/// What is made small: the mean over the rows of
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Half the sum of (z - y)^2 over the outputs.
    SquaredError,
    /// The cross-entropy of softmax(z), y one-hot.
    Softmax,
    /// The cross-entropy of the sigmoid of z, one output, y 0 or 1.
    Sigmoid,
}

/// The learning rate by epochs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rate {
    /// In the first epoch.
    pub first: f64,
    /// Later.
    #[serde(default)]
    pub schedule: Schedule,
}

/// How the rate changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// Not at all.
    #[default]
    Constant,
    /// Every so many epochs, by this factor.
    Steps {
        /// Epochs.
        every: u32,
        /// Factor.
        factor: f64,
    },
    /// In equal steps to this rate, which the last epoch has.
    Linear {
        /// The last rate.
        last: f64,
    },
}

impl Rate {
    /// The same all the time.
    #[must_use]
    pub const fn constant(first: f64) -> Self {
        Self { first, schedule: Schedule::Constant }
    }

    /// Of one epoch after the other: the same bits as [`at`](Self::at), in linear time.
    pub(crate) fn each(self, epochs: u32) -> impl Iterator<Item = f64> {
        let mut stepped = self.first;
        (0..epochs).map(move |epoch| match self.schedule {
            Schedule::Steps { every, factor } => {
                if epoch > 0 && epoch.is_multiple_of(every.max(1)) {
                    stepped *= factor;
                }
                stepped
            }
            _ => self.at(epoch, epochs),
        })
    }

    /// In an epoch, counted from 0.
    #[must_use]
    pub fn at(&self, epoch: u32, epochs: u32) -> f64 {
        match self.schedule {
            Schedule::Constant => self.first,
            Schedule::Steps { every, factor } => {
                // Not `powi`, whose rounding is the machine's own.
                (0..epoch / every.max(1)).fold(self.first, |rate, _| rate * factor)
            }
            Schedule::Linear { last } => {
                let share = f64::from(epoch) / f64::from(epochs.saturating_sub(1).max(1));
                self.first + (last - self.first) * share
            }
        }
    }
}

/// Where the weights at the start come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// All zero: for models without hidden layers.
    Zero,
    /// He's, from this public seed: both clouds know them.
    Seed(u64),
    /// Inputs `weights 0`, `bias 0`, ... of the run: nobody need know them.
    Inputs,
    /// He's, drawn by the dealer from its secret for the job: neither cloud knows them, and all
    /// attempts at the job have the same.
    Dealer,
}

/// Bits behind the point. The weights' follow: products of what they are made of are never cut
/// off, so a layer's weights stand at the scale of its input, plus `error`, plus `rate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scales {
    /// Of the features.
    pub input: u8,
    /// Of the labels; 0 for classes.
    #[serde(default)]
    pub label: u8,
    /// Of what hidden layers give.
    pub activation: u8,
    /// Of the errors that are propagated back.
    pub error: u8,
    /// Of rate/batch: it is a small whole number times 2^-rate, and the power of two is free.
    pub rate: u8,
}

/// Bits before the point: a range of 3 says that numbers stay below 8 in magnitude. The clear run
/// holds every declared range against the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ranges {
    /// Of the features: 1 where they reach up to one.
    pub input: u8,
    /// Of the labels: 1 for classes.
    pub label: u8,
    /// Of the weights.
    pub weight: u8,
    /// Of what hidden layers give.
    pub activation: u8,
    /// Of the sums z before an activation, biases included.
    pub sum: u8,
    /// Of the errors that are propagated back.
    pub error: u8,
}

/// What may be opened of a model's quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The mean of the loss.
    Loss,
    /// The share of rows whose class is the likeliest one.
    Accuracy,
    /// How many rows of each class were taken for each class.
    Confusion,
    /// The area under the receiver's curve, for two classes. Opens with it the number of rows of
    /// each class.
    Auc,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_in_turn_are_those_of_each_epoch() {
        let schedules = [
            Schedule::Constant,
            Schedule::Steps { every: 1, factor: 0.9 },
            Schedule::Steps { every: 3, factor: 0.7 },
            Schedule::Linear { last: 0.01 },
        ];
        for schedule in schedules {
            let rate = Rate { first: 0.3, schedule };
            let apart: Vec<_> = (0..50).map(|epoch| rate.at(epoch, 50).to_bits()).collect();
            assert!(rate.each(50).map(f64::to_bits).eq(apart), "{schedule:?}");
        }
    }
}
