//! What the key centre's operator decides.

use dyad_net::tls::check_address;
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
        if self.store.as_os_str().is_empty() {
            return Err("key `store`: name a folder".into());
        }
        if !self.address.is_empty() {
            check_address(&self.address).map_err(|error| format!("key `address`: {error}"))?;
        }
        let limits = &self.limits;
        let dealers = limits.dealers as u64;
        for (key, found, least, most) in [
            ("certificate_days", self.certificate_days, 1, 3650),
            ("limits.dealers", dealers, 1, 1 << 10),
            ("limits.dealer_threads", limits.dealer_threads as u64, 0, 1 << 12),
            ("limits.connect_seconds", limits.connect_seconds, 1, 86_400),
            ("limits.wait_seconds", limits.wait_seconds, 1, 86_400),
            ("limits.attempt_hours", limits.attempt_hours, 1, 10_000),
            ("limits.steps", limits.steps, 1, u64::MAX),
            ("limits.studies", u64::from(limits.studies), 1, u64::from(u32::MAX)),
            ("limits.draft_days", limits.draft_days, 1, 36_500),
            ("limits.token_days", limits.token_days, 1, 3650),
        ] {
            if !(least..=most).contains(&found) {
                return Err(format!("key `{key}`: {least} to {most}, not {found}"));
            }
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
    fn what_cannot_be_meant_is_refused_by_its_key() {
        type Set = fn(&mut Config);
        assert_eq!(Config::default().check(), Ok(()));
        let zero: [(&str, Set); 10] = [
            ("certificate_days", |config| config.certificate_days = 0),
            ("address", |config| config.address = "0.0.0.0:7300".into()),
            ("limits.dealers", |config| config.limits.dealers = 0),
            ("limits.connect_seconds", |config| config.limits.connect_seconds = u64::MAX),
            ("limits.wait_seconds", |config| config.limits.wait_seconds = 0),
            ("limits.attempt_hours", |config| config.limits.attempt_hours = 0),
            ("limits.steps", |config| config.limits.steps = 0),
            ("limits.studies", |config| config.limits.studies = 0),
            ("limits.draft_days", |config| config.limits.draft_days = 0),
            ("limits.token_days", |config| config.limits.token_days = 0),
        ];
        for (key, set) in zero {
            let mut config = Config::default();
            set(&mut config);
            let refused = config.check().err().unwrap_or_default();
            assert!(refused.starts_with(&format!("key `{key}`: ")), "{key}: {refused}");
        }
    }

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
