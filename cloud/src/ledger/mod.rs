//! The ledger: what a cloud must not forget. Queries and nothing else.
//!
//! What somebody does is written with the line of the audit table that tells of it, in one
//! transaction: both last, or neither. A repeat that changes nothing needs no second line.

mod answers;
mod approvals;
mod comparisons;
mod jobs;
mod over;
mod revocations;
mod uploads;

pub use answers::Answer;
pub use approvals::{Approval, Taken};
pub use jobs::{JobRow, State};
pub use over::{Census, Tidied};
pub use revocations::{Revocation, Taken as TakenBack};
pub use uploads::{UploadRow, UploadState, Withdrawn};

use crate::refusal::Refusal;
use dyad_node::audit::{Entry, append};
use dyad_node::store::{Db, Migrations, Row, Sql, sql};

/// How the tables come to be.
pub const MIGRATIONS: Migrations = Migrations {
    name: "ledger",
    sqlite: &[
        ("0001_ledger", include_str!("../../migrations/sqlite/0001_ledger.sql")),
        ("0002_over", include_str!("../../migrations/sqlite/0002_over.sql")),
        ("0003_comparisons", include_str!("../../migrations/sqlite/0003_comparisons.sql")),
        ("0004_agreed", include_str!("../../migrations/sqlite/0004_agreed.sql")),
    ],
};

/// The ledger of one cloud.
#[derive(Clone)]
pub struct Ledger {
    db: Db,
}

/// Result of a query.
pub type Result<T> = std::result::Result<T, Refusal>;

impl Ledger {
    /// Over an open database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// The database itself.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    async fn first(&self, query: Sql) -> Result<Option<Row>> {
        Ok(self.all(query).await?.into_iter().next())
    }

    async fn all(&self, query: Sql) -> Result<Vec<Row>> {
        Ok(query.all(&mut self.db.snapshot().await?).await?)
    }

    /// One statement, in a transaction of its own: how many rows it touched.
    async fn run(&self, query: Sql) -> Result<u64> {
        let mut tx = self.db.begin().await?;
        let rows = query.execute(&mut tx).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// The same, with the line that tells of it; no line, if no row was touched.
    async fn run_as(&self, query: Sql, deed: &Entry<'_>) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let rows = query.execute(&mut tx).await?;
        if rows > 0 {
            append(&mut tx, deed).await?;
        }
        tx.commit().await?;
        Ok(rows > 0)
    }

    /// A study that was met: its text and the key centre's signature.
    pub async fn study(&self, digest: &[u8; 32]) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let row = self
            .first(sql("SELECT text, signature FROM studies WHERE digest = $1").bind(&digest[..]))
            .await?;
        row.map(|row| Ok((row.get("text")?, row.get("signature")?))).transpose()
    }

    /// Keeps a study.
    pub async fn keep_study(&self, digest: &[u8; 32], text: &[u8], signature: &[u8]) -> Result<()> {
        self.run(
            sql("INSERT INTO studies (digest, text, signature) VALUES ($1, $2, $3) \
             ON CONFLICT (digest) DO NOTHING")
            .bind(&digest[..])
            .bind(text)
            .bind(signature),
        )
        .await?;
        Ok(())
    }
}

/// A column that may hold so many bytes.
fn optional<const N: usize>(row: &Row, column: &str) -> Result<Option<[u8; N]>> {
    let bytes: Option<Vec<u8>> = row.get(column)?;
    bytes.map(|bytes| bytes.try_into().map_err(|_| damaged(column))).transpose()
}

fn damaged(what: &str) -> Refusal {
    let what = format!("the ledger is damaged ({what}): restore it from a backup");
    Refusal::new(crate::refusal::Cause::Own, what)
}
