//! Enrolling, and keeping keys safe.

use super::{Context, Output};
use crate::args::Enroll;
use crate::{ask, words};
use anyhow::Context as _;
use dyad_client::Client;
use serde_json::json;
use std::io::Read;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) async fn enroll(context: &Context, wanted: Enroll) -> anyhow::Result<Output> {
    let token = if wanted.token == "-" {
        let mut token = String::new();
        std::io::stdin().read_to_string(&mut token).context("no token came on standard input")?;
        token
    } else {
        wanted.token
    };
    let passphrase = if wanted.passphrase {
        Some(ask::new_passphrase("New passphrase of the keys")?)
    } else {
        ask::given()
    };
    let access = context.access(passphrase.as_ref().map(|passphrase| passphrase.as_str()));
    let client = Client::enrol(context.home.clone(), token.trim(), &access).await?;
    let (json, text) = about(&client);
    let hint = format!(
        "{text}\nKeep the keys safe: `dyad key backup FILE`. Whoever loses the key of a study can \
         open no joint release."
    );
    Ok(Output::new(json, hint))
}

pub(crate) fn show(context: &Context) -> anyhow::Result<Output> {
    let (json, text) = about(&context.client()?);
    Ok(Output::new(json, text))
}

fn about(client: &Client) -> (serde_json::Value, String) {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |s| s.as_secs());
    let ends = seconds(client.certificate_ends());
    let fingerprint = client.fingerprint();
    let json = json!({
        "owner": client.name().as_str(),
        "home": client.home().path(),
        "key-centre": client.key_centre().name.as_str(),
        "fingerprint": fingerprint,
        "certificate-ends": ends,
    });
    let text = format!(
        "{} is enrolled with key centre {}\n  home         {}\n  fingerprint  {fingerprint}\n  \
         certificate  until {}",
        client.name(),
        client.key_centre().name,
        client.home().path().display(),
        words::time(ends),
    );
    (json, text)
}

pub(crate) fn backup(context: &Context, file: &Path) -> anyhow::Result<Output> {
    let passphrase = ask::new_passphrase("New passphrase of the backup")?;
    let files = dyad_client::backup(&context.home, file, &passphrase)?;
    let text = format!(
        "{files} files are in {}, locked; keep it apart from this machine, and its passphrase apart \
         from it. Make a new one after joining a study",
        file.display()
    );
    Ok(Output::new(json!({ "file": file, "files": files }), text))
}

pub(crate) fn restore(context: &Context, file: &Path) -> anyhow::Result<Output> {
    let passphrase = ask::passphrase("Passphrase of the backup")?;
    let files = dyad_client::restore(&context.home, file, &passphrase)?;
    let home = context.home.path();
    let text = format!("{files} files are back in {}", home.display());
    Ok(Output::new(json!({ "home": home, "files": files }), text))
}
