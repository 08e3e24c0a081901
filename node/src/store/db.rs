//! The ledger's database: opened by URL, one writer, transactions.

use super::error::{Result, StoreError};
use super::sqlite;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// How often a transaction is run again when the database was busy.
const ATTEMPTS: u32 = 5;

/// The migrations of one part of a service. Each part counts its own versions, so that crates do
/// not have to agree on numbers.
///
/// ```
/// # use dyad_node::store::Migrations;
/// // Files are <crate>/migrations/sqlite/NNNN_name.sql, brought in by include_str!.
/// const LEDGER: Migrations = Migrations {
///     name: "ledger",
///     sqlite: &[("0001_jobs", "CREATE TABLE job (id BLOB NOT NULL PRIMARY KEY)")],
/// };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// The part: lower-case letters, digits and underscores.
    pub name: &'static str,
    /// For SQLite: names that begin with the version, and the statements. What was released once
    /// is never changed: the store remembers its hash.
    pub sqlite: &'static [(&'static str, &'static str)],
}

/// An open database. Clones share it.
#[derive(Clone, Debug)]
pub struct Db {
    inner: Arc<sqlite::Pools>,
}

impl Db {
    /// Opens `sqlite:///folder/file.db` (made if absent) or `sqlite::memory:`, and brings it to
    /// this release: first what [every service](crate) has, then `parts` in order.
    ///
    /// Refused are a database that another process has open, one that a newer release wrote, the
    /// database of another service, and a damaged one.
    pub async fn open(url: &str, parts: &[Migrations]) -> Result<Self> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Err(unsupported("a PostgreSQL store"));
        }
        match url.strip_prefix("sqlite:") {
            Some(rest) => {
                Ok(Self { inner: Arc::new(sqlite::Pools::open(sqlite::at(rest)?, parts).await?) })
            }
            // The URL itself is not shown: it may hold a password.
            None => Err(unsupported("a store with this URL")),
        }
    }

    /// Opens it to look at, also while a service has it open: nothing is made, brought to this
    /// release or changed.
    pub async fn open_to_read(url: &str) -> Result<Self> {
        match url.strip_prefix("sqlite:") {
            Some(rest) => {
                Ok(Self { inner: Arc::new(sqlite::Pools::open_to_read(sqlite::at(rest)?).await?) })
            }
            // The URL itself is not shown: it may hold a password.
            None => Err(unsupported("a store with this URL")),
        }
    }

    /// Runs `body` in a transaction and commits, or rolls back if it fails. If the database was
    /// busy, all of it is run again, so `body` must have no effect but on the database.
    ///
    /// ```
    /// # use dyad_node::store::{Db, Result, scoped, sql};
    /// # async fn done(db: &Db, job: &[u8; 32]) -> Result<u64> {
    /// db.transaction(|tx| {
    ///     scoped(async move {
    ///         let update = sql("UPDATE job SET state = $1 WHERE id = $2");
    ///         update.bind("done").bind(job).execute(tx).await
    ///     })
    /// })
    /// .await
    /// # }
    /// ```
    pub async fn transaction<'a, T, E, F>(&self, mut body: F) -> std::result::Result<T, E>
    where
        F: for<'t> FnMut(&'t mut Tx) -> Scoped<'a, 't, std::result::Result<T, E>>,
        E: From<StoreError>,
    {
        let mut attempt = 1;
        loop {
            let mut tx = self.begin().await?;
            let (error, busy) = match body(&mut tx).await {
                Ok(value) => match tx.commit().await {
                    Ok(()) => return Ok(value),
                    Err(error) => {
                        let busy = error.is_transient();
                        (error.into(), busy)
                    }
                },
                Err(error) => {
                    let busy = tx.busy;
                    tx.rollback().await;
                    (error, busy)
                }
            };
            if !busy || attempt == ATTEMPTS {
                return Err(error);
            }
            tracing::debug!(attempt, "the database was busy: once more");
            tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
            attempt += 1;
        }
    }

    /// Runs `body` on a [`snapshot`](Self::snapshot).
    pub async fn read<'a, T, E, F>(&self, body: F) -> std::result::Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> Scoped<'a, 't, std::result::Result<T, E>>,
        E: From<StoreError>,
    {
        let mut tx = self.snapshot().await?;
        let result = body(&mut tx).await;
        tx.rollback().await;
        result
    }

    /// Begins a transaction that only reads, all of it from one state. It does not wait for the
    /// writer. (In memory there is only one connection: no reading beside a transaction there.)
    pub async fn snapshot(&self) -> Result<Tx> {
        Ok(Tx::new(self.inner.snapshot().await?, self.inner.place()))
    }

    /// Begins a transaction that writes; it is undone unless [committed](Tx::commit). Waits until
    /// the one before has ended, so that afterwards no statement finds the database busy.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(Tx::new(self.inner.begin().await?, self.inner.place()))
    }

    /// Whether it answers and can be written.
    pub async fn check(&self) -> Result<()> {
        self.begin().await?.rollback().await;
        Ok(())
    }

    /// The file, or `memory`.
    #[must_use]
    pub fn place(&self) -> &str {
        self.inner.place_str()
    }

    /// Waits for what runs, writes everything into the one file and closes it, for all clones.
    pub async fn close(&self) {
        self.inner.close().await;
    }
}

