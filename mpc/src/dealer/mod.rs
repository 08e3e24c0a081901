//! The engine of the key centre: the same program, on masks. It draws what both clouds draw, and
//! deals C1 what C0's seed lacks to the correlations.
//!
//! ```text
//! mask      A = A_0 + A_1
//! product   C = A B, C1 is dealt C - C_0
//! act       see [`crate::bits`]: tables of r's digits, products of bit masks, words of r, β, γ
//! ```
//!
//! Who learns what: the dealer has all masks and receives nothing but how far it may run ahead; so
//! it learns nothing of the data, unless a cloud hands it what was opened. It holds no numbers, so
//! a program cannot branch on what it opens.

use crate::bits::parts::{Chunk, Sections, WIDE, chunks, parts_mut};
use crate::bits::plan::{Plan, blocks};
use crate::bits::plane::{Plane, slice, vectorised};
use crate::bits::tables::decode;
use crate::bits::words::{Masks, deal};
use crate::contract::Contract;
use crate::correlations::Sink;
use crate::engine::clear::product;
use crate::engine::{Act, Audience, Engine, Outcome, Product, Task};
use crate::error::{Op, Result, Who};
use crate::party::act::{Offsets, by_width, parallel};
use crate::party::row_masks;
use crate::prg::{Label, OpenOnce, Party as Side, Prg, Seed, Stream};
use crate::tensor::Meta;
use crate::wire::{self, HEADER, Header, Kind, PIECE, piece_words, put_words};
use bytes::BytesMut;

/// The program on masks.
pub struct Dealer {
    /// C0's and C1's streams.
    prgs: [Prg; 2],
    /// Of their seeds.
    checks: [[u8; 16]; 2],
    sink: Box<dyn Sink>,
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
        Self { prgs, checks, sink, once: OpenOnce::new(), room: vec![] }
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
        for (out, other) in out.iter_mut().zip(other) {
            *out = out.wrapping_add(other);
        }
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

    fn public(&mut self, _: Vec<u64>) {}

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
        let mut c = product(form, (a, ma.shape), (b, mb.shape), out.shape);
        let mut share = vec![0; c.len()];
        self.prgs[0].fill(label(op, Stream::Share), 0, &mut share);
        for (c, share) in c.iter_mut().zip(share) {
            *c = c.wrapping_sub(share);
        }
        let mut out = Outbox::new(op, shape, c.len());
        out.push(&mut *self.sink, &c)?;
        out.close(&mut *self.sink)
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
        let others = row_masks(&self.prgs[1], *table, meta, rows);
        for (mask, other) in masks.iter_mut().zip(others) {
            *mask = mask.wrapping_add(other);
        }
        Ok(masks)
    }

    fn open(&mut self, _: Op, xs: &[(&(), Meta)], _: Audience) -> Result<Vec<Meta>> {
        Ok(xs.iter().map(|((), meta)| *meta).collect())
    }

    fn check(&mut self, _: Op, (): &(), _: Meta) -> Result<()> {
        Ok(())
    }

    fn agree(&mut self, _: Op, _: [u8; 32]) -> Result<()> {
        Ok(())
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

/// What is dealt for an act on one tensor.
struct Dealing<'a> {
    prgs: &'a [Prg; 2],
    plan: &'a Plan,
    sections: Sections,
    entries: usize,
    at: Offsets,
    /// Of C0's shares.
    label: Label,
    /// β of a gate's bits.
    gated_by: Option<&'a [u64]>,
}

impl Dealing<'_> {
    /// C1's shares, some chunks at a time; gives β of the bits that come out, as words.
    fn all(
        &self,
        room: &mut Vec<u64>,
        mut put: impl FnMut(&[u64]) -> Result<()>,
    ) -> Result<Vec<u64>> {
        let chunks = chunks(self.entries);
        let gives_bits = self.plan.gives_bits();
        let mut beta = vec![0; if gives_bits { 64 * blocks(self.entries) } else { 0 }];
        let mut betas = &mut beta[..];
        let each = self.plan.dealt();
        let at_a_time = (PIECE / (each * WIDE)).max(1);
        let most = each * blocks(self.entries).min(at_a_time * WIDE);
        if room.len() < most {
            room.resize(most, 0);
        }
        for chunks in chunks.chunks(at_a_time) {
            let width: usize = chunks.iter().map(|chunk| chunk.width).sum();
            let (these, behind) =
                std::mem::take(&mut betas).split_at_mut(if gives_bits { 64 * width } else { 0 });
            betas = behind;
            let these = parts_mut(these, chunks, if gives_bits { 64 } else { 0 });
            let parts = parts_mut(room, chunks, each);
            let parts: Vec<_> = parts.into_iter().zip(these).collect();
            parallel(parts, |((chunk, out), (_, beta))| {
                by_width!(chunk, deal_chunk(self, chunk, out, beta));
            });
            put(&room[..each * width])?;
        }
        beta.truncate(self.entries);
        Ok(beta)
    }

    fn stream(&self, stream: Stream) -> Label {
        Label { stream, ..self.label }
    }
}

