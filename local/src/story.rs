//! The whole story: services start, owners enrol, join, upload, propose, approve, watch, fetch.

use crate::Train;
use crate::files::{Data, own, sample};
use crate::screen::{Screen, line, title};
use dyad_client::job::{Described, Proposal, State, Status, Training};
use dyad_client::study::{Frozen, Proposed, draft};
use dyad_client::upload::Request;
use dyad_client::{Access, Client, Home};
use dyad_data::ReadOptions;
use dyad_learn::Scores;
use dyad_local::twin::{Outcome, in_floating_point, in_the_clear};
use dyad_local::{Parameters, World};
use dyad_protos::job::{Engine, Opening, Randomness};
use dyad_protos::upload::Mode;
use dyad_protos::{Hex, Name, Role};
use std::error::Error;
use std::io::{Write, stdout};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Approvals last so long: the job begins at once.
const APPROVED: Duration = Duration::from_hours(1);
/// Rows that the model is measured on.
const TESTED: f64 = 0.2;

type Told<T> = Result<T, Box<dyn Error>>;

/// What was asked for.
struct Wish {
    training: Training,
    mode: Mode,
    engine: Engine,
    randomness: Randomness,
    opening: Opening,
    leave_out: bool,
    parameters: Parameters,
}

impl Wish {
    fn of(train: Option<&Train>) -> Told<Self> {
        let Some(train) = train else {
            let training = Training {
                epochs: 20,
                batch: 16,
                rate: Some(0.125),
                ..Training::of("mlp:32,16".parse()?)
            };
            return Ok(Self {
                training,
                mode: Mode::Sealed,
                engine: Engine::Share,
                randomness: Randomness::Dealer,
                opening: Opening::Joint,
                leave_out: false,
                parameters: Parameters::InsecureDemo,
            });
        };
        let training = Training {
            epochs: train.epochs,
            batch: train.batch,
            rate: train.rate,
            ..Training::of(train.model.parse()?)
        };
        Ok(Self {
            training,
            mode: if train.packed { Mode::Packed } else { Mode::Sealed },
            engine: if train.on_ciphertexts() { Engine::Cipher } else { Engine::Share },
            randomness: if train.alone() { Randomness::Pairwise } else { Randomness::Dealer },
            // What was trained on ciphertexts is in no shares.
            opening: if train.joint || train.on_ciphertexts() {
                Opening::Joint
            } else {
                Opening::Each
            },
            leave_out: train.leave_out,
            parameters: train.fresh.map_or(Parameters::InsecureDemo, Parameters::Fresh),
        })
    }
}

/// Plays it, and shows the table at the end.
pub(crate) fn run(screen: &Screen, train: Option<&Train>) -> Told<()> {
    let wish = Wish::of(train)?;
    let folder = tempfile::Builder::new().prefix("dyad-local-").tempdir()?;
    let data = match train {
        None => sample(folder.path())?,
        Some(train) => own(train, folder.path())?,
    };
    let runtime = Runtime::new()?;
    let mut story = Story { screen, runtime, wish, data, folder, started: Instant::now() };
    story.play()
}

struct Story<'s> {
    screen: &'s Screen,
    runtime: Runtime,
    wish: Wish,
    data: Data,
    folder: tempfile::TempDir,
    started: Instant,
}

