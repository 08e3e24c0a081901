//! A configuration as a TOML file with a comment for each key.

use super::tree::joined;
use super::{COMMON, Common};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write;
use toml::{Table, Value};

/// Keys with dots, and what they mean.
pub type Docs = &'static [(&'static str, &'static str)];

/// `config` as a file that gives the same configuration when read, with what `docs` says above each
/// key. Keys that are absent stand as comments.
pub fn render_config<C: Serialize>(config: &C, docs: Docs) -> String {
    let mut text = String::new();
    let docs: Vec<_> = COMMON.iter().chain(docs).copied().collect();
    let mut table = as_table(&Common::default());
    table.extend(as_table(config));
    write_table(&mut text, &table, "", &docs);
    text
}

/// Keys of `config` that `docs` does not explain, and keys in `docs` that are unknown to it though
/// their table is there. For a test of each service.
pub fn undocumented<C: Serialize>(config: &C, docs: Docs) -> Vec<String> {
    let mut keys = BTreeSet::new();
    leaves(&as_table(config), "", &mut keys);
    for (key, _) in docs {
        keys.remove(*key);
    }
    keys.into_iter().collect()
}

fn as_table(config: &impl Serialize) -> Table {
    // What TOML cannot hold no file can give either: a service's test of its sample finds it.
    Table::try_from(config).unwrap_or_default()
}

fn leaves(table: &Table, path: &str, keys: &mut BTreeSet<String>) {
    for (key, value) in table {
        let path = joined(path, key);
        match value {
            Value::Table(table) => leaves(table, &path, keys),
            _ => drop(keys.insert(path)),
        }
    }
}

fn write_table(text: &mut String, table: &Table, path: &str, docs: &[(&str, &str)]) {
    let said = |key: &str| docs.iter().find(|(name, _)| *name == key).map(|(_, said)| *said);
    let is_leaf = |value: &Value| !matches!(value, Value::Table(_));
    // Documented order first, then what is not documented.
    let here = |name: &str| match name.rsplit_once('.') {
        Some((above, key)) if above == path => Some(key.to_owned()),
        None if path.is_empty() => Some(name.to_owned()),
        _ => None,
    };
    let mut keys: Vec<String> = docs.iter().filter_map(|(name, _)| here(name)).collect();
    keys.extend(table.keys().filter(|key| said(&joined(path, key)).is_none()).cloned());
    for key in keys {
        let full = joined(path, &key);
        let value = table.get(&key);
        if value.is_some_and(|value| !is_leaf(value)) {
            continue;
        }
        comment(text, said(&full).unwrap_or(""));
        // Writing to a string cannot fail.
        let _written = match value {
            Some(value) => writeln!(text, "{} = {value}\n", named(&key)),
            None => writeln!(text, "# {} =\n", named(&key)),
        };
    }
    for (key, value) in table {
        let Value::Table(below) = value else { continue };
        let full = joined(path, key);
        comment(text, said(&full).unwrap_or(""));
        let header: Vec<_> = full.split('.').map(named).collect();
        let _written = writeln!(text, "[{}]", header.join("."));
        write_table(text, below, &full, docs);
    }
}

/// A key as TOML has it: in quotes unless plain.
fn named(key: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !key.is_empty() && key.bytes().all(plain) {
        key.to_owned()
    } else {
        Value::String(key.to_owned()).to_string()
    }
}

fn comment(text: &mut String, said: &str) {
    let mut line = String::new();
    for word in said.split_whitespace() {
        if !line.is_empty() && line.len() + word.len() > 96 {
            let _written = writeln!(text, "# {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _written = writeln!(text, "# {line}");
    }
}
