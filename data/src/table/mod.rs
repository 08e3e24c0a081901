//! A table: named columns of cells as the file has them. What a column means is the schema's to
//! say.

pub(crate) mod block;
mod write;

use crate::error::JoinFault;
use crate::report::{BadCell, Reason};
use crate::{Error, Result};
use block::Block;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// What an owner's file holds. Choosing rows or columns copies no cells.
///
/// `Debug` shows its shape, never its cells.
#[derive(Clone)]
pub struct Table {
    rows: usize,
    /// Which row of the file each row is, if not all in order.
    chosen: Option<Arc<[u32]>>,
    columns: Vec<Column>,
}

/// One column.
#[derive(Clone)]
struct Column {
    name: Arc<str>,
    file: Arc<str>,
    block: Arc<Block>,
    at: usize,
}

/// One cell, as the file has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// The format itself says that there is nothing.
    Missing,
    /// Text; markers of missing cells are still text here.
    Text(&'a str),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Signed(i64),
    /// A whole number, not negative.
    Unsigned(u64),
    /// A number, possibly NaN or infinite.
    Float(f64),
}

impl Table {
    /// Columns of one block.
    pub(crate) fn new(file: &Arc<str>, names: Vec<String>, rows: usize, block: Block) -> Self {
        let block = Arc::new(block);
        let column = |(at, name): (usize, String)| Column {
            name: name.into(),
            file: Arc::clone(file),
            block: Arc::clone(&block),
            at,
        };
        Self { rows, chosen: None, columns: names.into_iter().enumerate().map(column).collect() }
    }

    /// Columns of a block each.
    #[cfg(feature = "parquet")]
    pub(crate) fn of_columns(file: &Arc<str>, rows: usize, columns: Vec<(String, Block)>) -> Self {
        let column = |(name, block): (String, Block)| Column {
            name: name.into(),
            file: Arc::clone(file),
            block: Arc::new(block),
            at: 0,
        };
        Self { rows, chosen: None, columns: columns.into_iter().map(column).collect() }
    }

