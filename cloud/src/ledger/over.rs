//! What is left of jobs that are over, or nearly.

use super::{JobRow, Ledger, Result, damaged};
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

    /// It was over at this time, at the latest.
    pub async fn over_since(&self, job: &[u8; 32], now: u64) -> Result<()> {
        self.run(
            sql("UPDATE jobs SET over = $2 WHERE digest = $1 AND over IS NULL")
                .bind(&job[..])
                .bind(now as i64),
        )
        .await?;
        Ok(())
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

    /// Forgets checkpoints: all, or all but the newest. Gives their objects.
    pub async fn drop_checkpoints(&self, job: &[u8; 32], but_newest: bool) -> Result<Vec<String>> {
        let rows = self
            .all(
                sql("SELECT object FROM checkpoints WHERE job = $1 ORDER BY made DESC, step DESC")
                    .bind(&job[..]),
            )
            .await?;
        let objects = rows.iter().skip(usize::from(but_newest)).map(|row| Ok(row.get("object")?));
        let objects = objects.collect::<Result<Vec<String>>>()?;
        let mut tx = self.db.begin().await?;
        for object in &objects {
            sql("DELETE FROM checkpoints WHERE job = $1 AND object = $2")
                .bind(&job[..])
                .bind(object)
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await?;
        Ok(objects)
    }

    /// Its objects are gone, so far.
    pub async fn tidied(&self, job: &[u8; 32], tidied: Tidied) -> Result<()> {
        let mut tx = self.db.begin().await?;
        if tidied == Tidied::All {
            sql("DELETE FROM answers WHERE job = $1").bind(&job[..]).execute(&mut tx).await?;
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
