//! A cloud's side of truncation, comparison, equality, ReLU and gate: see [`crate::bits`] for the
//! protocol and its letters. Each round prepares every tensor, exchanges once, finishes every
//! tensor.

#![expect(clippy::inline_always, reason = "what is vectorised must be compiled for wide vectors")]
#![expect(clippy::large_stack_arrays, reason = "a chunk's parts, at most 30 KiB, in one frame")]

use super::dealt::Dealt;
use crate::bits::parts::{Chunk, Sections, chunks, parts_mut};
use crate::bits::plan::{Plan, blocks};
use crate::bits::plane::{Plane, slice, vectorised};
use crate::bits::tables::look_up;
use crate::bits::words::{Bits, Block, LIFT, lifted};
use crate::engine::Act;
use crate::prg::{Label, Prg, Stream};
use crate::tensor::Veiled;
use rayon::prelude::*;
use std::sync::Arc;

/// One tensor on its way through the rounds.
pub(super) struct Run<'a> {
    pub plan: Plan,
    sections: Sections,
    chunks: Vec<Chunk>,
    /// Is this the cloud that adds what is public?
    first: bool,
    z: &'a [u64],
    /// What the first cloud adds to its share: the rounding constant, and the lift.
    add: u64,
    gated_by: Option<&'a Veiled>,
    /// Its shares of masks.
    masks: Dealt,
    dealt: Dealt,
    prg: Arc<Prg>,
    /// Of its masks of bits; where they begin is in `at`.
    label: Label,
    at: Offsets,
    /// ẑ
    hat: Vec<u64>,
    /// Its shares of the inputs of the next layer, or of the results.
    inputs: Vec<u64>,
    inputs_each: usize,
}

/// Where a tensor's parts begin in the operation's streams, in words.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offsets {
    pub masks: u64,
    pub bits: u64,
    pub dealt: u64,
}

impl Offsets {
    /// Behind a tensor of so many entries.
    pub(crate) fn after(self, plan: &Plan, entries: usize) -> Self {
        Self {
            masks: self.masks + entries as u64,
            bits: self.bits + (plan.bit_masks() * blocks(entries)) as u64,
            dealt: self.dealt + (plan.dealt() * blocks(entries)) as u64,
        }
    }
}

/// Runs `f` for a width that is known to the compiler.
macro_rules! by_width {
    ($chunk:expr, $f:ident($($argument:expr),*)) => {
        match $chunk.width {
            1 => vectorised(|| $f::<1>($($argument),*)),
            _ => vectorised(|| $f::<{ crate::bits::parts::WIDE }>($($argument),*)),
        }
    };
}
pub(crate) use by_width;

