//! What is left of jobs that are over, or nearly.

use super::{JobRow, Ledger, Result, damaged};
use dyad_node::audit::{Entry, append};
use dyad_node::store::{Row, sql};

/// How far a job was tidied away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tidied {
    /// Not yet.
    Nothing,
    /// All checkpoints but the last, which is the model's share.
    Older,
    /// All checkpoints.
    Shares,
    /// Everything: rows alone are left.
    All,
}

impl Tidied {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Older => "older",
            Self::Shares => "shares",
            Self::All => "all",
        }
    }

    pub(super) fn read(text: &str) -> Result<Self> {
        let all = [Self::Nothing, Self::Older, Self::Shares, Self::All];
        all.into_iter().find(|one| one.as_str() == text).ok_or_else(|| damaged("tidied"))
    }
}

impl Ledger {
    /// Jobs of which there may be something to delete, or to tell the key centre.
    pub async fn untidy_jobs(&self) -> Result<Vec<JobRow>> {
        let rows = self
            .all(sql(
                "SELECT * FROM jobs WHERE state IN ('sealed', 'released', 'failed', 'cancelled') \
             AND (tidied <> 'all' OR centre_told IS NULL) ORDER BY digest",
            ))
            .await?;
        rows.iter().map(JobRow::read).collect()
    }

    /// Jobs that wait for somebody, and do not run: trained, or sealed.
    pub async fn resting_jobs(&self) -> Result<Vec<JobRow>> {
        let rows = self
            .all(sql("SELECT * FROM jobs WHERE state IN ('trained', 'sealed') ORDER BY digest"))
            .await?;
        rows.iter().map(JobRow::read).collect()
    }

    /// Since when it rests: since now, if that is not known yet.
    pub async fn rests_since(&self, row: &JobRow, ran: u64) -> Result<u64> {
        if let Some(since) = row.rests {
            return Ok(since);
        }
        let rests = sql("UPDATE jobs SET rests = $3 WHERE digest = $1 AND state = $2");
        let rests = rests.bind(&row.job.digest()[..]).bind(row.state.as_str());
        self.run(rests.bind(ran as i64)).await?;
        Ok(ran)
    }

    /// How long this cloud has run in all, as far as it was written down.
    pub async fn ran(&self) -> Result<u64> {
        let row = self.first(sql("SELECT seconds FROM ran WHERE id = 1")).await?;
        Ok(row.ok_or_else(|| damaged("ran"))?.get::<i64>("seconds")? as u64)
    }

    /// Writes it down.
    pub async fn has_run(&self, seconds: u64) -> Result<()> {
        let query = sql("UPDATE ran SET seconds = $1 WHERE id = 1").bind(seconds as i64);
        self.run(query).await.map(drop)
    }

    /// C1: jobs on which the clouds may differ, after this digest: those that do not run yet, and
    /// those that are over without C0 having been told.
    pub async fn to_compare(&self, after: &[u8], limit: usize) -> Result<Vec<JobRow>> {
        let page =
            sql("SELECT * FROM jobs WHERE digest > $1 AND (state IN ('proposed', 'approved') \
                        OR (state IN ('failed', 'cancelled') AND peer_told IS NULL)) \
                        ORDER BY digest LIMIT $2");
        let rows = self.all(page.bind(after).bind(limit as i64)).await?;
        rows.iter().map(JobRow::read).collect()
    }

    /// C1: C0 knows that it is over.
    pub async fn peer_told(&self, job: &[u8; 32], now: u64) -> Result<()> {
        let query = sql("UPDATE jobs SET peer_told = $2 WHERE digest = $1");
        self.run(query.bind(&job[..]).bind(now as i64)).await.map(drop)
    }

    /// The key centre knows that it is over.
    pub async fn centre_told(&self, job: &[u8; 32], now: u64) -> Result<()> {
        self.run(
            sql("UPDATE jobs SET centre_told = $2 WHERE digest = $1")
                .bind(&job[..])
                .bind(now as i64),
        )
        .await?;
        Ok(())
    }

    /// Its objects are gone, so far. The deed: that all of them are.
    pub async fn tidied(&self, job: &[u8; 32], tidied: Tidied, deed: &Entry<'_>) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let drop = match tidied {
            Tidied::Nothing => None,
            Tidied::Older => Some(sql("DELETE FROM checkpoints WHERE job = $1 AND \
                 made < (SELECT MAX(made) FROM checkpoints WHERE job = $1)")),
            Tidied::Shares | Tidied::All => Some(sql("DELETE FROM checkpoints WHERE job = $1")),
        };
        if let Some(drop) = drop {
            drop.bind(&job[..]).execute(&mut tx).await?;
        }
        if tidied == Tidied::All {
            sql("DELETE FROM answers WHERE job = $1").bind(&job[..]).execute(&mut tx).await?;
            append(&mut tx, deed).await?;
        }
        sql("UPDATE jobs SET tidied = $2 WHERE digest = $1")
            .bind(&job[..])
            .bind(tidied.as_str())
            .execute(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// How many rows there are in each state.
    pub async fn census(&self, of: Census) -> Result<Vec<(String, u64)>> {
        let text = match of {
            Census::Jobs => "SELECT state, COUNT(*) AS n FROM jobs GROUP BY state",
            Census::Uploads => "SELECT state, COUNT(*) AS n FROM uploads GROUP BY state",
        };
        let rows = self.all(sql(text)).await?;
        let read = |row: &Row| Ok((row.get("state")?, row.get::<i64>("n")? as u64));
        rows.iter().map(read).collect()
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub enum Census {
    /// Jobs.
    Jobs,
    /// Uploads.
    Uploads,
}
