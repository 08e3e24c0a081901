//! An offline phase before the online one: correlations in a file, read once, also after a restart.
#![allow(clippy::unwrap_used)]

mod common;

use common::{ATTEMPT, Small, ends};
use dyad_mpc::correlations::{FileSink, FileSource};
use dyad_mpc::prg::{Party as Side, Seed};
use dyad_mpc::together::{Program, clear, cost, shares};
use dyad_mpc::{Contract, Dealer, Error, Opened, Party, Result, Session};
use std::fs;
use std::path::{Path, PathBuf};

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("dyad-{name}-{}", std::process::id()));
        drop(fs::remove_file(&place));
        Self(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

fn seeds() -> [Seed; 2] {
    [Side::Zero, Side::One].map(|side| Seed::derive(&[9; 32], &ATTEMPT, side))
}

fn contract(program: &Small) -> Contract {
    Contract { attempt: ATTEMPT, program: cost(program).unwrap().1 }
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
fn online(program: &Small, source: FileSource) -> Result<Vec<Opened>> {
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
    let [mut zero, mut one] = parties;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            zero.greet(&contract(program)).unwrap();
            drop(program.run(&mut Session::new(zero)));
        });
        one.greet(&contract(program))?;
        program.run(&mut Session::new(one))
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
    let bytes = deal(&program, &place.0);
    assert_eq!(bytes, cost(&program).unwrap().0.count().dealt);
    let source = FileSource::open(&place.0, &contract(&program)).unwrap();
    // While it is read, and from then on.
    let during = refusal(&place.0, &contract(&program));
    assert!(during.contains("read by somebody else"), "{during}");
    let expected = clear(&program, &program.inputs(|i| 50 - i as i64)).unwrap();
    assert_eq!(online(&program, source).unwrap(), expected);
    let after = refusal(&place.0, &contract(&program));
    assert!(after.contains("read already") && after.contains("new attempt"), "{after}");
}

#[test]
fn opening_alone_uses_a_file_up() {
    let (program, place) = (Small::default(), Place::new("opened"));
    deal(&program, &place.0);
    // As if the process had died before it read the first frame.
    drop(FileSource::open(&place.0, &contract(&program)).unwrap());
    assert!(refusal(&place.0, &contract(&program)).contains("read already"));
}

#[test]
fn a_file_of_something_else_is_refused_and_not_used_up() {
    let (program, place) = (Small::default(), Place::new("else"));
    deal(&program, &place.0);
    let right = contract(&program);
    let mut job = right;
    job.attempt.job[3] ^= 1;
    let mut attempt = right;
    attempt.attempt.nonces[1][0] ^= 1;
    let mut later = right;
    later.program[0] ^= 1;
    assert!(refusal(&place.0, &job).contains("another job or another attempt"));
    assert!(refusal(&place.0, &attempt).contains("another job or another attempt"));
    assert!(refusal(&place.0, &later).contains("another program"));
    drop(FileSource::open(&place.0, &right).unwrap());
}

#[test]
fn damaged_files_are_refused() {
    let (program, place) = (Small::default(), Place::new("damaged"));
    deal(&program, &place.0);
    let good = fs::read(&place.0).unwrap();
    let with = |bytes: &[u8]| {
        fs::write(&place.0, bytes).unwrap();
        contract(&program)
    };
    assert!(refusal(&place.0, &with(&[])).contains("too short"));
    assert!(refusal(&place.0, &with(&good[..50])).contains("too short"));
    let mut other = good.clone();
    other[0] ^= 1;
    assert!(refusal(&place.0, &with(&other)).contains("no such file"));
    other = good.clone();
    other[17] += 1;
    assert!(refusal(&place.0, &with(&other)).contains("version 2"));
    other = good.clone();
    other[19] = 0;
    assert!(refusal(&place.0, &with(&other)).contains("did not finish"));
    // Broken off, and with a length that is nonsense, within what is dealt.
    for (bytes, what) in [(good[..good.len() / 2].to_vec(), "ends within"), {
        let mut long = good.clone();
        long[116..120].copy_from_slice(&[0xff; 4]);
        (long, "damaged")
    }] {
        let source = FileSource::open(&place.0, &with(&bytes)).unwrap();
        let text = online(&program, source).unwrap_err().to_string();
        assert!(text.contains(what), "{text}");
    }
}

#[test]
fn a_file_is_not_written_over_and_is_its_owners_alone() {
    let (program, place) = (Small::default(), Place::new("over"));
    deal(&program, &place.0);
    assert!(FileSink::create(&place.0, &contract(&program)).is_err());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&place.0).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_dealer_that_died_leaves_a_file_that_says_so() {
    let (program, place) = (Small::default(), Place::new("died"));
    let [zero, one] = &seeds();
    let sink = FileSink::create(&place.0, &contract(&program)).unwrap();
    let mut session = Session::new(Dealer::new([zero, one], Box::new(sink)));
    program.run(&mut session).unwrap();
    drop(session);
    assert!(refusal(&place.0, &contract(&program)).contains("did not finish"));
}
