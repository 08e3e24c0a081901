//! Where cells lie: text of a CSV file, or numbers as the file has them.

use super::Cell;

/// Cells of one file, row by row.
pub(crate) enum Block {
    Text(TextBlock),
    Dense(DenseBlock),
}

/// Text cells behind one another.
#[derive(Default)]
pub(crate) struct TextBlock {
    text: String,
    /// Where each cell ends.
    ends: Vec<u32>,
    width: usize,
    /// The line on which each row begins, for files that have lines.
    lines: Vec<u32>,
    /// Which cells are absent, if any can be.
    absent: Option<Vec<bool>>,
}

/// A matrix of numbers of one kind, as bytes.
pub(crate) struct DenseBlock {
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: NumberKind,
    pub(crate) big_endian: bool,
    /// Numbers from one row to the next, and from one column to the next.
    pub(crate) row_step: usize,
    pub(crate) column_step: usize,
    /// Which cells are absent, if any can be; for blocks of one column.
    pub(crate) absent: Option<Vec<bool>>,
}

/// The kinds of numbers files hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberKind {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

impl NumberKind {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

impl Block {
    pub(crate) fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        match self {
            Self::Text(block) => block.cell(row, column),
            Self::Dense(block) => block.cell(row, column),
        }
    }

    pub(crate) fn line(&self, row: usize) -> Option<u32> {
        match self {
            Self::Text(block) => block.lines.get(row).copied(),
            Self::Dense(_) => None,
        }
    }
}

impl TextBlock {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    /// Columns in which cells may be absent.
    pub(crate) fn with_absent(width: usize) -> Self {
        Self { width, absent: Some(Vec::new()), ..Self::default() }
    }

    /// Adds a cell; false if the block is full.
    #[must_use]
    pub(crate) fn push(&mut self, cell: &str) -> bool {
        let Ok(end) = u32::try_from(self.text.len() + cell.len()) else {
            return false;
        };
        self.text.push_str(cell);
        self.ends.push(end);
        if let Some(absent) = &mut self.absent {
            absent.push(false);
        }
        true
    }

    /// Adds a cell that is not there.
    pub(crate) fn push_absent(&mut self) {
        self.ends.push(self.ends.last().copied().unwrap_or(0));
        if let Some(absent) = &mut self.absent {
            absent.push(true);
        }
    }

    pub(crate) fn push_line(&mut self, line: u32) {
        self.lines.push(line);
    }

    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.lines.shrink_to_fit();
    }

    fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        let at = row * self.width + column;
        if self.absent.as_ref().is_some_and(|absent| absent[at]) {
            return Cell::Missing;
        }
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        Cell::Text(&self.text[start as usize..self.ends[at] as usize])
    }
}

impl DenseBlock {
    /// The bytes of a column of single bytes, for those who can be quicker than cell by cell.
    pub(crate) fn byte(&self, row: usize, column: usize) -> u8 {
        self.bytes[row * self.row_step + column * self.column_step]
    }

    fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        if self.absent.as_ref().is_some_and(|absent| absent[row]) {
            return Cell::Missing;
        }
        let at = row * self.row_step + column * self.column_step;
        match self.kind {
            NumberKind::Bool => Cell::Bool(self.number::<1>(at) != [0]),
            NumberKind::U8 => Cell::Unsigned(u8::from_le_bytes(self.number(at)).into()),
            NumberKind::U16 => Cell::Unsigned(u16::from_le_bytes(self.number(at)).into()),
            NumberKind::U32 => Cell::Unsigned(u32::from_le_bytes(self.number(at)).into()),
            NumberKind::U64 => Cell::Unsigned(u64::from_le_bytes(self.number(at))),
            NumberKind::I8 => Cell::Signed(i8::from_le_bytes(self.number(at)).into()),
            NumberKind::I16 => Cell::Signed(i16::from_le_bytes(self.number(at)).into()),
            NumberKind::I32 => Cell::Signed(i32::from_le_bytes(self.number(at)).into()),
            NumberKind::I64 => Cell::Signed(i64::from_le_bytes(self.number(at))),
            NumberKind::F32 => Cell::Float(f32::from_le_bytes(self.number(at)).into()),
            NumberKind::F64 => Cell::Float(f64::from_le_bytes(self.number(at))),
        }
    }

    /// A number's bytes, the least significant first.
    fn number<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut number = [0; N];
        number.copy_from_slice(&self.bytes[at * N..(at + 1) * N]);
        if self.big_endian {
            number.reverse();
        }
        number
    }
}
