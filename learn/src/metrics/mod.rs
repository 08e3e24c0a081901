//! How good a model is, measured on shares. What the job names is opened, summed over all rows;
//! nothing else is.
//!
//! | metric | opened | over `n` rows and `k` classes |
//! | --- | --- | --- |
//! | loss | one sum | |
//! | accuracy | how many rows are right | |
//! | confusion | a table of counts | `k` by `k` |
//! | AUC | rows of class 1, and pairs in order | see [`auc`] |

mod auc;
mod scores;

pub use scores::{Area, Scores};

use crate::head::{difference, logits};
use crate::job::{Loss, Metric};
use crate::mlp::{Model, Ready};
use crate::plan::Plan;
use dyad_mpc::engine::{Audience, Engine, Transpose};
use dyad_mpc::functions::{argmax, cross_entropy};
use dyad_mpc::tensor::{Axis, Meta, Shape, View};
use dyad_mpc::{Masked, Result, Session, Shared, Shift, Table};

/// Rows to measure on: masked once, however often is measured.
pub struct Rows<E: Engine> {
    features: Table<E>,
    labels: Shared<E>,
}

/// Rows that go through the model at once: more take fewer rounds and more memory.
const AT_ONCE: usize = 2048;
/// And numbers they have in the widest layer at most, if it is not one row alone.
const NUMBERS_AT_ONCE: usize = 1 << 21;

/// How many rows at once, of a model whose widest layer is this.
fn rows_at_once(widest: usize) -> usize {
    AT_ONCE.min(NUMBERS_AT_ONCE / widest.max(1)).max(1)
}

impl<E: Engine> Rows<E> {
    /// Of inputs `features` and `labels`, with this before their names.
    pub fn read(session: &mut Session<E>, plan: &Plan, prefix: &str, rows: usize) -> Result<Self> {
        let features = session.input(&format!("{prefix}features"), plan.features(rows))?;
        let labels = session.input(&format!("{prefix}labels"), plan.labels(rows))?;
        Ok(Self { features: session.prepare(features)?, labels })
    }

    /// Measures the job's metrics and opens them, in their order: [`Scores::read`] reads them.
    pub fn measure(
        &self,
        session: &mut Session<E>,
        plan: &Plan,
        model: &Model<E>,
    ) -> Result<Vec<E::Opened>> {
        let metrics = &plan.job().metrics;
        if metrics.is_empty() {
            return Ok(Vec::new());
        }
        let ready = model.ready(session, plan)?;
        let rows: Vec<u32> = (0..self.labels.shape().rows as u32).collect();
        let mut sums: Vec<Option<Shared<E>>> = metrics.iter().map(|_| None).collect();
        let mut scores: Vec<Shared<E>> = Vec::new();
        let widest = plan.job().widths.iter().copied().max().unwrap_or(0);
        for rows in rows.chunks(rows_at_once(widest)) {
            let part = Part::new(session, plan, &ready, self, rows)?;
            for (metric, sum) in metrics.iter().zip(&mut sums) {
                let more = match metric {
                    Metric::Loss => part.loss(session, plan)?,
                    Metric::Accuracy => part.right(session)?,
                    Metric::Confusion => part.confusion(session)?,
                    Metric::Auc => {
                        scores.push(part.scores(session)?);
                        continue;
                    }
                };
                *sum = Some(match sum.take() {
                    Some(sum) => session.add(&sum, &more)?,
                    None => more,
                });
            }
        }
        let mut open = Vec::new();
        for sum in sums {
            if let Some(sum) = sum {
                open.push(sum);
            } else {
                let scores: Vec<_> = scores.iter().collect();
                let scores = session.join(&scores, Axis::Rows)?;
                let positive = last_column(session, &self.labels)?;
                open.extend(auc::area(session, &scores, &positive)?);
            }
        }
        let open: Vec<_> = open.iter().collect();
        session.open(&open, Audience::All)
    }
}

/// Some rows, gone through the model.
struct Part<E: Engine> {
    /// At the sums' scale.
    z: Shared<E>,
    /// At a scale that functions take.
    logits: Shared<E>,
    y: Shared<E>,
    /// Of the likeliest class and of the true one, one-hot, if a metric asks for them.
    classes: Option<[Masked<E>; 2]>,
}

