//! Every operation on shares gives the bits that the clear engine gives.
#![allow(clippy::unwrap_used)]

#[path = "common/world.rs"]
mod world;

use dyad_mpc::engine::{Engine, Transpose};
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{
    Finished, Input, Lines, Program, ciphered, clear, cost, pairwise, pairwise_cost, shared,
};
use dyad_mpc::{Count, Opened, Result, Session, Shift};

struct All {
    n: usize,
    s: u8,
}

impl Program for All {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let meta = Meta::new(1, self.n, 62, 61);
        let x = e.input("x", meta)?;
        let mut open = Vec::new();
        for shift in [Shift::floor(self.s), Shift::nearest(self.s)] {
            open.push(e.truncate_one(&x, shift)?);
            let (y, b) = e.relu(&[(&x, shift)])?.pop().unwrap();
            open.push(y);
            let b = e.not(&b)?;
            open.push(e.number(&b)?);
            open.push(e.gate(&[(&b, &x, shift)])?.pop().unwrap());
            open.push(e.gate(&[(&b, &x, Shift::floor(0))])?.pop().unwrap());
        }
        let sign = e.not_negative(&[&x])?.pop().unwrap();
        open.push(e.number(&sign)?);
        let zero = e.is_zero(&[&x])?.pop().unwrap();
        open.push(e.number(&zero)?);
        let low = e.input("low", Meta::new(1, self.n, 10, 20))?;
        let m = e.mask_one(&low)?;
        open.push(e.multiply(&m, &m)?);
        open.push(e.matmul(&m, &m, Transpose::Second)?);
        open.push(e.matmul(&m, &m, Transpose::First)?);
        let refs: Vec<_> = open.iter().collect();
        e.open(&refs, dyad_mpc::engine::Audience::All)
    }
}

fn words(n: usize) -> Vec<u64> {
    let mut state = 7u64;
    (0..n)
        .map(|i| match i {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => (1 << 61) - 1,
            4 => (1u64 << 61).wrapping_neg() + 1,
            _ => {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let shift = 3 + (state >> 58) as u32;
                ((state as i64) >> shift.min(63)) as u64
            }
        })
        .collect()
}

/// What the program takes, for tensors of n entries.
fn inputs(n: usize) -> [Input; 2] {
    let low: Vec<u64> = words(n).iter().map(|x| ((*x as i64) >> 42) as u64).collect();
    [
        Input::new("x", Meta::new(1, n, 62, 61), words(n)),
        Input::new("low", Meta::new(1, n, 10, 20), low),
    ]
}

/// The program for a shift, its inputs, and how many entries.
fn case(s: u8) -> (All, [Input; 2]) {
    let n = [5, 64, 70, 512, 700][usize::from(s) % 5];
    (All { n, s }, inputs(n))
}

fn opened(run: &Finished, expected: &[Opened], s: u8) {
    for (i, (a, b)) in expected.iter().zip(&run.opened[0]).enumerate() {
        assert_eq!(a, b, "s = {s}, opened {i}");
    }
    assert_eq!(run.opened[0], run.opened[1]);
}

fn check(run: &Finished, expected: &[Opened], count: &Count, s: u8) {
    opened(run, expected, s);
    // the greeting is not the program's
    for (i, traffic) in run.traffic.iter().enumerate() {
        assert_eq!(count.rounds + 1, traffic.rounds);
        assert_eq!(count.bytes[i] + 32 + 136, traffic.bytes_sent);
        assert_eq!(count.messages[i] + 1, traffic.messages_sent);
    }
    assert_eq!(count.dealt, run.dealt);
}

#[test]
fn all_acts_agree_on_ciphertexts() {
    let worlds = [256, 512].map(world::World::new);
    for s in 1..=62 {
        let n = [5, 12, 7, 30, 9][usize::from(s) % 5];
        let (program, inputs) = (All { n, s }, inputs(n));
        let expected = clear(&program, &inputs).unwrap();
        let world = &worlds[usize::from(s) % 2];
        let run = ciphered(&program, &inputs, &world.key, world.opener(), Lines::Memory).unwrap();
        opened(&run, &expected, s);
    }
}

#[test]
fn all_acts_agree() {
    for s in 1..=62 {
        let (program, inputs) = case(s);
        let expected = clear(&program, &inputs).unwrap();
        let run = shared(&program, &inputs, Lines::Memory).unwrap();
        check(&run, &expected, &cost(&program).unwrap().0.count(), s);
    }
}

#[test]
fn all_acts_agree_without_a_dealer() {
    for s in (1..=62).step_by(3).chain([4, 62]) {
        let (program, inputs) = case(s);
        let expected = clear(&program, &inputs).unwrap();
        let run = pairwise(&program, &inputs, Lines::Memory).unwrap();
        check(&run, &expected, &pairwise_cost(&program).unwrap().count(), s);
    }
}
