//! The schema: what columns mean and how they are encoded. Public, agreed on by all owners, the
//! same for all of them; nothing needed to encode a file is taken from a file.

mod check;
mod column;
mod suggest;
mod text;

pub use column::{
    Categorical, Classes, Column, Identifier, Ignored, MissingCategory, MissingLabel,
    MissingNumber, Numeric, Outside, Scaling,
};
pub use suggest::Proposal;

use crate::error::SchemaFault;
use crate::fixed::{self, FixedPoint};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The version of the schema language this release speaks.
pub const VERSION: u32 = 1;

/// A schema as it is written. [`Schema::new`] checks it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// Version of the schema language: 1.
    pub version: u32,
    /// Made by [`Schema::suggest`] and looked at by nobody yet. Refused until this is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proposal: bool,
    /// f: bits behind the point of encoded numbers.
    #[serde(default = "fraction_bits")]
    pub fraction_bits: u32,
    /// l: bits of encoded numbers in all; what does not fit is refused.
    #[serde(default = "value_bits")]
    pub value_bits: u32,
    /// Texts that mean that a cell is missing, in every column.
    #[serde(default)]
    pub missing_markers: Vec<String>,
    /// Does NaN mean that a cell is missing? Otherwise it is a bad cell.
    #[serde(default)]
    pub nan_is_missing: bool,
    /// The columns, in the order of the features they become.
    pub columns: Vec<Column>,
}

fn fraction_bits() -> u32 {
    fixed::FRACTION_BITS
}

fn value_bits() -> u32 {
    fixed::VALUE_BITS
}

impl Draft {
    /// These columns; everything else as it is by default.
    #[must_use]
    pub fn of(columns: Vec<Column>) -> Self {
        Self {
            version: VERSION,
            proposal: false,
            fraction_bits: fixed::FRACTION_BITS,
            value_bits: fixed::VALUE_BITS,
            missing_markers: Vec::new(),
            nan_is_missing: false,
            columns,
        }
    }
}

/// A schema that does not contradict itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    draft: Draft,
}

impl Schema {
    /// Checks what was written.
    pub fn new(draft: Draft) -> Result<Self> {
        check::check(&draft)?;
        Ok(Self { draft })
    }

    /// What was written.
    #[must_use]
    pub fn draft(&self) -> &Draft {
        &self.draft
    }

    /// SHA-256 of the schema: equal for owners who encode alike. Covers every field, the order of
    /// columns and categories included.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"dyad-data/schema/1\0");
        hash.update(self.to_json(false));
        hash.finalize().into()
    }

    /// The schema with another f for all columns that do not declare their own.
    pub fn with_fraction_bits(&self, fraction_bits: u32) -> Result<Self> {
        let mut draft = self.draft.clone();
        draft.fraction_bits = fraction_bits;
        Self::new(draft)
    }

    /// The schema for an owner who has only these columns, in the schema's order.
    pub fn restrict(&self, names: &[&str]) -> Result<Self> {
        for name in names {
            if !self.columns().any(|(declared, _)| declared == *name) {
                return Err(Error::Schema {
                    column: Some((*name).to_owned()),
                    fault: SchemaFault::NoSuchColumn,
                });
            }
        }
        let kept = |name: &String| names.contains(&name.as_str());
        let mut draft = self.draft.clone();
        draft.columns = Vec::new();
        for column in &self.draft.columns {
            let members: Vec<String> = column.names().filter(kept).collect();
            if members.len() == column.names().count() {
                draft.columns.push(column.clone());
            } else {
                draft.columns.extend(members.into_iter().map(|name| column.renamed(name)));
            }
        }
        Self::new(draft)
    }

    /// Every column's name with what is declared of it; groups are spelt out.
    pub fn columns(&self) -> impl Iterator<Item = (String, &Column)> {
        let named = |column| Column::names(column).map(move |name| (name, column));
        self.draft.columns.iter().flat_map(named)
    }

    /// The names of the features that rows are encoded into, in order.
    #[must_use]
    pub fn feature_names(&self) -> Vec<String> {
        self.columns().flat_map(|(name, column)| column.features(&name)).collect()
    }

    /// f and l of a column.
    pub(crate) fn fixed_point(&self, column: &Column) -> FixedPoint {
        let own = column.numeric().and_then(|numeric| numeric.fraction_bits);
        let fraction_bits = own.unwrap_or(self.draft.fraction_bits);
        // Checked before the schema came to be.
        FixedPoint::new(fraction_bits, self.draft.value_bits).unwrap_or_default()
    }
}
