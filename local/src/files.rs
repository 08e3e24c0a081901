//! Who has which data: the sample that comes with the program, or files of one's own.

use crate::Train;
use dyad_data::schema::{Column, Identifier};
use dyad_data::{Partition, ReadOptions, Schema, Table, rejoin};
use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Of all owners together: what nobody sees but who runs this.
pub(crate) struct Data {
    /// Owners' files: each with the owner's number.
    pub pieces: Vec<(usize, PathBuf)>,
    /// Owners.
    pub owners: usize,
    /// All of it.
    pub whole: Table,
    /// What it means.
    pub schema: String,
    /// In words.
    pub what: String,
}

/// The column that is made where there is none.
const ROW: &str = "dyad-row";

/// The sample, rows of some and columns of others.
pub(crate) fn sample(folder: &Path) -> Result<Data, Box<dyn Error>> {
    const OWNERS: usize = 3;
    let sample = dyad_data::breast_cancer()?;
    let partition = Partition::mixed(&sample.table, "id", OWNERS, 1)?;
    let mut pieces = Vec::new();
    for (i, (owner, piece)) in partition.tables(&sample.table)?.into_iter().enumerate() {
        pieces.push((owner, write(&piece, folder, i)?));
    }
    let what = format!(
        "Breast Cancer Wisconsin, {} patients, 30 measurements, in {} pieces",
        sample.table.rows(),
        pieces.len()
    );
    let schema = sample.schema.draft().to_toml();
    Ok(Data { pieces, owners: OWNERS, whole: sample.table, schema, what })
}

fn write(table: &Table, folder: &Path, number: usize) -> Result<PathBuf, Box<dyn Error>> {
    let path = folder.join(format!("piece-{number}.csv"));
    table.write_csv(File::create(&path)?, "")?;
    Ok(path)
}

/// Files of one's own.
pub(crate) fn own(train: &Train, folder: &Path) -> Result<Data, Box<dyn Error>> {
    let read = |path: &PathBuf| Table::read(path, &ReadOptions::default());
    let tables = train.owner.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let (id, tables, files) = if let Some(id) = &train.id {
        (id.clone(), tables, train.owner.clone())
    } else {
        let tables = numbered(&tables)?;
        let files = tables.iter().enumerate().map(|(i, table)| write(table, folder, i));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        (ROW.to_owned(), tables, files)
    };
    let whole = rejoin(&tables, &id)?;
    let schema = match &train.schema {
        Some(path) => std::fs::read_to_string(path)?,
        None => suggested(&whole, &id, &train.label)?,
    };
    let what = format!("{} rows of {} files", whole.rows(), files.len());
    let owners = files.len();
    let pieces = files.into_iter().enumerate().collect();
    Ok(Data { pieces, owners, whole, schema, what })
}

/// Every row a person of its own.
fn numbered(tables: &[Table]) -> Result<Vec<Table>, Box<dyn Error>> {
    let number = |(i, table): (usize, &Table)| -> Result<Table, Box<dyn Error>> {
        let rows: Vec<_> = (0..table.rows()).map(|row| format!("{i}-{row}")).collect();
        let mut csv = format!("{ROW}\n").into_bytes();
        csv.extend(rows.iter().flat_map(|row| format!("{row}\n").into_bytes()));
        let column =
            Table::from_bytes(&format!("{}.csv", table.file()), &csv, &ReadOptions::default())?;
        Ok(column.beside(table)?)
    };
    tables.iter().enumerate().map(number).collect()
}

/// From all values, which only who has all of them can do.
fn suggested(whole: &Table, id: &str, label: &str) -> Result<String, Box<dyn Error>> {
    let proposal = Schema::suggest(whole, Some(label));
    let mut draft = proposal.draft().clone();
    draft.proposal = false;
    draft.columns.retain(|column| name(column) != id);
    draft.columns.insert(0, Column::Identifier(Identifier { name: id.to_owned() }));
    Ok(Schema::new(draft)?.draft().to_toml())
}

fn name(column: &Column) -> &str {
    match column {
        Column::Identifier(Identifier { name }) => name,
        Column::Ignore(column) => &column.name,
        Column::Numeric(column) | Column::Target(column) => &column.name,
        Column::Categorical(column) => &column.name,
        Column::Classes(column) => &column.name,
    }
}
