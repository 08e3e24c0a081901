//! Linear regression, on rows made up here.

use dyad_learn::compare::compare;
use dyad_learn::plain::Plain;
use dyad_learn::{Data, Job, Plan, Rate};
use dyad_mpc::together::Lines;

const ROWS: usize = 400;

/// y = 1.5 x_0 - 2 x_1 + 0.25 + noise, for x in [0, 1).
fn data(plan: &Plan, seed: u64) -> Data {
    let mut state = seed;
    let mut unit = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 * (-53f64).exp2()
    };
    let (mut features, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..ROWS {
        let x = [unit(), unit()];
        let y = 1.5 * x[0] - 2.0 * x[1] + 0.25 + (unit() - 0.5) / 50.0;
        features.extend(x.map(|x| (x * 4096.0) as i64));
        labels.push((y * 65536.0).round() as i64);
    }
    Data::new(plan, features, labels).unwrap()
}

#[test]
fn the_line_is_found() {
    let mut job = Job::linear(ROWS, 2, 1, 16);
    (job.rate, job.epochs) = (Rate::constant(0.5), 20);
    let plan = job.check().unwrap();
    let (train, test) = (data(&plan, 1), data(&plan, 2));
    let comparison = compare(&plan, &train, &test, Some(Lines::Memory)).unwrap();
    println!("linear regression:\n{comparison}");
    assert!(comparison.same);
    let loss = comparison.clear.scores.loss.unwrap();
    // The noise's variance is 1/30,000.
    assert!(loss < 4e-5, "{loss}");
    assert!((loss - comparison.plain.scores.loss.unwrap()).abs() < 1e-6);
    let mut model = Plain::new(&plan);
    model.train(&train);
    let [(weights, bias)] = &model.weights()[..] else { panic!("one layer") };
    assert!((weights[0] - 1.5).abs() < 0.02 && (weights[1] + 2.0).abs() < 0.02, "{weights:?}");
    assert!((bias[0] - 0.25).abs() < 0.02, "{bias:?}");
}
