//! An owner's file, as a study sees it: which columns it has, which rows, in which order.
//!
//! ```text
//! pseudonym = HMAC-SHA256(key of the study, identifier), its first 16 bytes
//! ```
//!
//! Rows go in the order of their pseudonyms: the file's order is nobody's business.

use crate::error::{Error, Result, request};
use dyad_data::schema::{self, MissingCategory, MissingLabel, MissingNumber};
use dyad_data::{Encoder, FixedPoint, Labels, Limits, Schema, Table};
use dyad_protos::limits::PSEUDONYM;
use dyad_protos::study::Draft;
use dyad_protos::upload::Places;
use hmac::{Hmac, KeyInit, Mac};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A row's pseudonym.
pub type Pseudonym = [u8; PSEUDONYM];

/// The pseudonym of an identifier under a study's key.
#[must_use]
pub fn pseudonym(key: &[u8], identifier: &str) -> Pseudonym {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length");
    };
    mac.update(identifier.as_bytes());
    let mut pseudonym = [0; PSEUDONYM];
    pseudonym.copy_from_slice(&mac.finalize().into_bytes()[..PSEUDONYM]);
    pseudonym
}

/// SHA-256 of a file.
pub(crate) fn digest_of(path: &Path) -> Result<[u8; 32]> {
    let failed = |error| Error::file(path, error);
    let mut file = File::open(path).map_err(failed)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hash.finalize().into()),
            some => hash.update(&buffer[..some]),
        }
    }
}

/// A file that fits a study.
pub struct Source {
    /// Columns that are uploaded.
    table: Table,
    /// How they are encoded: without the identifier, which stays here.
    schema: Schema,
    /// Pseudonym and row of the table, in order of pseudonyms.
    rows: Vec<(Pseudonym, u32)>,
    /// Encoded rows, if they were kept when they were checked.
    kept: Option<Kept>,
    /// The study's columns that are here, the label last.
    pub columns: Vec<String>,
    /// Where their values stand.
    pub places: Places,
    /// Rows that were left out because a cell is missing whose column says drop-row.
    pub dropped: usize,
}

