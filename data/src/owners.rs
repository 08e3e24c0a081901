//! One table split among many owners, and put together again: for demonstrations and tests of what
//! a study does with real owners' files.

use crate::error::JoinFault;
use crate::split::{OWNERS, Stream};
use crate::table::block::{Block, TextBlock};
use crate::table::{Cell, Table};
use crate::{Error, Result};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Who owns which cells: every cell one owner, the identifiers all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    identifier: usize,
    parts: Vec<Part>,
}

/// Some rows of some columns, the identifier not among them. An owner may have several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The owner, counted from 0.
    pub owner: usize,
    /// Its rows, ascending.
    pub rows: Vec<u32>,
    /// Its columns, ascending.
    pub columns: Vec<usize>,
}

impl Partition {
    /// Parts that hold every cell exactly once.
    pub fn new(table: &Table, identifier: &str, parts: Vec<Part>) -> Result<Self> {
        let identifier = identifier_of(table, identifier)?;
        let (rows, width) = (table.rows(), table.width());
        let mut owned = vec![false; rows * width];
        for part in &parts {
            for row in &part.rows {
                for column in &part.columns {
                    if *row as usize >= rows || *column >= width || *column == identifier {
                        return Err(Error::Split("a part names a row or column it cannot have"));
                    }
                    let cell = &mut owned[*row as usize * width + column];
                    if std::mem::replace(cell, true) {
                        return Err(Error::Split("a cell is in two parts"));
                    }
                }
            }
        }
        let cells: usize = parts.iter().map(|part| part.rows.len() * part.columns.len()).sum();
        if cells != rows * (width - 1) {
            return Err(Error::Split("a cell is in no part"));
        }
        Ok(Self { identifier, parts })
    }

    /// Every owner has some of the rows, with all columns.
    pub fn by_rows(table: &Table, identifier: &str, owners: usize, seed: u64) -> Result<Self> {
        let at = identifier_of(table, identifier)?;
        let rows = Stream::new(OWNERS, seed).shuffled(table.rows() as u32);
        let part = |(owner, rows)| Part { owner, rows, columns: columns_but(table, at) };
        Self::new(
            table,
            identifier,
            deal(&rows, owners)?.into_iter().enumerate().map(part).collect(),
        )
    }

    /// Every owner has some of the columns, of all rows.
    pub fn by_columns(table: &Table, identifier: &str, owners: usize, seed: u64) -> Result<Self> {
        let at = identifier_of(table, identifier)?;
        let columns = columns_but(table, at);
        let order = Stream::new(OWNERS, seed).shuffled(columns.len() as u32);
        let part = |(owner, dealt): (usize, Vec<u32>)| Part {
            owner,
            rows: (0..table.rows() as u32).collect(),
            columns: dealt.iter().map(|i| columns[*i as usize]).collect(),
        };
        Self::new(
            table,
            identifier,
            deal(&order, owners)?.into_iter().enumerate().map(part).collect(),
        )
    }

    /// Any mix: rows fall into one block more than there are owners. The first block belongs to one
    /// owner; in every other the columns are dealt out, otherwise each time.
    pub fn mixed(table: &Table, identifier: &str, owners: usize, seed: u64) -> Result<Self> {
        let at = identifier_of(table, identifier)?;
        let columns = columns_but(table, at);
        let mut stream = Stream::new(OWNERS, seed);
        let rows = stream.shuffled(table.rows() as u32);
        let mut blocks = deal(&rows, owners + 1)?.into_iter();
        let first = blocks.next().unwrap_or_default();
        let mut parts = vec![Part { owner: 0, rows: first, columns: columns.clone() }];
        for (turn, rows) in blocks.enumerate() {
            let order = stream.shuffled(columns.len() as u32);
            for (place, dealt) in deal(&order, owners.min(columns.len()))?.into_iter().enumerate() {
                let columns = dealt.iter().map(|i| columns[*i as usize]).collect();
                parts.push(Part { owner: (place + turn) % owners, rows: rows.clone(), columns });
            }
        }
        Self::new(table, identifier, parts)
    }

    /// The parts.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Every part as a table, the identifier first, with its owner.
    pub fn tables(&self, table: &Table) -> Result<Vec<(usize, Table)>> {
        let piece = |part: &Part| {
            let mut columns = vec![self.identifier];
            columns.extend_from_slice(&part.columns);
            Ok((part.owner, table.select_columns(&columns)?.select_rows(&part.rows)?))
        };
        self.parts.iter().map(piece).collect()
    }
}

