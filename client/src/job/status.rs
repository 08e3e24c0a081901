//! How a job stands, as the clouds tell it.

use super::propose::is_further;
use super::training::signed;
use crate::client::{Client, Cloud, timed};
use crate::error::{Doing, Error, Result, contradiction, request};
use crate::study::Frozen;
use dyad_learn::Scores;
use dyad_mpc::Opened;
use dyad_mpc::tensor::Meta;
use dyad_protos::consent::{RELEASED, release};
use dyad_protos::wire::cloud::v1::{JobReply, JobRequest, JobsRequest, Opened as WireOpened};
use dyad_protos::{Document, Hex, Job, Name, Role};
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Approvals are awaited.
    Proposed,
    /// All owners have signed.
    Approved,
    /// It is being trained.
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
    const ALL: [(Self, &'static str); 8] = [
        (Self::Proposed, "proposed"),
        (Self::Approved, "approved"),
        (Self::Running, "running"),
        (Self::Trained, "trained"),
        (Self::Sealed, "sealed"),
        (Self::Released, "released"),
        (Self::Failed, "failed"),
        (Self::Cancelled, "cancelled"),
    ];

    /// Will nothing more happen to it?
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Released | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(state, _)| state == self).map_or("", |(_, name)| name);
        f.pad(name)
    }
}

impl FromStr for State {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        let other = || Error::Contradiction(format!("`{text}` is no state of a job: upgrade"));
        found.map(|(state, _)| *state).ok_or_else(other)
    }
}

/// A job as a cloud tells of it.
#[derive(Clone, Debug)]
pub struct Status {
    /// What owners sign.
    pub job: Document<Job>,
    /// Who says all this.
    pub cloud: Role,
    /// How far it has come.
    pub state: State,
    /// Why it failed, or what it waits for.
    pub reason: String,
    /// Owners who have signed.
    pub approved: Vec<Name>,
    /// Owners who have not.
    pub awaited: Vec<Name>,
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Epochs gone through.
    pub epoch: u64,
    /// Steps a second; 0 while nothing runs.
    pub rate: f64,
    /// Times it was begun.
    pub attempts: u32,
    /// What was opened of its quality.
    pub scores: Option<Scores>,
    /// Members whose partial decryptions are awaited.
    pub answers_awaited: Vec<Name>,
    pub(crate) opened: Vec<(u32, Vec<i64>)>,
    /// What is released: only if the cloud's signature of it holds.
    pub(crate) release: Option<[u8; 32]>,
}

impl Status {
    fn read(study: &Frozen, cloud: Role, reply: JobReply) -> Result<Self> {
        let job = Document::<Job>::read(&reply.text)?;
        if reply.job != job.digest()[..] || job.study.0 != study.study.digest() {
            return contradiction(format!("{cloud} shows another job than the one asked for"));
        }
        let names = |names: &[String]| {
            names.iter().map(|name| name.parse()).collect::<Result<Vec<Name>, _>>()
        };
        let released = match &reply.release[..] {
            [] => None,
            digest => {
                let Hex(digest) = Hex::try_from(digest)?;
                let message = release(&job.digest(), &digest);
                study.signed_by(cloud, RELEASED, &message, &reply.signature)?;
                Some(digest)
            }
        };
        let plan = signed(&job, &study.study.draft)?;
        let scores = scores(plan.plan(), job.test_rows, &reply.opened);
        let opened = reply.opened.into_iter().map(|opened| (opened.scale, opened.words)).collect();
        Ok(Self {
            cloud,
            state: reply.state.parse()?,
            reason: reply.reason,
            approved: names(&reply.approved)?,
            awaited: names(&reply.awaited)?,
            step: reply.step,
            steps: reply.steps,
            epoch: reply.epoch,
            rate: reply.steps_per_second,
            attempts: reply.attempts,
            scores,
            answers_awaited: names(&reply.answers_awaited)?,
            opened,
            release: released,
            job,
        })
    }

    /// The job's digest.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.job.digest()
    }

    /// Seconds that the training still takes at its present rate.
    #[must_use]
    pub fn seconds_left(&self) -> Option<f64> {
        let left = self.steps.saturating_sub(self.step) as f64;
        (self.state == State::Running && self.rate > 0.0).then(|| left / self.rate)
    }
}

