//! A scenario through any plan of faults, drawn or written down.
//!
//! What passes: the very model of the clear run. On the way to it services and programs may refuse
//! what the book says that they refuse after such a fault (`documented`), and nothing else: any
//! other error, a service that ends by itself, a job that stands still without such a reason, a
//! model of other bits, or a plan that takes longer than its limit is a failure. Where a refusal
//! lasts, owners do what it tells them to: they upload anew and propose a new job; that one must
//! then come through.

use crate::command::killed_after;
use crate::faults::{Fault, What, When};
use crate::processes::Processes;
use crate::scenario::{Scenario, Study, join, propose, the_same_model, upload_all};
use crate::services::Services as _;
use anyhow::{Context as _, bail, ensure};
use dyad_client::Error;
use dyad_client::job::{Prepared, State, Status};
use dyad_client::model::Model;
use dyad_client::upload;
use dyad_protos::{Hex, Role};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// Jobs that owners propose before they give it up.
const JOBS: u32 = 4;
/// A refusal that lasts so long lasts for ever.
const LASTING: Duration = Duration::from_secs(30);
/// A job that does not move for so long does not move any more: far longer than services' patience
/// and the longest pause between attempts, since the machine may have other work.
const STILL: Duration = Duration::from_mins(3);
/// How long owners' programs try failing calls again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What may be said after such a fault.
type Said = (fn(&What) -> bool, &'static [&'static str]);

/// What the book says that is refused, by what has happened: `docs/services.md`, "What survives a
/// kill"; `docs/threat-model.md`, "Rolled-back stores".
fn documented(said: &str, plan: &[Fault]) -> bool {
    let words: &[Said] = &[
        (
            |what| matches!(what, What::SetBack),
            &[
                "set back",
                "there is no such job here",
                "no such upload",
                "upload it anew",
                "upload the file anew",
                "is not whole at",
                "is not finished at",
                "still awaits the approval",
                "the clouds no longer hold upload",
                "no finished upload",
                LOST,
                "lack a column",
                "at C0 the job is",
                "something else was signed",
                "awaits approval",
            ],
        ),
        (|what| matches!(what, What::Full), &["no space left", "disk"]),
        (|what| matches!(what, What::Clock(_)), &["clock", "awaits approval", "its time is over"]),
    ];
    words.iter().any(|(happened, words)| {
        plan.iter().any(|fault| happened(&fault.what))
            && words.iter().any(|words| said.contains(words))
    })
}

/// What an owner sees who counts the uploads of a job.
const LOST: &str = "not all uploads are at both clouds";

/// How it ended: well.
#[derive(Debug)]
pub struct Endured {
    /// The model, the same at every owner.
    pub model: Model,
    /// Jobs that were proposed.
    pub jobs: u32,
    /// Attempts at the last of them.
    pub attempts: u32,
    /// What was refused on the way, but for what passes by itself.
    pub refusals: BTreeSet<String>,
    /// What never happened, since its time never came.
    pub spared: Vec<Fault>,
}

/// Goes through it. The hand-over is past: [`Processes::start_through`].
pub async fn endure(
    services: &mut Processes,
    folder: &Path,
    scenario: &Scenario,
) -> anyhow::Result<Endured> {
    let mut study = join(services, folder, scenario.owners).await?;
    let owners = std::mem::take(&mut study.owners);
    study.owners = owners.into_iter().map(|owner| owner.patient(PATIENCE)).collect();
    let left = scenario.faults.iter().copied();
    let left = left.filter(|fault| !matches!(fault.when, When::HandOver(_))).collect();
    let refusals = Refusals { plan: scenario.faults.clone(), told: BTreeSet::new() };
    let trial = Trial { services, folder, study, scenario, left, refusals };
    let ended = tokio::time::timeout(scenario.limit, trial.ended()).await;
    ended.with_context(|| format!("it takes longer than {:?}", scenario.limit))?
}

struct Refusals {
    plan: Vec<Fault>,
    told: BTreeSet<String>,
}

impl Refusals {
    /// May this be said?
    fn hear(&mut self, said: &str) -> anyhow::Result<()> {
        ensure!(documented(said, &self.plan), "after these faults nobody should say: {said}");
        self.told.insert(said.to_owned());
        Ok(())
    }

    fn judge(&mut self, error: &anyhow::Error) -> anyhow::Result<()> {
        match error.downcast_ref::<Error>() {
            Some(error) if error.is_transient() => Ok(()),
            _ => self.hear(&format!("{error:#}")),
        }
    }

