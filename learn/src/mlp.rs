//! The model and one step of its training, on any engine.
//!
//! ```text
//! rounds   mask all W                                        1
//!          each hidden layer: ReLU and cut 4, mask 1         5
//!          the error: by the loss, mask 1                    5 for squared error
//!          each hidden layer: gate and cut 4, mask 1         5
//! ```
//!
//! The rows are masked once for all steps. Weights are never cut: a gradient times the rate stands
//! at their scale already. Who learns what: nobody anything; each opened word is masked.

use crate::head;
use crate::job::Start;
use crate::plan::{DECAY, Layer, MOMENTUM, Plan};
use crate::public;
use dyad_mpc::engine::{Engine, Transpose};
use dyad_mpc::tensor::{Axis, Meta, View};
use dyad_mpc::{Bit, Masked, Result, Session, Shared, Shift, Table};

/// A model's tensors, secret.
pub struct Model<E: Engine> {
    pub(crate) layers: Vec<Tensors<E>>,
}

/// A layer's.
pub(crate) struct Tensors<E: Engine> {
    pub(crate) weights: Shared<E>,
    pub(crate) bias: Shared<E>,
    /// Of both, where there is momentum.
    pub(crate) velocity: Option<[Shared<E>; 2]>,
}

/// A model whose weights are masked: what rows are given to.
pub struct Ready<E: Engine> {
    weights: Vec<Masked<E>>,
    /// At the scale of the sums.
    biases: Vec<Shared<E>>,
}

/// The tensors of a layer by name, as inputs and in checkpoints.
pub(crate) const NAMES: [&str; 4] = ["weights", "bias", "velocity", "bias velocity"];

impl<E: Engine> Model<E> {
    /// As the job has it start.
    pub(crate) fn start(session: &mut Session<E>, plan: &Plan) -> Result<Self> {
        let mut layers = Vec::new();
        for (l, layer) in plan.layers().iter().enumerate() {
            let weights = match plan.job().start {
                Start::Inputs => return Self::read(session, plan, false),
                Start::Dealer => {
                    session.dealer_input(&format!("{} {l}", NAMES[0]), layer.weights)?
                }
                Start::Zero => session.constant(layer.weights, 0)?,
                Start::Seed(seed) => {
                    let values = initial(layer, &seed.to_le_bytes(), l);
                    session.public(layer.weights, &values)?
                }
            };
            layers.push(Tensors {
                weights,
                bias: session.constant(layer.bias, 0)?,
                velocity: at_rest(session, plan, layer)?,
            });
        }
        Ok(Self { layers })
    }

    /// From the run's inputs; `velocity` if those are to be read as well.
    pub(crate) fn read(session: &mut Session<E>, plan: &Plan, velocity: bool) -> Result<Self> {
        let mut layers = Vec::new();
        for (l, layer) in plan.layers().iter().enumerate() {
            let metas = metas(plan, layer);
            let mut input = |i: usize| session.input(&format!("{} {l}", NAMES[i]), metas[i]);
            let (weights, bias) = (input(0)?, input(1)?);
            let velocity = if velocity && plan.momentum() > 0 {
                Some([input(2)?, input(3)?])
            } else {
                at_rest(session, plan, layer)?
            };
            layers.push(Tensors { weights, bias, velocity });
        }
        Ok(Self { layers })
    }

    /// Every tensor, layer by layer, with its name.
    pub(crate) fn tensors(&self) -> Vec<(String, &Shared<E>)> {
        let mut all = Vec::new();
        for (l, layer) in self.layers.iter().enumerate() {
            let velocity = layer.velocity.iter().flatten();
            let tensors = [&layer.weights, &layer.bias].into_iter().chain(velocity);
            all.extend(NAMES.iter().zip(tensors).map(|(name, x)| (format!("{name} {l}"), x)));
        }
        all
    }

