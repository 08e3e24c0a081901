//! The engine of the clouds: the program on additive shares, x = x_0 + x_1 in Z_{2^64}.
//!
//! ```text
//! mask      x̂ = x + r, r = r_0 + r_1 of two streams: each sends x_i + r_i          one round
//! product   X̂ = X+A, Ŷ = Y+B public; shares of A, B and C = AB:
//!           [XY] = X̂Ŷ - X̂[B] - [A]Ŷ + [C], X̂Ŷ added by C0                         no message
//!                = [C] + X̂ D - [A] Ŷ, D = Ŷ - [B] at C0 and -[B] at C1
//! open      each sends its share, to both or to one                                 one round
//! ```
//!
//! Who learns what: x̂, which is uniform whatever x is, as long as r is used once ([`OpenOnce`])
//! and nobody has both streams (the dealer has, and sees no x̂). C0's share of C is a stream of its
//! own, C1's is C less that: either is uniform. So a simulator of a cloud's view draws what comes
//! from the other and from the dealer at random, and what is opened on purpose fixes the last
//! share.
//!
//! - [`engine`]: its operations
//! - [`act`]: everything that is not linear
//! - [`dealt`]: the shares of what the dealer deals

pub(crate) mod act;
mod dealt;
mod engine;

pub(crate) use dealt::row_masks;

use crate::bits::plan::{Plan, blocks};
use crate::contract::Contract;
use crate::correlations::{Correlations, mark_used};
use crate::engine::{Outcome, Product, Task};
use crate::error::{Op, Result};
use crate::line::Line;
use crate::link::{Link, Traffic};
use crate::pairwise::{Pairwise, Wanted};
use crate::prg::{Attempt, Label, OpenOnce, Party as Side, Prg, Seed, Stream};
use crate::tensor::Meta;
use crate::transfer::fresh;
use act::Run;
use dealt::Dealt;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// One of the two clouds.
pub struct Party {
    line: Line,
    prg: Arc<Prg>,
    /// Of its seed.
    check: [u8; 16],
    /// Where C0 keeps marks of attempts whose correlations C1 has in a file.
    marks: Option<PathBuf>,
    source: Source,
    inputs: HashMap<String, (Meta, Vec<u64>)>,
    once: OpenOnce,
}

/// Where what the two share of each other's masks comes from.
enum Source {
    /// C0: all it is dealt follows from its seed.
    Seed,
    /// C1: the dealer deals it what C0's seed lacks.
    Dealt(Box<dyn Correlations>),
    /// Both make it together.
    Pairwise(Box<Pairwise>),
}

/// A table whose rows are masked: x̂, and where its masks come from.
pub struct MaskedRows {
    hat: Vec<u64>,
    label: Label,
}

/// How long a party waits for another if nobody says otherwise.
pub const LIMIT: Duration = Duration::from_mins(1);

impl Party {
    /// C0: all it is dealt follows from its seed.
    #[must_use]
    pub fn zero(seed: &Seed, attempt: &Attempt, link: Box<dyn Link>) -> Self {
        Self::new(Side::Zero, seed, attempt, link, Source::Seed)
    }

    /// C1: it is dealt corrections as well.
    #[must_use]
    pub fn one(
        seed: &Seed,
        attempt: &Attempt,
        link: Box<dyn Link>,
        correlations: Box<dyn Correlations>,
    ) -> Self {
        Self::new(Side::One, seed, attempt, link, Source::Dealt(correlations))
    }

    /// Either cloud, with nobody to deal: its seed is drawn here, and what depends on both masks
    /// they make together, by oblivious transfers.
    #[must_use]
    pub fn pairwise(side: Side, attempt: &Attempt, link: Box<dyn Link>) -> Self {
        Self::pairwise_of(side, &Seed::from_bytes(*fresh()), attempt, link)
    }

    pub(crate) fn pairwise_of(
        side: Side,
        seed: &Seed,
        attempt: &Attempt,
        link: Box<dyn Link>,
    ) -> Self {
        Self::new(side, seed, attempt, link, Source::Pairwise(Box::default()))
    }

    fn new(
        side: Side,
        seed: &Seed,
        attempt: &Attempt,
        link: Box<dyn Link>,
        source: Source,
    ) -> Self {
        Self {
            line: Line::new(side, attempt, link),
            prg: Arc::new(Prg::new(seed)),
            check: seed.check(),
            marks: None,
            source,
            inputs: HashMap::new(),
            once: OpenOnce::new(),
        }
    }

    /// Waits for the others at most this long at a time.
    #[must_use]
    pub fn waiting(mut self, limit: Duration) -> Self {
        self.line = self.line.waiting(limit);
        self
    }

    /// C0's end of a run whose correlations C1 has in a file: marks the attempt used, durably, with
    /// a file in this folder, and refuses one that is marked. C1's file marks itself.
    #[must_use]
    pub fn offline(mut self, marks: &Path) -> Self {
        self.marks = Some(marks.to_owned());
        self
    }

