//! From a table and a schema to numbers in the ring.

mod labels;
mod plan;
mod rule;

pub use labels::Labels;

use crate::error::ColumnsFault;
use crate::fixed::FixedPoint;
use crate::report::{Collector, Reason};
use crate::schema::Schema;
use crate::{Error, Limits, Result, Table};
use plan::Plan;
use std::fmt;

/// Rows that are encoded column by column at a time, so that both stay in the cache.
const ROWS_AT_A_TIME: usize = 64;

/// What features are made of: ring values (`i64`), or plain numbers (`f64`) for comparison.
pub trait Element: sealed::Element {}
impl Element for i64 {}
impl Element for f64 {}

mod sealed {
    use super::{FixedPoint, Reason};

    pub trait Element: Copy + Default {
        fn encode(fixed: FixedPoint, v: f64) -> Result<Self, Reason>;
    }

    impl Element for i64 {
        fn encode(fixed: FixedPoint, v: f64) -> Result<Self, Reason> {
            fixed.encode(v)
        }
    }

    /// The number itself, where it would fit in the ring.
    impl Element for f64 {
        fn encode(fixed: FixedPoint, v: f64) -> Result<Self, Reason> {
            fixed.encode(v).map(|_| v)
        }
    }
}

/// An encoded file: a matrix of features, row by row, with labels and identifiers.
///
/// `Debug` shows its shape, never its values.
#[derive(Clone, PartialEq)]
pub struct Encoded<T = i64> {
    features: Vec<Feature>,
    values: Vec<T>,
    rows: Vec<u32>,
    dropped: Vec<u32>,
    labels: Option<Labels<T>>,
    identifiers: Option<Vec<String>>,
}

/// A column of the matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// `age`, `colour=red`, `age:missing`.
    pub name: String,
    /// The column it was made from.
    pub column: String,
    /// f and l of its values.
    pub fixed: FixedPoint,
}

impl Schema {
    /// Encodes a table: features as ring values, labels, identifiers. The table's columns must be
    /// the schema's, in any order.
    pub fn encode(&self, table: &Table, limits: &Limits) -> Result<Encoded<i64>> {
        self.encode_as(table, limits)
    }

    /// The same with plain numbers, not rounded: what the price of fixed point is measured against.
    pub fn encode_plain(&self, table: &Table, limits: &Limits) -> Result<Encoded<f64>> {
        self.encode_as(table, limits)
    }

    fn encode_as<T: Element>(&self, table: &Table, limits: &Limits) -> Result<Encoded<T>> {
        let plan = Plan::<T>::new(self, table)?;
        encoded(&plan, table, 0..table.rows() as u32, limits)
    }

    /// Encodes some rows of a table at a time. What the schema says of its columns is looked up
    /// once for all of them.
    pub fn encoder<'a>(&'a self, table: &'a Table, limits: &'a Limits) -> Result<Encoder<'a>> {
        Ok(Encoder { plan: Plan::new(self, table)?, table, limits })
    }
}

/// A schema laid over a table.
pub struct Encoder<'a> {
    plan: Plan<'a, i64>,
    table: &'a Table,
    limits: &'a Limits,
}

impl Encoder<'_> {
    /// Encodes these rows of the table, in this order: what [`Schema::encode`] gives for a table of
    /// them alone, but that rows and errors are told as the whole table's.
    pub fn rows(&self, rows: &[u32]) -> Result<Encoded<i64>> {
        if rows.iter().any(|row| *row as usize >= self.table.rows()) {
            return Err(Error::Misuse("a row chosen is not in the table"));
        }
        encoded(&self.plan, self.table, rows.iter().copied(), self.limits)
    }
}

fn encoded<T: Element>(
    plan: &Plan<'_, T>,
    table: &Table,
    rows: impl Iterator<Item = u32>,
    limits: &Limits,
) -> Result<Encoded<T>> {
    let (rows, dropped) = plan.rows(table, rows);
    if rows.is_empty() {
        return Err(Error::NothingLeft { file: table.file().to_owned() });
    }
    let size = within(table, limits, rows.len(), plan.features.len())?;
    let mut values = Vec::new();
    if values.try_reserve_exact(size).is_err() {
        return Err(limit(table, "values in memory", size as u64));
    }
    let mut bad = Collector::new(limits.bad_cells);
    features(plan, table, &rows, &mut values, &mut bad);
    let labels = plan.labels(table, &rows, limits, &mut bad);
    let identifiers = plan.identifiers(table, &rows, limits, &mut bad);
    bad.finish()?;
    let features = plan.features.clone();
    Ok(Encoded { features, values, rows, dropped, labels, identifiers })
}