/// Puts pieces together by identifier: union of rows, join of columns, or any mix. A cell in two
/// pieces is refused; a cell in none is missing. Rows and columns come in the order in which they
/// first occur.
pub fn rejoin(pieces: &[Table], identifier: &str) -> Result<Table> {
    let first = pieces.first().ok_or_else(|| join("", None, JoinFault::Nothing))?;
    let mut names: Vec<&str> = vec![identifier];
    let mut places: HashMap<&str, usize> = HashMap::from([(identifier, 0)]);
    let mut rows: HashMap<String, usize> = HashMap::new();
    let mut records: Vec<String> = Vec::new();
    for piece in pieces {
        let at = piece
            .find(identifier)
            .ok_or_else(|| join(piece.file(), Some(identifier), JoinFault::NoIdentifier))?;
        for name in piece.names() {
            if let Entry::Vacant(place) = places.entry(name) {
                place.insert(names.len());
                names.push(name);
            }
        }
        for row in 0..piece.rows() {
            let name = piece.cell(row, at).text().into_owned();
            if let Entry::Vacant(place) = rows.entry(name) {
                records.push(place.key().clone());
                place.insert(records.len() - 1);
            }
        }
    }
    let width = names.len();
    let mut cells: Vec<Option<Given>> = vec![None; records.len() * width];
    for (i, piece) in pieces.iter().enumerate() {
        let at = piece.find(identifier).unwrap_or_default();
        for (column, name) in piece.names().enumerate().filter(|(column, _)| *column != at) {
            for row in 0..piece.rows() {
                let to = rows[&*piece.cell(row, at).text()] * width + places[name];
                let given = Given { piece: i as u32, row: row as u32, column: column as u32 };
                if cells[to].replace(given).is_some() {
                    let fault = JoinFault::Overlap { row: piece.row_of_file(row) + 1 };
                    return Err(join(piece.file(), Some(name), fault));
                }
            }
        }
    }
    let mut block = TextBlock::with_absent(width);
    let mut fits = true;
    for (record, cells) in records.iter().zip(cells.chunks_exact(width)) {
        fits &= block.push(record);
        for given in &cells[1..] {
            let cell = given.map_or(Cell::Missing, |at| {
                pieces[at.piece as usize].cell(at.row as usize, at.column as usize)
            });
            match cell {
                Cell::Missing => block.push_absent(),
                cell => fits &= block.push(&cell.text()),
            }
        }
    }
    if !fits {
        let (file, limit) = (first.file().to_owned(), u32::MAX.into());
        return Err(Error::Limit { file, what: "bytes of text", limit });
    }
    let names = names.into_iter().map(str::to_owned).collect();
    Ok(Table::new(&first.file().into(), names, records.len(), Block::Text(block)))
}

/// Where a cell comes from.
#[derive(Clone, Copy)]
struct Given {
    piece: u32,
    row: u32,
    column: u32,
}

impl Table {
    /// Do both hold the same records, whatever the order of rows and columns and whatever the
    /// format? Numbers are compared by their shortest form.
    #[must_use]
    pub fn same_records(&self, other: &Self, identifier: &str) -> bool {
        let rows = |table: &Self| -> Option<HashMap<String, usize>> {
            let at = table.find(identifier)?;
            Some((0..table.rows()).map(|i| (table.cell(i, at).text().into_owned(), i)).collect())
        };
        let columns: Option<Vec<usize>> = self.names().map(|name| other.find(name)).collect();
        let (Some(columns), Some(mine), Some(theirs)) = (columns, rows(self), rows(other)) else {
            return false;
        };
        let alike = |a: Cell<'_>, b: Cell<'_>| {
            (a == Cell::Missing) == (b == Cell::Missing) && a.text() == b.text()
        };
        self.width() == other.width()
            && self.rows() == other.rows()
            && mine.len() == self.rows()
            && mine.iter().all(|(name, row)| {
                theirs.get(name).is_some_and(|their_row| {
                    columns.iter().enumerate().all(|(column, their_column)| {
                        alike(self.cell(*row, column), other.cell(*their_row, *their_column))
                    })
                })
            })
    }
}

fn identifier_of(table: &Table, name: &str) -> Result<usize> {
    table.find(name).ok_or_else(|| join(table.file(), Some(name), JoinFault::NoIdentifier))
}

fn columns_but(table: &Table, but: usize) -> Vec<usize> {
    (0..table.width()).filter(|column| *column != but).collect()
}

/// Cuts a list into so many parts of nearly equal length, each ascending.
fn deal(list: &[u32], parts: usize) -> Result<Vec<Vec<u32>>> {
    if parts == 0 || parts > list.len() {
        return Err(Error::Split("there is not something for every owner; take fewer owners"));
    }
    let part = |i: usize| {
        let mut part = list[i * list.len() / parts..(i + 1) * list.len() / parts].to_vec();
        part.sort_unstable();
        part
    };
    Ok((0..parts).map(part).collect())
}

fn join(file: &str, column: Option<&str>, fault: JoinFault) -> Error {
    let file = if file.is_empty() { "pieces" } else { file };
    Error::Join { file: file.to_owned(), column: column.map(str::to_owned), fault }
}
