//! Jobs.

use super::{Context, Output, names};
use crate::args::{Approve, Estimate, Metric, Propose, What};
use crate::screen::{Unit, say};
use crate::{ask, words};
use anyhow::{Context as _, bail};
use dyad_client::Client;
use dyad_client::job::{
    self, Described, Finished, Line, Prepared, Proposal, State, Status, Training,
    estimate as estimated,
};
use dyad_client::study::Frozen;
use dyad_learn::{Loss, Plan};
use dyad_protos::job::{Engine, Opening, Randomness};
use dyad_protos::{Document, Hex, Job, Name};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

const DAY: u64 = 86_400;

/// What is said of a joint release wherever one is agreed to.
const JOINT: &str = "\
every member of the study must answer before anybody has the model.
ONE KEY THAT IS LOST ENDS THE RELEASE FOR EVER: have all of them run `dyad key backup`";

pub(crate) async fn propose(context: &Context, wanted: Propose) -> anyhow::Result<Output> {
    let client = context.client()?;
    let prepared = prepare(context, &client, &wanted.what).await?;
    let [_, mut status] = client.propose(&prepared).await?;
    let digest = words::short(&prepared.job.digest());
    let mut text = described(&client, &prepared.study, &prepared.job, prepared.training.plan());
    text += &costs(&prepared);
    if wanted.approve {
        say(text.trim_end());
        ask::confirm("Approve of it as well?", context.yes)?;
        text.clear();
        let reviewed = client.review(&prepared.study, &prepared.job.digest()).await?;
        let valid = Duration::from_secs(wanted.valid * DAY);
        [_, status] = client.approve(&reviewed, valid).await?;
    }
    writeln!(text, "\nproposed; every owner runs `dyad job approve {digest}`")?;
    writeln!(text, "awaited: {}", words::names(&status.awaited))?;
    Ok(Output::new(json_of(&prepared.study, &status), text))
}

async fn prepare(context: &Context, client: &Client, what: &What) -> anyhow::Result<Prepared> {
    let Some(study) = &what.study else { bail!("say which study: --study STUDY") };
    let study: Name = study.parse()?;
    let whole = what.train.as_ref().map(|path| {
        std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
    });
    let whole = whole.transpose()?;
    let training = training(what)?;
    let training = match (&whole, &training) {
        (Some(text), _) => Described::Whole(text),
        (None, Some(training)) => Described::Short(training),
        (None, None) => bail!("say what is trained: --model logistic, linear or mlp:32,16"),
    };
    let uploads = uploads(client, &study, &what.uploads).await?;
    let (engine, randomness, opening) = what.means();
    let task = context.screen.task();
    task.busy("asking both clouds how rows match");
    let prepared = client
        .prepare(&Proposal {
            study: &study,
            training,
            engine,
            randomness,
            opening,
            recipients: names(&what.recipients)?,
            may_predict: names(&what.may_predict)?,
            uploads,
            leave_out: what.leave_out,
            test_share: what.test_share,
            split: what.split,
            checkpoint: what.checkpoint,
        })
        .await?;
    task.done();
    Ok(prepared)
}

/// A training as the flags say it.
fn training(what: &What) -> anyhow::Result<Option<Training>> {
    let Some(model) = &what.model else { return Ok(None) };
    let metric = |metric: &Metric| match metric {
        Metric::Loss => dyad_learn::Metric::Loss,
        Metric::Accuracy => dyad_learn::Metric::Accuracy,
        Metric::Confusion => dyad_learn::Metric::Confusion,
        Metric::Auc => dyad_learn::Metric::Auc,
    };
    let metrics: Vec<_> = what.metrics.iter().map(metric).collect();
    Ok(Some(Training {
        epochs: what.epochs,
        batch: what.batch,
        rate: what.rate,
        momentum: what.momentum,
        decay: what.decay,
        seed: what.seed,
        metrics: (!metrics.is_empty()).then_some(metrics),
        ..Training::of(model.parse()?)
    }))
}

