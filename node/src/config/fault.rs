//! What can be wrong with a configuration. Never shows a value.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The key, with dots; empty if it is about all of it.
    pub key: String,
    /// Where it was found: the file with line, the variable, the flag.
    pub found: String,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{}: {}", self.found, self.why)
        } else {
            write!(f, "key `{}` ({}): {}", self.key, self.found, self.why)
        }
    }
}

/// A configuration that cannot be used, with everything that was found wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("configuration: {}", listed(.faults))]
pub struct ConfigError {
    faults: Vec<Fault>,
}

impl ConfigError {
    pub(super) fn new(faults: Vec<Fault>) -> Self {
        Self { faults }
    }

    pub(super) fn one(
        key: impl Into<String>,
        found: impl fmt::Display,
        why: impl Into<String>,
    ) -> Self {
        let fault = Fault { key: key.into(), found: found.to_string(), why: why.into() };
        Self::new(vec![fault])
    }

    /// Everything that is wrong.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

fn listed(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The known name nearest to `name`, if it is near at all.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.len() / 3).max(2);
    known
        .map(|known| (distance(name, known), known))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, known)| known)
}

/// Levenshtein's distance, row by row.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, d) in [("", "", 0), ("ab", "", 2), ("kitten", "sitting", 3), ("url", "ulr", 2)] {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
        assert_eq!(nearest("listne", ["listen", "store"].into_iter()), Some("listen"));
        assert_eq!(nearest("peer", ["listen", "store"].into_iter()), None);
    }
}
