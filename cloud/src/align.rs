//! How the rows of several uploads fit together. Rows are matched by pseudonym; a row is complete
//! if every column of the study, and the label, is there exactly once.
//!
//! Who learns what: a cloud sees which rows of different owners match and which cells are absent.
//! That is public in this system; who the rows are of is not.

use dyad_protos::limits::PSEUDONYM;
use dyad_protos::upload::Places;
use dyad_protos::{Name, digest};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A row's pseudonym.
pub type Pseudonym = [u8; PSEUDONYM];

/// What one upload brings.
#[derive(Clone, Debug)]
pub struct Brought {
    /// Whose.
    pub owner: Name,
    /// Which columns.
    pub places: Places,
    /// Its rows.
    pub rows: Vec<Pseudonym>,
}

/// Why uploads do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// Two rows of one upload have the same identifier.
    #[error("{rows} rows in an upload of {owner} have an identifier that another row has too")]
    Twice {
        /// Whose upload.
        owner: Name,
        /// How many rows.
        rows: u64,
    },
    /// Cells are there twice.
    #[error(
        "{first} and {second} both have column `{column}` in {rows} rows: one of them must leave \
         them out"
    )]
    Overlap {
        /// One owner.
        first: Name,
        /// The other: maybe the same, in another upload.
        second: Name,
        /// The first column of both.
        column: String,
        /// In how many rows.
        rows: u64,
    },
}

/// How they fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// The complete rows, by pseudonym: their order in the job.
    pub rows: Vec<Pseudonym>,
    /// For each upload, in the order given, and each of its rows: its place among the complete ones.
    pub places: Vec<Vec<Option<u32>>>,
    /// Rows that lack a column.
    pub incomplete: u64,
    /// For each owner: rows, and how many of them are incomplete.
    pub owners: BTreeMap<Name, (u64, u64)>,
}

impl Alignment {
    /// Fits uploads together. `columns`: names of the study's columns, the label's last.
    pub fn of(uploads: &[Brought], columns: &[String]) -> Result<Self, Misfit> {
        let mut entries: Vec<(Pseudonym, u16, u32)> = Vec::new();
        for (u, upload) in uploads.iter().enumerate() {
            let rows = upload.rows.iter().enumerate();
            entries.extend(rows.map(|(row, pseudonym)| (*pseudonym, u as u16, row as u32)));
        }
        entries.sort_unstable();
        let mut sets = Sets { uploads, columns, known: HashMap::new() };
        let mut aligned = Self {
            rows: Vec::new(),
            places: uploads.iter().map(|upload| vec![None; upload.rows.len()]).collect(),
            incomplete: 0,
            owners: uploads.iter().map(|upload| (upload.owner.clone(), (0, 0))).collect(),
        };
        let mut twice: BTreeMap<u16, u64> = BTreeMap::new();
        let mut overlaps: BTreeMap<(u16, u16), u64> = BTreeMap::new();
        for group in entries.chunk_by(|x, y| x.0 == y.0) {
            let set: Vec<u16> = group.iter().map(|entry| entry.1).collect();
            if let Some(pair) = set.windows(2).find(|pair| pair[0] == pair[1]) {
                *twice.entry(pair[0]).or_default() += 1;
                continue;
            }
            let fit = sets.fit(&set);
            if let Fit::Overlap(a, b) = fit {
                *overlaps.entry((a, b)).or_default() += 1;
            }
            let owners: BTreeSet<_> = set.iter().map(|u| &uploads[*u as usize].owner).collect();
            for owner in owners {
                let (rows, incomplete) = aligned.owners.entry(owner.clone()).or_default();
                *rows += 1;
                *incomplete += u64::from(fit != Fit::Complete);
            }
            if fit == Fit::Complete {
                for (_, u, row) in group {
                    aligned.places[*u as usize][*row as usize] = Some(aligned.rows.len() as u32);
                }
                aligned.rows.push(group[0].0);
            } else {
                aligned.incomplete += 1;
            }
        }
        if let Some((u, rows)) = twice.into_iter().next() {
            return Err(Misfit::Twice { owner: uploads[u as usize].owner.clone(), rows });
        }
        if let Some(((a, b), rows)) = overlaps.into_iter().next() {
            let column = sets.common(a, b);
            let [first, second] = [a, b].map(|u| uploads[u as usize].owner.clone());
            return Err(Misfit::Overlap { first, second, column, rows });
        }
        Ok(aligned)
    }

