//! Reading files: what comes out of lawful ones, and what is said of others.
#![allow(clippy::unwrap_used, clippy::panic)]

mod csv;
mod gzip;
mod hostile;
mod idx;
mod npy;
mod parquet;

use dyad_data::{Cell, Error, Format, FormatFault, ReadOptions, Result, Table};

/// A file beside the tests.
fn testdata(name: &str) -> Vec<u8> {
    let path = format!("{}/testdata/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn read(name: &str, bytes: &[u8]) -> Result<Table> {
    Table::from_bytes(name, bytes, &ReadOptions::default())
}

/// The fault of a file that is refused as a whole.
fn fault(name: &str, bytes: &[u8]) -> FormatFault {
    match read(name, bytes) {
        Err(Error::Format { file, fault, .. }) if file == name => fault,
        other => panic!("{other:?}"),
    }
}

fn cells(table: &Table) -> Vec<Vec<Cell<'_>>> {
    let row = |row| (0..table.width()).map(|column| table.cell(row, column)).collect();
    (0..table.rows()).map(row).collect()
}

fn texts(table: &Table) -> Vec<Vec<String>> {
    cells(table).iter().map(|row| row.iter().map(|cell| cell.text().into()).collect()).collect()
}

#[test]
fn formats_by_name() {
    for name in ["a.txt", "a", "csv", ".gz", "a.csv.xz"] {
        let refused = read(name, b"x\n1\n").unwrap_err();
        assert!(matches!(refused, Error::UnknownFormat { .. }), "{name}: {refused}");
    }
    let options = ReadOptions { format: Some(Format::Csv), ..ReadOptions::default() };
    assert_eq!(Table::from_bytes("a.txt", b"x\n1\n", &options).unwrap().rows(), 1);
    let absent = Table::read("nowhere/a.csv", &options).unwrap_err().to_string();
    assert!(absent.starts_with("nowhere/a.csv: "), "{absent}");
    let folder = Table::read(env!("CARGO_MANIFEST_DIR"), &options).unwrap_err().to_string();
    assert!(folder.contains("not a regular file"), "{folder}");
}
