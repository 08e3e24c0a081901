//! Both clouds and the dealer in one process: for tests, benchmarks and trying things out. Whoever
//! runs this sees everything.

use crate::checkpoint::{Checkpoint, Holder, Refused};
use crate::error::{Error, Result};
use crate::run::Run;
use crate::train::Training;
use dyad_mpc::link::Traffic;
use dyad_mpc::prg::{Attempt, Party as Side};
use dyad_mpc::together::{Input, JOB, Setting, Setup, attempt, clear_engine, cost, three, two};
use dyad_mpc::{Clear, Contract, Dealer, Opened, Party, Session};

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
    let (attempt, _) = attempt(JOB);
    let mut last = None;
    let opened = run.each(&mut Session::new(clear_engine(inputs)), &mut |training| {
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
    setting: impl Into<Setting>,
    each: &(dyn Fn(Side, &Training<'p, Party>) + Sync),
) -> Result<Finished> {
    let Prepared { setup, attempt, programs } = prepared(run, inputs, states, setting)?;
    let contracts = programs.map(|program| setup.contract(program));
    let deal = |dealer| deal(run, dealer, &contracts[0]);
    let cloud = |side: Side, party| cloud(run, side, party, &contracts[side.index()], each);
    let ([zero, one], dealt) = three(setup, deal, cloud);
    // C1 greets the dealer first: if that ends it, C0 is merely left alone.
    let (zero, one) = match (zero, one) {
        (_, Err(error @ Error::Checkpoint(_))) => return Err(error),
        both => both,
    };
    // The clouds' errors say more than the dealer's, which is then merely left alone.
    let finished = finished([zero, one], attempt)?;
    Ok(Finished { dealt: dealt?, ..finished })
}

/// The same without a dealer: the clouds make their randomness together, and what the dealer would
/// draw is shared out to them.
pub fn pairwise<'p>(
    run: &Run<'p>,
    inputs: &[Input],
    states: Option<&[Checkpoint; 2]>,
    setting: impl Into<Setting>,
    each: &(dyn Fn(Side, &Training<'p, Party>) + Sync),
) -> Result<Finished> {
    let Prepared { setup, attempt, programs } = prepared(run, inputs, states, setting)?;
    let contracts = programs.map(|program| Contract::pairwise(attempt, program));
    let clouds = two(setup, |side, party| cloud(run, side, party, &contracts[side.index()], each));
    finished(clouds, attempt)
}

/// What a run begins with, and the programs that the clouds take it for.
struct Prepared {
    setup: Setup,
    attempt: Attempt,
    programs: [[u8; 32]; 2],
}

fn prepared(
    run: &Run<'_>,
    inputs: &[Input],
    states: Option<&[Checkpoint; 2]>,
    setting: impl Into<Setting>,
) -> Result<Prepared> {
    let (_, program) = cost(run)?;
    let no_line = |source| Error::Data(format!("lines between the parties: {source}"));
    let mut setup = Setup::new(inputs, setting).map_err(no_line)?;
    let attempt = setup.attempt;
    setup.dealer_inputs = run.plan.dealer_inputs(&setup.secret, &attempt.job);
    if let Some(states) = states {
        for ((shares, state), side) in setup.shares.iter_mut().zip(states).zip(SIDES) {
            // As two clouds would: neither sees the other's half.
            let state = state.expect(run.plan, &state.attempt(), Holder::Cloud(side), run.from)?;
            shares.extend_from_slice(state);
        }
    }
    let programs =
        SIDES.map(|side| states.map_or(program, |states| states[side.index()].bind(program)));
    Ok(Prepared { setup, attempt, programs })
}

fn finished([zero, one]: [Result<Cloud>; 2], attempt: Attempt) -> Result<Finished> {
    let ((opened, zero, traffic_0), (_, one, traffic_1)) = (zero?, one?);
    let traffic = [traffic_0, traffic_1];
    Ok(Finished { opened, states: [zero, one], attempt, traffic, dealt: 0 })
}

const SIDES: [Side; 2] = [Side::Zero, Side::One];

fn deal(run: &Run<'_>, mut dealer: Dealer, contract: &Contract) -> Result<u64> {
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
