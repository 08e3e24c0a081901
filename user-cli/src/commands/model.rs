//! Models.

use super::{Context, Output};
use crate::args::Score;
use crate::words;
use anyhow::{Context as _, bail};
use dyad_client::model::{Model, score_table};
use dyad_learn::Scores;
use dyad_protos::Hex;
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
    // The file is there: what follows only spares the clouds' disks.
    if let Err(error) = client.fetched(&study, &job).await {
        crate::screen::say(&format!("the clouds do not know that it was fetched: {error}"));
    }
    let mut json = json_of(&model);
    json["file"] = path.to_string_lossy().into();
    let text = format!("{}\n  file       {}", described(&model), path.display());
    Ok(Output::new(json, text))
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
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(cell("plain"), "plain");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("say \"so\""), "\"say \"\"so\"\"\"");
    }
}
