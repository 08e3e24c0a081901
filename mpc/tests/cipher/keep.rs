//! Checkpoints of ciphertexts: bits that are no numbers yet and what waits are kept as what they
//! are worth, and another attempt goes on from there.

use super::world::World;
use dyad_mpc::cipher::Kept;
use dyad_mpc::engine::{Audience, Engine};
use dyad_mpc::tensor::{Meta, View};
use dyad_mpc::together::{Input, Lines, Setup, clear_engine, two_on_ciphertexts};
use dyad_mpc::{Cipher, Error, Opened, Result, Session, Shared, Shift};

const META: Meta = Meta::new(3, 4, 10, 20);
const NAMES: [&str; 4] = ["packed", "bits", "waiting", "known"];

fn inputs() -> Vec<Input> {
    let words = (0..12i64).map(|i| ((i - 6) * 1111) as u64).collect();
    vec![Input::new("x", META, words)]
}

/// One of each form.
fn first<E: Engine>(e: &mut Session<E>) -> Result<Vec<Shared<E>>> {
    let x = e.input("x", META)?;
    let (y, b) = e.relu(&[(&x, Shift::nearest(3))])?.pop().unwrap();
    let bits = e.number(&b)?;
    let turned = e.view(&x, &View::Transpose)?;
    let waiting = e.linear(&[(3, &turned)])?;
    let known = e.public(META, &[5; 12])?;
    Ok(vec![y, bits, waiting, known])
}

fn second<E: Engine>(e: &mut Session<E>, state: &[Shared<E>]) -> Result<Vec<E::Opened>> {
    let [y, bits, waiting, known] = state else { unreachable!("four") };
    let turned = e.view(waiting, &View::Transpose)?;
    let masked = e.mask(&[bits, &turned])?;
    let chosen = e.multiply(&masked[0], &masked[1])?;
    e.open(&[y, bits, &chosen, known], Audience::All)
}

fn kept(world: &World) -> ([Vec<Kept>; 2], Vec<Meta>) {
    let setup = Setup::new(&inputs(), Lines::Memory).unwrap();
    let ends = two_on_ciphertexts(&world.key, world.opener(), [0; 32], setup, |_, engine, _| {
        let mut e = Session::new(engine);
        let state = first(&mut e)?;
        let metas: Vec<Meta> = state.iter().map(dyad_mpc::Shared::<Cipher>::meta).collect();
        Ok::<_, Error>((e.keep(&state.iter().collect::<Vec<_>>())?, metas))
    });
    let [(zero, metas), (one, _)] = ends.unwrap().map(Result::unwrap);
    ([zero, one], metas)
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
    assert!(expected[1].words.contains(&0) && expected[1].words.contains(&1));
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
        assert!(matches!(&error, Error::Input { name, .. } if name == "bits"), "{error}");
        assert!(error.to_string().contains("older checkpoint"), "{error}");
        assert!(zero.is_err());
    }
}
