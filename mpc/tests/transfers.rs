//! A peer whose transfers are not what they should be: an error that says who, where and what, in
//! time; never a hang or a panic. What cannot be seen to be wrong may spoil the result, as it may
//! elsewhere.
#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{ATTEMPT, Meddle, Meddler, Small, contract_of, ends, setup};
use dyad_mpc::link::{Link, LinkError};
use dyad_mpc::prg::Party as Side;
use dyad_mpc::together::{Outcomes, clear, cost, pairwise_cost, run_pairwise, shares};
use dyad_mpc::transfer::Transfers;
use dyad_mpc::{Contract, Error, Line, Op, Party};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Frames C0 receives before the first step needs anything of C1's masks: greeting, table, mask.
const BEFORE: usize = 3;
/// Then two messages begin transfers, one asks for rows of the product's and one brings it, then
/// the ReLU's.
const BASE: usize = BEFORE;
const PRODUCT: usize = BASE + 2;
const RELU: usize = PRODUCT + 2;

/// One step.
fn program() -> Small {
    Small { steps: 1, ..Small::default() }
}

/// Runs with C0's incoming line meddled with; gives how it ended and how long that took.
fn meddled(meddle: Meddle) -> (Outcomes, Duration) {
    let program = program();
    let mut setup = setup(shares(&program.inputs(|i| i as i64 * 100)));
    setup.limit = Duration::from_secs(2);
    let (zero, one) = setup.clouds;
    setup.clouds = (Meddler::boxed(zero, meddle), one);
    let start = Instant::now();
    let outcomes = run_pairwise(&program, cost(&program).unwrap().1, setup);
    (outcomes, start.elapsed())
}

/// C0's error.
fn error_of(meddle: Meddle) -> Error {
    let (outcomes, took) = meddled(meddle);
    assert!(took < Duration::from_secs(30), "it took {took:?}");
    let [zero, _] = outcomes.clouds;
    zero.expect_err("C0 took it")
}

/// Changes one frame.
fn changing(at: usize, change: fn(&mut Vec<u8>)) -> Meddle {
    Box::new(move |i, frame| {
        let mut frame = frame.to_vec();
        if i == at {
            change(&mut frame);
        }
        vec![frame.into()]
    })
}

#[test]
fn an_honest_line_gives_the_result() {
    let (outcomes, _) = meddled(Box::new(|_, frame| vec![frame]));
    let program = program();
    let expected = clear(&program, &program.inputs(|i| i as i64 * 100)).unwrap();
    let messages = pairwise_cost(&program).unwrap().count().messages;
    let [(zero, _), (one, traffic)] = outcomes.clouds.map(|end| end.unwrap());
    assert_eq!(zero[0], expected[0]);
    assert_eq!(one, expected);
    // With the greeting.
    assert_eq!(traffic.messages_sent, messages[1] + 1);
    assert_eq!(traffic.messages_received, messages[0] + 1);
}

#[test]
fn transfers_that_are_altered_are_refused() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 8] = [
        ("empty", Vec::clear),
        ("cut", |frame| frame.truncate(20)),
        ("short by a word", |frame| frame.truncate(frame.len() - 8)),
        ("long by a word", |frame| frame.extend([0; 8])),
        ("of another kind", |frame| frame[6] ^= 7),
        ("of another operation", |frame| frame[19] ^= 1),
        ("another message", |frame| frame[23] ^= 1),
        ("of more words", |frame| {
            frame[31] += 1;
            frame.extend([0; 8]);
        }),
    ];
    for (name, change) in changes {
        for at in [BASE, BASE + 1, PRODUCT, PRODUCT + 1, RELU, RELU + 2] {
            let error = error_of(changing(at, change));
            assert!(matches!(error, Error::Frame { .. }), "{name}, frame {at}: {error}");
            let text = error.to_string();
            assert!(text.starts_with("C0, job abababab, step 1, operation "), "{text}");
            assert!(text.contains("C1 sent"), "{text}");
        }
    }
}

#[test]
fn what_is_no_point_is_refused() {
    // All ones is no encoding; zero encodes the point with which all keys are one.
    for change in
        [(|frame| frame[64..96].fill(0xff)) as fn(&mut Vec<u8>), |frame| frame[64..96].fill(0)]
    {
        for at in [BASE, BASE + 1] {
            let text = error_of(changing(at, change)).to_string();
            assert!(text.contains("no point of ristretto255"), "{text}");
            assert!(text.contains("C0, job abababab, step 1, operation "), "{text}");
        }
    }
}

