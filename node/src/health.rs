//! Whether a service is ready, by named checks.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Checks = BTreeMap<String, Result<(), String>>;

/// Named checks, each ready or not and why. Ready is who has at least one check, and all of them
/// ready. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Health {
    checks: Arc<Mutex<Checks>>,
}

impl Health {
    /// Without checks, so not ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Checks> {
        // Each change is one insertion: what another thread left behind is whole.
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Check `name` is ready.
    pub fn ready(&self, name: &str) {
        self.lock().insert(name.to_owned(), Ok(()));
    }

    /// Check `name` is not ready, and why. Shown to whoever asks: nothing secret.
    pub fn not_ready(&self, name: &str, why: impl Into<String>) {
        self.lock().insert(name.to_owned(), Err(why.into()));
    }

    /// Whether all is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let checks = self.lock();
        !checks.is_empty() && checks.values().all(Result::is_ok)
    }

    /// A line for each check.
    #[must_use]
    pub fn report(&self) -> String {
        let checks = self.lock();
        if checks.is_empty() {
            return "starting\n".to_owned();
        }
        let mut text = String::new();
        for (name, state) in checks.iter() {
            // Writing to a string cannot fail.
            let _written = match state {
                Ok(()) => writeln!(text, "{name}: ready"),
                Err(why) => writeln!(text, "{name}: not ready: {why}"),
            };
        }
        text
    }
}
