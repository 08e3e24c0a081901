//! Both clouds and the dealer in one process: for tests, benchmarks and trying things out. Whoever
//! runs this sees everything.

use crate::checkpoint::{Checkpoint, Holder, Refused};
use crate::error::{Error, Result};
use crate::run::Run;
use crate::train::Training;
use dyad_mpc::correlations::{AHEAD, LinkSink, LinkSource};
use dyad_mpc::link::{Link, Traffic};
use dyad_mpc::prg::{Attempt, Party as Side, Seed};
use dyad_mpc::together::{Input, Lines, attempt, cost, on_its_cores, split};
use dyad_mpc::{Clear, Contract, Dealer, LIMIT, Opened, Party, Session};
use std::thread;

/// What a run on shares gave.
#[derive(Debug)]
pub struct Finished {
    /// What both clouds opened: the same.
    pub opened: Vec<Opened>,
    /// The clouds' states at the end.
    pub states: [Checkpoint; 2],
    /// The attempt.
    pub attempt: Attempt,
    /// What each cloud's link counted.
    pub traffic: [Traffic; 2],
    /// Bytes the dealer sent.
    pub dealt: u64,
}

/// Runs it in the clear, and calls `each` after every step. Gives what was opened, and the state.
pub fn clear<'p>(
    run: &Run<'p>,
    inputs: &[Input],
    each: &mut dyn FnMut(&Training<'p, Clear>),
) -> Result<(Vec<Opened>, Checkpoint)> {
    let engine = inputs.iter().fold(Clear::new(), |engine, input| {
        engine.with(&input.name, input.meta, input.words.clone())
    });
    let (attempt, _) = attempt(JOB);
    let mut last = None;
    let opened = run.each(&mut Session::new(engine), &mut |training| {
        each(training);
        if training.done() == run.until {
            last = Some(Checkpoint::of(training, attempt, Holder::Clear)?);
        }
        Ok::<_, Error>(())
    })?;
    Ok((opened, ended(last)?))
}

/// Runs it on shares, and calls `each` after every step of either cloud. Inputs are split into
/// shares here; `states` are the clouds' own, to go on from.
pub fn shared<'p>(
    run: &Run<'p>,
    inputs: &[Input],
    states: Option<&[Checkpoint; 2]>,
    lines: Lines,
    each: &(dyn Fn(Side, &Training<'p, Party>) + Sync),
) -> Result<Finished> {
    let (_, program) = cost(run)?;
    let (attempt, secret) = attempt(JOB);
    let seeds = [Side::Zero, Side::One].map(|side| Seed::derive(&secret, &attempt, side));
    let no_line = |source| Error::Data(format!("lines between the parties: {source}"));
    let (zero, one) = lines.pair().map_err(no_line)?;
    let (dealing, dealt) = lines.pair().map_err(no_line)?;
    let source = LinkSource::new(dealt, &attempt.job, AHEAD, LIMIT);
    let mut parties = [
        Party::zero(&seeds[0], &attempt, zero),
        Party::one(&seeds[1], &attempt, one, Box::new(source)),
    ];
    for input in inputs {
        for (party, share) in parties.iter_mut().zip(split(&input.words)) {
            party.give(&input.name, input.meta, share);
        }
    }
    if let Some(states) = states {
        for ((party, state), side) in parties.iter_mut().zip(states).zip([Side::Zero, Side::One]) {
            // As two clouds would: neither sees the other's half.
            for share in state.expect(run.plan, &state.attempt(), Holder::Cloud(side), run.from)? {
                party.give(&share.name, share.meta, share.words.clone());
            }
        }
    }
    let contract = |side: usize| {
        let program = states.map_or(program, |states| states[side].bind(program));
        Contract::new(attempt, program, [&seeds[0], &seeds[1]])
    };
    let [zero, one] = parties;
    let cloud = |side, party| cloud(run, side, party, &contract(side as usize), each);
    let (zero, one, dealt) = thread::scope(|scope| {
        let dealer = scope.spawn(|| on_its_cores(|| deal(run, &seeds, &contract(0), dealing)));
        let zero = scope.spawn(|| on_its_cores(|| cloud(Side::Zero, zero)));
        let one = scope.spawn(|| on_its_cores(|| cloud(Side::One, one)));
        (join(zero), join(one), join(dealer))
    });
    // C1 greets the dealer first: if that ends it, C0 is merely left alone.
    let (zero, one) = match (zero, one) {
        (_, Err(error @ Error::Checkpoint(_))) => return Err(error),
        both => both,
    };
    // The clouds' errors say more than the dealer's, which is then merely left alone.
    let ((opened, zero, traffic_0), (_, one, traffic_1)) = (zero?, one?);
    let traffic = [traffic_0, traffic_1];
    Ok(Finished { opened, states: [zero, one], attempt, traffic, dealt: dealt? })
}

/// The hash of a job that nobody signed.
const JOB: [u8; 32] = [0x5a; 32];

fn deal(run: &Run<'_>, seeds: &[Seed; 2], contract: &Contract, line: Box<dyn Link>) -> Result<u64> {
    let sink = LinkSink::new(line, &contract.attempt.job, LIMIT);
    let mut dealer = Dealer::new([&seeds[0], &seeds[1]], Box::new(sink));
    dealer.greet(contract)?;
    let mut session = Session::new(dealer);
    run.each(&mut session, &mut |_| Ok::<_, Error>(()))?;
    Ok(session.into_engine().finish()?)
}

type Cloud = (Vec<Opened>, Checkpoint, Traffic);

fn cloud<'p>(
    run: &Run<'p>,
    side: Side,
    mut party: Party,
    contract: &Contract,
    each: &(dyn Fn(Side, &Training<'p, Party>) + Sync),
) -> Result<Cloud> {
    party.greet(contract).map_err(|error| match error {
        dyad_mpc::Error::Different { .. } if run.from > 0 => Refused::Halves(error).into(),
        error => Error::Run(error),
    })?;
    let mut session = Session::new(party);
    let mut last = None;
    let opened = run.each(&mut session, &mut |training| {
        each(side, training);
        if training.done() == run.until {
            last = Some(Checkpoint::of(training, contract.attempt, Holder::Cloud(side))?);
        }
        Ok::<_, Error>(())
    })?;
    Ok((opened, ended(last)?, session.engine().traffic()))
}

fn ended(last: Option<Checkpoint>) -> Result<Checkpoint> {
    last.ok_or_else(|| Error::Data("the run ends beyond the job's last step".to_owned()))
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