impl Story<'_> {
    fn play(&mut self) -> Told<()> {
        title("Key centre and two clouds, each with its own folder, over mutual TLS")?;
        let (path, parameters) = (self.folder.path(), self.wish.parameters);
        let world = self.screen.step("started, certified, master key handed to C0", |_| {
            self.runtime.block_on(World::start(path, parameters)).map_err(Failed::from)
        })?;
        let result = self.owners(&world);
        let ended = self.runtime.block_on(world.end());
        result?;
        ended.map_err(|error| Failed(error).into())
    }

    fn owners(&self, world: &World) -> Told<()> {
        title("Owners")?;
        line("data", &self.data.what)?;
        let study: Name = "local".parse()?;
        let owners = self.screen.step("enrolled, study created, keys made and proved", |_| {
            self.runtime.block_on(self.join(world, &study)).map_err(Failed::from)
        })?;
        let sent = self.screen.step("split, sealed and uploaded to both clouds", |tick| {
            let tell = |owner: usize| tick(&format!("owner {}", owner + 1));
            self.runtime.block_on(self.upload(&owners, &study, &tell)).map_err(Failed::from)
        })?;
        line("rows, values of all uploads", &format!("{}, {}", sent.0, sent.1))?;
        self.job(&owners, &study)
    }

    async fn join(&self, world: &World, study: &Name) -> anyhow::Result<Vec<Client>> {
        let access = Access {
            passphrase: None,
            insecure_demo: self.wish.parameters == Parameters::InsecureDemo,
        };
        let mut owners = Vec::new();
        let mut members = Vec::new();
        for i in 1..=self.data.owners {
            let name = format!("owner-{i}");
            let token = world.token(Role::Owner, &name).await?;
            let home = Home::at(self.folder.path().join(&name));
            owners.push(Client::enrol(home, &token, &access).await?);
            members.push(name.parse()?);
        }
        let schema = &self.data.schema;
        let proposed = Proposed { name: study.as_str(), schema, members: &members, label: None };
        owners[0].create_study(&draft(&proposed)?).await?;
        for owner in &owners {
            let standing = owner.study(study).await?;
            owner.join_study(&standing).await?;
        }
        Ok(owners)
    }

    async fn upload(
        &self,
        owners: &[Client],
        study: &Name,
        tell: &(dyn Fn(usize) + Sync),
    ) -> anyhow::Result<(u64, u64)> {
        let (mut rows, mut values) = (0, 0);
        for (owner, file) in &self.data.pieces {
            tell(*owner);
            let options = ReadOptions::default();
            let request = Request { study, file, mode: self.wish.mode, options };
            let upload = owners[*owner].upload(&request, &|_, _, _| {}).await?;
            rows += upload.manifest.rows;
            let frozen = owners[*owner].frozen_study(study).await?;
            let places = upload.manifest.places(&frozen.study).map_err(anyhow::Error::msg)?;
            values += upload.manifest.rows * places.width() as u64;
        }
        Ok((rows, values))
    }

    fn job(&self, owners: &[Client], study: &Name) -> Told<()> {
        title("A job, signed by every owner")?;
        let prepared = self.screen.step("rows matched by both clouds, job proposed", |_| {
            self.runtime.block_on(self.propose(owners, study)).map_err(Failed::from)
        })?;
        let (job, cost) = (prepared.job.digest(), prepared.cost);
        let plan = prepared.training.plan();
        let widths: Vec<_> = plan.job().widths.iter().map(ToString::to_string).collect();
        line("model", &format!("{} ({} steps)", widths.join("-"), plan.steps()))?;
        line(
            "rows matched, rows incomplete",
            &format!("{}, {}", prepared.matched.complete, prepared.matched.incomplete),
        )?;
        line("hash that all sign", &Hex(job).to_string()[..16])?;
        self.screen.step("reviewed and approved by all", |_| {
            self.runtime.block_on(approve(owners, &prepared.study, &job)).map_err(Failed::from)
        })?;

        let (engine, randomness) = (self.wish.engine, self.wish.randomness);
        let on = if engine == Engine::Cipher { "on ciphertexts" } else { "on shares" };
        let dealt = match randomness {
            Randomness::Dealer => "the key centre deals randomness",
            Randomness::Pairwise => "and need no key centre",
        };
        title(&format!("Two clouds train {on}, {dealt}"))?;
        let start = Instant::now();
        let mut first_step = None;
        let status = self.screen.step(on, |tick| {
            let mut tell = |status: &Status| {
                if status.step > 0 && first_step.is_none() {
                    first_step = Some(self.started.elapsed());
                }
                let left = status.seconds_left();
                let left = left.map_or(String::new(), |left| format!(", {left:.0} s left"));
                let Status { state, step, steps, epoch, rate, reason, .. } = status;
                tick(&format!(
                    "{state}, epoch {epoch}, step {step} of {steps}, {rate:.1}/s{left} {reason}"
                ));
            };
            let watched = watch(owners, &prepared.study, &job, &mut tell);
            self.runtime.block_on(watched).map_err(Failed::from)
        })?;
        let seconds = start.elapsed().as_secs_f64();
        if status.state != State::Released {
            return Err(format!("the job is {}: {}", status.state, status.reason).into());
        }
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        line("rounds between the clouds", &cost.rounds.to_string())?;
        line(
            "each cloud sends, the key centre deals",
            &format!("{}, {}", mib(cost.bytes[0]), mib(cost.dealt)),
        )?;

        title("Owners")?;
        let model = self.screen.step("model fetched, opened by each owner", |_| {
            self.runtime
                .block_on(async {
                    let mut models = Vec::new();
                    for owner in owners {
                        models.push(owner.fetch(&prepared.study, &job).await?);
                    }
                    let same = models.windows(2).all(|pair| pair[0].digest == pair[1].digest);
                    anyhow::ensure!(same, "owners opened different models");
                    models.pop().ok_or_else(|| anyhow::anyhow!("there are no owners"))
                })
                .map_err(Failed::from)
        })?;
        let source = self.runtime.block_on(owners[0].source(&prepared.study, &self.data.whole))?;
        let complete = source.len() as u64 == prepared.matched.complete;
        title("The same job without secrets")?;
        let shared = Outcome { scores: status.scores, seconds };
        if !complete {
            // Rows were left out: whoever runs this does not know which.
            return Ok(line("not run", "rows were left out")?);
        }
        let (clear, same) = self.screen.step("in the clear, in fixed point", |_| {
            in_the_clear(&prepared, &source, &model).map_err(Failed::boxed)
        })?;
        let plain = self.screen.step("in floating point", |_| {
            in_floating_point(&prepared, &source).map_err(Failed::boxed)
        })?;
        table(on, &shared, &clear, &plain)?;
        if let Some(first_step) = first_step {
            line(
                "from start to the first step seen",
                &format!("{:.1} s", first_step.as_secs_f64()),
            )?;
        }
        line("weights identical", if same { "yes" } else { "NO" })?;
        if same { Ok(()) } else { Err(format!("training {on} gave other weights").into()) }
    }

    async fn propose(
        &self,
        owners: &[Client],
        study: &Name,
    ) -> anyhow::Result<dyad_client::job::Prepared> {
        let proposal = Proposal {
            study,
            training: Described::Short(&self.wish.training),
            engine: self.wish.engine,
            randomness: self.wish.randomness,
            opening: self.wish.opening,
            recipients: vec![],
            may_predict: vec![],
            uploads: vec![],
            leave_out: self.wish.leave_out,
            test_share: TESTED,
            split: 1,
            checkpoint: None,
        };
        let prepared = owners[0].prepare(&proposal).await?;
        owners[0].propose(&prepared).await?;
        Ok(prepared)
    }
}

