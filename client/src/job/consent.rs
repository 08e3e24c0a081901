//! Approving a job, and taking it back. An owner's program checks all of it itself before it signs:
//! the clouds' word on what is trained and on what is for nothing.

use super::estimate::costed;
use super::propose::{Finished, Matched};
use super::status::{State, Status};
use super::training::signed;
use crate::client::{Client, Cloud, now, timed};
use crate::error::{Doing, Error, Result, contradiction, request};
use crate::home;
use crate::study::Frozen;
use crate::upload;
use dyad_learn::signed::Signed;
use dyad_mpc::Count;
use dyad_protos::consent::{APPROVED, CANCELLED, REVOKED, approval, revocation};
use dyad_protos::limits::APPROVALS;
use dyad_protos::wire::cloud::v1::{ApproveRequest, RevokeRequest};
use dyad_protos::{Hex, Job, Name};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An approval lasts so long unless something else is said.
pub const VALID: Duration = Duration::from_hours(7 * 24);

const APPROVAL: &str = "approval.json";

/// A job that this owner's program has checked.
#[derive(Clone, Debug)]
pub struct Reviewed {
    /// Its study.
    pub study: Frozen,
    /// As C1 tells of it.
    pub status: Status,
    /// How rows fit together.
    pub matched: Matched,
    /// All uploads that it uses.
    pub uploads: Vec<Finished>,
    /// What is computed.
    pub training: Signed,
    /// What it costs.
    pub cost: Count,
}

/// An approval as it is kept: what one has agreed to, one can look up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Approval {
    /// Until when, in seconds since 1970.
    pub expires: u64,
    /// Has it been taken back?
    pub revoked: bool,
    /// Ends of all that were given for this job, the last one's too: taken back, none of them counts
    /// any more, also if it is still on its way to a cloud.
    #[serde(default)]
    pub given: Vec<u64>,
}

impl Approval {
    /// Ends of all that were given.
    fn ends(&self) -> Vec<u64> {
        // Written before all of them were kept: the last one alone.
        if self.given.is_empty() { vec![self.expires] } else { self.given.clone() }
    }
}

