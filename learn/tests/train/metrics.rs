//! Metrics on shares against how they are usually written.

use dyad_learn::compare::compare;
use dyad_learn::plain::{Plain, metrics};
use dyad_learn::{Data, Job, Metric, Plan};
use dyad_mpc::together::Lines;

/// Two features, the first of which tells something; scores repeat, so that there are ties.
fn data(plan: &Plan, rows: usize) -> Data {
    let mut state = 3u64;
    let mut below = move |n: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let (mut features, mut classes) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let class = below(2);
        features.extend([below(12) + 4 * class, below(4)].map(|x| x as i64 * 256));
        classes.push(class as u32);
    }
    Data::of_classes(plan, features, &classes).unwrap()
}

fn job() -> Job {
    let metrics = vec![Metric::Auc, Metric::Confusion, Metric::Loss, Metric::Accuracy];
    Job { metrics, epochs: 8, ..Job::logistic(200, 2, 2, 20) }
}

#[test]
fn all_agree_up_to_4000_rows() {
    let plan = job().check().unwrap();
    let comparison =
        compare(&plan, &data(&plan, 200), &data(&plan, 333), Some(Lines::Memory)).unwrap();
    println!("{comparison}");
    assert!(comparison.same);
    let (plain, clear) = (comparison.plain.scores, comparison.clear.scores);
    assert_eq!((plain.confusion, plain.accuracy), (clear.confusion, clear.accuracy));
    assert!((plain.loss.unwrap() - clear.loss.unwrap()).abs() < 1e-3);
    let (plain, clear) = (plain.auc.unwrap().value, clear.auc.unwrap().value);
    // Equal but for scores that rounding moves apart or together.
    assert!((plain - clear).abs() < 1e-3 && clear > 0.7, "{plain}, {clear}");
}

#[test]
fn bins_are_within_their_error() {
    let plan = job().check().unwrap();
    let (train, test) = (data(&plan, 200), data(&plan, 4001));
    let comparison = compare(&plan, &train, &test, Some(Lines::Memory)).unwrap();
    assert!(comparison.same);
    let binned = comparison.clear.scores.auc.unwrap();
    let mut model = Plain::new(&plan);
    model.train(&train);
    let exact = metrics::auc(&model.answer(&test), &test.labels_as_numbers(&plan), 1);
    println!("{exact:.4}, binned {binned:?}");
    assert!((exact - binned.value).abs() <= binned.error, "{exact}, {binned:?}");
    // Few scores here, so ties are many; they count half in either way.
    assert!(binned.error < 0.1 && (exact - binned.value).abs() < 2e-3, "{exact}, {binned:?}");
}
