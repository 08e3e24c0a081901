//! The engine that only counts: the same program on shapes. What it counts is what the clouds'
//! links count, frame by frame; and its trace is the program's name.

use crate::bits::plan::{Plan, blocks};
use crate::engine::{Audience, Engine, Outcome, Product, Task};
use crate::error::{Op, Result};
use crate::pairwise::cost as pairwise;
use crate::tensor::{Meta, Shape};
use crate::wire::{frame_bytes, pieces, waits};
use std::ops::{AddAssign, Sub};

/// What a run costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Times the clouds wait for each other.
    pub rounds: u64,
    /// Frames each cloud sends to the other: C0, C1.
    pub messages: [u64; 2],
    /// Bytes of them, headers included.
    pub bytes: [u64; 2],
    /// Bytes the dealer sends to C1, headers included. C0 gets nothing but a seed.
    pub dealt: u64,
    /// Multiplications of matrix products, in one cloud: the dealer does half as many.
    pub multiplications: u64,
    /// On ciphertexts: what is done with them.
    pub ciphertexts: Ciphertexts,
}

/// What a run on ciphertexts does with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ciphertexts {
    /// Bytes of each.
    pub size: u64,
    /// C1 blinds, C0 opens.
    pub opened: u64,
    /// Values that are blinded in them.
    pub blinded: u64,
    /// C0 makes.
    pub made: u64,
    /// C1 raises to a secret number, in products.
    pub raised: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.rounds += other.rounds;
        for i in 0..2 {
            self.messages[i] += other.messages[i];
            self.bytes[i] += other.bytes[i];
        }
        self.dealt += other.dealt;
        self.multiplications += other.multiplications;
        self.ciphertexts.size = self.ciphertexts.size.max(other.ciphertexts.size);
        self.ciphertexts.opened += other.ciphertexts.opened;
        self.ciphertexts.blinded += other.ciphertexts.blinded;
        self.ciphertexts.made += other.ciphertexts.made;
        self.ciphertexts.raised += other.ciphertexts.raised;
    }
}

impl Sub for Count {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self {
            rounds: self.rounds - other.rounds,
            messages: [0, 1].map(|i| self.messages[i] - other.messages[i]),
            bytes: [0, 1].map(|i| self.bytes[i] - other.bytes[i]),
            dealt: self.dealt - other.dealt,
            multiplications: self.multiplications - other.multiplications,
            ciphertexts: Ciphertexts {
                size: self.ciphertexts.size,
                opened: self.ciphertexts.opened - other.ciphertexts.opened,
                blinded: self.ciphertexts.blinded - other.ciphertexts.blinded,
                made: self.ciphertexts.made - other.ciphertexts.made,
                raised: self.ciphertexts.raised - other.ciphertexts.raised,
            },
        }
    }
}

/// Operations that are listed: a training has millions.
pub const LISTED: usize = 1 << 16;

/// The program on shapes.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    count: Count,
    operations: Vec<(Op, Count)>,
    /// Is what depends on both clouds' masks made by them, not dealt? And have transfers begun?
    pairwise: Option<bool>,
}

impl Cost {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Of a run without a dealer: the clouds make what they need by transfers. An input of the
    /// dealer's is given to each as its share.
    #[must_use]
    pub fn pairwise() -> Self {
        Self { pairwise: Some(false), ..Self::default() }
    }

    /// What was done so far costs this.
    #[must_use]
    pub const fn count(&self) -> Count {
        self.count
    }

    /// Each operation that costs something, up to [`LISTED`] of them.
    #[must_use]
    pub fn operations(&self) -> &[(Op, Count)] {
        &self.operations
    }

    fn add(&mut self, op: Op, count: Count) {
        self.count += count;
        if self.operations.len() < LISTED {
            self.operations.push((op, count));
        }
    }

    /// Messages of transfers, C0's words and C1's; the first of them begin the transfers.
    fn transfers(&mut self, messages: Vec<[usize; 2]>) -> Count {
        if messages.is_empty() {
            return Count::default();
        }
        let begun = self.pairwise.replace(true) == Some(true);
        let begin = if begun { vec![] } else { pairwise::begin() };
        let mut count = Count::default();
        for words in begin.into_iter().chain(messages) {
            count.rounds += words.into_iter().map(waits).max().unwrap_or(0) as u64;
            for (i, words) in words.into_iter().enumerate().filter(|(_, words)| *words > 0) {
                count.messages[i] += pieces(words) as u64;
                count.bytes[i] += frame_bytes(words) as u64;
            }
        }
        count
    }

