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
        Self { plan, from: 0, until: plan.steps(), test_rows: 0, open_model: false }
    }

    /// Does it, and calls `each` after step 0 (or the one gone on from) and after every step. Gives
    /// what was opened: the metrics in the job's order, then the model.
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
        each(&training)?;
        while training.done() < self.until && !training.is_done() {
            training.step(session)?;
            each(&training)?;
        }
        let mut opened = Vec::new();
        if let Some(test) = test {
            opened.extend(test.measure(session, self.plan, training.model())?);
        }
        if self.open_model {
            let released = training.model().released();
            opened.extend(session.open(&released, Audience::All)?);
        }
        session.agree()?;
        Ok(opened)
    }
}

impl Program for Run<'_> {
    fn run<E: Engine>(&self, session: &mut Session<E>) -> Result<Vec<E::Opened>> {
        self.each(session, &mut |_| Ok::<_, Error>(()))
    }
}
