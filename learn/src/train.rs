//! A training, step by step: between two steps its owner may look at it, store it, or stop.

use crate::mlp::Model;
use crate::plan::Plan;
use crate::public::shuffled;
use dyad_mpc::engine::Engine;
use dyad_mpc::{Result, Session, Shared, Table};

/// A training on some engine.
///
/// Step 0 reads the inputs and masks the rows; steps 1, 2, ... train. A program branches on nothing
/// else, so that clouds and dealer stop after the same step.
pub struct Training<'p, E: Engine> {
    plan: &'p Plan,
    model: Model<E>,
    features: Table<E>,
    labels: Shared<E>,
    done: u64,
    /// The epoch whose order of rows is at hand.
    order: Option<(u32, Vec<u32>)>,
    agreed: bool,
}

impl<'p, E: Engine> Training<'p, E> {
    /// Begins: reads inputs `features` and `labels`, and with [`Start::Inputs`] or
    /// [`Start::Dealer`] the weights.
    ///
    /// [`Start::Inputs`]: crate::Start::Inputs
    /// [`Start::Dealer`]: crate::Start::Dealer
    pub fn start(session: &mut Session<E>, plan: &'p Plan) -> Result<Self> {
        session.step(0)?;
        let model = Model::start(session, plan)?;
        Self::with(session, plan, model, 0)
    }

    /// Goes on after `done` steps: reads the state from inputs, as a checkpoint gives them. The
    /// rows are masked anew.
    pub fn resume(session: &mut Session<E>, plan: &'p Plan, done: u64) -> Result<Self> {
        session.step(done)?;
        let model = Model::read(session, plan, true)?;
        Self::with(session, plan, model, done)
    }

    fn with(session: &mut Session<E>, plan: &'p Plan, model: Model<E>, done: u64) -> Result<Self> {
        let rows = plan.job().rows;
        let features = session.input("features", plan.features(rows))?;
        let labels = session.input("labels", plan.labels(rows))?;
        let features = session.prepare(features)?;
        Ok(Self { plan, model, features, labels, done, order: None, agreed: false })
    }

    /// The next step; nothing if the job is done. Gives the number of the step done last.
    pub fn step(&mut self, session: &mut Session<E>) -> Result<u64> {
        if self.is_done() {
            return Ok(self.done);
        }
        let per_epoch = self.plan.steps_per_epoch();
        let (epoch, at) = ((self.done / per_epoch) as u32, (self.done % per_epoch) as usize);
        let job = self.plan.job();
        let order = match self.order.take() {
            Some((of, order)) if of == epoch => order,
            _ => shuffled(job.rows as u32, job.shuffle, epoch.into()),
        };
        self.agreed = false;
        session.step(self.done + 1)?;
        let rows = &order[at * job.batch..(at + 1) * job.batch];
        let tables = (&self.features, &self.labels);
        self.model.step(session, self.plan, tables, rows, epoch)?;
        self.order = Some((epoch, order));
        self.done += 1;
        Ok(self.done)
    }

    /// Compares with the others all that was done so far: comes before a checkpoint, and before
    /// anything is opened. A part of the program: all do it after the same steps.
    pub fn agree(&mut self, session: &mut Session<E>) -> Result<()> {
        session.agree()?;
        self.agreed = true;
        Ok(())
    }

    /// Was no step done since the parties agreed?
    #[must_use]
    pub const fn is_agreed(&self) -> bool {
        self.agreed
    }

    /// Steps done, since the job's beginning.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.done
    }

    /// Epochs gone through.
    #[must_use]
    pub fn epochs(&self) -> u32 {
        (self.done / self.plan.steps_per_epoch()) as u32
    }

    /// Is nothing left to do?
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done >= self.plan.steps()
    }

    /// The model as it is now.
    #[must_use]
    pub const fn model(&self) -> &Model<E> {
        &self.model
    }

    /// The job's plan.
    #[must_use]
    pub const fn plan(&self) -> &'p Plan {
        self.plan
    }
}
