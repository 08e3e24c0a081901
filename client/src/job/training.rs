//! From a few words to a whole description of a training: `mlp:32,16`, ten epochs, and scales that
//! hold together with the numbers that were uploaded.

use crate::error::{Error, Result, request};
use dyad_learn::signed::{Facts, Signed};
use dyad_learn::{Job, Loss, Metric, Ranges, Rate, Scales, Start};
use dyad_protos::job;
use dyad_protos::study::Draft;
use std::fmt;
use std::str::FromStr;

/// What is trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Model {
    /// A multi-layer perceptron with these hidden layers.
    Mlp(Vec<usize>),
    /// Logistic regression: the label has classes.
    Logistic,
    /// Linear regression: the label is a number.
    Linear,
}

impl FromStr for Model {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, widths) = text.split_once(':').unwrap_or((text, ""));
        let widths: Option<Vec<usize>> = match widths {
            "" => Some(Vec::new()),
            widths => widths.split(',').map(|width| width.trim().parse().ok()).collect(),
        };
        match (kind, widths) {
            ("logistic", Some(widths)) if widths.is_empty() => Ok(Self::Logistic),
            ("linear", Some(widths)) if widths.is_empty() => Ok(Self::Linear),
            ("mlp", Some(widths)) if !widths.is_empty() && !widths.contains(&0) => {
                Ok(Self::Mlp(widths))
            }
            _ => request(format!(
                "`{text}` is no model: say logistic, linear, or mlp with the widths of its hidden \
                 layers, such as mlp:32,16"
            )),
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Logistic => f.write_str("logistic"),
            Self::Linear => f.write_str("linear"),
            Self::Mlp(widths) => {
                let widths: Vec<_> = widths.iter().map(ToString::to_string).collect();
                write!(f, "mlp:{}", widths.join(","))
            }
        }
    }
}

/// How it is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// What.
    pub model: Model,
    /// How often all rows are gone through.
    pub epochs: u32,
    /// Rows in a step; fewer if there are fewer.
    pub batch: usize,
    /// The learning rate, of the mean over a batch; a usual one if none is given. Where the numbers
    /// leave no room for it, the nearest that there is room for is taken.
    pub rate: Option<f64>,
    /// What is kept of the velocity.
    pub momentum: f64,
    /// What weights lose in a step, times the rate.
    pub decay: f64,
    /// From which weights at the start and orders of rows are drawn.
    pub seed: u64,
    /// What is opened of its quality; what is usual if none is given.
    pub metrics: Option<Vec<Metric>>,
}

impl Training {
    /// This model, and everything else as is usual.
    #[must_use]
    pub const fn of(model: Model) -> Self {
        Self {
            model,
            epochs: 10,
            batch: 32,
            rate: None,
            momentum: 0.0,
            decay: 0.0,
            seed: 1,
            metrics: None,
        }
    }

    /// The whole description, for so many rows to train on.
    pub fn describe(&self, draft: &Draft, rows: u64, tested: bool) -> Result<Job> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let classes = draft.label.classes.len();
        let batch = self.batch.min(rows).max(1);
        let job = match (&self.model, classes) {
            (Model::Logistic, 0) => {
                let label = &draft.label.name;
                return request(format!("`{label}` is a number: take linear, or mlp:WIDTHS"));
            }
            (Model::Linear, 1..) => {
                let label = &draft.label.name;
                return request(format!("`{label}` has classes: take logistic, or mlp:WIDTHS"));
            }
            (Model::Logistic, _) => Job::logistic(rows, draft.width(), classes, batch),
            (Model::Linear, _) => Job::linear(rows, draft.width(), 1, batch),
            (Model::Mlp(hidden), _) => {
                let (outputs, loss) = match classes {
                    0 => (1, Loss::SquaredError),
                    2 => (1, Loss::Sigmoid),
                    _ => (classes, Loss::Softmax),
                };
                let widths = [&[draft.width()], &hidden[..], &[outputs]].concat();
                Job::mlp(rows, &widths, loss, batch, self.epochs)
            }
        };
        let usual =
            if classes == 0 { vec![Metric::Loss] } else { vec![Metric::Loss, Metric::Accuracy] };
        let metrics = self.metrics.clone().unwrap_or(usual);
        let start = match job.start {
            Start::Seed(_) => Start::Seed(self.seed),
            other => other,
        };
        let rate = self.rate.unwrap_or(job.rate.first);
        let job = Job {
            epochs: self.epochs,
            rate: Rate::constant(rate),
            momentum: self.momentum,
            decay: self.decay,
            shuffle: self.seed,
            start,
            metrics: if tested { metrics } else { Vec::new() },
            ..job
        };
        fitted(&job, draft)
    }
}