    /// Gives this cloud's share of an input.
    pub fn give(&mut self, name: &str, meta: Meta, share: Vec<u64>) {
        self.inputs.insert(name.to_owned(), (meta, share));
    }

    /// What went over the link to the other cloud.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.line.traffic()
    }

    const fn first(&self) -> bool {
        matches!(self.line.side(), Side::Zero)
    }

    /// Compares version, job, attempt, program and seeds with the other cloud, and C1 with the
    /// dealer.
    pub fn greet(&mut self, contract: &Contract) -> Result<()> {
        let side = self.line.side();
        let offline = match &mut self.source {
            Source::Pairwise(_) => {
                contract.check_pairwise(self.line.who())?;
                false
            }
            Source::Seed => {
                contract.check_seed(self.line.who(), side, self.check)?;
                self.marks.is_some()
            }
            Source::Dealt(correlations) => {
                contract.check_seed(self.line.who(), side, self.check)?;
                correlations.greet(contract)?;
                correlations.offline()
            }
        };
        self.line.greet(contract, offline)?;
        // After the greeting, so that two ends that do not fit use nothing up; before anything is
        // sent under a mask.
        match &self.marks {
            Some(place) => mark_used(place, &contract.attempt, side),
            None => Ok(()),
        }
    }

    /// What is dealt for an operation.
    fn dealt(&mut self, op: Op, shape: u32, words: usize) -> Result<Dealt> {
        Ok(match &mut self.source {
            Source::Dealt(correlations) => {
                Dealt::Sent(Arc::new(correlations.take(op, shape, words)?), 0)
            }
            Source::Seed | Source::Pairwise(_) => self.drawn(op, Stream::Share),
        })
    }

    /// A stream of its own.
    fn drawn(&self, op: Op, stream: Stream) -> Dealt {
        Dealt::Seeded(Arc::clone(&self.prg), Self::label(op, stream), 0)
    }

    /// Its shares of the masks of acts, and of all that depends on them.
    fn for_acts(&mut self, op: Op, shape: u32, tasks: &[Task<'_, Self>]) -> Result<[Dealt; 2]> {
        if let Source::Pairwise(pairwise) = &mut self.source {
            let wanted: Vec<Wanted<'_>> = tasks
                .iter()
                .map(|task| Wanted {
                    act: task.act,
                    entries: task.z.len(),
                    beta: task.bit.map(|bit| bit.share.as_slice()),
                })
                .collect();
            let made = pairwise.act(&mut self.line, op, &self.prg, &wanted)?;
            return Ok([made.masks, made.dealt].map(|words| Dealt::Made(Arc::new(words), 0)));
        }
        let words = |task: &Task<'_, Self>| Plan::new(task.act).dealt() * blocks(task.z.len());
        let dealt = self.dealt(op, shape, tasks.iter().map(words).sum())?;
        Ok([self.drawn(op, Stream::Mask), dealt])
    }

    /// Its share of the product of two masks.
    fn product_of_masks(
        &mut self,
        op: Op,
        form: Product,
        shape: u32,
        (a, ma): (&[u64], Meta),
        (b, mb): (&[u64], Meta),
        out: Meta,
    ) -> Result<Vec<u64>> {
        if let Source::Pairwise(pairwise) = &mut self.source {
            let line = &mut self.line;
            return pairwise.product(line, op, form, (a, ma.shape), (b, mb.shape), out.shape);
        }
        let mut share = vec![0; out.shape.len()];
        self.dealt(op, shape, share.len())?.read(0, &mut share);
        Ok(share)
    }

    /// All rounds of some acts: in each, all tensors prepare, one exchange, all tensors finish.
    fn rounds(&mut self, op: Op, shape: u32, mut runs: Vec<Run<'_>>) -> Result<Vec<Outcome<Self>>> {
        let rounds = runs.iter().map(|run| run.plan.rounds()).max().unwrap_or(0);
        for round in 0..rounds {
            let mut mine = Vec::new();
            let mut ends = vec![0];
            for run in &runs {
                run.prepare(round, &mut mine);
                ends.push(mine.len());
            }
            let theirs = self.line.exchange(op, shape, round, &mine)?;
            for (run, at) in runs.iter_mut().zip(ends.windows(2)) {
                run.finish(round, &mine[at[0]..at[1]], &theirs[at[0]..at[1]]);
            }
        }
        Ok(runs
            .into_iter()
            .map(|run| {
                let (value, bit) = run.results();
                Outcome { value, bit }
            })
            .collect())
    }

    const fn label(op: Op, stream: Stream) -> Label {
        Label { step: op.step, operation: op.number, stream }
    }

    /// Its own share of each mask of an operation: one stream, tensor after tensor.
    fn masks(&self, op: Op, xs: &[(&Vec<u64>, Meta)]) -> Vec<Vec<u64>> {
        let mut at = 0;
        xs.iter()
            .map(|(x, _)| {
                let mut mask = vec![0; x.len()];
                self.prg.fill(Self::label(op, Stream::Mask), at, &mut mask);
                at += x.len() as u64;
                mask
            })
            .collect()
    }
}
