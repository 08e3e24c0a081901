//! A training from some step to some step, as a program for any engine.

use crate::data::TEST;
use crate::metrics::Rows;
use crate::plan::Plan;
use crate::train::Training;
use dyad_mpc::engine::{Audience, Engine};
use dyad_mpc::together::Program;
use dyad_mpc::{Error, Result, Session};

/// What is run.
#[derive(Clone, Copy, Debug)]
pub struct Run<'p> {
    /// The job.
    pub plan: &'p Plan,
    /// Steps done before; more than none means that the state comes from inputs.
    pub from: u64,
    /// Steps done afterwards, since the job's beginning.
    pub until: u64,
    /// After every so many steps, and at the end, the parties compare what was done, and a
    /// checkpoint may be taken. 0: at the end alone.
    pub agree_every: u64,
    /// At the end, the job's metrics are measured on so many rows, inputs `test features` and
    /// `test labels`, and opened. None: nothing is measured.
    pub test_rows: usize,
    /// At the end, weights and biases are opened, layer by layer.
    pub open_model: bool,
}

impl<'p> Run<'p> {
    /// All of the job, and at the end nothing is opened.
    #[must_use]
    pub fn all(plan: &'p Plan) -> Self {
        let until = plan.steps();
        Self { plan, from: 0, until, agree_every: 0, test_rows: 0, open_model: false }
    }

    /// Does it, and calls `each` after step 0 (or the one gone on from) and after every step. Gives
    /// what was opened: the metrics in the job's order, then the model. Nothing is opened, and no
    /// training can be [stored](crate::checkpoint::Checkpoint::of), before the parties have agreed
    /// on all that was done to get it.
    pub fn each<E: Engine, F: From<Error>>(
        &self,
        session: &mut Session<E>,
        each: &mut dyn FnMut(&Training<'p, E>) -> std::result::Result<(), F>,
    ) -> std::result::Result<Vec<E::Opened>, F> {
        let mut training = match self.from {
            0 => Training::start(session, self.plan)?,
            done => Training::resume(session, self.plan, done)?,
        };
        let test = match self.test_rows {
            0 => None,
            rows => Some(Rows::read(session, self.plan, TEST, rows)?),
        };
        self.show(session, &mut training, each)?;
        while training.done() < self.until && !training.is_done() {
            training.step(session)?;
            self.show(session, &mut training, each)?;
        }
        let mut opened = Vec::new();
        if let Some(test) = test {
            opened.extend(test.measure(session, self.plan, training.model())?);
            session.agree()?;
        }
        if self.open_model {
            let released = training.model().released();
            opened.extend(session.open(&released, Audience::All)?);
        }
        Ok(opened)
    }

    fn show<E: Engine, F: From<Error>>(
        &self,
        session: &mut Session<E>,
        training: &mut Training<'p, E>,
        each: &mut dyn FnMut(&Training<'p, E>) -> std::result::Result<(), F>,
    ) -> std::result::Result<(), F> {
        let done = training.done();
        let at_end = done >= self.until || training.is_done();
        if at_end || (self.agree_every > 0 && done.is_multiple_of(self.agree_every)) {
            training.agree(session)?;
        }
        each(training)
    }
}

impl Program for Run<'_> {
    fn run<E: Engine>(&self, session: &mut Session<E>) -> Result<Vec<E::Opened>> {
        self.each(session, &mut |_| Ok::<_, Error>(()))
    }
}
