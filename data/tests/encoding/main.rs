//! From tables to ring values: schemas, encoding, splits, and the documentation's examples.
#![allow(clippy::unwrap_used, clippy::panic)]

mod documents;
mod encode;
mod fixed;
mod missing;
mod owners;
mod samples;
mod schema;
mod split;
mod suggest;

use dyad_data::{BadCell, Encoded, Error, Limits, ReadOptions, Result, Schema, Table};

fn table(csv: &str) -> Table {
    Table::from_bytes("a.csv", csv.as_bytes(), &ReadOptions::default()).unwrap()
}

/// A schema of these columns, in TOML.
fn schema(columns: &str) -> Schema {
    Schema::from_toml(&format!("version = 1\n{columns}")).unwrap()
}

fn encode(columns: &str, csv: &str) -> Result<Encoded> {
    schema(columns).encode(&table(csv), &Limits::default())
}

/// Row, column and reason of every bad cell.
fn bad(columns: &str, csv: &str) -> Vec<(usize, String, String)> {
    let Err(Error::Cells(report)) = encode(columns, csv) else {
        panic!("not refused");
    };
    let line = |cell: &BadCell| {
        let column = cell.column.as_deref().unwrap_or_default().to_owned();
        let reason = cell.reason.to_string();
        (cell.row, column, reason.split(';').next().unwrap_or_default().to_owned())
    };
    report.cells().iter().map(line).collect()
}

/// A column of this name and declaration, in TOML.
fn column(name: &str, declared: &str) -> String {
    format!("[[columns]]\nname = \"{name}\"\n{declared}\n")
}

/// One called `x`.
fn one(declared: &str) -> String {
    column("x", declared)
}

/// A number with this scaling, and what more there is.
fn numeric(name: &str, scaling: &str, more: &str) -> String {
    column(name, &format!("kind = \"numeric\"\nscaling = {scaling}\n{more}"))
}

const ONE: i64 = 1 << 16;
