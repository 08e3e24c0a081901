//! Uploads.

use super::{Context, Output};
use crate::args;
use crate::screen::Unit;
use crate::{ask, words};
use dyad_client::upload::{Phase, Request, State, Upload};
use dyad_protos::upload::Mode;
use dyad_protos::{Hex, Name};
use serde_json::{Value, json};
use std::fmt::Write;

pub(crate) async fn upload(context: &Context, wanted: args::Upload) -> anyhow::Result<Output> {
    let client = context.client()?;
    let study: Name = wanted.study.parse()?;
    let request = Request {
        study: &study,
        file: &wanted.file.file,
        mode: if wanted.packed { Mode::Packed } else { Mode::Sealed },
        options: wanted.file.options()?,
    };
    let task = context.screen.task();
    let progress = |phase, done, total| match phase {
        Phase::Reading => task.busy("reading the file"),
        Phase::Checking => task.at("checking", Unit::Bytes, done, total),
        Phase::Sending => task.at("encrypting and sending", Unit::Bytes, done, total),
    };
    let upload = match &wanted.file.number_rows {
        Some(column) => client.upload_numbered(&request, column, &progress).await?,
        None => client.upload(&request, &progress).await?,
    };
    task.done();
    let mut text = format!(
        "upload {} of {}: {} rows, columns {}; both clouds have signed for it",
        words::short(&upload.digest()),
        upload.file.display(),
        words::count(upload.manifest.rows),
        words::some(&upload.manifest.columns),
    );
    if upload.dropped > 0 {
        let dropped = words::count(upload.dropped);
        write!(
            text,
            "\n{dropped} rows were left out: a cell is missing whose column says drop-row"
        )?;
    }
    Ok(Output::new(json_of(&upload), text))
}

pub(crate) async fn list(context: &Context, wanted: args::Uploads) -> anyhow::Result<Output> {
    let client = context.client()?;
    if let (Some(study), true) = (&wanted.study, wanted.all) {
        client.refresh().await?;
        let study = client.frozen_study(&study.parse()?).await?;
        let uploads = client.finished_uploads(&study).await?;
        let (mut text, mut json) = (String::new(), Vec::new());
        for upload in &uploads {
            let manifest = &upload.manifest;
            writeln!(
                text,
                "{}  {:<16} {:>10} rows  {}",
                words::short(&manifest.digest()),
                manifest.owner.as_str(),
                words::count(manifest.rows),
                words::some(&manifest.columns),
            )?;
            json.push(json!({
                "upload": Hex(manifest.digest()).to_string(),
                "owner": manifest.owner.as_str(),
                "rows": manifest.rows,
                "columns": manifest.columns,
                "mode": manifest.mode.as_str(),
            }));
        }
        return Ok(Output::new(Value::Array(json), text));
    }
    let mut uploads = client.uploads()?;
    if let Some(study) = wanted.study {
        uploads.retain(|upload| upload.study.as_str() == study);
    }
    let mut text = String::new();
    for upload in &uploads {
        let state = match upload.state {
            State::Sending => "broken off: run the same `dyad upload` again",
            State::Finished => "finished",
            State::Withdrawn => "withdrawn",
        };
        writeln!(
            text,
            "{}  {:<16} {:>10} rows  {}  {state}",
            words::short(&upload.digest()),
            upload.study.as_str(),
            words::count(upload.manifest.rows),
            upload.file.display(),
        )?;
    }
    if uploads.is_empty() {
        text.push_str("no uploads yet; `dyad upload FILE --study STUDY` makes one\n");
    }
    Ok(Output::new(Value::Array(uploads.iter().map(json_of).collect()), text))
}

pub(crate) async fn withdraw(context: &Context, digits: &str) -> anyhow::Result<Output> {
    let client = context.client()?;
    let upload = client.upload_named(digits).await?;
    let name = words::short(&upload.digest);
    let of = match &upload.file {
        Some(file) => format!("of {}", file.display()),
        None => format!("of {} rows, made from elsewhere", words::count(upload.rows)),
    };
    let question = format!("Withdraw upload {name} {of}, and have both clouds delete it?");
    ask::confirm(&question, context.yes)?;
    client.withdraw_own(&upload).await?;
    let json = json!({ "upload": Hex(upload.digest).to_string(), "state": "withdrawn" });
    Ok(Output::new(json, format!("upload {name} is withdrawn; both clouds have deleted it")))
}

fn json_of(upload: &Upload) -> Value {
    let receipt = |i: usize| upload.receipts[i].as_ref().map(|r| r.digest.to_string());
    json!({
        "upload": Hex(upload.digest()).to_string(),
        "study": upload.study.as_str(),
        "file": upload.file,
        "state": upload.state,
        "mode": upload.manifest.mode.as_str(),
        "rows": upload.manifest.rows,
        "dropped": upload.dropped,
        "columns": upload.manifest.columns,
        "chunks": upload.manifest.chunks(),
        "receipts": { "c0": receipt(0), "c1": receipt(1) },
    })
}
