//! How much is read before a file is refused.

/// Bounds on a file and on what is made of it. They keep a hostile or mistaken file from taking the
/// machine with it; raise them for an honest large one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file, unpacked.
    pub bytes: u64,
    /// Records.
    pub rows: u32,
    /// Columns, and features they are encoded into.
    pub columns: u32,
    /// Cells, and values they are encoded into.
    pub cells: u64,
    /// Bad cells listed in a report; the rest are counted.
    pub bad_cells: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 2 << 30, rows: 1 << 28, columns: 1 << 16, cells: 1 << 29, bad_cells: 20 }
    }
}
