//! MNIST: long, so only when asked for.

use super::rows::images;
use dyad_learn::compare::{Comparison, compare};
use dyad_learn::{Job, Loss, Rate, Scales};
use dyad_mpc::together::Lines;

fn mnist(job: impl Fn(Job) -> Job, loss: Loss, lines: Option<Lines>) -> Option<Comparison> {
    let parts = images("mnist")?;
    let rows = parts.train.classes.len();
    let job = job(Job::mlp(rows, &[784, 128, 128, 10], loss, 128, 5));
    let (plan, train, test) = parts.plan(&job).unwrap();
    drop(parts);
    let comparison = compare(&plan, &train, &test, lines).unwrap();
    println!("MNIST, {:?}:\n{comparison}", job.widths);
    assert!(comparison.same);
    Some(comparison)
}

/// The job of the design: a rate of one half, weights at 29 and 34 bits.
#[test]
#[ignore = "minutes"]
fn softmax_in_the_clear() {
    let Some(comparison) = mnist(|job| job, Loss::Softmax, None) else { return };
    good(&comparison, 0.973);
}

#[test]
#[ignore = "minutes"]
fn softmax_on_shares() {
    let Some(comparison) = mnist(|job| job, Loss::Softmax, Some(Lines::Memory)) else { return };
    good(&comparison, 0.973);
}

/// At a rate of one quarter errors leave their range in the third step, and the clear run says so.
#[test]
#[ignore = "minutes"]
fn squared_error_on_shares() {
    let job = |job: Job| Job {
        rate: Rate::constant(0.125),
        scales: Scales { rate: 10, ..job.scales },
        ..job
    };
    let Some(comparison) = mnist(job, Loss::SquaredError, Some(Lines::Memory)) else { return };
    good(&comparison, 0.94);
}

fn good(comparison: &Comparison, least: f64) {
    let float = comparison.plain.scores.accuracy.unwrap();
    let exact = comparison.clear.scores.accuracy.unwrap();
    assert!(exact >= least, "{exact}");
    assert!(exact >= float - 0.002, "{exact}, {float}");
}
