//! Figures of training and prediction: both clouds and the dealer on this machine's cores, over
//! loopback sockets, the dealer's work included.
//!
//! A step's time is taken in the middle of a run, where the dealer is as far ahead as it may be and
//! works as fast as the clouds do.

mod memory;
mod plain;
mod predict;

use crate::figure::Figure;
use crate::measure::{median, seconds};
use crate::{Bench, Done, Show};
use dyad_learn::{Job, Loss, Plan, Run, Training, together};
use dyad_mpc::link::shaped::Shape as Line;
use dyad_mpc::prg::Party as Side;
use dyad_mpc::together::{Input, Lines, cost, pairwise_cost};
use dyad_mpc::{Count, Party};
use std::error::Error;
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub(crate) use memory::as_party;

pub(crate) const BENCHES: &[Bench] = &[
    Bench {
        name: "train.mlp",
        about: "a step of 784-128-128-10, batch 128, cross-entropy",
        run: |show| against_plain("train.mlp", Loss::Softmax, &MLP, show),
    },
    Bench {
        name: "train.mlp.mse",
        about: "the same with squared error",
        run: |show| against_plain("train.mlp.mse", Loss::SquaredError, &MLP, show),
    },
    Bench {
        name: "train.logistic",
        about: "a step of logistic regression, 784 features, batch 128",
        run: |show| against_plain("train.logistic", Loss::Sigmoid, &[784, 1], show),
    },
    Bench {
        name: "train.mlp.wan",
        about: "a step of train.mlp over lines of 20 ms and 100 Mbit/s",
        run: far,
    },
    Bench {
        name: "train.pairwise",
        about: "a step of 30-16-1, batch 32, without a dealer: by transfers between the clouds",
        run: alone,
    },
    Bench {
        name: "train.scaling",
        about: "how a step's time grows with width, depth and batch",
        run: scaling,
    },
    Bench {
        name: "train.memory",
        about: "peak memory of each party, a process each, 60,000 rows of 784",
        run: memory::memory,
    },
    Bench {
        name: "predict.mlp",
        about: "answers of 784-128-128-10 to 1 row and to 128 rows",
        run: predict::predict,
    },
];

pub(crate) const MLP: [usize; 4] = [784, 128, 128, 10];
pub(crate) const BATCH: usize = 128;

/// A job on rows as MNIST's: pixels, a fifth of them not zero.
pub(crate) fn job(widths: &[usize], loss: Loss, batch: usize, rows: usize) -> Job {
    match loss {
        Loss::Sigmoid => Job::logistic(rows, widths[0], 2, batch),
        _ => Job::mlp(rows, widths, loss, batch, 1000),
    }
}

/// Such rows, always the same: features and labels, by their names in the program.
pub(crate) fn rows(plan: &Plan) -> Vec<Input> {
    let job = plan.job();
    let (features, outputs) = (job.widths[0], job.widths[job.widths.len() - 1]);
    let one = 1u64 << job.scales.input;
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state >> 33
    };
    let pixel = |x: u64| if x.is_multiple_of(5) { (x >> 4) % one } else { 0 };
    let pixels = (0..job.rows * features).map(|_| pixel(next())).collect();
    let mut labels = vec![0; job.rows * outputs];
    for row in labels.chunks_exact_mut(outputs) {
        // One-hot, or a bit.
        let class = next() as usize % outputs.max(2);
        row[class % outputs] = u64::from(outputs > 1 || class == 1);
    }
    vec![
        Input::new("features", plan.features(job.rows), pixels),
        Input::new("labels", plan.labels(job.rows), labels),
    ]
}

/// Steps before and after those that are timed: the dealer catches up, and runs out of work.
const MARGIN: u64 = 6;

/// Seconds a step takes on shares.
pub(crate) fn on_shares(
    plan: &Plan,
    inputs: &[Input],
    lines: Lines,
    steps: u64,
) -> Result<f64, Box<dyn Error>> {
    timed(plan, steps, |run, each| together::shared(run, inputs, None, lines, each).map(drop))
}

