//! The digits that come with the project: everywhere.

use super::rows::{Parts, sample};
use dyad_learn::compare::compare;
use dyad_learn::together::{clear, shared};
use dyad_learn::{Job, Loss, Metric, Rate, Run, Schedule, Start};
use dyad_mpc::Count;
use dyad_mpc::together::{JOB, Lines, Setting, cost};

fn digits() -> Parts {
    sample(&dyad_data::digits().unwrap(), 8)
}

fn mlp(parts: &Parts, loss: Loss, rate: f64) -> Job {
    let rows = parts.train.classes.len();
    Job {
        rate: Rate::constant(rate),
        metrics: vec![Metric::Loss, Metric::Accuracy, Metric::Confusion],
        ..Job::mlp(rows, &[parts.width, 32, 32, 10], loss, 32, 15)
    }
}

/// Exact, and within a share of the rows of floating point, which reaches so much.
fn holds(parts: &Parts, job: &Job, least: f64) {
    let (plan, train, test) = parts.plan(job).unwrap();
    let comparison = compare(&plan, &train, &test, Some(Lines::Memory)).unwrap();
    println!("{:?}, {:?}:\n{comparison}", job.loss, job.widths);
    assert!(comparison.same);
    let (plain, clear) = (&comparison.plain.scores, &comparison.clear.scores);
    let (float, exact) = (plain.accuracy.unwrap(), clear.accuracy.unwrap());
    assert!(float > least, "{float}");
    assert!((float - exact).abs() < 0.012, "{float}, {exact}");
    let (float, exact) = (plain.loss.unwrap(), clear.loss.unwrap());
    assert!((float - exact).abs() < 0.02 + 0.05 * float, "{float}, {exact}");
    let counted: u64 = clear.confusion.as_ref().unwrap().iter().flatten().sum();
    assert_eq!(counted, test.rows() as u64);
}

#[test]
fn squared_error() {
    let parts = digits();
    holds(&parts, &mlp(&parts, Loss::SquaredError, 0.25), 0.92);
}

#[test]
fn softmax() {
    let parts = digits();
    holds(&parts, &mlp(&parts, Loss::Softmax, 0.25), 0.93);
}

#[test]
fn momentum_decay_and_a_falling_rate() {
    let parts = digits();
    let rate = Rate { first: 0.0625, schedule: Schedule::Steps { every: 5, factor: 0.5 } };
    let job = mlp(&parts, Loss::Softmax, 1.0);
    let scales = dyad_learn::Scales { rate: 11, ..job.scales };
    let job = Job { rate, momentum: 0.9, decay: 0.001, scales, ..job };
    holds(&parts, &job, 0.93);
}

#[test]
fn logistic_regression() {
    let parts = digits();
    let job = Job::logistic(parts.train.classes.len(), parts.width, 10, 32);
    let metrics = vec![Metric::Confusion, Metric::Loss, Metric::Accuracy];
    let scales = dyad_learn::Scales { input: 8, ..job.scales };
    holds(&parts, &Job { metrics, scales, ..job }, 0.9);
}

/// The weights at the start are shared out, and neither cloud knows them: as inputs, or drawn by
/// the dealer, which draws the same whenever the job is begun anew. Over sockets, for once.
#[test]
fn secret_weights_at_the_start() {
    for start in [Start::Inputs, Start::Dealer] {
        let parts = digits();
        let job = mlp(&parts, Loss::Softmax, 0.25);
        secret_weights(&parts, &Job { start, epochs: 1, ..job });
    }
}

fn secret_weights(parts: &Parts, job: &Job) {
    let (plan, train, _) = parts.plan(job).unwrap();
    let run = Run { open_model: true, ..Run::all(&plan) };
    let after = |seed| {
        let rows = train.inputs(&plan, "");
        let weights = match job.start {
            Start::Dealer => plan.dealer_inputs(&[seed; 32], &JOB),
            _ => plan.secret_start(&[seed; 32]),
        };
        let (expected, _) = clear(&run, &[&rows[..], &weights].concat(), &mut |_| {}).unwrap();
        let setting = Setting { secret: Some([seed; 32]), ..Lines::Tcp.into() };
        let inputs = if job.start == Start::Dealer { rows } else { [rows, weights].concat() };
        let finished = shared(&run, &inputs, None, setting, &|_, _| {}).unwrap();
        assert_eq!(finished.opened, expected);
        // The greeting is not the program's.
        let count = cost(&run).unwrap().0.count();
        assert_eq!(finished.traffic.map(|t| t.rounds), [count.rounds + 1; 2]);
        assert_eq!(finished.dealt, count.dealt);
        expected
    };
    assert_ne!(after(1), after(2));
}

#[test]
#[ignore = "a minute"]
fn two_thousand_steps() {
    let parts = digits();
    let job = mlp(&parts, Loss::Softmax, 0.25);
    let job = Job { epochs: 46, ..job };
    assert!(job.check().unwrap().steps() > 2000);
    holds(&parts, &job, 0.93);
}

#[test]
fn a_step_with_squared_error_takes_26_rounds() {
    let job = Job::mlp(60_000, &[784, 128, 128, 10], Loss::SquaredError, 128, 5);
    assert_eq!(step(&job).rounds, 26);
    println!("squared error: {:?}", step(&job));
    println!("softmax: {:?}", step(&Job { loss: Loss::Softmax, ..job }));
    println!("logistic, 2 classes: {:?}", step(&Job::logistic(60_000, 784, 2, 128)));
    println!("logistic, 10 classes: {:?}", step(&Job::logistic(60_000, 784, 10, 128)));
}

fn step(job: &Job) -> Count {
    let plan = job.check().unwrap();
    let count = |until| {
        let run = Run { until, ..Run::all(&plan) };
        cost(&run).unwrap().0.count()
    };
    count(3) - count(2)
}
