//! What is dealt for truncation, comparison, equality, ReLU and gate: see [`crate::bits`] for the
//! protocol and its letters.

use crate::bits::parts::{Chunk, Sections, WIDE, chunks, parts_mut};
use crate::bits::plan::{Plan, blocks};
use crate::bits::plane::{Plane, slice, vectorised};
use crate::bits::tables::decode;
use crate::bits::words::{Masks, deal};
use crate::engine::Act;
use crate::error::Result;
use crate::party::act::{Offsets, by_width, parallel};
use crate::prg::{Label, Prg, Stream};
use crate::ring::add;
use crate::wire::PIECE;

/// What is dealt for an act on one tensor.
pub(super) struct Dealing<'a> {
    pub prgs: &'a [Prg; 2],
    pub plan: &'a Plan,
    pub sections: Sections,
    pub entries: usize,
    pub at: Offsets,
    /// Of C0's shares.
    pub label: Label,
    /// β of a gate's bits.
    pub gated_by: Option<&'a [u64]>,
}

impl Dealing<'_> {
    /// C1's shares, some chunks at a time; gives β of the bits that come out, as words.
    pub(super) fn all(
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
    add(r, other);
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
