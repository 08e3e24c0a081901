//! Tests that need to choose masks.
#![allow(clippy::unwrap_used)]

mod leaks;
mod masks;

use crate::correlations::{AHEAD, LinkSink, LinkSource};
use crate::link::Link;
use crate::prg::{Attempt, Party as Side, Seed};
use crate::together::{Ends, Input, Program, shares};
use crate::{Dealer, LIMIT, Opened, Party, Session};
use std::thread;

fn boxed<L: Link + 'static>((a, b): (L, L)) -> Ends {
    (Box::new(a), Box::new(b))
}

/// What both clouds open in a run with these seeds, over these lines.
fn seeded<P: Program>(
    program: &P,
    inputs: &[Input],
    seeds: &[Seed; 2],
    (zero, one): Ends,
    (dealing, dealt): Ends,
) -> Vec<Opened> {
    let attempt = Attempt { job: [1; 32], nonces: [[2; 16], [3; 16]] };
    let source = LinkSource::new(dealt, &attempt.job, AHEAD, LIMIT);
    let mut parties = [
        Party::zero(&seeds[0], &attempt, zero),
        Party::one(&seeds[1], &attempt, one, Box::new(source)),
    ];
    for (party, inputs) in parties.iter_mut().zip(shares(inputs)) {
        for Input { name, meta, words } in inputs {
            party.give(&name, meta, words);
        }
    }
    let sink = LinkSink::new(dealing, &attempt.job, LIMIT);
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

/// The same without a dealer.
fn pairwise_seeded<P: Program>(
    program: &P,
    inputs: &[Input],
    seeds: &[Seed; 2],
    (zero, one): Ends,
) -> Vec<Opened> {
    let attempt = Attempt { job: [1; 32], nonces: [[2; 16], [3; 16]] };
    let mut parties = [
        Party::pairwise_of(Side::Zero, &seeds[0], &attempt, zero),
        Party::pairwise_of(Side::One, &seeds[1], &attempt, one),
    ];
    for (party, inputs) in parties.iter_mut().zip(shares(inputs)) {
        for Input { name, meta, words } in inputs {
            party.give(&name, meta, words);
        }
    }
    let [zero, one] = parties;
    thread::scope(|scope| {
        let zero = scope.spawn(|| program.run(&mut Session::new(zero)).unwrap());
        let one = program.run(&mut Session::new(one)).unwrap();
        assert_eq!(zero.join().unwrap(), one);
        one
    })
}
