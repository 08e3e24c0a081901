//! Checkpoints of ciphertexts: another attempt goes on from them. Bits that are no numbers yet, and
//! what waits for a message, are not kept.

use super::world::World;
use dyad_mpc::cipher::Kept;
use dyad_mpc::engine::{Audience, Engine};
use dyad_mpc::tensor::{Meta, View};
use dyad_mpc::together::{Input, Lines, Setup, clear_engine, two_on_ciphertexts};
use dyad_mpc::{Cipher, Error, Opened, Result, Session, Shared, Shift};

const META: Meta = Meta::new(3, 4, 10, 20);
const NAMES: [&str; 3] = ["packed", "single", "known"];

fn inputs() -> Vec<Input> {
    let words = (0..12i64).map(|i| ((i - 6) * 1111) as u64).collect();
    vec![Input::new("x", META, words)]
}

/// One of each form.
fn first<E: Engine>(e: &mut Session<E>) -> Result<Vec<Shared<E>>> {
    let x = e.input("x", META)?;
    let y = e.relu(&[(&x, Shift::nearest(3))])?.pop().unwrap().0;
    let masked = e.mask(&[&x])?;
    let single = e.multiply(&masked[0], &masked[0])?;
    let known = e.public(META, &[5; 12])?;
    Ok(vec![y, single, known])
}

fn second<E: Engine>(e: &mut Session<E>, state: &[Shared<E>]) -> Result<Vec<E::Opened>> {
    let [y, single, known] = state else { unreachable!("three") };
    let masked = e.mask(&[y, known])?;
    let product = e.multiply(&masked[0], &masked[1])?;
    e.open(&[y, single, &product, known], Audience::All)
}

fn kept(world: &World) -> ([Vec<Kept>; 2], Vec<Meta>) {
    let setup = Setup::new(&inputs(), Lines::Memory).unwrap();
    let ends = two_on_ciphertexts(&world.key, world.opener(), [0; 32], setup, |_, engine, _| {
        let state = first(&mut Session::new(engine))?;
        let metas: Vec<Meta> = state.iter().map(dyad_mpc::Shared::<Cipher>::meta).collect();
        let kept: Vec<Kept> = state.iter().map(|x| x.data().kept().unwrap()).collect();
        Ok::<_, Error>((kept, metas))
    });
    let [(zero, metas), (one, _)] = ends.unwrap().map(Result::unwrap);
    ([zero, one], metas)
}

#[test]
fn what_waits_for_a_message_is_not_kept() {
    let setup = Setup::new(&inputs(), Lines::Memory).unwrap();
    let world = World::new(512);
    let ends = two_on_ciphertexts(&world.key, world.opener(), [0; 32], setup, |_, engine, _| {
        let mut e = Session::new(engine);
        let x = e.input("x", META)?;
        let bit = e.not_negative(&[&x])?.remove(0);
        let bits = e.number(&bit)?;
        let turned = e.view(&x, &View::Transpose)?;
        let waiting = e.linear(&[(3, &turned)])?;
        Ok::<_, Error>([&x, &bits, &waiting].map(|x| x.data().kept().is_some()))
    });
    for end in ends.unwrap() {
        assert_eq!(end.unwrap(), [true, false, false]);
    }
}

fn resumed(world: &World, kept: &[Vec<Kept>; 2], metas: &[Meta]) -> [Result<Vec<Opened>>; 2] {
    let setup = Setup::new(&[], Lines::Memory).unwrap();
    let work = |side: dyad_mpc::prg::Party, mut engine: Cipher, _: &dyad_mpc::Contract| {
        for ((name, meta), kept) in NAMES.iter().zip(metas).zip(&kept[side.index()]) {
            engine.give_kept(name, *meta, kept.clone());
        }
        let mut e = Session::new(engine);
        let state: Result<Vec<_>> =
            NAMES.iter().zip(metas).map(|(name, meta)| e.input(name, *meta)).collect();
        second(&mut e, &state?)
    };
    two_on_ciphertexts(&world.key, world.opener(), [0; 32], setup, work).unwrap()
}

#[test]
fn an_attempt_goes_on_from_what_another_kept() {
    let world = World::new(512);
    let (kept, metas) = kept(&world);
    assert!(kept[0].iter().all(|kept| kept.words.is_empty()));
    let mut e = Session::new(clear_engine(&inputs()));
    let state = first(&mut e).unwrap();
    let expected = second(&mut e, &state).unwrap();
    assert!(expected[1].words.iter().any(|x| *x > 1 << 20));
    for end in resumed(&world, &kept, &metas) {
        assert_eq!(end.unwrap(), expected);
    }
}

#[test]
fn what_was_kept_and_is_damaged_is_refused_by_name() {
    let world = World::new(512);
    let (whole, metas) = kept(&world);
    let damages: [fn(&mut Kept); 3] = [
        |kept| kept.words.truncate(kept.words.len() - 1),
        |kept| kept.words[..16].fill(0),
        |kept| kept.words[16..32].fill(u64::MAX),
    ];
    for damage in damages {
        let mut kept = whole.clone();
        damage(&mut kept[1][1]);
        let [zero, one] = resumed(&world, &kept, &metas);
        let error = one.unwrap_err();
        assert!(matches!(&error, Error::Input { name, .. } if name == "single"), "{error}");
        assert!(error.to_string().contains("older checkpoint"), "{error}");
        assert!(zero.is_err());
    }
}
