//! Stopped, stored, gone on: the same bits as never having stopped.

use super::rows::{Parts, sample};
use dyad_learn::checkpoint::{Checkpoint, Holder, Refused, bind};
use dyad_learn::together::{clear, shared};
use dyad_learn::{Data, Error, Job, Loss, Plan, Rate, Run, Scales, Training};
use dyad_mpc::Party;
use dyad_mpc::prg::{Attempt, Party as Side};
use dyad_mpc::together::{Lines, cost};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

fn job(parts: &Parts) -> (Plan, Data) {
    let rows = parts.train.classes.len();
    let job = Job::mlp(rows, &[parts.width, 16, 10], Loss::SquaredError, 64, 2);
    let scales = Scales { rate: 11, ..job.scales };
    let job = Job { momentum: 0.75, decay: 0.01, rate: Rate::constant(0.125), scales, ..job };
    let (plan, train, _) = parts.plan(&job).unwrap();
    (plan, train)
}

fn digits() -> Parts {
    sample(&dyad_data::digits().unwrap(), 8)
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// In the middle of an epoch.
const STOP: u64 = 29;

#[test]
fn the_clouds_go_on_in_a_new_attempt() {
    let (plan, train) = job(&digits());
    let whole = Run { open_model: true, ..Run::all(&plan) };
    let inputs = train.inputs(&plan, "");
    let (expected, _) = clear(&whole, &inputs, &mut |_| {}).unwrap();

    let first = Run { until: STOP, ..Run::all(&plan) };
    let finished = shared(&first, &inputs, None, Lines::Memory, &|_, _| {}).unwrap();
    let folder = folder("clouds");
    let states = [0, 1].map(|i| {
        let path = folder.join(format!("cloud{i}"));
        finished.states[i].write(&path).unwrap();
        let read = Checkpoint::read(&path).unwrap();
        assert_eq!(read, finished.states[i]);
        // What was there is replaced, whoever could read it.
        fs::write(path.with_extension("new"), "left over").unwrap();
        read.write(&path).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        read
    });
    let rest = Run { from: STOP, ..whole };
    let again = shared(&rest, &inputs, Some(&states), Lines::Memory, &|_, _| {}).unwrap();
    assert_eq!(again.opened, expected);
    assert_ne!(again.attempt, finished.attempt);

    // Halves of different attempts.
    let other = shared(&first, &inputs, None, Lines::Memory, &|_, _| {}).unwrap();
    let [zero, _] = states;
    let [_, one] = other.states;
    let seen = |_, _: &Training<'_, Party>| panic!("a step was done");
    let mixed = shared(&rest, &inputs, Some(&[zero, one]), Lines::Memory, &seen);
    let error = mixed.unwrap_err();
    assert!(matches!(error, Error::Checkpoint(Refused::Halves(_))), "{error}");
}

/// What the clouds compare names the state gone on from, and nothing else changes it.
#[test]
fn a_run_that_goes_on_names_where_from() {
    let attempt = Attempt { job: [1; 32], nonces: [[2; 16], [3; 16]] };
    let bound = bind([4; 32], &attempt, 5);
    assert_eq!(bound, bind([4; 32], &attempt, 5));
    let others = [
        bind([0; 32], &attempt, 5),
        bind([4; 32], &Attempt { job: [0; 32], ..attempt }, 5),
        bind([4; 32], &Attempt { nonces: [[0; 16], [3; 16]], ..attempt }, 5),
        bind([4; 32], &Attempt { nonces: [[2; 16], [0; 16]], ..attempt }, 5),
        bind([4; 32], &attempt, 6),
    ];
    assert!(others.iter().all(|other| *other != bound));
}

/// The parties compare what they did before each checkpoint: elsewhere there is none.
#[test]
fn checkpoints_are_taken_where_the_parties_agreed() {
    let (plan, train) = job(&digits());
    let run = Run { until: 8, agree_every: 3, ..Run::all(&plan) };
    let taken = Mutex::new(Vec::new());
    let finished = shared(&run, &train.inputs(&plan, ""), None, Lines::Memory, &|side, t| {
        let attempt = Attempt { job: [0; 32], nonces: [[0; 16]; 2] };
        match Checkpoint::of(t, attempt, Holder::Cloud(side)) {
            Ok(_) => taken.lock().unwrap().push(t.done()),
            Err(error) => assert!(matches!(error, Refused::NotAgreed(at) if at == t.done())),
        }
    });
    assert_eq!(finished.unwrap().states.map(|state| state.step()), [8, 8]);
    let mut taken = taken.into_inner().unwrap();
    taken.sort_unstable();
    assert_eq!(taken, [0, 0, 3, 3, 6, 6, 8, 8]);
}

/// The cost engine names what is done in turn.
#[test]
fn nothing_is_opened_before_it_is_agreed_on() {
    let (plan, _) = job(&digits());
    let run = Run { until: 1, test_rows: 3, open_model: true, ..Run::all(&plan) };
    let (price, _) = cost(&run).unwrap();
    let names: Vec<_> = price.operations().iter().map(|(op, _)| op.name).collect();
    let agreed: Vec<_> = (0..names.len()).filter(|i| names[*i] == "agree").collect();
    let opened: Vec<_> = (0..names.len()).filter(|i| names[*i] == "open").collect();
    assert!(agreed[0] < opened[0], "{agreed:?} {opened:?}");
    assert_eq!(agreed.last().unwrap() + 1, *opened.last().unwrap());
}

#[test]
fn the_clear_run_goes_on() {
    let (plan, train) = job(&digits());
    let whole = Run { open_model: true, ..Run::all(&plan) };
    let inputs = train.inputs(&plan, "");
    let mut steps = Vec::new();
    let (expected, _) = clear(&whole, &inputs, &mut |t| steps.push(t.done())).unwrap();
    assert!(steps.into_iter().eq(0..=plan.steps()));
    let (_, state) = clear(&Run { until: STOP, ..whole }, &inputs, &mut |_| {}).unwrap();
    let own = state.expect(&plan, &state.attempt(), Holder::Clear, STOP).unwrap();
    let inputs = [&inputs[..], own].concat();
    let (again, _) = clear(&Run { from: STOP, ..whole }, &inputs, &mut |_| {}).unwrap();
    assert_eq!(again, expected);
}

#[test]
fn what_is_not_expected_is_refused() {
    let parts = digits();
    let (plan, train) = job(&parts);
    let inputs = train.inputs(&plan, "");
    let run = Run { until: 1, ..Run::all(&plan) };
    let finished = shared(&run, &inputs, None, Lines::Memory, &|_, _| {}).unwrap();
    let [zero, _] = &finished.states;
    let (attempt, holder) = (finished.attempt, Holder::Cloud(Side::Zero));
    assert!(zero.expect(&plan, &attempt, holder, 1).is_ok());

    let error = zero.expect(&plan, &attempt, holder, 2).unwrap_err();
    assert!(matches!(error, Refused::Step { theirs: 1, ours: 2 }), "{error}");
    let error = zero.expect(&plan, &attempt, Holder::Cloud(Side::One), 1).unwrap_err();
    assert!(matches!(error, Refused::Holder { .. }), "{error}");
    let error = zero.expect(&plan, &Attempt { job: [1; 32], ..attempt }, holder, 1).unwrap_err();
    assert!(matches!(error, Refused::Job { .. }), "{error}");
    let nonces = [[7; 16], attempt.nonces[1]];
    let error = zero.expect(&plan, &Attempt { nonces, ..attempt }, holder, 1).unwrap_err();
    assert!(matches!(error, Refused::Attempt), "{error}");
    let wider = Job { widths: vec![64, 17, 10], ..plan.job().clone() }.check().unwrap();
    let error = zero.expect(&wider, &attempt, holder, 1).unwrap_err();
    assert!(matches!(error, Refused::Shape(_)), "{error}");

    let path = folder("refused").join("state");
    zero.write(&path).unwrap();
    let good = fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Checkpoint::read(&path).unwrap_err()
    };
    let mut other = good.clone();
    other[8] = 9;
    let error = refused(&other);
    assert!(matches!(error, Refused::Version { theirs: 9, .. }), "{error}");
    for at in [0, 12, 80, 100, 500, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let error = refused(&bad);
        assert!(matches!(error, Refused::Damaged { .. }), "byte {at}: {error}");
    }
    for len in [0, 7, 11, 40, 100, good.len() - 1] {
        let error = refused(&good[..len]);
        assert!(matches!(error, Refused::Damaged { .. }), "{len} bytes: {error}");
    }
    let error = Checkpoint::read(&path.with_file_name("none")).unwrap_err();
    assert!(matches!(error, Refused::Io { .. }), "{error}");
}
