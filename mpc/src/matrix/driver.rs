//! Blocks, panels and threads: what all backends share.
#![allow(unsafe_code)] // tiles of the result are no slices

use super::kernel::{Block, Kernel};
use super::scratch::{LINE, Scratch, wipe};
use super::view::{Matrix, MatrixMut};
use rayon::prelude::*;
use std::ops::Range;

/// Packed words of the right side at a time: 1 MiB, half a usual cache of second level.
const RIGHT_BUDGET: usize = 1 << 17;
/// Packed words of the left side at a time and thread.
const LEFT_BUDGET: usize = 1 << 15;
/// Depth at a time.
pub(super) const DEPTH: usize = 1 << 9;
/// Fewer multiplications than this for one thread are not worth waking another.
pub(super) const WORTH_A_THREAD: usize = 1 << 17;

/// A part of one product's depth.
struct Segment<'a> {
    left: Matrix<'a>,
    right: Matrix<'a>,
    depth: Range<usize>,
}

/// Where the tiles go: rows `row_step` words apart, columns `column_step`.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) start: *mut u64,
    pub(super) row_step: usize,
    pub(super) column_step: usize,
    pub(super) add: bool,
}

impl Target {
    /// Writes words, or adds them, from (`row`, `column`) on along the row.
    ///
    /// # Safety
    ///
    /// They must have their places in memory borrowed for this target, and nobody else may use
    /// these.
    pub(super) unsafe fn put(self, row: usize, column: usize, words: &[u64]) {
        let Self { start, row_step, column_step, add } = self;
        // SAFETY: the caller's promise.
        unsafe {
            let to = start.add(row * row_step + column * column_step);
            if column_step == 1 {
                let to = std::slice::from_raw_parts_mut(to, words.len());
                for (to, &word) in to.iter_mut().zip(words) {
                    *to = if add { to.wrapping_add(word) } else { word };
                }
            } else {
                for (j, &word) in words.iter().enumerate() {
                    let to = to.add(j * column_step);
                    *to = if add { (*to).wrapping_add(word) } else { word };
                }
            }
        }
    }
}

// SAFETY: tasks write tiles that do not overlap, and the driver outlives them.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// out (+)= the sum of the products of `terms`, whose shapes fit.
pub(super) fn run<K: Kernel>(
    kernel: K,
    terms: &[(Matrix<'_>, Matrix<'_>)],
    out: &mut MatrixMut<'_>,
    add: bool,
) {
    let (rows, columns) = (out.rows(), out.columns());
    let chunks = chunks::<K>(terms);
    if chunks.is_empty() && !add {
        out.clear();
    }
    if rows == 0 || columns == 0 {
        return;
    }
    let stride = out.stride();
    let straight = Target { start: out.start(), row_step: stride, column_step: 1, add };
    // The transposed product may fill the tiles better.
    if padded::<K>(columns, rows) < padded::<K>(rows, columns) {
        let target = Target { row_step: 1, column_step: stride, ..straight };
        let turned: Vec<Vec<_>> =
            chunks.into_iter().map(|chunk| chunk.into_iter().map(turn).collect()).collect();
        all(kernel, &turned, (columns, rows), target);
    } else {
        all(kernel, &chunks, (rows, columns), straight);
    }
}

fn turn(segment: Segment<'_>) -> Segment<'_> {
    Segment {
        left: segment.right.transposed(),
        right: segment.left.transposed(),
        depth: segment.depth,
    }
}

/// Entries of the tiles that cover a product.
fn padded<K: Kernel>(rows: usize, columns: usize) -> usize {
    rows.next_multiple_of(K::ROWS) * columns.next_multiple_of(K::COLUMNS)
}

/// The depths of all products, one after the other, cut so that each chunk packs to no more than
/// `DEPTH`.
fn chunks<'a, K: Kernel>(terms: &[(Matrix<'a>, Matrix<'a>)]) -> Vec<Vec<Segment<'a>>> {
    let mut chunks: Vec<Vec<_>> = Vec::new();
    let mut room = 0;
    for &(left, right) in terms {
        let mut start = 0;
        while start < left.columns() {
            if room == 0 {
                chunks.push(Vec::new());
                room = DEPTH;
            }
            let end = left.columns().min(start + room);
            if let Some(chunk) = chunks.last_mut() {
                chunk.push(Segment { left, right, depth: start..end });
            }
            room -= (end - start).next_multiple_of(K::STEP);
            start = end;
        }
    }
    chunks
}

fn all<K: Kernel>(
    kernel: K,
    chunks: &[Vec<Segment<'_>>],
    (rows, columns): (usize, usize),
    target: Target,
) {
    for (i, chunk) in chunks.iter().enumerate() {
        let steps: usize = chunk.iter().map(|s| s.depth.len().div_ceil(K::STEP)).sum();
        let target = Target { add: target.add || i > 0, ..target };
        let product = Product { kernel, chunk, steps, rows, columns, target };
        product.run();
    }
}

/// One chunk of depth of the whole product.
struct Product<'a, K> {
    kernel: K,
    chunk: &'a [Segment<'a>],
    steps: usize,
    rows: usize,
    columns: usize,
    target: Target,
}

