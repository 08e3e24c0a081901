//! Watching a job until it ends.

use super::status::{State, Status};
use crate::client::{Client, Cloud};
use crate::error::{Error, Result};
use crate::study::Frozen;
use dyad_protos::Role;
use std::time::Duration;

/// How often is asked.
const EVERY: Duration = Duration::from_millis(500);

impl Client {
    /// Watches a job until it ends. `each` hears how it stands, and of calls that failed and are
    /// tried again. With `answer`, a joint release that waits for this owner is answered, if it has
    /// approved of the job.
    pub async fn watch(
        &self,
        study: &Frozen,
        job: &[u8; 32],
        answer: bool,
        mut each: impl FnMut(Result<&Status, &Error>),
    ) -> Result<Status> {
        // Whoever watches hears at once that nobody answers.
        let cloud = Cloud { patience: Duration::ZERO, ..self.cloud(&study.study, Role::C1)? };
        loop {
            let status = match self.status_at(study, &cloud, job).await {
                Ok(status) => status,
                Err(error) if error.is_transient() => {
                    each(Err(&error));
                    tokio::time::sleep(EVERY).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            each(Ok(&status));
            if status.state.is_over() {
                return Ok(status);
            }
            if status.state == State::Sealed
                && answer
                && status.answers_awaited.contains(self.name())
                // Looked up now: it may have been given, or taken back, since the watch began.
                && self.approval(job)?.is_some_and(|approval| !approval.revoked)
            {
                match self.answer(study, job).await {
                    Ok(_) => continue,
                    Err(error) if error.is_transient() => each(Err(&error)),
                    Err(error) => return Err(error),
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}
