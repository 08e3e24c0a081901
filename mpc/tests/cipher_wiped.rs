//! The main cloud's masks are in no memory that a run gave back.
#![allow(unsafe_code, clippy::unwrap_used)] // an allocator that keeps what is freed

mod common;
#[path = "../../bcp/tests/wiped/keeper.rs"]
mod keeper;
#[path = "common/world.rs"]
mod world;

use dyad_bcp::{Ciphertext, Fresh, Plaintext};
use dyad_mpc::cipher::Opener;
use dyad_mpc::engine::{Audience, Transpose};
use dyad_mpc::prg::Party as Side;
use dyad_mpc::tensor::{Meta, View};
use dyad_mpc::together::{Input, Lines, Setup, two_on_ciphertexts};
use dyad_mpc::{Cipher, Result, Session, Shift};
use keeper::{Secrets, alone, kept};
use num_bigint::BigUint;
use std::sync::{Arc, Mutex};
use world::World;

/// Bits of a slot.
const WIDTH: usize = 145;
const META: Meta = Meta::new(3, 3, 10, 20);

struct Noting {
    world: World,
    seen: Arc<Mutex<Vec<Plaintext>>>,
}

impl Opener for Noting {
    fn open(&self, ciphertexts: &[Ciphertext]) -> dyad_bcp::Result<Vec<Plaintext>> {
        let opened = self.world.open(ciphertexts)?;
        self.seen.lock().unwrap().extend(opened.iter().cloned());
        Ok(opened)
    }

    fn fresh(&self, count: usize) -> dyad_bcp::Result<Vec<Fresh>> {
        self.world.fresh(count)
    }
}

/// Every operation that blinds, on nothing but zeros: what C0 opens is C1's mask then.
fn run(engine: Cipher) -> Result<()> {
    let mut e = Session::new(engine);
    let (x, w, v) = (e.input("x", META)?, e.input("w", META)?, e.input("v", META)?);
    let masked = e.mask(&[&x, &w])?;
    let z = e.matmul(&masked[0], &masked[1], Transpose::Both)?;
    let entries = e.multiply(&masked[0], &masked[1])?;
    let (y, b) = e.relu(&[(&z, Shift::nearest(7))])?.swap_remove(0);
    e.gate(&[(&b, &entries, Shift::floor(3))])?;
    e.truncate(&[(&z, Shift::floor(9))])?;
    e.equals(&z, 5)?;
    let table = e.prepare(v)?;
    let rows = e.rows(&table, &[2, 0, 2])?;
    let twice = e.linear_masked(&[(2, &rows), (-1, &masked[0])])?;
    e.matmul(&twice, &masked[1], Transpose::None)?;
    let column = e.view(&y, &View::Columns(0..1))?;
    e.mask(&[&column])?;
    e.open(&[&y], Audience::One(Side::One))?;
    Ok(())
}

#[test]
fn masks_and_their_products_are_wiped() {
    let _alone = alone();
    let world = World::new(512);
    let seen = Arc::new(Mutex::new(Vec::with_capacity(1 << 12)));
    let inputs = ["x", "w", "v"].map(|name| Input::new(name, META, vec![0; 9]));
    // Everything is made before and outlives it, but for what the run itself makes.
    let (ends, freed) = kept(&|| {
        let opener = Box::new(Noting { world: world.clone(), seen: Arc::clone(&seen) });
        let setup = Setup::new(&inputs, Lines::Memory).unwrap();
        two_on_ciphertexts(&world.key, opener, [0; 32], setup, |side, mut engine, _| {
            let encrypted = match side {
                Side::One => world.key.encrypt_many(&vec![zero(&world); 9]).unwrap(),
                Side::Zero => vec![],
            };
            engine.give_encrypted("v", META, encrypted);
            run(engine)
        })
    });
    ends.unwrap().into_iter().for_each(Result::unwrap);
    let slots = (512 - 2) / WIDTH;
    let seen = seen.lock().unwrap();
    let ints: Vec<[u64; 4]> = seen.iter().flat_map(|m| m.slots(WIDTH, slots).unwrap()).collect();
    let number = |x: &[u64; 4]| x.iter().rev().fold(BigUint::default(), |n, x| (n << 64u8) + *x);
    let mut secrets = Secrets::default();
    let whole = BigUint::from(1u8) << 256u16;
    // What C1 alone may read, at the end, C0 sends it, behind its low word.
    let masks = ints.len() - 9;
    for (i, x) in ints[..masks].iter().enumerate().filter(|(_, x)| **x != [0; 4]) {
        // Low and high words alike, and those of -X~; but the low ones that blind an upload are ring
        // shares from there on, which are not wiped.
        let low = if i < 27 { 64u8 } else { 0 };
        secrets = secrets.and("a mask", &(number(x) >> low));
        // One word: the upper ones of what is below zero are all ones.
        let word = ((&whole - number(x)) >> low) % (BigUint::from(1u8) << 64u8);
        secrets = secrets.and("less a mask", &word);
    }
    // After v's nine ciphertexts come the masks of x and of w: their product too is C1's alone.
    let (r, s) = (&ints[27..36], &ints[36..45]);
    for i in 0..3 {
        for j in 0..3 {
            let terms = (0..3).map(|k| number(&r[3 * k + i]) * number(&s[3 * j + k]));
            secrets = secrets.and("a product of masks", &terms.sum());
        }
    }
    assert_eq!(freed.find(&secrets), [""; 0]);
}

fn zero(world: &World) -> Plaintext {
    Plaintext::from_u64(world.key.params(), 0)
}
