//! Every act is right for every mask, the rare ones included: where a value lies beyond its bound,
//! or a protocol is wrong for one mask in 2^62, random masks never show it.
#![allow(clippy::unwrap_used)]

use crate::correlations::{AHEAD, LinkSink, LinkSource};
use crate::engine::{Audience, Engine};
use crate::link::memory;
use crate::prg::{Attempt, Seed};
use crate::tensor::Meta;
use crate::together::{Input, Program, clear, shares};
use crate::{Dealer, LIMIT, Opened, Party, Result, Session, Shift};
use std::thread;

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
    let attempt = Attempt { job: [1; 32], nonces: [[2; 16], [3; 16]] };
    // C1's part of each mask is 0, so that C0's is the mask.
    let seeds = [Seed::choosing(mask), Seed::choosing(0)];
    let (zero, one) = memory::pair();
    let (dealing, dealt) = memory::pair();
    let source = LinkSource::new(Box::new(dealt), &attempt.job, AHEAD, LIMIT);
    let mut parties = [
        Party::zero(&seeds[0], &attempt, Box::new(zero)),
        Party::one(&seeds[1], &attempt, Box::new(one), Box::new(source)),
    ];
    for (party, inputs) in parties.iter_mut().zip(shares(inputs)) {
        for Input { name, meta, words } in inputs {
            party.give(&name, meta, words);
        }
    }
    let sink = LinkSink::new(Box::new(dealing), &attempt.job, LIMIT);
    let dealer = Dealer::new([&seeds[0], &seeds[1]], Box::new(sink));
    let [zero, one] = parties;
    thread::scope(|scope| {
        scope.spawn(|| program.run(&mut Session::new(dealer)).unwrap());
        let zero = scope.spawn(|| program.run(&mut Session::new(zero)).unwrap());
        let one = program.run(&mut Session::new(one)).unwrap();
        assert_eq!(zero.join().unwrap(), one);
        one
    })
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

#[test]
fn every_act_is_right_for_every_mask() {
    for s in 1..=62 {
        let inside = |x: &u64| (*x as i64).unsigned_abs() < 1 << 61;
        let words: Vec<u64> = edges(s).into_iter().filter(inside).collect();
        let program = Acts { n: words.len(), s };
        let inputs = [Input::new("x", Meta::new(1, words.len(), 62, 61), words.clone())];
        let expected = clear(&program, &inputs).unwrap();
        // Also masks that bring ẑ to the edges: r = edge - z.
        let mut masks = edges(s);
        masks.extend(words.iter().step_by(5).map(|z| (1u64 << s).wrapping_sub(*z)));
        for mask in masks {
            let opened = with_mask(&program, &inputs, mask);
            for (i, (a, b)) in expected.iter().zip(&opened).enumerate() {
                assert_eq!(a, b, "s = {s}, r = {mask:#x}, opening {i}");
            }
        }
    }
}
