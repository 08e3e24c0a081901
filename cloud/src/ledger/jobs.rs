//! Jobs in the ledger.

use super::{Ledger, Result, Tidied, damaged, optional};
use crate::refusal::{Cause, refuse};
use dyad_mpc::prg::Attempt;
use dyad_node::audit::{Entry, append};
use dyad_node::store::{Row, sql};
use dyad_protos::{Document, Job, Name};
use std::fmt;

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Approvals are awaited.
    Proposed,
    /// All owners have signed.
    Approved,
    /// An attempt has begun: approvals can no longer be taken back.
    Running,
    /// Both clouds hold their share of the model.
    Trained,
    /// What is released is fixed and signed.
    Sealed,
    /// Recipients can have it.
    Released,
    /// It cannot be run.
    Failed,
    /// Called off.
    Cancelled,
}

impl State {
    pub(crate) const ALL: [Self; 8] = [
        Self::Proposed,
        Self::Approved,
        Self::Running,
        Self::Trained,
        Self::Sealed,
        Self::Released,
        Self::Failed,
        Self::Cancelled,
    ];

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Running => "running",
            Self::Trained => "trained",
            Self::Sealed => "sealed",
            Self::Released => "released",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Is there still work to do for it? Then its author can cancel it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Proposed | Self::Approved | Self::Running)
    }

    /// Will nothing more happen to it?
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Released | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A job.
#[derive(Clone, Debug)]
pub struct JobRow {
    /// What owners sign.
    pub job: Document<Job>,
    /// How far it has come.
    pub state: State,
    /// Why it failed, or what it waits for.
    pub reason: String,
    /// Steps done, as of the last checkpoint.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Attempts begun.
    pub attempts: u32,
    /// What was opened.
    pub opened: Option<Vec<u8>>,
    /// Digest of the heads, once sealed, with this cloud's signature and the other's.
    pub heads: Option<[u8; 32]>,
    /// This cloud's signature.
    pub signature: Option<[u8; 64]>,
    /// The other cloud's.
    pub peer_signature: Option<[u8; 64]>,
    /// Since when it rests, in seconds that this cloud has run; known a moment after it does.
    pub rests: Option<u64>,
    /// What is left of it.
    pub tidied: Tidied,
    /// Does the key centre know that it is over?
    pub centre_told: bool,
}

impl JobRow {
    pub(super) fn read(row: &Row) -> Result<Self> {
        let text: Vec<u8> = row.get("text")?;
        let state: String = row.get("state")?;
        let state = State::ALL.into_iter().find(|known| known.as_str() == state);
        Ok(Self {
            job: Document::read(&text)?,
            state: state.ok_or_else(|| damaged("job"))?,
            reason: row.get("reason")?,
            step: row.get::<i64>("step")? as u64,
            steps: row.get::<i64>("steps")? as u64,
            attempts: row.get::<i64>("attempts")? as u32,
            opened: row.get("opened")?,
            heads: optional(row, "heads")?,
            signature: optional(row, "release_signature")?,
            peer_signature: optional(row, "release_peer_signature")?,
            rests: row.get::<Option<i64>>("rests")?.map(|rests| rests as u64),
            tidied: Tidied::read(&row.get::<String>("tidied")?)?,
            centre_told: row.get::<Option<i64>>("centre_told")?.is_some(),
        })
    }
}

impl Ledger {
    /// One job.
    pub async fn job(&self, digest: &[u8; 32]) -> Result<Option<JobRow>> {
        let row = self.first(sql("SELECT * FROM jobs WHERE digest = $1").bind(&digest[..])).await?;
        row.as_ref().map(JobRow::read).transpose()
    }

    /// The jobs of a study.
    pub async fn jobs(&self, study: &[u8; 32]) -> Result<Vec<JobRow>> {
        let rows = self
            .all(sql("SELECT * FROM jobs WHERE study = $1 ORDER BY digest").bind(&study[..]))
            .await?;
        rows.iter().map(JobRow::read).collect()
    }

