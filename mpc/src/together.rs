//! Both clouds and the dealer in one process, each on its own thread: for tests, benchmarks and
//! trying things out. Whoever runs this sees everything.

use crate::cipher::{Counting, Opener};
use crate::correlations::{AHEAD, LinkSink, LinkSource};
use crate::engine::Engine;
use crate::link::shaped::{Shape as Line, Shaped};
use crate::link::tcp::TcpLink;
use crate::link::{Link, LinkError, Traffic, memory};
use crate::prg::{Attempt, Party as Side, Seed};
use crate::tensor::Meta;
use crate::{Cipher, Clear, Contract, Cost, Count, Dealer, Error, Opened, Party, Result, Session};
use dyad_bcp::PublicKey;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// A program: written once, run by every engine.
pub trait Program: Sync {
    /// Does it all, and gives what it opened.
    fn run<E: Engine>(&self, session: &mut Session<E>) -> Result<Vec<E::Opened>>;
}

/// An input: its name in the program, what is public of it, its ring elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Name.
    pub name: String,
    /// Shape, scale, bound.
    pub meta: Meta,
    /// Row by row.
    pub words: Vec<u64>,
}

impl Input {
    /// An input.
    #[must_use]
    pub fn new(name: &str, meta: Meta, words: Vec<u64>) -> Self {
        Self { name: name.to_owned(), meta, words }
    }
}

/// How the three are connected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lines {
    /// Channels in memory.
    Memory,
    /// Sockets on the loopback.
    Tcp,
    /// Sockets, with the delay and the rate of a long line.
    Far(Line),
}

/// Lines, how long whoever is at their ends waits, and the dealer's secret.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// How the three are connected.
    pub lines: Lines,
    /// How long each waits for another.
    pub limit: Duration,
    /// The dealer's secret for the job; none: it is drawn.
    pub secret: Option<[u8; 32]>,
}

impl From<Lines> for Setting {
    fn from(lines: Lines) -> Self {
        Self { lines, limit: crate::LIMIT, secret: None }
    }
}

/// Two connected links.
pub type Ends = (Box<dyn Link>, Box<dyn Link>);

impl Lines {
    /// The same, with another limit than [`LIMIT`](crate::LIMIT).
    #[must_use]
    pub fn waiting(self, limit: Duration) -> Setting {
        Setting { limit, ..self.into() }
    }

    /// Two connected ends.
    pub fn pair(self) -> std::result::Result<Ends, LinkError> {
        Setting::from(self).pair()
    }
}

impl Setting {
    /// Two connected ends.
    pub fn pair(&self) -> std::result::Result<Ends, LinkError> {
        match self.lines {
            Lines::Memory => {
                let (a, b) = memory::pair();
                Ok((Box::new(a.waiting(self.limit)), Box::new(b.waiting(self.limit))))
            }
            Lines::Tcp => {
                let (a, b) = self.tcp_pair()?;
                Ok((Box::new(a), Box::new(b)))
            }
            Lines::Far(line) => {
                let (a, b) = self.tcp_pair()?;
                Ok((Box::new(Shaped::new(a, line)), Box::new(Shaped::new(b, line))))
            }
        }
    }

    fn tcp_pair(&self) -> std::result::Result<(TcpLink, TcpLink), LinkError> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let one = TcpStream::connect(listener.local_addr()?)?;
        let (other, _) = listener.accept()?;
        Ok((TcpLink::new(one)?.waiting(self.limit), TcpLink::new(other)?.waiting(self.limit)))
    }
}

/// What a run on shares gave.
#[derive(Debug)]
pub struct Finished {
    /// What each cloud opened.
    pub opened: [Vec<Opened>; 2],
    /// What each cloud's link counted.
    pub traffic: [Traffic; 2],
    /// Bytes the dealer sent.
    pub dealt: u64,
    /// Hash of the operations.
    pub trace: [u8; 32],
    /// From when all three were connected until all were done.
    pub seconds: f64,
}

/// The engine in the clear, with its inputs.
#[must_use]
pub fn clear_engine(inputs: &[Input]) -> Clear {
    inputs.iter().fold(Clear::new(), |engine, input| {
        engine.with(&input.name, input.meta, input.words.clone())
    })
}

/// The program in the clear.
pub fn clear<P: Program>(program: &P, inputs: &[Input]) -> Result<Vec<Opened>> {
    program.run(&mut Session::new(clear_engine(inputs)))
}

