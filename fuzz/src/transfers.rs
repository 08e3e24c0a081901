//! What the two clouds take from each other where no key centre deals: base transfers, their
//! extension, and all that is made of it.

use crate::lines::{ATTEMPT, LIMIT, Record, Replay, Small, Tap, X, stream, told};
use bytes::Bytes;
use dyad_mpc::link::{Link, LinkError, memory, tcp};
use dyad_mpc::prg::Party as Side;
use dyad_mpc::together::{Program, cost};
use dyad_mpc::transfer::Transfers;
use dyad_mpc::{Contract, Line, Op, Party, Result, Session};
use std::sync::LazyLock;

static CONTRACT: LazyLock<Contract> =
    LazyLock::new(|| Contract::pairwise(ATTEMPT, cost(&Small).expect("it runs").1));

/// A cloud that makes its randomness with the other.
fn computes(side: Side, link: impl Link + 'static) -> Result<()> {
    let mut party = Party::pairwise(side, &ATTEMPT, Box::new(link)).waiting(LIMIT);
    party.give("x", X, vec![1, 2, 3, 4]);
    party.give("w", X, vec![5, 6, 7, 8]);
    party.greet(&CONTRACT)?;
    Small.run(&mut Session::new(party)).map(drop)
}

/// Transfers alone: comparison of private integers, numbers from bits, a multiplexer.
fn transfers_alone(side: Side, link: impl Link + 'static) -> Result<()> {
    let op = Op { step: 1, number: 2, name: "fuzz" };
    let mut line = Line::new(side, &ATTEMPT, Box::new(link)).waiting(LIMIT);
    let mut transfers = Transfers::begin(&mut line, op)?;
    let values = [3, 1 << 40, u64::MAX];
    let less = transfers.less_each(&mut line, op, &[5, 43], &values)?;
    transfers.numbers(&mut line, op, &less[0], 3)?;
    transfers.multiplex(&mut line, op, &less[1], &values).map(drop)
}

fn runs<L: Link + 'static>(role: u8, link: L) -> Option<Result<()>> {
    let side = if role & 1 == 0 { Side::Zero } else { Side::One };
    match role {
        0 | 1 => Some(computes(side, link)),
        2 | 3 => Some(transfers_alone(side, link)),
        _ => None,
    }
}

/// A cloud (the first byte says which, and what it does) that is sent these frames.
pub fn transfers(bytes: &[u8]) -> bool {
    let Some((role, bytes)) = bytes.split_first() else { return false };
    let (frames, end) = tcp::frames(bytes);
    let Some(result) = runs(*role, Replay(frames.into())) else { return false };
    if let Err(error) = &result {
        told(error);
    }
    result.is_ok() && matches!(end, LinkError::Closed)
}

/// What C0 and C1 receive in honest runs of both kinds.
fn honest(role: u8) -> [Vec<Bytes>; 2] {
    let records: [Record; 2] = Default::default();
    let (a, b) = memory::pair();
    let [zero, one] = [(a, 0), (b, 1)].map(|(link, i)| Tap(link, records[i].clone()));
    std::thread::scope(|scope| {
        scope.spawn(|| runs(role, zero).expect("a role").expect("honest"));
        runs(role + 1, one).expect("a role").expect("honest");
    });
    records.map(|record| record.lock().expect("nobody panics").clone())
}

/// Seeds: name, bytes.
pub fn seed_files() -> Vec<(&'static str, Vec<u8>)> {
    let names = ["pairwise-c0", "pairwise-c1", "alone-c0", "alone-c1"];
    let received = [honest(0), honest(2)].into_iter().flatten();
    let seeds = names.into_iter().zip(received).enumerate();
    seeds
        .map(|(role, (name, frames))| (name, [&[role as u8], &stream(&frames)[..]].concat()))
        .collect()
}
