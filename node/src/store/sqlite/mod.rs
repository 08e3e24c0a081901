//! SQLite: the only place that knows its types, its pragmas and its errors.
//!
//! One connection writes and a few read. SQLite has one writer at a time anyway; with two
//! connections the second would learn so by an error after a time-out, with one it waits its turn
//! in the pool. `BEGIN IMMEDIATE` takes the write lock first, so no transaction fails half-way
//! because it began as a reader. Readers see snapshots and never wait (WAL).
//!
//! Transactions are begun and ended by plain statements, not by the library's own type: that one
//! counts them, and loses count when SQLite rolls back by itself, as it does when the disk is full.
//! Whatever is left of a transaction is undone when its connection goes back to the pool.

mod fault;
mod open;

use super::error::Result;
use super::sql::{Row as AnyRow, Sql, Value};
use fault::sorted;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row as _, Sqlite, query::Query};
use std::sync::Arc;

pub(super) use fault::decoded;
pub(super) use open::{Pools, at};

pub(super) type Inner = PoolConnection<Sqlite>;
pub(super) type Row = SqliteRow;

fn bound(sql: Sql) -> Query<'static, Sqlite, SqliteArguments> {
    let mut query = sqlx::query(sql.text);
    for value in sql.values {
        query = match value {
            Value::Int(value) => query.bind(value),
            Value::Real(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Blob(value) => query.bind(value),
        };
    }
    query
}

pub(super) async fn execute(inner: &mut Inner, sql: Sql, place: &str) -> Result<u64> {
    let done = bound(sql).execute(&mut **inner).await;
    Ok(done.map_err(|e| sorted(place, e))?.rows_affected())
}

pub(super) async fn all(inner: &mut Inner, sql: Sql, place: &Arc<str>) -> Result<Vec<AnyRow>> {
    let rows = bound(sql).fetch_all(&mut **inner).await.map_err(|e| sorted(place, e))?;
    Ok(rows.into_iter().map(|inner| AnyRow { inner, place: Arc::clone(place) }).collect())
}

pub(super) async fn optional(
    inner: &mut Inner,
    sql: Sql,
    place: &Arc<str>,
) -> Result<Option<AnyRow>> {
    let row = bound(sql).fetch_optional(&mut **inner).await.map_err(|e| sorted(place, e))?;
    Ok(row.map(|inner| AnyRow { inner, place: Arc::clone(place) }))
}

pub(super) fn column<T>(row: &AnyRow, name: &str) -> Result<Option<T>>
where
    T: for<'r> sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    row.inner.try_get(name).map_err(|e| decoded(&row.place, name, e))
}

pub(super) async fn commit(mut inner: Inner, place: &str) -> Result<()> {
    let done = sqlx::query("COMMIT").execute(&mut *inner).await;
    done.map_err(|e| sorted(place, e)).map(drop)
}

pub(super) async fn rollback(mut inner: Inner) {
    // If it fails, the pool tries again or throws the connection away.
    if let Err(error) = sqlx::query("ROLLBACK").execute(&mut *inner).await {
        tracing::debug!(%error, "rolling back");
    }
}
