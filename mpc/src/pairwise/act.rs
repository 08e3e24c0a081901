//! The randomness of truncation, comparison, equality, ReLU and gate: see the parent module, and
//! [`crate::bits`] for what it is for.

use super::recipe::Recipe;
use super::{Made, Pairwise};
use crate::bits::parts::{WIDE, chunks};
use crate::bits::plan::blocks;
use crate::bits::plane::{slice, vectorised};
use crate::engine::Act;
use crate::error::{Op, Result};
use crate::line::Line;
use crate::party::act::Offsets;
use crate::prg::{Label, Party as Side, Prg, Stream};
use crate::transfer::products::{Asks, Multiplying};
use crate::transfer::words::{Gated, Numbers};
use crate::transfer::{Rows, Words, gathered, zeros};
use std::ops::Range;

/// Entries whose randomness is made in the same messages: rows of no more than some tens of
/// megabytes. A multiple of what is worked on together.
pub(super) const AT_ONCE: usize = 1 << 13;

/// An act on a tensor, of which this cloud has the share of β if bits gate it.
pub(crate) struct Wanted<'a> {
    pub act: Act,
    pub entries: usize,
    pub beta: Option<&'a [u64]>,
}

/// Some entries of it: whole blocks but for the last.
struct Part<'a> {
    recipe: &'a Recipe,
    beta: Option<&'a [u64]>,
    /// All entries of the tensor.
    all: usize,
    entries: Range<usize>,
    /// Where the tensor's parts begin.
    at: Offsets,
}

/// The turns in which tensors of so many entries are worked on: which tensor, which entries.
pub(super) fn turns(entries: &[usize]) -> Vec<Vec<(usize, Range<usize>)>> {
    let (mut turns, mut room) = (vec![vec![]], AT_ONCE);
    for (tensor, n) in entries.iter().enumerate() {
        let mut start = 0;
        while start < *n {
            if room < 64 * WIDE {
                turns.push(vec![]);
                room = AT_ONCE;
            }
            // Cut between chunks, so that blocks are laid out as if nothing were cut.
            let whole = room / (64 * WIDE) * (64 * WIDE);
            let end = start + whole.min(n - start);
            if let Some(turn) = turns.last_mut() {
                turn.push((tensor, start..end));
            }
            room -= (end - start).next_multiple_of(64).min(room);
            start = end;
        }
    }
    turns.retain(|turn| !turn.is_empty());
    turns
}

impl Pairwise {
    /// Makes what the acts of an operation need; masks of bits are this cloud's own stream.
    pub(crate) fn act(
        &mut self,
        line: &mut Line,
        op: Op,
        prg: &Prg,
        wanted: &[Wanted<'_>],
    ) -> Result<Made> {
        let recipes: Vec<Recipe> = wanted.iter().map(|wanted| Recipe::new(wanted.act)).collect();
        let mut at = Offsets::default();
        let mut starts = Vec::with_capacity(wanted.len());
        for (wanted, recipe) in wanted.iter().zip(&recipes) {
            starts.push(at);
            at = at.after(&recipe.plan, wanted.entries);
        }
        let mut made = Made { masks: zeros(at.masks as usize), dealt: zeros(at.dealt as usize) };
        let entries: Vec<usize> = wanted.iter().map(|wanted| wanted.entries).collect();
        for turn in turns(&entries) {
            let part = |(i, entries): (usize, Range<usize>)| Part {
                recipe: &recipes[i],
                beta: wanted[i].beta,
                all: wanted[i].entries,
                entries,
                at: starts[i],
            };
            let mut asks = Asks::default();
            let mut workings: Vec<Working<'_>> = turn
                .into_iter()
                .map(|one| Working::new(part(one), op, prg, line.side(), &mut asks))
                .collect();
            let rows = self.transfers(line, op)?.rows(line, op, &asks)?;
            let peer = line.side().peer();
            let stages = workings.iter().map(|work| work.part.recipe.stages()).max().unwrap_or(0);
            for stage in 0..stages {
                let mut out = vec![];
                for work in &mut workings {
                    work.send(stage, &rows, &mut out);
                }
                let theirs = workings.iter().map(|work| work.words(stage, peer)).sum();
                let came = line.swap(op, &out, theirs)?;
                let mut came = &came[..];
                for work in &mut workings {
                    work.take(stage, &rows, &mut came);
                }
            }
            for work in &workings {
                work.write(&mut made);
            }
        }
        Ok(made)
    }
}

/// A part on its way through the messages.
struct Working<'a> {
    part: Part<'a>,
    side: Side,
    /// This cloud's r_i, whole blocks.
    r: Words,
    /// Its bits, a plane each.
    bits: Vec<Words>,
    digits: Vec<Multiplying<'a>>,
    layers: Vec<Multiplying<'a>>,
    /// Those it sends, those it receives.
    numbers: [Numbers; 2],
    gated: Option<Gated>,
}

