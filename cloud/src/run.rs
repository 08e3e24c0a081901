//! One attempt at a job, on a thread of its own: the program, checkpoints, what it opens.
//!
//! Checkpoints are taken where both clouds and the dealer have agreed on all that was done. The
//! last two are kept: a cloud begins to write one only after the other has written the one before,
//! since agreeing takes words of both; so whatever dies, there is one that both have.

use crate::attempt::Dealt;
use crate::house::House;
use crate::jobs::write_opened;
use crate::refusal::{Cause, Refusal, refuse};
use dyad_bcp::PublicKey;
use dyad_learn::checkpoint::{Checkpoint, Holder, Refused, Stored};
use dyad_learn::signed::Signed;
use dyad_mpc::cipher::{Kept, Opener};
use dyad_mpc::correlations::{AHEAD, LinkSource};
use dyad_mpc::engine::Engine;
use dyad_mpc::link::Link;
use dyad_mpc::prg::{Attempt, Party as Side};
use dyad_mpc::together::{Input, ciphered_cost};
use dyad_mpc::{Cipher, Contract, Opened, Party, Session};
use dyad_net::identity::Role;
use dyad_net::link::{Event, Watched};
use dyad_node::{LineMeters, series};
use dyad_protos::Hex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// All that an attempt needs.
pub struct Task {
    /// Job and nonces.
    pub attempt: Attempt,
    /// What is trained.
    pub training: Signed,
    /// The checkpoint it goes on from, as it was agreed on and as it is here.
    pub from: Option<((Attempt, u64), Checkpoint)>,
    /// This cloud's shares.
    pub inputs: Vec<Input>,
    /// How it is computed.
    pub means: Means,
    /// To the other cloud.
    pub link: Box<dyn Link>,
    /// How long it waits for the others at a time.
    pub limit: Duration,
}

/// The engine, and where what both clouds' masks have in common comes from.
pub enum Means {
    /// Shares; the key centre deals.
    Dealt {
        /// This cloud's seed, and what both are checked by.
        dealt: Dealt,
        /// C1's link to the dealer.
        dealer: Option<Box<dyn Link>>,
    },
    /// Shares; the clouds make it with each other.
    Pairwise,
    /// Ciphertexts under the study's unified key.
    Ciphertexts {
        /// That key.
        key: Box<PublicKey>,
        /// C0's.
        opener: Option<Box<dyn Opener>>,
        /// Attempts at the job before this one: what they blinded counts.
        before: u32,
    },
}

/// Why an attempt ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] dyad_mpc::Error),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] dyad_learn::checkpoint::Refused),
    /// The training.
    #[error(transparent)]
    Training(#[from] dyad_learn::Error),
    /// The store, or the ledger.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// Somebody called the job off, or this cloud stops, or a newer attempt has begun.
    #[error("the attempt was called off")]
    CalledOff,
}

impl Failure {
    /// Is another attempt of use?
    #[must_use]
    pub fn is_passing(&self) -> bool {
        use dyad_mpc::Error::{Different, Frame, Link};
        match self {
            Self::Engine(error) => matches!(error, Link { .. } | Frame { .. } | Different { .. }),
            Self::Refusal(refusal) => refusal.is_passing(),
            // No checkpoint can be taken of what was computed: nor the next time.
            Self::Checkpoint(Refused::Waits(_) | Refused::NotAgreed(_)) | Self::Training(_) => {
                false
            }
            // A checkpoint that does not fit: a store was set back or damaged, and can be mended.
            Self::Checkpoint(_) | Self::CalledOff => true,
        }
    }
}

const fn side(role: Role) -> Side {
    if matches!(role, Role::C0) { Side::Zero } else { Side::One }
}

/// Counts what goes over a line.
fn watched(house: &House, peer: &str, link: Box<dyn Link>) -> Box<dyn Link> {
    let meters = LineMeters::new(&house.context.metrics, peer);
    Box::new(Watched::new(link, move |event| match event {
        Event::Sent(bytes) => meters.sent(bytes),
        Event::Received(bytes) => meters.received(bytes),
        Event::Waiting(begins) => meters.waiting(begins),
    }))
}

