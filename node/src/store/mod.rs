//! The store: SQL for the ledger ([`Db`]), objects for bulk ([`Bulk`]), both opened by URL.
//!
//! Statements are written once, with `$1` placeholders and the types that [`Value`] has, so that a
//! second kind of database is a second folder beside `sqlite/` and nothing else.

mod bulk;
mod db;
mod error;
mod lock;
mod sql;
mod sqlite;

pub use bulk::{Bulk, Listed, Object, Writer};
pub use db::{Db, Migrations, Scoped, Tx, scoped};
pub use error::{Result, StoreError};
pub use sql::{Column, Row, Sql, Value, sql};
