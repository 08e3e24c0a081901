//! Configuration: defaults, then the TOML file, then the environment, then flags, each over the
//! ones before. What no part of the program knows is refused, by name and place. Values are never
//! shown: any of them may be a secret.

mod fault;
mod read;
mod sample;
mod secret;
mod tree;

pub use fault::{ConfigError, Fault};
pub use sample::{Docs, render_config, undocumented};
pub use secret::Secret;

use read::Reader;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use tree::{Node, Origin, Table};

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LogFormat {
    /// A line of text for each event.
    #[default]
    Text,
    /// A JSON object for each event.
    Json,
}

/// The keys that every service has, beside its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Common {
    /// Where health and metrics are served; nowhere, if absent.
    pub admin_listen: Option<SocketAddr>,
    /// How the log is written.
    pub log: LogFormat,
    /// What is logged: a level, or levels by module as `info,dyad_net=debug`.
    pub log_filter: String,
}

impl Default for Common {
    fn default() -> Self {
        Self { admin_listen: None, log: LogFormat::Text, log_filter: "info".to_owned() }
    }
}

/// Names and meaning of [`Common`]'s keys. A service's own keys are others.
pub(crate) const COMMON: Docs = &[
    ("admin_listen", "Where health and metrics are served, e.g. 127.0.0.1:9090; absent: nowhere."),
    ("log", "How the log is written: text or json."),
    ("log_filter", "What is logged: a level, or levels by module, e.g. info,dyad_net=debug."),
];

/// The variable that every program of Dyad takes the passphrase of its key files from: the key
/// `passphrase`, where a service has it.
pub const PASSPHRASE: &str = "DYAD_PASSPHRASE";

/// Where a configuration may come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The service's name.
    pub name: String,
    /// The file of `--config`.
    pub file: Option<PathBuf>,
    /// All variables of the environment; those that begin with `DYAD_<NAME>__` are read, and
    /// [`PASSPHRASE`].
    pub environment: Vec<(OsString, OsString)>,
    /// Flags: how it was written (`--set a.b`, `--log`), key and value.
    pub flags: Vec<(String, String, String)>,
}

/// Origin, key, value.
type Variable = (String, String, String);

/// A configuration that was read.
#[derive(Clone, Debug)]
pub struct Loaded<C> {
    /// The service's own keys.
    pub config: C,
    /// The keys that all have.
    pub common: Common,
    /// Where it came from, for the start line.
    pub sources: String,
}

impl Sources {
    /// What a variable of the environment begins with: `DYAD_KGC__` for `kgc`.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("DYAD_{}__", self.name.to_uppercase().replace('-', "_"))
    }

    /// Reads and joins them.
    pub fn load<C>(&self) -> Result<Loaded<C>, ConfigError>
    where
        C: DeserializeOwned + Serialize + Default,
    {
        let mut named = vec!["defaults".to_owned()];
        let mut root = Node::Table(Table::new(), Origin::defaults());
        root.cover(tree::of_default(&C::default())?);
        root.cover(tree::of_default(&Common::default())?);
        if let Some(file) = &self.file {
            root.cover(tree::of_file(file)?);
            named.push(file.display().to_string());
        }
        let mut variables = self.variables()?;
        let defaults = tree::of_default(&C::default())?;
        if let Some(passphrase) = self.passphrase(&defaults)? {
            // First, so that the service's own variable is over it.
            variables.insert(0, passphrase);
        }
        if !variables.is_empty() {
            named.push(format!("{} of the environment", counted(variables.len(), "variable")));
        }
        if !self.flags.is_empty() {
            named.push(counted(self.flags.len(), "flag"));
        }
        for (origin, key, value) in variables.iter().chain(&self.flags) {
            root.set(key, value, &Origin::of(origin.clone()))?;
        }
        let (config, common) = read(root)?;
        Ok(Loaded { config, common, sources: named.join(", ") })
    }

    /// Of the variable that all programs share, for a service with that key.
    fn passphrase(&self, defaults: &Node) -> Result<Option<Variable>, ConfigError> {
        let Node::Table(keys, _) = defaults else { return Ok(None) };
        let found = self.environment.iter().find(|(name, _)| name == PASSPHRASE);
        let Some((_, value)) = found.filter(|_| keys.contains_key("passphrase")) else {
            return Ok(None);
        };
        let Some(value) = value.to_str() else {
            return Err(ConfigError::one(PASSPHRASE, "environment", "its value is not UTF-8"));
        };
        let origin = format!("environment variable {PASSPHRASE}");
        Ok(Some((origin, "passphrase".to_owned(), value.to_owned())))
    }

    /// Origin, key and value of each variable that is ours.
    fn variables(&self) -> Result<Vec<Variable>, ConfigError> {
        let prefix = self.prefix();
        let mut found = Vec::new();
        for (name, value) in &self.environment {
            let Some(name) = name.to_str().filter(|name| name.starts_with(&prefix)) else {
                continue;
            };
            let Some(value) = value.to_str() else {
                return Err(ConfigError::one(name, "environment", "its value is not UTF-8"));
            };
            let key = name[prefix.len()..].to_lowercase().replace("__", ".");
            found.push((format!("environment variable {name}"), key, value.to_owned()));
        }
        // The environment has no order; with this, errors have one.
        found.sort();
        Ok(found)
    }
}

/// Takes the common keys out, reads both, and reports everything that is unknown at once.
fn read<C: DeserializeOwned>(root: Node) -> Result<(C, Common), ConfigError> {
    let Node::Table(mut own, origin) = root else {
        return Err(ConfigError::one("", "configuration", "is no table"));
    };
    let mut common = Table::new();
    for (key, _) in COMMON {
        if let Some(node) = own.remove(*key) {
            common.insert((*key).to_owned(), node);
        }
    }
    let names: Vec<_> = COMMON.iter().map(|(name, _)| *name).collect();
    let reader = Reader::new(&names);
    let common = reader.read(Node::Table(common, origin.clone()))?;
    let own = reader.read(Node::Table(own, origin));
    let unknown = reader.unknown();
    if !unknown.is_empty() {
        return Err(ConfigError::new(unknown));
    }
    Ok((own?, common))
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
