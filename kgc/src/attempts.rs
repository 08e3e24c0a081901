//! Attempts at jobs: which were asked for, which were dealt.
//!
//! A job's id belongs to one text for ever, a cloud's nonce to one attempt, and an attempt is dealt
//! once. The dealer's secret for a job is drawn at the first attempt and destroyed when both clouds
//! say that the job has ended.

use crate::asked::{Asked, Before, Program};
use crate::error::{Cause, Result, refuse};
use crate::office::Office;
use crate::parties;
use dyad_mpc::Contract;
use dyad_mpc::prg::{Attempt, Party as Side, Seed};
use dyad_net::Peer;
use dyad_net::identity::{Identity, Role};
use dyad_node::clock::Time;
use dyad_node::store::{Tx, sql};
use dyad_protos::{Document, Hex, Study};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// An attempt that was granted.
pub(crate) struct Granted {
    pub(crate) attempt: Attempt,
    /// Of C0 and C1.
    pub(crate) seeds: [Seed; 2],
    /// The dealer's for the job: weights at the start may follow from it.
    pub(crate) secret: Zeroizing<[u8; 32]>,
    pub(crate) contract: Contract,
    pub(crate) program: Program,
    /// Which of the job's attempts it is.
    pub(crate) place: u64,
}

/// An attempt as it is stored.
struct Known {
    place: u64,
    from_nonces: Vec<u8>,
    from_step: u64,
    dealt: Option<Time>,
}

/// A job as it is stored.
struct JobRow {
    started: Time,
    ended: Option<Time>,
}

async fn job(tx: &mut Tx, digest: &[u8; 32]) -> Result<Option<JobRow>> {
    let row = sql("SELECT started, ended FROM jobs WHERE digest = $1").bind(digest).optional(tx);
    let Some(row) = row.await? else { return Ok(None) };
    Ok(Some(JobRow { started: row.get("started")?, ended: row.get("ended")? }))
}

async fn known(tx: &mut Tx, attempt: &Attempt) -> Result<Option<Known>> {
    let row = sql("SELECT place, from_nonces, from_step, dealt FROM attempts \
                   WHERE job = $1 AND nonce_0 = $2 AND nonce_1 = $3")
    .bind(attempt.job)
    .bind(attempt.nonces[0])
    .bind(attempt.nonces[1])
    .optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Known {
        place: row.get("place")?,
        from_nonces: row.get("from_nonces")?,
        from_step: row.get("from_step")?,
        dealt: row.get("dealt")?,
    }))
}

async fn newest(tx: &mut Tx, job: &[u8; 32]) -> Result<u64> {
    let row = sql("SELECT COALESCE(MAX(place), 0) AS place FROM attempts WHERE job = $1").bind(job);
    Ok(row.one(tx).await?.get("place")?)
}

fn from_nonces(from: Option<Before>) -> Vec<u8> {
    from.map_or(vec![], |from| from.attempt.nonces.concat())
}

const fn side(role: Role) -> Side {
    if matches!(role, Role::C0) { Side::Zero } else { Side::One }
}

impl Office {
    fn secret_of(&self, job: &[u8; 32]) -> PathBuf {
        self.config.secrets().join(Hex(*job).to_string())
    }

