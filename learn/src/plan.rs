//! A checked job: the scale and the bound of every tensor of a step.

use crate::job::{Job, Start};
use crate::mlp::{NAMES, initial};
use dyad_mpc::Shift;
use dyad_mpc::prg::Seed;
use dyad_mpc::tensor::{MAX_BOUND, Meta};
use dyad_mpc::together::Input;

/// A job that has been checked.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) job: Job,
    pub(crate) layers: Vec<Layer>,
    /// For each epoch, rate/batch times 2^rate, and rate times decay times 2^[`DECAY`].
    pub(crate) epochs: Vec<(i64, i64)>,
    /// momentum times 2^[`MOMENTUM`].
    pub(crate) momentum: i64,
}

/// What is public of a layer's tensors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Of what comes in: bits behind the point.
    pub(crate) input: u8,
    pub(crate) weights: Meta,
    pub(crate) bias: Meta,
    /// Of z, and |z| below 2^this.
    pub(crate) sum: u8,
    pub(crate) sum_bound: u8,
}

/// Bits behind the point of the momentum's factor.
pub(crate) const MOMENTUM: u8 = 10;
/// And of the decay's.
pub(crate) const DECAY: u8 = 24;
/// What velocities stay below, with room for the momentum's factor.
pub(crate) const VELOCITY_BOUND: u8 = MAX_BOUND - MOMENTUM - 2;

impl Plan {
    /// The job.
    #[must_use]
    pub const fn job(&self) -> &Job {
        &self.job
    }

    /// Steps in an epoch.
    #[must_use]
    pub fn steps_per_epoch(&self) -> u64 {
        (self.job.rows / self.job.batch) as u64
    }

    /// Steps in all.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps_per_epoch() * u64::from(self.job.epochs)
    }

    /// The rate that is in fact taken, the nearest multiple of batch times 2^-`scales.rate`.
    #[must_use]
    pub fn rate(&self, epoch: u32) -> f64 {
        let unit = (-f64::from(self.job.scales.rate)).exp2();
        self.factors(epoch).0 as f64 * unit * self.job.batch as f64
    }

    pub(crate) fn factors(&self, epoch: u32) -> (i64, i64) {
        self.epochs.get(epoch as usize).or(self.epochs.last()).copied().unwrap_or((0, 0))
    }

    pub(crate) const fn momentum(&self) -> i64 {
        self.momentum
    }

    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// What is public of a velocity.
    pub(crate) const fn velocity(&self, of: Meta) -> Meta {
        let scale = of.scale - self.job.scales.rate;
        Meta { scale, bound: VELOCITY_BOUND, ..of }
    }

    /// The layer whose sums are the answer.
    pub(crate) fn last(&self) -> &Layer {
        self.layers.last().unwrap_or_else(|| unreachable!("a checked job has a layer"))
    }

    /// The shift behind the ReLU of a layer.
    pub(crate) const fn cut(&self, layer: &Layer) -> Shift {
        Shift::nearest(layer.sum - self.job.scales.activation)
    }

    /// He's weights for [`Start::Dealer`](crate::Start::Dealer): the dealer's inputs, the same in
    /// all attempts at the job. None if the job does not start so.
    #[must_use]
    pub fn dealer_inputs(&self, secret: &[u8; 32], job: &[u8; 32]) -> Vec<Input> {
        match self.job.start {
            Start::Dealer => {
                self.secret_start(Seed::of_job(secret, job, "initial weights").as_bytes())
            }
            _ => vec![],
        }
    }

    /// He's weights, and biases of zero, from a seed that its holder keeps secret: inputs of a run
    /// with [`Start::Inputs`](crate::Start::Inputs), to be split into shares, one for each cloud.
    #[must_use]
    pub fn secret_start(&self, seed: &[u8; 32]) -> Vec<Input> {
        let layers = self.layers.iter().enumerate().flat_map(|(l, layer)| {
            let weights = initial(layer, seed, l).into_iter().map(|w| w as u64).collect();
            let bias = vec![0; layer.outputs];
            let name = |i: usize| format!("{} {l}", NAMES[i]);
            [Input::new(&name(0), layer.weights, weights), Input::new(&name(1), layer.bias, bias)]
        });
        layers.collect()
    }

    /// What is public of the tensors of a released model, in their order: each layer's weights and
    /// bias.
    #[must_use]
    pub fn released(&self) -> Vec<Meta> {
        self.layers.iter().flat_map(|layer| [layer.weights, layer.bias]).collect()
    }

    /// What is public of `rows` rows of features: input `features` of a run, and others.
    #[must_use]
    pub fn features(&self, rows: usize) -> Meta {
        let (scale, range) = (self.job.scales.input, self.job.ranges.input);
        Meta::new(rows, self.job.features(), scale, scale + range)
    }

    /// What is public of `rows` rows of labels: input `labels` of a run, and others.
    #[must_use]
    pub fn labels(&self, rows: usize) -> Meta {
        let (scale, range) = (self.job.scales.label, self.job.ranges.label);
        Meta::new(rows, self.job.outputs(), scale, scale + range)
    }
}
