//! A peer or a dealer that vanishes, stalls, or sends what it should not: an error that says who,
//! where and what, in time; never a hang, a panic, or a result.
#![allow(clippy::unwrap_used)]

mod common;

use bytes::{BufMut, Bytes, BytesMut};
use common::{ATTEMPT, Meddle, Meddler, Small, contract_of, ends, setup};
use dyad_mpc::correlations::{Correlations, LinkSink, LinkSource, Sink};
use dyad_mpc::prg::{Attempt, Party as Side, Seed};
use dyad_mpc::together::{Outcomes, Program, Setup, attempt, clear, cost, run, shares};
use dyad_mpc::{Contract, Dealer, Error, Op, Party, Session};
use std::time::{Duration, Instant};

/// Frames C0 receives from C1: greeting, table; a step: mask, four of the ReLU, agreement; result.
const FRAMES: usize = 2 + 2 * 6 + 1;

/// Runs with C0's incoming line meddled with. Gives C0's error, if there was one, and how long.
fn meddled(meddle: Meddle) -> (Outcomes, Duration) {
    let program = Small::default();
    let mut setup = setup(shares(&program.inputs(|i| i as i64 * 100)));
    setup.limit = Duration::from_millis(400);
    let (zero, one) = setup.clouds;
    setup.clouds = (Meddler::boxed(zero, meddle), one);
    let start = Instant::now();
    let outcomes = run(&program, cost(&program).unwrap().1, setup);
    (outcomes, start.elapsed())
}

fn error_of(meddle: Meddle) -> Error {
    let (outcomes, took) = meddled(meddle);
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    let [zero, _] = outcomes.clouds;
    zero.expect_err("C0 took it")
}

#[test]
fn an_honest_line_gives_the_result() {
    let mut frames = 0;
    let (outcomes, _) = meddled(Box::new(move |i, frame| {
        frames = frames.max(i);
        assert!(frames < FRAMES);
        vec![frame]
    }));
    let program = Small::default();
    let expected = clear(&program, &program.inputs(|i| i as i64 * 100)).unwrap();
    let [zero, one] = outcomes.clouds.map(|end| end.unwrap().0);
    assert_eq!(zero[0], expected[0]);
    assert!(zero[1].words.is_empty(), "opened to C1 alone");
    assert_eq!(one, expected);
}

#[test]
fn a_frame_that_is_lost_is_missed_in_time() {
    for lost in 0..FRAMES {
        let error =
            error_of(Box::new(move |i, frame| if i == lost { vec![] } else { vec![frame] }));
        // The next frame is the wrong one, or none comes any more.
        assert!(matches!(error, Error::Frame { .. } | Error::Link { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("C0, job abababab") && text.contains("step"), "{text}");
    }
}

#[test]
fn frames_that_are_altered_are_refused() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 10] = [
        ("empty", Vec::clear),
        ("cut", |frame| frame.truncate(20)),
        ("short by a word", |frame| frame.truncate(frame.len() - 8)),
        ("short by a byte", |frame| frame.truncate(frame.len() - 1)),
        ("long by a word", |frame| frame.extend([0; 8])),
        ("of another version", |frame| frame[5] ^= 1),
        ("of another kind", |frame| frame[6] ^= 7),
        ("of another step", |frame| frame[15] ^= 1),
        ("of another operation", |frame| frame[19] ^= 1),
        ("of another shape", |frame| frame[23] ^= 1),
    ];
    for (name, change) in changes {
        for at in 0..FRAMES {
            let error = error_of(Box::new(move |i, frame| {
                let mut frame = frame.to_vec();
                if i == at {
                    change(&mut frame);
                }
                vec![frame.into()]
            }));
            let refused = matches!(error, Error::Frame { .. } | Error::Different { .. });
            assert!(refused, "{name}, frame {at}: {error}");
            let text = error.to_string();
            assert!(text.starts_with("C0, job abababab"), "{text}");
            if name == "of another version" {
                assert!(text.contains("version 0") && text.contains("version 1"), "{text}");
            }
        }
    }
}

#[test]
fn repeated_and_exchanged_frames_are_refused() {
    for at in 0..FRAMES - 1 {
        let error =
            error_of(Box::new(
                move |i, frame| {
                    if i == at { vec![frame.clone(), frame] } else { vec![frame] }
                },
            ));
        assert!(matches!(error, Error::Frame { .. }), "frame {at} twice: {error}");
    }
    let mut kept: Option<Bytes> = None;
    let error = error_of(Box::new(move |i, frame| match i {
        3 => {
            kept = Some(frame);
            vec![]
        }
        4 => vec![frame, kept.take().unwrap()],
        _ => vec![frame],
    }));
    assert!(matches!(error, Error::Frame { .. } | Error::Link { .. }), "{error}");
}