    /// Number of records.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// The columns' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| &*column.name)
    }

    /// The place of a column.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| &*column.name == name)
    }

    /// The file that the table, or its first column, came from.
    #[must_use]
    pub fn file(&self) -> &str {
        self.columns.first().map_or("empty table", |column| &column.file)
    }

    /// A cell.
    ///
    /// # Panics
    ///
    /// Beyond the last row or column.
    #[must_use]
    pub fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        let column = &self.columns[column];
        column.block.cell(self.row_of_file(row), column.at)
    }

    /// The table with only these rows, in this order.
    pub fn select_rows(&self, rows: &[u32]) -> Result<Self> {
        if rows.iter().any(|row| *row as usize >= self.rows) {
            return Err(Error::Misuse("a row chosen is not in the table"));
        }
        let chosen = rows.iter().map(|row| self.row_of_file(*row as usize) as u32).collect();
        Ok(Self { rows: rows.len(), chosen: Some(chosen), columns: self.columns.clone() })
    }

    /// The table with only these columns, in this order.
    pub fn select_columns(&self, columns: &[usize]) -> Result<Self> {
        let column = |at: &usize| self.columns.get(*at).cloned();
        match columns.iter().map(column).collect() {
            Some(columns) => Ok(Self { rows: self.rows, chosen: self.chosen.clone(), columns }),
            None => Err(Error::Misuse("a column chosen is not in the table")),
        }
    }

    /// The columns of both, side by side: row i of one belongs to row i of the other. For labels in
    /// a file of their own.
    pub fn beside(&self, other: &Self) -> Result<Self> {
        let file = other.file().to_owned();
        if self.rows != other.rows {
            let fault = JoinFault::Rows { expected: self.rows, found: other.rows };
            return Err(Error::Join { file, column: None, fault });
        }
        if self.chosen != other.chosen {
            return Err(Error::Misuse("put tables side by side first, then choose rows"));
        }
        if let Some(name) = other.names().find(|name| self.find(name).is_some()) {
            let column = Some(name.to_owned());
            return Err(Error::Join { file, column, fault: JoinFault::Duplicate });
        }
        let columns = self.columns.iter().chain(&other.columns).cloned().collect();
        Ok(Self { rows: self.rows, chosen: self.chosen.clone(), columns })
    }

    /// The table with a further column that numbers the rows from 1: an identifier for records that
    /// have none.
    pub fn with_row_numbers(&self, name: &str) -> Result<Self> {
        if self.find(name).is_some() {
            return Err(Error::Misuse("a column of this name is there already"));
        }
        let rows = self
            .chosen
            .as_ref()
            .map_or(self.rows, |chosen| chosen.iter().max().map_or(0, |last| *last as usize + 1));
        let block = Block::Dense(block::DenseBlock {
            bytes: (1..=rows as u32).flat_map(u32::to_le_bytes).collect(),
            kind: block::NumberKind::U32,
            big_endian: false,
            row_step: 1,
            column_step: 1,
            absent: None,
        });
        let mut table = self.clone();
        let file = self.file().into();
        table.columns.push(Column { name: name.into(), file, block: Arc::new(block), at: 0 });
        Ok(table)
    }

    /// The record of its file that a row is, counted from 0.
    pub(crate) fn row_of_file(&self, row: usize) -> usize {
        self.chosen.as_ref().map_or(row, |chosen| chosen[row] as usize)
    }

    pub(crate) fn block(&self, column: usize) -> (&Block, usize) {
        (&self.columns[column].block, self.columns[column].at)
    }

    pub(crate) fn bad_cell(&self, row: usize, column: usize, reason: Reason) -> BadCell {
        let column = &self.columns[column];
        let row = self.row_of_file(row);
        BadCell {
            file: Arc::clone(&column.file),
            row: row + 1,
            line: column.block.line(row),
            column: Some(Arc::clone(&column.name)),
            reason,
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({}, {} rows, {} columns)", self.file(), self.rows, self.width())
    }
}

impl<'a> Cell<'a> {
    /// The cell as text: numbers in their shortest decimal form (`2`, not `2.0`), nothing for a
    /// missing one.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        match self {
            Self::Missing => Cow::Borrowed(""),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Bool(x) => Cow::Borrowed(if *x { "true" } else { "false" }),
            Self::Signed(x) => Cow::Owned(x.to_string()),
            Self::Unsigned(x) => Cow::Owned(x.to_string()),
            Self::Float(x) => Cow::Owned(x.to_string()),
        }
    }

    /// The cell as a number: true is 1, false 0. Text is parsed as Rust parses an f64, infinities
    /// refused.
    pub fn number(&self) -> Result<f64, Reason> {
        /// From here on, not every whole number is an f64.
        const EXACT: u64 = 1 << f64::MANTISSA_DIGITS;
        match *self {
            Self::Missing => Err(Reason::Missing),
            Self::Bool(x) => Ok(f64::from(u8::from(x))),
            Self::Signed(x) if x.unsigned_abs() < EXACT => Ok(x as f64),
            Self::Unsigned(x) if x < EXACT => Ok(x as f64),
            Self::Signed(_) | Self::Unsigned(_) => Err(Reason::NotExact),
            Self::Float(x) if x.is_finite() => Ok(x),
            Self::Float(_) => Err(Reason::NotFinite),
            Self::Text("") => Err(Reason::Empty),
            Self::Text(text) => match text.parse::<f64>() {
                Err(_) => Err(Reason::NotANumber),
                Ok(x) if !x.is_finite() => Err(Reason::NotFinite),
                Ok(x) if x.abs() >= EXACT as f64 && is_whole(text) => Err(Reason::NotExact),
                Ok(x) => Ok(x),
            },
        }
    }
}

/// Digits alone, with or without a sign: then every digit is meant.
fn is_whole(text: &str) -> bool {
    text.trim_start_matches(['+', '-']).bytes().all(|byte| byte.is_ascii_digit())
}