    /// Checks all of it and grants the attempt. The same cloud may ask again, until it is dealt.
    pub(crate) async fn attempt(&self, peer: &Peer, asked: Asked) -> Result<Granted> {
        let digest = asked.job.digest();
        let mut tx = self.db.begin().await?;
        let party = self.caller(&mut tx, peer).await?;
        let study = self.frozen(&mut tx, &asked.job.study.0).await?;
        let pinned = study.cloud(party.identity.role).map(|cloud| cloud.fingerprint.0);
        if pinned != Some(*party.fingerprint.bytes()) {
            let text = format!(
                "{} is not the one that study {} was frozen with: a new study is needed",
                party.identity, study.draft.name
            );
            return refuse(Cause::Stranger, text);
        }
        asked.check_people(&study)?;
        let before = job(&mut tx, &digest).await?;
        if before.as_ref().is_some_and(|job| job.ended.is_some()) {
            let text = format!("job {} has ended: propose a new one", Hex(digest));
            return refuse(Cause::JobEnded, text);
        }
        // Approvals may be taken back, and end, until a job begins; what has begun goes on.
        let at = before.map_or(self.now(), |job| job.started);
        asked.check_approvals(&study, seconds(at))?;
        self.all_still_enrolled(&mut tx, &asked, &study).await?;
        tx.rollback().await;

        let steps = self.config.limits.steps;
        let work = move || Program::check(&asked, &study, steps).map(|program| (asked, program));
        let done = tokio::task::spawn_blocking(work).await;
        let (asked, program) = done.map_err(|error| crate::Error::Broken(error.to_string()))??;

        let _one_at_a_time = self.secrets.lock().await;
        let mut tx = self.db.begin().await?;
        let place = self.record(&mut tx, &party.identity, &asked).await?;
        tx.commit().await?;
        let path = self.secret_of(&digest);
        let secret = match self.keys.job_secret(&path)? {
            Some(secret) => secret,
            None => self.keys.draw_job_secret(&path)?,
        };
        let attempt = asked.attempt;
        let seeds = [Side::Zero, Side::One].map(|side| Seed::derive(&secret, &attempt, side));
        let contract = Contract::new(attempt, program.hash, [&seeds[0], &seeds[1]]);
        Ok(Granted { attempt, seeds, secret, contract, program, place })
    }

    /// Somebody whose certificate was revoked agrees to nothing.
    async fn all_still_enrolled(&self, tx: &mut Tx, asked: &Asked, study: &Study) -> Result<()> {
        for owner in asked.job.owners() {
            let identity = Identity::new(Role::Owner, owner.clone());
            let party = parties::by_name(tx, &identity).await?;
            let pinned = study.member(owner).map(|member| member.fingerprint.0);
            if party.map(|party| *party.fingerprint.bytes()) != pinned {
                let text = format!(
                    "{identity} is enrolled no more with the key that study {} was frozen with",
                    study.draft.name
                );
                return refuse(Cause::Revoked, text);
            }
        }
        Ok(())
    }

