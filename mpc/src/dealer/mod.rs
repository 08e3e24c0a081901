//! The engine of the key centre: the same program, on masks. It draws what both clouds draw, and
//! deals C1 what C0's seed lacks to the correlations.
//!
//! ```text
//! mask      A = A_0 + A_1
//! product   C = A B, C1 is dealt C - C_0
//! act       see [`crate::bits`]: tables of r's digits, products of bit masks, words of r, β, γ
//! input     of its own, x: C1 is dealt x - x_0
//! ```
//!
//! Who learns what: the dealer has all masks and receives nothing but how far it may run ahead, and
//! the hash of the program that C1 ran; so it learns nothing of the data, unless a cloud hands it what was opened. It holds no numbers, so
//! a program cannot branch on what it opens. Of its own inputs either share is uniform (C0's a
//! stream, C1's x less that), so each cloud alone learns nothing.

mod acts;

use crate::bits::parts::Sections;
use crate::bits::plan::{Plan, blocks};
use crate::contract::Contract;
use crate::correlations::Sink;
use crate::engine::clear::{product, take_input};
use crate::engine::{Act, Audience, Engine, Outcome, Product, Task};
use crate::error::{Op, Result, Who};
use crate::party::act::Offsets;
use crate::party::row_masks;
use crate::prg::{Label, OpenOnce, Party as Side, Prg, Seed, Stream};
use crate::ring::{add, subtract};
use crate::tensor::{Meta, Shape};
use crate::wire::{self, HEADER, Header, Kind, PIECE, piece_words, put_words};
use acts::Dealing;
use bytes::BytesMut;
use std::collections::HashMap;

/// The program on masks.
pub struct Dealer {
    /// C0's and C1's streams.
    prgs: [Prg; 2],
    /// Of their seeds.
    checks: [[u8; 16]; 2],
    sink: Box<dyn Sink>,
    /// Its own.
    inputs: HashMap<String, (Meta, Vec<u64>)>,
    /// What is dealt twice under one label tells C1 how the two differ.
    once: OpenOnce,
    /// Room for what is being dealt, kept so that it is not made anew each time.
    room: Vec<u64>,
}

impl Dealer {
    /// Deals to C1 over `sink`; C0 needs nothing but its seed.
    #[must_use]
    pub fn new(seeds: [&Seed; 2], sink: Box<dyn Sink>) -> Self {
        let (prgs, checks) = (seeds.map(Prg::new), seeds.map(Seed::check));
        Self { prgs, checks, sink, inputs: HashMap::new(), once: OpenOnce::new(), room: vec![] }
    }

    /// Gives an input of its own: what neither cloud may know.
    pub fn give(&mut self, name: &str, meta: Meta, values: Vec<u64>) {
        self.inputs.insert(name.to_owned(), (meta, values));
    }

    /// Deals values: C0's share is its own stream, C1's what lacks.
    fn share_out(&mut self, op: Op, shape: u32, mut values: Vec<u64>) -> Result<()> {
        let mut share = vec![0; values.len()];
        self.prgs[0].fill(label(op, Stream::Share), 0, &mut share);
        subtract(&mut values, &share);
        let mut out = Outbox::new(op, shape, values.len());
        out.push(&mut *self.sink, &values)?;
        out.close(&mut *self.sink)
    }

    /// Makes sure that C1 runs this attempt at this program, and that the seeds are those it names.
    pub fn greet(&mut self, contract: &Contract) -> Result<()> {
        let who = Who::new("dealer", &contract.attempt.job);
        for side in [Side::Zero, Side::One] {
            contract.check_seed(&who, side, self.checks[side.index()])?;
        }
        self.sink.greet(contract)
    }

    /// Nothing more is dealt. Gives the bytes that were, headers included.
    pub fn finish(mut self) -> Result<u64> {
        self.sink.finish()?;
        Ok(self.sink.bytes())
    }

    /// A mask: the sum of what both clouds draw.
    fn sum(&self, label: Label, first: u64, out: &mut [u64]) {
        let mut other = vec![0; out.len()];
        self.prgs[0].fill(label, first, out);
        self.prgs[1].fill(label, first, &mut other);
        add(out, &other);
    }
}

const fn label(op: Op, stream: Stream) -> Label {
    Label { step: op.step, operation: op.number, stream }
}

impl Engine for Dealer {
    type Shared = ();
    type Masked = Vec<u64>;
    type Bit = Vec<u64>;
    type Rows = Label;
    type Opened = Meta;

    fn step(&mut self, step: u64) -> Result<()> {
        self.sink.step(Op { step, number: 0, name: "step" })
    }

    fn input(&mut self, _: Op, _: &str, _: Meta) -> Result<()> {
        Ok(())
    }

    fn dealer_input(&mut self, op: Op, name: &str, meta: Meta) -> Result<()> {
        self.once.open(op.step, op.number)?;
        let values = take_input(&mut self.inputs, op, name, meta)?;
        self.share_out(op, wire::shape(op, [meta].into_iter(), &[]), values)
    }

    fn public(&mut self, _: Shape, _: Vec<u64>) {}