/// What the program costs, and its trace.
pub fn cost<P: Program>(program: &P) -> Result<(Cost, [u8; 32])> {
    let mut session = Session::new(Cost::new());
    program.run(&mut session)?;
    let trace = session.trace();
    Ok((session.into_engine(), trace))
}

/// Splits ring elements into two shares, the first of them drawn from the system's generator.
///
/// # Panics
/// When the system's generator fails.
#[must_use]
pub fn split(words: &[u64]) -> [Vec<u64>; 2] {
    let mut seed = [0; 32];
    fill_random(&mut seed);
    let zero = Seed::from_bytes(seed).share(words.len());
    let one = words.iter().zip(&zero).map(|(x, share)| x.wrapping_sub(*share)).collect();
    [zero, one]
}

fn fill_random(out: &mut [u8]) {
    use rand::TryRng;
    rand::rngs::SysRng.try_fill_bytes(out).unwrap_or_else(|error| {
        unreachable!("the system's generator gives numbers: {error}");
    });
}

/// What the program costs without a dealer.
pub fn pairwise_cost<P: Program>(program: &P) -> Result<Cost> {
    let mut session = Session::new(Cost::pairwise());
    program.run(&mut session)?;
    Ok(session.into_engine())
}

/// What the program costs on ciphertexts under a key.
pub fn ciphered_cost<P: Program>(program: &P, key: &PublicKey) -> Result<Count> {
    let mut session = Session::new(Counting::new(key));
    program.run(&mut session)?;
    Ok(session.into_engine().count())
}

/// A new attempt at a job, and the dealer's secret for it.
#[must_use]
pub fn attempt(job: [u8; 32]) -> (Attempt, [u8; 32]) {
    let (mut nonces, mut secret) = ([[0; 16]; 2], [0; 32]);
    for nonce in &mut nonces {
        fill_random(nonce);
    }
    fill_random(&mut secret);
    (Attempt { job, nonces }, secret)
}

/// Runs both clouds and the dealer.
pub fn shared<P: Program>(
    program: &P,
    inputs: &[Input],
    setting: impl Into<Setting>,
) -> Result<Finished> {
    let setup = Setup::new(inputs, setting).map_err(no_link)?;
    let (_, trace) = cost(program)?;
    let start = Instant::now();
    let outcomes = run(program, trace, setup);
    finished(outcomes, trace, start)
}

/// Runs both clouds without a dealer: they make their randomness together. What would be an input
/// of the dealer's is shared out to them.
pub fn pairwise<P: Program>(
    program: &P,
    inputs: &[Input],
    setting: impl Into<Setting>,
) -> Result<Finished> {
    let setup = Setup::new(inputs, setting).map_err(no_link)?;
    let (_, trace) = cost(program)?;
    let start = Instant::now();
    let outcomes = run_pairwise(program, trace, setup);
    finished(outcomes, trace, start)
}

fn finished(outcomes: Outcomes, trace: [u8; 32], start: Instant) -> Result<Finished> {
    let Outcomes { clouds: [zero, one], dealer } = outcomes;
    let seconds = start.elapsed().as_secs_f64();
    let [(opened_0, traffic_0), (opened_1, traffic_1)] = both(zero, one)?;
    Ok(Finished {
        opened: [opened_0, opened_1],
        traffic: [traffic_0, traffic_1],
        dealt: dealer?,
        trace,
        seconds,
    })
}

fn no_link(source: LinkError) -> Error {
    let who = crate::Who { name: "set-up", job: [0; 4] };
    let op = crate::Op { step: 0, number: 0, name: "connect" };
    Error::Link { who, op, peer: "the other end", source }
}

/// What both did. Whoever failed by itself says more than those it left alone.
fn both<T>(zero: Result<T>, one: Result<T>) -> Result<[T; 2]> {
    let left_alone = |error: &Error| matches!(error, Error::Link { .. });
    match (zero, one) {
        (Err(zero), Err(one)) => Err(if left_alone(&zero) { one } else { zero }),
        (zero, one) => Ok([zero?, one?]),
    }
}

/// Inputs as each cloud has them.
#[must_use]
pub fn shares(inputs: &[Input]) -> [Vec<Input>; 2] {
    let mut both = [vec![], vec![]];
    for Input { name, meta, words } in inputs {
        for (shares, share) in both.iter_mut().zip(split(words)) {
            shares.push(Input::new(name, *meta, share));
        }
    }
    both
}

