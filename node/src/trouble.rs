//! How an error is shown to whoever started the service, and what exit code it gives.

use crate::config::ConfigError;
use crate::store::StoreError;
use std::fmt;

/// A usage or configuration that cannot work, found by the service itself: exit code 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// What to do about the error it is put around; see [`Advise`].
#[derive(Clone, Debug, PartialEq, Eq)]
struct Advice(String);

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Adds to an error what to do about it: printed on a line of its own.
pub trait Advise<T> {
    /// What to do, as an order: "start the key centre first".
    fn advise(self, what_to_do: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Advise<T> for Result<T, E> {
    fn advise(self, what_to_do: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| {
            let error: anyhow::Error = error.into();
            // The line it shows stays that of the error itself.
            let shown = line(error.as_ref());
            error.context(Advised { shown, advice: Advice(what_to_do.into()) })
        })
    }
}

#[derive(Debug)]
struct Advised {
    shown: String,
    advice: Advice,
}

impl fmt::Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The error as `error: … / because: … / what to do: …`, a line each.
#[must_use]
pub fn told(error: &anyhow::Error) -> String {
    let mut lines: Vec<String> = Vec::new();
    for cause in error.chain() {
        let what = line(cause);
        // Many errors repeat what is below them.
        if lines.last().is_some_and(|above| above.ends_with(&what)) {
            continue;
        }
        let label = if lines.is_empty() { "error" } else { "because" };
        lines.push(format!("{label}: {what}"));
    }
    if let Some(advised) = error.downcast_ref::<Advised>() {
        lines.push(format!("what to do: {}", advised.advice));
    } else if let Some(store) = error.chain().find_map(|e| e.downcast_ref::<StoreError>()) {
        lines.push(format!("what to do: {}", store.advice()));
    } else if is_usage(error) {
        lines.push("what to do: see --help".to_owned());
    }
    lines.join("\n")
}

/// An error without what is below it, and without its advice.
fn line(error: &(dyn std::error::Error + 'static)) -> String {
    match error.downcast_ref::<StoreError>() {
        Some(store) => store.what(),
        None => error.to_string(),
    }
}

/// Whether whoever started it has to change how.
pub(crate) fn is_usage(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Usage>().is_some() || error.downcast_ref::<ConfigError>().is_some()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn three_kinds_of_lines() {
        let full = || StoreError::Full { place: "a.db".to_owned() };
        let error = Err::<(), _>(full()).context("cannot keep the upload").unwrap_err();
        assert_eq!(
            told(&error),
            "error: cannot keep the upload\n\
             because: a.db: no space left; nothing of this step was kept\n\
             what to do: free space or raise the quota, then repeat"
        );
        let error = Err::<(), _>(full()).advise("buy a disk").context("no start").unwrap_err();
        assert_eq!(
            told(&error),
            "error: no start\n\
             because: a.db: no space left; nothing of this step was kept\n\
             what to do: buy a disk"
        );
        let usage = anyhow::Error::from(Usage("no such study".to_owned())).context("x");
        assert!(is_usage(&usage));
    }
}
