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
//! (`retention_days`) is over. Objects first, the mark after: a kill in between is made up for.

use crate::house::House;
use crate::ledger::{Census, JobRow, State, Tidied, UploadState};
use crate::refusal::Refusal;
use dyad_net::identity::Role;
use dyad_node::series;
use dyad_protos::Hex;
use dyad_protos::job::Opening;
use std::sync::Arc;
use std::time::Duration;

/// How often is looked.
const LOOK: Duration = Duration::from_secs(1);

impl House {
    /// Looks once at all jobs that are over.
    pub async fn tidy(self: &Arc<Self>) -> Result<(), Refusal> {
        let mut ended = Vec::new();
        for row in self.ledger.untidy_jobs().await? {
            let job = row.job.digest();
            if row.state.is_over() {
                self.ledger.over_since(&job, self.now()).await?;
            }
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
            // Its thread may be writing: next time.
            if self.progress.of(&job).is_none() {
                self.tidy_one(&row).await?;
            }
        }
        self.tell_centre(&ended).await
    }

    async fn tidy_one(&self, row: &JobRow) -> Result<(), Refusal> {
        let (job, to) = (row.job.digest(), self.to_go(row).await?);
        if to <= row.tidied {
            return Ok(());
        }
        for object in self.ledger.drop_checkpoints(&job, to == Tidied::Older).await? {
            self.bulk.delete(&object).await?;
        }
        if to == Tidied::All {
            self.bulk.delete_prefix(&format!("jobs/{}", Hex(job))).await?;
            self.audit(self.me.identity.name.as_str(), "job's data deleted", &job).await?;
        }
        self.ledger.tidied(&job, to).await
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
        let since = row.over.unwrap_or_else(|| self.now());
        if self.now().saturating_sub(since) >= self.limits.retention().as_secs() {
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

/// Tidies until the cloud stops.
pub(crate) async fn keep_tidy(house: Arc<House>) {
    loop {
        let tidied = async {
            house.tidy().await?;
            house.count().await
        };
        if let Err(refusal) = tidied.await {
            tracing::warn!("not all is tidied away: {refusal}");
        }
        if house.context.stop.unless_stopped(tokio::time::sleep(LOOK)).await.is_none() {
            return;
        }
    }
}