fn within(table: &Table, limits: &Limits, rows: usize, width: usize) -> Result<usize> {
    if width > limits.columns as usize {
        return Err(limit(table, "features", limits.columns.into()));
    }
    rows.checked_mul(width)
        .filter(|size| *size as u64 <= limits.cells)
        .ok_or_else(|| limit(table, "encoded values", limits.cells))
}

fn limit(table: &Table, what: &'static str, limit: u64) -> Error {
    Error::Limit { file: table.file().to_owned(), what, limit }
}

/// Fills the matrix, a few rows at a time, each column's in one go.
fn features<T: Element>(
    plan: &Plan<'_, T>,
    table: &Table,
    rows: &[u32],
    values: &mut Vec<T>,
    bad: &mut Collector,
) {
    let width = plan.features.len();
    if width == 0 {
        return;
    }
    let mut found = Vec::new();
    for rows in rows.chunks(ROWS_AT_A_TIME) {
        let start = values.len();
        values.resize(start + rows.len() * width, T::default());
        let values = &mut values[start..];
        for column in &plan.columns {
            plan.encode(table, column, rows, values, |row, reason| {
                found.push((row, column.at, reason));
            });
        }
        found.sort_by_key(|(row, column, _)| (*row, *column));
        for (row, column, reason) in found.drain(..) {
            bad.push(|| table.bad_cell(row as usize, column, reason));
        }
    }
}

impl<T: Element> Encoded<T> {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Number of features.
    #[must_use]
    pub fn width(&self) -> usize {
        self.features.len()
    }

    /// The features, in order.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The matrix, row by row. An `i64` is a ring element in two's complement.
    #[must_use]
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The features of one row.
    ///
    /// # Panics
    ///
    /// Beyond the last row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[T] {
        &self.values[row * self.width()..(row + 1) * self.width()]
    }

    /// The labels, if the schema has one.
    #[must_use]
    pub fn labels(&self) -> Option<&Labels<T>> {
        self.labels.as_ref()
    }

    /// The rows' identifiers, if the schema has one.
    #[must_use]
    pub fn identifiers(&self) -> Option<&[String]> {
        self.identifiers.as_deref()
    }

    /// The row of the table that each row is, counted from 0.
    #[must_use]
    pub fn rows_of_table(&self) -> &[u32] {
        &self.rows
    }

    /// The rows of the table that were left out because a cell is missing whose column says
    /// drop-row, counted from 0.
    #[must_use]
    pub fn dropped_rows(&self) -> &[u32] {
        &self.dropped
    }

    /// Only these rows, in this order: the training part or the test part of a split.
    pub fn select(&self, rows: &[u32]) -> Result<Self> {
        if rows.iter().any(|row| *row as usize >= self.rows()) {
            return Err(Error::Misuse("a row chosen is not in the encoded file"));
        }
        let mut values = Vec::with_capacity(rows.len() * self.width());
        for row in rows {
            values.extend_from_slice(self.row(*row as usize));
        }
        Ok(Self {
            features: self.features.clone(),
            values,
            rows: rows.iter().map(|row| self.rows[*row as usize]).collect(),
            dropped: self.dropped.clone(),
            labels: self.labels.as_ref().map(|labels| labels.select(rows)),
            identifiers: self
                .identifiers
                .as_ref()
                .map(|names| rows.iter().map(|row| names[*row as usize].clone()).collect()),
        })
    }
}

impl<T> fmt::Debug for Encoded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, width, labels) = (self.rows.len(), self.features.len(), self.labels.is_some());
        write!(f, "Encoded({rows} rows, {width} features, labels: {labels})")
    }
}

/// Columns that one side has and the other has not.
fn unmatched(table: &Table, fault: ColumnsFault) -> Error {
    Error::Columns { file: table.file().to_owned(), fault }
}