#[test]
fn transfers_that_come_twice_late_or_never_are_refused() {
    for at in [BASE, BASE + 1, PRODUCT, PRODUCT + 1, RELU, RELU + 3] {
        let twice =
            error_of(Box::new(
                move |i, frame| {
                    if i == at { vec![frame.clone(), frame] } else { vec![frame] }
                },
            ));
        assert!(matches!(twice, Error::Frame { .. }), "frame {at} twice: {twice}");
        let never = error_of(Box::new(move |i, frame| if i == at { vec![] } else { vec![frame] }));
        // C1 goes on as long as it needs nothing of C0.
        assert!(matches!(never, Error::Link { .. } | Error::Frame { .. }), "{at} never: {never}");
    }
    let mut first: Option<Bytes> = None;
    let again = error_of(Box::new(move |i, frame| {
        if i == PRODUCT {
            first = Some(frame.clone());
        }
        // The same rows for the ReLU as for the product.
        if i == RELU { first.take().into_iter().collect() } else { vec![frame] }
    }));
    assert!(matches!(again, Error::Frame { .. }), "{again}");
}

/// Noise where a message should be: every such word is possible, so nobody can refuse it. It must
/// not stop or break anything but the result.
#[test]
fn noise_spoils_results_and_nothing_else() {
    for at in [PRODUCT, PRODUCT + 1, RELU, RELU + 1, RELU + 3] {
        let (outcomes, took) = meddled(changing(at, |frame| {
            frame.iter_mut().skip(32).enumerate().for_each(|(i, byte)| *byte ^= i as u8 | 1);
        }));
        assert!(took < Duration::from_secs(30), "it took {took:?}");
        let program = program();
        let expected = clear(&program, &program.inputs(|i| i as i64 * 100)).unwrap();
        let [(zero, _), (one, _)] = outcomes.clouds.map(|end| end.unwrap());
        assert_eq!(zero[0], one[0], "both open the same");
        assert_ne!(zero[0], expected[0], "frame {at} means nothing");
    }
}

/// A peer that sends back what it is sent, and nothing of its own.
struct Echo(VecDeque<Bytes>);

impl Link for Echo {
    fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        self.0.push_back(frame);
        Ok(())
    }

    fn recv(&mut self, _: Instant) -> Result<Bytes, LinkError> {
        self.0.pop_front().ok_or(LinkError::Closed)
    }
}

const OP: Op = Op { step: 1, number: 2, name: "test" };

#[test]
fn an_echo_is_refused() {
    for side in [Side::Zero, Side::One] {
        let line = || Line::new(side, &ATTEMPT, Box::new(Echo(VecDeque::new())));
        let error = Transfers::begin(&mut line(), OP).err().unwrap();
        assert!(matches!(error, Error::Frame { .. }), "{error}");
        let (text, peer) = (error.to_string(), side.peer());
        let mine = format!("{peer} sent a message of {side}'s transfers of step 1, operation 2");
        assert!(text.contains(&mine), "{text}");
        assert!(text.contains(&format!("expected a message of {peer}'s transfers")), "{text}");
        let mut party = Party::pairwise(side, &ATTEMPT, Box::new(Echo(VecDeque::new())));
        let text = party.greet(&Contract::pairwise(ATTEMPT, [7; 32])).unwrap_err().to_string();
        assert!(text.contains("they do not take the sides they should"), "{text}");
    }
}

/// Of another job, or after either cloud drew another nonce.
#[test]
fn messages_of_another_attempt_are_refused() {
    let mut others = [ATTEMPT; 3];
    others[0].job[9] ^= 1;
    others[1].nonces[0][0] ^= 1;
    others[2].nonces[1][0] ^= 1;
    for other in others {
        let (zero, one) = ends();
        let begin = |side, attempt, link| {
            Transfers::begin(&mut Line::new(side, attempt, link), OP).err().unwrap()
        };
        std::thread::scope(|scope| {
            let one = scope.spawn(|| begin(Side::One, &other, one));
            for error in [begin(Side::Zero, &ATTEMPT, zero), one.join().unwrap()] {
                assert!(matches!(error, Error::Frame { .. }), "{error}");
            }
        });
    }
}

#[test]
fn a_cloud_with_a_dealer_and_one_without_say_so() {
    let (zero, one) = ends();
    let limit = Duration::from_secs(2);
    let trace = [7; 32];
    let (with, without) = (contract_of(trace), Contract::pairwise(ATTEMPT, trace));
    let mut alone = Party::pairwise(Side::One, &ATTEMPT, one).waiting(limit);
    // It takes no contract with a dealer.
    let text = alone.greet(&with).unwrap_err().to_string();
    assert!(text.contains("C1, job abababab") && text.contains("same source"), "{text}");
    let seed = dyad_mpc::prg::Seed::derive(&[9; 32], &ATTEMPT, Side::Zero);
    let mut dealt = Party::zero(&seed, &ATTEMPT, zero).waiting(limit);
    std::thread::scope(|scope| {
        let alone = scope.spawn(move || alone.greet(&without).unwrap_err().to_string());
        let text = dealt.greet(&with).unwrap_err().to_string();
        assert!(text.contains("give both the same source"), "{text}");
        assert!(alone.join().unwrap().contains("give both the same source"));
    });
}