impl<E: Engine> Part<E> {
    fn new(
        session: &mut Session<E>,
        plan: &Plan,
        ready: &Ready<E>,
        of: &Rows<E>,
        rows: &[u32],
    ) -> Result<Self> {
        let x = session.rows(&of.features, rows)?;
        let y = session.view(&of.labels, &View::Rows(rows))?;
        let z = ready.answer(session, plan, x)?;
        let shift = logits(plan);
        let cut = session.truncate_one(&z, shift)?;
        let mut part = Self { z, logits: cut, y, classes: None };
        if plan.job().metrics.iter().any(|m| matches!(m, Metric::Accuracy | Metric::Confusion)) {
            let taken = part.taken(session)?;
            let truth = both(session, &part.y)?;
            let masked = session.mask(&[&taken, &truth])?;
            part.classes = masked.try_into().ok();
        }
        Ok(part)
    }

    /// The likeliest class, one-hot.
    fn taken(&self, session: &mut Session<E>) -> Result<Shared<E>> {
        if self.logits.shape().cols > 1 {
            return argmax(session, &self.logits);
        }
        let bits = session.not_negative(&[&self.logits])?;
        let [bit] = &bits[..] else { unreachable!("one in, one out") };
        let one = session.number(bit)?;
        both(session, &one)
    }

    fn classes(&self) -> &[Masked<E>; 2] {
        self.classes.as_ref().unwrap_or_else(|| unreachable!("made where a metric asks for them"))
    }

    /// The sum of the losses; of squared errors twice that, at twice the errors' scale.
    fn loss(&self, session: &mut Session<E>, plan: &Plan) -> Result<Shared<E>> {
        let job = plan.job();
        let each = match job.loss {
            Loss::SquaredError => {
                let difference = difference(session, plan, &self.z, &self.y)?;
                let shift = Shift::nearest(self.z.scale() - job.scales.error);
                let error = session.truncate_one(&difference, shift)?;
                let error = session.mask_one(&error)?;
                return inner(session, &error, &error);
            }
            Loss::Softmax => cross_entropy(session, &self.logits, &self.y)?,
            Loss::Sigmoid => {
                let meta = Meta { bound: 1, ..self.logits.meta() };
                let zero = session.constant(meta, 0)?;
                let logits = session.join(&[&zero, &self.logits], Axis::Columns)?;
                let targets = both(session, &self.y)?;
                cross_entropy(session, &logits, &targets)?
            }
        };
        session.sum(&each, Axis::Rows)
    }

    fn right(&self, session: &mut Session<E>) -> Result<Shared<E>> {
        let [taken, truth] = self.classes();
        inner(session, taken, truth)
    }

    fn confusion(&self, session: &mut Session<E>) -> Result<Shared<E>> {
        let [taken, truth] = self.classes();
        session.matmul(truth, taken, Transpose::First)
    }

    /// What rows are ordered by.
    fn scores(&self, session: &mut Session<E>) -> Result<Shared<E>> {
        if self.logits.shape().cols == 1 {
            return Ok(self.logits.clone());
        }
        let zero = session.view(&self.logits, &View::Columns(0..1))?;
        let one = session.view(&self.logits, &View::Columns(1..2))?;
        session.sub(&one, &zero)
    }
}

/// The column of class 1.
fn last_column<E: Engine>(session: &mut Session<E>, y: &Shared<E>) -> Result<Shared<E>> {
    let cols = y.shape().cols;
    session.view(y, &View::Columns(cols - 1..cols))
}

/// One column of zeros and ones as two of classes; more are left.
fn both<E: Engine>(session: &mut Session<E>, y: &Shared<E>) -> Result<Shared<E>> {
    if y.shape().cols > 1 {
        return Ok(y.clone());
    }
    let one = session.constant(Meta { scale: 0, bound: 1, ..y.meta() }, 1)?;
    let not = session.sub(&one, y)?;
    let not = session.declare(&not, 1)?;
    session.join(&[&not, y], Axis::Columns)
}

/// The sum of x_i y_i over all entries.
pub(crate) fn inner<E: Engine>(
    session: &mut Session<E>,
    x: &Masked<E>,
    y: &Masked<E>,
) -> Result<Shared<E>> {
    let row = Shape::new(1, x.shape().len());
    let x = session.view_masked(x, &View::Reshape(row))?;
    let y = session.view_masked(y, &View::Reshape(row))?;
    session.matmul(&x, &y, Transpose::Second)
}