    /// Digest of the complete rows, in order: a job names it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        digest("rows", &[self.rows.as_flattened()])
    }
}

/// How a row fits that some uploads have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    Complete,
    Lacking,
    Overlap(u16, u16),
}

/// Sets of uploads recur: each is looked at once.
struct Sets<'a> {
    uploads: &'a [Brought],
    columns: &'a [String],
    known: HashMap<Vec<u16>, Fit>,
}

impl Sets<'_> {
    fn fit(&mut self, set: &[u16]) -> Fit {
        if let Some(fit) = self.known.get(set) {
            return *fit;
        }
        let mut had: BTreeMap<usize, u16> = BTreeMap::new();
        let mut fit = None;
        for u in set {
            for column in self.of(*u) {
                if let Some(other) = had.insert(column, *u) {
                    fit = fit.or(Some(Fit::Overlap(other, *u)));
                }
            }
        }
        let complete = had.len() == self.columns.len();
        let fit = fit.unwrap_or(if complete { Fit::Complete } else { Fit::Lacking });
        self.known.insert(set.to_vec(), fit);
        fit
    }

    /// An upload's columns: the label's is the last.
    fn of(&self, upload: u16) -> impl Iterator<Item = usize> + use<> {
        let Places { columns, label, .. } = &self.uploads[upload as usize].places;
        let label = (*label > 0).then_some(self.columns.len() - 1);
        columns.clone().into_iter().chain(label)
    }

    fn common(&self, a: u16, b: u16) -> String {
        let first: BTreeSet<_> = self.of(a).collect();
        let common = self.of(b).find(|column| first.contains(column));
        common.map(|column| self.columns[column].clone()).unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn upload(owner: &str, columns: &[usize], label: bool, rows: &[u8]) -> Brought {
        let places = Places {
            columns: columns.to_vec(),
            features: columns.to_vec(),
            label: usize::from(label),
        };
        let rows = rows.iter().map(|id| [*id; PSEUDONYM]).collect();
        Brought { owner: owner.parse().unwrap(), places, rows }
    }

    fn columns() -> Vec<String> {
        ["age", "weight", "ill"].map(String::from).to_vec()
    }

    #[test]
    fn rows_of_one_and_columns_of_others() {
        let uploads = [
            upload("north", &[0, 1], true, &[9, 3]),
            upload("south", &[0], false, &[5, 1, 7]),
            upload("west", &[1], true, &[7, 5, 4]),
        ];
        let aligned = Alignment::of(&uploads, &columns()).unwrap();
        assert_eq!(aligned.rows, [3, 5, 7, 9].map(|id| [id; PSEUDONYM]));
        assert_eq!(aligned.places[0], [Some(3), Some(0)]);
        assert_eq!(aligned.places[1], [Some(1), None, Some(2)]);
        assert_eq!(aligned.places[2], [Some(2), Some(1), None]);
        assert_eq!(aligned.incomplete, 2);
        assert_eq!(aligned.owners.values().copied().collect::<Vec<_>>(), [(2, 0), (3, 1), (3, 1)]);
    }

    #[test]
    fn the_order_of_uploads_does_not_matter_to_the_rows() {
        let one = upload("north", &[0], false, &[5, 1, 7]);
        let two = upload("south", &[1], true, &[7, 5, 1]);
        let there = Alignment::of(&[one.clone(), two.clone()], &columns()).unwrap();
        let back = Alignment::of(&[two, one], &columns()).unwrap();
        assert_eq!(there.digest(), back.digest());
    }

    #[test]
    fn overlaps_name_owners_and_counts() {
        let uploads =
            [upload("north", &[0, 1], true, &[1, 2, 3]), upload("south", &[1], false, &[2, 3, 4])];
        let error = Alignment::of(&uploads, &columns()).unwrap_err().to_string();
        assert!(
            error.starts_with("north and south both have column `weight` in 2 rows"),
            "{error}"
        );
        let label = [upload("north", &[0, 1], true, &[1]), upload("south", &[], true, &[1])];
        let error = Alignment::of(&label, &columns()).unwrap_err().to_string();
        assert!(error.contains("column `ill` in 1 rows"), "{error}");
    }

    #[test]
    fn an_identifier_twice_in_an_upload_is_refused() {
        let uploads = [upload("north", &[0, 1], true, &[1, 2, 2, 2])];
        let owner = "north".parse().unwrap();
        assert_eq!(Alignment::of(&uploads, &columns()), Err(Misfit::Twice { owner, rows: 1 }));
    }
}
