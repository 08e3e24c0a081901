//! Transfers leave no secret in memory that is given back. What is random there must be of what went
//! over the line: so nothing has to be known of seeds, choices, keys and shares to find them.

#![allow(unsafe_code)] // an allocator that keeps what is freed
#![allow(clippy::unwrap_used)]

mod common;
#[path = "../../bcp/tests/wiped/keeper.rs"]
mod keeper;

use common::{ATTEMPT, Record, ends, recorded};
use dyad_mpc::engine::{Audience, Engine};
use dyad_mpc::prg::Party as Side;
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{Input, Lines, Program, Setup, cost, run_pairwise};
use dyad_mpc::transfer::{Context, Receiver, Sender, Transfers, send_chosen, take_chosen};
use dyad_mpc::wire::{HEADER, Kind};
use dyad_mpc::{Line, Op, Result, Session, Shift};
use keeper::{Freed, Secrets, alone, kept};
use std::collections::HashSet;
use std::sync::Mutex;
use zeroize::Zeroizing;

/// Words as random ones look: lengths, addresses and text do not. (Of random words three in a
/// hundred do not either.)
fn looks_random(word: u64) -> bool {
    let bytes = word.to_le_bytes();
    let distinct: HashSet<u8> = bytes.into_iter().collect();
    distinct.len() > 6 && bytes.iter().all(|byte| *byte != 0) && !bytes.is_ascii()
}

/// Random words in freed memory that are not among these.
fn left(freed: &Freed, public: impl Iterator<Item = u64>) -> Vec<u64> {
    let public: HashSet<u64> = public.collect();
    freed.words().filter(|word| looks_random(*word) && !public.contains(word)).collect()
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word))
}

fn of_frames(records: &[Record]) -> Vec<u64> {
    let frames = records.iter().flat_map(|record| record.lock().unwrap().clone());
    frames.flat_map(|frame| words(&frame).collect::<Vec<u64>>()).collect()
}

const OP: Op = Op { step: 0, number: 0, name: "test" };

