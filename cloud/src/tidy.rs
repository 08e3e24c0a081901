//! What a job leaves goes when it is over, or as soon as nobody needs it any more.
//!
//! ```text
//! failed, cancelled    everything
//! sealed, at C1        its share of the model: it is in the ciphertexts
//! released, joint      C0: everything. C1: ciphertexts and answers stay for the recipients
//! released, each       the last checkpoint stays: it is what recipients are given
//! ```
//!
//! What stays for recipients goes when all of them have said that they have it, or its time
//! (`retention_days`) is over. A job that waits for answers, or for the other cloud, fails when its
//! time is over. Time is what this cloud has run, not what a clock says: one that is months ahead
//! deletes no model. Objects first, the mark after: a kill in between is made up for.

use crate::house::House;
use crate::ledger::{Census, JobRow, State, Tidied, UploadState};
use crate::refusal::Refusal;
use dyad_net::identity::Role;
use dyad_node::series;
use dyad_protos::Hex;
use dyad_protos::job::Opening;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How often is looked.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is written down how long the cloud has run.
const WRITE: Duration = Duration::from_mins(1);

impl House {
    /// Looks once at all jobs that are over, or wait.
    pub async fn tidy(self: &Arc<Self>) -> Result<(), Refusal> {
        // One that is stuck, of a study frozen with keys this cloud has no more, keeps none up.
        for row in self.ledger.resting_jobs().await? {
            if let Err(refusal) = self.end_of_waiting(&row).await {
                tracing::warn!(job = %Hex(row.job.digest()), "passed over: {refusal}");
            }
        }
        let mut ended = Vec::new();
        for row in self.ledger.untidy_jobs().await? {
            let job = row.job.digest();
            // Sealed, it is trained for good: nothing more is dealt for it.
            if !row.centre_told {
                if row.job.is_dealt() {
                    ended.push(job);
                } else {
                    // Of a job that it deals nothing to the key centre knows nothing.
                    self.ledger.centre_told(&job, self.now()).await?;
                }
            }
            self.progress.call_off(&job);
            self.found_good.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
            // Its thread may be writing: next time.
            if self.progress.of(&job).is_none()
                && let Err(refusal) = self.tidy_one(&row).await
            {
                tracing::warn!(job = %Hex(job), "not tidied away: {refusal}");
            }
        }
        self.tell_centre(&ended).await
    }

    /// A job that waits for answers, or for the other cloud, does not for ever.
    async fn end_of_waiting(&self, row: &JobRow) -> Result<(), Refusal> {
        let job = row.job.digest();
        if row.state == State::Sealed {
            // All have answered, and it was killed before it said so.
            if let Err(refusal) = self.release_if_answered(&job).await {
                tracing::warn!(job = %Hex(job), "it is not known who has answered: {refusal}");
            }
        }
        let since = self.ledger.rests_since(row, self.ran()).await?;
        if !self.limits.is_due(since, self.ran()) {
            return Ok(());
        }
        if row.heads.is_some() && self.role() == Role::C0 {
            // Signed for, and killed before that was written down: it is C1's to give out.
            return self.ledger.advance(&job, &[row.state], State::Released).await.map(drop);
        }
        let days = self.limits.retention_days;
        let what = match row.state {
            State::Sealed => "not all members answered within",
            _ => "the clouds did not agree on what is released within",
        };
        let reason = format!("{what} {days} days (limits.retention_days): propose the job anew");
        let deed = self.own_deed("job failed", &job);
        self.ledger.move_on(&job, &[row.state], State::Failed, &reason, &deed).await.map(drop)
    }

    async fn tidy_one(&self, row: &JobRow) -> Result<(), Refusal> {
        let (job, to) = (row.job.digest(), self.to_go(row).await?);
        if to <= row.tidied {
            return Ok(());
        }
        // Objects first, rows after: what is killed in between is done again.
        if to == Tidied::All {
            self.bulk.delete_prefix(&format!("jobs/{}", Hex(job))).await?;
        } else {
            let newest = self.ledger.checkpoints(&job).await?.into_iter().next();
            let newest = newest.map(|(_, _, object)| object).filter(|_| to == Tidied::Older);
            self.delete_checkpoints(&job, newest.as_slice()).await?;
        }
        let deed = self.own_deed("job's data deleted", &job);
        self.ledger.tidied(&job, to, &deed).await
    }

    /// Deletes a job's checkpoints but these, also those that the ledger does not know: of a cloud
    /// that was killed after it had written one, or before it had deleted one.
    async fn delete_checkpoints(&self, job: &[u8; 32], but: &[String]) -> Result<(), Refusal> {
        let folder = format!("jobs/{}/", Hex(*job));
        for listed in self.bulk.list(folder.trim_end_matches('/')).await? {
            let name = listed.key.strip_prefix(&folder).unwrap_or_default();
            if is_checkpoint(name) && !but.contains(&listed.key) {
                self.bulk.delete(&listed.key).await?;
            }
        }
        Ok(())
    }

