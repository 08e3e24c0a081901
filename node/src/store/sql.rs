//! Statements, what is bound to them, and the rows that come back: the same for every kind of
//! database.

use super::db::{Inner, Tx};
use super::error::{Result, StoreError};
use super::sqlite;
use crate::clock::Time;

/// A statement with `$1`, `$2`, … for what is bound to it. Its text is part of the program, so no
/// value can ever become part of it.
pub fn sql(text: &'static str) -> Sql {
    Sql { text, values: Vec::new() }
}

/// A statement and its values; see [`sql`].
#[derive(Debug)]
#[must_use = "nothing happens before it is executed"]
pub struct Sql {
    pub(super) text: &'static str,
    pub(super) values: Vec<Value>,
}

/// A value bound to a statement. An absent one still has its type: some databases ask for it.
#[derive(Clone)]
#[non_exhaustive]
pub enum Value {
    /// BIGINT; also for truth, 0 and 1.
    Int(Option<i64>),
    /// DOUBLE PRECISION.
    Real(Option<f64>),
    /// TEXT.
    Text(Option<String>),
    /// BLOB.
    Blob(Option<Vec<u8>>),
}

impl std::fmt::Debug for Value {
    /// The type alone: values may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Int(_) => "Int",
            Self::Real(_) => "Real",
            Self::Text(_) => "Text",
            Self::Blob(_) => "Blob",
        })
    }
}

impl Sql {
    /// Binds the next placeholder.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it; how many rows it touched.
    pub async fn execute(self, tx: &mut Tx) -> Result<u64> {
        tx.enter()?;
        let result = match &mut tx.inner {
            Inner::Sqlite(inner) => sqlite::execute(inner, self, &tx.place).await,
        };
        tx.note(result)
    }

    /// All rows.
    pub async fn all(self, tx: &mut Tx) -> Result<Vec<Row>> {
        tx.enter()?;
        let result = match &mut tx.inner {
            Inner::Sqlite(inner) => sqlite::all(inner, self, &tx.place).await,
        };
        tx.note(result)
    }

    /// The first row, if there is any.
    pub async fn optional(self, tx: &mut Tx) -> Result<Option<Row>> {
        tx.enter()?;
        let result = match &mut tx.inner {
            Inner::Sqlite(inner) => sqlite::optional(inner, self, &tx.place).await,
        };
        tx.note(result)
    }

    /// The first row; [`StoreError::Missing`] if there is none.
    pub async fn one(self, tx: &mut Tx) -> Result<Row> {
        let text = self.text;
        let row = self.optional(tx).await?;
        row.ok_or_else(|| StoreError::Missing { place: format!("{}: a row of: {text}", tx.place) })
    }
}

/// A row of an answer.
pub struct Row {
    pub(super) inner: sqlite::Row,
    pub(super) place: std::sync::Arc<str>,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").finish_non_exhaustive()
    }
}

impl Row {
    /// The column of this name. One that does not hold what it should is
    /// [`StoreError::Corrupt`].
    pub fn get<T: Column>(&self, name: &str) -> Result<T> {
        T::from_row(self, name)
    }

    /// For a column whose content is not allowed.
    #[must_use]
    pub fn bad(&self, name: &str, why: impl std::fmt::Display) -> StoreError {
        StoreError::corrupt(&self.place, format_args!("column {name}: {why}"))
    }
}

/// What a column can be read as. Services add their own types: read a plain one, then check.
pub trait Column: Sized {
    /// Reads column `name` of `row`.
    fn from_row(row: &Row, name: &str) -> Result<Self>;
}

/// Says which of [`Value`]'s types a plain type is, in both directions. A macro, since a trait
/// implemented for all of them would forbid services' own types.
macro_rules! plain {
    ($($type:ty => $kind:ident;)*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$kind(Some(value.into()))
            }
        }
        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                Self::$kind(value.map(Into::into))
            }
        }
    )*};
}

plain! {
    i64 => Int; i32 => Int; u32 => Int; u16 => Int; u8 => Int; bool => Int;
    f64 => Real; f32 => Real;
    String => Text; &str => Text;
    Vec<u8> => Blob; &[u8] => Blob;
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        value.as_str().into()
    }
}

impl From<&Vec<u8>> for Value {
    fn from(value: &Vec<u8>) -> Self {
        value.as_slice().into()
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Blob(Some(value.to_vec()))
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(value: &[u8; N]) -> Self {
        Self::Blob(Some(value.to_vec()))
    }
}

impl From<Time> for Value {
    fn from(value: Time) -> Self {
        value.millis().into()
    }
}

impl From<Option<Time>> for Value {
    fn from(value: Option<Time>) -> Self {
        value.map(Time::millis).into()
    }
}

impl Column for Option<i64> {
    fn from_row(row: &Row, name: &str) -> Result<Self> {
        sqlite::column(row, name)
    }
}

impl Column for Option<f64> {
    fn from_row(row: &Row, name: &str) -> Result<Self> {
        sqlite::column(row, name)
    }
}

impl Column for Option<String> {
    fn from_row(row: &Row, name: &str) -> Result<Self> {
        sqlite::column(row, name)
    }
}

impl Column for Option<Vec<u8>> {
    fn from_row(row: &Row, name: &str) -> Result<Self> {
        sqlite::column(row, name)
    }
}

/// The same without the option, for the types that a column may have.
macro_rules! present {
    ($($type:ty),*) => {$(
        impl Column for $type {
            fn from_row(row: &Row, name: &str) -> Result<Self> {
                Option::<$type>::from_row(row, name)?.ok_or_else(|| row.bad(name, "is absent"))
            }
        }
    )*};
}

present!(i64, f64, String, Vec<u8>);

/// Integers of narrower types: out of range is an error, never a wrap.
macro_rules! narrow {
    ($($type:ty),*) => {$(
        impl Column for $type {
            fn from_row(row: &Row, name: &str) -> Result<Self> {
                let wide: i64 = row.get(name)?;
                wide.try_into().map_err(|_| row.bad(name, "is out of range"))
            }
        }
    )*};
}

narrow!(i32, u64, u32, u16, u8, usize);

impl Column for bool {
    fn from_row(row: &Row, name: &str) -> Result<Self> {
        match row.get::<i64>(name)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(row.bad(name, "is neither 0 nor 1")),
        }
    }
}

impl<const N: usize> Column for [u8; N] {
    fn from_row(row: &Row, name: &str) -> Result<Self> {
        let bytes: Vec<u8> = row.get(name)?;
        bytes.try_into().map_err(|_| row.bad(name, format_args!("is not of {N} bytes")))
    }
}

impl Column for Time {
    fn from_row(row: &Row, name: &str) -> Result<Self> {
        row.get(name).map(Time::from_millis)
    }
}

impl Column for Option<Time> {
    fn from_row(row: &Row, name: &str) -> Result<Self> {
        Ok(row.get::<Option<i64>>(name)?.map(Time::from_millis))
    }
}