/// Secret words, never the same.
fn secrets(count: usize, which: u64) -> Vec<u64> {
    let word = |i: u64| (i ^ which << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    (1..=count as u64).map(word).collect()
}

/// Both clouds' work, begun before anything is kept, and what is left of it.
fn after<T: Send>(work: impl Fn(&mut Transfers, &mut Line, Side) -> Result<T> + Sync) -> Vec<u64> {
    let (zero, one) = ends();
    let (zero, to_zero) = recorded(zero);
    let (one, to_one) = recorded(one);
    let begin = |side, link| {
        let mut line = Line::new(side, &ATTEMPT, link);
        let transfers = Transfers::begin(&mut line, OP).unwrap();
        (line, transfers)
    };
    let (zero, one) = std::thread::scope(|scope| {
        let one = scope.spawn(|| begin(Side::One, one));
        (begin(Side::Zero, zero), one.join().unwrap())
    });
    let begun = [Mutex::new(zero), Mutex::new(one)];
    let (made, freed) = kept(&|| {
        std::thread::scope(|scope| {
            let run = |side: Side| {
                let (line, transfers) = &mut *begun[side.index()].lock().unwrap();
                work(transfers, line, side).unwrap()
            };
            let one = scope.spawn(move || run(Side::One));
            (run(Side::Zero), one.join().unwrap())
        })
    });
    drop(made);
    left(&freed, of_frames(&[to_zero, to_one]).into_iter())
}

#[test]
fn what_is_left_behind_is_found() {
    let _alone = alone();
    let kinds: [&dyn Fn(); 2] = [&|| drop(secrets(100, 1)), &|| {
        let mut grows: Vec<u128> = vec![];
        grows.extend(secrets(100, 2).iter().map(|x| u128::from(*x) << 64 | 0x55));
    }];
    for kind in kinds {
        let ((), freed) = kept(kind);
        assert!(left(&freed, std::iter::empty()).len() > 90);
        assert!(left(&freed, secrets(100, 1).into_iter().chain(secrets(100, 2))).is_empty());
    }
    let ((), freed) = kept(&|| drop(Zeroizing::new(secrets(100, 3))));
    assert!(left(&freed, std::iter::empty()).is_empty());
}

/// Both ends of base transfers, from what is drawn to seeds, and ends that are given back.
#[test]
fn base_transfers_leave_nothing_behind() {
    let _alone = alone();
    let context = Context::new(&ATTEMPT, Side::Zero);
    let (said, freed) = kept(&|| {
        let (begun, asks) = Sender::begin(&context);
        let (receiver, answer) = Receiver::begin(&context, &asks).unwrap();
        let sender = begun.finish(&asks, &answer).unwrap();
        drop((sender, receiver));
        [asks, answer]
    });
    assert_eq!(left(&freed, said.concat().into_iter()), [0; 0]);
    // Refused at the last point, when all other keys are there.
    let (said, freed) = kept(&|| {
        let (begun, asks) = Sender::begin(&context);
        let (_, answer) = Receiver::begin(&context, &asks).unwrap();
        let mut spoilt = answer.clone();
        spoilt[508..512].fill(0);
        begun.finish(&asks, &spoilt).err().unwrap();
        [asks, answer]
    });
    assert_eq!(left(&freed, said.concat().into_iter()), [0; 0]);
}

#[test]
fn extension_and_chosen_blocks_leave_nothing_behind() {
    let _alone = alone();
    let context = Context::new(&ATTEMPT, Side::Zero);
    let (begun, asks) = Sender::begin(&context);
    let (receiver, answer) = Receiver::begin(&context, &asks).unwrap();
    let ends = Mutex::new((begun.finish(&asks, &answer).unwrap(), receiver));
    let bits = secrets(130, 4);
    let (said, freed) = kept(&|| {
        let (sender, receiver) = &mut *ends.lock().unwrap();
        let (asked, taken) = receiver.ask(&bits);
        let sent = sender.answer(&asked, bits.len()).unwrap();
        let pairs: Vec<u64> = secrets(4 * 64 * bits.len(), 5);
        let pair = |x: &[u64; 4]| [0, 2].map(|i| u128::from(x[i]) | u128::from(x[i + 1]) << 64);
        let pairs = Zeroizing::new(pairs.as_chunks().0.iter().map(pair).collect::<Vec<_>>());
        let count = pairs.len();
        let came = send_chosen(sent, pairs).unwrap();
        let chosen = Zeroizing::new(bits.clone());
        let blocks = take_chosen(taken, chosen, count, came.clone()).unwrap();
        drop(blocks);
        [asked, came]
    });
    // The test's own list of numbers to make blocks of.
    let public = said.concat().into_iter().chain(secrets(4 * 64 * bits.len(), 5));
    assert_eq!(left(&freed, public), [0; 0]);
}

#[test]
fn comparisons_leave_nothing_behind() {
    let _alone = alone();
    let values = [secrets(300, 6), secrets(300, 7)];
    let left = after(|transfers, line, side| {
        transfers.less_each(line, OP, &[13, 63], &values[side.index()])
    });
    assert_eq!(left, [0; 0]);
}

#[test]
fn numbers_and_multiplexers_leave_nothing_behind() {
    let _alone = alone();
    let (bits, values) = ([secrets(5, 8), secrets(5, 9)], [secrets(300, 10), secrets(300, 11)]);
    let left = after(|transfers, line, side| {
        let (bits, values) = (&bits[side.index()], &values[side.index()]);
        let numbers = transfers.numbers(line, OP, bits, 300)?;
        Ok((numbers, transfers.multiplex(line, OP, bits, values)?))
    });
    assert_eq!(left, [0; 0]);
}

/// Truncates a tensor of shares.
struct Cut;

const META: Meta = Meta::new(10, 10, 20, 40);

impl Program for Cut {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let x = e.input("x", META)?;
        e.step(1)?;
        let y = e.truncate(&[(&x, Shift::floor(13))])?;
        e.open(&[&y[0]], Audience::All)
    }
}

/// The words of the first opening among these frames.
fn opening(record: &Record) -> Vec<u64> {
    let frames = record.lock().unwrap();
    let frame = frames.iter().find(|frame| frame[6] == Kind::Opening as u8).unwrap();
    words(&frame[HEADER..]).collect()
}

/// The masks that the clouds make with each other: known from what was opened under them.
#[test]
fn pairwise_randomness_leaves_no_mask_behind() {
    let _alone = alone();
    let inputs = [Input::new("x", META, (0..100).map(|i| i * 0x1234_5678).collect())];
    let trace = cost(&Cut).unwrap().1;
    let mut setup = Setup::new(&inputs, Lines::Memory).unwrap();
    let shares = setup.shares.clone().map(|mut shares| shares.remove(0).words);
    let (zero, to_zero) = recorded(setup.clouds.0);
    let (one, to_one) = recorded(setup.clouds.1);
    setup.clouds = (zero, one);
    let setup = Mutex::new(Some(setup));
    let (outcomes, freed) =
        kept(&|| run_pairwise(&Cut, trace, setup.lock().unwrap().take().unwrap()));
    assert!(outcomes.clouds.iter().all(std::result::Result::is_ok));
    // C0 lifts what it cuts by 2^62.
    let hats = [opening(&to_one), opening(&to_zero)];
    let mut secrets = Secrets::default();
    for ((hats, shares), lift) in hats.iter().zip(&shares).zip([1 << 62, 0]) {
        assert_eq!(hats.len(), shares.len());
        for (hat, share) in hats.iter().zip(shares) {
            let mask = hat.wrapping_sub(*share).wrapping_sub(lift);
            secrets = secrets.and("a mask", &mask.into());
        }
    }
    assert_eq!(freed.find(&secrets), [""; 0]);
}