/// What was opened, as numbers.
fn scores(plan: &dyad_learn::Plan, rows: u64, opened: &[WireOpened]) -> Option<Scores> {
    if opened.is_empty() {
        return None;
    }
    let read = |one: &WireOpened| {
        // Only tables have more than one word, and they are square.
        let cols = one.words.len().isqrt().max(1);
        let scale = u8::try_from(one.scale).ok()?;
        let meta = Meta::new(one.words.len() / cols, cols, scale, 0);
        Some(Opened { meta, words: one.words.iter().map(|word| *word as u64).collect() })
    };
    let opened: Vec<_> = opened.iter().map(read).collect::<Option<_>>()?;
    Scores::read(plan, &opened, usize::try_from(rows).ok()?)
}

impl Client {
    /// How a job stands at one cloud.
    pub(crate) async fn status_at(
        &self,
        study: &Frozen,
        cloud: &Cloud,
        job: &[u8; 32],
    ) -> Result<Status> {
        let request = JobRequest { job: job.to_vec().into() };
        let reply = cloud.ask("for a job", |mut cloud| {
            let request = timed(request.clone());
            async move { cloud.job(request).await }
        });
        let status = Status::read(study, cloud.role, reply.await?)?;
        if status.digest() == *job {
            return Ok(status);
        }
        contradiction(format!("{} shows another job than the one asked for", cloud.role))
    }

    /// How it stands at both, C0 first: the job and what was opened must be the same.
    pub(crate) async fn statuses(&self, study: &Frozen, job: &[u8; 32]) -> Result<[Status; 2]> {
        let [c0, c1] = self.clouds(&study.study)?;
        let (zero, one) =
            tokio::try_join!(self.status_at(study, &c0, job), self.status_at(study, &c1, job))?;
        if !zero.opened.is_empty() && !one.opened.is_empty() && zero.opened != one.opened {
            return contradiction(
                "the clouds say different things about the model's quality: at least one of them \
                 is wrong, do not use the model",
            );
        }
        Ok([zero, one])
    }

    /// The jobs of a study, as C1 lists them.
    pub fn jobs<'a>(&'a self, name: &'a Name) -> Doing<'a, Vec<Status>> {
        Box::pin(async move {
            self.refresh().await?;
            let study = self.frozen_study(name).await?;
            let cloud = self.cloud(&study.study, Role::C1)?;
            let digest = study.study.digest();
            let mut request = JobsRequest { study: digest.to_vec().into(), ..Default::default() };
            let mut jobs = Vec::new();
            loop {
                let reply = cloud.ask("for the jobs of a study", |mut cloud| {
                    let request = timed(request.clone());
                    async move { cloud.jobs(request).await }
                });
                let reply = match reply.await {
                    // Nobody has shown it the study yet.
                    Err(error) if error.is_unknown() => break,
                    other => other?,
                };
                jobs.extend(reply.jobs);
                if !is_further(cloud.role, &request.after, &reply.next)? {
                    break;
                }
                request.after = reply.next;
            }
            jobs.into_iter().map(|reply| Status::read(&study, Role::C1, reply)).collect()
        })
    }

    /// The job whose digest begins so, among those of all studies of the home folder; the only one
    /// there is, if nothing is said.
    pub async fn job_named(&self, digits: &str) -> Result<(Frozen, [u8; 32])> {
        let begins = |digest: &[u8; 32]| Hex(*digest).to_string().starts_with(digits);
        let (mut found, mut failed) = (Vec::new(), None);
        for name in self.pinned_studies()? {
            if self.pinned(&name)?.is_none() {
                continue;
            }
            // A study whose clouds have other keys by now does not stand in another's way.
            let jobs = match self.jobs(&name).await {
                Ok(jobs) => jobs,
                Err(error) => {
                    tracing::warn!("jobs of study {name} are not looked at: {error}");
                    failed = Some(error);
                    continue;
                }
            };
            let jobs = jobs.iter().map(Status::digest).filter(begins);
            found.extend(jobs.map(|job| (name.clone(), job)));
        }
        match &found[..] {
            [(name, job)] => Ok((self.frozen_study(name).await?, *job)),
            [] => match failed {
                Some(error) => Err(error),
                None => request(format!("no job begins with `{digits}`; see `dyad job list`")),
            },
            _ => request(format!("more than one job begins with `{digits}`; give more of it")),
        }
    }

    /// A job with its study, as both clouds tell of it, C0 first.
    pub fn job<'a>(&'a self, study: &'a Frozen, job: &'a [u8; 32]) -> Doing<'a, [Status; 2]> {
        Box::pin(async move { self.statuses(study, job).await })
    }
}
