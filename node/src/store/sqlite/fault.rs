//! SQLite's errors, sorted.

use crate::store::error::StoreError;
use sqlx::Error;
use sqlx::migrate::MigrateError;
use std::io;

// Primary result codes, https://sqlite.org/rescode.html
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const CONSTRAINT: i32 = 19;
const NOTADB: i32 = 26;

/// Whether a ROLLBACK failed because there was nothing to roll back: a plain error, code 1.
pub(super) fn is_idle(error: &Error) -> bool {
    let Error::Database(database) = error else { return false };
    database.code().is_some_and(|code| code == "1")
}

/// An error of a statement or a connection.
pub(super) fn sorted(place: &str, error: Error) -> StoreError {
    let place = place.to_owned();
    match error {
        Error::Io(source) => StoreError::io(place, source),
        Error::PoolTimedOut => StoreError::Busy { place },
        Error::RowNotFound => StoreError::Missing { place },
        Error::Database(database) => {
            // The extended code's low byte is the primary one.
            let code = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(0);
            let why = database.message().to_owned();
            match code & 0xff {
                FULL => StoreError::Full { place },
                BUSY | LOCKED => StoreError::Busy { place },
                CORRUPT | NOTADB => StoreError::Corrupt { place, why },
                CONSTRAINT => StoreError::Conflict { place, why },
                READONLY | IOERR | CANTOPEN => {
                    StoreError::Io { place, source: io::Error::other(Error::Database(database)) }
                }
                _ => StoreError::Sql { place, source: Box::new(Error::Database(database)) },
            }
        }
        other => StoreError::Sql { place, source: Box::new(other) },
    }
}

/// An error of reading a column.
pub(in crate::store) fn decoded(place: &str, name: &str, error: Error) -> StoreError {
    match error {
        Error::ColumnDecode { .. } | Error::Decode(_) => {
            StoreError::corrupt(place, format_args!("column {name} is not of its type"))
        }
        other => sorted(place, other),
    }
}

/// An error of migrating part `part`.
pub(super) fn migrated(place: &str, part: &str, error: MigrateError) -> StoreError {
    let place = place.to_owned();
    match error {
        MigrateError::VersionMissing(version) => StoreError::Release {
            place,
            why: format!("it has version {version} of part {part}, which is unknown here"),
        },
        MigrateError::VersionMismatch(version) => StoreError::Release {
            place,
            why: format!("version {version} of part {part} is another than the one known here"),
        },
        MigrateError::Dirty(version) => StoreError::Corrupt {
            place,
            why: format!("version {version} of part {part} was applied half-way"),
        },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            sorted(&place, error)
        }
        other => StoreError::Sql { place, source: Box::new(other) },
    }
}