/// All that a run needs beside its program.
pub struct Setup {
    /// Its attempt.
    pub attempt: Attempt,
    /// The dealer's secret for the job.
    pub secret: [u8; 32],
    /// Each cloud's share of the inputs.
    pub shares: [Vec<Input>; 2],
    /// The dealer's own inputs.
    pub dealer_inputs: Vec<Input>,
    /// The line between the clouds: C0's end, C1's end.
    pub clouds: Ends,
    /// The line from the dealer to C1: the dealer's end, C1's end.
    pub dealing: Ends,
    /// How long each waits for another.
    pub limit: Duration,
}

/// The hash of a job that nobody signed.
pub const JOB: [u8; 32] = [0x5a; 32];

impl Setup {
    /// A new attempt at a job that nobody signed, over new lines.
    pub fn new(
        inputs: &[Input],
        setting: impl Into<Setting>,
    ) -> std::result::Result<Self, LinkError> {
        let setting: Setting = setting.into();
        let (attempt, drawn) = attempt(JOB);
        Ok(Self {
            attempt,
            secret: setting.secret.unwrap_or(drawn),
            shares: shares(inputs),
            dealer_inputs: vec![],
            clouds: setting.pair()?,
            dealing: setting.pair()?,
            limit: setting.limit,
        })
    }

    /// The clouds' seeds.
    fn seeds(&self) -> [Seed; 2] {
        [Side::Zero, Side::One].map(|side| Seed::derive(&self.secret, &self.attempt, side))
    }

    /// What the three agree on, for a program of this name.
    #[must_use]
    pub fn contract(&self, program: [u8; 32]) -> Contract {
        let [zero, one] = &self.seeds();
        Contract::new(self.attempt, program, [zero, one])
    }
}

/// How a run ended for each.
pub struct Outcomes {
    /// What each cloud opened, and what its link counted.
    pub clouds: [Result<(Vec<Opened>, Traffic)>; 2],
    /// Bytes the dealer sent.
    pub dealer: Result<u64>,
}

/// Runs both clouds and the dealer, each on its own thread, over given lines. `trace` is what the
/// clouds take for the program's name: [`cost`] knows it.
pub fn run<P: Program>(program: &P, trace: [u8; 32], setup: Setup) -> Outcomes {
    let contract = setup.contract(trace);
    let deal = |mut dealer: Dealer| {
        dealer.greet(&contract)?;
        let mut session = Session::new(dealer);
        program.run(&mut session)?;
        session.into_engine().finish()
    };
    let (clouds, dealer) = three(setup, deal, |_, party| as_cloud(program, party, &contract));
    Outcomes { clouds, dealer }
}

/// The same with both clouds alone.
pub fn run_pairwise<P: Program>(program: &P, trace: [u8; 32], setup: Setup) -> Outcomes {
    let contract = Contract::pairwise(setup.attempt, trace);
    let clouds = two(setup, |_, party| as_cloud(program, party, &contract));
    Outcomes { clouds, dealer: Ok(0) }
}

fn as_cloud<P: Program>(
    program: &P,
    mut party: Party,
    contract: &Contract,
) -> Result<(Vec<Opened>, Traffic)> {
    party.greet(contract)?;
    let mut session = Session::new(party);
    let opened = program.run(&mut session)?;
    Ok((opened, session.engine().traffic()))
}

/// Has both clouds do their work without a dealer, each on its own thread.
pub fn two<C: Send>(setup: Setup, cloud: impl Fn(Side, Party) -> C + Sync) -> [C; 2] {
    let Setup { attempt, shares: given, dealer_inputs, clouds, limit, .. } = setup;
    let mut parties = [(Side::Zero, clouds.0), (Side::One, clouds.1)]
        .map(|(side, link)| Party::pairwise(side, &attempt, link).waiting(limit));
    give(&mut parties, given);
    give(&mut parties, shares(&dealer_inputs));
    let [zero, one] = parties;
    let cloud = &cloud;
    thread::scope(|scope| {
        let zero = scope.spawn(|| on_its_cores(|| cloud(Side::Zero, zero)));
        let one = scope.spawn(|| on_its_cores(|| cloud(Side::One, one)));
        [join(zero), join(one)]
    })
}

