//! The configuration as a tree whose every node knows where it was found.

use super::fault::ConfigError;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use toml::Value;
use toml::de::{DeTable, DeValue};

/// Where a node was found; nothing for a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin(Option<Arc<str>>);

impl Origin {
    pub(super) fn defaults() -> Self {
        Self(None)
    }

    pub(super) fn of(place: String) -> Self {
        Self(Some(place.into()))
    }

    pub(super) fn is_default(&self) -> bool {
        self.0.is_none()
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("defaults"))
    }
}

pub(super) type Table = BTreeMap<String, Node>;

pub(super) enum Node {
    Table(Table, Origin),
    List(Vec<Node>, Origin),
    /// Neither table nor array.
    Leaf(Value, Origin),
    /// From the environment or a flag: becomes what the reader expects.
    Text(String, Origin),
}

impl Node {
    pub(super) fn origin(&self) -> &Origin {
        match self {
            Self::Table(_, origin)
            | Self::List(_, origin)
            | Self::Leaf(_, origin)
            | Self::Text(_, origin) => origin,
        }
    }

    /// A value with all below it, found at `origin(path)`.
    pub(super) fn of(value: Value, path: &str, origin: &dyn Fn(&str) -> Origin) -> Self {
        match value {
            Value::Table(table) => {
                let below = |(key, value): (String, Value)| {
                    let path = joined(path, &key);
                    (key, Self::of(value, &path, origin))
                };
                Self::Table(table.into_iter().map(below).collect(), origin(path))
            }
            Value::Array(values) => {
                let below = |(i, value)| Self::of(value, &joined(path, &format!("{i}")), origin);
                Self::List(values.into_iter().enumerate().map(below).collect(), origin(path))
            }
            leaf => Self::Leaf(leaf, origin(path)),
        }
    }

    /// Puts `over` over this: tables key by key, everything else as a whole.
    pub(super) fn cover(&mut self, over: Self) {
        match (self, over) {
            (Self::Table(below, origin), Self::Table(over, found)) => {
                *origin = found;
                for (key, node) in over {
                    match below.get_mut(&key) {
                        Some(there) => there.cover(node),
                        None => drop(below.insert(key, node)),
                    }
                }
            }
            (below, over) => *below = over,
        }
    }

    /// Sets `key` (with dots) to `value`.
    pub(super) fn set(
        &mut self,
        key: &str,
        value: &str,
        origin: &Origin,
    ) -> Result<(), ConfigError> {
        if key.split('.').any(str::is_empty) {
            return Err(ConfigError::one(key, origin, "is not a key: parts with dots between"));
        }
        let mut node = Self::Text(value.to_owned(), origin.clone());
        for part in key.rsplit('.') {
            node = Self::Table(Table::from([(part.to_owned(), node)]), origin.clone());
        }
        self.cover(node);
        Ok(())
    }
}

pub(super) fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The tree of defaults.
pub(super) fn of_default(config: &impl Serialize) -> Result<Node, ConfigError> {
    let value = Value::try_from(config)
        .map_err(|error| ConfigError::one("", "defaults", error.to_string()))?;
    Ok(Node::of(value, "", &|_| Origin::defaults()))
}

/// The tree of a file.
pub(super) fn of_file(file: &Path) -> Result<Node, ConfigError> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| ConfigError::one("", &name, format!("cannot be read: {error}")))?;
    // Its message and place alone: the whole error quotes the line, which may hold a secret.
    let wrong = |error: toml::de::Error| {
        let line = error.span().map_or(1, |span| line(&text, span.start));
        ConfigError::one("", format!("{name}:{line}"), error.message())
    };
    let mut lines = BTreeMap::new();
    let parsed = DeTable::parse(&text).map_err(wrong)?;
    places(parsed.get_ref(), "", &text, &mut lines);
    let table: toml::Table = toml::from_str(&text).map_err(wrong)?;
    let origin = |path: &str| match lines.get(path) {
        Some(line) => Origin::of(format!("{name}:{line}")),
        None => Origin::of(name.clone()),
    };
    Ok(Node::of(Value::Table(table), "", &origin))
}

fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

/// The line of each key.
fn places(table: &DeTable<'_>, path: &str, text: &str, lines: &mut BTreeMap<String, usize>) {
    for (key, value) in table {
        let path = joined(path, key.get_ref());
        lines.insert(path.clone(), line(text, key.span().start));
        match value.get_ref() {
            DeValue::Table(table) => places(table, &path, text, lines),
            DeValue::Array(values) => {
                for (i, value) in values.iter().enumerate() {
                    let path = joined(&path, &format!("{i}"));
                    lines.insert(path.clone(), line(text, value.span().start));
                    if let DeValue::Table(table) = value.get_ref() {
                        places(table, &path, text, lines);
                    }
                }
            }
            _ => {}
        }
    }
}
