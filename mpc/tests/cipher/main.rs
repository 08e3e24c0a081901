//! The ciphertext engine: what each cloud sees, what it costs, and what it refuses.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/world.rs"]
mod world;

mod costs;
mod faults;
mod fresh;
mod hostile;
mod intake;
mod keep;
mod leaks;
mod ranges;
mod release;

use common::Small;
use dyad_bcp::Plaintext;
use dyad_mpc::engine::{Audience, Engine};
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{Input, Lines, Program, Setup, ciphered, clear, cost, two_on_ciphertexts};
use dyad_mpc::{Cipher, Result, Session};
use world::World;

/// Keys of a size that protects something, and of the default size.
#[test]
fn keys_of_full_size_give_the_same_bits() {
    for (bits, rows) in [(2048, 5), (3072, 2)] {
        let program = Small { rows, steps: 1, shift: 12 };
        let inputs = program.inputs(|i| (i as i64 - 7) * 13_577);
        let world = World::new(bits);
        let run = ciphered(&program, &inputs, &world.key, world.opener(), Lines::Tcp).unwrap();
        let mut expected = clear(&program, &inputs).unwrap();
        assert_eq!(run.opened[1], expected);
        // The last is for C1 alone.
        expected[1].words.clear();
        assert_eq!(run.opened[0], expected);
    }
}

/// What came encrypted from its owner, shares that wrap, and weights that a dealer would have dealt.
#[test]
fn inputs_enter_as_ciphertexts_or_as_shares() {
    struct Sum(Meta);
    impl Program for Sum {
        fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
            let (x, y) = (e.input("x", self.0)?, e.input("y", self.0)?);
            let z = e.dealer_input("z", self.0)?;
            let sum = e.linear(&[(2, &x), (-3, &y), (1, &z)])?;
            e.open(&[&sum], Audience::All)
        }
    }
    let meta = Meta::new(2, 3, 0, 40);
    let top = (1i64 << 40) - 1;
    let values = [0, 1, -1, top, -top, 77].map(|v: i64| v as u64).to_vec();
    let inputs: Vec<Input> =
        ["x", "y", "z"].iter().map(|name| Input::new(name, meta, values.clone())).collect();
    let expected: Vec<u64> = vec![0; 6];
    let world = World::new(512);
    let params = world.key.params();
    let m: Vec<Plaintext> = values
        .iter()
        .map(|v| {
            let (v, n) = (*v as i64, params.n());
            let v = if v < 0 { n - v.unsigned_abs() } else { v.unsigned_abs().into() };
            Plaintext::from_biguint(params, &v).unwrap()
        })
        .collect();
    let program = Sum(meta);
    let trace = cost(&program).unwrap().1;
    let setup = Setup::new(&inputs, Lines::Memory).unwrap();
    let ends = two_on_ciphertexts(
        &world.key,
        world.opener(),
        trace,
        setup,
        |side, mut engine: Cipher, contract| {
            let mine = match side.index() {
                0 => vec![],
                _ => world.key.encrypt_many(&m).unwrap(),
            };
            engine.give_encrypted("x", meta, mine);
            engine.greet(contract)?;
            program.run(&mut Session::new(engine))
        },
    );
    for end in ends.unwrap() {
        assert_eq!(end.unwrap()[0].words, expected);
    }
    assert_eq!(clear(&program, &inputs).unwrap()[0].words, expected);
}
