//! The same job in the clear and in floating point, from data that only who runs this has all of.

use dyad_client::job::Prepared;
use dyad_client::model::Model;
use dyad_client::upload::Source;
use dyad_learn::plain::Plain;
use dyad_learn::together::clear;
use dyad_learn::{Data, Scores};
use dyad_mpc::together::Input;
use std::error::Error;
use std::time::Instant;

/// How a run went.
pub struct Outcome {
    /// Quality, if it was measured.
    pub scores: Option<Scores>,
    /// Time taken.
    pub seconds: f64,
}

/// The job's rows, in the job's order.
fn inputs(prepared: &Prepared, source: &Source) -> Result<Vec<Input>, Box<dyn Error>> {
    let mut gather = prepared.training.gather();
    let (width, values) = (source.places.width(), source.values(0..source.len())?);
    for (row, values) in (0..).zip(values.chunks_exact(width)) {
        let words: Vec<u64> = values.iter().map(|value| *value as u64).collect();
        gather.put(row, &source.places.features, &words);
    }
    Ok(gather.inputs())
}

/// In fixed point, in the clear; and whether the weights are the model's, bit by bit.
pub fn in_the_clear(
    prepared: &Prepared,
    source: &Source,
    model: &Model,
) -> Result<(Outcome, bool), Box<dyn Error>> {
    let start = Instant::now();
    let run = prepared.training.run(0);
    let (opened, state) = clear(&run, &inputs(prepared, source)?, &mut |_| {})?;
    let seconds = start.elapsed().as_secs_f64();
    let scores = Scores::read(prepared.training.plan(), &opened, run.test_rows);
    let clear = state.released().flat_map(|tensor| tensor.words.iter().map(|word| *word as i64));
    let layers = model.layers.iter();
    let shared =
        layers.flat_map(|layer| layer.weight_words.iter().chain(&layer.bias_words).copied());
    Ok((Outcome { scores, seconds }, clear.eq(shared)))
}

/// In floating point.
pub fn in_floating_point(prepared: &Prepared, source: &Source) -> Result<Outcome, Box<dyn Error>> {
    let plan = prepared.training.plan();
    let inputs = inputs(prepared, source)?;
    let numbers = |name: &str| {
        let input = inputs.iter().find(|input| input.name == name);
        let words = input.map(|input| input.words.as_slice()).unwrap_or_default();
        words.iter().map(|word| *word as i64).collect::<Vec<_>>()
    };
    let data = |prefix: &str| {
        let (features, labels) = (format!("{prefix}features"), format!("{prefix}labels"));
        Data::new(plan, numbers(&features), numbers(&labels))
    };
    let (train, test) = (data("")?, data(dyad_learn::TEST)?);
    let start = Instant::now();
    let mut plain = Plain::new(plan);
    plain.train(&train);
    let seconds = start.elapsed().as_secs_f64();
    let scores = (test.rows() > 0).then(|| plain.scores(&test));
    Ok(Outcome { scores, seconds })
}
