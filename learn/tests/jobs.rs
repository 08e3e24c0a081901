//! Descriptions of jobs: written, read, and refused where they do not hold together.
#![allow(clippy::unwrap_used, clippy::panic)]

use dyad_learn::{Data, Error, Job, Loss, Metric, Ranges, Rate, Run, Scales, Schedule, Start};
use dyad_mpc::together::cost;

fn job() -> Job {
    Job::mlp(1000, &[64, 32, 10], Loss::Softmax, 32, 3)
}

#[test]
fn a_job_is_a_text() {
    let rate = Rate { first: 0.125, schedule: Schedule::Steps { every: 2, factor: 0.5 } };
    let metrics = vec![Metric::Auc, Metric::Confusion];
    let dealer = Job { start: Start::Dealer, ..job() };
    for job in
        [job(), dealer, Job { rate, metrics, start: Start::Inputs, ..Job::logistic(9, 2, 2, 3) }]
    {
        let text = toml::to_string(&job).unwrap();
        assert_eq!(toml::from_str::<Job>(&text).unwrap(), job, "{text}");
    }
    let text = toml::to_string(&job()).unwrap() + "\n[sizes]\nx = 1\n";
    assert!(toml::from_str::<Job>(&text).unwrap_err().to_string().contains("sizes"));
}

/// A job written by hand, with the fields that may be left out left out.
#[test]
fn a_job_by_hand() {
    let text = r#"
        version = 1
        rows = 60000
        widths = [784, 128, 128, 10]
        loss = "softmax"
        batch = 128
        epochs = 5
        rate = { first = 0.5 }
        shuffle = 1
        start = { seed = 1 }
        scales = { input = 8, activation = 13, error = 13, rate = 8 }
        ranges = { input = 1, label = 1, weight = 3, activation = 6, sum = 8, error = 3 }
        metrics = ["loss", "accuracy"]
    "#;
    let job: Job = toml::from_str(text).unwrap();
    assert_eq!(job, Job::mlp(60_000, &[784, 128, 128, 10], Loss::Softmax, 128, 5));
    let plan = job.check().unwrap();
    assert_eq!((plan.steps_per_epoch(), plan.steps()), (468, 2340));
    assert!((plan.rate(4) - 0.5).abs() < 1e-12);
}

fn two() -> Job {
    Job::mlp(1000, &[64, 2], Loss::Softmax, 32, 3)
}

/// Linear regression whose errors have so many bits.
fn numbers(error: u8, decay: f64, metrics: Vec<Metric>) -> Job {
    let job = Job::linear(1000, 4, 1, 32);
    let scales = Scales { input: 8, label: 8, error, ..job.scales };
    let ranges = Ranges { weight: 2, sum: 4, error: 2, label: 2, ..job.ranges };
    Job { rate: Rate::constant(0.125), scales, ranges, decay, metrics, ..job }
}

