//! Jobs: proposed, approved by every owner, revoked, cancelled. Each cloud checks all of it itself.

use crate::agree::read_revocation;
use crate::align::Alignment;
use crate::house::House;
use crate::ledger::{Approval, JobRow, State, Taken, TakenBack, UploadRow};
use crate::page::{Filling, Page};
use crate::refusal::{Cause, Refusal, refuse};
use crate::trust::Frozen;
use bytes::Bytes;
use dyad_learn::signed::Signed;
use dyad_protos::consent::{APPROVED, CANCELLED, PROPOSED, approval};
use dyad_protos::job::Opening;
use dyad_protos::wire::cloud::v1::{
    ApproveRequest, JobReply, Opened, ProposeRequest, RevokeRequest,
};
use dyad_protos::{Document, Job, Name};
use std::sync::{Arc, PoisonError};

/// An approval cannot be given for longer.
const LONGEST_APPROVAL: u64 = 366 * 86_400;

/// A job with all that it is about.
pub struct Case {
    /// The job.
    pub row: JobRow,
    /// Its study.
    pub study: Arc<Frozen>,
}

impl House {
    /// A job that there is.
    pub async fn case(&self, digest: &[u8; 32]) -> Result<Case, Refusal> {
        let Some(row) = self.ledger.job(digest).await? else {
            return refuse(Cause::Unknown, "there is no such job here: propose it to both clouds");
        };
        let study = self.study(&row.job.study.0).await?;
        Ok(Case { row, study })
    }

    /// The same, for a member of its study.
    pub async fn case_for(
        &self,
        owner: &Name,
        fingerprint: &[u8; 32],
        digest: &[u8; 32],
    ) -> Result<Case, Refusal> {
        let case = self.case(digest).await?;
        case.study.is_member(owner, fingerprint)?;
        Ok(case)
    }

    /// Somebody proposes a job.
    pub async fn propose(
        &self,
        owner: &Name,
        fingerprint: &[u8; 32],
        request: &ProposeRequest,
    ) -> Result<JobReply, Refusal> {
        let job = Document::<Job>::read(&request.job)?;
        let study = self.meet(&request.study, &request.study_signature).await?;
        study.is_member(owner, fingerprint)?;
        if job.study.0 != study.study.digest() {
            return refuse(Cause::Changed, "the job is of another study than the one shown");
        }
        if job.author != *owner {
            return refuse(Cause::Stranger, format!("{owner} proposes a job of {}", job.author));
        }
        study.signed_by(&job.author, PROPOSED, &job.digest(), &request.signature)?;
        match self.ledger.job_of(&job.id.0).await? {
            Some(known) if known == job.digest() => {}
            Some(_) => {
                let what = format!("job id {} was used before: draw another", job.id);
                return refuse(Cause::Changed, what);
            }
            None => {
                // Before all that takes long, and again when it is counted.
                self.room_for_job(&study, &job).await?;
                let _place = self.busy.place(owner)?;
                let training = study.training(&job)?;
                self.is_good(&study, &job, &training).await?;
                let _one_at_a_time = self.announcing.lock().await;
                self.room_for_job(&study, &job).await?;
                let (digest, steps) = (job.digest(), training.plan().steps());
                let deed = self.deed(owner.as_str(), "job proposed", &digest);
                let gone = self.ledger.propose(&job, &request.signature, steps, &deed).await?;
                if let Some(gone) = gone {
                    let what = format!(
                        "an upload of {gone} was withdrawn while the job was being checked: propose \
                         a new job without it"
                    );
                    return refuse(Cause::Changed, what);
                }
            }
        }
        self.job_reply(&self.case(&job.digest()).await?).await
    }

    /// Is the job's program this release's, and do its rows fit? Looked at once, and remembered: an
    /// attempt that fails for a passing reason is begun again every few seconds, for hours. What an
    /// attempt works with is put together anew ([`fits`](Self::fits)).
    pub async fn is_good(
        &self,
        study: &Frozen,
        job: &Document<Job>,
        training: &Signed,
    ) -> Result<(), Refusal> {
        let known = || self.found_good.lock().unwrap_or_else(PoisonError::into_inner);
        if known().contains(&job.digest()) {
            return Ok(());
        }
        tokio::task::block_in_place(|| study.same_program(job, training))?;
        self.fits(study, job).await?;
        known().insert(job.digest());
        Ok(())
    }