impl<'a> Run<'a> {
    #[expect(clippy::too_many_arguments, reason = "all that a run is made of")]
    pub(super) fn new(
        act: Act,
        (z, add): (&'a [u64], u64),
        gated_by: Option<&'a Veiled>,
        first: bool,
        prg: Arc<Prg>,
        (step, operation): (u64, u32),
        at: Offsets,
        [masks, dealt]: [Dealt; 2],
    ) -> Self {
        let plan = Plan::new(act);
        let lift = if lifted(act) { LIFT } else { 0 };
        Self {
            sections: Sections::of(&plan),
            chunks: chunks(z.len()),
            plan,
            first,
            z,
            add: if first { add.wrapping_add(lift) } else { 0 },
            gated_by,
            masks,
            dealt,
            prg,
            label: Label { step, operation, stream: Stream::Bits },
            at,
            hat: vec![],
            inputs: vec![],
            inputs_each: 0,
        }
    }

    /// Appends what is sent in this round.
    pub(super) fn prepare(&self, round: usize, out: &mut Vec<u64>) {
        if round >= self.plan.rounds() {
            return;
        }
        let start = out.len();
        let words = self.plan.sent(round, self.z.len());
        out.resize(start + words, 0);
        let out = &mut out[start..];
        if round == 0 {
            self.masks.read(0, out);
            for (out, z) in out.iter_mut().zip(self.z) {
                *out = out.wrapping_add(*z).wrapping_add(self.add);
            }
            return;
        }
        let each = self.plan.opened(round);
        let opened = self.opened(round);
        for (chunk, out) in parts_mut(out, &self.chunks, each) {
            let w = chunk.width;
            let inputs = &self.inputs[chunk.first * self.inputs_each..];
            self.round_masks(chunk, round, out);
            for (i, input) in opened.iter().enumerate() {
                for k in 0..w {
                    out[i * w + k] ^= inputs[input * w + k];
                }
            }
        }
    }

    /// Inputs that are opened in this round.
    fn opened(&self, round: usize) -> &[usize] {
        match self.plan.layers.get(round - 1) {
            Some(layer) => &layer.opened,
            None => &self.plan.results,
        }
    }

    /// Its masks of what is opened in this round, in a chunk.
    fn round_masks(&self, chunk: Chunk, round: usize, out: &mut [u64]) {
        let before: usize = (1..round).map(|round| self.plan.opened(round)).sum();
        let at = chunk.first * self.plan.bit_masks() + before * chunk.width;
        self.prg.words(self.label, self.at.bits + at as u64, out);
    }

    /// Takes what both sent in this round.
    pub(super) fn finish(&mut self, round: usize, mine: &[u64], theirs: &[u64]) {
        if round >= self.plan.rounds() {
            return;
        }
        if round == 0 {
            self.hat = mine.iter().zip(theirs).map(|(a, b)| a.wrapping_add(*b)).collect();
            if !self.plan.digits.is_empty() {
                self.look_up();
            }
        } else if round <= self.plan.layers.len() {
            self.fold(round, mine, theirs);
        } else {
            // ĉ and b̂
            self.inputs = mine.iter().zip(theirs).map(|(a, b)| a ^ b).collect();
            self.inputs_each = self.plan.results.len();
        }
    }

    /// eq and lt of each digit.
    fn look_up(&mut self) {
        let each = 2 * self.plan.digits.len();
        let mut inputs = vec![0; each * blocks(self.z.len())];
        let this = &*self;
        let parts = parts_mut(&mut inputs, &self.chunks, each);
        parallel(parts, |(chunk, out)| by_width!(chunk, look_up_chunk(this, chunk, out)));
        (self.inputs, self.inputs_each) = (inputs, each);
        if self.plan.layers.is_empty() {
            self.add_signs();
        }
    }

    /// A layer of products.
    fn fold(&mut self, round: usize, mine: &[u64], theirs: &[u64]) {
        let each = self.plan.layers[round - 1].outputs();
        let mut outputs = vec![0; each * blocks(self.z.len())];
        let this = &*self;
        let parts = parts_mut(&mut outputs, &self.chunks, each);
        parallel(parts, |(chunk, out)| {
            let sent = this.plan.opened(round);
            let range = chunk.first * sent..(chunk.first + chunk.width) * sent;
            let (mine, theirs) = (&mine[range.clone()], &theirs[range]);
            by_width!(chunk, fold_chunk(this, round, chunk, mine, theirs, out));
        });
        (self.inputs, self.inputs_each) = (outputs, each);
        if round == self.plan.layers.len() {
            self.add_signs();
        }
    }

    /// b = 1 ^ msb ẑ ^ msb r ^ lt, where the sign is wanted.
    fn add_signs(&mut self) {
        if !self.plan.uses_sign() {
            return;
        }
        let each = self.inputs_each;
        // The sign's borrow is the last result.
        let Some(place) = self.plan.results.last().copied() else { return };
        let mut inputs = std::mem::take(&mut self.inputs);
        for (chunk, part) in parts_mut(&mut inputs, &self.chunks, each) {
            let w = chunk.width;
            let mut signs = [0; crate::bits::parts::WIDE];
            self.dealt.read(self.section(chunk, self.sections.sign), &mut signs[..w]);
            for (k, sign) in signs[..w].iter().enumerate() {
                let entries = Chunk { first: chunk.first + k, width: 1 }.entries(self.hat.len());
                let hats = self.hat[entries].iter().enumerate();
                let not_negative = hats.fold(0, |all, (e, hat)| all | ((hat >> 63) ^ 1) << e);
                let public = if self.first { not_negative } else { 0 };
                part[place * w + k] ^= sign ^ public;
            }
        }
        self.inputs = inputs;
    }

    /// Where a section of what is dealt for a chunk begins.
    fn section(&self, chunk: Chunk, plane: usize) -> usize {
        chunk.first * self.plan.dealt() + plane * chunk.width
    }

    /// The results, when all rounds are over: a number, bits, or both.
    pub(super) fn results(self) -> (Option<Vec<u64>>, Option<Veiled>) {
        let n = self.z.len();
        let (gives_number, gives_bits) = (self.plan.gives_number(), self.plan.gives_bits());
        let mut value = vec![0; if gives_number { n } else { 0 }];
        let mut bits = Veiled { hat: vec![0; n], share: vec![0; n] };
        if !gives_bits {
            bits = Veiled { hat: vec![], share: vec![] };
        }
        let mut parts = Vec::with_capacity(self.chunks.len());
        let (mut values, mut hats, mut shares) =
            (Rest(&mut value), Rest(&mut bits.hat), Rest(&mut bits.share));
        for chunk in &self.chunks {
            let len = chunk.entries(n).len();
            parts.push((*chunk, values.cut(len), hats.cut(len), shares.cut(len)));
        }
        parallel(parts, |(chunk, value, hat, share)| {
            vectorised(|| self.combine(chunk, value, hat, share));
        });
        (gives_number.then_some(value), gives_bits.then_some(bits))
    }

    #[inline(always)]
    fn combine(&self, chunk: Chunk, value: &mut [u64], hat: &mut [u64], share: &mut [u64]) {
        let w = chunk.width;
        let kinds = self.plan.words();
        let mut words = [0; 7 * 64 * crate::bits::parts::WIDE];
        let words = &mut words[..kinds * 64 * w];
        let words = self.dealt.get(self.section(chunk, self.sections.words), words);
        let planes = &self.inputs[chunk.first * self.inputs_each..];
        let results = self.plan.results.len();
        let plane = |i: usize, k: usize| if i < results { planes[i * w + k] } else { 0 };
        for k in 0..w {
            let entries = Chunk { first: chunk.first + k, width: 1 }.entries(self.z.len());
            let inside = entries.start - 64 * chunk.first..entries.end - 64 * chunk.first;
            let words = &words[64 * k..];
            let own = |i: usize| Bits::Own(plane(i, k));
            let (c, b) = match self.plan.act {
                Act::Truncate(_) => (plane(0, k), Bits::None),
                Act::Sign | Act::Zero => (0, own(0)),
                Act::Relu(_) => (plane(0, k), own(1)),
                Act::Gate(_) => match self.gated_by {
                    Some(bit) => (
                        plane(0, k),
                        Bits::Given(&bit.hat[entries.clone()], &bit.share[entries.clone()]),
                    ),
                    None => (0, Bits::None),
                },
            };
            if let Bits::Own(bits) = b {
                // β is the last of the words.
                let beta = &words[(kinds - 1) * 64 * w..];
                for (e, at) in inside.clone().enumerate() {
                    hat[at] = bits >> e & 1;
                    share[at] = beta[e];
                }
            }
            if !value.is_empty() {
                let mut r = [0; 64];
                let r = &mut r[..inside.len()];
                if self.plan.act == Act::Gate(0) {
                    self.masks.read(entries.start, r);
                }
                let hat = &self.hat[entries];
                let (act, first, stride) = (self.plan.act, self.first, 64 * w);
                let block = Block { act, first, hat, r, c, words, stride, b };
                block.combine(&mut value[inside]);
            }
        }
    }
}

/// What is not yet cut off.
struct Rest<'a>(&'a mut [u64]);