    /// At the start, when nothing runs: what no ledger knows goes.
    pub(crate) async fn sweep_jobs(&self) -> Result<(), Refusal> {
        let listed = self.bulk.list("jobs").await?;
        let of = |key: &str| key.split('/').nth(1)?.parse::<Hex<32>>().ok();
        let jobs: BTreeSet<_> = listed.iter().filter_map(|listed| of(&listed.key)).collect();
        for Hex(job) in jobs {
            let known = self.ledger.checkpoints(&job).await?;
            let known: Vec<_> = known.into_iter().map(|(_, _, object)| object).collect();
            self.delete_checkpoints(&job, &known).await?;
        }
        Ok(())
    }

    /// What nobody needs any more.
    async fn to_go(&self, row: &JobRow) -> Result<Tidied, Refusal> {
        let is_c0 = self.role() == Role::C0;
        let kept = match (row.state, row.job.opening) {
            (State::Failed | State::Cancelled, _) => return Ok(Tidied::All),
            (State::Released, Opening::Joint) if is_c0 => return Ok(Tidied::All),
            (State::Sealed, Opening::Joint) => return Ok(Tidied::Shares),
            (State::Released, Opening::Joint) => Tidied::Shares,
            (State::Released, Opening::Each) => Tidied::Older,
            _ => return Ok(Tidied::Nothing),
        };
        let since = self.ledger.rests_since(row, self.ran()).await?;
        if self.limits.is_due(since, self.ran()) {
            return Ok(Tidied::All);
        }
        // Predictions are made with the shares.
        if !row.job.may_predict.is_empty() {
            return Ok(kept);
        }
        let fetched = self.ledger.fetched_by(&row.job.digest()).await?;
        let all = row.job.recipients.iter().all(|recipient| fetched.contains(recipient));
        Ok(if all { Tidied::All } else { kept })
    }

    /// A chunk may have been written while its upload was withdrawn: then it goes too.
    pub(crate) async fn sweep_withdrawn(&self, upload: &[u8; 32]) -> Result<(), Refusal> {
        let row = self.ledger.upload(upload).await?;
        if row.is_some_and(|row| row.state == UploadState::Withdrawn) {
            self.bulk.delete_prefix(&format!("uploads/{}", Hex(*upload))).await?;
        }
        Ok(())
    }

    /// How many jobs and uploads there are in each state.
    async fn count(&self) -> Result<(), Refusal> {
        let metrics = &self.context.metrics;
        for (of, name, states) in [
            (Census::Jobs, series::JOBS, &State::ALL.map(State::as_str)[..]),
            (Census::Uploads, series::UPLOADS, &["open", "complete", "withdrawn"][..]),
        ] {
            let found = self.ledger.census(of).await?;
            for state in states {
                let count = found.iter().find(|(found, _)| found == state);
                let count = count.map_or(0, |(_, count)| *count);
                metrics.gauge(name, &[("state", state)]).set(count as f64);
            }
            if matches!(of, Census::Jobs) {
                // For approvals, or for answers.
                let waiting =
                    found.iter().filter(|(state, _)| state == "proposed" || state == "sealed");
                let waiting: u64 = waiting.map(|(_, count)| count).sum();
                metrics.gauge(series::WAITING_FOR, &[("party", "owners")]).set(waiting as f64);
            }
        }
        Ok(())
    }
}

/// N0-N1-STEP, as [`run`](crate::run) names them.
fn is_checkpoint(name: &str) -> bool {
    let parts: Vec<_> = name.split('-').collect();
    let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.len() == 3 && parts.iter().all(digits)
}

/// Tidies until the cloud stops, and writes down now and then how long it has run.
pub(crate) async fn keep_tidy(house: Arc<House>) {
    let mut written = house.ran();
    loop {
        let tidied = async {
            if house.ran() >= written + WRITE.as_secs() {
                written = house.ran();
                house.ledger.has_run(written).await?;
            }
            house.tidy().await?;
            house.count().await
        };
        // Whatever it waits for, also the key centre: it ends when the cloud does.
        let Some(tidied) = house.context.stop.unless_stopped(tidied).await else { break };
        if let Err(refusal) = tidied {
            tracing::warn!("not all is tidied away: {refusal}");
        }
        if house.context.stop.unless_stopped(tokio::time::sleep(LOOK)).await.is_none() {
            break;
        }
    }
    if let Err(refusal) = house.ledger.has_run(house.ran()).await {
        tracing::warn!("how long it ran is not written down: {refusal}");
    }
}
