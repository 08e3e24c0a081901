//! Real public data: the right rows, labels and missing cells come out. The files lie in the folder
//! that `DYAD_DATA` names, else in `../shared/data` beside the project; without, the tests say so
//! and skip.
#![allow(clippy::unwrap_used, clippy::panic)]

mod images;
#[allow(unreachable_pub)]
#[path = "../../../bcp/tests/common/skipped.rs"]
mod skipped;
mod tables;

use dyad_data::{Cell, Encoded, Limits, ReadOptions, Schema, Table};
use skipped::skipped;
use std::path::PathBuf;
use std::sync::Once;
use std::time::Instant;

/// The missing folder is told once.
static ONCE: Once = Once::new();

/// The file, or nothing if there is no data on this machine. Data that is promised by `DYAD_DATA`
/// must be there.
fn file(name: &str) -> Option<PathBuf> {
    let promised = std::env::var_os("DYAD_DATA");
    let folder = promised.clone().map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let path = folder.join(name);
    if path.is_file() {
        return Some(path);
    }
    assert!(promised.is_none(), "DYAD_DATA is set, but {} is not there", path.display());
    ONCE.call_once(|| skipped("DYAD_DATA names no folder, real data sets are not read"));
    None
}

fn table(name: &str) -> Option<Table> {
    let started = Instant::now();
    let table = Table::read(file(name)?, &ReadOptions::default()).unwrap();
    eprintln!("{name}: read in {:.0?}", started.elapsed());
    Some(table)
}

/// By the schema proposed for the file, which is public.
fn encoded(table: &Table, label: &str) -> Encoded {
    let schema = Schema::suggest(table, Some(label)).accept().unwrap();
    let started = Instant::now();
    let encoded = schema.encode(table, &Limits::default()).unwrap();
    eprintln!("{}: encoded in {:.0?}", table.file(), started.elapsed());
    encoded
}

fn histogram(encoded: &Encoded) -> Vec<(&str, usize)> {
    encoded.labels().unwrap().histogram()
}

/// How many cells of a column are `?`.
fn unknown(table: &Table, column: &str) -> usize {
    let at = table.find(column).unwrap();
    (0..table.rows()).filter(|row| table.cell(*row, at) == Cell::Text("?")).count()
}