/// Digests of the uploads whose first digits are given.
async fn uploads(client: &Client, study: &Name, named: &[String]) -> anyhow::Result<Vec<[u8; 32]>> {
    if named.is_empty() {
        return Ok(Vec::new());
    }
    client.refresh().await?;
    let study = client.frozen_study(study).await?;
    let all: Vec<[u8; 32]> = client
        .finished_uploads(&study)
        .await?
        .iter()
        .map(|upload| upload.manifest.digest())
        .collect();
    let one = |digits: &String| {
        let mut found =
            all.iter().filter(|digest| Hex(**digest).to_string().starts_with(digits.as_str()));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(*one),
            (None, _) => {
                bail!(
                    "no finished upload begins with `{digits}`; see `dyad uploads --all --study STUDY`"
                )
            }
            _ => bail!("more than one upload begins with `{digits}`; give more of it"),
        }
    };
    named.iter().map(one).collect()
}

pub(crate) async fn estimate(context: &Context, wanted: Estimate) -> anyhow::Result<Output> {
    let client = context.client()?;
    let (study, job, plan, cost) = if let Some(digits) = &wanted.job {
        let (study, job) = client.job_named(digits).await?;
        let reviewed = client.review(&study, &job).await?;
        (reviewed.study, reviewed.status.job, reviewed.training.plan().clone(), reviewed.cost)
    } else {
        let prepared = prepare(context, &client, &wanted.what).await?;
        (prepared.study, prepared.job, prepared.training.plan().clone(), prepared.cost)
    };
    let line = Line {
        round_trip: Duration::try_from_secs_f64(wanted.round_trip / 1000.0)
            .context("--round-trip is a time in milliseconds")?,
        bits: wanted.bandwidth * 1e6,
    };
    if line.bits.is_nan() || line.bits <= 0.0 {
        bail!("--bandwidth is a number of megabits a second, more than 0");
    }
    let speed = tokio::task::block_in_place(|| client.speed(&study, &job))?;
    let it = estimated(&plan, job.test_rows, cost, speed, line);
    let text = format!(
        "steps        {}\nrounds       {}\nbytes        {} from C0, {} from C1, {} dealt to C1\n\
         memory       about {} in each cloud\ntime         about {}: {} computing, {} waiting for \
         the line\n\nRounds and bytes are exact. Time is as if both clouds were machines like this \
         one, {} ms and {} Mbit/s apart.\n",
        words::count(it.steps),
        words::count(it.rounds),
        words::bytes(it.sent[0]),
        words::bytes(it.sent[1]),
        words::bytes(it.dealt),
        words::bytes(it.memory),
        words::seconds(it.seconds()),
        words::seconds(it.compute),
        words::seconds(it.network),
        wanted.round_trip,
        wanted.bandwidth,
    );
    let mut json = serde_json::to_value(&it)?;
    json["seconds"] = it.seconds().into();
    Ok(Output::new(json, text))
}

pub(crate) async fn approve(context: &Context, wanted: Approve) -> anyhow::Result<Output> {
    let client = context.client()?;
    let (study, job) = client.job_named(&wanted.job).await?;
    let task = context.screen.task();
    task.busy("checking the job at both clouds");
    let reviewed = client.review(&study, &job).await?;
    task.done();
    let mut summary = described(&client, &study, &reviewed.status.job, reviewed.training.plan());
    summary += &uploads_of(&reviewed.uploads);
    summary += &matched(reviewed.matched.complete, &reviewed.matched.owners);
    say(summary.trim_end());
    ask::confirm("Approve of this job?", context.yes)?;
    let valid = Duration::from_secs(wanted.valid * DAY);
    let [_, status] = client.approve(&reviewed, valid).await?;
    if wanted.answer {
        return watched(context, &client, &study, &job, true).await;
    }
    let next = if status.awaited.is_empty() {
        format!("all owners have: `dyad job watch {}`", words::short(&job))
    } else {
        format!("awaited: {}", words::names(&status.awaited))
    };
    let text = format!("approved, for {} days; {next}", wanted.valid);
    Ok(Output::new(json_of(&study, &status), text))
}

