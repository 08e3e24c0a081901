//! What outlives a run: kept at C1 alone, the same numbers in another run, released once and for all
//! with randomness of its own.

use super::world::World;
use dyad_mpc::cipher::{Release, Secret};
use dyad_mpc::engine::Audience;
use dyad_mpc::tensor::{Meta, Shape};
use dyad_mpc::together::{Input, Lines, Setup, two_on_ciphertexts};
use dyad_mpc::{Cipher, Contract, Error, Result, Session};

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

type Kept = Vec<Vec<u64>>;

/// A run on both sides, with what each is given first.
fn both<T: Send>(
    world: &World,
    inputs: &[Input],
    kept: [&Kept; 2],
    work: impl Fn(&mut Session<Cipher>) -> Result<T> + Sync,
) -> [Result<T>; 2] {
    let setup = Setup::new(inputs, Lines::Memory).unwrap();
    let given = |side: usize, engine: &mut Cipher| {
        for (i, (words, meta)) in kept[side].iter().zip(metas()).enumerate() {
            engine.give_kept(&format!("x {i}"), meta, words.clone());
        }
    };
    let end = |side: dyad_mpc::prg::Party, mut engine: Cipher, contract: &Contract| {
        given(side.index(), &mut engine);
        engine.greet(contract)?;
        work(&mut Session::new(engine))
    };
    two_on_ciphertexts(&world.key, world.opener(), [0; 32], setup, end).unwrap()
}

/// What each cloud keeps of the inputs.
fn keep(world: &World) -> [Kept; 2] {
    let kept = both(world, &inputs(), [&vec![], &vec![]], |e| {
        let mut kept = vec![];
        for (i, meta) in metas().into_iter().enumerate() {
            let x = e.input(&format!("x {i}"), meta)?;
            kept.push(Secret::kept(x.data()).unwrap());
        }
        Ok(kept)
    });
    kept.map(Result::unwrap)
}

fn open(e: &mut Session<Cipher>) -> Result<Vec<Vec<u64>>> {
    let all = metas().into_iter().enumerate().map(|(i, meta)| e.input(&format!("x {i}"), meta));
    let all = all.collect::<Result<Vec<_>>>()?;
    let opened = e.open(&all.iter().collect::<Vec<_>>(), Audience::All)?;
    Ok(opened.into_iter().map(|opened| opened.words).collect())
}

#[test]
fn what_is_kept_is_the_same_in_another_run() {
    for bits in [256, 512, 1024] {
        let world = World::new(bits);
        let [zero, one] = keep(&world);
        assert!(zero.iter().all(Vec::is_empty), "C0 keeps nothing");
        let ends = both(&world, &[], [&zero, &one], open);
        let expected: Vec<_> = inputs().into_iter().map(|input| input.words).collect();
        for end in ends {
            assert_eq!(end.unwrap(), expected, "{bits} bits");
        }
    }
}

#[test]
fn what_was_not_kept_is_refused() {
    let world = World::new(512);
    let [zero, one] = keep(&world);
    let mut short = one.clone();
    short[0].pop();
    let mut none = one.clone();
    none[1].fill(0);
    let own = vec![vec![1]; 3];
    for (zero, one, side) in [(&zero, &short, 1), (&zero, &none, 1), (&own, &one, 0)] {
        let ends = both(&world, &[], [zero, one], open);
        let error = ends[side].as_ref().unwrap_err();
        assert!(matches!(error, Error::Input { .. }), "{error}");
        assert!(error.to_string().contains("kept"), "{error}");
    }
}

#[test]
fn a_release_opens_to_the_very_words() {
    for bits in [256, 512, 2048] {
        let world = World::new(bits);
        let [_, one] = keep(&world);
        let release = Release::of(&world.key, metas().into_iter().map(|meta| meta.shape));
        let sealed = release.seal(&one.concat()).unwrap();
        assert_eq!(sealed.len(), release.len());
        let opened = world.master.decrypt_many(&world.known, &sealed).unwrap();
        let expected: Vec<u64> = inputs().into_iter().flat_map(|input| input.words).collect();
        assert_eq!(*release.read(&opened).unwrap(), expected, "{bits} bits");
        // Twice: other ciphertexts, of the same.
        let again = release.seal(&one.concat()).unwrap();
        for (one, other) in sealed.iter().zip(&again) {
            assert_ne!(one.head().to_bytes(), other.head().to_bytes());
        }
        assert!(release.seal(&one[0]).is_err(), "another model's");
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
