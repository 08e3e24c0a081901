//! Does a job hold together? What comes out is a [`Plan`]: the scale and the bound of every tensor
//! of a step.
//!
//! ```text
//! scales   weights w_l = h_l + error + rate, sums h_l + w_l, biases error + rate
//!          (h_0 = input, h_l = activation)
//! forward  h_l W_l at h_l + w_l, cut to activation by the ReLU, or to error at the output
//! back     error W_lᵀ at error + w_l, cut by w_l bits behind the ReLU's bit
//! update   h_lᵀ error at h_l + error; read 2^rate times smaller it stands at w_l: nothing is cut
//! ```

use crate::error::{Error, Result};
use crate::head::LOGITS;
use crate::job::{Job, Loss, Metric, Schedule, Start, VERSION};
use crate::plan::{DECAY, Layer, MOMENTUM, Plan, VELOCITY_BOUND};
use dyad_mpc::tensor::{MAX_BOUND, Meta};

/// What sums may reach before a rounding constant is added.
const MOST: u8 = MAX_BOUND - 1;
/// What a sum of two terms may have, for the sum to stay in the ring.
const MOST_OF_TWO: u8 = 62;
/// Words of one stream of masks: a table is masked from one.
const MOST_ENTRIES: u128 = (1 << 32) - 1;
/// Weights in all, 1 GiB of shares; and what a batch has in a layer.
const MOST_WEIGHTS: u128 = 1 << 27;
/// Each has its rate in the plan.
const MOST_EPOCHS: u32 = 100_000;
/// Each is gone through before the first is done, to name the program: days of training, minutes
/// of counting.
const MOST_STEPS: u64 = 10_000_000;
/// What softmax takes.
const MOST_CLASSES: usize = 1 << 10;
/// What a scale may be.
const FINEST: u8 = 63;
/// rate/batch 2^rate below this: more bits would be lost at the top of the ring.
const MOST_RATE: i64 = 1 << 12;

