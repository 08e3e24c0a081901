//! The formats, and reading a file in one of them.

pub(crate) mod csv;
pub(crate) mod idx;
pub(crate) mod npy;
#[cfg(feature = "parquet")]
pub(crate) mod parquet;

use crate::source::Input;
use crate::{Error, FormatFault, Limits, Result, Table};
use std::fmt;
use std::path::Path;

/// A file format. Gzip around any of them is taken off, however the file is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Text, a record per line: RFC 4180, UTF-8.
    Csv,
    /// MNIST's: a magic number, dimensions, numbers.
    Idx,
    /// NumPy's, of one array.
    Npy,
    /// Apache Parquet with flat columns; feature `parquet`.
    Parquet,
}

/// How a file is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format; by default what the file's name says.
    pub format: Option<Format>,
    /// Bounds.
    pub limits: Limits,
    /// What CSV leaves open.
    pub csv: CsvOptions,
    /// Formats without column names: columns are called by this and their number from 0, or by this
    /// alone if there is one. By default `x`.
    pub column_name: Option<String>,
}

/// What CSV leaves open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// Between cells: one ASCII character.
    pub separator: u8,
    /// Where the columns' names are.
    pub header: Header,
    /// Are blanks around a cell taken off?
    pub trim: bool,
}

/// Where the columns' names are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// In the first line.
    FirstLine,
    /// Here; the first line is a record already.
    Declared(Vec<String>),
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { separator: b',', header: Header::FirstLine, trim: false }
    }
}

impl Format {
    /// What a file's name says: `.csv`, `.npy`, `.parquet`, `.idx` or `-ubyte` as MNIST's files
    /// end, each also with `.gz`.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let endings = [
            (".csv", Self::Csv),
            (".npy", Self::Npy),
            (".parquet", Self::Parquet),
            (".idx", Self::Idx),
            ("-ubyte", Self::Idx),
        ];
        endings.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| *format)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Idx => "IDX",
            Self::Npy => "NPY",
            Self::Parquet => "Parquet",
        })
    }
}

impl Table {
    /// Reads a file.
    pub fn read(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self> {
        let path = path.as_ref();
        let format = format_of(path, options)?;
        parse(Input::open(path, format, &options.limits)?, options)
    }

    /// Reads bytes as if they were a file of that name. The format is that of the options or of the
    /// name.
    pub fn from_bytes(name: &str, bytes: &[u8], options: &ReadOptions) -> Result<Self> {
        let format = format_of(Path::new(name), options)?;
        parse(Input::from_bytes(name, bytes, format, &options.limits)?, options)
    }
}

fn format_of(path: &Path, options: &ReadOptions) -> Result<Format> {
    let format = options.format.or_else(|| Format::of(path));
    format.ok_or_else(|| Error::UnknownFormat { file: path.display().to_string() })
}

fn parse(input: Input<'_>, options: &ReadOptions) -> Result<Table> {
    match input.format() {
        Format::Csv => csv::read(input, options),
        Format::Idx => idx::read(input, options),
        Format::Npy => npy::read(input, options),
        #[cfg(feature = "parquet")]
        Format::Parquet => parquet::read(input, options),
        #[cfg(not(feature = "parquet"))]
        Format::Parquet => Err(input.fault(FormatFault::NotBuilt("parquet"))),
    }
}

/// Names of the columns of a matrix: `x0`, `x1`, ..., or `x` alone.
pub(crate) fn numbered(options: &ReadOptions, columns: usize, one: bool) -> Vec<String> {
    let stem = options.column_name.as_deref().unwrap_or("x");
    if one {
        return vec![stem.to_owned()];
    }
    (0..columns).map(|i| format!("{stem}{i}")).collect()
}

/// Refuses more of something than the limits allow, before memory is asked for.
pub(crate) fn within(input: &Input<'_>, limits: &Limits, rows: u64, columns: u64) -> Result<()> {
    let cells = rows.saturating_mul(columns);
    let over = |what, limit| Err(input.limit(what, limit));
    if columns > u64::from(limits.columns) {
        return over("columns", u64::from(limits.columns));
    }
    if rows > u64::from(limits.rows) {
        return over("rows", u64::from(limits.rows));
    }
    if cells > limits.cells {
        return over("cells", limits.cells);
    }
    if cells == 0 {
        return Err(input.fault(FormatFault::NoRows));
    }
    Ok(())
}