    /// Writes down what is asked, unless it contradicts what was asked before.
    async fn record(&self, tx: &mut Tx, who: &Identity, asked: &Asked) -> Result<u64> {
        let Asked { job: text, attempt, from, .. } = asked;
        let (digest, now) = (text.digest(), self.now());
        let with_id = sql("SELECT digest FROM jobs WHERE id = $1").bind(text.id.0);
        match with_id.optional(tx).await? {
            Some(row) if row.get::<[u8; 32]>("digest")? != digest => {
                let text =
                    format!("the id {} is another job's: propose it with a new one", text.id);
                return refuse(Cause::JobId, text);
            }
            Some(_) => {}
            None => {
                sql("INSERT INTO jobs (digest, id, study, started) VALUES ($1, $2, $3, $4)")
                    .bind(digest)
                    .bind(text.id.0)
                    .bind(text.study.0)
                    .bind(now)
                    .execute(tx)
                    .await?;
            }
        }
        // It may have ended since it was looked at.
        if job(tx, &digest).await?.is_some_and(|job| job.ended.is_some()) {
            return refuse(Cause::JobEnded, format!("job {} has ended", Hex(digest)));
        }
        let newest = newest(tx, &digest).await?;
        let (nonces_before, step_before) = (from_nonces(*from), from.map_or(0, |from| from.step));
        let place = match known(tx, attempt).await? {
            Some(known) if known.place < newest => {
                let text = "a newer attempt at this job has begun: this one is over";
                return refuse(Cause::Nonce, text);
            }
            Some(known) if known.from_nonces != nonces_before || known.from_step != step_before => {
                let text = format!(
                    "one cloud goes on from step {}, the other from step {step_before}, or from \
                     different attempts: agree on one checkpoint and begin a new attempt",
                    known.from_step
                );
                return refuse(Cause::Nonce, text);
            }
            Some(known) if known.dealt.is_some() && who.role == Role::C1 => {
                let text = "this attempt was dealt before, and nothing is dealt twice: draw new \
                            nonces and begin a new one";
                return refuse(Cause::Nonce, text);
            }
            Some(known) => known.place,
            None => {
                self.fresh(tx, attempt).await?;
                if let Some(from) = from {
                    self.look_for(tx, from).await?;
                }
                sql("INSERT INTO attempts (job, nonce_0, nonce_1, place, from_nonces, from_step) \
                     VALUES ($1, $2, $3, $4, $5, $6)")
                .bind(digest)
                .bind(attempt.nonces[0])
                .bind(attempt.nonces[1])
                .bind(newest as i64 + 1)
                .bind(nonces_before)
                .bind(step_before as i64)
                .execute(tx)
                .await?;
                newest + 1
            }
        };
        let asked_by = match who.role {
            Role::C0 => {
                "UPDATE attempts SET asked_c0 = $1 WHERE job = $2 AND place = $3 \
                 AND asked_c0 IS NULL"
            }
            _ => {
                "UPDATE attempts SET asked_c1 = $1 WHERE job = $2 AND place = $3 \
                 AND asked_c1 IS NULL"
            }
        };
        let asked_now = sql(asked_by).bind(now).bind(digest).bind(place as i64);
        if asked_now.execute(tx).await? > 0 {
            let [zero, one] = attempt.nonces.map(Hex);
            let detail = format!("attempt {place}, nonces {zero} {one}, from step {step_before}");
            self.note(tx, &who.to_string(), "attempt", &digest, &detail).await?;
        }
        Ok(place)
    }

    /// Neither nonce may have been used in this job: whoever comes with an old one has been rolled
    /// back, or somebody replays.
    async fn fresh(&self, tx: &mut Tx, attempt: &Attempt) -> Result<()> {
        let used = sql("SELECT place FROM attempts \
                        WHERE job = $1 AND (nonce_0 = $2 OR nonce_1 = $3)")
        .bind(attempt.job)
        .bind(attempt.nonces[0])
        .bind(attempt.nonces[1])
        .optional(tx)
        .await?;
        if used.is_none() {
            return Ok(());
        }
        let text = "one of the nonces was used in an earlier attempt: each cloud draws a new one \
                    for each attempt. Was a store restored from an older copy?";
        refuse(Cause::Nonce, text)
    }

    /// The attempt of a checkpoint should be known. If it is not, this store is older than the
    /// clouds': masks are new all the same, and the clouds hold their checkpoints against each
    /// other, so it is told and not refused.
    async fn look_for(&self, tx: &mut Tx, from: &Before) -> Result<()> {
        if known(tx, &from.attempt).await?.is_none() {
            let job = Hex(from.attempt.job);
            tracing::warn!(%job, step = from.step, "goes on from an attempt that is not known here: \
                was this store restored from an older copy?");
        }
        Ok(())
    }

