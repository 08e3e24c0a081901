//! The backend for processors with AMX, which multiply tiles of bytes.
//!
//! A word is eight bytes, so a matrix is eight planes, a = sum of 2^(8i) a_i, and modulo 2^64
//!
//! ```text
//! a b = sum over w <= 7 of 2^(8w) (sum over i + j = w of a_i b_j)
//! ```
//!
//! which is 36 products of byte matrices. AMX sums them in 32 bits. From w = 4 on no more than 32
//! bits count, so wrapping is harmless; below, at most four products are summed, and four times
//! 255² times a depth of 2^14 is less than 2^32.
#![allow(unsafe_code)] // tiles, and code compiled for detected processor features

mod pack;
mod tiles;

use super::driver::DEPTH;
use super::kernel::{Block, Kernel};
use super::view::Matrix;
use std::sync::OnceLock;

/// Having one proves that the processor and the kernel of the system allow it.
#[derive(Clone, Copy)]
pub(super) struct Amx(());

/// Rows of a left tile, columns of a right one.
const SIDE: usize = 16;
/// Bytes of a row of a tile: the depth of one step.
const STEP: usize = 64;
const PLANES: usize = 8;
/// Words of a tile, 16 rows of 64 bytes.
const TILE_WORDS: usize = SIDE * STEP / 8;
/// Tiles of each operand that are multiplied by each other at a time.
const ROWS: usize = 2 * SIDE;
const COLUMNS: usize = 2 * SIDE;

/// See the module's head.
const _: () = assert!(4 * 255 * 255 * DEPTH < 1 << 32);

impl Amx {
    pub(super) fn detect() -> Option<Self> {
        static ALLOWED: OnceLock<bool> = OnceLock::new();
        let allowed = || {
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vbmi")
                && tiles::allowed()
        };
        ALLOWED.get_or_init(allowed).then_some(Self(()))
    }
}

impl Kernel for Amx {
    const ROWS: usize = ROWS;
    const COLUMNS: usize = COLUMNS;
    const STEP: usize = STEP;
    const LEFT_WORDS: usize = 2 * PLANES * TILE_WORDS;
    const RIGHT_WORDS: usize = 2 * PLANES * TILE_WORDS;

    fn pack_left(&self, m: &Matrix<'_>, block: Block, to: &mut [u64]) {
        let mut stage = pack::Stage::new();
        for (step, to) in to.chunks_exact_mut(Self::LEFT_WORDS).enumerate() {
            // The second half, if nothing is in it, is not multiplied either.
            let halves = block.rows.div_ceil(SIDE);
            for (half, to) in to.chunks_exact_mut(PLANES * TILE_WORDS).take(halves).enumerate() {
                let part = Block {
                    row: block.row + half * SIDE,
                    column: block.column + step * STEP,
                    rows: (block.rows - half * SIDE).min(SIDE),
                    columns: (block.columns - step * STEP).min(STEP),
                };
                let (from, stride) = stage.find(m, part, (SIDE, STEP));
                // SAFETY: `self` exists, so the features were detected.
                unsafe { pack::left(from, stride, to) };
            }
        }
        stage.wipe();
    }

    fn pack_right(&self, m: &Matrix<'_>, block: Block, to: &mut [u64]) {
        let mut stage = pack::Stage::new();
        for (step, to) in to.chunks_exact_mut(Self::RIGHT_WORDS).enumerate() {
            let halves = block.columns.div_ceil(SIDE);
            for (half, to) in to.chunks_exact_mut(PLANES * TILE_WORDS).take(halves).enumerate() {
                let part = Block {
                    row: block.row + step * STEP,
                    column: block.column + half * SIDE,
                    rows: (block.rows - step * STEP).min(STEP),
                    columns: (block.columns - half * SIDE).min(SIDE),
                };
                let (from, stride) = stage.find(m, part, (STEP, SIDE));
                // SAFETY: as above.
                unsafe { pack::right(from, stride, to) };
            }
        }
        stage.wipe();
    }

    type Ready = tiles::Tiles;

    fn begin(&self) -> tiles::Tiles {
        tiles::Tiles::new(*self)
    }

    fn multiply(
        &self,
        tiles: &mut tiles::Tiles,
        steps: usize,
        left: &[u64],
        right: &[u64],
        wanted: (usize, usize),
        tile: &mut [u64],
    ) {
        assert!(left.len() >= steps * Self::LEFT_WORDS && right.len() >= steps * Self::RIGHT_WORDS);
        assert!(tile.len() >= ROWS * COLUMNS);
        // SAFETY: as above, and the lengths are right.
        unsafe { tiles.multiply(steps, left, right, wanted, tile) }
    }
}