    /// Weights and biases, layer by layer: what a model is when it is released.
    #[must_use]
    pub fn released(&self) -> Vec<&Shared<E>> {
        self.layers.iter().flat_map(|layer| [&layer.weights, &layer.bias]).collect()
    }

    /// Masks the weights: one round.
    pub fn ready(&self, session: &mut Session<E>, plan: &Plan) -> Result<Ready<E>> {
        let weights: Vec<_> = self.layers.iter().map(|layer| &layer.weights).collect();
        let weights = session.mask(&weights)?;
        let biases = self.layers.iter().zip(plan.layers()).map(|(tensors, layer)| {
            // From error + rate to the sums' scale.
            session.raise(&tensors.bias, 2 * layer.input)
        });
        Ok(Ready { weights, biases: biases.collect::<Result<_>>()? })
    }

    /// One step on some rows of the tables, in this epoch.
    pub(crate) fn step(
        &mut self,
        session: &mut Session<E>,
        plan: &Plan,
        (features, labels): (&Table<E>, &Shared<E>),
        rows: &[u32],
        epoch: u32,
    ) -> Result<()> {
        let x = session.rows(features, rows)?;
        let y = session.view(labels, &View::Rows(rows))?;
        let ready = self.ready(session, plan)?;
        let passed = ready.forward(session, plan, x)?;
        let fading = self.fading(session, plan, epoch)?;
        let (mut error, faded) = head::error(session, plan, &passed.outputs, &y, &fading)?;
        let mut gradients = Vec::new();
        for l in (0..plan.layers().len()).rev() {
            let masked = session.mask_one(&error)?;
            let weights = session.matmul(&passed.inputs[l], &masked, Transpose::First)?;
            let bias = session.sum(&error, Axis::Rows)?;
            gradients.push([weights, bias]);
            let Some((below, cut)) =
                l.checked_sub(1).map(|l| (l, plan.layers()[l + 1].weights.scale))
            else {
                break;
            };
            let back = session.matmul(&masked, &ready.weights[l], Transpose::Second)?;
            let range = plan.job().scales.error + plan.job().ranges.error;
            let back = session.declare(&back, range + cut)?;
            let gated = session.gate(&[(&passed.bits[below], &back, Shift::nearest(cut))])?;
            error = session.declare(first(&gated), range)?;
        }
        gradients.reverse();
        self.update(session, plan, &gradients, faded, epoch)
    }

    /// What fades in a step: velocities by the momentum, then weights by the decay, each as a
    /// number to be cut by so many bits.
    fn fading(
        &self,
        session: &mut Session<E>,
        plan: &Plan,
        epoch: u32,
    ) -> Result<Vec<(Shared<E>, Shift)>> {
        let mut fading = Vec::new();
        for velocity in self.layers.iter().filter_map(|layer| layer.velocity.as_ref()).flatten() {
            let times = session.times(velocity, plan.momentum(), MOMENTUM)?;
            fading.push((times, Shift::nearest(MOMENTUM)));
        }
        let (_, decay) = plan.factors(epoch);
        if decay > 0 {
            for layer in &self.layers {
                let times = session.times(&layer.weights, decay, DECAY)?;
                fading.push((times, Shift::nearest(DECAY)));
            }
        }
        Ok(fading)
    }

