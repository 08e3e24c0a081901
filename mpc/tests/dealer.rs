//! What the dealer has of its own: inputs that neither cloud knows; and what it compares.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use bytes::Bytes;
use common::{ATTEMPT, Small, contract_of, recorded, setup};
use dyad_mpc::correlations::{FileSink, FileSource, LinkSink, LinkSource};
use dyad_mpc::engine::Engine;
use dyad_mpc::prg::{Party as Side, Seed};
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{Input, Outcomes, Program, Setup, clear, cost, run, shares};
use dyad_mpc::wire::HEADER;
use dyad_mpc::{Dealer, Error, Party, Result, Session};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// x of the clouds times w of the dealer.
struct Times;

const X: Meta = Meta::new(1, 3000, 10, 20);

impl Program for Times {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let x = e.input("x", X)?;
        let w = e.dealer_input("w", X)?;
        let masked = e.mask(&[&x, &w])?;
        let product = e.multiply(&masked[0], &masked[1])?;
        Ok(vec![e.open_one(&product)?])
    }
}

fn numbers(factor: i64) -> Vec<u64> {
    (0..3000).map(|i| ((i * 7919 + 13) % 1_000_003 * factor % (1 << 20)) as u64).collect()
}

fn dealt_for(w: &[u64]) -> (Outcomes, Vec<Bytes>) {
    let inputs = [Input::new("x", X, numbers(3))];
    let mut setup = setup(shares(&inputs));
    setup.dealer_inputs = vec![Input::new("w", X, w.to_vec())];
    let (source, record) = recorded(setup.dealing.1);
    setup.dealing.1 = source;
    let outcomes = run(&Times, cost(&Times).unwrap().1, setup);
    let frames = record.lock().unwrap().clone();
    (outcomes, frames)
}

#[test]
fn an_input_of_the_dealers_is_as_if_the_clouds_had_it() {
    let w = numbers(-5);
    let (outcomes, _) = dealt_for(&w);
    let inputs = [Input::new("x", X, numbers(3)), Input::new("w", X, w)];
    let expected = clear(&Times, &inputs).unwrap();
    let count = cost(&Times).unwrap().0.count();
    assert_eq!(outcomes.dealer.unwrap(), count.dealt);
    for outcome in outcomes.clouds {
        let (opened, traffic) = outcome.unwrap();
        assert_eq!(opened, expected);
        assert_eq!(traffic.rounds, count.rounds + 1);
    }
}

/// C0 is sent nothing. What C1 is sent is x less what C0 draws: of two inputs, under one seed, it
/// differs by their difference and by nothing else, and by itself it looks drawn.
#[test]
fn a_cloud_alone_learns_nothing_of_it() {
    let (a, b) = (vec![0; 3000], numbers(11));
    let [first, second] = [&a, &b].map(|w| {
        let (_, frames) = dealt_for(w);
        let words = frames[1][HEADER..].as_chunks::<8>().0;
        words.iter().map(|word| u64::from_le_bytes(*word)).collect::<Vec<_>>()
    });
    let differences = first.iter().zip(&second).map(|(a, b)| b.wrapping_sub(*a));
    assert!(differences.eq(b.iter().copied()));
    for words in [first, second] {
        let mut counts = [0u32; 256];
        words.iter().flat_map(|word| word.to_le_bytes()).for_each(|b| counts[usize::from(b)] += 1);
        let expected = 8.0 * words.len() as f64 / 256.0;
        let square = |count: &u32| (f64::from(*count) - expected).powi(2) / expected;
        let chi: f64 = counts.iter().map(square).sum();
        // 255 degrees of freedom: five standard deviations.
        assert!((chi - 255.0).abs() < 5.0 * 510f64.sqrt(), "{chi}");
    }
}

#[test]
fn an_input_that_the_dealer_lacks_is_named() {
    let mut setup = setup(shares(&[Input::new("x", X, numbers(1))]));
    setup.limit = Duration::from_millis(400);
    let outcomes = run(&Times, cost(&Times).unwrap().1, setup);
    let error = outcomes.dealer.unwrap_err();
    assert!(matches!(&error, Error::Input { name, .. } if name == "w"), "{error}");
    assert!(outcomes.clouds.iter().all(Result::is_err));
}

