//! Every act is right for every mask, the rare ones included: where a value lies beyond its bound,
//! or a protocol is wrong for one mask in 2^62, random masks never show it.
#![allow(clippy::unwrap_used)]

use super::{boxed, pairwise_seeded, seeded};
use crate::engine::{Audience, Engine};
use crate::link::memory;
use crate::prg::Seed;
use crate::tensor::Meta;
use crate::together::{Input, Program, clear};
use crate::{Opened, Result, Session, Shift};

/// Every act on one tensor, with every rounding.
struct Acts {
    n: usize,
    s: u8,
}

impl Program for Acts {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let x = e.input("x", Meta::new(1, self.n, 62, 61))?;
        let mut all = Vec::new();
        for shift in [Shift::floor(self.s), Shift::nearest(self.s)] {
            all.extend(e.truncate(&[(&x, shift)])?);
            let (y, b) = e.relu(&[(&x, shift)])?.pop().unwrap();
            all.push(y);
            all.extend(e.gate(&[(&b, &x, shift), (&b, &x, Shift::floor(0))])?);
            all.push(e.number(&b)?);
            let b = e.not(&b)?;
            all.extend(e.gate(&[(&b, &x, shift)])?);
        }
        let (sign, zero) = (e.not_negative(&[&x])?, e.is_zero(&[&x])?);
        for b in sign.iter().chain(&zero) {
            all.push(e.number(b)?);
        }
        e.open(&all.iter().collect::<Vec<_>>(), Audience::All)
    }
}

fn with_mask(program: &Acts, inputs: &[Input], mask: u64) -> Vec<Opened> {
    // C1's part of each mask is 0, so that C0's is the mask.
    seeded(
        program,
        inputs,
        &[Seed::choosing(mask), Seed::choosing(0)],
        boxed(memory::pair()),
        boxed(memory::pair()),
    )
}

/// The same where the clouds make what depends on it: r is what they draw, by XOR.
fn with_mask_pairwise(program: &Acts, inputs: &[Input], mask: u64) -> Vec<Opened> {
    let seeds = [Seed::choosing(mask ^ 0x5a5a), Seed::choosing(0x5a5a)];
    pairwise_seeded(program, inputs, &seeds, boxed(memory::pair()))
}

/// Numbers around the powers of two that matter for a shift.
fn edges(s: u8) -> Vec<u64> {
    let powers = [0, 1 << (s - 1), 1 << s, 1 << 60, 1 << 61, 1 << 62, 1 << 63];
    let mut edges: Vec<u64> = powers
        .iter()
        .flat_map(|power: &u64| [power.wrapping_sub(1), *power, power + 1])
        .flat_map(|x| [x, x.wrapping_neg()])
        .collect();
    edges.extend([u64::MAX << s, 0x5555_5555_5555_5555, 0xaaaa_aaaa_aaaa_aaaa]);
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// The acts for a shift, on numbers at its edges; and masks, also such as bring ẑ to them: r = edge
/// - z.
fn case(s: u8) -> (Acts, [Input; 1], Vec<u64>) {
    let inside = |x: &u64| (*x as i64).unsigned_abs() < 1 << 61;
    let words: Vec<u64> = edges(s).into_iter().filter(inside).collect();
    let mut masks = edges(s);
    masks.extend(words.iter().step_by(5).map(|z| (1u64 << s).wrapping_sub(*z)));
    let program = Acts { n: words.len(), s };
    let inputs = [Input::new("x", Meta::new(1, words.len(), 62, 61), words)];
    (program, inputs, masks)
}

fn check(s: u8, mask: u64, expected: &[Opened], opened: &[Opened]) {
    for (i, (a, b)) in expected.iter().zip(opened).enumerate() {
        assert_eq!(a, b, "s = {s}, r = {mask:#x}, opening {i}");
    }
}

#[test]
fn every_act_is_right_for_every_mask() {
    for s in 1..=62 {
        let (program, inputs, masks) = case(s);
        let expected = clear(&program, &inputs).unwrap();
        for mask in masks {
            check(s, mask, &expected, &with_mask(&program, &inputs, mask));
        }
    }
}

/// What the clouds make is tables and numbers as the dealer's, so some masks for some shifts do:
/// each run begins transfers anew, which takes its time.
#[test]
fn every_act_is_right_for_masks_without_a_dealer() {
    for s in [1, 4, 13, 33, 62] {
        let (program, inputs, masks) = case(s);
        let expected = clear(&program, &inputs).unwrap();
        for mask in masks.into_iter().step_by(4) {
            check(s, mask, &expected, &with_mask_pairwise(&program, &inputs, mask));
        }
    }
}