impl Client {
    /// Checks a job: that both clouds have the same text; that it is for this study's members; that
    /// this owner's uploads in it are those it has receipts for; that rows match as it says; that
    /// the training holds together and that its program is the one that this release would run.
    pub fn review<'a>(&'a self, study: &'a Frozen, job: &'a [u8; 32]) -> Doing<'a, Reviewed> {
        Box::pin(async move {
            self.refresh().await?;
            let [_, status] = self.statuses(study, job).await?;
            let text = &status.job;
            let draft = &study.study.draft;
            let named = [&text.author].into_iter().chain(&text.recipients).chain(&text.may_predict);
            if let Some(name) =
                named.chain(text.owners()).find(|name| !draft.members.contains(name))
            {
                return contradiction(format!(
                    "the job names {name}, who is no member of study {}: do not approve it",
                    draft.name
                ));
            }
            self.own_uploads(text)?;
            let there = self.uploads_at(study).await?;
            let finished = there.finished();
            let mut uploads = Vec::new();
            for wanted in &text.uploads {
                let found = finished.iter().find(|upload| {
                    upload.manifest.digest() == wanted.manifest.0
                        && upload.manifest.owner == wanted.owner
                        && upload.received == [wanted.c0, wanted.c1]
                });
                let Some(found) = found else {
                    let lack = match &there.lack(&wanted.manifest.0)[..] {
                        [cloud] => format!("{cloud} no longer holds"),
                        _ => "the clouds no longer hold".to_owned(),
                    };
                    return contradiction(format!(
                        "{lack} upload {} of {} as the job says: propose a new job",
                        wanted.manifest, wanted.owner
                    ));
                };
                uploads.push(found.clone());
            }
            let digests: Vec<_> = text.uploads.iter().map(|upload| upload.manifest.0).collect();
            let matched = self.match_rows(study, &digests).await?;
            if (matched.complete, matched.incomplete, matched.rows)
                != (text.rows, text.left_out, text.rows_digest.0)
            {
                return contradiction(format!(
                    "{} rows are complete and {} are not; the job is for {} and leaves {} out, or is \
                 for others: do not approve it, propose a new one",
                    matched.complete, matched.incomplete, text.rows, text.left_out
                ));
            }
            let training = signed(text, draft)?;
            let key = || Ok(study.keys(&self.params)?.1.key().clone());
            let (cost, program) = tokio::task::block_in_place(|| costed(text, &training, key))?;
            if program != text.program.0 {
                return contradiction(format!(
                    "the job was proposed with release {}, whose program is {}; this is release {}, \
                 whose program is {}: install the same release everywhere",
                    text.release,
                    text.program,
                    env!("CARGO_PKG_VERSION"),
                    Hex(program)
                ));
            }
            let study = study.clone();
            Ok(Reviewed { study, status, matched, uploads, training, cost })
        })
    }

    /// Are this owner's uploads in a job those that it has receipts for?
    fn own_uploads(&self, job: &Job) -> Result<()> {
        let own = self.uploads()?;
        for named in job.uploads.iter().filter(|upload| upload.owner == *self.name()) {
            let known = own.iter().find(|upload| upload.digest() == named.manifest.0);
            let receipts = known.filter(|known| known.state == upload::State::Finished);
            let receipts = receipts.map(|known| {
                let digest = |i: usize| known.receipts[i].as_ref().map(|receipt| receipt.digest);
                [digest(0), digest(1)]
            });
            if receipts != Some([Some(named.c0), Some(named.c1)]) {
                return contradiction(format!(
                    "the job uses upload {} of {}, for which there is no such receipt in {}: it \
                     was not uploaded from here, or was withdrawn. Do not approve it",
                    named.manifest,
                    self.name(),
                    self.home.path().display()
                ));
            }
        }
        Ok(())
    }

    /// Signs a job that was reviewed, for so long.
    pub fn approve<'a>(
        &'a self,
        reviewed: &'a Reviewed,
        valid: Duration,
    ) -> Doing<'a, [Status; 2]> {
        Box::pin(async move {
            let job = &reviewed.status.job;
            if !job.owners().contains(&self.name()) {
                return request(format!(
                    "{} has no data in this job: nothing is to be approved{}",
                    self.name(),
                    match job.opening {
                        dyad_protos::job::Opening::Joint =>
                            "; once it is sealed, run `dyad model answer`",
                        dyad_protos::job::Opening::Each => "",
                    }
                ));
            }
            let expires = now() + valid.as_secs();
            let message = approval(&job.digest(), expires);
            let signature = self.me.sign.sign(APPROVED, &message);
            let folder = self.job_folder(&job.digest());
            home::write(&folder.join("job.toml"), job.text())?;
            let before = self.approval(&job.digest())?;
            let mut given = before.as_ref().map(Approval::ends).unwrap_or_default();
            given.retain(|end| *end != expires);
            given.push(expires);
            let noted = Approval { expires, revoked: false, given };
            self.note_approval(&job.digest(), &noted)?;
            let request = ApproveRequest {
                job: job.digest().to_vec().into(),
                expires,
                signature: signature.0.to_vec().into(),
            };
            let [c0, c1] = self.clouds(&reviewed.study.study)?;
            let approve = |cloud: Cloud| {
                let request = request.clone();
                async move {
                    let reply = cloud.ask("to take an approval", |mut cloud| {
                        let request = timed(request.clone());
                        async move { cloud.approve(request).await }
                    });
                    reply.await
                }
            };
            // C1 starts a job when it has all approvals: C0 is told first. Both are told, whatever
            // C0 says: it may know more than a C1 whose store was set back.
            let late = [approve(c0).await?.late, approve(c1).await?.late];
            let statuses = self.statuses(&reviewed.study, &job.digest()).await?;
            if let Err(error) = counts(self.name(), &statuses, late) {
                // What is kept here is what was agreed to, and this was not taken.
                let given = noted.given;
                let before = match before {
                    Some(before) => Approval { given, ..before },
                    None => Approval { expires, revoked: true, given },
                };
                self.note_approval(&job.digest(), &before)?;
                return Err(error);
            }
            Ok(statuses)
        })
    }

    fn note_approval(&self, job: &[u8; 32], approval: &Approval) -> Result<()> {
        home::write_json(&self.job_folder(job).join(APPROVAL), approval)
    }

    /// What this owner has agreed to, from here.
    pub fn approval(&self, job: &[u8; 32]) -> Result<Option<Approval>> {
        home::read_json(&self.job_folder(job).join(APPROVAL))
    }

    /// Takes an approval back. Both clouds are told, also if one of them cannot be reached.
    pub fn revoke<'a>(&'a self, study: &'a Frozen, job: &'a [u8; 32]) -> Doing<'a, [Status; 2]> {
        Box::pin(async move {
            self.refresh().await?;
            let mut ends = Vec::new();
            if let Some(approval) = self.approval(job)? {
                ends = approval.ends();
                self.note_approval(job, &Approval { revoked: true, ..approval })?;
            }
            // The last ones, if they are very many: those before have been replaced.
            let ends = ends.split_off(ends.len().saturating_sub(APPROVALS));
            let signature = self.me.sign.sign(REVOKED, &revocation(job, &ends)).0;
            let request = RevokeRequest {
                job: job.to_vec().into(),
                signature: signature.to_vec().into(),
                ends,
            };
            let revoke = |cloud: Cloud, request: RevokeRequest| async move {
                let reply = cloud.ask("to take an approval back", |mut cloud| {
                    let request = timed(request.clone());
                    async move { cloud.revoke(request).await }
                });
                reply.await
            };
            self.both(study, job, request, revoke).await
        })
    }

    /// Calls a job of this owner's off.
    pub fn cancel<'a>(&'a self, study: &'a Frozen, job: &'a [u8; 32]) -> Doing<'a, [Status; 2]> {
        Box::pin(async move {
            self.refresh().await?;
            let cancel = |cloud: Cloud, request: RevokeRequest| async move {
                let reply = cloud.ask("to call a job off", |mut cloud| {
                    let request = timed(request.clone());
                    async move { cloud.cancel(request).await }
                });
                reply.await
            };
            let signature = self.me.sign.sign(CANCELLED, job).0.to_vec().into();
            let request = RevokeRequest { job: job.to_vec().into(), signature, ends: Vec::new() };
            self.both(study, job, request, cancel).await
        })
    }

    async fn both<T, F: Future<Output = Result<T>>>(
        &self,
        study: &Frozen,
        job: &[u8; 32],
        request: RevokeRequest,
        call: impl Fn(Cloud, RevokeRequest) -> F,
    ) -> Result<[Status; 2]> {
        let [c0, c1] = self.clouds(&study.study)?;
        let (zero, one) = tokio::join!(call(c0, request.clone()), call(c1, request));
        match (zero, one) {
            (Ok(_), Ok(_)) => self.statuses(study, job).await,
            (Err(error), Ok(_)) => Err(half("C1", &error)),
            (Ok(_), Err(error)) => Err(half("C0", &error)),
            (Err(error), Err(_)) => Err(error),
        }
    }
}

