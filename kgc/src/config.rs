//! What the key centre's operator decides.

use dyad_node::config::{Docs, Secret};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The configuration. `kgc.example.toml` explains each line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens: address and port.
    pub listen: String,
    /// How others reach it, host and port: this goes into tokens. Empty: as it listens.
    pub address: String,
    /// Folder of keys and database.
    pub store: PathBuf,
    /// What secret files are locked with. Empty: they are not locked.
    pub passphrase: Secret,
    /// How long certificates are good. Parties renew them by themselves.
    pub certificate_days: u64,
    /// Serve with parameters whose master key is public. For trying things out.
    pub insecure_demo: bool,
    /// What is refused beyond.
    pub limits: Limits,
}

/// What is refused beyond.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Jobs that are dealt for at the same time.
    pub dealers: usize,
    /// Threads of each dealer; 0: as many as there are cores.
    pub dealer_threads: usize,
    /// How long C1 may take to connect to the dealer, in seconds.
    pub connect_seconds: u64,
    /// How long the dealer waits for C1 at a time, in seconds.
    pub wait_seconds: u64,
    /// How long one attempt may take in all, in hours.
    pub attempt_hours: u64,
    /// Steps of a job.
    pub steps: u64,
    /// Studies that one owner may create.
    pub studies: u32,
    /// How long a study may wait for its members, in days: then its draft is deleted.
    pub draft_days: u64,
    /// How long a token may be good, in days.
    pub token_days: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7300".into(),
            address: String::new(),
            store: "kgc".into(),
            passphrase: Secret::default(),
            certificate_days: 90,
            insecure_demo: false,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            dealers: 4,
            dealer_threads: 0,
            connect_seconds: 60,
            wait_seconds: dyad_mpc::LIMIT.as_secs(),
            attempt_hours: 7 * 24,
            steps: 1_000_000,
            studies: 1000,
            draft_days: 90,
            token_days: 30,
        }
    }
}

impl Config {
    /// Refuses what cannot be meant.
    pub fn check(&self) -> Result<(), String> {
        let Limits { dealers, connect_seconds, wait_seconds, attempt_hours, steps, .. } =
            self.limits;
        if self.store.as_os_str().is_empty() {
            return Err("store: name a folder".into());
        }
        if !(1..=3650).contains(&self.certificate_days) {
            return Err("certificate-days: 1 to 3650".into());
        }
        if dealers == 0 || connect_seconds == 0 || wait_seconds == 0 || steps == 0 {
            return Err("limits: noughts would refuse everything".into());
        }
        if !(1..=10_000).contains(&attempt_hours) || wait_seconds > 86_400 {
            return Err("limits: attempt-hours is 1 to 10000, wait-seconds at most 86400".into());
        }
        Ok(())
    }

    /// How others reach it.
    #[must_use]
    pub fn reached_by(&self) -> &str {
        if self.address.is_empty() { &self.listen } else { &self.address }
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.store.join("keys")
    }

    pub(crate) fn secrets(&self) -> PathBuf {
        self.store.join("jobs")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.store.join("kgc.db")
    }

    /// The database, as it is opened.
    pub fn database_url(&self) -> std::io::Result<String> {
        Ok(format!("sqlite://{}", std::path::absolute(self.database())?.display()))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.store.join("admin.sock")
    }

    pub(crate) const fn certificates_last(&self) -> Duration {
        Duration::from_secs(self.certificate_days * 24 * 3600)
    }
}

/// What each key means: for the sample, and for `kgc config`.
pub const DOCS: Docs = &[
    ("listen", "Where it listens: address and port."),
    (
        "address",
        "How others reach it, host and port: this goes into the tokens that are given out. Empty: \
         as it listens.",
    ),
    (
        "store",
        "The folder of keys and database, readable by this service's user alone. Back it up: \
         without it nobody can be enrolled. Whoever has a copy of it is the key centre, and until \
         the master key has been handed over can read what owners send to the clouds.",
    ),
    (
        "passphrase",
        "What secret files are locked with; empty: they are not. Better set in the environment, \
         DYAD_PASSPHRASE, than here.",
    ),
    ("certificate_days", "How long certificates are good. Parties renew them by themselves."),
    (
        "insecure_demo",
        "Serve with parameters whose master key is public (`kgc init --insecure-demo`). Never for \
         real data.",
    ),
    ("limits", "What is refused beyond."),
    ("limits.dealers", "Jobs that are dealt for at the same time."),
    ("limits.dealer_threads", "Threads of each dealer; 0: as many as there are cores."),
    ("limits.connect_seconds", "How long C1 may take to connect to the dealer."),
    ("limits.wait_seconds", "How long the dealer waits for C1 at a time."),
    ("limits.attempt_hours", "How long one attempt at a job may take in all."),
    ("limits.steps", "Steps of a job."),
    ("limits.studies", "Studies that one owner may create."),
    ("limits.draft_days", "How long a study may wait for its members: then its draft is deleted."),
    ("limits.token_days", "How long a token may be good."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use dyad_node::config::{render_config, undocumented};

    #[test]
    fn sample_says_what_is_so_by_default() {
        assert_eq!(undocumented(&Config::default(), DOCS), Vec::<String>::new());
        let sample = render_config(&Config::default(), DOCS);
        assert_eq!(
            include_str!("../kgc.example.toml"),
            sample,
            "run: kgc config > kgc.example.toml"
        );
    }
}
