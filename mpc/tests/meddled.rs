//! Every frame of transfers, and of what is made of them, altered in every way, at either cloud:
//! an error that names the other, or, where every word is possible, a result that is merely wrong.
//! Never a panic, and never a wait that is longer than the limit.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/world.rs"]
mod world;

use bytes::{Bytes, BytesMut};
use common::{ATTEMPT, Small, ends};
use dyad_mpc::link::{Link, LinkError};
use dyad_mpc::prg::Party as Side;
use dyad_mpc::together::{
    Ends, Lines, Program, Setup, clear, cost, run_pairwise, two_on_ciphertexts,
};
use dyad_mpc::transfer::Transfers;
use dyad_mpc::wire::HEADER;
use dyad_mpc::{Contract, Error, Line, Op, Result, Session};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use world::World;

/// What is done to the frame.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    /// Nothing of it is left.
    Empty,
    /// In the middle.
    Cut,
    /// A word short, and says so.
    Shorter,
    /// By a word.
    Prolonged,
    /// And says that it has a word more.
    Longer,
    WrongKind,
    /// As if this end had sent it.
    WrongSender,
    /// A word of the header, by its offset.
    Named(usize),
    /// The one before in its place.
    Before,
    /// What this end sent last in its place.
    Echoed,
    Twice,
    Never,
    /// With the one that follows.
    Swapped,
    /// This bit of what it carries, counted from the end where negative.
    Flipped(isize),
    Ones,
    Zeros,
}
use Change::*;

/// Those that no frame survives.
const SEEN: [Change; 12] = [
    Empty,
    Cut,
    Shorter,
    Prolonged,
    Longer,
    WrongKind,
    WrongSender,
    Named(12),
    Named(16),
    Named(20),
    Before,
    Echoed,
];
/// Those that are seen by what follows.
const LATER: [Change; 3] = [Twice, Never, Swapped];
/// Those that make another message of it.
const UNSEEN: [Change; 4] = [Flipped(5), Flipped(-1), Ones, Zeros];

/// Of each kind one or two, where a run takes long.
const FEW: [Change; 8] = [Cut, Longer, WrongKind, Echoed, Twice, Swapped, Flipped(-1), Ones];

fn every() -> Vec<Change> {
    SEEN.into_iter().chain(LATER).chain(UNSEEN).collect()
}

/// One end of a line on which one frame is changed.
struct Meddling {
    link: Box<dyn Link>,
    change: Change,
    at: usize,
    seen: usize,
    sent: Bytes,
    before: Bytes,
    /// Comes next.
    waiting: VecDeque<Bytes>,
    /// Comes behind the next.
    held: Option<Bytes>,
}

