//! From owners' files to ring values: formats, schema, encoding, splits. No network.
//!
//! ```text
//! file --Table::read--> Table --Schema::encode--> Encoded: features, labels, identifiers
//!       CSV, IDX, NPY, Parquet      TOML or JSON         in the ring Z modulo 2^64
//! ```
//!
//! # An example
//!
//! ```
//! use dyad_data::{Limits, ReadOptions, Schema, Table, TrainTest};
//!
//! let schema = Schema::from_toml(r#"
//!     version = 1
//!     missing_markers = ["?"]
//!
//!     [[columns]]
//!     name = "patient"
//!     kind = "identifier"
//!
//!     [[columns]]
//!     name = "age"
//!     kind = "numeric"
//!     scaling = { min-max = { min = 0, max = 128 } }
//!     missing = { indicator = 50 }
//!
//!     [[columns]]
//!     name = "ill"
//!     kind = "classes"
//!     classes = ["no", "yes"]
//! "#)?;
//!
//! let file = "patient,ill,age\nA7,no,32\nB2,yes,?\nC9,yes,64\n";
//! let table = Table::from_bytes("north.csv", file.as_bytes(), &ReadOptions::default())?;
//! let encoded = schema.encode(&table, &Limits::default())?;
//!
//! // 32 / 128 with 16 bits behind the point, not missing; then the constant 50 / 128, missing.
//! assert_eq!(encoded.row(0), [1 << 14, 0]);
//! assert_eq!(encoded.row(1), [25600, 1 << 16]);
//! assert_eq!(encoded.labels().and_then(|labels| labels.classes()), Some(&[0, 1, 1][..]));
//!
//! let split = TrainTest::by_seed(encoded.rows(), 1, 7)?;
//! assert_eq!(encoded.select(&split.test)?.rows(), 1);
//!
//! let file = "patient,ill,age\nA7,no,32\nB2,maybe,200\n";
//! let table = Table::from_bytes("south.csv", file.as_bytes(), &ReadOptions::default())?;
//! let error = schema.encode(&table, &Limits::default()).unwrap_err().to_string();
//! let place = "south.csv, row 2 (line 3), column";
//! assert!(error.contains(&format!("{place} `age`: outside the declared range 0 to 128")));
//! assert!(error.contains(&format!("{place} `ill`: not one of the 2 declared names")));
//! # Ok::<(), dyad_data::Error>(())
//! ```
//!
//! # Rules
//!
//! - **Nothing is guessed.** A cell that the schema does not account for is an error with file,
//!   row, column and reason; so is a column. What encoding depends on (ranges, means, categories,
//!   constants for missing cells) stands in the schema, never in a file. [`Schema::suggest`]
//!   proposes one and marks it as a proposal, which is refused until somebody has taken the mark
//!   away.
//! - **No value is shown** by an error or by `Debug`: the cells are the owner's.
//! - **Files are not believed.** Sizes declared in a header are compared with the file's length
//!   before memory is asked for; [`Limits`] bound the rest, what comes out of gzip included.
//!   Damaged bytes give an error, not a panic.
//! - **The same everywhere.** Encoding uses IEEE arithmetic alone, splits use SHA-256: every
//!   machine gets the same bits.
//!
//! # What is not promised
//!
//! - Records are not wiped from memory; they lie in the file they came from.
//! - A schema is public: whoever takes ranges or categories from secret records publishes something
//!   of them.
//! - Parquet (feature `parquet`) is parsed by crate parquet, which is large. Page headers are
//!   checked first and panics are caught, but a panic still prints.

mod encode;
mod error;
mod fixed;
mod format;
mod limits;
mod names;
mod owners;
mod report;
mod samples;
pub mod schema;
mod source;
mod split;
mod table;

pub use encode::{Element, Encoded, Encoder, Feature, Labels};
pub use error::{ColumnsFault, Error, FormatFault, JoinFault, Result, SchemaFault};
pub use fixed::{FRACTION_BITS, FixedPoint, VALUE_BITS};
pub use format::{CsvOptions, Format, Header, ReadOptions};
pub use limits::Limits;
pub use owners::{Part, Partition, rejoin};
pub use report::{BadCell, Reason, Report};
pub use samples::{Sample, breast_cancer, digits};
pub use schema::{Proposal, Schema};
pub use split::TrainTest;
pub use table::{Cell, Table};
