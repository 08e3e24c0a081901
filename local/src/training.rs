//! The second part of the story: the clouds train a network on shares of scanned digits, and what
//! comes out is, bit for bit, what training in the clear gives.

use crate::screen::{Screen, line, title};
use dyad_data::{Limits, TrainTest};
use dyad_learn::plain::Plain;
use dyad_learn::together::{clear, shared};
use dyad_learn::{Data, Error, Job, Loss, Plan, Rate, Run, Scores, TEST};
use dyad_mpc::prg::Party;
use dyad_mpc::together::{Lines, cost};

/// Passes over the rows.
const EPOCHS: u32 = 15;
const BATCH: usize = 32;
/// The test rows, in thousandths.
const TESTED: u32 = 200;

/// Trains in floating point, in the clear and on shares, and sets them side by side.
pub(crate) fn run(screen: &Screen) -> Result<(), Box<dyn std::error::Error>> {
    title("Two clouds train on shares, a key centre deals randomness")?;
    let (plan, train, test) = digits()?;
    let run = Run { test_rows: test.rows(), open_model: true, ..Run::all(&plan) };
    let inputs = [train.inputs(&plan, ""), test.inputs(&plan, TEST)].concat();
    let widths: Vec<_> = plan.job().widths.iter().map(ToString::to_string).collect();
    line("network", &format!("{}, ReLU, cross-entropy", widths.join("-")))?;
    line("images to train on, to test on", &format!("{}, {}", train.rows(), test.rows()))?;
    let (price, _) = cost(&run)?;
    let count = price.count();
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0);
    line("rounds between the clouds", &count.rounds.to_string())?;
    line(
        "each cloud sends, the key centre deals",
        &format!("{}, {}", mib(count.bytes[0]), mib(count.dealt)),
    )?;

    let plain = screen.step("in floating point, nothing secret", |_| {
        let mut model = Plain::new(&plan);
        model.train(&train);
        Ok::<_, Error>(model.scores(&test))
    })?;
    let (expected, _) =
        screen.step("in the clear, in fixed point", |_| clear(&run, &inputs, &mut |_| {}))?;
    let steps = plan.steps();
    let finished = screen.step("on shares, over sockets", |tick| {
        shared(&run, &inputs, None, Lines::Tcp, &|party, training| {
            if party == Party::One {
                tick(&format!("step {} of {steps}", training.done()));
            }
        })
    })?;

    let same = finished.opened == expected;
    let scores = Scores::read(&plan, &finished.opened, test.rows()).ok_or("nothing was opened")?;
    line("floating point", &plain.to_string())?;
    line("on shares", &scores.to_string())?;
    line("weights on shares and in the clear identical", if same { "yes" } else { "NO" })?;
    if same { Ok(()) } else { Err("training on shares gave other weights".into()) }
}

/// The digits that come with the project.
fn digits() -> Result<(Plan, Data, Data), Box<dyn std::error::Error>> {
    let sample = dyad_data::digits()?;
    let schema = sample.schema.with_fraction_bits(8)?;
    let encoded = schema.encode(&sample.table, &Limits::default())?;
    let split = TrainTest::by_share(encoded.rows(), TESTED, 1)?;
    let widths = [encoded.width(), 32, 32, 10];
    let job = Job::mlp(split.train.len(), &widths, Loss::Softmax, BATCH, EPOCHS);
    let plan = Job { rate: Rate::constant(0.25), ..job }.check()?;
    let part = |rows: &[u32]| -> Result<Data, Box<dyn std::error::Error>> {
        let part = encoded.select(rows)?;
        let labels = part.labels().ok_or("no labels")?;
        Ok(Data::of_classes(&plan, part.values().to_vec(), labels.classes().ok_or("no classes")?)?)
    };
    let (train, test) = (part(&split.train)?, part(&split.test)?);
    Ok((plan, train, test))
}