fn altered(frame: &[u8], change: Change) -> Bytes {
    let mut new = BytesMut::from(frame);
    let words = frame.get(28..32).map_or(0, |x| u32::from_be_bytes(x.try_into().unwrap()));
    match change {
        Empty => new.clear(),
        Cut => new.truncate(frame.len() / 2 + 1),
        Shorter | Longer => {
            let words = if change == Longer { words + 1 } else { words.saturating_sub(1) };
            new[28..32].copy_from_slice(&words.to_be_bytes());
            new.resize(HEADER + 8 * words as usize, 7);
        }
        Prolonged => new.extend_from_slice(&[0; 8]),
        WrongKind => new[6] ^= 7,
        WrongSender => new[7] ^= 0x80,
        Named(at) => new[at + 3] ^= 1,
        Flipped(bit) => {
            let bits = 8 * (frame.len() - HEADER) as isize;
            let bit = bit.rem_euclid(bits.max(1)) as usize;
            if let Some(byte) = new.get_mut(HEADER + bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
        Ones => new[HEADER..].fill(0xff),
        Zeros => new[HEADER..].fill(0),
        _ => unreachable!("no change of one frame"),
    }
    new.freeze()
}

impl Link for Meddling {
    fn send(&mut self, frame: Bytes) -> std::result::Result<(), LinkError> {
        self.sent = frame.clone();
        self.link.send(frame)
    }

    fn recv(&mut self, by: Instant) -> std::result::Result<Bytes, LinkError> {
        loop {
            if let Some(frame) = self.waiting.pop_front() {
                return Ok(frame);
            }
            let frame = self.link.recv(by)?;
            self.seen += 1;
            if self.seen - 1 == self.at {
                match self.change {
                    Before => self.waiting.push_back(self.before.clone()),
                    Echoed => self.waiting.push_back(self.sent.clone()),
                    Twice => self.waiting.extend([frame.clone(), frame.clone()]),
                    Never => {}
                    Swapped => self.held = Some(frame.clone()),
                    change => self.waiting.push_back(altered(&frame, change)),
                }
            } else {
                self.waiting.push_back(frame.clone());
                self.waiting.extend(self.held.take());
            }
            self.before = frame;
        }
    }
}

/// A run in which a frame that this cloud receives is changed; how it ended for both.
type Run<'a> = &'a dyn Fn(Ends, Duration) -> [Result<Vec<u64>>; 2];

/// Limit of a wait for what never comes, and of any other.
const SOON: Duration = Duration::from_millis(700);
const LATE: Duration = Duration::from_secs(20);

fn changed(run: Run<'_>, side: Side, at: usize, change: Change) -> [Result<Vec<u64>>; 2] {
    let (zero, one) = ends();
    let meddling = |link| -> Box<dyn Link> {
        let (sent, before) = (Bytes::new(), Bytes::new());
        let waiting = VecDeque::new();
        Box::new(Meddling { link, change, at, seen: 0, sent, before, waiting, held: None })
    };
    let ends = match side {
        Side::Zero => (meddling(zero), one),
        Side::One => (zero, meddling(one)),
    };
    let limit = if matches!(change, Never | Swapped) { SOON } else { LATE };
    let start = Instant::now();
    let ended = run(ends, limit);
    let took = start.elapsed();
    assert!(took < LATE, "frame {at} of {side}, {change:?}: it took {took:?}");
    ended
}

/// An error of the line or of what came over it, that says whose it is; or, of a bit that changed in
/// what is well formed, that a value is not what it should be.
fn names_the_peer(error: &Error, side: Side, what: &str) {
    let text = error.to_string();
    if matches!(error, Error::Input { .. } | Error::Beyond { .. }) {
        assert!(["Flipped", "Ones", "Zeros"].iter().any(|c| what.starts_with(c)), "{what}: {text}");
        return;
    }
    let known = matches!(error, Error::Frame { .. } | Error::Link { .. } | Error::Different { .. });
    assert!(known, "{what}: {text}");
    assert!(text.starts_with(&format!("{side}, job ")), "{what}: {text}");
    assert!(text.contains(&format!("{}", side.peer())), "{what}: {text}");
}

/// All these changes of all frames that either cloud receives; of a frame every so many of them, all
/// of so many frames together.
fn all(run: Run<'_>, changes: &[Change], frames: [usize; 2], expected: &[u64], apart: usize) {
    let mut spoilt = 0;
    for (side, count) in [Side::Zero, Side::One].into_iter().zip(frames) {
        for at in 0..count {
            for change in changes.iter().skip(at % apart).step_by(apart).copied() {
                let what = format!("{change:?}, frame {at} of {count} that {side} receives");
                // Nothing was sent or received before the first, and nothing follows the last.
                if at == 0 && matches!(change, Before) {
                    continue;
                }
                let ended = changed(run, side, at, change);
                for (side, end) in [Side::Zero, Side::One].into_iter().zip(&ended) {
                    if let Err(error) = end {
                        names_the_peer(error, side, &what);
                    }
                }
                let mine = &ended[side.index()];
                if SEEN.contains(&change) {
                    let error = mine.as_ref().expect_err(&what);
                    let named = matches!(error, Error::Frame { .. } | Error::Different { .. });
                    assert!(named, "{what}: {error}");
                } else if LATER.contains(&change) && !(change == Twice && at + 1 == count) {
                    mine.as_ref().expect_err(&what);
                } else if let [Ok(zero), Ok(one)] = &ended {
                    spoilt += usize::from(zero != expected || one != expected);
                }
            }
        }
    }
    assert!(spoilt > 0, "nothing that was flipped meant anything");
}

/// Frames each receives in an honest run, which ends well.
fn honest(run: Run<'_>) -> ([usize; 2], Vec<u64>) {
    let (zero, one) = ends();
    let (zero, from_one) = common::recorded(zero);
    let (one, from_zero) = common::recorded(one);
    let [zero, one] = run((zero, one), LATE).map(Result::unwrap);
    assert_eq!(zero, one);
    let frames = [from_one, from_zero].map(|frames| frames.lock().unwrap().len());
    (frames, zero)
}

/// Base transfers, extension, comparisons, numbers of bits, multiplexer. Both open what they have.
fn on_a_line(ends: Ends, limit: Duration) -> [Result<Vec<u64>>; 2] {
    let op = Op { step: 1, number: 2, name: "test" };
    let work = |side: Side, link| {
        let mut line = Line::new(side, &ATTEMPT, link).waiting(limit);
        let mut transfers = Transfers::begin(&mut line, op)?;
        let values: Vec<u64> =
            (1..=70).map(|i: u64| i.wrapping_mul(0x1234_5678_9abc_def1 + i)).collect();
        let values = values.iter().map(|x| x.rotate_left(7 * side.index() as u32));
        let values: Vec<u64> = values.collect();
        let less = transfers.less_each(&mut line, op, &[13, 63], &values)?;
        let less = [&less[0][..], &less[1][..]].concat();
        let mut shares = transfers.numbers(&mut line, op, &less, 256)?.to_vec();
        shares.extend_from_slice(&transfers.multiplex(&mut line, op, &less, &values)?);
        Ok(shares)
    };
    let (zero, one) = ends;
    let ended = std::thread::scope(|scope| {
        let one = scope.spawn(|| work(Side::One, one));
        [work(Side::Zero, zero), one.join().expect("no panic")]
    });
    match ended {
        [Ok(zero), Ok(one)] => {
            let sum: Vec<u64> = zero.iter().zip(&one).map(|(a, b)| a.wrapping_add(*b)).collect();
            // The last word of bits of 70 entries is not full.
            let sum = [&sum[..70], &sum[128..198], &sum[256..]].concat();
            [Ok(sum.clone()), Ok(sum)]
        }
        ended => ended,
    }
}

#[test]
fn transfers_on_a_line() {
    let (frames, expected) = honest(&on_a_line);
    all(&on_a_line, &every(), frames, &expected, 1);
}

/// What both open, of a program whose last opening is for C1 alone.
fn opened(ends: [Result<Vec<dyad_mpc::Opened>>; 2]) -> [Result<Vec<u64>>; 2] {
    ends.map(|end| end.map(|opened| opened[0].words.clone()))
}

#[test]
fn shares_with_pairwise_randomness() {
    let program = Small { rows: 3, steps: 1, shift: 12 };
    let inputs = program.inputs(|i| (i as i64 - 5) * 100);
    let trace = cost(&program).unwrap().1;
    let run = |ends, limit| {
        let mut setup = Setup::new(&inputs, Lines::Memory).unwrap();
        (setup.clouds, setup.limit) = (ends, limit);
        opened(run_pairwise(&program, trace, setup).clouds.map(|end| end.map(|(opened, _)| opened)))
    };
    let (frames, found) = honest(&run);
    assert_eq!(found, clear(&program, &inputs).unwrap()[0].words);
    all(&run, &every(), frames, &found, 1);
}

#[test]
fn ciphertexts() {
    let program = Small { rows: 1, steps: 1, shift: 12 };
    let inputs = program.inputs(|i| (i as i64 - 5) * 100);
    let trace = cost(&program).unwrap().1;
    let world = World::new(512);
    let run = |ends, limit| {
        let mut setup = Setup::new(&inputs, Lines::Memory).unwrap();
        (setup.clouds, setup.limit) = (ends, limit);
        let work = |_, mut engine: dyad_mpc::Cipher, contract: &Contract| {
            engine.greet(contract)?;
            program.run(&mut Session::new(engine))
        };
        opened(two_on_ciphertexts(&world.key, world.opener(), trace, setup, work).unwrap())
    };
    let (frames, found) = honest(&run);
    assert_eq!(found, clear(&program, &inputs).unwrap()[0].words);
    all(&run, &FEW, frames, &found, 2);
}
