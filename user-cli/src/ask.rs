//! What a person is asked.

use anyhow::{Context as _, bail};
use std::io::{self, IsTerminal, Write};
use zeroize::Zeroizing;

/// From the environment, without asking.
pub(crate) fn given() -> Option<Zeroizing<String>> {
    let given = std::env::var("DYAD_PASSPHRASE").ok().filter(|given| !given.is_empty());
    given.map(Zeroizing::new)
}

/// A passphrase: from the environment, or typed in.
pub(crate) fn passphrase(what: &str) -> anyhow::Result<Zeroizing<String>> {
    match given() {
        Some(given) => Ok(given),
        None => typed(what),
    }
}

/// A new passphrase: from the environment, or typed in twice.
pub(crate) fn new_passphrase(what: &str) -> anyhow::Result<Zeroizing<String>> {
    if let Some(given) = given() {
        return Ok(given);
    }
    let first = typed(what)?;
    if first.is_empty() {
        bail!("an empty passphrase locks nothing");
    }
    if *typed("the same once more")? == *first {
        return Ok(first);
    }
    bail!("the two passphrases differ; nothing was done")
}

fn typed(what: &str) -> anyhow::Result<Zeroizing<String>> {
    // It is typed in at the terminal itself: standard input may be something else.
    if !io::stdin().is_terminal() && !io::stderr().is_terminal() {
        bail!("{what} is needed: set DYAD_PASSPHRASE, or run this in a terminal");
    }
    let typed = rpassword::prompt_password(format!("{what}: "));
    Ok(Zeroizing::new(typed.context("nothing could be typed in")?))
}

/// May it be done? Asked in a terminal only: whoever writes a script has decided.
pub(crate) fn confirm(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes || !io::stdin().is_terminal() {
        return Ok(());
    }
    if !io::stderr().is_terminal() {
        bail!("{question} It cannot be asked, as standard error is not shown: say --yes");
    }
    let mut stderr = io::stderr();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    bail!("nothing was done")
}