/// What is called after each step.
type Each<'a> = &'a (dyn Fn(Side, &Training<'_, Party>) + Sync);

/// Seconds a step takes in a run of some more.
fn timed(
    plan: &Plan,
    steps: u64,
    work: impl FnOnce(&Run<'_>, Each<'_>) -> Result<(), dyad_learn::Error>,
) -> Result<f64, Box<dyn Error>> {
    let run = Run { until: steps + 2 * MARGIN, ..Run::all(plan) };
    let times = Mutex::new(Vec::new());
    work(&run, &|side, _| {
        if let (Side::One, Ok(mut times)) = (side, times.lock()) {
            times.push(Instant::now());
        }
    })?;
    let times = times.into_inner()?;
    let (first, last) = (times[MARGIN as usize], times[(MARGIN + steps) as usize]);
    Ok((last - first).as_secs_f64() / steps as f64)
}

/// What a step costs.
fn step_cost(plan: &Plan) -> Result<Count, Box<dyn Error>> {
    let until = |until| cost(&Run { until, ..Run::all(plan) });
    Ok(until(3)?.0.count() - until(2)?.0.count())
}

/// Times each side is measured.
const TURNS: usize = 7;
/// Steps timed in a turn.
const STEPS: u64 = 40;

fn against_plain(name: &'static str, loss: Loss, widths: &[usize], show: Show<'_>) -> Done {
    let plan = job(widths, loss, BATCH, 10 * BATCH).check()?;
    let inputs = rows(&plan);
    let mut plain = plain::Plain::new(&plan, &inputs);
    plain.steps(STEPS);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        ours.push(on_shares(&plan, &inputs, Lines::Tcp, STEPS)?);
        theirs.push(seconds(|| plain.steps(STEPS)) / STEPS as f64);
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    let count = step_cost(&plan)?;
    show(Figure {
        bench: name,
        params: format!("{}, batch {BATCH}", described(widths)),
        value: ours,
        unit: "s",
        baseline: Some(plain.name()),
        ratio: Some(theirs / ours),
        rounds: Some(count.rounds),
        bytes_sent: Some(count.bytes[0]),
        bytes_dealt: Some(count.dealt),
        ..Figure::default()
    })?;
    Ok(())
}

fn described(widths: &[usize]) -> String {
    let widths: Vec<_> = widths.iter().map(ToString::to_string).collect();
    widths.join("-")
}

/// A line between two places far apart.
const FAR: Line = Line { delay: Duration::from_millis(20), bytes_per_second: 12.5e6 };

fn far(show: Show<'_>) -> Done {
    let plan = job(&MLP, Loss::Softmax, BATCH, 10 * BATCH).check()?;
    let inputs = rows(&plan);
    let mut times = Vec::new();
    for _ in 0..3 {
        times.push(on_shares(&plan, &inputs, Lines::Far(FAR), 4)?);
    }
    let count = step_cost(&plan)?;
    let expected = count.rounds as f64 * FAR.delay.as_secs_f64()
        + count.bytes[0] as f64 / FAR.bytes_per_second;
    let value = median(&mut times);
    show(Figure {
        bench: "train.mlp.wan",
        params: format!("{}, 20 ms, 100 Mbit/s", described(&MLP)),
        value,
        unit: "s",
        baseline: Some("rounds x 20 ms + bytes / rate"),
        ratio: Some(expected / value),
        rounds: Some(count.rounds),
        bytes_sent: Some(count.bytes[0]),
        bytes_dealt: Some(count.dealt),
        ..Figure::default()
    })?;
    Ok(())
}

/// Without a dealer, on this machine and over a long line.
fn alone(show: Show<'_>) -> Done {
    let (widths, batch) = ([30, 16, 1], 32);
    let plan = Job::mlp(10 * batch, &widths, Loss::Sigmoid, batch, 1000).check()?;
    let inputs = rows(&plan);
    let counted = |until| -> Result<Count, Box<dyn Error>> {
        Ok(pairwise_cost(&Run { until, ..Run::all(&plan) })?.count())
    };
    let count = counted(3)? - counted(2)?;
    for (lines, place, turns, steps) in
        [(Lines::Tcp, "loopback", TURNS, 8), (Lines::Far(FAR), "20 ms, 100 Mbit/s", 1, 2)]
    {
        let mut times = Vec::new();
        for _ in 0..turns {
            times.push(timed(&plan, steps, |run, each| {
                together::pairwise(run, &inputs, None, lines, each).map(drop)
            })?);
        }
        show(Figure {
            bench: "train.pairwise",
            params: format!("{}, batch {batch}, {place}", described(&widths)),
            value: median(&mut times),
            unit: "s",
            rounds: Some(count.rounds),
            bytes_sent: Some(count.bytes[0]),
            ..Figure::default()
        })?;
    }
    Ok(())
}

/// A series of jobs that differ in one number.
struct Series {
    what: &'static str,
    values: [usize; 4],
    job: fn(usize) -> (Vec<usize>, usize),
}

const SERIES: [Series; 3] = [
    Series {
        what: "width",
        values: [64, 128, 256, 512],
        job: |width| (vec![784, width, width, 10], BATCH),
    },
    Series {
        what: "depth",
        values: [1, 2, 4, 8],
        job: |depth| ([vec![784], vec![BATCH; depth], vec![10]].concat(), BATCH),
    },
    Series { what: "batch", values: [32, 64, 128, 256], job: |batch| (MLP.to_vec(), batch) },
];

/// Fits time ~ n^k for each series, and the same of the multiplications: a term of ours that grew
/// faster than the arithmetic would show as a larger k.
fn scaling(show: Show<'_>) -> Done {
    for Series { what, values, job: shape } in SERIES {
        let (mut times, mut work) = (Vec::new(), Vec::new());
        for n in values {
            let (widths, batch) = shape(n);
            let mut job = job(&widths, Loss::SquaredError, batch, 10 * batch);
            // Wide layers sum more.
            job.ranges.sum = 9;
            let plan = job.check()?;
            let inputs = rows(&plan);
            let mut turns = Vec::new();
            for _ in 0..3 {
                turns.push(on_shares(&plan, &inputs, Lines::Tcp, 12)?);
            }
            times.push(median(&mut turns));
            work.push(step_cost(&plan)?.multiplications as f64);
        }
        let (ours, arithmetic) = (exponent(&values, &times), exponent(&values, &work));
        let milliseconds: Vec<_> = times.iter().map(|t| format!("{:.1}", t * 1e3)).collect();
        show(Figure {
            bench: "train.scaling",
            params: format!("{what} {values:?}: {} ms", milliseconds.join(", ")),
            value: ours,
            unit: "power",
            baseline: Some("power of the multiplications"),
            ratio: Some(arithmetic / ours),
            ..Figure::default()
        })?;
    }
    Ok(())
}

/// The slope of a line through the logarithms, by least squares.
fn exponent(x: &[usize], y: &[f64]) -> f64 {
    let points: Vec<_> = x.iter().zip(y).map(|(x, y)| ((*x as f64).ln(), y.ln())).collect();
    let n = points.len() as f64;
    let mean = |f: fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / n;
    let (mx, my) = (mean(|p| p.0), mean(|p| p.1));
    let above: f64 = points.iter().map(|(x, y)| (x - mx) * (y - my)).sum();
    let below: f64 = points.iter().map(|(x, _)| (x - mx).powi(2)).sum();
    above / below
}