fn give(parties: &mut [Party; 2], shares: [Vec<Input>; 2]) {
    for (party, inputs) in parties.iter_mut().zip(shares) {
        for Input { name, meta, words } in inputs {
            party.give(&name, meta, words);
        }
    }
}

/// Runs both clouds on ciphertexts under `key`, which `opener` opens; no dealer.
pub fn ciphered<P: Program>(
    program: &P,
    inputs: &[Input],
    key: &PublicKey,
    opener: Box<dyn Opener>,
    setting: impl Into<Setting>,
) -> Result<Finished> {
    let setup = Setup::new(inputs, setting).map_err(no_link)?;
    let (_, trace) = cost(program)?;
    let start = Instant::now();
    let work = |_, mut engine: Cipher, contract: &Contract| {
        engine.greet(contract)?;
        let mut session = Session::new(engine);
        let opened = program.run(&mut session)?;
        Ok((opened, session.engine().traffic()))
    };
    let [zero, one] = two_on_ciphertexts(key, opener, trace, setup, work)?;
    let seconds = start.elapsed().as_secs_f64();
    let [(opened_0, traffic_0), (opened_1, traffic_1)] = both(zero, one)?;
    let (opened, traffic) = ([opened_0, opened_1], [traffic_0, traffic_1]);
    Ok(Finished { opened, traffic, dealt: 0, trace, seconds })
}

/// Has both clouds do their work on ciphertexts, each on its own thread, on all cores: they take
/// turns.
pub fn two_on_ciphertexts<C: Send>(
    key: &PublicKey,
    opener: Box<dyn Opener>,
    program: [u8; 32],
    setup: Setup,
    work: impl Fn(Side, Cipher, &Contract) -> C + Sync,
) -> Result<[C; 2]> {
    let Setup { attempt, shares, clouds, limit, .. } = setup;
    // There is no dealer, and so no seed of its.
    let contract = &Contract { attempt, program, seeds: [[0; 16]; 2] };
    let mut parties = [
        Cipher::zero(key, &attempt, clouds.0, opener)?.waiting(limit),
        Cipher::one(key, &attempt, clouds.1)?.waiting(limit),
    ];
    for (party, inputs) in parties.iter_mut().zip(shares) {
        for Input { name, meta, words } in inputs {
            party.give(&name, meta, words);
        }
    }
    let [zero, one] = parties;
    let work = &work;
    Ok(thread::scope(|scope| {
        let zero = scope.spawn(move || work(Side::Zero, zero, contract));
        let one = scope.spawn(move || work(Side::One, one, contract));
        [join(zero), join(one)]
    }))
}

/// Has both clouds and the dealer do their work, each on its own thread.
pub fn three<D: Send, C: Send>(
    setup: Setup,
    deal: impl FnOnce(Dealer) -> D + Send,
    cloud: impl Fn(Side, Party) -> C + Sync,
) -> ([C; 2], D) {
    let [seed_0, seed_1] = &setup.seeds();
    let Setup { attempt, shares, dealer_inputs, clouds, dealing, limit, .. } = setup;
    let (dealing, dealt) = dealing;
    let source = Box::new(LinkSource::new(dealt, &attempt.job, AHEAD, limit));
    let sink = Box::new(LinkSink::new(dealing, &attempt.job, limit));
    let mut dealer = Dealer::new([seed_0, seed_1], sink);
    for Input { name, meta, words } in dealer_inputs {
        dealer.give(&name, meta, words);
    }
    let mut parties = [
        Party::zero(seed_0, &attempt, clouds.0).waiting(limit),
        Party::one(seed_1, &attempt, clouds.1, source).waiting(limit),
    ];
    give(&mut parties, shares);
    let [zero, one] = parties;
    let cloud = &cloud;
    thread::scope(|scope| {
        let dealer = scope.spawn(|| on_its_cores(|| deal(dealer)));
        let zero = scope.spawn(|| on_its_cores(|| cloud(Side::Zero, zero)));
        let one = scope.spawn(|| on_its_cores(|| cloud(Side::One, one)));
        ([join(zero), join(one)], join(dealer))
    })
}

/// Does one's work on threads of one's own: half the cores each, so that the two clouds, which work
/// at the same time, do not wait for each other's.
fn on_its_cores<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let threads = (rayon::current_num_threads() / 2).max(1);
    match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    }
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