async fn approve(owners: &[Client], study: &Frozen, job: &[u8; 32]) -> anyhow::Result<()> {
    for owner in owners {
        let uses = |owner: &Client, reviewed: &dyad_client::job::Reviewed| {
            reviewed.status.job.owners().contains(&owner.name())
        };
        let reviewed = owner.review(study, job).await?;
        if uses(owner, &reviewed) {
            owner.approve(&reviewed, APPROVED).await?;
        }
    }
    Ok(())
}

/// All owners watch, and answer where a joint release waits for them; the first one tells.
async fn watch(
    owners: &[Client],
    study: &Frozen,
    job: &[u8; 32],
    tell: &mut dyn FnMut(&Status),
) -> anyhow::Result<Status> {
    let mut last = None;
    loop {
        for (i, owner) in owners.iter().enumerate() {
            let [_, status] = owner.job(study, job).await?;
            if i == 0 {
                tell(&status);
            }
            if status.state == State::Sealed && status.answers_awaited.contains(owner.name()) {
                owner.answer(study, job).await?;
            }
            last = Some(status);
        }
        match last.take() {
            Some(status) if status.state.is_over() => return Ok(status),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

fn table(on: &str, shared: &Outcome, clear: &Outcome, plain: &Outcome) -> Told<()> {
    title("                                    accuracy      loss      time")?;
    let rows = [(on, shared), ("in the clear", clear), ("in floating point", plain)];
    for (what, Outcome { scores, seconds }) in rows {
        let number =
            |x: Option<f64>, digits| x.map_or_else(|| "-".to_owned(), |x| format!("{x:.digits$}"));
        let part = |part: fn(&Scores) -> Option<f64>| scores.as_ref().and_then(part);
        let accuracy = part(|scores| scores.accuracy).map(|accuracy| accuracy * 100.0);
        let accuracy = accuracy.map_or_else(|| "-".to_owned(), |x| format!("{x:.2} %"));
        let loss = number(part(|scores| scores.loss), 4);
        let text = format!("{what:<32} {accuracy:>12} {loss:>9} {seconds:>7.2} s");
        writeln!(stdout(), "  {text}")?;
    }
    title("")?;
    Ok(())
}

/// What a step says when it fails.
#[derive(Debug)]
struct Failed(anyhow::Error);

impl Failed {
    #[allow(clippy::needless_pass_by_value)] // As `map_err` hands it over.
    fn boxed(error: Box<dyn Error>) -> Self {
        Self(anyhow::anyhow!("{error}"))
    }
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl Error for Failed {}
