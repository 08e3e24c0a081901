//! The backend for every processor.

use super::kernel::{Block, Kernel, pack_columns, pack_rows};
use super::view::Matrix;

#[derive(Clone, Copy)]
pub(super) struct Portable;

const ROWS: usize = 4;
const COLUMNS: usize = 4;

impl Kernel for Portable {
    const ROWS: usize = ROWS;
    const COLUMNS: usize = COLUMNS;
    const STEP: usize = 1;
    const LEFT_WORDS: usize = ROWS;
    const RIGHT_WORDS: usize = COLUMNS;

    fn pack_left(&self, m: &Matrix<'_>, block: Block, to: &mut [u64]) {
        if block.rows < ROWS {
            to.fill(0);
        }
        pack_columns(m, block, ROWS, to);
    }

    fn pack_right(&self, m: &Matrix<'_>, block: Block, to: &mut [u64]) {
        if block.columns < COLUMNS {
            to.fill(0);
        }
        pack_rows(m, block, COLUMNS, to);
    }

    type Ready = ();

    fn begin(&self) {}

    fn multiply(
        &self,
        (): &mut (),
        _: usize,
        left: &[u64],
        right: &[u64],
        _: (usize, usize),
        tile: &mut [u64],
    ) {
        let mut sums = [[0u64; COLUMNS]; ROWS];
        let (left, _) = left.as_chunks::<ROWS>();
        let (right, _) = right.as_chunks::<COLUMNS>();
        for (a, b) in left.iter().zip(right) {
            for (sums, a) in sums.iter_mut().zip(a) {
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum = sum.wrapping_add(a.wrapping_mul(*b));
                }
            }
        }
        tile.copy_from_slice(sums.as_flattened());
    }
}
