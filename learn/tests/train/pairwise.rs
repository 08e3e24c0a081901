//! The clouds alone: the same bits as in the clear, also in a new attempt.

use super::rows::sample;
use dyad_learn::together::{clear, pairwise};
use dyad_learn::{Job, Loss, Run};
use dyad_mpc::together::Lines;

#[test]
fn two_clouds_train_as_the_clear_engine_does() {
    let parts = sample(&dyad_data::digits().unwrap(), 8);
    let rows = parts.train.classes.len();
    let job = Job::mlp(rows, &[parts.width, 6, 10], Loss::SquaredError, 32, 1);
    let (plan, train, _) = parts.plan(&job).unwrap();
    let whole = Run { open_model: true, until: 4, ..Run::all(&plan) };
    let inputs = train.inputs(&plan, "");
    let (expected, _) = clear(&whole, &inputs, &mut |_| {}).unwrap();
    let finished = pairwise(&whole, &inputs, None, Lines::Memory, &|_, _| {}).unwrap();
    assert_eq!(finished.opened, expected);
    assert_eq!(finished.dealt, 0);
    // Stopped and gone on: nothing of the first attempt's transfers is needed.
    let first = Run { until: 2, open_model: false, ..whole };
    let stopped = pairwise(&first, &inputs, None, Lines::Memory, &|_, _| {}).unwrap();
    let rest = Run { from: 2, ..whole };
    let states = Some(&stopped.states);
    let finished = pairwise(&rest, &inputs, states, Lines::Memory, &|_, _| {}).unwrap();
    assert_eq!(finished.opened, expected);
}
