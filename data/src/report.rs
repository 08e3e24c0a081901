//! Bad cells: which, where, why.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Cells that cannot be used. Lists as many as the caller asked for and counts the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    cells: Vec<BadCell>,
    total: usize,
}

/// One cell that cannot be used, or one row that is not a row.
#[derive(Debug, Clone, PartialEq)]
pub struct BadCell {
    /// The file.
    pub file: Arc<str>,
    /// The record, counted from 1; a header is no record.
    pub row: usize,
    /// The line of a text file on which the record begins, counted from 1, the header's line
    /// included.
    pub line: Option<u32>,
    /// The column; nothing if the whole row is at fault.
    pub column: Option<Arc<str>>,
    /// Why.
    pub reason: Reason,
}

/// Why a cell cannot be used, and what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Text where a number should be.
    #[error(
        "not a number; write it like 12, -0.5 or 1e3, or declare this text as a marker of missing \
         cells"
    )]
    NotANumber,
    /// Infinite, NaN, or beyond what f64 holds.
    #[error(
        "not a finite number; correct it, or leave the cell out and declare how missing cells are \
         treated"
    )]
    NotFinite,
    /// A whole number that f64 would round.
    #[error(
        "a whole number of 2^53 or more, which would be rounded; declare the column as identifier, \
         or divide it"
    )]
    NotExact,
    /// A byte that is neither 0 nor 1.
    #[error("neither true nor false; the file is damaged")]
    NotABool,
    /// Outside what the schema declares.
    #[error(
        "outside the declared range {min} to {max}; correct the cell, widen the range for all \
         owners or declare outside = \"clamp\""
    )]
    OutsideRange {
        /// The least allowed.
        min: f64,
        /// The greatest allowed.
        max: f64,
    },
    /// Outside what fixed point holds.
    #[error(
        "does not fit in {value_bits} bits with {fraction_bits} behind the point; declare a \
         scaling, or fewer fraction bits"
    )]
    OutsideRing {
        /// Bits behind the point.
        fraction_bits: u32,
        /// Bits in all, sign included.
        value_bits: u32,
    },
    /// Nothing there, and the schema says that this is not allowed.
    #[error(
        "missing, which the schema does not allow here; complete the cell or declare how missing \
         cells are treated"
    )]
    Missing,
    /// No text at all, and no marker for that.
    #[error("empty; complete the cell, or declare \"\" as a marker of missing cells")]
    Empty,
    /// Not in the list of categories or classes.
    #[error(
        "not one of the {declared} declared names; correct the cell or extend the list for all \
         owners"
    )]
    UnknownName {
        /// How many are declared.
        declared: usize,
    },
    /// An identifier that is a fraction or the like.
    #[error("an identifier is text or a whole number; convert the column, or declare another")]
    NotAnIdentifier,
    /// An identifier that another row has.
    #[error("row {first} has the same identifier; every row needs its own")]
    DuplicateIdentifier {
        /// The first row that has it.
        first: usize,
    },
    /// Bytes that are no text.
    #[error("not UTF-8; save the file as UTF-8")]
    NotUtf8,
    /// A zero byte within text.
    #[error("holds a NUL character; the file is damaged or no text file")]
    Nul,
    /// A record of another length than the header.
    #[error(
        "the row has {found} cells where the header has {expected}; look for a missing or stray \
         separator or quote"
    )]
    Ragged {
        /// Columns of the header.
        expected: usize,
        /// Cells of the record.
        found: usize,
    },
}

impl Report {
    /// The cells listed, by row and column.
    #[must_use]
    pub fn cells(&self) -> &[BadCell] {
        &self.cells
    }

    /// How many bad cells there are, listed or not.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }
}

impl std::error::Error for Report {}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ([cell], 1) = (&self.cells[..], self.total) {
            return cell.fmt(f);
        }
        write!(f, "{} bad cells", self.total)?;
        for cell in &self.cells {
            write!(f, "\n  {cell}")?;
        }
        match self.total - self.cells.len() {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl fmt::Display for BadCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, row {}", self.file, self.row)?;
        if let Some(line) = self.line {
            write!(f, " (line {line})")?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column `{column}`")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Gathers bad cells, the first `cap` of them in full.
#[derive(Debug)]
pub(crate) struct Collector {
    cap: usize,
    report: Report,
}

impl Collector {
    pub(crate) fn new(cap: usize) -> Self {
        Self { cap: cap.max(1), report: Report { cells: Vec::new(), total: 0 } }
    }

    /// Cells come in order of rows.
    pub(crate) fn push(&mut self, cell: impl FnOnce() -> BadCell) {
        self.report.total += 1;
        if self.report.cells.len() < self.cap {
            self.report.cells.push(cell());
        }
    }

    /// Adds what another pass over the same rows found.
    pub(crate) fn merge(&mut self, other: Self) {
        self.report.total += other.report.total;
        self.report.cells.extend(other.report.cells);
        self.report.cells.sort_by(by_place);
        self.report.cells.truncate(self.cap);
    }

    pub(crate) fn finish(self) -> Result<(), Report> {
        if self.report.total == 0 { Ok(()) } else { Err(self.report) }
    }
}

/// By row; within a row in the order found, which is that of the columns.
fn by_place(a: &BadCell, b: &BadCell) -> Ordering {
    a.row.cmp(&b.row)
}