/// The same with scales and ranges that hold what was uploaded, as fine as there is room for.
fn fitted(job: &Job, draft: &Draft) -> Result<Job> {
    let point = draft.fraction_bits as u8;
    let whole = draft.value_bits.saturating_sub(draft.fraction_bits + 1) as u8;
    let number = draft.label.classes.is_empty();
    let wider = whole.saturating_sub(job.ranges.input);
    let ranges = Ranges {
        input: job.ranges.input.max(whole),
        label: if number { whole.max(1) } else { 1 },
        // Larger features make larger sums.
        sum: (job.ranges.sum + wider).min(40),
        ..job.ranges
    };
    let mut refused = None;
    // The rate that was asked for, then the nearest that take fewer bits; with each the finest
    // scales first. The last to be given up is what features were uploaded with.
    for (bits, rate) in rates(job.rate.first, job.batch)? {
        for cut in 0..=16_u8 {
            let less = |bits: u8, least: u8| bits.saturating_sub(cut).max(least.min(bits));
            let scales = Scales {
                input: less(job.scales.input.max(point), point),
                label: if number { point } else { 0 },
                activation: less(job.scales.activation, 6),
                error: less(job.scales.error, 6),
                rate: bits,
            };
            let ranges = Ranges { sum: less(ranges.sum, 6 + whole), ..ranges };
            let fitted = Job { scales, ranges, rate: Rate::constant(rate), ..job.clone() };
            match fitted.check() {
                Ok(_) => return Ok(fitted),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
    }
    match refused {
        Some(error) => Err(error.into()),
        None => request("no scales fit"),
    }
}

/// Rates with the bits in which rate/batch is a whole number, to 1 %: the one that was asked for,
/// from 8 bits on, then its neighbours with fewer and fewer bits.
fn rates(rate: f64, batch: usize) -> Result<Vec<(u8, f64)>> {
    let of = |bits: u8| (rate / batch as f64 * f64::from(bits).exp2(), bits);
    let near = |(factor, _): &(f64, u8)| {
        let rounded = factor.round();
        rounded >= 1.0 && (factor / rounded - 1.0).abs() <= 0.01
    };
    let Some((_, exact)) = (8..=40).map(of).find(near).filter(|_| rate.is_finite()) else {
        return request(format!(
            "a rate of {rate} for batches of {batch} cannot be written in 40 bits; 0.1 to 1 are \
             usual"
        ));
    };
    let neighbours = (0..exact).rev().map(of).filter(|(factor, _)| factor.round() >= 1.0);
    let neighbours = neighbours
        .map(|(factor, bits)| (bits, factor.round() * (-f64::from(bits)).exp2() * batch as f64));
    Ok(std::iter::once((exact, rate)).chain(neighbours).collect())
}

/// What all parties derive from a job and its study.
pub(crate) fn signed(job: &job::Job, draft: &Draft) -> Result<Signed> {
    Ok(Signed::read(&Facts {
        train: &job.train,
        rows: job.rows,
        test_rows: job.test_rows,
        split: job.split,
        checkpoint: job.checkpoint,
        features: draft.width(),
        classes: draft.label.classes.len(),
        fraction_bits: draft.fraction_bits,
        value_bits: draft.value_bits,
        dealt: job.is_dealt(),
    })?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use dyad_protos::study::{Column, Label};

    fn draft(f: u32, l: u32, classes: usize) -> Draft {
        Draft {
            version: 1,
            name: "s".parse().unwrap(),
            members: vec!["north".parse().unwrap()],
            fraction_bits: f,
            value_bits: l,
            schema: String::new(),
            columns: vec![Column { name: "x".into(), width: 20 }],
            label: Label {
                name: "y".into(),
                classes: (0..classes).map(|c| c.to_string()).collect(),
            },
        }
    }

    #[test]
    fn models_are_read_as_they_are_written() {
        for text in ["logistic", "linear", "mlp:32", "mlp:128,64,32"] {
            assert_eq!(text.parse::<Model>().unwrap().to_string(), text);
        }
        for text in ["", "mlp", "mlp:", "mlp:0", "mlp:3,", "linear:3", "tree"] {
            let error = text.parse::<Model>().unwrap_err().to_string();
            assert!(error.contains("mlp:32,16"), "{error}");
        }
    }

    #[test]
    fn every_usual_training_holds_together() {
        for (f, l) in [(8, 10), (8, 16), (8, 20), (12, 14), (16, 18), (16, 24), (20, 22), (4, 30)] {
            for (model, classes) in [
                ("mlp:32,16", 2),
                ("mlp:128,128", 10),
                ("mlp:8", 0),
                ("logistic", 2),
                ("logistic", 5),
                ("linear", 0),
            ] {
                for rate in [None, Some(0.1), Some(0.01), Some(1.0)] {
                    if f >= 16 && rate == Some(0.01) {
                        // Fine numbers and small rates: there may be no room, and then it is said.
                        continue;
                    }
                    let draft = draft(f, l, classes);
                    let training = Training { rate, ..Training::of(model.parse().unwrap()) };
                    let job = training.describe(&draft, 800, true);
                    let job =
                        job.unwrap_or_else(|error| panic!("{model} {f} {l} {rate:?}: {error}"));
                    let facts = Facts {
                        train: &toml::Table::try_from(&job).unwrap(),
                        rows: 1000,
                        test_rows: 200,
                        split: 1,
                        checkpoint: 10,
                        features: 20,
                        classes,
                        fraction_bits: f,
                        value_bits: l,
                        dealt: true,
                    };
                    let signed = Signed::read(&facts);
                    assert!(signed.is_ok(), "{model} {f} {l} {rate:?}: {:?}", signed.err());
                }
            }
        }
    }

    /// Nobody deals weights where nothing is dealt.
    #[test]
    fn secret_starts_want_a_dealer() {
        let draft = draft(8, 10, 2);
        let job = Training::of("mlp:8".parse().unwrap()).describe(&draft, 80, true).unwrap();
        let job = dyad_learn::Job { start: Start::Dealer, ..job };
        let facts = Facts {
            train: &toml::Table::try_from(&job).unwrap(),
            rows: 100,
            test_rows: 20,
            split: 1,
            checkpoint: 10,
            features: 20,
            classes: 2,
            fraction_bits: 8,
            value_bits: 10,
            dealt: true,
        };
        assert!(Signed::read(&facts).is_ok());
        let refused = Signed::read(&Facts { dealt: false, ..facts }).unwrap_err().to_string();
        assert!(refused.contains("start") && refused.contains("take a seed"), "{refused}");
    }

    #[test]
    fn scales_are_the_usual_ones_where_there_is_room() {
        let training = Training::of("mlp:32,16".parse().unwrap());
        let job = training.describe(&draft(8, 10, 10), 100, true).unwrap();
        let usual = Job::mlp(100, &[20, 32, 16, 10], Loss::Softmax, 32, 10);
        assert_eq!((job.scales, job.ranges), (usual.scales, usual.ranges));
        assert_eq!(job.widths, usual.widths);
        let small = training.describe(&draft(8, 10, 10), 7, false).unwrap();
        assert_eq!((small.batch, small.metrics), (7, vec![]));
    }

    #[test]
    fn labels_and_models_go_together() {
        let of = |model: &str, classes| {
            Training::of(model.parse().unwrap()).describe(&draft(8, 10, classes), 10, true)
        };
        assert!(of("linear", 3).unwrap_err().to_string().contains("take logistic"));
        assert!(of("logistic", 0).unwrap_err().to_string().contains("take linear"));
    }
}
