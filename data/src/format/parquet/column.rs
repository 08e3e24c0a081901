//! One column's cells, from all row groups.

use crate::report::{BadCell, Collector, Reason};
use crate::table::block::{Block, DenseBlock, NumberKind, TextBlock};
use ::parquet::basic::Type;
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, DataType};
use ::parquet::errors::{ParquetError, Result as Parsed};
use std::sync::Arc;

/// Cells asked for at a time: whatever a page declares, no more memory is taken than for these.
const BATCH: usize = 1 << 13;

/// A column as it grows.
pub(super) struct Builder {
    store: Store,
    rows: usize,
    /// Can cells be absent?
    optional: bool,
    file: Arc<str>,
    name: Arc<str>,
    /// Cells that are no text: a dictionary makes many of one.
    bad: Collector,
    /// Bytes of text it may still take: a dictionary makes much of little.
    pub(super) room: u64,
    /// There was more text than that, or than a column holds.
    pub(super) full: bool,
}

enum Store {
    Numbers { kind: NumberKind, bytes: Vec<u8>, absent: Vec<bool> },
    Text(TextBlock),
}

impl Builder {
    /// For cells of this physical type, unsigned if they are whole numbers and said to be; of a
    /// file, under a name, with so many bad ones listed.
    pub(super) fn new(
        (physical, unsigned, optional): (Type, bool, bool),
        (file, name): (Arc<str>, Arc<str>),
        bad_cells: usize,
    ) -> Self {
        let numbers = |kind| Store::Numbers { kind, bytes: Vec::new(), absent: Vec::new() };
        let store = match (physical, unsigned) {
            (Type::BOOLEAN, _) => numbers(NumberKind::Bool),
            (Type::INT32, false) => numbers(NumberKind::I32),
            (Type::INT32, true) => numbers(NumberKind::U32),
            (Type::INT64, false) => numbers(NumberKind::I64),
            (Type::INT64, true) => numbers(NumberKind::U64),
            (Type::FLOAT, _) => numbers(NumberKind::F32),
            (Type::DOUBLE, _) => numbers(NumberKind::F64),
            _ => Store::Text(TextBlock::with_absent(1)),
        };
        let bad = Collector::new(bad_cells);
        Self { store, rows: 0, optional, file, name, bad, room: 0, full: false }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds the cells of a row group, no more than it has rows.
    pub(super) fn fill(&mut self, reader: ColumnReader, rows: usize) -> Parsed<()> {
        match reader {
            ColumnReader::BoolColumnReader(reader) => {
                self.numbers(reader, rows, |x| [u8::from(*x)])
            }
            ColumnReader::Int32ColumnReader(reader) => {
                self.numbers(reader, rows, |x| x.to_le_bytes())
            }
            ColumnReader::Int64ColumnReader(reader) => {
                self.numbers(reader, rows, |x| x.to_le_bytes())
            }
            ColumnReader::FloatColumnReader(reader) => {
                self.numbers(reader, rows, |x| x.to_le_bytes())
            }
            ColumnReader::DoubleColumnReader(reader) => {
                self.numbers(reader, rows, |x| x.to_le_bytes())
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                cells(reader, self.optional, rows, |cell| self.text(cell))
            }
            _ => Err(ParquetError::General("a type that is not read".to_owned())),
        }
    }

    fn numbers<T: DataType, const N: usize>(
        &mut self,
        reader: ColumnReaderImpl<T>,
        rows: usize,
        number: impl Fn(&T::T) -> [u8; N],
    ) -> Parsed<()> {
        let Store::Numbers { bytes, absent, .. } = &mut self.store else {
            return Err(ParquetError::General("a column changes its type".to_owned()));
        };
        cells(reader, self.optional, rows, |cell| {
            self.rows += 1;
            absent.push(cell.is_none());
            bytes.extend(cell.map_or([0; N], &number));
        })
    }

    fn text(&mut self, cell: Option<&ByteArray>) {
        let row = self.rows;
        self.rows += 1;
        if self.full {
            return;
        }
        let Store::Text(block) = &mut self.store else { return };
        let Some(bytes) = cell else { return block.push_absent() };
        let text = match str::from_utf8(bytes.data()) {
            Ok(text) if !text.contains('\0') => Ok(text),
            Ok(_) => Err(Reason::Nul),
            Err(_) => Err(Reason::NotUtf8),
        };
        let text = text.unwrap_or_else(|reason| {
            let (file, column) = (Arc::clone(&self.file), Some(Arc::clone(&self.name)));
            self.bad.push(|| BadCell { file, row: row + 1, line: None, column, reason });
            ""
        });
        match self.room.checked_sub(text.len() as u64) {
            Some(room) => (self.room, self.full) = (room, !block.push(text)),
            None => self.full = true,
        }
    }

    /// The column, and what cannot be used of it.
    pub(super) fn finish(self) -> (Block, Collector) {
        let block = match self.store {
            Store::Text(mut block) => {
                block.shrink();
                Block::Text(block)
            }
            Store::Numbers { kind, bytes, absent } => Block::Dense(DenseBlock {
                bytes,
                kind,
                big_endian: false,
                row_step: 1,
                column_step: 1,
                absent: absent.contains(&true).then_some(absent),
            }),
        };
        (block, self.bad)
    }
}

/// Every cell of a row group's column, in order.
fn cells<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    optional: bool,
    mut left: usize,
    mut each: impl FnMut(Option<&T::T>),
) -> Parsed<()> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    loop {
        levels.clear();
        values.clear();
        let levels_wanted = optional.then_some(&mut levels);
        let (rows, _, _) = reader.read_records(BATCH, levels_wanted, None, &mut values)?;
        if rows == 0 {
            return Ok(());
        }
        left = left.checked_sub(rows).ok_or_else(|| {
            ParquetError::General("a column has more cells than its row group has rows".to_owned())
        })?;
        let mut values = values.iter();
        for row in 0..rows {
            let there = !optional || levels.get(row) == Some(&1);
            let value = if there { values.next() } else { None };
            if there && value.is_none() {
                return Err(ParquetError::General(
                    "a page has fewer cells than it says".to_owned(),
                ));
            }
            each(value);
        }
    }
}
