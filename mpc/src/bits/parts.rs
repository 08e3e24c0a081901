//! Where the parts of an act on a tensor stand: entries in blocks of 64, blocks in chunks of 8 (one
//! vector register wide) and the rest one by one; within a chunk, planes and then words.

use super::plan::{Plan, blocks};
use std::ops::Range;

/// Blocks that are worked on together.
pub(crate) const WIDE: usize = 8;

/// Blocks that are worked on together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    /// The first block.
    pub first: usize,
    /// How many: [`WIDE`] or 1.
    pub width: usize,
}

impl Chunk {
    /// Its entries, out of so many in all.
    pub(crate) fn entries(self, all: usize) -> Range<usize> {
        64 * self.first..all.min(64 * (self.first + self.width))
    }
}

/// The chunks of so many entries.
pub(crate) fn chunks(entries: usize) -> Vec<Chunk> {
    let blocks = blocks(entries);
    let wide = blocks / WIDE * WIDE;
    let wides = (0..wide).step_by(WIDE).map(|first| Chunk { first, width: WIDE });
    wides.chain((wide..blocks).map(|first| Chunk { first, width: 1 })).collect()
}

/// Cuts `all`, with `each` words for a block, into its chunks' parts.
pub(crate) fn parts_mut<'a>(
    mut all: &'a mut [u64],
    chunks: &[Chunk],
    each: usize,
) -> Vec<(Chunk, &'a mut [u64])> {
    chunks
        .iter()
        .map(|chunk| {
            let (part, rest) = std::mem::take(&mut all).split_at_mut(chunk.width * each);
            all = rest;
            (*chunk, part)
        })
        .collect()
}

/// Where in what is dealt for a chunk its sections begin, in units of the chunk's width.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sections {
    /// Where the sign of r stands, if it is dealt.
    pub sign: usize,
    /// Where the products of masks of each layer stand.
    pub products: [usize; 2],
    /// Where the words stand: 64 for each kind.
    pub words: usize,
}

impl Sections {
    pub(crate) fn of(plan: &Plan) -> Self {
        let sign = plan.table_planes();
        let first = sign + usize::from(plan.uses_sign());
        let second = first + plan.layers.first().map_or(0, |layer| layer.products.len());
        Self { sign, products: [first, second], words: plan.dealt_planes() }
    }
}
