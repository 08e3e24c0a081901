use super::rows::{Parts, sample};
use dyad_learn::plain::{Plain, metrics};
use dyad_learn::together::{clear, shared};
use dyad_learn::{Job, Loss, Rate, Run};
use dyad_mpc::Opened;
use dyad_mpc::together::Lines;

fn digits() -> Parts {
    sample(dyad_data::digits().unwrap(), 8)
}

/// Weights and biases as numbers, each layer's.
fn numbers(opened: &[Opened]) -> Vec<(Vec<f64>, Vec<f64>)> {
    opened.chunks_exact(2).map(|pair| (pair[0].numbers(), pair[1].numbers())).collect()
}

#[test]
fn squared_error_is_exact_and_as_good_as_floating_point() {
    let parts = digits();
    let mut job = Job::mlp(parts.train.classes.len(), &[64, 32, 32, 10], Loss::SquaredError, 32, 6);
    job.rate = Rate::constant(0.125);
    let (plan, train, test) = parts.plan(&job).unwrap();
    let run = Run { open_model: true, ..Run::all(&plan) };
    let inputs = train.inputs(&plan, "");
    let (expected, _) = clear(&run, &inputs, &mut |_| {}).unwrap();
    let finished = shared(&run, &inputs, None, Lines::Memory, &|_, _| {}).unwrap();
    assert_eq!(finished.opened, expected);

    let mut plain = Plain::new(&plan, &[]);
    plain.train(&train);
    let truth = test.labels_as_numbers(&plan);
    let accuracy = |model: &Plain<'_>| metrics::accuracy(&model.answer(&test), &truth, 10);
    let (exact, float) = (accuracy(&Plain::with(&plan, &numbers(&expected))), accuracy(&plain));
    println!("digits, squared error: {exact:.4} on shares, {float:.4} in floating point");
    assert!(float > 0.9, "{float}");
    assert!((exact - float).abs() < 0.01, "{exact}, {float}");
}

#[test]
fn a_step_with_squared_error_takes_26_rounds() {
    let job = Job::mlp(60_000, &[784, 128, 128, 10], Loss::SquaredError, 128, 5);
    let plan = job.check().unwrap();
    let count = |until| {
        let run = Run { until, ..Run::all(&plan) };
        dyad_mpc::together::cost(&run).unwrap().0.count()
    };
    assert_eq!((count(3) - count(2)).rounds, 26);
}
