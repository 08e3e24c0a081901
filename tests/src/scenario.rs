//! Owners enrol, upload, propose, approve, watch and fetch, while services die and come again. At
//! the end the model must have the bits of the clear run.

use crate::faults::{Fault, When};
use crate::services::Services;
use anyhow::{Context as _, bail, ensure};
use dyad_client::job::{Described, Prepared, Proposal, State, Status, Training};
use dyad_client::model::Model;
use dyad_client::study::{Frozen, Proposed, draft};
use dyad_client::upload::Request;
use dyad_client::{Access, Client, Home};
use dyad_data::{Partition, ReadOptions, Sample};
use dyad_local::twin::in_the_clear;
use dyad_protos::job::{Engine, Opening, Randomness};
use dyad_protos::upload::Mode;
use dyad_protos::{Name, Role};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is played.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// How many owners.
    pub owners: usize,
    /// How their data are split between the clouds.
    pub mode: Mode,
    /// How it is computed.
    pub engine: Engine,
    /// Who makes what both clouds' masks have in common.
    pub randomness: Randomness,
    /// How the model is opened.
    pub opening: Opening,
    /// Who gets it; nobody named: all.
    pub recipients: Vec<Name>,
    /// How it is trained.
    pub training: Training,
    /// Steps between checkpoints.
    pub checkpoint: u64,
    /// Who dies when.
    pub faults: Vec<Fault>,
    /// All of it takes no longer.
    pub limit: Duration,
}

impl Scenario {
    /// Three owners, sealed uploads, a small network, no faults.
    pub fn new() -> anyhow::Result<Self> {
        let training = Training { epochs: 3, batch: 16, ..Training::of("mlp:8".parse()?) };
        Ok(Self {
            owners: 3,
            mode: Mode::Sealed,
            engine: Engine::Share,
            randomness: Randomness::Dealer,
            opening: Opening::Each,
            recipients: vec![],
            training,
            checkpoint: 10,
            faults: vec![],
            limit: Duration::from_mins(3),
        })
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// As C1 told of it at the end.
    pub status: Status,
    /// The model, the same at every recipient.
    pub model: Model,
    /// From a kill to the next step that was seen, for each kill during the training, with the steps
    /// that were lost.
    pub resumed: Vec<(Duration, u64)>,
    /// What held it up meanwhile, as C1 told.
    pub reasons: BTreeSet<String>,
}

/// Owners who have joined a study.
pub struct Study {
    /// They.
    pub owners: Vec<Client>,
    /// Its name.
    pub name: Name,
    /// Their files: each with its owner's number.
    pub files: Vec<(usize, PathBuf)>,
    /// All data.
    pub sample: Sample,
}

/// What scenarios learn from.
pub fn sample() -> anyhow::Result<Sample> {
    Ok(dyad_data::breast_cancer()?)
}

/// Enrols owners and has them join a study on the sample, of which each has a part.
pub async fn join(services: &impl Services, folder: &Path, owners: usize) -> anyhow::Result<Study> {
    let sample = sample()?;
    let schema = sample.schema.draft().to_toml();
    let (clients, name) = agree(services, folder, owners, &schema).await?;
    let partition = Partition::mixed(&sample.table, "id", owners, 1)?;
    let mut files = Vec::new();
    for (i, (owner, piece)) in partition.tables(&sample.table)?.into_iter().enumerate() {
        let path = folder.join(format!("piece-{i}.csv"));
        piece.write_csv(File::create(&path)?, "")?;
        files.push((owner, path));
    }
    Ok(Study { owners: clients, name, files, sample })
}

/// Enrols owners and has them join a study.
pub async fn agree(
    services: &impl Services,
    folder: &Path,
    owners: usize,
    schema: &str,
) -> anyhow::Result<(Vec<Client>, Name)> {
    let access = Access { passphrase: None, insecure_demo: true };
    let mut clients = Vec::new();
    for i in 0..owners {
        let name = format!("owner-{i}");
        let token = services.token(Role::Owner, &name).await?;
        let home = Home::at(folder.join(&name));
        clients.push(Client::enrol(home, &token, &access).await?);
    }
    let name: Name = "study".parse()?;
    found(&clients, &name, schema).await?;
    Ok((clients, name))
}

/// Has owners join a study of this name.
pub async fn found(owners: &[Client], name: &Name, schema: &str) -> anyhow::Result<()> {
    let members: Vec<_> = owners.iter().map(|owner| owner.name().clone()).collect();
    let proposed = Proposed { name: name.as_str(), schema, members: &members, label: None };
    let author = owners.first().context("a study of nobody")?;
    author.create_study(&draft(&proposed)?).await?;
    for owner in owners {
        let standing = owner.study(name).await?;
        owner.join_study(&standing).await?;
    }
    Ok(())
}

/// Does to services what is planned when its time has come.
struct Reaper<'s, S> {
    services: &'s mut S,
    left: Vec<Fault>,
}