    /// Are the job's uploads here, as it says, and do their rows fit together as it says?
    pub async fn fits(
        &self,
        study: &Frozen,
        job: &Job,
    ) -> Result<(Vec<UploadRow>, Alignment), Refusal> {
        study.people(job)?;
        let mut rows = Vec::new();
        for upload in &job.uploads {
            let row = self.upload(&upload.manifest.0).await?;
            let received = row.received.map(|(digest, _)| digest);
            if received != Some(self.receipt_of(upload)) || row.manifest.owner != upload.owner {
                let what = format!(
                    "what {} holds of an upload of {} is not what the job says: upload it anew",
                    self.me.identity, upload.owner
                );
                return refuse(Cause::Changed, what);
            }
            rows.push(row);
        }
        let digests: Vec<_> = job.uploads.iter().map(|upload| upload.manifest.0).collect();
        let aligned = self.align(study, &digests).await?;
        if aligned.incomplete != job.left_out {
            let lacking = aligned.owners.iter().filter(|(_, (_, lacking))| *lacking > 0);
            let lacking: Vec<_> =
                lacking.map(|(owner, (_, rows))| format!("{rows} of {owner}")).collect();
            let what = format!(
                "{} rows lack a column ({}), the job leaves {} out",
                aligned.incomplete,
                lacking.join(", "),
                job.left_out
            );
            return refuse(Cause::Data, what);
        }
        if aligned.rows.len() as u64 != job.rows || aligned.digest() != job.rows_digest.0 {
            let what = format!(
                "{} rows match, the job is for {}, or for others",
                aligned.rows.len(),
                job.rows
            );
            return refuse(Cause::Data, what);
        }
        Ok((rows, aligned))
    }

    /// An owner approves.
    pub async fn approve(
        &self,
        owner: &Name,
        case: Case,
        request: &ApproveRequest,
    ) -> Result<JobReply, Refusal> {
        let job = &case.row.job;
        let now = self.now();
        if !job.owners().contains(&owner) {
            let what = format!("{owner} has no data in this job: nothing is to be approved");
            return refuse(Cause::Stranger, what);
        }
        if request.expires <= now || request.expires > now + LONGEST_APPROVAL {
            let what = "the approval ends in the past, or more than a year ahead: \
                        check the clock and the date";
            return refuse(Cause::State, what);
        }
        let message = approval(&job.digest(), request.expires);
        case.study.signed_by(owner, APPROVED, &message, &request.signature)?;
        let wrong = |_| Refusal::new(Cause::Signature, "no signature");
        let signature = request.signature.as_ref().try_into().map_err(wrong)?;
        let given = Approval { owner: owner.clone(), expires: request.expires, signature };
        let mut late = false;
        let digest = job.digest();
        let deed = self.deed(owner.as_str(), "job approved", &digest);
        match self.ledger.approve(&digest, &given, &deed).await? {
            Taken::New => {
                self.settle(&digest).await?;
            }
            Taken::Known => {}
            // The owner hears that it changed nothing: the job may have ended otherwise.
            Taken::Late => late = true,
            Taken::Revoked => {
                return refuse(Cause::State, "this very approval was taken back: sign a new one");
            }
            Taken::Replaced => {
                let what = "this very approval was replaced by a later one: sign a new one";
                return refuse(Cause::State, what);
            }
        }
        let reply = self.job_reply(&self.case(&job.digest()).await?).await?;
        Ok(JobReply { late, ..reply })
    }

    /// Proposed or approved, by the approvals that stand now.
    pub async fn settle(&self, job: &[u8; 32]) -> Result<State, Refusal> {
        let case = self.case(job).await?;
        let (from, to) = match (case.row.state, self.awaited(&case).await?.is_empty()) {
            (State::Proposed, true) => (State::Proposed, State::Approved),
            (State::Approved, false) => (State::Approved, State::Proposed),
            (state, _) => return Ok(state),
        };
        self.ledger.advance(job, &[from], to).await?;
        Ok(to)
    }

    /// Owners whose approval is awaited.
    pub async fn awaited(&self, case: &Case) -> Result<Vec<Name>, Refusal> {
        let approvals = self.ledger.approvals(&case.row.job.digest()).await?;
        Ok(case.study.awaited(&case.row.job, &approvals, self.now()))
    }

    /// An owner takes the approval back.
    pub async fn revoke(
        &self,
        owner: &Name,
        case: Case,
        request: &RevokeRequest,
    ) -> Result<JobReply, Refusal> {
        let job = case.row.job.digest();
        if !case.row.job.owners().contains(&owner) {
            let what =
                format!("{owner} has no data in this job: there is no approval to take back");
            return refuse(Cause::Stranger, what);
        }
        let revocation = read_revocation(&case, owner, &request.ends, &request.signature)?;
        let deed = self.deed(owner.as_str(), "approval revoked", &job);
        if self.ledger.revoke(&job, &revocation, &deed).await? == TakenBack::Late {
            return refuse(Cause::State, format!("the job is {} already", case.row.state));
        }
        self.job_reply(&self.case(&job).await?).await
    }

