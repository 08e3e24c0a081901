//! A training as owners signed it: what all parties derive from the same text, each for itself.

use crate::data::TEST;
use crate::error::{Error, Result};
use crate::job::{Job, Start};
use crate::plan::Plan;
use crate::public::split;
use crate::run::Run;
use dyad_mpc::Cost;
use dyad_mpc::together::{Input, cost};
use serde::Deserialize;

/// What a signed job and its study say that matters here.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The job's description of the training.
    pub train: &'a toml::Table,
    /// Rows in all.
    pub rows: u64,
    /// Of these, rows to test on.
    pub test_rows: u64,
    /// From which these are drawn.
    pub split: u64,
    /// Steps between checkpoints.
    pub checkpoint: u64,
    /// Features of a row.
    pub features: usize,
    /// Classes of the label; 0 if it is a number.
    pub classes: usize,
    /// Bits behind the point of uploaded numbers.
    pub fraction_bits: u32,
    /// Bits of uploaded numbers in all.
    pub value_bits: u32,
    /// Does the key centre deal to the job?
    pub dealt: bool,
}

/// A training that holds together with the rows it is for.
#[derive(Clone, Debug)]
pub struct Signed {
    plan: Plan,
    test_rows: usize,
    split: u64,
    checkpoint: u64,
    /// Bits that features and labels are raised by: from the scale they were uploaded at.
    raise: [u8; 2],
    label: Label,
}

#[derive(Clone, Copy, Debug)]
enum Label {
    /// As it is.
    Whole,
    /// Of two classes, the second's.
    Second,
}

impl Signed {
    /// Reads and checks it.
    pub fn read(facts: &Facts<'_>) -> Result<Self> {
        let job = Job::deserialize(facts.train.clone()).map_err(|error| Error::Job {
            field: "train",
            what: error.message().to_owned(),
            remedy: "write it as this release knows it".to_owned(),
        })?;
        let plan = job.check()?;
        if job.start == Start::Dealer && !facts.dealt {
            let remedy = "take a seed, or randomness of the dealer";
            return wrong("start", "the dealer's, and nothing is dealt to this job", remedy);
        }
        let uploaded = facts.rows.checked_sub(facts.test_rows);
        if uploaded != Some(job.rows as u64) || facts.rows > u64::from(u32::MAX) {
            let what = format!("{}, not {} less {}", job.rows, facts.rows, facts.test_rows);
            return wrong("rows", what, "rows of the uploads, less those to test on");
        }
        if job.features() != facts.features {
            let what = format!("{} features, the study has {}", job.features(), facts.features);
            return wrong("widths", what, "begin with the features of the study");
        }
        let label = match (facts.classes, job.outputs()) {
            (classes, outputs) if outputs == classes.max(1) => Label::Whole,
            (2, 1) => Label::Second,
            (classes, outputs) => {
                let what = format!("{outputs} outputs, the study's label has {classes} classes");
                return wrong("widths", what, "end with the classes, or 1 for two classes");
            }
        };
        if !job.metrics.is_empty() && facts.test_rows == 0 {
            let what = "asked for, with no rows to test on";
            return wrong("metrics", what, "set rows apart, or ask for none");
        }
        let point = facts.fraction_bits as u8;
        let whole = facts.value_bits.saturating_sub(facts.fraction_bits + 1) as u8;
        let by = |field, scale: u8, from: u8| {
            let what = format!("{scale} bits, numbers are uploaded with {from}");
            let few = || wrong(field, what, "take as many or more");
            scale.checked_sub(from).map_or_else(few, Ok)
        };
        let in_range = |field, range: u8, whole: u8| {
            let what = format!("{range} bits, uploaded numbers have {whole} before the point");
            if range < whole { wrong(field, what, "take as many or more") } else { Ok(()) }
        };
        let raise = [
            by("scales.input", job.scales.input, point)?,
            by("scales.label", job.scales.label, if facts.classes > 0 { 0 } else { point })?,
        ];
        in_range("ranges.input", job.ranges.input, whole)?;
        in_range("ranges.label", job.ranges.label, if facts.classes > 0 { 1 } else { whole })?;
        let (split, checkpoint) = (facts.split, facts.checkpoint);
        Ok(Self { plan, test_rows: facts.test_rows as usize, split, checkpoint, raise, label })
    }

    /// What is computed.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The whole training, from some step on. Metrics alone are opened.
    #[must_use]
    pub fn run(&self, from: u64) -> Run<'_> {
        let test_rows = if self.plan.job().metrics.is_empty() { 0 } else { self.test_rows };
        Run { from, agree_every: self.checkpoint, test_rows, ..Run::all(&self.plan) }
    }

    /// What a run costs, and the hash of its operations.
    pub fn cost(&self, from: u64) -> Result<(Cost, [u8; 32])> {
        Ok(cost(&self.run(from))?)
    }

    /// A place for the rows.
    #[must_use]
    pub fn gather(&self) -> Gather<'_> {
        let (train, test) = (self.plan.job().rows, self.test_rows);
        let mut place = vec![0; train + test];
        let (trained, tested) = split((train + test) as u32, test as u32, self.split);
        // Rows to train on first, rows to test on behind them.
        for (at, row) in trained.into_iter().chain(tested).enumerate() {
            place[row as usize] = at;
        }
        let rows = place.len();
        let zeros = |width| vec![0; rows * width];
        let (features, labels) = (self.plan.job().features(), self.plan.job().outputs());
        Gather { signed: self, place, features: zeros(features), labels: zeros(labels) }
    }
}

fn wrong<T>(field: &'static str, what: impl Into<String>, remedy: &str) -> Result<T> {
    Err(Error::Job { field, what: what.into(), remedy: remedy.to_owned() })
}

/// The inputs of a run, put together from cells: shares at a cloud, numbers in the clear.
pub struct Gather<'s> {
    signed: &'s Signed,
    place: Vec<usize>,
    features: Vec<u64>,
    labels: Vec<u64>,
}

impl Gather<'_> {
    /// Puts values of one row: `features` says which they are; what follows them is the label's.
    pub fn put(&mut self, row: u32, features: &[usize], values: &[u64]) {
        let (job, [raise, raise_label]) = (self.signed.plan.job(), self.signed.raise);
        let at = self.place[row as usize];
        let (values, label) = values.split_at(features.len());
        let mine = &mut self.features[at * job.features()..][..job.features()];
        for (feature, value) in features.iter().zip(values) {
            mine[*feature] = value << raise;
        }
        let label = match (self.signed.label, label) {
            (Label::Second, [_, second]) => std::slice::from_ref(second),
            (_, label) => label,
        };
        let mine = &mut self.labels[at * job.outputs()..][..job.outputs()];
        for (mine, value) in mine.iter_mut().zip(label) {
            *mine = value << raise_label;
        }
    }

    /// Features and labels to train on, and those to test on.
    #[must_use]
    pub fn inputs(mut self) -> Vec<Input> {
        let plan = &self.signed.plan;
        let (train, test) = (plan.job().rows, self.signed.test_rows);
        let tested = self.features.split_off(train * plan.job().features());
        let tested_labels = self.labels.split_off(train * plan.job().outputs());
        let mut inputs = vec![
            Input::new("features", plan.features(train), self.features),
            Input::new("labels", plan.labels(train), self.labels),
        ];
        if self.signed.run(0).test_rows > 0 {
            inputs.extend([
                Input::new(&format!("{TEST}features"), plan.features(test), tested),
                Input::new(&format!("{TEST}labels"), plan.labels(test), tested_labels),
            ]);
        }
        inputs
    }
}
