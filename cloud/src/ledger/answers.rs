//! Owners' answers to a joint release, and who has the model.

use super::{Ledger, Result};
use crate::refusal::{Cause, refuse};
use dyad_node::audit::{Entry, append};
use dyad_node::store::{Row, sql};
use dyad_protos::Name;

/// An owner's sealed partial decryptions for a recipient: all of them are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whose.
    pub owner: Name,
    /// For whom.
    pub recipient: Name,
    /// In how many objects.
    pub parts: u32,
    /// Where they are, below the owner's and the recipient's names.
    pub folder: String,
}

impl Ledger {
    /// An answer is whole, and takes the place of the one before; gives where that one was. The deeds:
    /// for a first one, and for one that is given anew.
    pub async fn answered(
        &self,
        job: &[u8; 32],
        answer: &Answer,
        [first, anew]: [&Entry<'_>; 2],
    ) -> Result<Option<String>> {
        let (owner, recipient) = (answer.owner.as_str(), answer.recipient.as_str());
        let mut tx = self.db.begin().await?;
        let open = sql("SELECT 1 AS one FROM jobs WHERE digest = $1 \
                        AND state IN ('sealed', 'released') AND tidied <> 'all'");
        if open.bind(&job[..]).optional(&mut tx).await?.is_none() {
            return refuse(Cause::Over, "the job has ended while the answer came");
        }
        let before = sql("SELECT folder FROM answers \
                          WHERE job = $1 AND owner = $2 AND recipient = $3")
        .bind(&job[..])
        .bind(owner)
        .bind(recipient)
        .optional(&mut tx)
        .await?;
        sql("INSERT INTO answers (job, owner, recipient, parts, folder) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (job, owner, recipient) \
             DO UPDATE SET parts = excluded.parts, folder = excluded.folder")
        .bind(&job[..])
        .bind(owner)
        .bind(recipient)
        .bind(i64::from(answer.parts))
        .bind(&answer.folder)
        .execute(&mut tx)
        .await?;
        let before = before.map(|row| row.get("folder")).transpose()?;
        append(&mut tx, if before.is_some() { anew } else { first }).await?;
        tx.commit().await?;
        Ok(before)
    }

    /// Who has answered for whom.
    pub async fn answers(&self, job: &[u8; 32]) -> Result<Vec<Answer>> {
        let rows = self
            .all(
                sql("SELECT owner, recipient, parts, folder FROM answers WHERE job = $1")
                    .bind(&job[..]),
            )
            .await?;
        let read = |row: &Row| {
            Ok(Answer {
                owner: row.get::<String>("owner")?.parse()?,
                recipient: row.get::<String>("recipient")?.parse()?,
                parts: row.get::<i64>("parts")? as u32,
                folder: row.get("folder")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// A recipient has the model, and has stored it.
    pub async fn fetched(
        &self,
        job: &[u8; 32],
        recipient: &str,
        now: u64,
        deed: &Entry<'_>,
    ) -> Result<()> {
        let insert = sql("INSERT INTO fetched (job, recipient, at) VALUES ($1, $2, $3) \
                          ON CONFLICT (job, recipient) DO NOTHING");
        let insert = insert.bind(&job[..]).bind(recipient).bind(now as i64);
        self.run_as(insert, deed).await.map(drop)
    }

    /// Who has.
    pub async fn fetched_by(&self, job: &[u8; 32]) -> Result<Vec<Name>> {
        let rows =
            self.all(sql("SELECT recipient FROM fetched WHERE job = $1").bind(&job[..])).await?;
        rows.iter().map(|row| Ok(row.get::<String>("recipient")?.parse()?)).collect()
    }
}
