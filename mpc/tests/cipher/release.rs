//! A model that was trained on ciphertexts: kept at C1 alone, released with randomness of its own.

use super::world::World;
use dyad_mpc::cipher::{Kept, Release};
use dyad_mpc::tensor::{Meta, Shape};
use dyad_mpc::together::{Input, Lines, Setup, two_on_ciphertexts};
use dyad_mpc::{Cipher, Contract, Error, Session};

/// Packed in rows of several ciphertexts, in columns, and as public numbers.
const SHAPES: [(usize, usize); 3] = [(3, 9), (4, 1), (2, 5)];
const TOP: i64 = (1 << 62) - 1;

fn metas() -> Vec<Meta> {
    SHAPES.iter().map(|(rows, cols)| Meta::new(*rows, *cols, 0, 62)).collect()
}

fn inputs() -> Vec<Input> {
    let edge = |i: usize| [0, 1, -1, TOP, -TOP, 77, -(1 << 40)][i % 7] as u64;
    let input = |(i, meta): (usize, Meta)| {
        Input::new(&format!("x {i}"), meta, (0..meta.shape.len()).map(edge).collect())
    };
    metas().into_iter().enumerate().map(input).collect()
}

/// What each cloud keeps of the inputs.
fn keep(world: &World) -> [Vec<Kept>; 2] {
    let setup = Setup::new(&inputs(), Lines::Memory).unwrap();
    let end = |_, engine: Cipher, _: &Contract| {
        let mut e = Session::new(engine);
        let mut kept = vec![];
        for (i, meta) in metas().into_iter().enumerate() {
            let x = e.input(&format!("x {i}"), meta)?;
            kept.push(x.data().kept().unwrap());
        }
        Ok::<_, Error>(kept)
    };
    let ends = two_on_ciphertexts(&world.key, world.opener(), [0; 32], setup, end);
    ends.unwrap().map(Result::unwrap)
}

#[test]
fn what_is_kept_is_written_and_read() {
    let [zero, one] = keep(&World::new(512));
    assert!(zero.iter().all(|kept| kept.words.is_empty()), "C0 keeps nothing");
    for kept in zero.iter().chain(&one) {
        assert_eq!(Kept::of_words(&kept.to_words()).as_ref(), Some(kept));
    }
    assert_eq!(Kept::of_words(&[]), None);
    for head in [2, 1 << 16, u64::MAX] {
        assert_eq!(Kept::of_words(&[head]), None, "{head}");
    }
}

#[test]
fn a_release_opens_to_the_very_words() {
    for bits in [256, 512, 2048] {
        let world = World::new(bits);
        let [_, one] = keep(&world);
        let release = Release::of(&world.key, metas().into_iter().map(|meta| meta.shape));
        let sealed = release.seal(&one).unwrap();
        assert_eq!(sealed.len(), release.len());
        let opened = world.master.decrypt_many(&world.known, &sealed).unwrap();
        let expected: Vec<u64> = inputs().into_iter().flat_map(|input| input.words).collect();
        assert_eq!(*release.read(&opened).unwrap(), expected, "{bits} bits");
        // Twice: other ciphertexts, of the same.
        let again = release.seal(&one).unwrap();
        for (one, other) in sealed.iter().zip(&again) {
            assert_ne!(one.head().to_bytes(), other.head().to_bytes());
        }
        assert!(release.seal(&one[1..]).is_err(), "another model's");
        let mut other = one.clone();
        other.swap(0, 1);
        assert!(release.seal(&other).is_err(), "in another order");
        assert!(release.read(&opened[1..]).is_err(), "cut short");
        // A slot that holds more than a word.
        let shape = [Shape::new(1, 1)];
        let one = Release::of(&world.key, shape);
        let wide = dyad_bcp::Plaintext::from_biguint(world.key.params(), &(1u8.into()));
        assert!(one.read(&[wide.unwrap()]).is_ok());
        let wide = num_bigint::BigUint::from(1u8) << 64;
        let wide = dyad_bcp::Plaintext::from_biguint(world.key.params(), &wide).unwrap();
        assert!(one.read(&[wide]).is_err(), "2^64 is no word");
    }
}