impl Source {
    /// Of a table. The schema is the study's, the key turns identifiers into pseudonyms.
    pub fn of(table: &Table, draft: &Draft, schema: &Schema, key: &[u8]) -> Result<Self> {
        let file = table.file();
        let present: Vec<String> = schema
            .columns()
            .map(|(name, _)| name)
            .filter(|name| table.find(name).is_some())
            .collect();
        let names: Vec<&str> = present.iter().map(String::as_str).collect();
        // Columns of the file that the schema does not know are an error, not left out.
        let unknown: Vec<_> = table.names().filter(|name| !names.contains(name)).collect();
        if let [first, ..] = unknown[..] {
            return request(format!(
                "{file}: the study's schema has no column `{first}`{}; rename it, or have it \
                 declared as kind = \"ignore\" in a new study",
                more(unknown.len() - 1)
            ));
        }
        let schema = schema.restrict(&names)?;
        let (identifier, rest) = parts(&schema);
        let Some(identifier) = identifier else {
            return request(format!(
                "{file}: the column of identifiers is not there; rows of different owners are \
                 matched by it"
            ));
        };
        let columns = columns(draft, &names);
        if columns.is_empty() {
            return request(format!("{file}: no column of study {} is in it", draft.name));
        }
        let places = Places::of(&columns, draft).map_err(Error::Request)?;
        let (mut rows, all) = identified(table, &schema, &identifier, key)?;
        rows.par_sort_unstable();
        let dropped = all - rows.len();
        let kept: Vec<usize> = rest.iter().filter_map(|name| table.find(name)).collect();
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let (table, schema) = (table.select_columns(&kept)?, schema.restrict(&rest)?);
        Ok(Self { table, schema, rows, kept: None, columns, places, dropped })
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// None? It cannot be: such files are refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Pseudonyms of some rows, one after the other.
    #[must_use]
    pub fn pseudonyms(&self, rows: std::ops::Range<usize>) -> Vec<u8> {
        self.rows[rows].iter().flat_map(|(pseudonym, _)| *pseudonym).collect()
    }

    /// Values of some rows: features, then the label.
    pub fn values(&self, rows: std::ops::Range<usize>) -> Result<Vec<i64>> {
        if let Some(kept) = &self.kept {
            let mut values = Vec::with_capacity(rows.len() * self.places.width());
            for (_, row) in &self.rows[rows] {
                kept.put(*row, self.places.width(), &mut values);
            }
            return Ok(values);
        }
        let rows: Vec<u32> = self.rows[rows].iter().map(|(_, row)| *row).collect();
        let limits = Limits::default();
        self.encoded(&self.schema.encoder(&self.table, &limits)?, &rows)
    }

    /// Encodes all of it: is every cell good? If not, the error is about the first that are not, in
    /// the file's own order. What is not too large is kept, so that text is not read twice.
    /// `progress` hears of rows.
    pub fn check(&mut self, progress: &(dyn Fn(usize) + Sync)) -> Result<()> {
        let mut rows: Vec<u32> = self.rows.iter().map(|(_, row)| *row).collect();
        rows.sort_unstable();
        let bits = self.schema.draft().value_bits;
        let narrow = bits <= i16::BITS;
        let size = if narrow { 2 } else { 4 };
        let keep = bits <= i32::BITS && rows.len() * self.places.width() * size <= KEPT;
        let done = AtomicUsize::new(0);
        let limits = Limits::default();
        let encoder = self.schema.encoder(&self.table, &limits)?;
        let blocks = rows.par_chunks(BLOCK).map(|rows| {
            let values = self.encoded(&encoder, rows)?;
            progress(done.fetch_add(rows.len(), Ordering::Relaxed) + rows.len());
            Ok(match (keep, narrow) {
                (false, _) => Block::Narrow(Vec::new()),
                (true, true) => Block::Narrow(values.iter().map(|x| *x as i16).collect()),
                (true, false) => Block::Wide(values.iter().map(|x| *x as i32).collect()),
            })
        });
        match blocks.collect::<Result<Vec<_>>>() {
            Ok(_) if !keep => Ok(()),
            Ok(blocks) => {
                let places = rows.iter().zip(0..).map(|(row, place)| (*row, place)).collect();
                self.kept = Some(Kept { blocks, places });
                Ok(())
            }
            // One of them; a person wants the first.
            Err(error) => {
                let bad = |rows: &[u32]| self.encoded(&encoder, rows).err();
                Err(rows.par_chunks(BLOCK).find_map_first(bad).unwrap_or(error))
            }
        }
    }

    fn encoded(&self, encoder: &Encoder<'_>, rows: &[u32]) -> Result<Vec<i64>> {
        let encoded = encoder.rows(rows)?;
        let (features, label) = (self.places.features.len(), self.places.label);
        if encoded.rows() != rows.len() || encoded.width() != features {
            return request(format!("{}: it changed while it was read", self.table.file()));
        }
        // Classes are whole numbers: a one is 1.
        let whole = FixedPoint::new(0, 64).unwrap_or_default();
        let labels = encoded.labels().map(|labels| match labels {
            Labels::Numbers { values, .. } => values.clone(),
            classes => classes.matrix(whole).0,
        });
        let Some(labels) = labels.filter(|_| label > 0) else {
            return Ok(encoded.values().to_vec());
        };
        let mut values = Vec::with_capacity(rows.len() * (features + label));
        for (row, label) in labels.chunks_exact(label).enumerate() {
            values.extend_from_slice(encoded.row(row));
            values.extend_from_slice(label);
        }
        Ok(values)
    }
}

/// Encoded rows are kept if they take no more bytes than this.
const KEPT: usize = 256 << 20;
/// Rows that are encoded together.
const BLOCK: usize = 1024;

/// Encoded rows, in as few bytes as a study's numbers need.
struct Kept {
    blocks: Vec<Block>,
    /// Of each row of the table, its place among those that are kept.
    places: HashMap<u32, u32>,
}

enum Block {
    Narrow(Vec<i16>),
    Wide(Vec<i32>),
}

impl Kept {
    fn put(&self, row: u32, width: usize, to: &mut Vec<i64>) {
        let place = self.places[&row] as usize;
        let at = (place % BLOCK) * width;
        match &self.blocks[place / BLOCK] {
            Block::Narrow(values) => {
                to.extend(values[at..at + width].iter().map(|x| i64::from(*x)));
            }
            Block::Wide(values) => to.extend(values[at..at + width].iter().map(|x| i64::from(*x))),
        }
    }
}

/// Columns of the study among these names, the label last.
fn columns(draft: &Draft, names: &[&str]) -> Vec<String> {
    let features = draft.columns.iter().map(|column| &column.name);
    let all = features.chain([&draft.label.name]);
    all.filter(|name| names.contains(&name.as_str())).cloned().collect()
}

/// The identifier's column, and the others.
fn parts(schema: &Schema) -> (Option<String>, Vec<String>) {
    let (mut identifier, mut rest) = (None, Vec::new());
    for (name, column) in schema.columns() {
        match column {
            schema::Column::Identifier(_) => identifier = Some(name),
            _ => rest.push(name),
        }
    }
    (identifier, rest)
}

/// Pseudonyms of the rows that stay, and how many rows there are.
fn identified(
    table: &Table,
    schema: &Schema,
    identifier: &str,
    key: &[u8],
) -> Result<(Vec<(Pseudonym, u32)>, usize)> {
    // What drops rows must be looked at; the rest need not be encoded for this.
    let looked: Vec<String> = schema
        .columns()
        .filter(|(name, column)| name == identifier || drops_rows(column))
        .map(|(name, _)| name)
        .collect();
    let at: Vec<usize> = looked.iter().filter_map(|name| table.find(name)).collect();
    let looked: Vec<&str> = looked.iter().map(String::as_str).collect();
    let part = schema.restrict(&looked)?.encode(&table.select_columns(&at)?, &Limits::default())?;
    let identifiers = part.identifiers().unwrap_or_default();
    let rows = identifiers.par_iter().zip(part.rows_of_table());
    let rows = rows.map(|(identifier, row)| (pseudonym(key, identifier), *row));
    Ok((rows.collect(), table.rows()))
}

fn drops_rows(column: &schema::Column) -> bool {
    match column {
        schema::Column::Identifier(_) | schema::Column::Ignore(_) => false,
        schema::Column::Numeric(column) | schema::Column::Target(column) => {
            column.missing == MissingNumber::DropRow
        }
        schema::Column::Categorical(column) => column.missing == MissingCategory::DropRow,
        schema::Column::Classes(column) => column.missing == MissingLabel::DropRow,
    }
}

fn more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" and {count} more that are in the file") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use crate::study;
    use dyad_data::ReadOptions;
    use std::fmt::Write;

    pub(crate) const SCHEMA: &str = "version = 1\nmissing_markers = [\"?\"]\n\
        [[columns]]\nkind = \"identifier\"\nname = \"id\"\n\
        [[columns]]\nkind = \"numeric\"\nname = \"age\"\nscaling = \"none\"\nrange = [-8, 120]\n\
        [[columns]]\nkind = \"categorical\"\nname = \"c\"\ncategories = [\"a\", \"b\"]\n\
        missing = \"drop-row\"\n\
        [[columns]]\nkind = \"classes\"\nname = \"y\"\nclasses = [\"no\", \"yes\"]\n";

    pub(crate) fn draft() -> dyad_protos::Document<Draft> {
        let members = ["north".parse().unwrap(), "south".parse().unwrap()];
        let schema = SCHEMA;
        study::draft(&study::Proposed { name: "s", schema, members: &members, label: None })
            .unwrap()
    }

    pub(crate) fn source(csv: &str) -> Result<Source> {
        let draft = draft();
        let schema = study::check(&draft).unwrap();
        let table =
            Table::from_bytes("north.csv", csv.as_bytes(), &ReadOptions::default()).unwrap();
        Source::of(&table, &draft, &schema, b"0123456789abcdef")
    }

    #[test]
    fn pseudonyms_are_stable() {
        // HMAC-SHA256, computed apart by a line of Python.
        let expected = [
            0x17, 0xf1, 0xb1, 0x00, 0xbe, 0xfd, 0x2a, 0x34, 0xb0, 0x07, 0x3d, 0x29, 0xf1, 0xdc,
            0xe3, 0x24,
        ];
        assert_eq!(pseudonym(b"0123456789abcdef", "A7"), expected);
        assert_ne!(pseudonym(b"0123456789abcdeg", "A7"), expected);
    }

    #[test]
    fn rows_go_by_pseudonym() {
        let one = source("id,age,c,y\nA7,30,a,no\nB2,40,b,yes\nC9,-8,a,no\nD1,1,?,no\n").unwrap();
        let other = source("y,c,id,age\nno,a,C9,-8\nyes,b,B2,40\nno,a,A7,30\n").unwrap();
        assert_eq!((one.len(), one.dropped, other.dropped), (3, 1, 0));
        assert_eq!(one.columns, ["age", "c", "y"]);
        assert_eq!((&one.places.features[..], one.places.label), (&[0, 1, 2][..], 2));
        assert_eq!(one.pseudonyms(0..3), other.pseudonyms(0..3));
        assert_eq!(one.values(0..3).unwrap(), other.values(0..3).unwrap());
        let mut rows: Vec<Vec<i64>> =
            one.values(0..3).unwrap().chunks(5).map(<[i64]>::to_vec).collect();
        rows.sort_unstable();
        assert_eq!(rows[0], [-8 * 256, 256, 0, 1, 0]);
        assert_eq!(rows[2], [40 * 256, 0, 256, 0, 1]);
    }

    #[test]
    fn some_columns_are_enough() {
        let source = source("id,y\nA7,no\nB2,yes\n").unwrap();
        assert_eq!(source.columns, ["y"]);
        assert_eq!(source.values(0..2).unwrap().len(), 4);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = |csv| source(csv).map(drop).unwrap_err().to_string();
        assert!(error("id,age,z\n1,2,3\n").contains("`z`"));
        assert!(error("age,y\n2,no\n").contains("identifiers"));
        assert!(error("id\n2\n").contains("no column"));
        assert!(error("id,y\n2,no\n2,no\n").contains("north.csv, row 2"));
        let mut bad = source("id,age,y\n1,2,no\n2,300,no\n3,1,maybe\n").unwrap();
        assert!(bad.values(0..3).is_err());
        let error = bad.check(&|_| {}).unwrap_err().to_string();
        assert!(error.contains("row 2 (line 3), column `age`: outside"), "{error}");
        assert!(error.contains("row 3 (line 4), column `y`: not one"), "{error}");
    }

    #[test]
    fn rows_that_were_kept_are_the_same() {
        let mut csv = String::from("y,age,id,c\n");
        for row in 0..3000 {
            let c = ["a", "b", "?"][row % 3];
            writeln!(csv, "yes,{},p{row},{c}", row % 120).unwrap();
        }
        let mut source = source(&csv).unwrap();
        let before = source.values(0..source.len()).unwrap();
        source.check(&|_| {}).unwrap();
        assert!(source.kept.is_some());
        assert_eq!(source.values(0..source.len()).unwrap(), before);
        assert_eq!((source.len(), source.dropped), (2000, 1000));
    }
}