impl<'a> Working<'a> {
    fn new(part: Part<'a>, op: Op, prg: &Prg, side: Side, asks: &mut Asks) -> Self {
        let Part { recipe, beta, ref entries, at, .. } = part;
        let plan = &recipe.plan;
        let label = Label { step: op.step, operation: op.number, stream: Stream::Mask };
        let mut r = zeros(64 * blocks(entries.len()));
        prg.fill(label, at.masks + entries.start as u64, &mut r[..entries.len()]);
        let bits = planes(&r);
        let digits = recipe.digits.iter().zip(&plan.digits);
        let digits = digits.map(|(products, digit)| {
            let low = digit.low as usize;
            Multiplying::new(products, bits[low..low + digit.width as usize].to_vec(), asks)
        });
        let digits = digits.collect();
        let mut masks = part.bit_masks(prg, Label { stream: Stream::Bits, ..label }).into_iter();
        let layers = recipe.layers.iter().zip(&plan.layers);
        let layers = layers.map(|(products, layer)| {
            Multiplying::new(products, masks.by_ref().take(layer.opened.len()).collect(), asks)
        });
        let layers = layers.collect();
        // Those of the results: γ, β.
        let results: Vec<Words> = masks.collect();
        let become_numbers: Vec<&Words> =
            bits.iter().chain(&results).take(recipe.numbers).collect();
        let numbers = [side, side.peer()].map(|sender| {
            let planes = become_numbers.iter().enumerate();
            let planes = planes.filter(|(i, _)| Recipe::sends(sender, *i));
            let planes: Vec<&Words> = planes.map(|(_, plane)| *plane).collect();
            let count = planes.len() * blocks(entries.len());
            let planes = gathered(count, planes.iter().flat_map(|plane| plane.iter().copied()));
            Numbers::new(&planes, sender == side, asks)
        });
        let gated = (recipe.gated > 0).then(|| {
            // β_0 + β_1 is a bit, so it is the sum of their lowest bits without the carry.
            let given = beta.map(|beta| {
                let mut plane = zeros(blocks(entries.len()));
                for (e, beta) in beta[entries.clone()].iter().enumerate() {
                    plane[e / 64] |= (beta & 1) << (e % 64);
                }
                plane
            });
            let beta = given.or_else(|| results.last().cloned()).unwrap_or_default();
            Gated::new(&beta, recipe.gated, asks)
        });
        Self { part, side, r, bits, digits, layers, numbers, gated }
    }

    /// Words a cloud sends in a message.
    fn words(&self, stage: usize, sender: Side) -> usize {
        self.part.recipe.words(stage, sender) * blocks(self.part.entries.len())
    }

