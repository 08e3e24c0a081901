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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ledger::{MIGRATIONS, Revocation, TakenBack};
    use dyad_node::clock::Time;
    use dyad_node::store::Db;

    const JOB: [u8; 32] = [1; 32];
    const DEED: Entry<'static> =
        Entry { who: "north", what: "deed", hash: &JOB, at: Time::from_millis(0), detail: "" };

    async fn ledger() -> Ledger {
        let db = Db::open("sqlite::memory:", &[MIGRATIONS]).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        for text in [
            "INSERT INTO studies (digest, text, signature) VALUES ($1, $1, $1)",
            "INSERT INTO jobs (digest, id, study, text, signature, state, reason, step, steps, \
             attempts) VALUES ($1, $1, $1, $1, $1, 'proposed', '', 0, 1, 0)",
        ] {
            sql(text).bind(&JOB[..]).execute(&mut tx).await.unwrap();
        }
        tx.commit().await.unwrap();
        Ledger::new(db)
    }

    fn approval(owner: &str, which: u8) -> Approval {
        let expires = 1000 + u64::from(which);
        Approval { owner: owner.parse().unwrap(), expires, signature: [which; 64] }
    }

    async fn take(ledger: &Ledger, owner: &str, which: u8) -> Taken {
        ledger.approve(&JOB, &approval(owner, which), &DEED).await.unwrap()
    }

    /// Of these approvals.
    fn revocation(owner: &str, which: &[u8]) -> Revocation {
        let ends = which.iter().map(|which| 1000 + u64::from(*which)).collect();
        Revocation { owner: owner.parse().unwrap(), ends, signature: [90 + which.len() as u8; 64] }
    }

    async fn revoke(ledger: &Ledger, which: &[u8]) -> TakenBack {
        ledger.revoke(&JOB, &revocation("north", which), &DEED).await.unwrap()
    }

    async fn lines(ledger: &Ledger) -> usize {
        let mut tx = ledger.db().snapshot().await.unwrap();
        dyad_node::audit::read(&mut tx, 0, 100).await.unwrap().len()
    }

    async fn set(ledger: &Ledger, state: &str) {
        let mut tx = ledger.db().begin().await.unwrap();
        sql("UPDATE jobs SET state = $1").bind(state).execute(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn what_was_taken_back_or_replaced_never_counts_again() {
        let ledger = ledger().await;
        assert_eq!(take(&ledger, "north", 1).await, Taken::New);
        assert_eq!(take(&ledger, "north", 1).await, Taken::Known);
        assert_eq!(take(&ledger, "south", 1).await, Taken::New);
        // Another end: the first one is over, whoever sends it again.
        assert_eq!(take(&ledger, "north", 2).await, Taken::New);
        assert_eq!(take(&ledger, "north", 1).await, Taken::Replaced);
        assert_eq!(revoke(&ledger, &[]).await, TakenBack::New);
        // Both that were given, not the last one alone.
        for which in [1, 2] {
            assert!(matches!(take(&ledger, "north", which).await, Taken::Revoked));
        }
        assert_eq!(take(&ledger, "north", 3).await, Taken::New);
        assert_eq!(revoke(&ledger, &[]).await, TakenBack::New);
        for which in [1, 2, 3] {
            assert!(matches!(take(&ledger, "north", which).await, Taken::Revoked));
        }
        assert_eq!(ledger.approvals(&JOB).await.unwrap(), [approval("south", 1)]);
        // The other owner's stand; a new one counts again.
        assert_eq!(take(&ledger, "north", 4).await, Taken::New);
        let stand = ledger.approvals(&JOB).await.unwrap();
        assert_eq!(stand, [approval("north", 4), approval("south", 1)]);
    }

    #[tokio::test]
    async fn what_was_taken_back_before_it_came_does_not_count() {
        let ledger = ledger().await;
        assert_eq!(revoke(&ledger, &[1, 2]).await, TakenBack::New);
        assert_eq!(revoke(&ledger, &[1, 2]).await, TakenBack::Known);
        assert_eq!(lines(&ledger).await, 1);
        for which in [1, 2, 1] {
            assert_eq!(take(&ledger, "north", which).await, Taken::Revoked, "{which}");
        }
        assert_eq!(ledger.approvals(&JOB).await.unwrap(), []);
        // One that was not named counts, and so does another owner's with the same end.
        assert_eq!(take(&ledger, "north", 3).await, Taken::New);
        assert_eq!(take(&ledger, "south", 1).await, Taken::New);
        let known = ledger.revocations(&JOB).await.unwrap();
        assert_eq!(known, [revocation("north", &[1, 2])]);
    }

    #[tokio::test]
    async fn what_the_other_cloud_shows_touches_no_later_approval() {
        let ledger = ledger().await;
        take(&ledger, "north", 1).await;
        take(&ledger, "south", 1).await;
        let shown = async |which: &[u8], idle| {
            let revocation = revocation("north", which);
            ledger.revoke_as_shown(&JOB, &revocation, idle, &DEED).await.unwrap()
        };
        assert_eq!(shown(&[], false).await, TakenBack::Known);
        assert_eq!(shown(&[1], false).await, TakenBack::New);
        assert_eq!(ledger.approvals(&JOB).await.unwrap(), [approval("south", 1)]);
        take(&ledger, "north", 2).await;
        assert_eq!(shown(&[1], false).await, TakenBack::Known);
        assert_eq!(ledger.approvals(&JOB).await.unwrap().len(), 2);
        // It runs: nothing is taken back, unless it does not run over there.
        set(&ledger, "running").await;
        assert_eq!(shown(&[1, 2], false).await, TakenBack::Late);
        assert_eq!(shown(&[1, 2], true).await, TakenBack::New);
        assert_eq!(ledger.approvals(&JOB).await.unwrap(), [approval("south", 1)]);
        let mut tx = ledger.db().snapshot().await.unwrap();
        let row = sql("SELECT state FROM jobs").one(&mut tx).await.unwrap();
        assert_eq!(row.get::<String>("state").unwrap(), "proposed");
        tx.rollback().await;
        set(&ledger, "trained").await;
        assert_eq!(shown(&[1, 2, 3], true).await, TakenBack::Late);
    }

    #[tokio::test]
    async fn once_it_runs_nothing_is_given_or_taken_back() {
        let ledger = ledger().await;
        take(&ledger, "north", 1).await;
        set(&ledger, "running").await;
        assert_eq!(take(&ledger, "north", 2).await, Taken::Late);
        assert_eq!(revoke(&ledger, &[1]).await, TakenBack::Late);
        assert_eq!(ledger.approvals(&JOB).await.unwrap(), [approval("north", 1)]);
    }
}
