//! Trainings on ciphertexts, without a key centre: bit for bit as in the clear.
//!
//! All five epochs at 2048 bits, with seconds per step:
//!
//! ```text
//! cargo test --release -p dyad-learn --test train -- --ignored --nocapture on_ciphertexts
//! ```

use super::rows::sample;
use super::world::World;
use dyad_learn::checkpoint::{Checkpoint, Holder, Refused};
use dyad_learn::plain::Plain;
use dyad_learn::{Data, Job, Loss, Metric, Plan, Run, Scales, together::clear};
use dyad_mpc::Session;
use dyad_mpc::cipher::Kept;
use dyad_mpc::prg::Party;
use dyad_mpc::together::{Input, Lines, Setup, cost, two_on_ciphertexts};
use dyad_mpc::{Error, Opened};
use std::time::Instant;

/// The network of the paper's kind on Breast Cancer (diagnostic): 30-16-1, batches of 32.
fn job(rows: usize, epochs: u32) -> Job {
    let job = Job::mlp(rows, &[30, 16, 1], Loss::SquaredError, 32, epochs);
    let scales = Scales { input: 10, activation: 12, error: 13, ..job.scales };
    Job { scales, metrics: vec![Metric::Loss], ..job }
}

/// What both clouds open, and the seconds between C1's steps.
fn on_ciphertexts(world: &World, run: &Run<'_>, inputs: &[Input]) -> ([Vec<Opened>; 2], Vec<f64>) {
    let setup = Setup::new(inputs, Lines::Memory).unwrap();
    let (_, program) = cost(run).unwrap();
    let ends = two_on_ciphertexts(
        &world.key,
        world.opener(),
        program,
        setup,
        |_, mut engine, contract| {
            engine.greet(contract)?;
            let mut times = vec![Instant::now()];
            let opened = run.each(&mut Session::new(engine), &mut |_| {
                times.push(Instant::now());
                Ok::<_, Error>(())
            })?;
            let seconds = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
            Ok::<_, Error>((opened, seconds))
        },
    );
    let [zero, one] = ends.unwrap().map(Result::unwrap);
    ([zero.0, one.0], one.1)
}

fn plan_and_inputs(epochs: u32) -> (Plan, Vec<Input>) {
    let parts = sample(&dyad_data::breast_cancer().unwrap(), 10);
    let (plan, train, _) = parts.plan(&job(parts.train.classes.len(), epochs)).unwrap();
    let inputs = train.inputs(&plan, "");
    (plan, inputs)
}

#[test]
fn some_steps_are_those_of_the_clear_engine() {
    let (plan, inputs) = plan_and_inputs(1);
    let run = Run { until: 3, open_model: true, ..Run::all(&plan) };
    let (expected, _) = clear(&run, &inputs, &mut |_| {}).unwrap();
    let (opened, _) = on_ciphertexts(&World::new(1024), &run, &inputs);
    assert_eq!(opened, [expected.clone(), expected]);
}

/// Stopped after two steps, stored and gone on from: C0 stored nothing but which step it was.
#[test]
fn a_training_goes_on_from_what_was_stored() {
    let (plan, inputs) = plan_and_inputs(1);
    let world = World::new(1024);
    let whole = Run { until: 4, open_model: true, ..Run::all(&plan) };
    let (expected, _) = clear(&whole, &inputs, &mut |_| {}).unwrap();
    let first = Run { until: 2, open_model: false, ..whole };
    let ends = stored(&world, &first, &inputs, None);
    let states = ends.map(|(state, _)| Checkpoint::from_bytes(&state.to_bytes()).unwrap());
    assert!(states[0].tensors().iter().all(|tensor| tensor.words.len() == 1), "C0: how it lies");
    let rest = Run { from: 2, ..whole };
    for (_, opened) in stored(&world, &rest, &inputs, Some(&states)) {
        assert_eq!(opened, expected);
    }
    // Halves of runs on shares and on ciphertexts do not fit together.
    let shares = Holder::Cloud(Party::One);
    let refused = states[1].expect(&plan, &states[1].attempt(), shares, 2).unwrap_err();
    assert!(matches!(refused, Refused::Holder { .. }), "{refused}");
}

/// What each cloud has at the end, to be stored, and what it opened.
fn stored(
    world: &World,
    run: &Run<'_>,
    inputs: &[Input],
    states: Option<&[Checkpoint; 2]>,
) -> [(Checkpoint, Vec<Opened>); 2] {
    let setup = Setup::new(inputs, Lines::Memory).unwrap();
    let (_, program) = cost(run).unwrap();
    let ends = two_on_ciphertexts(
        &world.key,
        world.opener(),
        program,
        setup,
        |side, mut engine, contract| {
            let holder = Holder::Ciphertexts(side);
            if let Some(state) = states.map(|states| &states[side.index()]) {
                let tensors = state.expect(run.plan, &state.attempt(), holder, run.from).unwrap();
                for Input { name, meta, words } in tensors {
                    engine.give_kept(name, *meta, Kept::of_words(words).unwrap());
                }
            }
            engine.greet(contract)?;
            let mut last = None;
            let opened = run.each(&mut Session::new(engine), &mut |training| {
                if training.done() == run.until {
                    last = Some(Checkpoint::of(training, contract.attempt, holder).unwrap());
                }
                Ok::<_, Error>(())
            })?;
            Ok::<_, Error>((last.unwrap(), opened))
        },
    );
    ends.unwrap().map(Result::unwrap)
}

/// The share of rows whose answer lies on the side of its class.
fn accuracy(model: &Plain<'_>, rows: &Data, classes: &[u32]) -> f64 {
    let answers = model.answer(rows);
    let right = answers.iter().zip(classes).filter(|(z, class)| (**z >= 0.5) == (**class == 1));
    right.count() as f64 / answers.len() as f64
}

#[test]
#[ignore = "takes minutes"]
fn a_whole_training_on_ciphertexts() {
    let parts = sample(&dyad_data::breast_cancer().unwrap(), 10);
    let (plan, train, test) = parts.plan(&job(parts.train.classes.len(), 5)).unwrap();
    let inputs = train.inputs(&plan, "");
    let run = Run { open_model: true, ..Run::all(&plan) };
    let (expected, _) = clear(&run, &inputs, &mut |_| {}).unwrap();
    let mut plain = Plain::new(&plan);
    plain.train(&train);
    let layers: Vec<_> =
        expected.chunks(2).map(|layer| (layer[0].numbers(), layer[1].numbers())).collect();
    let model = Plain::with(&plan, &layers);
    let [float, exact] = [&plain, &model].map(|model| accuracy(model, &test, &parts.test.classes));
    println!("accuracy {float:.4} in floating point, {exact:.4} on ciphertexts");
    assert!(float > 0.9 && (float - exact).abs() <= 0.005, "{float}, {exact}");
    let start = Instant::now();
    let (opened, mut seconds) = on_ciphertexts(&World::new(2048), &run, &inputs);
    let whole = start.elapsed().as_secs_f64();
    println!("{whole:.1} s in all, of which {:.1} s for the inputs", seconds.remove(0));
    seconds.sort_by(f64::total_cmp);
    println!("{} steps, median {:.3} s", seconds.len(), seconds[seconds.len() / 2]);
    assert_eq!(opened, [expected.clone(), expected]);
}
