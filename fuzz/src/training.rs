//! What the parties of a training take from others: frames, files of correlations, checkpoints,
//! texts of jobs.

use crate::lines::{ATTEMPT, LIMIT, Record, Replay, Small, Tap, X, stream, told};
use bytes::Bytes;
use dyad_learn::Job;
use dyad_learn::checkpoint::Checkpoint;
use dyad_mpc::correlations::{FileSink, FileSource, LinkSink, LinkSource};
use dyad_mpc::link::{Link, LinkError, memory, tcp};
use dyad_mpc::prg::{Party as Side, Seed};
use dyad_mpc::together::{Program, cost};
use dyad_mpc::{Contract, Dealer, Party, Result, Session};
use sha2::{Digest, Sha256};
use std::sync::{Arc, LazyLock};

fn seeds() -> [Seed; 2] {
    [Side::Zero, Side::One].map(|side| Seed::derive(&[9; 32], &ATTEMPT, side))
}

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let [zero, one] = seeds();
    Contract::new(ATTEMPT, cost(&Small).expect("it runs").1, [&zero, &one])
});

fn give(mut party: Party, share: u64) -> Party {
    party.give("x", X, vec![share, 2, 3, 4]);
    party
}

fn zero(link: impl Link + 'static) -> Party {
    give(Party::zero(&seeds()[0], &ATTEMPT, Box::new(link)), 100)
}

fn one(link: impl Link + 'static, dealt: impl Link + 'static) -> Party {
    let source = LinkSource::new(Box::new(dealt), &ATTEMPT.job, 1, LIMIT);
    give(Party::one(&seeds()[1], &ATTEMPT, Box::new(link), Box::new(source)), 5)
}

fn dealer(sink: impl dyad_mpc::correlations::Sink + 'static) -> Dealer {
    let [zero, one] = seeds();
    let mut dealer = Dealer::new([&zero, &one], Box::new(sink));
    dealer.give("w", X, vec![1, 2, 3, 4]);
    dealer
}

fn deals(link: impl Link + 'static) -> Result<()> {
    let mut dealer = dealer(LinkSink::new(Box::new(link), &ATTEMPT.job, LIMIT));
    dealer.greet(&CONTRACT)?;
    let mut session = Session::new(dealer);
    Small.run(&mut session)?;
    session.into_engine().finish().map(drop)
}

fn computes(mut party: Party) -> Result<()> {
    party.greet(&CONTRACT)?;
    Small.run(&mut Session::new(party)).map(drop)
}

/// What C0 has from C1, C1 from C0, C1 from the dealer and the dealer from C1, in an honest run.
static HONEST: LazyLock<[Vec<Bytes>; 4]> = LazyLock::new(|| {
    let records: [Record; 4] = Default::default();
    let tap = |i: usize, link| Tap(link, Arc::clone(&records[i]));
    let ((a, b), (c, d)) = (memory::pair(), memory::pair());
    let (zero, one) = (zero(tap(0, a)), one(tap(1, b), tap(2, c)));
    let dealing = tap(3, d);
    std::thread::scope(|scope| {
        scope.spawn(|| deals(dealing).expect("honest"));
        scope.spawn(|| computes(zero).expect("honest"));
        computes(one).expect("honest");
    });
    records.map(|record| record.lock().expect("nobody panics").clone())
});

/// What a socket gives, cut into frames: the frames with their lengths are the same bytes again.
pub fn link(bytes: &[u8]) -> bool {
    let (frames, end) = tcp::frames(bytes);
    let again = stream(&frames);
    assert_eq!(again, bytes[..again.len()], "frames out of nothing");
    matches!(end, LinkError::Closed) && again.len() == bytes.len()
}

/// A party (the first byte says which) that is sent these frames, as a socket gives them. C1 is sent
/// them by C0 or by the dealer, and what the other says is of an honest run.
pub fn frames(bytes: &[u8]) -> bool {
    let Some((role, bytes)) = bytes.split_first() else { return false };
    let (frames, end) = tcp::frames(bytes);
    let (given, honest) = (Replay(frames.into()), |i: usize| Replay(HONEST[i].clone().into()));
    let result = match role {
        0 => computes(zero(given)),
        1 => computes(one(given, honest(2))),
        2 => computes(one(honest(1), given)),
        3 => deals(given),
        _ => return false,
    };
    if let Err(error) = &result {
        told(error);
    }
    result.is_ok() && matches!(end, LinkError::Closed)
}

/// A file of correlations as it is, and with the checks of its frames put right: no fuzzer finds
/// those by itself.
pub fn correlations(bytes: &[u8]) -> bool {
    computes_from(bytes) || computes_from(&with_checks(bytes))
}