#[test]
fn a_peer_that_vanishes_is_noticed_at_once() {
    let program = Small::default();
    let setup = setup(shares(&program.inputs(|_| 1)));
    let Setup { clouds: (zero, one), .. } = setup;
    drop(one);
    let seed = Seed::derive(&[9; 32], &ATTEMPT, Side::Zero);
    let mut party = Party::zero(&seed, &ATTEMPT, zero);
    let contract = contract_of([0; 32]);
    let start = Instant::now();
    let error = party.greet(&contract).unwrap_err();
    assert!(matches!(error, Error::Link { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_peer_that_stalls_is_late() {
    let (zero, _one) = ends();
    let seed = Seed::derive(&[9; 32], &ATTEMPT, Side::Zero);
    let mut party = Party::zero(&seed, &ATTEMPT, zero).waiting(Duration::from_millis(50));
    let error = party.greet(&contract_of([0; 32])).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("C0, job abababab, step 0") && text.contains("C1: nothing came,"),
        "{text}"
    );
}

/// Greets with what each side believes; the dealer believes what C1 does.
fn greet(mine: &Contract, theirs: &Contract, sides: [Side; 2]) -> [Option<String>; 2] {
    let (zero, one) = ends();
    let limit = Duration::from_secs(2);
    let seed = |side| Seed::derive(&[9; 32], &ATTEMPT, side);
    let end = |side, link, contract: &Contract| match side {
        Side::Zero => Party::zero(&seed(side), &contract.attempt, link),
        Side::One => {
            let (dealer, source) = ends();
            let contract = *contract;
            std::thread::spawn(move || {
                LinkSink::new(dealer, &contract.attempt.job, limit).greet(&contract).unwrap();
            });
            let source = LinkSource::new(source, &contract.attempt.job, 1, limit);
            Party::one(&seed(side), &contract.attempt, link, Box::new(source))
        }
    };
    let mut zero = end(sides[0], zero, mine);
    let mut one = end(sides[1], one, theirs);
    std::thread::scope(|scope| {
        let zero = scope.spawn(move || zero.greet(mine).err().map(|error| error.to_string()));
        let one = one.greet(theirs).err().map(|error| error.to_string());
        [zero.join().unwrap(), one]
    })
}

#[test]
fn a_dealer_of_another_program_is_refused() {
    let limit = Duration::from_secs(2);
    let contract = contract_of([7; 32]);
    let other = Contract { program: [8; 32], ..contract };
    let (dealer, source) = ends();
    let mut source = LinkSource::new(source, &ATTEMPT.job, 1, limit);
    let mut sink = LinkSink::new(dealer, &ATTEMPT.job, limit);
    std::thread::scope(|scope| {
        let dealer = scope.spawn(move || sink.greet(&other).unwrap_err().to_string());
        let cloud = source.greet(&contract).unwrap_err().to_string();
        assert!(cloud.contains("C1, job abababab, step 0: the dealer runs 0808"), "{cloud}");
        assert!(dealer.join().unwrap().contains("dealer, job abababab, step 0: C1 runs 0707"));
    });
}

#[test]
fn ends_that_mean_different_things_say_so_before_the_first_step() {
    let contract = contract_of([7; 32]);
    let sides = [Side::Zero, Side::One];
    assert_eq!(greet(&contract, &contract, sides), [None, None]);
    let other = |change: &dyn Fn(&mut Contract)| {
        let mut other = contract;
        change(&mut other);
        greet(&contract, &other, sides)
    };
    let cases: [(&str, [Option<String>; 2]); 5] = [
        ("their programs differ", other(&|c| c.program[0] ^= 1)),
        ("they run different jobs", other(&|c| c.attempt.job[31] ^= 1)),
        ("different attempts", other(&|c| c.attempt.nonces[0][0] ^= 1)),
        ("different attempts", other(&|c| c.attempt.nonces[1][15] ^= 1)),
        ("do not take the sides", greet(&contract, &contract, [Side::Zero, Side::Zero])),
    ];
    for (what, errors) in cases {
        for error in errors {
            let error = error.expect(what);
            assert!(error.contains(what), "{error}");
        }
    }
}

#[test]
fn a_party_with_another_seed_than_the_contract_names_does_not_begin() {
    let contract = contract_of([7; 32]);
    let seeds = [Side::Zero, Side::One].map(|side| Seed::derive(&[9; 32], &ATTEMPT, side));
    let wrong = Seed::derive(&[8; 32], &ATTEMPT, Side::Zero);
    let limit = Duration::from_millis(50);
    let refused = |greeted: dyad_mpc::Result<()>| {
        let text = greeted.unwrap_err().to_string();
        assert!(text.contains("the seed here is not the one"), "{text}");
    };
    let (link, _peer) = ends();
    refused(Party::zero(&wrong, &ATTEMPT, link).waiting(limit).greet(&contract));
    for mixed in [[&wrong, &seeds[1]], [&seeds[0], &wrong]] {
        let (link, _peer) = ends();
        let sink = LinkSink::new(link, &ATTEMPT.job, limit);
        refused(Dealer::new(mixed, Box::new(sink)).greet(&contract));
    }
    // Each end by itself may be at one with its contract: then the contracts differ.
    let (zero, one) = ends();
    let theirs = Contract::new(ATTEMPT, [7; 32], [&wrong, &seeds[1]]);
    std::thread::scope(|scope| {
        let zero = scope
            .spawn(|| Party::zero(&wrong, &ATTEMPT, zero).greet(&theirs).unwrap_err().to_string());
        let (dealer, source) = ends();
        scope.spawn(|| {
            let mut dealer = LinkSink::new(dealer, &ATTEMPT.job, Duration::from_secs(2));
            dealer.greet(&contract).unwrap();
        });
        let source = LinkSource::new(source, &ATTEMPT.job, 1, Duration::from_secs(2));
        let mut one = Party::one(&seeds[1], &ATTEMPT, one, Box::new(source));
        let one = one.greet(&contract).unwrap_err().to_string();
        for text in [zero.join().unwrap(), one] {
            assert!(text.contains("the seed of C0 is not the one the dealer"), "{text}");
        }
    });
}

#[test]
fn programs_that_differ_by_one_operation_do_not_go_on() {
    // Both believe in the same contract, as if the hash had not been compared.
    let (zero, one) = (Small::default(), Small { shift: 11, ..Small::default() });
    let Setup { attempt, secret, shares, clouds, dealing, .. } =
        setup(shares(&zero.inputs(|i| i as i64)));
    let [seed_0, seed_1] =
        [Side::Zero, Side::One].map(|side| Seed::derive(&secret, &attempt, side));
    let limit = Duration::from_secs(2);
    let mut parties = [
        Party::zero(&seed_0, &attempt, clouds.0).waiting(limit),
        Party::one(
            &seed_1,
            &attempt,
            clouds.1,
            Box::new(LinkSource::new(dealing.1, &attempt.job, 9, limit)),
        )
        .waiting(limit),
    ];
    for (party, inputs) in parties.iter_mut().zip(shares) {
        for input in inputs {
            party.give(&input.name, input.meta, input.words);
        }
    }
    let [party_0, party_1] = parties;
    let sink = LinkSink::new(dealing.0, &attempt.job, limit);
    let dealer = Dealer::new([&seed_0, &seed_1], Box::new(sink));
    std::thread::scope(|scope| {
        scope.spawn(|| drop(zero.run(&mut Session::new(dealer))));
        let first = scope.spawn(|| zero.run(&mut Session::new(party_0)).unwrap_err().to_string());
        let second = one.run(&mut Session::new(party_1)).unwrap_err().to_string();
        // C1 meets the dealer's frame first, C0 is left alone.
        assert!(second.contains("C1, job abababab, step 1") && second.contains("relu"), "{second}");
        assert!(second.contains("the two do not run the same program"), "{second}");
        assert!(first.join().unwrap().contains("step 1"));
    });
}

#[test]
fn what_the_dealer_sends_is_held_against_the_program_too() {
    let program = Small::default();
    for change in 0..4 {
        let mut setup = setup(shares(&program.inputs(|i| i as i64)));
        setup.limit = Duration::from_millis(400);
        let (dealer, dealt) = setup.dealing;
        let meddle: Meddle = Box::new(move |i, frame| match (i, change) {
            (1, 0) => vec![],
            (1, 1) => vec![frame.slice(..frame.len() - 8)],
            (1, 2) => vec![frame.clone(), frame],
            (1, 3) => {
                let mut other = BytesMut::from(&frame[..]);
                other[19] ^= 1;
                vec![other.freeze()]
            }
            _ => vec![frame],
        });
        setup.dealing = (dealer, Meddler::boxed(dealt, meddle));
        let outcomes = run(&program, cost(&program).unwrap().1, setup);
        let [_, one] = outcomes.clouds;
        let text = one.unwrap_err().to_string();
        assert!(text.starts_with("C1, job abababab") && text.contains("the dealer"), "{text}");
    }
}

#[test]
fn the_dealer_runs_ahead_only_as_far_as_asked() {
    let (mut dealer, mut cloud) = {
        let (dealer, cloud) = ends();
        let limit = Duration::from_millis(60);
        (LinkSink::new(dealer, &[0; 32], limit), LinkSource::new(cloud, &[0; 32], 3, limit))
    };
    let op = |step| Op { step, number: 0, name: "step" };
    assert!(dealer.step(op(0)).is_err(), "nothing was asked for yet");
    cloud.step(op(0)).unwrap();
    for step in 0..=3 {
        dealer.step(op(step)).unwrap();
    }
    assert!(dealer.step(op(4)).is_err(), "one too far");
    cloud.step(op(1)).unwrap();
    dealer.step(op(4)).unwrap();
}

#[test]
fn a_dealer_does_not_take_anything_for_a_credit() {
    for frame in [vec![], vec![0; 40], {
        let mut frame = BytesMut::new();
        frame.put_slice(b"dyad\0\x01\x02\0");
        frame.resize(40, 0);
        frame.to_vec()
    }] {
        let (dealer, mut cloud) = ends();
        let mut dealer = LinkSink::new(dealer, &[0; 32], Duration::from_secs(1));
        cloud.send(frame.into()).unwrap();
        let error = dealer.step(Op { step: 0, number: 0, name: "step" }).unwrap_err();
        assert!(matches!(error, Error::Frame { .. }), "{error}");
    }
}

/// A credit as C1 sends it.
fn credit(step: u64, upto: u64) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_slice(b"dyad\0\x01\x03\0");
    frame.put_u64(step);
    frame.put_slice(&[0; 12]);
    frame.put_u32(1);
    frame.put_u64_le(upto);
    frame.freeze()
}

/// What a dealer says, and when, whose C1 sends this every 20 ms.
fn held(
    frames: impl Fn(u64) -> Bytes + Send,
    wait: impl Fn(&mut LinkSink) -> dyad_mpc::Result<()>,
) -> (dyad_mpc::Result<()>, Duration) {
    let (dealer, mut cloud) = ends();
    let mut dealer = LinkSink::new(dealer, &[0; 32], Duration::from_millis(200));
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for i in 0..150 {
                if cloud.send(frames(i)).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let end = wait(&mut dealer);
        drop(dealer);
        (end, start.elapsed())
    })
}

const FAR: Op = Op { step: 1_000_000, number: 0, name: "step" };

#[test]
fn a_dealer_is_not_held_beyond_its_deadline() {
    let soon = Duration::from_millis(1500);
    for wait in [|d: &mut LinkSink| d.step(FAR), |d: &mut LinkSink| d.finish()] {
        // Each grants a little more.
        let (end, took) = held(|i| credit(i, i), wait);
        let error = end.unwrap_err();
        assert!(matches!(error, Error::Link { .. }) && took < soon, "{error}, {took:?}");
        // The second grants nothing more.
        let (end, took) = held(|_| credit(0, 3), wait);
        let error = end.unwrap_err();
        assert!(error.to_string().contains("up to step 3, again"), "{error}");
        assert!(matches!(error, Error::Frame { .. }) && took < soon, "{took:?}");
    }
}

#[test]
fn a_dealer_whose_cloud_stalls_or_talks_nonsense_at_the_end_did_not_succeed() {
    let limit = Duration::from_millis(60);
    let (dealer, cloud) = ends();
    let mut sink = LinkSink::new(dealer, &[0; 32], limit);
    let error = sink.finish().unwrap_err();
    assert!(matches!(error, Error::Link { .. }), "{error}");
    drop(cloud);
    sink.finish().unwrap();
    let (dealer, mut cloud) = ends();
    cloud.send(vec![1, 2, 3].into()).unwrap();
    let error = LinkSink::new(dealer, &[0; 32], limit).finish().unwrap_err();
    assert!(matches!(error, Error::Frame { .. }), "{error}");
}

#[test]
fn attempts_are_never_the_same() {
    let job = [3; 32];
    let (Attempt { nonces: first, .. }, secret) = attempt(job);
    let (Attempt { nonces: second, .. }, other) = attempt(job);
    assert!(first[0] != first[1] && first != second && secret != other);
}
