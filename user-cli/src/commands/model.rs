//! Models.

use super::{Context, Output};
use crate::args::Score;
use crate::words;
use anyhow::{Context as _, bail};
use dyad_client::model::{Compared, Model, score_table};
use dyad_learn::Scores;
use dyad_protos::{Hex, Name};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

pub(crate) async fn fetch(
    context: &Context,
    digits: &str,
    out: Option<PathBuf>,
) -> anyhow::Result<Output> {
    let client = context.client()?;
    let (study, job) = client.job_named(digits).await?;
    let task = context.screen.task();
    task.busy("fetching and opening the model");
    let model = client.fetch(&study, &job).await?;
    task.done();
    let path = out.unwrap_or_else(|| context.home.model(&job));
    model.write(&path)?;
    let mut json = json_of(&model);
    json["file"] = path.to_string_lossy().into();
    let mut text = format!("{}\n  file       {}", described(&model), path.display());
    match client.compare(&study, &model).await {
        Ok(compared) => {
            write!(text, "\n  compared   {}", words_of(&compared))?;
            json["compared"] = json_of_compared(&compared);
            if !compared.different.is_empty() {
                // The clouds keep theirs: the model may have to be fetched again.
                return Ok(Output::new(json, text).failed(true));
            }
        }
        Err(error) => {
            let file = path.display();
            crate::screen::say(&format!(
                "the model was not compared with the other recipients' ({error}): run `dyad model \
                 compare {file}` later"
            ));
        }
    }
    // The file is there: what follows only spares the clouds' disks.
    if let Err(error) = client.fetched(&study, &job).await {
        crate::screen::say(&format!("the clouds do not know that it was fetched: {error}"));
    }
    Ok(Output::new(json, text))
}

pub(crate) async fn compare(context: &Context, named: &str) -> anyhow::Result<Output> {
    let model = Model::read(&find(context, named)?)?;
    let client = context.client()?;
    client.refresh().await?;
    let study = client.frozen_study(&model.study).await?;
    let compared = client.compare(&study, &model).await?;
    let mut json = json_of(&model);
    json["compared"] = json_of_compared(&compared);
    let text = format!("model of job {}: {}", model.job, words_of(&compared));
    Ok(Output::new(json, text).failed(!compared.different.is_empty()))
}

/// What the other recipients have, and what to do about it.
fn words_of(compared: &Compared) -> String {
    let Compared { same, different, awaited } = compared;
    let mut parts = Vec::new();
    if !different.is_empty() {
        parts.push(format!(
            "NOT THE SAME as {} got: one of you has a wrong model, because a cloud or a member has \
             lied or failed. Do not use it. If the release is joint, all members run `dyad model \
             answer` again and all recipients `dyad model fetch`; else ask who runs the clouds",
            words::names(different)
        ));
    }
    if !same.is_empty() {
        parts.push(format!("the same as {} got", words::names(same)));
    }
    if !awaited.is_empty() {
        let awaited = words::names(awaited);
        parts.push(format!("not said yet by {awaited}: `dyad model compare` asks again"));
    }
    if parts.is_empty() {
        return "there is no other recipient".to_owned();
    }
    parts.join("; ")
}

fn json_of_compared(compared: &Compared) -> Value {
    let names = |names: &[Name]| names.iter().map(Name::to_string).collect::<Vec<_>>();
    json!({
        "same": names(&compared.same),
        "different": names(&compared.different),
        "awaited": names(&compared.awaited),
    })
}

pub(crate) async fn answer(context: &Context, digits: &str) -> anyhow::Result<Output> {
    let client = context.client()?;
    let (study, job) = client.job_named(digits).await?;
    let task = context.screen.task();
    task.busy("answering");
    let awaited = client.answer(&study, &job).await?;
    task.done();
    let text = if awaited.is_empty() {
        "answered; nobody is awaited any more".to_owned()
    } else {
        format!("answered; awaited: {}", words::names(&awaited))
    };
    let names: Vec<_> = awaited.iter().map(ToString::to_string).collect();
    Ok(Output::new(json!({ "job": Hex(job).to_string(), "awaited": names }), text))
}

pub(crate) fn show(context: &Context, named: &str) -> anyhow::Result<Output> {
    let model = Model::read(&find(context, named)?)?;
    Ok(Output::new(json_of(&model), described(&model)))
}

