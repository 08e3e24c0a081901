//! Answers of a trained net to rows nobody may see: each answer is opened to both clouds here, so
//! that the whole way is timed.

use super::{MLP, job, rows};
use crate::figure::Figure;
use crate::measure::median;
use crate::{Done, Show};
use dyad_learn::{Loss, Plan, Training};
use dyad_mpc::engine::Engine;
use dyad_mpc::tensor::View;
use dyad_mpc::together::{Input, Lines, Program, cost, shared};
use dyad_mpc::{Result, Session};

/// Answers, one after the other.
struct Answers<'p> {
    plan: &'p Plan,
    rows: usize,
    times: u64,
}

impl Program for Answers<'_> {
    fn run<E: Engine>(&self, session: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let training = Training::start(session, self.plan)?;
        let ready = training.model().ready(session, self.plan)?;
        let x = session.input("queries", self.plan.features(self.plan.job().rows))?;
        let first: Vec<u32> = (0..self.rows as u32).collect();
        let mut opened = Vec::new();
        for step in 1..=self.times {
            session.step(step)?;
            let x = session.view(&x, &View::Rows(&first))?;
            let x = session.mask_one(&x)?;
            let answer = ready.answer(session, self.plan, x)?;
            opened = vec![session.open_one(&answer)?];
        }
        Ok(opened)
    }
}

/// Answers timed in a run, beside those of a run that answers once.
const TIMES: u64 = 40;

pub(super) fn predict(show: Show<'_>) -> Done {
    let plan = job(&MLP, Loss::Softmax, 128, 128).check()?;
    let mut inputs = rows(&plan);
    let queries = Input::new("queries", inputs[0].meta, inputs[0].words.clone());
    inputs.push(queries);
    for rows in [1, 128] {
        let answers = |times| Answers { plan: &plan, rows, times };
        let mut times = Vec::new();
        for _ in 0..5 {
            let few = shared(&answers(5), &inputs, Lines::Tcp)?.seconds;
            let many = shared(&answers(5 + TIMES), &inputs, Lines::Tcp)?.seconds;
            times.push((many - few) / TIMES as f64);
        }
        let count = cost(&answers(2))?.0.count() - cost(&answers(1))?.0.count();
        show(Figure {
            bench: "predict.mlp",
            params: format!("784-128-128-10, {rows} rows"),
            value: median(&mut times),
            unit: "s",
            rounds: Some(count.rounds),
            bytes_sent: Some(count.bytes[0]),
            bytes_dealt: Some(count.dealt),
            ..Figure::default()
        })?;
    }
    Ok(())
}