#[test]
fn what_does_not_hold_together_is_named() {
    let j = job;
    let (s, r) = (j().scales, j().ranges);
    // Errors of 24 bits leave no room for a rate of 8.
    let steep = Job {
        widths: vec![64, 10],
        rate: Rate::constant(1.0),
        scales: Scales { input: 10, error: 20, rate: 12, ..s },
        ranges: Ranges { error: 24, ..r },
        ..j()
    };
    let cases: Vec<(Job, &str, &str)> = vec![
        (Job { version: 2, ..j() }, "version", "install"),
        (Job { widths: vec![64], ..j() }, "widths", "name features"),
        (Job { widths: vec![64, 0, 10], ..j() }, "widths", "none of them 0"),
        (Job { loss: Loss::Sigmoid, ..j() }, "loss", "take softmax"),
        (Job { widths: vec![64, 1], ..j() }, "loss", "take sigmoid"),
        (Job { rows: 0, ..j() }, "rows", "give 1"),
        (Job { batch: 0, ..j() }, "batch", "give 1"),
        (Job { batch: 1001, ..j() }, "batch", "as many as there are rows"),
        (Job { epochs: 0, ..j() }, "epochs", "at least 1"),
        (Job { epochs: 100_001, ..j() }, "epochs", "100,000"),
        (Job { rows: 1001, batch: 1, epochs: 9_991, ..j() }, "epochs", "10 million"),
        (Job { rows: 5_000_000, widths: vec![1000, 10], ..j() }, "rows", "features"),
        (Job { rows: 5_000_000, widths: vec![10, 1000], ..j() }, "rows", "outputs"),
        (Job { widths: vec![1 << 20, 1 << 20, 10], ..j() }, "widths", "2^27"),
        (steep, "scales.rate", "by 7 bits"),
        (Job { ranges: Ranges { weight: 34, ..r }, ..j() }, "ranges.weight", "by 1 bits"),
        (Job { rows: 1 << 22, batch: 1 << 22, ..j() }, "batch", "2^27"),
        (Job { start: Start::Zero, ..j() }, "start", "give a seed"),
        (Job { momentum: 1.0, ..j() }, "momentum", "0.9"),
        (Job { momentum: f64::NAN, ..j() }, "momentum", "0.9"),
        (Job { decay: -1.0, ..j() }, "decay", "0.0001"),
        (Job { decay: 1e-9, ..j() }, "decay", "give 0"),
        (Job { rate: Rate::constant(0.0), ..j() }, "rate", "more than 0"),
        (Job { rate: Rate::constant(f64::NAN), ..j() }, "rate", "more than 0"),
        (Job { rate: Rate::constant(0.1), ..j() }, "scales.rate", "0.125"),
        (Job { rate: Rate::constant(1e6), ..j() }, "scales.rate", "lower it by 11"),
        (Job { metrics: vec![Metric::Auc], ..j() }, "metrics", "confusion"),
        (Job { scales: Scales { label: 3, ..s }, ..j() }, "scales.label", "give 0"),
        (Job { scales: Scales { input: 41, ..s }, ..j() }, "scales.input", "at most 40"),
        (Job { scales: Scales { error: 0, ..s }, ..j() }, "scales.error", "13"),
        (Job { scales: Scales { activation: 20, ..s }, ..j() }, "scales", "lower"),
        (Job { scales: Scales { input: 0, error: 2, ..s }, ..j() }, "scales", "raise"),
        (Job { ranges: Ranges { sum: 20, ..r }, ..j() }, "scales", "by 6 bits"),
        (Job { ranges: Ranges { error: 20, ..r }, ..j() }, "scales", "errors times weights"),
        (
            Job { ranges: Ranges { weight: 0, ..r }, widths: vec![4, 3, 10], ..j() },
            "ranges.weight",
            "raise it",
        ),
        (Job { metrics: vec![Metric::Auc, Metric::Loss, Metric::Auc], ..two() }, "metrics", "once"),
        (Job { widths: vec![64, 1025], ..j() }, "widths", "at most 1024"),
        (numbers(32, 0.0, vec![Metric::Loss]), "scales.error", "at most 31"),
        (numbers(26, 0.25, vec![]), "decay", "by 3 bits"),
    ];
    assert!(j().check().is_ok());
    assert!(Job { widths: vec![64, 1024], ..j() }.check().is_ok());
    assert!(numbers(31, 0.0, vec![Metric::Loss]).check().is_ok());
    assert!(numbers(32, 0.0, vec![]).check().is_ok());
    assert!(numbers(23, 0.25, vec![]).check().is_ok());
    for (job, expected, words) in cases {
        let error = job.check().unwrap_err();
        let Error::Job { field, .. } = &error else { panic!("{error}") };
        assert_eq!(*field, expected, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        println!("{error}");
    }
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let plan = job().check().unwrap();
    let refused = |features: Vec<i64>, classes: &[u32], words: &str| {
        let error = Data::of_classes(&plan, features, classes).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(vec![0; 63], &[1], "63 features");
    refused(vec![0; 64], &[10], "class 10");
    let mut features = vec![0; 128];
    features[66] = 512;
    refused(features, &[1, 2], "row 1, column 2");
}

#[test]
fn rates_fall_as_the_schedule_says() {
    let steps = Rate { first: 1.0, schedule: Schedule::Steps { every: 2, factor: 0.5 } };
    let eighths = |rate: Rate, epoch, epochs| (8.0 * rate.at(epoch, epochs)) as u32;
    assert_eq!([0, 1, 2, 5].map(|e| eighths(steps, e, 6)), [8, 8, 4, 2]);
    let linear = Rate { first: 1.0, schedule: Schedule::Linear { last: 0.0 } };
    assert_eq!([0, 1, 2].map(|e| eighths(linear, e, 3)), [8, 4, 0]);
}

/// What a text can ask for at most is answered at once: a rate is found from the one before it.
#[test]
fn the_longest_schedule_is_checked_at_once() {
    let rate = Rate { first: 0.125, schedule: Schedule::Steps { every: 1, factor: 1.0 } };
    let start = std::time::Instant::now();
    let plan = Job { epochs: 100_000, rate, ..job() }.check().unwrap();
    assert!((plan.rate(99_999) - 0.125).abs() < 1e-12);
    assert!(start.elapsed().as_secs() < 2);
    let most = Job { epochs: u32::MAX, rows: u32::MAX as usize, ..job() };
    assert!(most.check().is_err());
}

/// Numbers that look random, the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % n
    }

    fn bits(&mut self, n: usize) -> u8 {
        self.below(n) as u8
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn job(&mut self) -> Job {
        let rows = self.of(&[1, 2, 7, 20]);
        let all = [Metric::Loss, Metric::Accuracy, Metric::Confusion, Metric::Auc];
        Job {
            version: 1,
            rows,
            widths: (0..self.of(&[2, 2, 3, 4])).map(|_| self.of(&[1, 2, 3, 17, 33])).collect(),
            loss: self.of(&[Loss::SquaredError, Loss::Softmax, Loss::Sigmoid]),
            batch: 1 + self.below(rows),
            epochs: 1 + self.below(2) as u32,
            rate: Rate {
                first: self.of(&[2.0, 1.0, 0.5, 0.125, 0.001]),
                schedule: self.of(&[
                    Schedule::Constant,
                    Schedule::Steps { every: 1, factor: 0.5 },
                    Schedule::Linear { last: 0.1 },
                ]),
            },
            momentum: self.of(&[0.0, 0.0, 0.5, 0.999_999]),
            decay: self.of(&[0.0, 0.0, 0.01, 0.9]),
            shuffle: 1,
            start: self.of(&[Start::Zero, Start::Seed(3), Start::Inputs, Start::Dealer]),
            scales: Scales {
                input: self.bits(16),
                label: self.of(&[0, 0, 9, 40]),
                activation: self.bits(24),
                error: self.bits(38),
                rate: self.bits(18),
            },
            ranges: Ranges {
                input: self.bits(6),
                label: self.bits(8),
                weight: self.bits(8),
                activation: self.bits(8),
                sum: self.bits(14),
                error: self.bits(10),
            },
            metrics: (0..self.below(4)).map(|_| self.of(&all)).collect(),
        }
    }
}

/// A check that lets a job through answers for all of it, its metrics included.
#[test]
fn what_is_let_through_runs() {
    let mut random = Random(1);
    let mut passed = 0;
    for _ in 0..100_000 {
        let job = random.job();
        let Ok(plan) = job.check() else { continue };
        passed += 1;
        let run = Run { test_rows: 3, open_model: true, agree_every: 1, ..Run::all(&plan) };
        let priced = cost(&run).map(|_| ());
        assert!(priced.is_ok(), "{priced:?}: {job:?}");
    }
    assert!(passed > 1000, "{passed}");
}

/// Rows to measure on go through a wide layer a few at a time, not 2048.
#[test]
fn a_wide_model_is_measured_in_parts() {
    let job = Job { start: Start::Inputs, ..Job::mlp(2, &[2, 1 << 20, 2], Loss::Softmax, 2, 1) };
    let plan = job.check().unwrap();
    let run = Run { test_rows: 2048, ..Run::all(&plan) };
    let (price, _) = cost(&run).unwrap();
    let most = price.operations().iter().map(|(_, count)| count.dealt).max().unwrap();
    assert!(most < 1 << 28, "{most} bytes are dealt at once");
}