impl<S: Services> Reaper<'_, S> {
    async fn strike(&mut self, due: impl Fn(&When) -> Option<u64>) -> anyhow::Result<bool> {
        let Some(at) = self.left.iter().position(|fault| due(&fault.when).is_some()) else {
            return Ok(false);
        };
        let fault = self.left.remove(at);
        tokio::time::sleep(Duration::from_millis(due(&fault.when).unwrap_or(0))).await;
        self.services.strike(&fault).await?;
        Ok(true)
    }
}

/// Plays a scenario.
pub async fn play<S: Services>(
    services: &mut S,
    folder: &Path,
    scenario: &Scenario,
) -> anyhow::Result<Outcome> {
    play_in(services, folder, scenario).await.map(|(_, _, outcome)| outcome)
}

/// The same, for whoever goes on with the study.
pub async fn play_in<S: Services>(
    services: &mut S,
    folder: &Path,
    scenario: &Scenario,
) -> anyhow::Result<(Study, Frozen, Outcome)> {
    let playing = async {
        let study = join(services, folder, scenario.owners).await?;
        let (frozen, outcome) = play_on(services, &study, scenario).await?;
        Ok((study, frozen, outcome))
    };
    let played = tokio::time::timeout(scenario.limit, playing).await;
    played.with_context(|| format!("it takes longer than {:?}", scenario.limit))?
}

async fn play_on<S: Services>(
    services: &mut S,
    study: &Study,
    scenario: &Scenario,
) -> anyhow::Result<(Frozen, Outcome)> {
    let mut reaper = Reaper { services, left: scenario.faults.clone() };
    let uploading = upload_all(study, scenario.mode);
    let striking = async {
        let at = |when: &When| match when {
            When::Uploading(after) => Some(*after),
            _ => None,
        };
        while reaper.strike(at).await? {}
        Ok::<_, anyhow::Error>(())
    };
    let (uploaded, struck) = tokio::join!(uploading, striking);
    struck?;
    uploaded?;
    let prepared = propose(study, scenario).await?;
    let job = prepared.job.digest();
    approve_all(study, &prepared).await?;
    let at = |when: &When| match when {
        When::Approved(after) => Some(*after),
        _ => None,
    };
    while reaper.strike(at).await? {}
    let (status, resumed, reasons) = watch(study, &prepared.study, &job, &mut reaper).await?;
    let model = the_same_model(study, &prepared, &status).await?;
    Ok((prepared.study, Outcome { status, model, resumed, reasons }))
}

/// The job is over: all owners fetch the model, which has the bits of the clear run.
pub async fn the_same_model(
    study: &Study,
    prepared: &Prepared,
    status: &Status,
) -> anyhow::Result<Model> {
    ensure!(status.state == State::Released, "the job is {}: {}", status.state, status.reason);
    let mut models = Vec::new();
    for owner in &study.owners {
        models.push(owner.fetch(&prepared.study, &prepared.job.digest()).await?);
    }
    ensure!(models.windows(2).all(|pair| pair[0] == pair[1]), "owners have different models");
    let model = models.pop().context("nobody has a model")?;
    let source = study.owners[0].source(&prepared.study, &study.sample.table).await?;
    let clear = in_the_clear(prepared, &source, &model);
    let (clear, same) = clear.map_err(|error| anyhow::anyhow!("in the clear: {error}"))?;
    ensure!(same, "the weights are not those of the clear run");
    ensure!(clear.scores == status.scores, "the metrics are not those of the clear run");
    Ok(model)
}

