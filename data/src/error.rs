//! What can go wrong, and where.

use crate::Format;
use crate::report::Report;
use std::io;

/// An error of this crate. Errors about a file name it; errors about cells name row, column and
/// reason, as many as [`Limits::bad_cells`](crate::Limits::bad_cells) allows. None shows the value
/// of a cell: it is the owner's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system would not give the file's bytes.
    #[error("{file}: {source}; check the path and who may read it")]
    Io {
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file's name does not say what it is, nor does the caller.
    #[error(
        "{file}: its name ends in none of .csv, .npy, .parquet, .idx, -ubyte (and .gz behind it); \
         name the format"
    )]
    UnknownFormat {
        /// The file.
        file: String,
    },
    /// The file as a whole is not what it should be.
    #[error("{file}: not readable as {format}: {fault}")]
    Format {
        /// The file.
        file: String,
        /// What it was read as.
        format: Format,
        /// What is wrong.
        fault: FormatFault,
    },
    /// The file is larger than the caller allows.
    #[error(
        "{file}: more than {limit} {what}; if the file is meant to be that large, raise this limit"
    )]
    Limit {
        /// The file.
        file: String,
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// Cells that cannot be used, each with its place and reason.
    #[error(transparent)]
    Cells(#[from] Report),
    /// The file's columns are not those of the schema.
    #[error("{file}: {fault}")]
    Columns {
        /// The file.
        file: String,
        /// What does not fit.
        fault: ColumnsFault,
    },
    /// A schema that contradicts itself.
    #[error("schema{}: {fault}", in_column(.column.as_deref()))]
    Schema {
        /// The column, if it is about one.
        column: Option<String>,
        /// What is wrong.
        fault: SchemaFault,
    },
    /// The text of a schema is not of the expected form.
    #[error("schema, read as {language}: {message}")]
    SchemaText {
        /// TOML or JSON.
        language: &'static str,
        /// The parser's message.
        message: String,
    },
    /// Every row was dropped, by the schema's own policies.
    #[error("{file}: every row lacks a cell whose policy is drop-row; declare another policy")]
    NothingLeft {
        /// The file.
        file: String,
    },
    /// A split that cannot be made.
    #[error("split: {0}")]
    Split(&'static str),
    /// Pieces of a table that do not fit together.
    #[error("{file}{}: {fault}", in_column(.column.as_deref()))]
    Join {
        /// The piece.
        file: String,
        /// The column, if it is about one.
        column: Option<String>,
        /// What does not fit.
        fault: JoinFault,
    },
    /// A call that cannot be meant.
    #[error("{0}")]
    Misuse(&'static str),
}

/// Why a file was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatFault {
    /// Support for the format is not compiled in.
    #[error("this program was built without support for it; build it with feature `{0}`")]
    NotBuilt(&'static str),
    /// The first bytes are those of something else.
    #[error(
        "it begins with {found} instead of {expected}; it is a file of another kind or damaged"
    )]
    Magic {
        /// What a file of this kind begins with.
        expected: &'static str,
        /// Its first bytes, in hexadecimal.
        found: String,
    },
    /// It ends before it should.
    #[error(
        "{expected} bytes are declared and at most {found} are there; it is cut off or damaged"
    )]
    Truncated {
        /// Bytes it should have from some point on.
        expected: u64,
        /// Bytes it has, or could have at most if they are packed.
        found: u64,
    },
    /// It goes on after its end.
    #[error("there are bytes after the {0} declared; it is damaged, or two files in one")]
    Trailing(u64),
    /// The compression around it.
    #[error("its gzip wrapping is {0}; fetch or pack it anew")]
    Gzip(&'static str),
    /// The header contradicts the format.
    #[error("header: {0}; write the file anew")]
    Header(String),
    /// A lawful file of a kind that is not read.
    #[error("{0}")]
    Unsupported(String),
    /// The text breaks the rules of quoting or of lines.
    #[error("line {line}, cell {cell}: {what}")]
    Text {
        /// Line, counted from 1.
        line: u64,
        /// Cell of its record, counted from 1.
        cell: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// No records.
    #[error("it holds no records; see whether it is the right file")]
    NoRows,
    /// A column without a usable name.
    #[error("the name of column {number} {what}; give every column a name of its own")]
    ColumnName {
        /// Column, counted from 1.
        number: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The library that reads the format gave up.
    #[error("{0}; it is damaged or uses what is not supported: write it anew")]
    Reader(String),
}

/// How a file's columns differ from the schema's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnsFault {
    /// Columns that the schema has and the file has not.
    #[error(
        "the schema's {} not there; correct the header, or restrict the schema to the columns that \
         this owner has",
        listed(.0)
    )]
    Absent(Vec<String>),
    /// Columns that the file has and the schema has not.
    #[error(
        "{} not in the schema; declare each, as kind = \"ignore\" if it is not to be used",
        listed(.0)
    )]
    Undeclared(Vec<String>),
}

