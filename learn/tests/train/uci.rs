//! Tables of UCI: logistic regression and a small perceptron.

use super::rows::{Parts, table};
use dyad_learn::compare::compare;
use dyad_learn::{Job, Loss, Metric, Ranges, Rate, Scales};
use dyad_mpc::together::Lines;

/// Exact, and within half a point of floating point.
fn holds(name: &str, parts: &Parts, job: &Job) {
    let (plan, train, test) = parts.plan(job).unwrap();
    let comparison = compare(&plan, &train, &test, Some(Lines::Memory)).unwrap();
    println!("{name}, {:?}:\n{comparison}", job.widths);
    assert!(comparison.same);
    let (plain, clear) = (&comparison.plain.scores, &comparison.clear.scores);
    let (float, exact) = (plain.accuracy.unwrap(), clear.accuracy.unwrap());
    assert!((float - exact).abs() <= 0.005, "{float}, {exact}");
    let (float, exact) = (plain.auc.unwrap(), clear.auc.unwrap());
    assert!((float.value - exact.value).abs() <= 0.005 + exact.error, "{float:?}, {exact:?}");
}

/// Rates (of 2^-shift for a row in the perceptron) so low that trainings settle: where they do not,
/// rounding decides where they end, in floating point as well.
fn both(name: &str, parts: &Parts, batch: usize, epochs: u32, shift: u8) {
    let rows = parts.train.classes.len();
    let metrics = vec![Metric::Loss, Metric::Accuracy, Metric::Auc];
    let job = Job::logistic(rows, parts.width, 2, batch);
    let rate = Rate::constant(batch as f64 / 64.0);
    holds(name, parts, &Job { epochs, rate, metrics: metrics.clone(), ..job });
    let job = Job::mlp(rows, &[parts.width, 16, 1], Loss::Sigmoid, batch, epochs);
    let rate = Rate::constant(batch as f64 / f64::from(1 << shift));
    let scales = Scales { input: 12, error: 14, rate: shift, ..job.scales };
    let ranges = Ranges { sum: 9, ..job.ranges };
    holds(name, parts, &Job { rate, metrics, scales, ranges, ..job });
}

#[test]
fn breast_cancer() {
    let sample = dyad_data::breast_cancer().unwrap();
    both("breast cancer", &super::rows::sample(&sample, 12), 32, 60, 7);
}

#[test]
fn adult() {
    let (train, test) = ("uci/adult-train.csv.gz", "uci/adult-test.csv.gz");
    let Some(parts) = table(train, "income", Some(test), 12) else { return };
    both("adult", &parts, 128, 1, 7);
}

#[test]
fn pima() {
    let Some(parts) = table("uci/pima-indians-diabetes.csv", "outcome", None, 12) else { return };
    both("pima", &parts, 32, 40, 7);
}

#[test]
fn ionosphere() {
    let Some(parts) = table("uci/ionosphere.csv", "class", None, 12) else { return };
    both("ionosphere", &parts, 32, 60, 10);
}