/// Has all owners upload all their files.
pub async fn upload_all(study: &Study, mode: Mode) -> anyhow::Result<()> {
    for (owner, file) in &study.files {
        let options = ReadOptions::default();
        let request = Request { study: &study.name, file, mode, options };
        study.owners[*owner].upload(&request, &|_, _, _| {}).await?;
    }
    Ok(())
}

/// Proposes the scenario's job.
pub async fn propose(study: &Study, scenario: &Scenario) -> anyhow::Result<Prepared> {
    let proposal = Proposal {
        study: &study.name,
        training: Described::Short(&scenario.training),
        engine: scenario.engine,
        randomness: scenario.randomness,
        opening: scenario.opening,
        recipients: scenario.recipients.clone(),
        may_predict: vec![],
        uploads: vec![],
        leave_out: false,
        test_share: 0.2,
        split: 1,
        checkpoint: Some(scenario.checkpoint),
    };
    let prepared = study.owners[0].prepare(&proposal).await?;
    study.owners[0].propose(&prepared).await?;
    Ok(prepared)
}

/// Has all owners look at it and approve.
pub async fn approve_all(study: &Study, prepared: &Prepared) -> anyhow::Result<()> {
    for owner in &study.owners {
        let reviewed = owner.review(&prepared.study, &prepared.job.digest()).await?;
        owner.approve(&reviewed, Duration::from_hours(1)).await?;
    }
    Ok(())
}

/// Watches a job to its end; owners answer where a joint release waits for them.
pub async fn watch_to_the_end(study: &Study, prepared: &Prepared) -> anyhow::Result<Status> {
    let job = prepared.job.digest();
    let mut reaper: Reaper<'_, Nobody> = Reaper { services: &mut Nobody, left: vec![] };
    Ok(watch(study, &prepared.study, &job, &mut reaper).await?.0)
}

/// Services that nothing is done to.
struct Nobody;

impl Services for Nobody {
    async fn token(&self, _: Role, _: &str) -> anyhow::Result<String> {
        bail!("nobody gives tokens")
    }

    async fn kill(&mut self, _: Role) -> anyhow::Result<()> {
        bail!("there is nobody to be killed")
    }

    async fn run(&mut self, _: Role) -> anyhow::Result<()> {
        bail!("there is nobody to be run")
    }
}

async fn watch<S: Services>(
    study: &Study,
    frozen: &Frozen,
    job: &[u8; 32],
    reaper: &mut Reaper<'_, S>,
) -> anyhow::Result<(Status, Vec<(Duration, u64)>, BTreeSet<String>)> {
    let (mut resumed, mut reasons) = (Vec::new(), BTreeSet::new());
    let mut killed: Option<(Instant, u64)> = None;
    let mut last = None;
    loop {
        for owner in &study.owners {
            let status = match owner.job(frozen, job).await {
                Ok([_, status]) => status,
                Err(error) if error.is_transient() => continue,
                Err(error) => return Err(error.into()),
            };
            if status.state == State::Sealed && status.answers_awaited.contains(owner.name()) {
                match owner.answer(frozen, job).await {
                    Err(error) if !error.is_transient() => return Err(error.into()),
                    _ => {}
                }
            }
            last = Some(status);
        }
        let Some(status) = last.take() else { continue };
        if !status.reason.is_empty() {
            reasons.insert(status.reason.clone());
        }
        if status.state.is_over() {
            return Ok((status, resumed, reasons));
        }
        let step = status.step;
        if let Some((at, before)) = killed
            && status.state == State::Running
            && status.rate > 0.0
        {
            resumed.push((at.elapsed(), before.saturating_sub(step)));
            killed = None;
        }
        let training = |when: &When| match when {
            When::Step(at) if step >= *at && status.state == State::Running => Some(0),
            _ => None,
        };
        let struck_at = Instant::now();
        if reaper.strike(training).await? {
            killed = Some((struck_at, step));
        }
        let sealing = |when: &When| match when {
            When::Sealing(after) if matches!(status.state, State::Trained | State::Sealed) => {
                Some(*after)
            }
            _ => None,
        };
        reaper.strike(sealing).await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
        if status.state == State::Failed {
            bail!("the job failed: {}", status.reason);
        }
    }
}