/// Why a schema was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaFault {
    /// Another version of the schema language.
    #[error("version {0}, this release speaks 1; use the release it was written for")]
    Version(u32),
    /// Nobody has looked at it yet.
    #[error(
        "still a proposal made from one file; check every line against public knowledge, then \
         delete `proposal = true`"
    )]
    Proposal,
    /// No columns, or no name, or too many.
    #[error("{0}")]
    Shape(&'static str),
    /// Two columns or features of one name.
    #[error("the name `{0}` occurs twice; names must differ, those of encoded features too")]
    Duplicate(String),
    /// A name in a list that occurs twice, or is empty.
    #[error("{0}")]
    Names(&'static str),
    /// A scale that the ring does not hold.
    #[error(
        "{fraction_bits} fraction bits in {value_bits} value bits; take at most 62 and 64, and \
         leave two bits above the point"
    )]
    FixedPoint {
        /// Bits behind the point.
        fraction_bits: u32,
        /// Bits in all.
        value_bits: u32,
    },
    /// Ranges and scalings that no number satisfies.
    #[error("{0}")]
    Range(&'static str),
    /// The constant for missing cells could not stand in the column itself.
    #[error("the constant declared for missing cells is not a value this column may have")]
    Fill,
    /// A policy that this kind of column cannot have.
    #[error("{0}")]
    Policy(&'static str),
    /// There is no such column.
    #[error("no column of this name is declared")]
    NoSuchColumn,
}

/// Why pieces of a table were not put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinFault {
    /// Two pieces hold one cell.
    #[error("row {row}: another piece holds this cell too; every cell must have one owner")]
    Overlap {
        /// Row of this piece, counted from 1.
        row: usize,
    },
    /// Tables side by side of unequal length.
    #[error(
        "{found} rows beside {expected}; both files must hold the same records in the same order"
    )]
    Rows {
        /// Rows of the first.
        expected: usize,
        /// Rows of the second.
        found: usize,
    },
    /// A column of that name is there already.
    #[error("a column of this name is there already; rename one")]
    Duplicate,
    /// A piece without the column of identifiers.
    #[error("the column of identifiers is not there; rows cannot be matched without it")]
    NoIdentifier,
    /// Nothing to join.
    #[error("no pieces were given")]
    Nothing,
}

/// ", column `age`" or nothing.
fn in_column(column: Option<&str>) -> String {
    column.map(|name| format!(", column `{name}`")).unwrap_or_default()
}

/// "column `a` is" or "columns `a`, `b` and 3 more are".
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match (names.len(), names.len().saturating_sub(SHOWN)) {
        (1, _) => format!("column {} is", shown.join(", ")),
        (_, 0) => format!("columns {} are", shown.join(", ")),
        (_, more) => format!("columns {} and {more} more are", shown.join(", ")),
    }
}

/// Shorthand of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