    /// Does it until it succeeds; `None` if what refuses it lasts. `mend` is what owners do about a
    /// refusal.
    async fn persist<T>(
        &mut self,
        mut what: impl AsyncFnMut() -> anyhow::Result<T>,
        mut mend: impl AsyncFnMut(),
    ) -> anyhow::Result<Option<T>> {
        let start = Instant::now();
        loop {
            let error = match what().await {
                Ok(done) => return Ok(Some(done)),
                Err(error) => error,
            };
            self.judge(&error)?;
            if start.elapsed() > LASTING {
                return Ok(None);
            }
            mend().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

struct Trial<'t> {
    services: &'t mut Processes,
    folder: &'t Path,
    study: Study,
    scenario: &'t Scenario,
    left: Vec<Fault>,
    refusals: Refusals,
}

impl Trial<'_> {
    async fn ended(mut self) -> anyhow::Result<Endured> {
        let mut last = String::new();
        for jobs in 1..=JOBS {
            let Some(prepared) = self.proposed().await? else { continue };
            let job = Hex(prepared.job.digest()).to_string();
            let ended = self.job(&prepared, &job).await;
            if let Some((model, attempts)) = ended.with_context(|| format!("job {job}"))? {
                for role in [Role::Kgc, Role::C0, Role::C1] {
                    let ended = self.services.ended(role)?;
                    ensure!(ended.is_none(), "{role} ended by itself: {ended:?}");
                }
                let (refusals, spared) = (self.refusals.told, self.left);
                return Ok(Endured { model, jobs, attempts, refusals, spared });
            }
            // It stands still: its author calls it off, where that can be heard.
            let digest = prepared.job.digest();
            if let Err(error) = self.study.owners[0].cancel(&prepared.study, &digest).await {
                last = error.to_string();
            }
        }
        bail!("{JOBS} jobs and no model: {:#?}; {last}", self.refusals.told)
    }

    /// What is due now, taken out of what is left.
    fn due(&mut self, such: impl Fn(&Fault) -> bool) -> Vec<Fault> {
        self.left.extract_if(.., |fault| such(fault)).collect()
    }

    /// Owners give this command, which is killed.
    async fn commands(
        &self,
        fault: &Fault,
        arguments: &[&str],
        only: Option<usize>,
    ) -> anyhow::Result<()> {
        for i in 0..self.study.owners.len() {
            if only.is_none_or(|only| only == i) {
                let home = self.folder.join(format!("owner-{i}"));
                killed_after(&home, arguments, fault.down).await?;
            }
        }
        Ok(())
    }

    /// Everything is uploaded, and a job proposed.
    async fn proposed(&mut self) -> anyhow::Result<Option<Prepared>> {
        let (by_owners, to_services): (Vec<_>, Vec<_>) = self
            .due(|fault| matches!(fault.when, When::Uploading(_)))
            .into_iter()
            .partition(|fault| fault.who == Role::Owner);
        for fault in &by_owners {
            for (owner, file) in &self.study.files {
                let file = file.to_str().context("a folder whose name is no text")?;
                let arguments = ["upload", file, "--study", self.study.name.as_str()];
                self.commands(fault, &arguments, Some(*owner)).await?;
            }
        }
        let (study, scenario, services) = (&self.study, self.scenario, &mut *self.services);
        let striking = async {
            for fault in &to_services {
                if let When::Uploading(after) = fault.when {
                    tokio::time::sleep(Duration::from_millis(after)).await;
                    services.strike(fault).await?;
                }
            }
            anyhow::Ok(())
        };
        let uploading = self.refusals.persist(
            async || upload_all(study, scenario.mode).await,
            async || {
                // Nothing is to be done but to wait.
            },
        );
        let (uploaded, struck) = tokio::join!(uploading, striking);
        struck?;
        uploaded?;
        let propose = async || {
            upload_all(study, scenario.mode).await?;
            let prepared = propose(study, scenario).await?;
            ensure!(prepared.uploads.len() == study.files.len(), LOST);
            Ok(prepared)
        };
        let set_back = scenario.faults.iter().any(|fault| fault.what == What::SetBack);
        let mend = async || {
            // One cloud has forgotten what its owner believes to be there.
            for owner in study.owners.iter().filter(|_| set_back) {
                for upload in owner.uploads().unwrap_or_default() {
                    if upload.state != upload::State::Withdrawn {
                        // If it cannot be heard now, it is said again.
                        drop(owner.withdraw(&upload).await);
                    }
                }
            }
        };
        self.refusals.persist(propose, mend).await
    }

    /// From approval to the model.
    async fn job(
        &mut self,
        prepared: &Prepared,
        job: &str,
    ) -> anyhow::Result<Option<(Model, u32)>> {
        let due = self.due(|fault| matches!(fault.when, When::Approved(_)));
        for fault in due.iter().filter(|fault| fault.who == Role::Owner) {
            self.commands(fault, &["job", "approve", job], None).await?;
        }
        let study = &self.study;
        let approve = async || {
            for owner in &study.owners {
                approved(owner, prepared).await?;
            }
            Ok(())
        };
        let approving = self.refusals.persist(approve, async || {});
        if approving.await?.is_none() {
            return Ok(None);
        }
        for fault in due.iter().filter(|fault| fault.who != Role::Owner) {
            if let When::Approved(after) = fault.when {
                tokio::time::sleep(Duration::from_millis(after)).await;
                self.services.strike(fault).await?;
            }
        }
        let Some(status) = self.watched(prepared, job).await? else { return Ok(None) };
        let out = self.folder.join(format!("{job}.json"));
        for fault in self.due(|fault| fault.when == When::Fetching) {
            let file = out.to_str().context("a folder whose name is no text")?;
            self.commands(&fault, &["model", "fetch", job, "--out", file], Some(0)).await?;
        }
        let study = &self.study;
        let fetching = async || the_same_model(study, prepared, &status).await;
        let Some(model) = self.refusals.persist(fetching, async || {}).await? else {
            return Ok(None);
        };
        if out.exists() {
            ensure!(Model::read(&out)? == model, "half a model, or another one");
        }
        Ok(Some((model, status.attempts)))
    }

    async fn watched(&mut self, prepared: &Prepared, job: &str) -> anyhow::Result<Option<Status>> {
        let mut moved = (Instant::now(), None);
        loop {
            let both = self.looked_at(prepared).await?;
            if let Some([zero, one]) = both {
                match one.state {
                    State::Released => return Ok(Some(one)),
                    State::Failed | State::Cancelled => {
                        self.refusals.hear(&one.reason)?;
                        return Ok(None);
                    }
                    _ => {}
                }
                let now = Some((zero.state, one.state, one.step));
                if now != moved.1 {
                    moved = (Instant::now(), now);
                }
                if moved.0.elapsed() > STILL {
                    let (at, step) = ([zero.state, one.state], one.step);
                    let reasons = format!("{} {}", zero.reason, one.reason);
                    let heard = self.refusals.hear(&reasons);
                    heard.with_context(|| format!("it stands still: {at:?}, step {step}"))?;
                    return Ok(None);
                }
                for fault in self.due(|fault| match fault.when {
                    When::Step(at) => one.state == State::Running && one.step >= at,
                    When::Sealing(_) => matches!(one.state, State::Trained | State::Sealed),
                    _ => false,
                }) {
                    if let When::Sealing(after) = fault.when {
                        tokio::time::sleep(Duration::from_millis(after)).await;
                    }
                    if fault.who == Role::Owner {
                        self.commands(&fault, &["job", "watch", job, "--answer"], None).await?;
                    } else {
                        self.services.strike(&fault).await?;
                    }
                    moved.0 = Instant::now();
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// All owners look at it, and do what it waits for.
    async fn looked_at(&mut self, prepared: &Prepared) -> anyhow::Result<Option<[Status; 2]>> {
        let (study, digest) = (&self.study, prepared.job.digest());
        let mut seen = None;
        for owner in &study.owners {
            let both = match owner.job(&prepared.study, &digest).await {
                Ok(both) => both,
                Err(error) => {
                    // A cloud may have forgotten it: it is shown again.
                    let forgotten = error.is_unknown();
                    self.refusals.judge(&error.into())?;
                    if forgotten && let Err(error) = study.owners[0].propose(prepared).await {
                        self.refusals.judge(&error.into())?;
                    }
                    continue;
                }
            };
            if both[1].state == State::Sealed
                && both[1].answers_awaited.contains(owner.name())
                && let Err(error) = owner.answer(&prepared.study, &digest).await
            {
                self.refusals.judge(&error.into())?;
            }
            if both.iter().any(|status| status.awaited.contains(owner.name()))
                && let Err(error) = approved(owner, prepared).await
            {
                self.refusals.judge(&error.into())?;
            }
            seen = Some(both);
        }
        Ok(seen)
    }
}

/// One owner approves; perhaps once more, of what a cloud has forgotten.
async fn approved(owner: &dyad_client::Client, prepared: &Prepared) -> Result<(), Error> {
    let reviewed = owner.review(&prepared.study, &prepared.job.digest()).await?;
    match owner.approve(&reviewed, Duration::from_hours(1)).await {
        // The answer was lost, and the job has begun with what was given.
        Err(Error::Request(said)) if said.contains("came too late") => Ok(()),
        other => other.map(drop),
    }
}