pub(crate) async fn revoke(context: &Context, digits: &str) -> anyhow::Result<Output> {
    let client = context.client()?;
    let (study, job) = client.job_named(digits).await?;
    let [_, status] = client.revoke(&study, &job).await?;
    let text = format!("your approval of job {} is taken back", words::short(&job));
    Ok(Output::new(json_of(&study, &status), text))
}

pub(crate) async fn cancel(context: &Context, digits: &str) -> anyhow::Result<Output> {
    let client = context.client()?;
    let (study, job) = client.job_named(digits).await?;
    let question = format!("Call job {} off?", words::short(&job));
    ask::confirm(&question, context.yes)?;
    let [_, status] = client.cancel(&study, &job).await?;
    Ok(Output::new(json_of(&study, &status), format!("job {} is called off", words::short(&job))))
}

pub(crate) async fn list(context: &Context, study: Option<String>) -> anyhow::Result<Output> {
    let client = context.client()?;
    let alone = study.is_some();
    let studies = match study {
        Some(study) => vec![study.parse()?],
        None => client.pinned_studies()?,
    };
    let (mut text, mut json) = (String::new(), Vec::new());
    for name in studies {
        if client.pinned(&name)?.is_none() && client.frozen_study(&name).await.is_err() {
            continue;
        }
        let study = client.frozen_study(&name).await?;
        let jobs = match client.jobs(&name).await {
            Ok(jobs) => jobs,
            // One study that cannot be looked at does not hide the others.
            Err(error) if !alone => {
                writeln!(text, "{:<8}  {:<16} not looked at: {error}", "", name.as_str())?;
                json.push(json!({ "study": name.as_str(), "error": error.to_string() }));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for status in jobs {
            writeln!(
                text,
                "{}  {:<16} {:<10} {}",
                words::short(&status.digest()),
                name.as_str(),
                status.state,
                standing(&status),
            )?;
            json.push(json_of(&study, &status));
        }
    }
    if json.is_empty() {
        text.push_str("no jobs yet; `dyad job propose` makes one\n");
    }
    Ok(Output::new(Value::Array(json), text))
}

pub(crate) async fn show(context: &Context, digits: &str) -> anyhow::Result<Output> {
    let client = context.client()?;
    let (study, job) = client.job_named(digits).await?;
    let [_, status] = client.job(&study, &job).await?;
    let plan = job::plan(&status.job, &study)?;
    let mut text = described(&client, &study, &status.job, &plan);
    writeln!(text, "  state      {}", stated(&status))?;
    writeln!(text, "  approved   {}", words::names(&status.approved))?;
    if status.attempts > 0 {
        let (step, steps) = (words::count(status.step), words::count(status.steps));
        writeln!(text, "  step       {step} of {steps}, attempt {}", status.attempts)?;
    }
    if let Some(scores) = &status.scores {
        writeln!(text, "  quality    {scores}")?;
    }
    let mut json = json_of(&study, &status);
    json["text"] = String::from_utf8_lossy(status.job.text()).into_owned().into();
    Ok(Output::new(json, text))
}

pub(crate) async fn watch(context: &Context, digits: &str, answer: bool) -> anyhow::Result<Output> {
    let client = context.client()?;
    let (study, job) = client.job_named(digits).await?;
    watched(context, &client, &study, &job, answer).await
}

async fn watched(
    context: &Context,
    client: &Client,
    study: &Frozen,
    job: &[u8; 32],
    answer: bool,
) -> anyhow::Result<Output> {
    let task = context.screen.task();
    let mut epochs = None;
    let status = client
        .watch(study, job, answer, |status| match status {
            Ok(status) if status.state == State::Running => {
                let of = *epochs.get_or_insert_with(|| {
                    job::plan(&status.job, study).map_or(0, |plan| plan.job().epochs)
                });
                let epoch = (status.epoch + 1).min(u64::from(of));
                let what = format!("training, epoch {epoch} of {of}");
                task.at(&what, Unit::Steps, status.step, status.steps);
            }
            Ok(status) => task.waits(&stated(status)),
            Err(error) => task.waits(&format!("{error}; trying again")),
        })
        .await?;
    task.done();
    let mut text = format!("job {} is {}", words::short(job), status.state);
    match status.state {
        State::Failed => write!(text, ": {}", status.reason)?,
        State::Released if status.job.recipients.contains(client.name()) => {
            write!(text, ": `dyad model fetch {}`", words::short(job))?;
        }
        _ => {}
    }
    if let Some(scores) = &status.scores {
        write!(text, "\nmeasured on {} rows: {scores}", words::count(status.job.test_rows))?;
    }
    let failed = status.state != State::Released;
    Ok(Output::new(json_of(study, &status), text).failed(failed))
}

/// How it stands, in a few words.
fn stated(status: &Status) -> String {
    match standing(status) {
        nothing if nothing.is_empty() => status.state.to_string(),
        standing => format!("{}: {standing}", status.state),
    }
}

/// What it waits for, in a few words.
fn standing(status: &Status) -> String {
    let answers = words::names(&status.answers_awaited);
    match status.state {
        State::Proposed => format!("waits for the approval of {}", words::names(&status.awaited)),
        State::Approved if status.reason.is_empty() => "all have signed; it will begin".to_owned(),
        State::Running => {
            let left = status.seconds_left();
            let left = left.map(|left| format!(", {} left", words::seconds(left)));
            let steps = format!("step {} of {}", status.step, status.steps);
            let reason = if status.reason.is_empty() {
                String::new()
            } else {
                format!(" ({})", status.reason)
            };
            format!("{steps}{}{reason}", left.unwrap_or_default())
        }
        State::Trained => "trained; being sealed".to_owned(),
        State::Sealed if answers.is_empty() => "sealed".to_owned(),
        State::Sealed => format!("waits for the answers of {answers}"),
        _ => status.reason.clone(),
    }
}

/// What a person looks at before signing.
fn described(client: &Client, study: &Frozen, job: &Document<Job>, plan: &Plan) -> String {
    let train = plan.job();
    let loss = match train.loss {
        Loss::SquaredError => "squared error",
        Loss::Softmax => "softmax, cross-entropy",
        Loss::Sigmoid => "sigmoid, cross-entropy",
    };
    let widths: Vec<_> = train.widths.iter().map(ToString::to_string).collect();
    let metrics: Vec<_> =
        train.metrics.iter().map(|metric| format!("{metric:?}").to_lowercase()).collect();
    let metrics = if metrics.is_empty() { "nothing".to_owned() } else { metrics.join(", ") };
    let release = match job.opening {
        Opening::Each => "each: the clouds seal their shares to each recipient".to_owned(),
        Opening::Joint => format!("joint: {}", JOINT.replace('\n', "\n             ")),
    };
    let out = match job.left_out {
        0 => "no row is left out".to_owned(),
        rows => format!("{} rows that lack a column are left out", words::count(rows)),
    };
    let text = format!(
        "job {}\n  study      {}\n  author     {}, with release {}\n  model      {} ({loss}), {} \
         weights\n  training   {} epochs of {} steps, batches of {}, rate {}\n  computed   {}\n  rows       {} \
         to train on, {} to measure on; {out}\n  measured   {metrics}: opened to all owners\n  release    \
         {release}\n  gets it    {}\n",
        Hex(job.digest()),
        study.study.draft.name,
        job.author,
        job.release,
        widths.join("-"),
        words::count(plan.released().iter().map(|meta| meta.shape.len() as u64).sum()),
        train.epochs,
        words::count(plan.steps_per_epoch()),
        train.batch,
        plan.rate(0),
        computed(job),
        words::count(job.rows - job.test_rows),
        words::count(job.test_rows),
        words::names(&job.recipients),
    );
    let asks = match &job.may_predict[..] {
        [] => String::new(),
        names => format!(
            "  may ask    {}: once shared models can be asked; until then this only keeps the \
             clouds' shares\n",
            words::names(names)
        ),
    };
    let owners: Vec<_> = job.owners().into_iter().cloned().collect();
    let mine = job.uploads.iter().filter(|upload| upload.owner == *client.name()).count();
    let owners = words::names(&owners);
    format!("{text}{asks}  data of    {owners}; uploads of yours: {mine}\n")
}

/// On what, and whose randomness.
const fn computed(job: &Job) -> &'static str {
    match (job.engine, job.randomness) {
        (Engine::Share, Randomness::Dealer) => "on shares; the key centre deals randomness",
        (Engine::Share, Randomness::Pairwise) => "on shares, by the two clouds alone",
        (Engine::Cipher, _) => "on ciphertexts under the unified key, by the two clouds alone",
    }
}

fn uploads_of(uploads: &[Finished]) -> String {
    let line = |upload: &Finished| {
        let manifest = &upload.manifest;
        format!(
            "             {}  {}: {} rows, {}\n",
            words::short(&manifest.digest()),
            manifest.owner,
            words::count(manifest.rows),
            words::some(&manifest.columns),
        )
    };
    uploads.iter().map(line).collect()
}

/// How rows fit together, as both clouds found it: in all, and of each owner's how many.
fn matched(complete: u64, owners: &[(Name, u64, u64)]) -> String {
    let owners = owners.iter().map(|(owner, rows, incomplete)| {
        let (all, whole) = (words::count(*rows), words::count(rows.saturating_sub(*incomplete)));
        format!("             {owner}: {whole} of {all} rows\n")
    });
    format!(
        "  matched    {} rows have every column\n{}",
        words::count(complete),
        owners.collect::<String>(),
    )
}

fn costs(prepared: &Prepared) -> String {
    let cost = &prepared.cost;
    format!(
        "{}  costs      {} rounds, {} from each cloud to the other, {} dealt; `dyad job estimate` \
         says more\n",
        matched(prepared.matched.complete, &prepared.matched.owners),
        words::count(cost.rounds),
        words::bytes(cost.bytes[0].max(cost.bytes[1])),
        words::bytes(cost.dealt),
    )
}

fn json_of(study: &Frozen, status: &Status) -> Value {
    let names = |names: &[Name]| names.iter().map(Name::to_string).collect::<Vec<_>>();
    let scores = status.scores.as_ref().map(super::model::scores);
    json!({
        "job": Hex(status.digest()).to_string(),
        "study": study.study.draft.name.as_str(),
        "study-digest": status.job.study.to_string(),
        "author": status.job.author.as_str(),
        "state": status.state,
        "reason": status.reason,
        "engine": status.job.engine,
        "randomness": status.job.randomness,
        "release": match status.job.opening { Opening::Each => "each", Opening::Joint => "joint" },
        "recipients": names(&status.job.recipients),
        "rows": status.job.rows,
        "test-rows": status.job.test_rows,
        "left-out": status.job.left_out,
        "approved": names(&status.approved),
        "awaited": names(&status.awaited),
        "answers-awaited": names(&status.answers_awaited),
        "step": status.step,
        "steps": status.steps,
        "epoch": status.epoch,
        "steps-per-second": status.rate,
        "seconds-left": status.seconds_left(),
        "attempts": status.attempts,
        "scores": scores,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_by_owner() {
        let owners = [("north".parse().unwrap(), 1200, 0), ("south".parse().unwrap(), 900, 25)];
        let said = matched(875, &owners);
        assert!(said.contains("matched    875 rows have every column"), "{said}");
        assert!(said.contains("north: 1,200 of 1,200 rows"), "{said}");
        assert!(said.contains("south: 875 of 900 rows"), "{said}");
    }
}