/// Runs it to the end. Blocks: it is called on a thread of the job's own.
pub fn run(house: &Arc<House>, handle: &Handle, task: Task) -> Result<(), Failure> {
    let Task { attempt, training, from, inputs, means, link, limit } = task;
    let side = side(house.role());
    let peer = if side == Side::Zero { "c1" } else { "c0" };
    let link = watched(house, peer, link);
    let done = from.as_ref().map_or(0, |((_, step), _)| *step);
    let (_, program) = training.cost(done)?;
    let program = from.as_ref().map_or(program, |(_, state)| state.bind(program));
    let holder = match means {
        Means::Ciphertexts { .. } => Holder::Ciphertexts(side),
        Means::Dealt { .. } | Means::Pairwise => Holder::Cloud(side),
    };
    let state = match &from {
        None => &[],
        Some(((of, step), state)) => state.expect(training.plan(), of, holder, *step)?,
    };
    let state = state.iter().cloned();
    let work = Work { house, handle, training: &training, attempt, holder, done };
    match means {
        Means::Ciphertexts { key, opener, before } => {
            // None of them can have blinded more than a whole run does.
            let blinded = match before {
                0 => 0,
                _ => ciphered_cost(&training.run(0), &key)?.ciphertexts.blinded,
            };
            let engine = match opener {
                Some(opener) => Cipher::zero(&key, &attempt, link, opener),
                None => Cipher::one(&key, &attempt, link),
            };
            let engine = engine?.waiting(limit);
            let mut engine = engine.having_blinded(blinded.saturating_mul(before.into()));
            for Input { name, meta, words } in state {
                // It was looked at when the checkpoint was.
                if let Some(kept) = Kept::of_words(&words) {
                    engine.give_kept(&name, meta, kept);
                }
            }
            for Input { name, meta, words } in inputs {
                engine.give(&name, meta, words);
            }
            engine.greet(&Contract::pairwise(attempt, program))?;
            let kept = |name: &str| !["features", "labels"].iter().any(|end| name.ends_with(end));
            work.with(engine).map_err(|failure| match failure {
                // Of what was kept: the store is to be mended, and nothing is deleted.
                Failure::Engine(dyad_mpc::Error::Input { name, what, .. }) if kept(&name) => {
                    let what = format!("the checkpoint of step {done}: {name}: {what}");
                    Failure::Refusal(Refusal::new(Cause::Own, what))
                }
                other => other,
            })
        }
        Means::Pairwise => {
            let party = Party::pairwise(side, &attempt, link).waiting(limit);
            on_shares(work, party, state.chain(inputs), &Contract::pairwise(attempt, program))
        }
        Means::Dealt { dealt: Dealt { seed, checks }, dealer } => {
            let party = match dealer {
                None => Party::zero(&seed, &attempt, link),
                Some(dealer) => {
                    let dealer = watched(house, "kgc", dealer);
                    let source = LinkSource::new(dealer, &attempt.job, AHEAD, limit);
                    Party::one(&seed, &attempt, link, Box::new(source))
                }
            };
            let contract = Contract { attempt, program, seeds: checks };
            on_shares(work, party.waiting(limit), state.chain(inputs), &contract)
        }
    }
}

fn on_shares(
    work: Work<'_>,
    mut party: Party,
    inputs: impl Iterator<Item = Input>,
    contract: &Contract,
) -> Result<(), Failure> {
    for Input { name, meta, words } in inputs {
        party.give(&name, meta, words);
    }
    party.greet(contract)?;
    work.with(party)
}

/// The training itself, whatever the engine.
struct Work<'a> {
    house: &'a Arc<House>,
    handle: &'a Handle,
    training: &'a Signed,
    attempt: Attempt,
    holder: Holder,
    /// Steps done before.
    done: u64,
}

impl Work<'_> {
    fn with<E>(self, engine: E) -> Result<(), Failure>
    where
        E: Engine<Opened = Opened, Shared: Stored>,
    {
        let Self { house, handle, training, attempt, holder, done } = self;
        let job = attempt.job;
        let ticket = house.progress.begin(job, done);
        let run = training.run(done);
        let metrics = &house.context.metrics;
        let named = match holder {
            Holder::Ciphertexts(_) => "cipher",
            Holder::Cloud(_) | Holder::Clear => "share",
        };
        let labels = &[("kind", "trained"), ("engine", named)];
        let steps = metrics.counter(series::STEPS, labels);
        let seconds = metrics.histogram(series::STEP_SECONDS, labels);
        let mut since = Instant::now();
        let opened = run.each(&mut Session::new(engine), &mut |training| {
            ticket.step(training.done());
            steps.increment(1);
            seconds.record(since.elapsed());
            since = Instant::now();
            if ticket.is_called_off() || house.context.stop.is_stopping() {
                return Err(Failure::CalledOff);
            }
            if training.is_agreed() && training.done() > done {
                let state = Checkpoint::of(training, attempt, holder)?;
                handle.block_on(house.keep(&state))?;
            }
            Ok(())
        })?;
        let words = opened.into_iter().map(|Opened { meta, words }| (meta.scale, words));
        let words = write_opened(&words.collect::<Vec<_>>());
        handle.block_on(house.ledger.trained(&job, &words))?;
        Ok(())
    }
}

impl House {
    /// Stores a checkpoint, durably, and deletes what it makes superfluous.
    async fn keep(&self, state: &Checkpoint) -> Result<(), Refusal> {
        let attempt = state.attempt();
        let [nonce_0, nonce_1] = attempt.nonces.map(Hex);
        let job = Hex(attempt.job);
        let object = format!("jobs/{job}/{nonce_0}-{nonce_1}-{:012}", state.step());
        self.bulk.put(&object, state.to_bytes()).await?;
        let Some(old) = self.ledger.keep_checkpoint(&attempt, state.step(), &object).await? else {
            // It was called off, or failed, meanwhile: nothing of it stays.
            self.bulk.delete(&object).await?;
            return refuse(Cause::State, "the job does not run any more");
        };
        for old in old {
            self.bulk.delete(&old).await?;
        }
        Ok(())
    }

    /// A checkpoint that the ledger names.
    pub async fn checkpoint(&self, attempt: &Attempt, step: u64) -> Result<Checkpoint, Refusal> {
        let all = self.ledger.checkpoints(&attempt.job).await?;
        let found = all.into_iter().find(|(of, at, _)| of == attempt && *at == step);
        let Some((_, _, object)) = found else {
            let what = "the checkpoint that both clouds agreed on is not here any more";
            return Err(Refusal::new(Cause::Own, what));
        };
        let bytes = self.bulk.get(&object).await?;
        Checkpoint::from_bytes(&bytes).map_err(|_| {
            Refusal::new(Cause::Own, "a stored checkpoint is damaged, or of another release")
        })
    }

    /// The trained model: this cloud's share.
    pub async fn model(&self, job: &[u8; 32]) -> Result<Checkpoint, Refusal> {
        let newest = self.ledger.checkpoints(job).await?.into_iter().next();
        let Some((attempt, step, _)) = newest else {
            return Err(Refusal::new(Cause::State, "there is no model yet"));
        };
        self.checkpoint(&attempt, step).await
    }
}