    fn mask(&mut self, op: Op, xs: &[(&(), Meta)]) -> Result<Vec<Vec<u64>>> {
        self.once.open(op.step, op.number)?;
        let mut at = 0;
        Ok(xs
            .iter()
            .map(|((), meta)| {
                let mut mask = vec![0; meta.shape.len()];
                self.sum(label(op, Stream::Mask), at, &mut mask);
                at += mask.len() as u64;
                mask
            })
            .collect())
    }

    fn unmask(&mut self, _: &Vec<u64>) {}

    fn product(
        &mut self,
        op: Op,
        form: Product,
        (a, ma): (&Vec<u64>, Meta),
        (b, mb): (&Vec<u64>, Meta),
        out: Meta,
    ) -> Result<()> {
        self.once.open(op.step, op.number)?;
        let shape = wire::shape(op, [ma, mb].into_iter(), &[]);
        self.share_out(op, shape, product(form, (a, ma.shape), (b, mb.shape), out.shape))
    }

    fn act(&mut self, op: Op, tasks: &[Task<'_, Self>]) -> Result<Vec<Outcome<Self>>> {
        self.once.open(op.step, op.number)?;
        let acts: Vec<Act> = tasks.iter().map(|task| task.act).collect();
        let shape = wire::shape(op, tasks.iter().map(|task| task.meta), &acts);
        let plans: Vec<Plan> = acts.iter().map(|act| Plan::new(*act)).collect();
        let words =
            |(plan, task): (&Plan, &Task<'_, Self>)| plan.dealt() * blocks(task.meta.shape.len());
        let mut out = Outbox::new(op, shape, plans.iter().zip(tasks).map(words).sum());
        let mut at = Offsets::default();
        let mut outcomes = Vec::with_capacity(tasks.len());
        for (plan, task) in plans.iter().zip(tasks) {
            let n = task.meta.shape.len();
            let dealing = Dealing {
                prgs: &self.prgs,
                plan,
                sections: Sections::of(plan),
                entries: n,
                at,
                label: label(op, Stream::Share),
                gated_by: task.bit.map(Vec::as_slice),
            };
            let beta = dealing.all(&mut self.room, |words| out.push(&mut *self.sink, words))?;
            at = at.after(plan, n);
            outcomes.push(Outcome {
                value: plan.gives_number().then_some(()),
                bit: plan.gives_bits().then_some(beta),
            });
        }
        out.close(&mut *self.sink)?;
        Ok(outcomes)
    }

    fn number(&mut self, _: &Vec<u64>) {}

    /// The mask of the opposite bit is the same.
    fn not(&mut self, b: &Vec<u64>) -> Vec<u64> {
        b.clone()
    }

    fn prepare(&mut self, op: Op, (): (), _: Meta) -> Result<Label> {
        self.once.open(op.step, op.number)?;
        Ok(label(op, Stream::Rows))
    }

    fn rows(&mut self, table: &Label, meta: Meta, rows: &[u32]) -> Result<Vec<u64>> {
        let mut masks = row_masks(&self.prgs[0], *table, meta, rows);
        add(&mut masks, &row_masks(&self.prgs[1], *table, meta, rows));
        Ok(masks)
    }

    fn open(&mut self, _: Op, xs: &[(&(), Meta)], _: Audience) -> Result<Vec<Meta>> {
        Ok(xs.iter().map(|((), meta)| *meta).collect())
    }

    fn check(&mut self, _: Op, (): &(), _: Meta) -> Result<()> {
        Ok(())
    }

    /// C1 holds it against its own, and tells it, to be held against this.
    fn agree(&mut self, op: Op, trace: [u8; 32]) -> Result<()> {
        self.sink.agree(op, trace)
    }
}

/// What is dealt for an operation, on its way into frames.
struct Outbox {
    op: Op,
    header: Header,
    words: usize,
    piece: usize,
    frame: BytesMut,
}

impl Outbox {
    fn new(op: Op, shape: u32, words: usize) -> Self {
        let header = Header::new(Kind::Dealt, op, shape, 0);
        let frame = header.piece(0, piece_words(words, 0)).begin();
        Self { op, header, words, piece: 0, frame }
    }

    /// Appends words; a full frame goes.
    fn push(&mut self, sink: &mut dyn Sink, mut words: &[u64]) -> Result<()> {
        while !words.is_empty() {
            let full = HEADER + 8 * piece_words(self.words, self.piece);
            let room = (full - self.frame.len()) / 8;
            let (part, rest) = words.split_at(room.min(words.len()));
            put_words(&mut self.frame, part);
            words = rest;
            if self.frame.len() == full {
                self.piece += 1;
                let left = self.words.saturating_sub(self.piece * PIECE).min(PIECE);
                let next = self.header.piece(self.piece, left).begin();
                sink.put(self.op, std::mem::replace(&mut self.frame, next).freeze())?;
            }
        }
        Ok(())
    }

    /// Of an operation on nothing goes an empty frame: C1 waits for one.
    fn close(self, sink: &mut dyn Sink) -> Result<()> {
        if self.words == 0 { sink.put(self.op, self.frame.freeze()) } else { Ok(()) }
    }
}
