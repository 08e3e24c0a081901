//! Ciphertexts that owners uploaded: what enters is the number modulo 2^64, and what is none, or
//! lies outside the group, or is too large, is refused by name.

use super::world::World;
use dyad_bcp::{Ciphertext, Plaintext, RawCiphertext};
use dyad_mpc::engine::Audience;
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{Lines, Setup, two_on_ciphertexts};
use dyad_mpc::{Error, Opened, Result, Session};
use num_bigint::BigUint;

const META: Meta = Meta::new(2, 3, 0, 40);

fn run(world: &World, given: &[Ciphertext]) -> [Result<Vec<Opened>>; 2] {
    let setup = Setup::new(&[], Lines::Memory).unwrap();
    let ends =
        two_on_ciphertexts(&world.key, world.opener(), [0; 32], setup, |side, mut engine, _| {
            let mine = if side.index() == 1 { given.to_vec() } else { vec![] };
            engine.give_encrypted("x", META, mine);
            let mut e = Session::new(engine);
            let x = e.input("x", META)?;
            let twice = e.linear(&[(2, &x)])?;
            e.open(&[&twice], Audience::All)
        });
    ends.unwrap()
}

fn encrypted(world: &World, m: &BigUint) -> Ciphertext {
    world.key.encrypt(&Plaintext::from_biguint(world.key.params(), m).unwrap()).unwrap()
}

fn six(world: &World, fourth: Ciphertext) -> Vec<Ciphertext> {
    let mut all: Vec<_> = (0..6u8).map(|i| encrypted(world, &i.into())).collect();
    all[4] = fourth;
    all
}

#[test]
fn what_enters_is_the_number_modulo_2_to_the_64() {
    let world = World::new(512);
    let n = world.key.params().n();
    let two = |bits: u32| BigUint::from(1u8) << bits;
    let top = (1i64 << 40) - 1;
    for (m, value) in [
        (BigUint::from(7u8), 7),
        (n - 7u8, -7),
        (two(40) - 1u8, top),
        (n - (two(40) - 1u8), -top),
        // As rings write negative numbers, and with multiples of 2^64 that mean nothing.
        (two(64) - 7u8, -7),
        (two(64) + 5u8, 5),
        (two(65) - 9u8, -9),
    ] {
        let given = six(&world, encrypted(&world, &m));
        for end in run(&world, &given) {
            let expected = [0, 1, 2, 3, value, 5].map(|x| (2 * x) as u64);
            assert_eq!(end.unwrap()[0].words, expected, "{m}");
        }
    }
}

#[test]
fn hostile_ciphertexts_are_refused_with_their_input_and_entry() {
    let world = World::new(512);
    let (key, n) = (&world.key, world.key.params().n().clone());
    let squared = world.key.params().n_squared();
    let good = encrypted(&world, &5u8.into());
    let admit = |a: &BigUint, b: &BigUint| {
        key.admit(RawCiphertext::new(key.id(), a.clone(), b.clone())).unwrap()
    };
    let one = BigUint::from(1u8);
    let hostile = [
        // -A and -B: units outside G. 2 and 3 seldom are squares.
        admit(&(squared - good.a()), good.b()),
        admit(good.a(), &(squared - good.b())),
        admit(&(squared - &one), &one),
        // In G, of what is no value.
        encrypted(&world, &(&n >> 1u8)),
        encrypted(&world, &(&one << 145u8)),
        encrypted(&world, &((&one << 144u8) + (&one << 67u8))),
        // A value where a neighbour's slot would be.
        encrypted(&world, &(&one << 290u16)),
    ];
    for (i, bad) in hostile.into_iter().enumerate() {
        for end in run(&world, &six(&world, bad)) {
            let error = end.unwrap_err();
            let text = error.to_string();
            assert!(matches!(&error, Error::Input { name, .. } if name == "x"), "{i}: {text}");
            for part in ["entry 4", "row 1, column 1", "uploads it anew"] {
                assert!(text.contains(part), "{i}: no {part:?} in: {text}");
            }
        }
    }
}

#[test]
fn uploaded_values_beyond_their_schema_are_refused() {
    let world = World::new(512);
    for m in [BigUint::from(1u8) << 40u8, (BigUint::from(1u8) << 64u8) - (1u64 << 41)] {
        for end in run(&world, &six(&world, encrypted(&world, &m))) {
            let error = end.unwrap_err();
            assert!(matches!(&error, Error::Input { name, .. } if name == "x"), "{error}");
            assert!(error.to_string().contains("2^40"), "{error}");
        }
    }
}

#[test]
fn ciphertexts_under_another_key_do_not_enter() {
    let (world, other) = (World::new(512), World::new(512));
    let given: Vec<_> = (0..6u8).map(|i| encrypted(&other, &i.into())).collect();
    let [zero, one] = run(&world, &given);
    let error = one.unwrap_err();
    assert!(matches!(&error, Error::Input { name, .. } if name == "x"), "{error}");
    assert!(error.to_string().contains("another key"), "{error}");
    assert!(matches!(zero.unwrap_err(), Error::Link { .. }));
}