    /// V <- momentum V + G, W <- W - decayed - rate V.
    fn update(
        &mut self,
        session: &mut Session<E>,
        plan: &Plan,
        gradients: &[[Shared<E>; 2]],
        faded: Vec<Shared<E>>,
        epoch: u32,
    ) -> Result<()> {
        let (rate, decay) = plan.factors(epoch);
        let mut faded = faded.into_iter();
        let layers = self.layers.iter_mut().zip(plan.layers()).zip(gradients);
        for ((tensors, layer), gradients) in layers {
            for (i, gradient) in gradients.iter().enumerate() {
                let kept = tensors.velocity.is_some().then(|| faded.next()).flatten();
                let step = match (kept, tensors.velocity.as_mut()) {
                    (Some(kept), Some(velocity)) => {
                        let new = session.add(&kept, gradient)?;
                        let meta = plan.velocity(metas(plan, layer)[i]);
                        velocity[i] = session.declare(&new, meta.bound)?;
                        velocity[i].clone()
                    }
                    _ => gradient.clone(),
                };
                let step = session.halve(&step, plan.job().scales.rate)?;
                let (old, bound) = match i {
                    0 => (&mut tensors.weights, layer.weights.bound),
                    _ => (&mut tensors.bias, layer.bias.bound),
                };
                let new = session.linear(&[(1, old), (-rate, &step)])?;
                *old = session.declare(&new, bound)?;
            }
        }
        if decay > 0 {
            for ((tensors, layer), lost) in self.layers.iter_mut().zip(plan.layers()).zip(faded) {
                let new = session.sub(&tensors.weights, &lost)?;
                tensors.weights = session.declare(&new, layer.weights.bound)?;
            }
        }
        Ok(())
    }
}

impl<E: Engine> Ready<E> {
    /// The sums of the last layer, at its scale: the model's answer to rows.
    pub fn answer(&self, session: &mut Session<E>, plan: &Plan, x: Masked<E>) -> Result<Shared<E>> {
        Ok(self.forward(session, plan, x)?.outputs)
    }

    fn forward(&self, session: &mut Session<E>, plan: &Plan, x: Masked<E>) -> Result<Passed<E>> {
        let (mut inputs, mut bits) = (vec![x], Vec::new());
        for (l, layer) in plan.layers().iter().enumerate() {
            let x = &inputs[l];
            let rows = x.shape().rows;
            let product = session.matmul(x, &self.weights[l], Transpose::None)?;
            let bias = session.view(&self.biases[l], &View::RepeatRow(rows))?;
            let sums = session.add(&product, &bias)?;
            let sums = session.declare(&sums, layer.sum_bound)?;
            if l + 1 == plan.layers().len() {
                return Ok(Passed { inputs, bits, outputs: sums });
            }
            let (h, bit) = first_of(session.relu(&[(&sums, plan.cut(layer))])?);
            let range = plan.job().scales.activation + plan.job().ranges.activation;
            let h = session.declare(&h, range)?;
            inputs.push(session.mask_one(&h)?);
            bits.push(bit);
        }
        unreachable!("a checked job has a layer")
    }
}

/// What a forward pass leaves for the backward one.
struct Passed<E: Engine> {
    inputs: Vec<Masked<E>>,
    bits: Vec<Bit<E>>,
    outputs: Shared<E>,
}

/// What is public of a layer's tensors, in the order of [`NAMES`].
pub(crate) fn metas(plan: &Plan, layer: &Layer) -> [Meta; 4] {
    [layer.weights, layer.bias, plan.velocity(layer.weights), plan.velocity(layer.bias)]
}

fn at_rest<E: Engine>(
    session: &mut Session<E>,
    plan: &Plan,
    layer: &Layer,
) -> Result<Option<[Shared<E>; 2]>> {
    if plan.momentum() == 0 {
        return Ok(None);
    }
    let [_, _, weights, bias] = metas(plan, layer);
    Ok(Some([session.constant(weights, 0)?, session.constant(bias, 0)?]))
}

/// He's weights at the layer's scale.
pub(crate) fn initial(layer: &Layer, seed: &[u8], l: usize) -> Vec<i64> {
    let unit = f64::from(layer.weights.scale).exp2();
    let weights = public::he(layer.inputs, layer.outputs, seed, l as u64);
    weights.into_iter().map(|w| (w * unit).round() as i64).collect()
}

fn first<T>(all: &[T]) -> &T {
    all.first().unwrap_or_else(|| unreachable!("one in, one out"))
}

pub(crate) fn first_of<T>(all: Vec<T>) -> T {
    all.into_iter().next().unwrap_or_else(|| unreachable!("one in, one out"))
}
