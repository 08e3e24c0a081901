//! What is no ciphertext is refused, with who sent it and where, and nobody panics or hangs.

use super::common::{ATTEMPT, Meddle, Meddler, Small, contract_of, ends};
use super::world::World;
use bytes::{Bytes, BytesMut};
use dyad_bcp::Plaintext;
use dyad_mpc::prg::Party as Side;
use dyad_mpc::together::{Lines, Program, Setup, cost, two_on_ciphertexts};
use dyad_mpc::{Cipher, Error, Opened, Party, Result, Session};
use std::time::Duration;

const HEADER: usize = dyad_mpc::wire::HEADER;
/// Words of a ciphertext under keys of 512 bits.
const WORDS: usize = 32;

/// Runs with C0 (side 0) or C1 receiving what `meddle` makes of the frames.
fn run(world: &World, side: usize, meddle: Meddle) -> [Result<Vec<Opened>>; 2] {
    let program = Small { rows: 4, steps: 1, shift: 12 };
    let mut setup = Setup::new(&program.inputs(|i| i as i64 * 999), Lines::Memory).unwrap();
    setup.limit = Duration::from_secs(3);
    let (zero, one) = setup.clouds;
    setup.clouds = match side {
        0 => (Meddler::boxed(zero, meddle), one),
        _ => (zero, Meddler::boxed(one, meddle)),
    };
    let trace = cost(&program).unwrap().1;
    let ends =
        two_on_ciphertexts(&world.key, world.opener(), trace, setup, |_, mut engine, contract| {
            engine.greet(contract)?;
            program.run(&mut Session::new(engine))
        });
    ends.unwrap()
}

/// The first frame of this operation, otherwise.
fn alter(name: u32, change: impl Fn(&mut [u8]) + Send + 'static) -> Meddle {
    let mut done = false;
    Box::new(move |_, frame: Bytes| {
        let operation = u32::from_be_bytes(frame[16..20].try_into().unwrap());
        if done || frame[15] != 1 || operation != name {
            return vec![frame];
        }
        done = true;
        let mut frame = BytesMut::from(&frame[..]);
        change(&mut frame[HEADER..]);
        vec![frame.freeze()]
    })
}

/// Operations of the step: rows, mask, matmul, relu.
const MASK: u32 = 1;
const MATMUL: u32 = 2;

fn refused(end: &Result<Vec<Opened>>, who: &str, operation: &str) {
    let error = end.as_ref().unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Frame { .. }), "{text}");
    for part in [who, operation, "step 1", "ciphertexts under the unified key"] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

/// Other bytes in place of the number that begins at this word, of half a ciphertext's words.
fn number(at: usize, words: Vec<u64>) -> impl Fn(&mut [u8]) + Send {
    move |payload| {
        for (i, word) in words.iter().enumerate() {
            payload[8 * (at + i)..8 * (at + i + 1)].copy_from_slice(&word.to_le_bytes());
        }
    }
}

#[test]
fn c0_refuses_what_is_no_ciphertext() {
    let world = World::new(512);
    let half = WORDS / 2;
    let padded = |mut words: Vec<u64>| {
        words.resize(half, 0);
        words
    };
    let n = world.key.params().n().to_u64_digits();
    for (at, words) in [
        (0, vec![0; half]),
        (half, vec![0; half]),
        (0, vec![u64::MAX; half]),
        (half, padded(n)),
        // Units that do not lie in the group: -1 has order 2.
        (0, (world.key.params().n_squared() - 1u8).to_u64_digits()),
        // In the group, and not what a blinded value is.
        (half, padded(vec![1])),
    ] {
        let [zero, one] = run(&world, 0, alter(MASK, number(at, words)));
        refused(&zero, "C0", "mask");
        assert!(matches!(one.unwrap_err(), Error::Link { .. }));
    }
}

#[test]
fn c0_refuses_what_lies_beyond_the_slots() {
    let world = World::new(512);
    // An encryption of N - 1, of what C1 should never send.
    let params = world.key.params();
    // And of what a slot would hold, but no mask of 20 bits makes.
    for m in [params.n() - 1u8, num_bigint::BigUint::from(1u8) << 120u8] {
        let m = Plaintext::from_biguint(params, &m).unwrap();
        let words = world.key.to_words(&[world.key.encrypt(&m).unwrap()]).unwrap();
        let [zero, _] = run(&world, 0, alter(MASK, number(0, words)));
        refused(&zero, "C0", "mask");
    }
}

