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
//! own, C1's is C less that: either is uniform. So a simulator of a cloud's view draws what comes from
//! the other and from the dealer at random, and what is opened on purpose fixes the last share.
//!
//! - [`engine`]: its operations
//! - [`act`]: everything that is not linear
//! - [`dealt`]: the shares of what the dealer deals

pub(crate) mod act;
mod dealt;
mod engine;

pub(crate) use dealt::row_masks;

use crate::contract::Contract;
use crate::correlations::{Correlations, mark_used};
use crate::engine::Outcome;
use crate::error::{Op, Result};
use crate::line::Line;
use crate::link::{Link, Traffic};
use crate::prg::{Attempt, Label, OpenOnce, Party as Side, Prg, Seed, Stream};
use crate::tensor::Meta;
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
    /// What C1 is dealt; C0 has all from its seed.
    correlations: Option<Box<dyn Correlations>>,
    inputs: HashMap<String, (Meta, Vec<u64>)>,
    once: OpenOnce,
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
        Self::new(Side::Zero, seed, attempt, link, None)
    }

    /// C1: it is dealt corrections as well.
    #[must_use]
    pub fn one(
        seed: &Seed,
        attempt: &Attempt,
        link: Box<dyn Link>,
        correlations: Box<dyn Correlations>,
    ) -> Self {
        Self::new(Side::One, seed, attempt, link, Some(correlations))
    }

    fn new(
        side: Side,
        seed: &Seed,
        attempt: &Attempt,
        link: Box<dyn Link>,
        correlations: Option<Box<dyn Correlations>>,
    ) -> Self {
        Self {
            line: Line::new(side, &attempt.job, link),
            prg: Arc::new(Prg::new(seed)),
            check: seed.check(),
            marks: None,
            correlations,
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
        contract.check_seed(self.line.who(), side, self.check)?;
        if let Some(correlations) = &mut self.correlations {
            correlations.greet(contract)?;
        }
        let offline = match &self.correlations {
            Some(correlations) => correlations.offline(),
            None => self.marks.is_some(),
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
        Ok(match &mut self.correlations {
            Some(correlations) => Dealt::Sent(Arc::new(correlations.take(op, shape, words)?), 0),
            None => Dealt::Seeded(Arc::clone(&self.prg), Self::label(op, Stream::Share), 0),
        })
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
