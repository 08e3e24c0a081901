//! An offline phase before the online one: correlations in a file, read once, also after a restart.
#![allow(clippy::unwrap_used)]

mod common;

use common::{ATTEMPT, Small, contract_of, ends};
use dyad_mpc::correlations::{FileSink, FileSource};
use dyad_mpc::prg::{Party as Side, Seed};
use dyad_mpc::together::{Program, clear, cost, shares};
use dyad_mpc::{Contract, Dealer, Error, Opened, Party, Result, Session};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder with a file of correlations and marks, and C0's folder of marks.
struct Place {
    root: PathBuf,
    file: PathBuf,
    marks: PathBuf,
}

impl Place {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("dyad-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&root));
        let (file, marks) = (root.join("C1").join("file"), root.join("C0"));
        fs::create_dir_all(root.join("C1")).unwrap();
        fs::create_dir_all(&marks).unwrap();
        Self { root, file, marks }
    }

    /// As a place that never saw the attempt.
    fn forget(&self, cloud: &str) {
        for entry in fs::read_dir(self.root.join(cloud)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_str().unwrap().contains("used-by") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.root));
    }
}

fn seeds() -> [Seed; 2] {
    [Side::Zero, Side::One].map(|side| Seed::derive(&[9; 32], &ATTEMPT, side))
}

fn contract(program: &Small) -> Contract {
    contract_of(cost(program).unwrap().1)
}

/// The offline phase.
fn deal(program: &Small, path: &Path) -> u64 {
    let [zero, one] = &seeds();
    let sink = FileSink::create(path, &contract(program)).unwrap();
    let mut session = Session::new(Dealer::new([zero, one], Box::new(sink)));
    program.run(&mut session).unwrap();
    session.into_engine().finish().unwrap()
}

/// The online phase.
fn online(program: &Small, source: FileSource, place: &Place) -> Result<Vec<Opened>> {
    let [zero, one] = both_online(program, source, Some(&place.marks), &contract(program));
    drop(zero);
    one
}

/// What each cloud opens, under what both take for the contract.
fn both_online(
    program: &Small,
    source: FileSource,
    marks: Option<&Path>,
    contract: &Contract,
) -> [Result<Vec<Opened>>; 2] {
    let [seed_0, seed_1] = &seeds();
    let (zero, one) = ends();
    let mut parties =
        [Party::zero(seed_0, &ATTEMPT, zero), Party::one(seed_1, &ATTEMPT, one, Box::new(source))]
            .map(|party| party.waiting(std::time::Duration::from_millis(500)));
    for (party, inputs) in parties.iter_mut().zip(shares(&program.inputs(|i| 50 - i as i64))) {
        for input in inputs {
            party.give(&input.name, input.meta, input.words);
        }
    }
    let [zero, one] = parties;
    let zero = match marks {
        Some(marks) => zero.offline(marks),
        None => zero,
    };
    let run = |mut party: Party| {
        party.greet(contract)?;
        program.run(&mut Session::new(party))
    };
    std::thread::scope(|scope| {
        let zero = scope.spawn(move || run(zero));
        let one = run(one);
        [zero.join().unwrap(), one]
    })
}

fn refusal(path: &Path, contract: &Contract) -> String {
    let error = FileSource::open(path, contract).unwrap_err();
    assert!(matches!(error, Error::Correlations { .. }));
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()), "{text}");
    text
}

#[test]
fn an_offline_phase_then_an_online_one_then_never_again() {
    let (program, place) = (Small::default(), Place::new("once"));
    let bytes = deal(&program, &place.file);
    assert_eq!(bytes, cost(&program).unwrap().0.count().dealt);
    let source = FileSource::open(&place.file, &contract(&program)).unwrap();
    // While it is read, and from then on.
    let during = refusal(&place.file, &contract(&program));
    assert!(during.contains("read by somebody else"), "{during}");
    let expected = clear(&program, &program.inputs(|i| 50 - i as i64)).unwrap();
    assert_eq!(online(&program, source, &place).unwrap(), expected);
    let after = refusal(&place.file, &contract(&program));
    assert!(after.contains("read already") && after.contains("new attempt"), "{after}");
}

#[test]
fn opening_alone_uses_a_file_up() {
    let (program, place) = (Small::default(), Place::new("opened"));
    deal(&program, &place.file);
    // As if the process had died before it read the first frame.
    drop(FileSource::open(&place.file, &contract(&program)).unwrap());
    assert!(refusal(&place.file, &contract(&program)).contains("read already"));
}

#[test]
fn a_file_of_something_else_is_refused_and_not_used_up() {
    let (program, place) = (Small::default(), Place::new("else"));
    deal(&program, &place.file);
    let right = contract(&program);
    let mut job = right;
    job.attempt.job[3] ^= 1;
    let mut attempt = right;
    attempt.attempt.nonces[1][0] ^= 1;
    let mut later = right;
    later.program[0] ^= 1;
    assert!(refusal(&place.file, &job).contains("another job or another attempt"));
    assert!(refusal(&place.file, &attempt).contains("another job or another attempt"));
    assert!(refusal(&place.file, &later).contains("another program"));
    let mut seeded = right;
    seeded.seeds[0][0] ^= 1;
    assert!(refusal(&place.file, &seeded).contains("other seeds"));
    drop(FileSource::open(&place.file, &right).unwrap());
}

