//! Approvals in the ledger. Each that was ever given stays: one that was taken back, or replaced by
//! a later one of its owner, never counts again, however often it is sent.

use super::revocations::is_revoked;
use super::{Ledger, Result};
use dyad_node::audit::{Entry, append};
use dyad_node::store::{Row, sql};
use dyad_protos::Name;

/// An owner's approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Whose.
    pub owner: Name,
    /// Seconds since 1970.
    pub expires: u64,
    /// Of the owner.
    pub signature: [u8; 64],
}

/// What became of an approval that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It stands, in place of the one before.
    New,
    /// It stood already.
    Known,
    /// This very one was taken back.
    Revoked,
    /// This very one was replaced by a later one.
    Replaced,
    /// The job has begun, or is over: approvals matter no more.
    Late,
}

impl Ledger {
    /// Approvals that stand.
    pub async fn approvals(&self, job: &[u8; 32]) -> Result<Vec<Approval>> {
        let rows = self
            .all(
                sql("SELECT owner, expires, signature FROM approvals \
                 WHERE job = $1 AND ended IS NULL ORDER BY owner")
                .bind(&job[..]),
            )
            .await?;
        let read = |row: &Row| {
            Ok(Approval {
                owner: row.get::<String>("owner")?.parse()?,
                expires: row.get::<i64>("expires")? as u64,
                signature: row.get("signature")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// An approval comes, or comes anew with another end.
    pub async fn approve(
        &self,
        job: &[u8; 32],
        approval: &Approval,
        deed: &Entry<'_>,
    ) -> Result<Taken> {
        let (owner, signature) = (approval.owner.as_str(), &approval.signature[..]);
        let mut tx = self.db.begin().await?;
        let known = sql("SELECT COALESCE(ended, '') AS ended FROM approvals \
                         WHERE job = $1 AND owner = $2 AND signature = $3")
        .bind(&job[..])
        .bind(owner)
        .bind(signature)
        .optional(&mut tx)
        .await?;
        if let Some(known) = known {
            return Ok(match known.get::<String>("ended")?.as_str() {
                "" => Taken::Known,
                "replaced" => Taken::Replaced,
                _ => Taken::Revoked,
            });
        }
        let state = sql("SELECT state FROM jobs WHERE digest = $1").bind(&job[..]);
        let state: String = state.one(&mut tx).await?.get("state")?;
        if !matches!(state.as_str(), "proposed" | "approved") {
            return Ok(Taken::Late);
        }
        if is_revoked(&mut tx, job, owner, approval.expires).await? {
            return Ok(Taken::Revoked);
        }
        sql("UPDATE approvals SET ended = 'replaced' \
             WHERE job = $1 AND owner = $2 AND ended IS NULL")
        .bind(&job[..])
        .bind(owner)
        .execute(&mut tx)
        .await?;
        sql("INSERT INTO approvals (job, owner, expires, signature) VALUES ($1, $2, $3, $4)")
            .bind(&job[..])
            .bind(owner)
            .bind(approval.expires as i64)
            .bind(signature)
            .execute(&mut tx)
            .await?;
        append(&mut tx, deed).await?;
        tx.commit().await?;
        Ok(Taken::New)
    }
}
