//! What a backend does: packs panels and multiplies one panel by another.

use super::view::Matrix;

/// One way to multiply. Having a value proves that the processor can run it.
///
/// A left panel is `ROWS` rows, a right panel `COLUMNS` columns of an operand, packed in steps of
/// `STEP` along the depth so that panels of several products can follow one another.
pub(super) trait Kernel: Copy + Send + Sync {
    const ROWS: usize;
    const COLUMNS: usize;
    const STEP: usize;
    /// Words of a panel for one step: multiples of a line.
    const LEFT_WORDS: usize;
    const RIGHT_WORDS: usize;

    /// Packs `rows` rows from `row` on and `depth` columns from `column` on, to
    /// `LEFT_WORDS` words for each step begun; what is missing counts as zeros.
    fn pack_left(&self, m: &Matrix<'_>, block: Block, to: &mut [u64]);

    /// The same for columns.
    fn pack_right(&self, m: &Matrix<'_>, block: Block, to: &mut [u64]);

    /// What `multiply` needs on its thread.
    type Ready;

    /// Makes the thread ready for `multiply`, for as long as the value lives.
    fn begin(&self) -> Self::Ready;

    /// Multiplies panels of `steps` steps into `tile`, row by row. Of the tile only `rows` and
    /// `columns` are wanted.
    fn multiply(
        &self,
        ready: &mut Self::Ready,
        steps: usize,
        left: &[u64],
        right: &[u64],
        wanted: (usize, usize),
        tile: &mut [u64],
    );
}

/// Part of a matrix.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Block {
    pub(super) fn at(self) -> (usize, usize) {
        (self.row, self.column)
    }

    pub(super) fn size(self) -> (usize, usize) {
        (self.rows, self.columns)
    }
}

/// Packs a left panel entry by entry: for each column of the block a group of `words` words, which
/// begins with the entries of the rows.
pub(super) fn pack_columns(m: &Matrix<'_>, block: Block, words: usize, to: &mut [u64]) {
    m.transposed().copy_block((block.column, block.row), (block.columns, block.rows), to, words);
}

/// Packs a right panel the same way: for each row of the block its entries.
pub(super) fn pack_rows(m: &Matrix<'_>, block: Block, words: usize, to: &mut [u64]) {
    m.copy_block(block.at(), block.size(), to, words);
}