/// What sends the same frames, but is not the same program.
struct Otherwise(Small);

impl Program for Otherwise {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let one = e.constant(Meta::new(1, 1, 0, 2), 1)?;
        e.declare(&one, 3)?;
        self.0.run(e)
    }
}

/// The clouds' set-up, and the dealer's seeds.
fn parties(correlations: Box<dyn dyad_mpc::correlations::Correlations>) -> [Party; 2] {
    let program = Small::default();
    let Setup { shares, clouds, limit, secret, .. } = setup(shares(&program.inputs(|i| i as i64)));
    let seeds = [Side::Zero, Side::One].map(|side| Seed::derive(&secret, &ATTEMPT, side));
    let mut parties = [
        Party::zero(&seeds[0], &ATTEMPT, clouds.0).waiting(limit),
        Party::one(&seeds[1], &ATTEMPT, clouds.1, correlations).waiting(limit),
    ];
    for (party, inputs) in parties.iter_mut().zip(shares) {
        for Input { name, meta, words } in inputs {
            party.give(&name, meta, words);
        }
    }
    parties
}

/// Both believe in the same contract, as if the hash had not been compared: where all agree, the
/// difference is found, by C1 and by the dealer.
#[test]
fn a_dealer_of_another_release_is_found_out_at_the_next_agreement() {
    let program = Small::default();
    let limit = Duration::from_secs(5);
    let (dealing, dealt) = common::ends();
    let [zero, one] = parties(Box::new(LinkSource::new(dealt, &ATTEMPT.job, 4, limit)));
    let seeds = [Side::Zero, Side::One].map(|side| Seed::derive(&[9; 32], &ATTEMPT, side));
    let sink = LinkSink::new(dealing, &ATTEMPT.job, limit);
    let dealer = Dealer::new([&seeds[0], &seeds[1]], Box::new(sink));
    thread::scope(|scope| {
        let dealer = scope.spawn(|| {
            let mut session = Session::new(dealer);
            Otherwise(program.clone()).run(&mut session)?;
            session.into_engine().finish()
        });
        let zero = scope.spawn(|| program.run(&mut Session::new(zero)).map(drop));
        let one = program.run(&mut Session::new(one)).unwrap_err();
        let told = dealer.join().unwrap().unwrap_err();
        for (error, peer) in [(&one, "the dealer"), (&told, "C1")] {
            let Error::Different { peer: found, step, .. } = error else { panic!("{error}") };
            assert_eq!((*found, *step), (peer, 1));
            assert!(error.to_string().contains("install the same release"), "{error}");
        }
        assert!(zero.join().unwrap().is_err());
    });
}

#[test]
fn so_is_a_file_that_another_release_dealt() {
    let program = Small::default();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("otherwise");
    drop(std::fs::remove_dir_all(&place));
    std::fs::create_dir_all(&place).unwrap();
    let (path, contract) = (place.join("correlations"), contract_of(cost(&program).unwrap().1));
    let seeds = [Side::Zero, Side::One].map(|side| Seed::derive(&[9; 32], &ATTEMPT, side));
    let sink = FileSink::create(&path, &contract).unwrap();
    let mut session = Session::new(Dealer::new([&seeds[0], &seeds[1]], Box::new(sink)));
    Otherwise(program.clone()).run(&mut session).unwrap();
    session.into_engine().finish().unwrap();
    let [zero, one] = parties(Box::new(FileSource::open(&path, &contract).unwrap()));
    thread::scope(|scope| {
        let zero = scope.spawn(|| program.run(&mut Session::new(zero)).map(drop));
        let error = program.run(&mut Session::new(one)).unwrap_err();
        assert!(matches!(error, Error::Different { peer: "the dealer", step: 1, .. }), "{error}");
        assert!(zero.join().unwrap().is_err());
    });
}