fn wrong<T>(field: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Result<T> {
    Err(Error::Job { field, what: what.into(), remedy: remedy.into() })
}

impl Job {
    /// Checks every field, and every bound that follows from them.
    pub fn check(&self) -> Result<Plan> {
        self.check_sizes()?;
        self.check_metrics()?;
        let momentum = self.check_momentum()?;
        let rates = (0..).zip(self.rate.each(self.epochs));
        let epochs = rates.map(|(epoch, rate)| self.check_rate(epoch, rate));
        let epochs = epochs.collect::<Result<Vec<_>>>()?;
        let layers = self.check_bits()?;
        let plan = Plan { job: self.clone(), layers, epochs, momentum };
        plan.check_updates()?;
        Ok(plan)
    }

    fn check_sizes(&self) -> Result<()> {
        if self.version != VERSION {
            let what = format!("is {}, this release reads {VERSION}", self.version);
            return wrong("version", what, "install the release that wrote it");
        }
        if self.widths.len() < 2 || self.widths.contains(&0) {
            let what = format!("{:?} are no layers", self.widths);
            return wrong(
                "widths",
                what,
                "name features, hidden widths and outputs, none of them 0",
            );
        }
        if self.widths.iter().any(|width| *width > 1 << 20) {
            return wrong("widths", "a layer has more than 2^20 units", "take fewer");
        }
        let outputs = self.outputs();
        match self.loss {
            Loss::Sigmoid if outputs != 1 => {
                let what = format!("sigmoid has one output, the last width is {outputs}");
                return wrong("loss", what, "take softmax, or a last width of 1");
            }
            Loss::Softmax if outputs < 2 => {
                let what = "softmax has two outputs or more, the last width is 1";
                return wrong("loss", what, "take sigmoid, or a last width of 2");
            }
            Loss::Softmax if outputs > MOST_CLASSES => {
                let what = format!("softmax of {outputs} outputs");
                return wrong("widths", what, format!("give at most {MOST_CLASSES}"));
            }
            _ => {}
        }
        if self.rows == 0 || u32::try_from(self.rows).is_err() {
            return wrong("rows", format!("{} rows", self.rows), "give 1 to 2^32 - 1");
        }
        if self.batch == 0 || self.batch > self.rows {
            let what = format!("{} of {} rows", self.batch, self.rows);
            return wrong("batch", what, "give 1 to as many as there are rows");
        }
        if self.epochs == 0 {
            return wrong("epochs", "none", "give at least 1");
        }
        if self.epochs > MOST_EPOCHS {
            return wrong("epochs", format!("{}", self.epochs), "give at most 100,000");
        }
        let steps = (self.rows / self.batch) as u64 * u64::from(self.epochs);
        if steps > MOST_STEPS {
            let what = format!("{steps} steps in all");
            return wrong("epochs", what, "take fewer, or larger batches: 10 million are the most");
        }
        self.check_entries()?;
        if self.start == Start::Zero && self.widths.len() > 2 {
            let what = "hidden layers that start at zero stay there";
            return wrong("start", what, "give a seed, or inputs");
        }
        Ok(())
    }

    /// A description is written by others: what it asks for must not bring a party down.
    fn check_entries(&self) -> Result<()> {
        let product = |a: usize, b: usize| a as u128 * b as u128;
        for (what, columns) in [("features", self.features()), ("outputs", self.outputs())] {
            if product(self.rows, columns) > MOST_ENTRIES {
                let what = format!("{} rows of {columns} {what} are 2^32 or more", self.rows);
                return wrong("rows", what, "take fewer");
            }
        }
        let weights: u128 = self.widths.windows(2).map(|pair| product(pair[0], pair[1])).sum();
        if weights > MOST_WEIGHTS {
            let what = format!("{weights} weights are more than 2^27");
            return wrong("widths", what, "take fewer or narrower layers");
        }
        let widest = self.widths.iter().copied().max().unwrap_or(0);
        if product(self.batch, widest) > MOST_WEIGHTS {
            let what = format!("{} rows in layers of {widest} are more than 2^27", self.batch);
            return wrong("batch", what, "take fewer");
        }
        Ok(())
    }

    fn check_metrics(&self) -> Result<()> {
        let classes = self.loss != Loss::SquaredError
            || self.metrics.iter().any(|metric| *metric != Metric::Loss);
        if classes && self.scales.label != 0 {
            let what = format!("classes are 0 and 1, at scale 0 and not {}", self.scales.label);
            return wrong("scales.label", what, "give 0, or open the loss of numbers alone");
        }
        let two = self.loss == Loss::Sigmoid || self.outputs() == 2;
        for (i, metric) in self.metrics.iter().enumerate() {
            match metric {
                metric if self.metrics[..i].contains(metric) => {
                    return wrong("metrics", format!("{metric:?} twice"), "name each once");
                }
                // Squares stand at twice the scale.
                Metric::Loss
                    if self.loss == Loss::SquaredError && self.scales.error > FINEST / 2 =>
                {
                    let what = format!("squares of errors of {} bits", self.scales.error);
                    let remedy = format!("give at most {}, or open no loss", FINEST / 2);
                    return wrong("scales.error", what, remedy);
                }
                Metric::Accuracy | Metric::Confusion
                    if self.outputs() == 1 && self.loss != Loss::Sigmoid =>
                {
                    return wrong(
                        "metrics",
                        format!("{metric:?} of a model that gives one number"),
                        "open the loss alone, or train with sigmoid",
                    );
                }
                Metric::Auc if !two => {
                    let what = format!("the AUC is for two classes, there are {}", self.outputs());
                    return wrong("metrics", what, "open the confusion matrix");
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_momentum(&self) -> Result<i64> {
        if !(0.0..1.0).contains(&self.momentum) {
            let what = format!("{} is not in [0, 1)", self.momentum);
            return wrong("momentum", what, "0 is none, 0.9 is usual");
        }
        let factor = self.momentum * f64::from(1 << MOMENTUM);
        let rounded = factor.round().min(f64::from(1 << MOMENTUM) - 1.0);
        Ok(rounded as i64)
    }

    /// The whole numbers that stand for rate/batch and for rate times decay.
    fn check_rate(&self, epoch: u32, rate: f64) -> Result<(i64, i64)> {
        match self.rate.schedule {
            Schedule::Steps { every: 0, .. } => {
                return wrong("rate.schedule.every", "0 epochs", "give at least 1");
            }
            _ if self.scales.rate > 40 => {
                return wrong("scales.rate", "more than 40 bits", "8 to 16 are usual");
            }
            _ => {}
        }
        if !(rate.is_finite() && rate > 0.0) {
            return wrong("rate", format!("{rate} in epoch {epoch}"), "give more than 0");
        }
        let unit = (-f64::from(self.scales.rate)).exp2();
        let factor = rate / self.batch as f64 / unit;
        let rounded = factor.round();
        if rounded >= MOST_RATE as f64 {
            let least = (MOST_RATE as f64 / factor).log2().floor();
            return wrong(
                "scales.rate",
                format!("rate/batch is {factor:.0} 2^-{} in epoch {epoch}", self.scales.rate),
                format!("lower it by {:.0}: bits beyond 12 are wasted", -least),
            );
        }
        if rounded == 0.0 || (factor / rounded - 1.0).abs() > 0.01 {
            let near = rounded.max(1.0) * unit * self.batch as f64;
            return wrong(
                "scales.rate",
                format!(
                    "a rate of {rate} in epoch {epoch} for batches of {} is not within 1 % of a \
                     multiple of 2^-{}",
                    self.batch, self.scales.rate
                ),
                format!("raise it, or take a rate of {near}"),
            );
        }
        if !(0.0..1.0).contains(&(rate * self.decay)) {
            let what = format!("{} times the rate is not in [0, 1)", self.decay);
            return wrong("decay", what, "0 is none, 0.0001 is usual");
        }
        let decay = (rate * self.decay * f64::from(DECAY).exp2()).round();
        if self.decay > 0.0 && decay == 0.0 {
            let what = format!("times the rate is below 2^-{}", DECAY + 1);
            return wrong("decay", what, "give 0 or more than that");
        }
        Ok((rounded as i64, decay as i64))
    }

    /// Each layer's scales and bounds.
    fn check_bits(&self) -> Result<Vec<Layer>> {
        let (s, r) = (self.scales, self.ranges);
        let all = [
            ("scales.input", s.input),
            ("scales.activation", s.activation),
            ("scales.error", s.error),
            ("scales.label", s.label),
            ("ranges.input", r.input),
            ("ranges.label", r.label),
            ("ranges.weight", r.weight),
            ("ranges.activation", r.activation),
            ("ranges.sum", r.sum),
            ("ranges.error", r.error),
        ];
        if let Some((field, bits)) = all.into_iter().find(|(_, bits)| *bits > 40) {
            return wrong(field, format!("{bits} bits"), "give at most 40");
        }
        if s.error == 0 {
            return wrong("scales.error", "0 bits", "13 are usual");
        }
        let mut layers = Vec::new();
        for (l, pair) in self.widths.windows(2).enumerate() {
            let (inputs, outputs) = (pair[0], pair[1]);
            let (input, range) =
                if l == 0 { (s.input, r.input) } else { (s.activation, r.activation) };
            let weight = input + s.error + s.rate;
            let sum = input + weight;
            let exceeds = |what: &str, bits: u8| {
                let over = bits - MOST;
                wrong(
                    "scales",
                    format!("layer {l}: {what} reach 2^{bits}, beyond 2^{MOST}"),
                    format!(
                        "lower scales.activation, scales.error, scales.rate or a range by {over} \
                         bits in all (scales.{} counts twice)",
                        if l == 0 { "input" } else { "activation" }
                    ),
                )
            };
            let last = l + 2 == self.widths.len();
            if sum + r.sum > MOST {
                return exceeds("sums", sum + r.sum);
            }
            let cut = match (last, self.loss) {
                (false, _) => s.activation,
                (true, Loss::SquaredError) => s.error.max(LOGITS),
                (true, _) => LOGITS,
            };
            if sum <= cut {
                let what = format!("layer {l}: sums have {sum} bits, {cut} are kept");
                return wrong("scales", what, "raise scales.input or scales.rate");
            }
            if l > 0 && s.error + weight + r.error > MOST {
                return exceeds("errors times weights", s.error + weight + r.error);
            }
            let gradient = self.gradient_bits(input, range);
            if gradient > MOST {
                return exceeds("gradients", gradient);
            }
            layers.push(Layer {
                inputs,
                outputs,
                input,
                weights: Meta::new(inputs, outputs, weight, weight + r.weight),
                // A bias may be as large as a sum.
                bias: Meta::new(1, outputs, s.error + s.rate, s.error + s.rate + r.sum),
                sum,
                sum_bound: sum + r.sum,
            });
        }
        let last = layers.last().map_or(0, |layer| layer.sum);
        if last < s.label || last + r.label > MOST {
            return wrong(
                "scales.label",
                format!("labels at {} bits, compared with sums at {last}", s.label),
                "lower it",
            );
        }
        Ok(layers)
    }

    /// Bits of what is summed up over a batch, behind an input of these bits.
    fn gradient_bits(&self, input: u8, range: u8) -> u8 {
        input + range + self.scales.error + self.ranges.error + bits_of(self.batch)
    }

    /// Features of a row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.widths.first().copied().unwrap_or(0)
    }

    /// Outputs of the model: columns of the labels.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.widths.last().copied().unwrap_or(0)
    }
}

/// Bits of a number.
fn bits_of(n: usize) -> u8 {
    (usize::BITS - n.leading_zeros()) as u8
}

impl Plan {
    fn check_updates(&self) -> Result<()> {
        let job = &self.job;
        let rate = self.epochs.iter().map(|(rate, _)| *rate).max().unwrap_or(0);
        for (l, layer) in self.layers.iter().enumerate() {
            if layer.weights.bound > MOST_OF_TWO {
                let over = layer.weights.bound - MOST_OF_TWO;
                return wrong(
                    "ranges.weight",
                    format!("layer {l}: weights reach 2^{}", layer.weights.bound),
                    format!("lower it by {over} bits"),
                );
            }
            // The old weights less the step: both terms, and their sum, must stay in the ring.
            let range = if l == 0 { job.ranges.input } else { job.ranges.activation };
            let step = match self.momentum {
                0 => job.gradient_bits(layer.input, range),
                _ => VELOCITY_BOUND,
            };
            let most = step + bits_of(rate as usize);
            if most > MOST_OF_TWO {
                let over = most - MOST_OF_TWO;
                return wrong(
                    "scales.rate",
                    format!("layer {l}: gradients times rate/batch reach 2^{most}"),
                    format!("lower it, or the rate, by {over} bits"),
                );
            }
            let most = self.epochs.iter().map(|(_, decay)| *decay).max().unwrap_or(0);
            let scale = layer.weights.scale + DECAY;
            if most > 0 && scale > FINEST {
                return wrong(
                    "decay",
                    format!("layer {l}: weights at {} bits, the decay at {DECAY}", scale - DECAY),
                    format!("lower scales by {} bits in all, or give 0", scale - FINEST),
                );
            }
            let decayed = layer.weights.bound + bits_of(most as usize);
            if most > 0 && decayed > MOST {
                return wrong(
                    "decay",
                    format!("layer {l}: weights times rate and decay reach 2^{decayed}"),
                    "lower scales.rate or ranges.weight, or give a smaller decay",
                );
            }
            let (Start::Seed(_) | Start::Dealer) = job.start else { continue };
            let limit = (6.0 / layer.inputs as f64).sqrt();
            if limit >= f64::from(job.ranges.weight).exp2() {
                return wrong(
                    "ranges.weight",
                    format!("layer {l} starts with weights up to {limit:.2}"),
                    "raise it",
                );
            }
        }
        Ok(())
    }
}
