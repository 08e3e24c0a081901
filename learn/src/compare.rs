//! One job in floating point, in the clear and on shares: what privacy costs in accuracy is one
//! subtraction.

use crate::data::{Data, TEST};
use crate::error::{Error, Result};
use crate::job::Start;
use crate::metrics::Scores;
use crate::plain::Plain;
use crate::plan::Plan;
use crate::run::Run;
use crate::together::{clear, shared};
use dyad_mpc::together::Lines;
use std::fmt;
use std::time::Instant;

/// How the job went in each.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// In floating point.
    pub plain: Outcome,
    /// In fixed point, in the clear.
    pub clear: Outcome,
    /// On shares, if that was asked for.
    pub shared: Option<Outcome>,
    /// Did shares give the bits of the clear run, weights, biases and metrics?
    pub same: bool,
}

/// How the job went in one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Quality.
    pub scores: Scores,
    /// Time taken.
    pub seconds: f64,
}

/// Runs the job with `train` and measures it on `test`; on shares only if there are lines. The
/// weights at the start must not be inputs.
pub fn compare(plan: &Plan, train: &Data, test: &Data, lines: Option<Lines>) -> Result<Comparison> {
    if matches!(plan.job().start, Start::Inputs | Start::Dealer) {
        return Err(Error::Data("a comparison takes no weights: let the job give a seed".into()));
    }
    let start = Instant::now();
    let mut model = Plain::new(plan);
    model.train(train);
    let scores = model.scores(test);
    let plain = Outcome { scores, seconds: start.elapsed().as_secs_f64() };

    let run = Run { test_rows: test.rows(), open_model: true, ..Run::all(plan) };
    let inputs = [train.inputs(plan, ""), test.inputs(plan, TEST)].concat();
    let read = |opened: &[_], start: Instant| {
        let scores = Scores::read(plan, opened, test.rows());
        let scores = scores.ok_or_else(|| Error::Data("the run opened something else".into()))?;
        Ok::<_, Error>(Outcome { scores, seconds: start.elapsed().as_secs_f64() })
    };
    let start = Instant::now();
    let (expected, _) = clear(&run, &inputs, &mut |_| {})?;
    let clear = read(&expected, start)?;
    let Some(lines) = lines else {
        return Ok(Comparison { plain, clear, shared: None, same: true });
    };
    let start = Instant::now();
    let finished = shared(&run, &inputs, None, lines, &|_, _| {})?;
    let same = finished.opened == expected;
    let shared = Some(read(&finished.opened, start)?);
    Ok(Comparison { plain, clear, shared, same })
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |name: &str, Outcome { scores, seconds }: &Outcome| {
            // Without the table of confusion.
            format!("{name:<15} {scores:#}, {seconds:.2} s")
        };
        writeln!(f, "{}", line("floating point", &self.plain))?;
        write!(f, "{}", line("clear", &self.clear))?;
        if let Some(shared) = &self.shared {
            let same = if self.same { "the same bits" } else { "OTHER BITS" };
            write!(f, "\n{}, {same}", line("shares", shared))?;
        }
        Ok(())
    }
}