#[test]
fn c1_refuses_what_is_no_ciphertext() {
    let world = World::new(512);
    for words in [vec![0; WORDS / 2], vec![u64::MAX; WORDS / 2]] {
        for at in [0, WORDS / 2, 5 * WORDS] {
            let [zero, one] = run(&world, 1, alter(MATMUL, number(at, words.clone())));
            refused(&one, "C1", "matmul");
            assert!(matches!(zero.unwrap_err(), Error::Link { .. }));
        }
    }
}

#[test]
fn frames_that_are_cut_off_or_come_twice_are_refused() {
    let world = World::new(512);
    let cut: Meddle =
        Box::new(
            |_, frame| {
                if frame[15] == 1 { vec![frame.slice(..frame.len() - 8)] } else { vec![frame] }
            },
        );
    let twice: Meddle =
        Box::new(|_, frame| if frame[15] == 1 { vec![frame.clone(), frame] } else { vec![frame] });
    for meddle in [cut, twice] {
        let [zero, one] = run(&world, 0, meddle);
        assert!(matches!(zero.unwrap_err(), Error::Frame { .. }));
        assert!(one.is_err());
    }
}

#[test]
fn clouds_with_other_unified_keys_do_not_begin() {
    let (world, other) = (World::new(512), World::new(512));
    let program = Small { rows: 1, steps: 1, shift: 12 };
    let setup = Setup::new(&program.inputs(|_| 0), Lines::Memory).unwrap();
    let attempt = setup.attempt;
    let contract = dyad_mpc::Contract { attempt, program: [3; 32], seeds: [[0; 16]; 2] };
    let (zero, one) = setup.clouds;
    let [mut zero, mut one] = [
        dyad_mpc::Cipher::zero(&world.key, &attempt, zero, world.opener()).unwrap(),
        dyad_mpc::Cipher::one(&other.key, &attempt, one).unwrap(),
    ];
    std::thread::scope(|scope| {
        let end = scope.spawn(|| zero.greet(&contract).unwrap_err().to_string());
        let text = one.greet(&contract).unwrap_err().to_string();
        assert!(text.contains("their unified keys differ"), "{text}");
        assert!(end.join().unwrap().contains("their unified keys differ"));
    });
}

#[test]
fn clouds_with_other_engines_do_not_begin() {
    let world = World::new(512);
    let contract = dyad_mpc::Contract::pairwise(ATTEMPT, [3; 32]);
    let limit = Duration::from_secs(2);
    for ciphers in [Side::Zero, Side::One] {
        let (zero, one) = ends();
        let (mine, theirs) = if ciphers == Side::Zero { (zero, one) } else { (one, zero) };
        let mut cipher = match ciphers {
            Side::Zero => Cipher::zero(&world.key, &ATTEMPT, mine, world.opener()),
            Side::One => Cipher::one(&world.key, &ATTEMPT, mine),
        }
        .unwrap()
        .waiting(limit);
        let mut shares = Party::pairwise(ciphers.peer(), &ATTEMPT, theirs).waiting(limit);
        std::thread::scope(|scope| {
            let shares = scope.spawn(|| shares.greet(&contract).unwrap_err());
            for error in [cipher.greet(&contract).unwrap_err(), shares.join().unwrap()] {
                assert!(matches!(error, Error::Different { .. }), "{error}");
                let text = error.to_string();
                assert!(text.contains("give both the same engine"), "{text}");
            }
        });
    }
}

/// Nothing is dealt to it, so no seed can be the right one.
#[test]
fn a_contract_with_a_dealer_is_refused() {
    let world = World::new(512);
    let (zero, _one) = ends();
    let mut zero = Cipher::zero(&world.key, &ATTEMPT, zero, world.opener()).unwrap();
    let error = zero.greet(&contract_of([3; 32])).unwrap_err();
    assert!(matches!(error, Error::Different { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("C0, job abababab") && text.contains("same source"), "{text}");
}
