//! Two small public data sets that come with the program, for demonstrations and tests. Their
//! licences are in `assets/README.md`.

use crate::{ReadOptions, Result, Schema, Table};

/// A table with a schema for it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The records.
    pub table: Table,
    /// How they are encoded.
    pub schema: Schema,
}

/// Handwritten digits, 1797 of 8 by 8 pixels from 0 to 16: columns `p00` to `p77` (row, column) and
/// `digit`.
///
/// Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak; UCI Machine Learning
/// Repository, CC BY 4.0), its test part.
pub fn digits() -> Result<Sample> {
    let csv = include_bytes!("../assets/digits.csv.gz");
    let schema = include_str!("../assets/digits.toml");
    sample("digits.csv.gz", csv, schema)
}

/// Cell nuclei of breast masses, 569 patients: `id`, `diagnosis` (B benign, M malignant) and thirty
/// measurements.
///
/// Breast Cancer Wisconsin (Diagnostic) (W. Wolberg, O. Mangasarian, N. Street, W. Street; UCI
/// Machine Learning Repository, CC BY 4.0).
pub fn breast_cancer() -> Result<Sample> {
    let csv = include_bytes!("../assets/breast-cancer.csv.gz");
    let schema = include_str!("../assets/breast-cancer.toml");
    sample("breast-cancer.csv.gz", csv, schema)
}

fn sample(name: &str, csv: &[u8], schema: &str) -> Result<Sample> {
    let table = Table::from_bytes(name, csv, &ReadOptions::default())?;
    Ok(Sample { table, schema: Schema::from_toml(schema)? })
}