    /// One exchange of so many words each way.
    fn exchange(words: usize) -> Count {
        let (frames, bytes) = (pieces(words) as u64, frame_bytes(words) as u64);
        Count {
            rounds: waits(words) as u64,
            messages: [frames; 2],
            bytes: [bytes; 2],
            ..Count::default()
        }
    }
}

impl Engine for Cost {
    type Shared = ();
    type Masked = ();
    type Bit = ();
    type Rows = ();
    type Opened = Meta;

    fn step(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn input(&mut self, _: Op, _: &str, _: Meta) -> Result<()> {
        Ok(())
    }

    fn dealer_input(&mut self, op: Op, _: &str, meta: Meta) -> Result<()> {
        if self.pairwise.is_some() {
            return Ok(());
        }
        let dealt = frame_bytes(meta.shape.len()) as u64;
        self.add(op, Count { dealt, ..Count::default() });
        Ok(())
    }

    fn public(&mut self, _: Shape, _: Vec<u64>) {}

    fn mask(&mut self, op: Op, xs: &[(&(), Meta)]) -> Result<Vec<()>> {
        self.add(op, Self::exchange(xs.iter().map(|((), meta)| meta.shape.len()).sum()));
        Ok(vec![(); xs.len()])
    }

    fn unmask(&mut self, (): &()) {}

    fn product(
        &mut self,
        op: Op,
        form: Product,
        ((), x): (&(), Meta),
        ((), y): (&(), Meta),
        out: Meta,
    ) -> Result<()> {
        let inner = match form {
            Product::Entries => 1,
            Product::Matrix(t) if t.first() => x.shape.rows,
            Product::Matrix(_) => x.shape.cols,
        };
        let multiplications = 2 * (out.shape.len() * inner) as u64;
        let mut count = match self.pairwise {
            Some(_) => self.transfers(pairwise::product(form, x.shape, y.shape)),
            None => Count { dealt: frame_bytes(out.shape.len()) as u64, ..Count::default() },
        };
        count.multiplications = multiplications;
        self.add(op, count);
        Ok(())
    }

    fn act(&mut self, op: Op, tasks: &[Task<'_, Self>]) -> Result<Vec<Outcome<Self>>> {
        let plans: Vec<(Plan, usize)> =
            tasks.iter().map(|task| (Plan::new(task.act), task.meta.shape.len())).collect();
        let rounds = plans.iter().map(|(plan, _)| plan.rounds()).max().unwrap_or(0);
        let mut count = Count::default();
        for round in 0..rounds {
            let live = plans.iter().filter(|(plan, _)| round < plan.rounds());
            count += Self::exchange(live.map(|(plan, n)| plan.sent(round, *n)).sum());
        }
        if self.pairwise.is_some() {
            let tasks: Vec<_> = plans.iter().map(|(plan, n)| (plan.act, *n)).collect();
            count += self.transfers(pairwise::acts(&tasks));
        } else {
            let dealt = plans.iter().map(|(plan, n)| plan.dealt() * blocks(*n)).sum();
            count.dealt = frame_bytes(dealt) as u64;
        }
        self.add(op, count);
        Ok(plans
            .iter()
            .map(|(plan, _)| Outcome {
                value: plan.gives_number().then_some(()),
                bit: plan.gives_bits().then_some(()),
            })
            .collect())
    }

    fn number(&mut self, (): &()) {}

    fn not(&mut self, (): &()) {}

    fn prepare(&mut self, op: Op, (): (), meta: Meta) -> Result<()> {
        self.add(op, Self::exchange(meta.shape.len()));
        Ok(())
    }

    fn rows(&mut self, (): &(), _: Meta, _: &[u32]) -> Result<()> {
        Ok(())
    }

    fn open(&mut self, op: Op, xs: &[(&(), Meta)], to: Audience) -> Result<Vec<Meta>> {
        let words = xs.iter().map(|((), meta)| meta.shape.len()).sum();
        let mut count = Self::exchange(words);
        if let Audience::One(reader) = to {
            // The reader sends nothing, and nobody waits after having sent.
            count.rounds = 0;
            count.messages[reader.index()] = 0;
            count.bytes[reader.index()] = 0;
        }
        self.add(op, count);
        Ok(xs.iter().map(|((), meta)| *meta).collect())
    }

    fn check(&mut self, _: Op, (): &(), _: Meta) -> Result<()> {
        Ok(())
    }

    fn agree(&mut self, op: Op, trace: [u8; 32]) -> Result<()> {
        let words = trace.len() / 8;
        let dealt = if self.pairwise.is_some() { 0 } else { frame_bytes(words) as u64 };
        self.add(op, Count { dealt, ..Self::exchange(words) });
        Ok(())
    }
}