    /// Says that the attempt is dealt from now on. Once: for the second asker it is too late.
    pub(crate) async fn begin_dealing(&self, attempt: &Attempt) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let newest = newest(&mut tx, &attempt.job).await?;
        let over = job(&mut tx, &attempt.job).await?.is_none_or(|job| job.ended.is_some());
        if over || known(&mut tx, attempt).await?.is_none_or(|known| known.place < newest) {
            return refuse(Cause::Nonce, "the job has ended, or a newer attempt has begun");
        }
        let begun = sql("UPDATE attempts SET dealt = $1 WHERE job = $2 AND nonce_0 = $3 \
                         AND nonce_1 = $4 AND dealt IS NULL")
        .bind(self.now())
        .bind(attempt.job)
        .bind(attempt.nonces[0])
        .bind(attempt.nonces[1])
        .execute(&mut tx)
        .await?;
        if begun != 1 {
            return refuse(Cause::Nonce, "this attempt was dealt before");
        }
        self.note(&mut tx, "kgc", "deal", &attempt.job, "begun").await?;
        tx.commit().await?;
        Ok(())
    }

    /// Says how dealing has ended.
    pub(crate) async fn end_dealing(&self, attempt: &Attempt, outcome: &str) -> Result<()> {
        let mut tx = self.db.begin().await?;
        sql("UPDATE attempts SET ended = $1, outcome = $2 \
             WHERE job = $3 AND nonce_0 = $4 AND nonce_1 = $5")
        .bind(self.now())
        .bind(outcome)
        .bind(attempt.job)
        .bind(attempt.nonces[0])
        .bind(attempt.nonces[1])
        .execute(&mut tx)
        .await?;
        self.note(&mut tx, "kgc", "deal", &attempt.job, outcome).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A cloud says that a job has ended; gives whether both have. Then its secret is destroyed.
    pub(crate) async fn end_job(&self, peer: &Peer, digest: &[u8]) -> Result<bool> {
        let Ok(Hex(digest)) = Hex::<32>::try_from(digest) else {
            return refuse(Cause::Message, "a job's digest has 32 bytes");
        };
        let _one_at_a_time = self.secrets.lock().await;
        let mut tx = self.db.begin().await?;
        let party = self.caller(&mut tx, peer).await?;
        let study = sql("SELECT study FROM jobs WHERE digest = $1").bind(digest);
        let Some(row) = study.optional(&mut tx).await? else {
            // It was never attempted: there is nothing to destroy.
            return Ok(false);
        };
        let study: Document<Study> = self.frozen(&mut tx, &row.get("study")?).await?;
        let pinned = study.cloud(party.identity.role).map(|cloud| cloud.fingerprint.0);
        if pinned != Some(*party.fingerprint.bytes()) {
            let text = format!("{} takes no part in job {}", party.identity, Hex(digest));
            return refuse(Cause::Stranger, text);
        }
        let said = match side(party.identity.role) {
            Side::Zero => "UPDATE jobs SET ended_c0 = $1 WHERE digest = $2 AND ended_c0 IS NULL",
            Side::One => "UPDATE jobs SET ended_c1 = $1 WHERE digest = $2 AND ended_c1 IS NULL",
        };
        let now = self.now();
        if sql(said).bind(now).bind(digest).execute(&mut tx).await? > 0 {
            let who = party.identity.to_string();
            self.note(&mut tx, &who, "end job", &digest, "").await?;
        }
        let over = sql("UPDATE jobs SET ended = $1 WHERE digest = $2 AND ended IS NULL \
                        AND ended_c0 IS NOT NULL AND ended_c1 IS NOT NULL");
        if over.bind(now).bind(digest).execute(&mut tx).await? > 0 {
            self.note(&mut tx, "kgc", "end job", &digest, "its secret is destroyed").await?;
        }
        let ended = job(&mut tx, &digest).await?.is_some_and(|job| job.ended.is_some());
        tx.commit().await?;
        if ended {
            // The row first: a kill before the file is gone is made up for at the next start.
            crate::keys::destroy(&self.secret_of(&digest))?;
        }
        Ok(ended)
    }

    /// Makes up for a kill after a row was written.
    pub(crate) async fn finish_jobs(&self, tx: &mut Tx) -> Result<()> {
        let folder = self.config.secrets();
        if !folder.exists() {
            return Ok(());
        }
        let failed = |source| crate::Error::File { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let digest = name.to_str().and_then(|name| name.parse::<Hex<32>>().ok());
            let over = match digest {
                Some(Hex(digest)) => job(tx, &digest).await?.is_some_and(|job| job.ended.is_some()),
                // Half-written.
                None => true,
            };
            if over {
                crate::keys::destroy(&entry.path())?;
            }
        }
        Ok(())
    }
}

fn seconds(at: Time) -> u64 {
    u64::try_from(at.millis() / 1000).unwrap_or(0)
}