#[expect(clippy::inline_always, reason = "it must be compiled for wide vectors")]
#[inline(always)]
fn deal_chunk<const W: usize>(
    dealing: &Dealing<'_>,
    chunk: Chunk,
    out: &mut [u64],
    beta_out: &mut [u64],
) {
    let Dealing { prgs: [zero, one], plan, sections, at, .. } = dealing;
    // r
    let entries = chunk.entries(dealing.entries);
    let mut r = [0; 64 * WIDE];
    let mut other = [0; 64 * WIDE];
    let (r, other) = (&mut r[..entries.len()], &mut other[..entries.len()]);
    let masks = dealing.stream(Stream::Mask);
    zero.words(masks, at.masks + entries.start as u64, r);
    one.words(masks, at.masks + entries.start as u64, other);
    for (r, other) in r.iter_mut().zip(other) {
        *r = r.wrapping_add(*other);
    }
    // Masks of bits.
    let count = plan.bit_masks();
    let mut mine = [0; MOST_MASKS * WIDE];
    let mut theirs = [0; MOST_MASKS * WIDE];
    let (mine, theirs) = (&mut mine[..count * W], &mut theirs[..count * W]);
    let first = at.bits + (chunk.first * count) as u64;
    zero.words(dealing.stream(Stream::Bits), first, mine);
    one.words(dealing.stream(Stream::Bits), first, theirs);
    let mut masks = [Plane::<W>::ZERO; MOST_MASKS];
    for (i, mask) in masks[..count].iter_mut().enumerate() {
        *mask = Plane::read(&mine[i * W..]) ^ Plane::read(&theirs[i * W..]);
    }
    // C0's shares, which become C1's.
    zero.words(dealing.label, at.dealt + (chunk.first * plan.dealt()) as u64, out);
    let (planes, words) = out.split_at_mut(plan.dealt_planes() * W);
    let mut put = |i: usize, plane: Plane<W>| {
        let out = &mut planes[i * W..][..W];
        (Plane::read(out) ^ plane).write(out);
    };
    let bits = slice::<W>(r);
    let mut i = 0;
    for digit in &plan.digits {
        let hot = decode(&bits, *digit);
        for plane in &hot[1..=digit.planes()] {
            put(i, *plane);
            i += 1;
        }
    }
    if plan.uses_sign() {
        put(sections.sign, bits[63]);
    }
    let mut before = 0;
    for (layer, products) in plan.layers.iter().zip(sections.products) {
        layer.multiply_masks(&masks[before..], |i, plane| put(products + i, plane));
        before += layer.opened.len();
    }
    // γ and β are the masks of the results.
    let none = Plane::ZERO;
    let results = &masks[before..count];
    let (gamma, beta) = match plan.act {
        Act::Truncate(_) => (results[0], none),
        Act::Gate(_) => (results.first().copied().unwrap_or(none), none),
        Act::Sign | Act::Zero => (none, results[0]),
        Act::Relu(_) => (results[0], results[1]),
    };
    let mut kinds: Vec<&mut [u64]> = words.chunks_exact_mut(64 * W).collect();
    for (k, r) in r.chunks(64).enumerate() {
        let beta = match dealing.gated_by {
            Some(words) => {
                let start = entries.start + 64 * k;
                Masks::Words(&words[start..start + r.len()])
            }
            None => Masks::Bits(beta.0[k]),
        };
        let mut block: [&mut [u64]; 7] = Default::default();
        for (block, kind) in block.iter_mut().zip(&mut kinds) {
            *block = &mut kind[64 * k..64 * k + 64];
        }
        deal(plan.act, r, beta, gamma.0[k], &mut block[..plan.words()]);
    }
    for (k, out) in beta_out.chunks_exact_mut(64).enumerate() {
        for (e, out) in out.iter_mut().enumerate() {
            *out = beta.0[k] >> e & 1;
        }
    }
}

/// Masks of bits in a block: of 34 inputs, 10 groups' bits and 2 results at most.
const MOST_MASKS: usize = 48;