    fn products(&mut self) -> impl Iterator<Item = &mut Multiplying<'a>> {
        self.digits.iter_mut().chain(&mut self.layers)
    }

    fn send(&mut self, stage: usize, rows: &[Rows; 2], out: &mut Vec<u64>) {
        self.products().for_each(|products| products.send(stage, rows, out));
        if stage == 0 {
            self.numbers.iter_mut().for_each(|numbers| numbers.send(rows, out));
        }
        if self.gated.is_some() && stage == self.part.recipe.gated_at() {
            let values = self.to_be_gated();
            if let Some(gated) = &mut self.gated {
                gated.send(rows, &values, out);
            }
        }
    }

    fn take(&mut self, stage: usize, rows: &[Rows; 2], came: &mut &[u64]) {
        self.products().for_each(|products| products.take(stage, rows, came));
        if stage == 0 {
            self.numbers.iter_mut().for_each(|numbers| numbers.take(rows, came));
        }
        if let Some(gated) = &mut self.gated
            && stage == self.part.recipe.gated_at()
        {
            gated.take(rows, came);
        }
    }

    /// This cloud's share of bit i as a number, of all entries.
    fn number(&self, i: usize) -> &[u64] {
        let list = &self.numbers[usize::from(!Recipe::sends(self.side, i))];
        &list.share()[i / 2 * self.r.len()..][..self.r.len()]
    }

    /// sum of 2^(i - low) r_i, i from `low` up.
    fn sum(&self, low: usize) -> Words {
        let mut sum = zeros(self.r.len());
        for i in low..64 {
            for (sum, bit) in sum.iter_mut().zip(self.number(i)) {
                *sum = sum.wrapping_add(bit << (i - low));
            }
        }
        sum
    }

    /// Shares of γ, ρ and M.
    fn cut(&self, s: u8) -> [Words; 3] {
        let sign = gathered(self.r.len(), self.number(63).iter().map(|bit| bit << (64 - s)));
        [self.copied(64), self.sum(s.into()), sign]
    }

    fn copied(&self, i: usize) -> Words {
        gathered(self.r.len(), self.number(i).iter().copied())
    }

    /// What is multiplied by β, entry by entry.
    fn to_be_gated(&self) -> Words {
        match self.part.recipe.plan.act {
            Act::Relu(s) | Act::Gate(s) if s > 0 => {
                let cut = self.cut(s);
                gathered(3 * self.r.len(), (0..3 * self.r.len()).map(|i| cut[i % 3][i / 3]))
            }
            _ => self.r.clone(),
        }
    }

    /// The words of each kind, as [`crate::bits::words`] has them.
    fn kinds(&self) -> Vec<Words> {
        let gated = |kind: usize| -> Words {
            let each = self.part.recipe.gated;
            let share = self.gated.as_ref().map_or(&[][..], |gated| gated.share());
            gathered(self.r.len(), share.iter().skip(kind).step_by(each.max(1)).copied())
        };
        let mut kinds = match self.part.recipe.plan.act {
            Act::Gate(0) => vec![gated(0)],
            Act::Sign | Act::Zero => vec![self.copied(64)],
            Act::Truncate(s) | Act::Gate(s) | Act::Relu(s) => self.cut(s).into(),
        };
        if let Act::Gate(1..) | Act::Relu(_) = self.part.recipe.plan.act {
            kinds.extend([0, 1, 2].map(gated));
        }
        if let Act::Relu(_) = self.part.recipe.plan.act {
            kinds.push(self.copied(65));
        }
        kinds
    }

    /// The planes: tables of digits, the sign of r, products of masks.
    fn planes(&self) -> Vec<Words> {
        let mut planes = Vec::with_capacity(self.part.recipe.plan.dealt_planes());
        for digit in &self.digits {
            planes.extend(one_hot(digit));
        }
        if self.part.recipe.plan.uses_sign() {
            planes.push(self.bits[63].clone());
        }
        planes.extend(self.layers.iter().flat_map(|layer| layer.planes().1.iter().cloned()));
        planes
    }

    /// Writes shares where the engine of the clouds looks for them.
    fn write(&self, made: &mut Made) {
        let Part { recipe, entries, at, all, .. } = &self.part;
        let masks = match recipe.plan.act {
            Act::Gate(0) => self.r.clone(),
            _ => self.sum(0),
        };
        let first = at.masks as usize + entries.start;
        made.masks[first..first + entries.len()].copy_from_slice(&masks[..entries.len()]);
        let (planes, kinds) = (self.planes(), self.kinds());
        let first_block = entries.start / 64;
        for chunk in chunks(*all) {
            if !entries.contains(&(64 * chunk.first)) {
                continue;
            }
            let (w, from) = (chunk.width, chunk.first - first_block);
            let start = at.dealt as usize + chunk.first * recipe.plan.dealt();
            let out = &mut made.dealt[start..start + w * recipe.plan.dealt()];
            let (plane_words, words) = out.split_at_mut(planes.len() * w);
            for (out, plane) in plane_words.chunks_exact_mut(w).zip(&planes) {
                out.copy_from_slice(&plane[from..from + w]);
            }
            for (out, kind) in words.chunks_exact_mut(64 * w).zip(&kinds) {
                out.copy_from_slice(&kind[64 * from..64 * (from + w)]);
            }
        }
    }
}

impl Part<'_> {
    /// This cloud's masks of bits: a plane each, drawn as the engine of the clouds draws them.
    fn bit_masks(&self, prg: &Prg, label: Label) -> Vec<Words> {
        let count = self.recipe.plan.bit_masks();
        let mut planes: Vec<Words> =
            (0..count).map(|_| zeros(blocks(self.entries.len()))).collect();
        for chunk in chunks(self.all) {
            if !self.entries.contains(&(64 * chunk.first)) {
                continue;
            }
            let mut words = zeros(count * chunk.width);
            prg.words(label, self.at.bits + (chunk.first * count) as u64, &mut words);
            let from = chunk.first - self.entries.start / 64;
            for (plane, words) in planes.iter_mut().zip(words.chunks_exact(chunk.width)) {
                plane[from..from + chunk.width].copy_from_slice(words);
            }
        }
        planes
    }
}

/// Bits of words, a plane each.
fn planes(words: &[u64]) -> Vec<Words> {
    let mut planes: Vec<Words> = (0..64).map(|_| zeros(words.len() / 64)).collect();
    for (at, words) in (0..).step_by(WIDE).zip(words.chunks(64 * WIDE)) {
        let width = words.len() / 64;
        let sliced = vectorised(|| slice::<WIDE>(words));
        for (plane, bits) in planes.iter_mut().zip(&sliced) {
            plane[at..at + width].copy_from_slice(&bits.0[..width]);
        }
    }
    planes
}

/// [digit = j] for j = 1 and on: the sum (XOR) of the products of all sets of bits that j is in.
fn one_hot(digit: &Multiplying<'_>) -> Vec<Words> {
    let (bits, products) = digit.planes();
    let (mut bits, mut products) = (bits.iter(), products.iter());
    let count = bits.len();
    let set = |j: usize| if j.is_power_of_two() { bits.next() } else { products.next() };
    let mut hot: Vec<Words> =
        (1..1 << count).map(set).map(|x| x.cloned().unwrap_or_default()).collect();
    for bit in 0..count {
        for j in (1..1 << count).filter(|j| j >> bit & 1 == 0) {
            let (low, high) = hot.split_at_mut((j | 1 << bit) - 1);
            low[j - 1].iter_mut().zip(&*high[0]).for_each(|(low, high)| *low ^= high);
        }
    }
    hot
}