/// What stands before the first frame: a name, flags, a contract.
const HEAD: usize = 17 + 3 + 4 * 32;

/// The same, with the check that each frame should have.
fn with_checks(bytes: &[u8]) -> Vec<u8> {
    let mut mended = bytes.to_vec();
    let mut at = HEAD;
    while let Some(length) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let begin = at + 4;
        let end = begin + u32::from_le_bytes(*length) as usize;
        let Some(frame) = bytes.get(begin..end) else { break };
        let Some(check) = mended.get_mut(end..end + 8) else { break };
        check.copy_from_slice(&Sha256::digest(frame)[..8]);
        at = end + 8;
    }
    mended
}

/// C1 computes with such a file, C0 being honest.
fn computes_from(bytes: &[u8]) -> bool {
    let source = match FileSource::unmarked(bytes.to_vec(), &CONTRACT) {
        Ok(source) => source,
        Err(error) => {
            told(&error);
            return false;
        }
    };
    // Without greeting, which says that there is no file.
    let zero = Replay(HONEST[1][1..].to_vec().into());
    let one = Party::one(&seeds()[1], &ATTEMPT, Box::new(zero), Box::new(source));
    let result = Small.run(&mut Session::new(give(one, 5)));
    if let Err(error) = &result {
        told(error);
    }
    result.is_ok()
}

/// A checkpoint as it is, and with the hash at its end put right: no fuzzer finds that by itself.
pub fn checkpoint(bytes: &[u8]) -> bool {
    let read = |bytes: &[u8]| {
        Checkpoint::from_bytes(bytes).is_ok_and(|state| super::same(&state.to_bytes(), bytes))
    };
    if read(bytes) {
        return true;
    }
    let Some((body, _)) = bytes.split_last_chunk::<32>() else { return false };
    read(&[body, &Sha256::digest(body)].concat())
}

/// A job's text: what is written of it reads as the same, and it is checked in no time.
pub fn job(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(job) = toml::from_str::<Job>(text) else { return false };
    let Ok(plan) = job.check() else { return false };
    let written = toml::to_string(&job).expect("a checked job");
    let again: Job = toml::from_str(&written).expect("as written");
    assert_eq!(again, job);
    assert!(plan.steps() > 0);
    true
}

/// Seeds: target, name, bytes.
pub fn seed_files() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut all = vec![("link", "honest", stream(&HONEST[0]))];
    for (role, name) in ["c0", "c1-from-c0", "c1-from-dealer", "dealer"].into_iter().enumerate() {
        all.push(("frames", name, [&[role as u8][..], &stream(&HONEST[role])].concat()));
    }
    let path = std::env::temp_dir().join(format!("dyad-fuzz-{}", std::process::id()));
    let sink = FileSink::create(&path, &CONTRACT).expect("a file");
    let mut session = Session::new(dealer(sink));
    Small.run(&mut session).expect("honest");
    session.into_engine().finish().expect("honest");
    all.push(("correlations", "honest", std::fs::read(&path).expect("dealt")));
    std::fs::remove_file(&path).expect("there");
    for (name, momentum) in [("plain", 0.0), ("momentum", 0.5)] {
        let job = Job { epochs: 1, momentum, ..Job::mlp(4, &[2, 2, 2], LOSS, 2, 1) };
        all.push(("checkpoint", name, state(&job)));
    }
    let schedule = dyad_learn::Schedule::Steps { every: 1, factor: 0.5 };
    let rate = dyad_learn::Rate { first: 0.5, schedule };
    let jobs = [
        ("mlp", Job::mlp(60_000, &[784, 128, 10], LOSS, 128, 5)),
        ("logistic", Job { rate, epochs: 3, ..Job::logistic(600, 30, 2, 16) }),
        ("linear", Job::linear(600, 8, 1, 32)),
    ];
    for (name, job) in jobs {
        job.check().expect("a job");
        all.push(("job", name, toml::to_string(&job).expect("a text").into_bytes()));
    }
    all
}

const LOSS: dyad_learn::Loss = dyad_learn::Loss::SquaredError;

/// A state in the clear.
fn state(job: &Job) -> Vec<u8> {
    let plan = job.check().expect("a job");
    let rows = dyad_learn::Data::of_classes(&plan, vec![1, 2, 3, 4, 5, 6, 7, 8], &[0, 1, 0, 1]);
    let inputs = rows.expect("they fit").inputs(&plan, "");
    let run = dyad_learn::Run { until: 1, ..dyad_learn::Run::all(&plan) };
    let (_, state) = dyad_learn::together::clear(&run, &inputs, &mut |_| {}).expect("it runs");
    state.to_bytes()
}