    /// The author calls it off.
    pub async fn cancel(
        &self,
        owner: &Name,
        case: Case,
        request: &RevokeRequest,
    ) -> Result<JobReply, Refusal> {
        let job = case.row.job.digest();
        if case.row.job.author != *owner {
            return refuse(
                Cause::Stranger,
                format!("the job is {}'s to cancel", case.row.job.author),
            );
        }
        case.study.signed_by(owner, CANCELLED, &job, &request.signature)?;
        let before = [State::Proposed, State::Approved, State::Running];
        let deed = self.deed(owner.as_str(), "job cancelled", &job);
        if !self.ledger.move_on(&job, &before, State::Cancelled, "", &deed).await? {
            return refuse(Cause::State, format!("the job is {} already", case.row.state));
        }
        self.progress.call_off(&job);
        self.job_reply(&self.case(&job).await?).await
    }

    /// A page of the jobs of a study, and after which digest the next one begins.
    pub async fn jobs_of(
        &self,
        study: &Arc<Frozen>,
        page: &Page,
    ) -> Result<(Vec<JobReply>, Bytes), Refusal> {
        let mut jobs = Filling::of(page);
        let digest = study.study.digest();
        for row in self.ledger.jobs_after(&digest, &page.after, page.limit + 1).await? {
            let job = row.job.digest();
            let reply = self.job_reply(&Case { row, study: Arc::clone(study) }).await?;
            if !jobs.takes(job, reply) {
                break;
            }
        }
        Ok(jobs.full())
    }

    /// A job as its owners are told of it.
    pub async fn job_reply(&self, case: &Case) -> Result<JobReply, Refusal> {
        let Case { row, study } = case;
        let job = &row.job;
        let names = |names: Vec<Name>| names.iter().map(Name::to_string).collect::<Vec<_>>();
        let early = matches!(row.state, State::Proposed | State::Approved);
        let awaited = if early { self.awaited(case).await? } else { Vec::new() };
        // An approval that has ended is missed at once, also where nothing has asked since.
        let state = match row.state {
            State::Proposed | State::Approved if awaited.is_empty() => State::Approved,
            State::Proposed | State::Approved => State::Proposed,
            state => state,
        };
        let owners = job.owners().into_iter();
        let approved = owners.filter(|owner| !awaited.contains(owner)).cloned().collect();
        let running = self.progress.of(&job.digest());
        let step = running.as_ref().map_or(row.step, |running| running.done().max(row.step));
        let training = study.training(job)?;
        let bytes = |bytes: Option<Vec<u8>>| bytes.unwrap_or_default().into();
        let opened = row.opened.as_deref().map(read_opened).transpose()?.unwrap_or_default();
        Ok(JobReply {
            job: job.digest().to_vec().into(),
            text: job.text().to_vec().into(),
            state: state.as_str().to_owned(),
            reason: row.reason.clone(),
            approved: names(approved),
            awaited: names(awaited),
            step,
            steps: row.steps,
            epoch: step / training.plan().steps_per_epoch().max(1),
            steps_per_second: running.as_ref().map_or(0.0, |running| running.rate()),
            opened,
            attempts: row.attempts,
            release: bytes(row.heads.map(|heads| heads.to_vec())),
            signature: bytes(row.signature.map(|signature| signature.to_vec())),
            answers_awaited: names(self.answers_awaited(case).await?),
            late: false,
        })
    }

    /// Members whose partial decryptions are still awaited, once the model is sealed.
    pub async fn answers_awaited(&self, case: &Case) -> Result<Vec<Name>, Refusal> {
        let job = &case.row.job;
        if case.row.state != State::Sealed || job.opening != Opening::Joint {
            return Ok(Vec::new());
        }
        let answers = self.ledger.answers(&job.digest()).await?;
        let answered = |owner: &Name| {
            job.recipients.iter().all(|recipient| {
                answers.iter().any(|to| to.owner == *owner && to.recipient == *recipient)
            })
        };
        let members = case.study.study.members.iter().map(|member| member.name.clone());
        Ok(members.filter(|owner| !answered(owner)).collect())
    }
}

/// What was opened, as it is kept: each tensor's scale, count and words.
#[must_use]
pub fn write_opened(opened: &[(u8, Vec<u64>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (scale, words) in opened {
        out.push(*scale);
        out.extend((words.len() as u64).to_le_bytes());
        out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    out
}

fn read_opened(mut bytes: &[u8]) -> Result<Vec<Opened>, Refusal> {
    let damaged = || Refusal::new(Cause::Own, "the ledger is damaged: restore it from a backup");
    let mut opened = Vec::new();
    while let Some((scale, rest)) = bytes.split_first() {
        let (count, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let count = u64::from_le_bytes(*count).checked_mul(8).ok_or_else(damaged)?;
        let (words, rest) = rest.split_at_checked(count as usize).ok_or_else(damaged)?;
        let words = words.as_chunks().0.iter().map(|word| i64::from_le_bytes(*word)).collect();
        opened.push(Opened { scale: u32::from(*scale), words });
        bytes = rest;
    }
    Ok(opened)
}