impl<K: Kernel> Product<'_, K> {
    fn run(&self) {
        let work = self.rows * self.columns * self.steps * K::STEP;
        let threads = rayon::current_num_threads().min(work / WORTH_A_THREAD).max(1);
        let left_panel = (self.steps * K::LEFT_WORDS).next_multiple_of(LINE);
        let right_panel = (self.steps * K::RIGHT_WORDS).next_multiple_of(LINE);
        let left_count =
            self.rows.div_ceil(K::ROWS).min((LEFT_BUDGET * threads / left_panel).max(1));
        let right_count =
            self.columns.div_ceil(K::COLUMNS).min((RIGHT_BUDGET / right_panel).max(1));
        let (row_block, column_block) = (left_count * K::ROWS, right_count * K::COLUMNS);
        let lengths = [left_count * left_panel, right_count * right_panel];
        Scratch::with(lengths, |left, right| {
            for column in (0..self.columns).step_by(column_block) {
                let width = column_block.min(self.columns - column);
                let right_count = width.div_ceil(K::COLUMNS);
                let right = &mut right[..right_count * right_panel];
                each(threads, right, right_panel, |i, to| self.pack_right(column, i, to));
                for row in (0..self.rows).step_by(row_block) {
                    let height = row_block.min(self.rows - row);
                    let left_count = height.div_ceil(K::ROWS);
                    let left = &mut left[..left_count * left_panel];
                    each(threads, left, left_panel, |i, to| self.pack_left(row, i, to));
                    let block = Block { row, column, rows: height, columns: width };
                    let panels = Panels { left, left_panel, right, right_panel };
                    self.grid(threads, block, &panels);
                }
            }
        });
    }

    fn pack_left(&self, row: usize, panel: usize, mut to: &mut [u64]) {
        let row = row + panel * K::ROWS;
        let rows = K::ROWS.min(self.rows - row);
        for Segment { left, depth, .. } in self.chunk {
            let words = depth.len().div_ceil(K::STEP) * K::LEFT_WORDS;
            let (now, rest) = to.split_at_mut(words);
            let block = Block { row, column: depth.start, rows, columns: depth.len() };
            self.kernel.pack_left(left, block, now);
            to = rest;
        }
    }

    fn pack_right(&self, column: usize, panel: usize, mut to: &mut [u64]) {
        let column = column + panel * K::COLUMNS;
        let columns = K::COLUMNS.min(self.columns - column);
        for Segment { right, depth, .. } in self.chunk {
            let words = depth.len().div_ceil(K::STEP) * K::RIGHT_WORDS;
            let (now, rest) = to.split_at_mut(words);
            let block = Block { row: depth.start, column, rows: depth.len(), columns };
            self.kernel.pack_right(right, block, now);
            to = rest;
        }
    }

    /// Multiplies packed panels, shared out among threads by the longer side.
    fn grid(&self, threads: usize, block: Block, panels: &Panels<'_>) {
        let (left_count, right_count) = (panels.left_count(), panels.right_count());
        if threads == 1 {
            self.tiles(block, panels, 0..left_count, 0..right_count);
        } else if left_count >= right_count {
            let share = left_count.div_ceil(threads);
            (0..left_count.div_ceil(share)).into_par_iter().for_each(|i| {
                let lefts = i * share..left_count.min((i + 1) * share);
                self.tiles(block, panels, lefts, 0..right_count);
            });
        } else {
            let share = right_count.div_ceil(threads);
            (0..right_count.div_ceil(share)).into_par_iter().for_each(|i| {
                let rights = i * share..right_count.min((i + 1) * share);
                self.tiles(block, panels, 0..left_count, rights);
            });
        }
    }

    /// Products of all these panels.
    fn tiles(&self, block: Block, panels: &Panels<'_>, lefts: Range<usize>, rights: Range<usize>) {
        let mut ready = self.kernel.begin();
        let mut tile = Tile([0; MAX_TILE]);
        let tile = &mut tile.0[..K::ROWS * K::COLUMNS];
        for j in rights {
            let right = &panels.right[j * panels.right_panel..][..self.steps * K::RIGHT_WORDS];
            for i in lefts.clone() {
                let left = &panels.left[i * panels.left_panel..][..self.steps * K::LEFT_WORDS];
                let (row, column) = (i * K::ROWS, j * K::COLUMNS);
                let wanted =
                    (K::ROWS.min(block.rows - row), K::COLUMNS.min(block.columns - column));
                self.kernel.multiply(&mut ready, self.steps, left, right, wanted, tile);
                self.put(block, (row, column), wanted, tile);
            }
        }
        wipe(tile);
    }

    /// Writes a tile, or adds it, to its place in the target.
    fn put(
        &self,
        block: Block,
        (row, column): (usize, usize),
        (rows, columns): (usize, usize),
        tile: &[u64],
    ) {
        for (i, line) in tile.chunks_exact(K::COLUMNS).take(rows).enumerate() {
            let (row, column) = (block.row + row + i, block.column + column);
            // SAFETY: row and column lie in the target, whose borrow the caller of `run` gave, and
            // no other task has this tile.
            unsafe {
                self.target.put(row, column, &line[..columns]);
            }
        }
    }
}

/// The largest tile of any backend.
const MAX_TILE: usize = 32 * 32;

#[repr(align(64))]
struct Tile([u64; MAX_TILE]);

/// Packed panels of both sides and their lengths.
struct Panels<'a> {
    left: &'a [u64],
    left_panel: usize,
    right: &'a [u64],
    right_panel: usize,
}

impl Panels<'_> {
    fn left_count(&self) -> usize {
        self.left.len() / self.left_panel
    }

    fn right_count(&self) -> usize {
        self.right.len() / self.right_panel
    }
}

/// Packs all panels, each by one thread.
fn each(
    threads: usize,
    words: &mut [u64],
    panel: usize,
    pack: impl Fn(usize, &mut [u64]) + Send + Sync,
) {
    if threads == 1 {
        words.chunks_exact_mut(panel).enumerate().for_each(|(i, to)| pack(i, to));
    } else {
        words.par_chunks_exact_mut(panel).enumerate().for_each(|(i, to)| pack(i, to));
    }
}