impl<'a> Rest<'a> {
    /// The next `len` words, if there are any.
    fn cut(&mut self, len: usize) -> &'a mut [u64] {
        let len = len.min(self.0.len());
        let (part, rest) = std::mem::take(&mut self.0).split_at_mut(len);
        self.0 = rest;
        part
    }
}

/// Chunks that are given to a core at a time.
const AT_A_TIME: usize = 8;

/// Over all cores, where it is worth it.
pub(crate) fn parallel<T: Send>(parts: Vec<T>, work: impl Fn(T) + Sync + Send) {
    if parts.len() <= AT_A_TIME {
        parts.into_iter().for_each(work);
    } else {
        parts.into_par_iter().with_min_len(AT_A_TIME).for_each(work);
    }
}

#[inline(always)]
fn look_up_chunk<const W: usize>(run: &Run<'_>, chunk: Chunk, out: &mut [u64]) {
    let hat = slice::<W>(&run.hat[chunk.entries(run.hat.len())]);
    let mut tables = [0; 16 * 17 * crate::bits::parts::WIDE];
    let tables = &mut tables[..run.plan.table_planes() * W];
    let tables = run.dealt.get(run.section(chunk, 0), tables);
    let mut found = [Plane::<W>::ZERO; 34];
    let found = &mut found[..2 * run.plan.digits.len()];
    look_up(&run.plan, &hat, tables, run.first, found);
    for (plane, out) in found.iter().zip(out.chunks_exact_mut(W)) {
        plane.write(out);
    }
}

#[inline(always)]
fn fold_chunk<const W: usize>(
    run: &Run<'_>,
    round: usize,
    chunk: Chunk,
    mine: &[u64],
    theirs: &[u64],
    out: &mut [u64],
) {
    let layer = &run.plan.layers[round - 1];
    let read = |words: &[u64], i: usize| Plane::<W>::read(&words[i * W..]);
    let opened = layer.opened.len();
    let mut hats = [Plane::ZERO; 34];
    let mut shares = [Plane::ZERO; 34 + MOST_PRODUCTS];
    let mut inputs = [Plane::ZERO; 34];
    let mut masks = [0; 34 * crate::bits::parts::WIDE];
    let masks = &mut masks[..opened * W];
    run.round_masks(chunk, round, masks);
    let all = &run.inputs[chunk.first * run.inputs_each..];
    for (i, input) in inputs[..layer.inputs].iter_mut().enumerate() {
        *input = read(all, i);
    }
    for i in 0..opened {
        hats[i] = read(mine, i) ^ read(theirs, i);
        shares[i] = read(masks, i);
    }
    let mut products = [0; MOST_PRODUCTS * crate::bits::parts::WIDE];
    let products = &mut products[..layer.products.len() * W];
    let products = run.dealt.get(run.section(chunk, run.sections.products[round - 1]), products);
    for i in 0..layer.products.len() {
        shares[opened + i] = read(products, i);
    }
    let mut outputs = [Plane::ZERO; 34];
    let outputs = &mut outputs[..layer.outputs()];
    layer.evaluate(&inputs[..layer.inputs], &hats[..opened], &shares, run.first, outputs);
    for (plane, out) in outputs.iter().zip(out.chunks_exact_mut(W)) {
        plane.write(out);
    }
}

/// Products of masks in a layer: five groups of 22 at most.
const MOST_PRODUCTS: usize = 112;