pub(crate) fn score(context: &Context, wanted: &Score) -> anyhow::Result<Output> {
    let model = Model::read(&find(context, &wanted.model)?)?;
    let scored = score_table(&model, &wanted.file.table()?)?;
    let mut text = String::new();
    let classes = &model.label.classes;
    if classes.is_empty() {
        writeln!(text, "row,{}", cell(&model.label.name))?;
    } else {
        let heads = classes.iter().map(|class| cell(class)).collect::<Vec<_>>();
        writeln!(text, "row,{},{}", cell(&model.label.name), heads.join(","))?;
    }
    for prediction in &scored.predictions {
        write!(text, "{}", cell(&prediction.row))?;
        if let Some(class) = &prediction.class {
            write!(text, ",{}", cell(class))?;
        }
        for value in &prediction.values {
            write!(text, ",{value:.6}")?;
        }
        writeln!(text)?;
    }
    if let Some(scores) = &scored.scores {
        crate::screen::say(&format!("{scores}"));
    }
    if scored.dropped > 0 {
        crate::screen::say(&format!("{} rows were left out: a cell is missing", scored.dropped));
    }
    let mut json = serde_json::to_value(&scored)?;
    json["classes"] = classes.clone().into();
    json["scores"] = scored.scores.as_ref().map(scores).into();
    Ok(Output::new(json, text))
}

/// A model's file: that one, or the one of the job whose digest begins so.
fn find(context: &Context, named: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new(named);
    if path.exists() {
        return Ok(path.to_owned());
    }
    let folder = context.home.model(&[0; 32]);
    let folder = folder.parent().context("the home folder has no place for models")?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !named.is_empty() && name.starts_with(named) && name.ends_with(".json") {
            found.push(path);
        }
    }
    match &found[..] {
        [path] => Ok(path.clone()),
        [] => bail!(
            "`{named}` is neither a file nor a model in {}; fetch it first: \
                     `dyad model fetch {named}`",
            folder.display()
        ),
        _ => bail!("more than one model begins with `{named}`; give more of it"),
    }
}

fn described(model: &Model) -> String {
    let widths: Vec<_> = model.train.widths.iter().map(ToString::to_string).collect();
    format!(
        "model of job {}\n  study      {}\n  layers     {}, {} weights\n  predicts   {}\n  \
         digest     {}",
        model.job,
        model.study,
        widths.join("-"),
        words::count(model.parameters() as u64),
        if model.label.classes.is_empty() {
            format!("{}, a number", model.label.name)
        } else {
            format!("{}: {}", model.label.name, words::some(&model.label.classes))
        },
        model.digest,
    )
}

fn json_of(model: &Model) -> Value {
    json!({
        "job": model.job.to_string(),
        "study": model.study.as_str(),
        "digest": model.digest.to_string(),
        "release": model.release.to_string(),
        "widths": model.train.widths,
        "weights": model.parameters(),
        "label": model.label.name,
        "classes": model.label.classes,
    })
}

/// A model's quality.
pub(crate) fn scores(scores: &Scores) -> Value {
    let mut json = json!({});
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            json[name] = value;
        }
    };
    put("loss", scores.loss.map(Value::from));
    put("accuracy", scores.accuracy.map(Value::from));
    put("auc", scores.auc.map(|auc| json!({ "value": auc.value, "error": auc.error })));
    put("confusion", scores.confusion.clone().map(Value::from));
    json
}

/// A cell of a CSV file.
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_is_said_and_what_to_do() {
        let name = |name: &str| -> Name { name.parse().unwrap() };
        assert_eq!(words_of(&Compared::default()), "there is no other recipient");
        let compared = Compared {
            same: vec![name("north")],
            different: vec![name("south")],
            awaited: vec![name("east"), name("west")],
        };
        let said = words_of(&compared);
        for words in
            ["NOT THE SAME as south got", "the same as north", "not said yet by east, west"]
        {
            assert!(said.contains(words), "{said}");
        }
        assert!(said.contains("dyad model answer") && said.contains("Do not use it"), "{said}");
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(cell("plain"), "plain");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("say \"so\""), "\"say \"\"so\"\"\"");
    }
}