#[test]
fn a_file_serves_no_other_contract_than_the_one_it_was_opened_for() {
    let (program, place) = (Small::default(), Place::new("greets"));
    deal(&program, &place.file);
    let right = contract(&program);
    let source = FileSource::open(&place.file, &right).unwrap();
    let mut other = right;
    other.attempt.nonces[0][0] ^= 1;
    let [zero, one] = both_online(&program, source, Some(&place.marks), &other);
    let text = one.unwrap_err().to_string();
    assert!(text.contains("another attempt, program or seed"), "{text}");
    assert!(matches!(zero.unwrap_err(), Error::Link { .. }));
}

#[test]
fn a_copy_is_not_used_either() {
    let (program, place) = (Small::default(), Place::new("copy"));
    deal(&program, &place.file);
    let right = contract(&program);
    let (beside, elsewhere) = (place.root.join("C1").join("copy"), place.root.join("copy"));
    for copy in [&beside, &elsewhere] {
        fs::copy(&place.file, copy).unwrap();
    }
    let source = FileSource::open(&place.file, &right).unwrap();
    online(&program, source, &place).unwrap();
    // C1 finds its own mark; where it does not, C0 finds its own.
    let text = FileSource::open(&beside, &right).unwrap_err().to_string();
    assert!(text.contains("this attempt has been used already"), "{text}");
    assert!(text.contains("used-by-C1"), "{text}");
    let source = FileSource::open(&elsewhere, &right).unwrap();
    let [zero, one] = both_online(&program, source, Some(&place.marks), &right);
    let text = zero.unwrap_err().to_string();
    assert!(text.contains("this attempt has been used already"), "{text}");
    assert!(text.contains("used-by-C0"), "{text}");
    assert!(matches!(one.unwrap_err(), Error::Link { .. }));
}

#[test]
fn a_cloud_that_keeps_no_marks_does_not_meet_one_with_a_file() {
    let (program, place) = (Small::default(), Place::new("no-marks"));
    deal(&program, &place.file);
    let right = contract(&program);
    let source = FileSource::open(&place.file, &right).unwrap();
    for end in both_online(&program, source, None, &right) {
        let text = end.unwrap_err().to_string();
        assert!(text.contains("the other marks no attempt as used"), "{text}");
    }
}

#[test]
fn damaged_files_are_refused() {
    let (program, place) = (Small::default(), Place::new("damaged"));
    deal(&program, &place.file);
    let good = fs::read(&place.file).unwrap();
    let with = |bytes: &[u8]| {
        fs::write(&place.file, bytes).unwrap();
        contract(&program)
    };
    assert!(refusal(&place.file, &with(&[])).contains("too short"));
    assert!(refusal(&place.file, &with(&good[..50])).contains("too short"));
    let mut other = good.clone();
    other[0] ^= 1;
    assert!(refusal(&place.file, &with(&other)).contains("no such file"));
    other = good.clone();
    other[17] += 1;
    assert!(refusal(&place.file, &with(&other)).contains("version 2"));
    other = good.clone();
    other[19] = 0;
    assert!(refusal(&place.file, &with(&other)).contains("did not finish"));
    // Broken off, with a length that is nonsense, and with one bit of what is dealt another.
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= to;
        (bytes, "damaged")
    };
    // The file's own name begins as frames do.
    let frame = 4 + good[4..].windows(4).position(|four| four == b"dyad".as_slice()).unwrap();
    for (bytes, what) in [
        (good[..frame + 100].to_vec(), "ends within"),
        (good[..good.len() - 3].to_vec(), "ends within"),
        changed(frame - 1, 0xff),
        changed(frame + 32, 1),
        changed(good.len() - 1, 0x80),
    ] {
        for cloud in ["C0", "C1"] {
            place.forget(cloud);
        }
        let source = FileSource::open(&place.file, &with(&bytes)).unwrap();
        let text = online(&program, source, &place).unwrap_err().to_string();
        assert!(text.contains(what), "{text}");
    }
}

#[test]
fn a_file_is_not_written_over_and_is_its_owners_alone() {
    let (program, place) = (Small::default(), Place::new("over"));
    deal(&program, &place.file);
    assert!(FileSink::create(&place.file, &contract(&program)).is_err());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&place.file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_dealer_that_died_leaves_a_file_that_says_so() {
    let (program, place) = (Small::default(), Place::new("died"));
    let [zero, one] = &seeds();
    let sink = FileSink::create(&place.file, &contract(&program)).unwrap();
    let mut session = Session::new(Dealer::new([zero, one], Box::new(sink)));
    program.run(&mut session).unwrap();
    drop(session);
    assert!(refusal(&place.file, &contract(&program)).contains("did not finish"));
}