/// Does an approval that both clouds were told of count? `late`: it was not kept, as the job had
/// begun or was over.
fn counts(owner: &Name, statuses: &[Status; 2], late: [bool; 2]) -> Result<()> {
    let over = |status: &&Status| matches!(status.state, State::Failed | State::Cancelled);
    if let Some(status) = statuses.iter().find(over) {
        let reason = match status.reason.as_str() {
            "" => String::new(),
            reason => format!(" ({reason})"),
        };
        return request(format!(
            "the job is {} at {}{reason}: an approval counts for nothing there; propose a new job",
            status.state, status.cloud
        ));
    }
    if late == [true; 2] {
        return request(format!(
            "the job is {} already: it began with the approvals that stood then, this one came too \
             late and was not kept",
            statuses[1].state
        ));
    }
    let early = |status: &&Status| matches!(status.state, State::Proposed | State::Approved);
    let not_counted = |status: &&Status| early(status) && status.awaited.contains(owner);
    if let Some(status) = statuses.iter().find(not_counted) {
        return Err(Error::NotYet(format!(
            "{} still awaits the approval of {owner}: it was taken back meanwhile, or the clocks \
             differ; look with `dyad job show`, and approve again",
            status.cloud
        )));
    }
    Ok(())
}

fn half(done: &str, error: &Error) -> Error {
    let what = format!("{done} has done it, the other cloud has not: {error}; run it again");
    Error::NotYet(what)
}