fn unsupported(what: &str) -> StoreError {
    StoreError::Unsupported {
        what: what.to_owned(),
        instead: "sqlite:///folder/file.db and sqlite::memory:",
    }
}

/// What the body of a transaction returns: see [`scoped`].
pub struct Scoped<'a, 't, T> {
    future: Pin<Box<dyn Future<Output = T> + Send + 't>>,
    /// Says that 'a outlives 't, for every 't: so the body may borrow what lives for 'a.
    outer: PhantomData<&'t &'a ()>,
}

/// Wraps the `async move` block that is the body of a transaction. (An async closure would do
/// without, but as yet the compiler cannot see that its future may go to another thread.)
pub fn scoped<'a, 't, T>(future: impl Future<Output = T> + Send + 't) -> Scoped<'a, 't, T> {
    Scoped { future: Box::pin(future), outer: PhantomData }
}

impl<T> Future for Scoped<'_, '_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<T> {
        self.future.as_mut().poll(cx)
    }
}

impl<T> std::fmt::Debug for Scoped<'_, '_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scoped").finish_non_exhaustive()
    }
}

/// A transaction, or a snapshot to read.
///
/// After a statement that failed it can only be rolled back: some databases roll back by themselves
/// then, and what followed would stand alone. To insert what may be there, say ON CONFLICT.
#[derive(Debug)]
pub struct Tx {
    pub(super) inner: Inner,
    pub(super) place: Arc<str>,
    /// A statement failed, or its end was not waited for.
    failed: bool,
    /// It failed because the database was busy.
    busy: bool,
}

/// One variant for each kind of database.
#[derive(Debug)]
pub(super) enum Inner {
    Sqlite(sqlite::Inner),
}

impl Tx {
    fn new(inner: sqlite::Inner, place: Arc<str>) -> Self {
        Self { inner: Inner::Sqlite(inner), place, failed: false, busy: false }
    }

    /// Makes everything in it last: on disk when this returns.
    pub async fn commit(self) -> Result<()> {
        self.check()?;
        match self.inner {
            Inner::Sqlite(inner) => sqlite::commit(inner, &self.place).await,
        }
    }

    /// Undoes everything in it. The same happens when it is dropped, only later.
    pub async fn rollback(self) {
        match self.inner {
            Inner::Sqlite(inner) => sqlite::rollback(inner).await,
        }
    }

    /// Whether it may go on.
    fn check(&self) -> Result<()> {
        if self.failed {
            let why = "an earlier statement of this transaction failed".to_owned();
            return Err(StoreError::Conflict { place: self.place.to_string(), why });
        }
        Ok(())
    }

    /// Before a statement: it has failed until [`note`](Self::note) says otherwise.
    pub(super) fn enter(&mut self) -> Result<()> {
        self.check()?;
        self.failed = true;
        Ok(())
    }

    /// After a statement.
    pub(super) fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        self.failed = result.is_err();
        self.busy |= matches!(result, Err(StoreError::Busy { .. }));
        result
    }
}