    /// So many of them after this digest, in the order of digests.
    pub async fn jobs_after(
        &self,
        study: &[u8; 32],
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<JobRow>> {
        let page = sql("SELECT * FROM jobs WHERE study = $1 AND digest > $2 \
                        ORDER BY digest LIMIT $3");
        let rows = self.all(page.bind(&study[..]).bind(after).bind(limit as i64)).await?;
        rows.iter().map(JobRow::read).collect()
    }

    /// Jobs for which there is something to do.
    pub async fn open_jobs(&self) -> Result<Vec<JobRow>> {
        let rows = self
            .all(sql(
                "SELECT * FROM jobs WHERE state IN ('proposed', 'approved', 'running', 'trained') \
             ORDER BY digest",
            ))
            .await?;
        rows.iter().map(JobRow::read).collect()
    }

    /// The digest of the job with this id.
    pub async fn job_of(&self, id: &[u8; 16]) -> Result<Option<[u8; 32]>> {
        let row = self.first(sql("SELECT digest FROM jobs WHERE id = $1").bind(&id[..])).await?;
        row.as_ref().map(|row| Ok(row.get("digest")?)).transpose()
    }

    /// A new job. Does nothing if it is there. Gives the owner of an upload that was withdrawn since
    /// the job was checked: then it is not taken.
    pub async fn propose(
        &self,
        job: &Document<Job>,
        signature: &[u8],
        steps: u64,
        deed: &Entry<'_>,
    ) -> Result<Option<Name>> {
        let mut tx = self.db.begin().await?;
        for upload in &job.uploads {
            let row = sql("SELECT state FROM uploads WHERE digest = $1 AND state = 'complete'");
            if row.bind(&upload.manifest.0[..]).optional(&mut tx).await?.is_none() {
                return Ok(Some(upload.owner.clone()));
            }
        }
        let done = sql(
            "INSERT INTO jobs (digest, id, study, text, signature, state, reason, step, steps, \
                 attempts) VALUES ($1, $2, $3, $4, $5, 'proposed', '', 0, $6, 0) \
                 ON CONFLICT (digest) DO NOTHING",
        )
        .bind(&job.digest()[..])
        .bind(&job.id.0[..])
        .bind(&job.study.0[..])
        .bind(job.text())
        .bind(signature)
        .bind(steps as i64)
        .execute(&mut tx)
        .await?;
        if done > 0 {
            append(&mut tx, deed).await?;
        }
        tx.commit().await?;
        Ok(None)
    }

    /// From one of these states to another. False if it is in none of them.
    pub async fn advance(&self, job: &[u8; 32], from: &[State], to: State) -> Result<bool> {
        self.moved(job, from, to, "", None).await
    }

    /// The same as somebody's deed, for this reason. If it is where it should go, nothing is done.
    pub async fn move_on(
        &self,
        job: &[u8; 32],
        from: &[State],
        to: State,
        reason: &str,
        deed: &Entry<'_>,
    ) -> Result<bool> {
        self.moved(job, from, to, reason, Some(deed)).await
    }

    async fn moved(
        &self,
        job: &[u8; 32],
        from: &[State],
        to: State,
        reason: &str,
        deed: Option<&Entry<'_>>,
    ) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let row = sql("SELECT state FROM jobs WHERE digest = $1").bind(&job[..]);
        let state: String = row.one(&mut tx).await?.get("state")?;
        if state == to.as_str() {
            return Ok(true);
        }
        if from.iter().all(|from| from.as_str() != state) {
            return Ok(false);
        }
        sql("UPDATE jobs SET state = $2, reason = $3, rests = NULL WHERE digest = $1")
            .bind(&job[..])
            .bind(to.as_str())
            .bind(reason)
            .execute(&mut tx)
            .await?;
        if let Some(deed) = deed {
            append(&mut tx, deed).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Why it waits, or what went wrong.
    pub async fn note(&self, job: &[u8; 32], reason: &str) -> Result<()> {
        // Why it ended stays.
        let note = sql("UPDATE jobs SET reason = $2 WHERE digest = $1 \
                        AND state IN ('proposed', 'approved', 'running', 'trained')");
        self.run(note.bind(&job[..]).bind(reason)).await?;
        Ok(())
    }

    /// It cannot be run. False if it is over, or sealed.
    pub async fn fail(&self, job: &[u8; 32], reason: &str, deed: &Entry<'_>) -> Result<bool> {
        let fail = sql("UPDATE jobs SET state = 'failed', reason = $2 WHERE digest = $1 \
                        AND state NOT IN ('sealed', 'released', 'failed', 'cancelled')");
        self.run_as(fail.bind(&job[..]).bind(reason), deed).await
    }

    /// Was an attempt at this job begun with this nonce of C1?
    pub async fn is_used(&self, job: &[u8; 32], nonce_1: &[u8; 16]) -> Result<bool> {
        let query = sql("SELECT 1 AS one FROM attempts WHERE job = $1 AND nonce_1 = $2");
        Ok(self.first(query.bind(&job[..]).bind(*nonce_1)).await?.is_some())
    }

    /// An attempt begins: the job runs from now on. False if this attempt was begun before.
    pub async fn begin_attempt(
        &self,
        attempt: &Attempt,
        now: u64,
        deed: &Entry<'_>,
    ) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let used = sql("SELECT 1 AS one FROM attempts WHERE job = $1 AND nonce_1 = $2");
        let used = used.bind(&attempt.job[..]).bind(attempt.nonces[1]);
        if used.optional(&mut tx).await?.is_some() {
            return Ok(false);
        }
        let done =
            sql("INSERT INTO attempts (job, nonce_0, nonce_1, began) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (job, nonce_0, nonce_1) DO NOTHING")
            .bind(&attempt.job[..])
            .bind(attempt.nonces[0])
            .bind(attempt.nonces[1])
            .bind(now as i64)
            .execute(&mut tx)
            .await?;
        let moved =
            sql("UPDATE jobs SET state = 'running', attempts = attempts + 1, rests = NULL \
             WHERE digest = $1 AND heads IS NULL AND state IN ('approved', 'running', 'trained')")
            .bind(&attempt.job[..])
            .execute(&mut tx)
            .await?;
        if done == 0 || moved == 0 {
            return Ok(false);
        }
        append(&mut tx, deed).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Checkpoints of a job, the newest first: attempt, step, object.
    pub async fn checkpoints(&self, job: &[u8; 32]) -> Result<Vec<(Attempt, u64, String)>> {
        let rows = self
            .all(
                sql("SELECT nonce_0, nonce_1, step, object FROM checkpoints WHERE job = $1 \
             ORDER BY made DESC, step DESC")
                .bind(&job[..]),
            )
            .await?;
        let read = |row: &Row| {
            let nonces = [row.get("nonce_0")?, row.get("nonce_1")?];
            let step = row.get::<i64>("step")? as u64;
            Ok((Attempt { job: *job, nonces }, step, row.get("object")?))
        };
        rows.iter().map(read).collect()
    }

    /// A checkpoint that is safely stored. Gives the objects that are needed no more: the last two
    /// are kept. Nothing, if the job does not run any more: then this one is not kept.
    pub async fn keep_checkpoint(
        &self,
        attempt: &Attempt,
        step: u64,
        object: &str,
    ) -> Result<Option<Vec<String>>> {
        let mut tx = self.db.begin().await?;
        let row = sql("SELECT state FROM jobs WHERE digest = $1").bind(&attempt.job[..]);
        if row.one(&mut tx).await?.get::<String>("state")? != State::Running.as_str() {
            return Ok(None);
        }
        sql("INSERT INTO checkpoints (job, nonce_0, nonce_1, step, made, object) VALUES ($1, $2, \
             $3, $4, (SELECT COALESCE(MAX(made), 0) + 1 FROM checkpoints WHERE job = $1), $5)")
        .bind(&attempt.job[..])
        .bind(attempt.nonces[0])
        .bind(attempt.nonces[1])
        .bind(step as i64)
        .bind(object)
        .execute(&mut tx)
        .await?;
        let old = sql("SELECT object FROM checkpoints WHERE job = $1 AND made <= \
             (SELECT MAX(made) FROM checkpoints WHERE job = $1) - 2")
        .bind(&attempt.job[..])
        .all(&mut tx)
        .await?;
        let old = old
            .iter()
            .map(|row| row.get("object"))
            .collect::<std::result::Result<Vec<String>, _>>()?;
        for object in &old {
            sql("DELETE FROM checkpoints WHERE job = $1 AND object = $2")
                .bind(&attempt.job[..])
                .bind(object)
                .execute(&mut tx)
                .await?;
        }
        sql("UPDATE jobs SET step = $2 WHERE digest = $1")
            .bind(&attempt.job[..])
            .bind(step as i64)
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(Some(old))
    }

    /// The training is done: what was opened, and this cloud's share is stored.
    pub async fn trained(&self, job: &[u8; 32], opened: &[u8]) -> Result<()> {
        self.run(
            sql("UPDATE jobs SET state = 'trained', opened = $2, step = steps, reason = '' \
             WHERE digest = $1 AND state = 'running'")
            .bind(&job[..])
            .bind(opened),
        )
        .await?;
        Ok(())
    }

    /// What is released is fixed. False if something else was fixed before.
    pub async fn seal(
        &self,
        job: &[u8; 32],
        heads: &[u8; 32],
        signature: &[u8; 64],
        deed: &Entry<'_>,
    ) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let row = sql("SELECT heads FROM jobs WHERE digest = $1").bind(&job[..]);
        if let Some(before) = optional::<32>(&row.one(&mut tx).await?, "heads")? {
            return Ok(before == *heads);
        }
        let done = sql("UPDATE jobs SET heads = $2, release_signature = $3 WHERE digest = $1 \
                        AND state IN ('trained', 'sealed')")
        .bind(&job[..])
        .bind(&heads[..])
        .bind(&signature[..])
        .execute(&mut tx)
        .await?;
        if done == 0 {
            return refuse(Cause::Over, "the job has ended meanwhile");
        }
        append(&mut tx, deed).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The other cloud has signed it too: it goes on to this state. Does nothing if it was called
    /// off meanwhile.
    pub async fn sealed_by_peer(
        &self,
        job: &[u8; 32],
        signature: &[u8; 64],
        to: State,
        deed: &Entry<'_>,
    ) -> Result<()> {
        let sealed = sql("UPDATE jobs SET release_peer_signature = $2, state = $3, reason = '', \
                          rests = NULL WHERE digest = $1 AND state = 'trained'");
        let sealed = sealed.bind(&job[..]).bind(&signature[..]).bind(to.as_str());
        self.run_as(sealed, deed).await.map(drop)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ledger::{MIGRATIONS, UploadState, Withdrawn};
    use dyad_node::clock::Time;
    use dyad_node::store::Db;
    use dyad_protos::job::{Engine, Opening, Randomness, Upload, VERSION};
    use dyad_protos::upload::{Mode, VERSION as UPLOAD_VERSION};
    use dyad_protos::{Hex, Manifest};

    const STUDY: [u8; 32] = [2; 32];
    const DEED: Entry<'static> =
        Entry { who: "north", what: "deed", hash: &STUDY, at: Time::from_millis(0), detail: "" };

    async fn withdraw(ledger: &Ledger, upload: &Document<Manifest>) -> Withdrawn {
        ledger.withdraw_upload(&STUDY, &upload.digest(), [&DEED, &DEED]).await.unwrap()
    }

    /// A ledger with an upload that is complete, and a job on it that is not proposed yet.
    async fn scene() -> (Ledger, Document<Manifest>, Document<Job>) {
        let db = Db::open("sqlite::memory:", &[MIGRATIONS]).await.unwrap();
        let ledger = Ledger::new(db);
        ledger.keep_study(&STUDY, &[], &[]).await.unwrap();
        let (owner, digest): (Name, _) = ("north".parse().unwrap(), Hex([1; 32]));
        let upload = Document::write(&Manifest {
            version: UPLOAD_VERSION,
            id: Hex([3; 16]),
            study: Hex(STUDY),
            owner: owner.clone(),
            mode: Mode::Sealed,
            columns: vec!["age".into()],
            rows: 2,
            chunk_rows: 2,
            file: digest,
        })
        .unwrap();
        ledger.open_upload(&upload, &[], &DEED).await.unwrap();
        ledger.store_chunks(&upload.digest(), 0, &[[4; 32]]).await.unwrap();
        ledger.complete_upload(&upload.digest(), &[5; 32], &[6; 64], &DEED).await.unwrap();
        let manifest = Hex(upload.digest());
        let job = Document::write(&Job {
            version: VERSION,
            id: Hex([7; 16]),
            study: Hex(STUDY),
            author: owner.clone(),
            release: String::new(),
            program: digest,
            opening: Opening::Each,
            recipients: vec![owner.clone()],
            may_predict: vec![],
            left_out: 0,
            rows: 2,
            rows_digest: digest,
            test_rows: 0,
            split: 1,
            checkpoint: 1,
            engine: Engine::Share,
            randomness: Randomness::Dealer,
            uploads: vec![Upload { owner, manifest, c0: digest, c1: digest }],
            train: toml::Table::new(),
        })
        .unwrap();
        (ledger, upload, job)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_withdrawn_is_in_no_job_whichever_was_first() {
        // First the job: it is called off.
        let (ledger, upload, job) = scene().await;
        assert_eq!(ledger.propose(&job, &[], 1, &DEED).await.unwrap(), None);
        assert_eq!(withdraw(&ledger, &upload).await, Withdrawn::Now);
        let row = ledger.job(&job.digest()).await.unwrap().unwrap();
        assert_eq!((row.state, &*row.reason), (State::Cancelled, "an upload was withdrawn"));
        // First the withdrawal, though the job was checked before: it is not taken.
        let (ledger, upload, job) = scene().await;
        assert_eq!(withdraw(&ledger, &upload).await, Withdrawn::Now);
        let owner = ledger.propose(&job, &[], 1, &DEED).await.unwrap();
        assert_eq!(owner.unwrap().as_str(), "north");
        assert!(ledger.job(&job.digest()).await.unwrap().is_none());
        let row = ledger.upload(&upload.digest()).await.unwrap().unwrap();
        assert_eq!(row.state, UploadState::Withdrawn);
        // A job that runs keeps its data.
        let (ledger, upload, job) = scene().await;
        ledger.propose(&job, &[], 1, &DEED).await.unwrap();
        ledger.advance(&job.digest(), &[State::Proposed], State::Running).await.unwrap();
        assert_eq!(withdraw(&ledger, &upload).await, Withdrawn::InUse);
        assert_eq!(ledger.stored(&upload.digest()).await.unwrap(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn chunks_are_counted_by_the_last_one() {
        let (ledger, upload, _) = scene().await;
        let upload = upload.digest();
        assert_eq!(ledger.stored(&[9; 32]).await.unwrap(), 0);
        assert_eq!(ledger.stored(&upload).await.unwrap(), 1);
        assert_eq!(ledger.chunk(&upload, 0).await.unwrap(), Some([4; 32]));
        assert_eq!(ledger.chunk(&upload, 1).await.unwrap(), None);
    }
}
