//! Studies.

use super::{Context, Output, names};
use crate::args::{Create, Join, Suggest};
use crate::{ask, words};
use anyhow::{Context as _, bail};
use dyad_client::study::{Frozen, Proposed, Standing, check, draft};
use dyad_data::Schema;
use dyad_protos::study::Draft;
use dyad_protos::{Document, Hex, Name};
use serde_json::{Value, json};
use std::fmt::Write;

pub(crate) fn suggest(wanted: &Suggest) -> anyhow::Result<Output> {
    let table = wanted.file.table()?;
    let proposal = Schema::suggest(&table, wanted.label.as_deref());
    let text = proposal.to_toml();
    Ok(Output::new(json!({ "schema": text, "notes": proposal.notes() }), text))
}

pub(crate) async fn create(context: &Context, wanted: Create) -> anyhow::Result<Output> {
    let client = context.client()?;
    let path = &wanted.schema;
    let schema = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let mut members = names(&wanted.members)?;
    if !members.contains(client.name()) {
        members.insert(0, client.name().clone());
    }
    let proposed = Proposed {
        name: &wanted.name,
        schema: &schema,
        members: &members,
        label: wanted.label.as_deref(),
    };
    let draft = draft(&proposed).with_context(|| path.display().to_string())?;
    let mut standing = client.create_study(&draft).await?;
    if wanted.join {
        standing = client.join_study(&standing).await?;
    }
    let mut text = described(&draft);
    write!(
        text,
        "\nMembers join with `dyad study join {} --draft {}`",
        draft.name,
        words::short(&draft.digest())
    )?;
    Ok(Output::new(json_of(&standing, Some(&draft)), text))
}

pub(crate) async fn join(context: &Context, wanted: Join) -> anyhow::Result<Output> {
    let client = context.client()?;
    let name: Name = wanted.name.parse()?;
    let mut standing = client.study(&name).await?;
    let Some(draft) = standing.draft.clone() else {
        bail!("the key centre gave no draft of study {name}");
    };
    let digest = Hex(draft.digest()).to_string();
    if let Some(expected) = wanted.draft.filter(|expected| !digest.starts_with(expected.as_str())) {
        bail!(
            "the draft of study {name} has the digest {digest}, not {expected}: it is not what you \
             were told; ask its author"
        );
    }
    check(&draft)?;
    if !standing.joined.contains(client.name()) {
        eprint(&described(&draft));
        ask::confirm("Join this study?", context.yes)?;
    }
    standing = client.join_study(&standing).await?;
    if wanted.wait && !standing.frozen {
        let task = context.screen.task();
        client
            .until_frozen(&name, |standing| {
                task.waits(&format!("waiting for {}", words::names(&standing.awaited)));
            })
            .await?;
        task.done();
        standing = client.study(&name).await?;
    }
    let text = if standing.frozen {
        let frozen = client.frozen_study(&name).await?;
        format!("study {name} is frozen; its digest is {}", Hex(frozen.study.digest()))
    } else {
        format!(
            "joined; study {name} waits for {}. Back your keys up now: `dyad key backup FILE`",
            words::names(&standing.awaited)
        )
    };
    Ok(Output::new(json_of(&standing, Some(&draft)), text))
}

pub(crate) async fn show(context: &Context, name: &str) -> anyhow::Result<Output> {
    let client = context.client()?;
    let name: Name = name.parse()?;
    let standing = client.study(&name).await?;
    let Some(draft) = &standing.draft else {
        bail!("the key centre gave no draft of study {name}");
    };
    let mut text = described(draft);
    let mut json = json_of(&standing, Some(draft));
    if standing.frozen {
        if let Ok(frozen) = client.frozen_study(&name).await {
            parties(&mut text, &frozen)?;
            json["digest"] = Hex(frozen.study.digest()).to_string().into();
        }
    } else {
        writeln!(text, "  joined     {}", words::names(&standing.joined))?;
        writeln!(text, "  awaited    {}", words::names(&standing.awaited))?;
    }
    json["schema"] = draft.schema.clone().into();
    Ok(Output::new(json, text))
}

pub(crate) async fn list(context: &Context) -> anyhow::Result<Output> {
    let client = context.client()?;
    let studies = client.studies().await?;
    let mut text = String::new();
    for study in &studies {
        let state = if study.frozen {
            "frozen".to_owned()
        } else if study.joined.contains(client.name()) {
            format!("waits for {}", words::names(&study.awaited))
        } else {
            format!("asks you to join: dyad study join {}", study.name)
        };
        writeln!(text, "{:<24} {state}", study.name.as_str())?;
    }
    if studies.is_empty() {
        text.push_str("no studies yet; `dyad study create` makes one\n");
    }
    let json = studies.iter().map(|study| json_of(study, study.draft.as_ref())).collect();
    Ok(Output::new(Value::Array(json), text))
}

fn json_of(standing: &Standing, draft: Option<&Document<Draft>>) -> Value {
    let names = |names: &[Name]| names.iter().map(Name::to_string).collect::<Vec<_>>();
    let mut json = json!({
        "name": standing.name.as_str(),
        "frozen": standing.frozen,
        "joined": names(&standing.joined),
        "awaited": names(&standing.awaited),
    });
    if let Some(draft) = draft {
        json["draft"] = Hex(draft.digest()).to_string().into();
        json["members"] = names(&draft.members).into();
        json["columns"] = draft.columns.len().into();
        json["features"] = draft.width().into();
        json["fraction-bits"] = draft.fraction_bits.into();
        json["value-bits"] = draft.value_bits.into();
        json["label"] = draft.label.name.clone().into();
        json["classes"] = draft.label.classes.clone().into();
    }
    json
}

/// What a person looks at before joining.
fn described(draft: &Document<Draft>) -> String {
    let columns: Vec<_> = draft.columns.iter().map(|column| column.name.clone()).collect();
    let label = &draft.label;
    let predicted = if label.classes.is_empty() {
        format!("{}, a number", label.name)
    } else {
        format!("{}: {}", label.name, words::some(&label.classes))
    };
    format!(
        "study {}, draft {}\n  members    {}\n  columns    {}: {}\n  label      {predicted}\n  \
         numbers    {} bits, {} of them behind the point; {} features a row\n",
        draft.name,
        Hex(draft.digest()),
        words::names(&draft.members),
        columns.len(),
        words::some(&columns),
        draft.value_bits,
        draft.fraction_bits,
        draft.width(),
    )
}

fn parties(text: &mut String, frozen: &Frozen) -> std::fmt::Result {
    let study = &frozen.study;
    writeln!(text, "  frozen     {}", words::time(study.frozen))?;
    writeln!(text, "  digest     {}", Hex(study.digest()))?;
    for (role, cloud) in [("c0", &study.c0), ("c1", &study.c1)] {
        writeln!(text, "  {role}         {}, key {}", cloud.name, cloud.fingerprint)?;
    }
    for member in &study.members {
        writeln!(text, "  member     {}, key {}", member.name, member.fingerprint)?;
    }
    Ok(())
}

/// What belongs to a question, not to the result.
fn eprint(text: &str) {
    crate::screen::say(text.trim_end());
}
