//! An upload: a set of cells, rows by columns, of one owner.

use crate::study::{Draft, Study};
use crate::text::Content;
use crate::{Hex, Name, digest, limits, long_digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Of the format.
pub const VERSION: u32 = 1;

/// What is uploaded. Its owner signs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// Drawn by the owner's program.
    pub id: Hex<16>,
    /// The study's digest.
    pub study: Hex<32>,
    /// Whose.
    pub owner: Name,
    /// How it is split.
    pub mode: Mode,
    /// Columns of the study's draft, in its order; the label's too if it is among them.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: u64,
    /// Rows in each chunk but the last.
    pub chunk_rows: u64,
    /// What the owner knows the file by that it was made from: going on with another is refused.
    /// Keyed by the owner, so that it says nothing to others.
    pub file: Hex<32>,
}

/// How values are split between the clouds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// C0 gets the seed of a mask, C1 the masked values.
    Sealed,
    /// Both get packed ciphertexts, as in the paper.
    Packed,
}

impl Mode {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Packed => "packed",
        }
    }

    /// Values that a chunk has at least, where there are many: an object, a row and a digest are kept
    /// of each, however small it is. Half of what the largest row leaves of a full chunk; of packed
    /// ones, at the fewest slots a ciphertext can have.
    #[must_use]
    pub const fn least_values(self) -> u64 {
        match self {
            Self::Sealed => limits::CHUNK_VALUES as u64 / 2,
            Self::Packed => 4 * limits::CIPHERTEXTS as u64,
        }
    }
}

impl Content for Manifest {
    const KIND: &'static str = "upload";
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self) -> Result<(), String> {
        if !(1..=limits::ROWS).contains(&self.rows) {
            return Err(format!("{} rows, where 1 to {} may be", self.rows, limits::ROWS));
        }
        if self.chunk_rows == 0 || self.chunk_rows > limits::CHUNK_VALUES as u64 {
            return Err(format!("chunks of {} rows", self.chunk_rows));
        }
        if self.columns.is_empty() || self.columns.len() > limits::COLUMNS {
            return Err(format!("{} columns", self.columns.len()));
        }
        if self.columns.iter().collect::<BTreeSet<_>>().len() != self.columns.len() {
            return Err("a column is named twice".into());
        }
        if self.rows.div_ceil(self.chunk_rows) > u64::from(u32::MAX) {
            return Err("more than 2^32 chunks".into());
        }
        Ok(())
    }
}

impl Manifest {
    /// How many chunks.
    #[must_use]
    pub const fn chunks(&self) -> u32 {
        self.rows.div_ceil(self.chunk_rows) as u32
    }

    /// Rows of a chunk: from, to.
    #[must_use]
    pub fn rows_of(&self, chunk: u32) -> std::ops::Range<u64> {
        let from = u64::from(chunk) * self.chunk_rows;
        from..(from + self.chunk_rows).min(self.rows)
    }

    /// Holds it against its study: where each column stands among the features.
    pub fn places(&self, study: &Study) -> Result<Places, String> {
        if study.member(&self.owner).is_none() {
            return Err(format!("{} is no member of study {}", self.owner, study.draft.name));
        }
        let places = Places::of(&self.columns, &study.draft)?;
        let values = places.width() as u64 * self.chunk_rows.min(self.rows);
        if values > limits::CHUNK_VALUES as u64 {
            return Err(format!("chunks of {values} values; {} may be", limits::CHUNK_VALUES));
        }
        let least = self.mode.least_values();
        if self.chunks() > limits::FREE_CHUNKS && values < least {
            return Err(format!(
                "{} chunks of {values} values; where there are more than {}, each has {least} at \
                 least",
                self.chunks(),
                limits::FREE_CHUNKS
            ));
        }
        Ok(places)
    }
}

/// Where an upload's values stand among a study's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Feature columns: place among the study's columns.
    pub columns: Vec<usize>,
    /// For each value of a row of the upload: the feature it is.
    pub features: Vec<usize>,
    /// Numbers of the label that follow the features; none if the label is not here.
    pub label: usize,
}

impl Places {
    /// Of these columns, which stand in the study's order, the label last.
    pub fn of(names: &[String], draft: &Draft) -> Result<Self, String> {
        let mut places = Self { columns: Vec::new(), features: Vec::new(), label: 0 };
        let mut wanted = names.iter().peekable();
        let mut at = 0;
        for (i, column) in draft.columns.iter().enumerate() {
            if wanted.next_if(|name| **name == column.name).is_some() {
                places.columns.push(i);
                places.features.extend(at..at + column.width);
            }
            at += column.width;
        }
        if wanted.next_if(|name| **name == draft.label.name).is_some() {
            places.label = draft.label.width();
        }
        match wanted.next() {
            None => Ok(places),
            Some(name) => Err(format!(
                "column `{name}` is not one of study {}, or not in its order (the label comes last)",
                draft.name
            )),
        }
    }

    /// Values of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.features.len() + self.label
    }
}

/// What the owner signs of a manifest.
pub const ANNOUNCED: &str = "upload is announced";
/// What the owner signs to withdraw one.
pub const WITHDRAWN: &str = "upload is withdrawn";
/// What a cloud signs when all is there.
pub const RECEIVED: &str = "upload is received";

/// Digest of a chunk as a cloud was sent it.
#[must_use]
pub fn chunk_digest(upload: &[u8; 32], index: u32, pseudonyms: &[u8], sealed: &[u8]) -> [u8; 32] {
    long_digest("chunk", &[upload, &index.to_be_bytes(), pseudonyms, sealed])
}

/// Digest of all chunks in order: what a receipt is about.
#[must_use]
pub fn received_digest(upload: &[u8; 32], cloud: &str, chunks: &[[u8; 32]]) -> [u8; 32] {
    digest("chunks received", &[upload, cloud.as_bytes(), chunks.as_flattened()])
}
