//! What recipients of a model tell each other of it, sealed.

use super::{Ledger, Result};
use dyad_node::store::sql;
use dyad_protos::Name;

impl Ledger {
    /// Keeps what a recipient tells others: it takes the place of what was there.
    pub async fn compare(
        &self,
        job: &[u8; 32],
        from: &Name,
        told: &[(Name, Vec<u8>)],
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        for (to, sealed) in told {
            sql("INSERT INTO comparisons (job, owner, recipient, sealed) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (job, owner, recipient) DO UPDATE SET sealed = excluded.sealed")
            .bind(&job[..])
            .bind(from.as_str())
            .bind(to.as_str())
            .bind(&sealed[..])
            .execute(&mut tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// What others have told this recipient.
    pub async fn compared(&self, job: &[u8; 32], to: &Name) -> Result<Vec<(String, Vec<u8>)>> {
        let rows = self
            .all(
                sql("SELECT owner, sealed FROM comparisons WHERE job = $1 AND recipient = $2 \
                 ORDER BY owner")
                .bind(&job[..])
                .bind(to.as_str()),
            )
            .await?;
        rows.iter().map(|row| Ok((row.get("owner")?, row.get("sealed")?))).collect()
    }
}
