//! What a store may answer, and what to do about it.

use std::fmt;
use std::io::{self, ErrorKind};

/// Result of everything in this folder.
pub type Result<T> = std::result::Result<T, StoreError>;

/// An error of the store. `place` is the file, folder or key it is about; what is shown says what
/// happened and what to do. No value of a row is ever shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No space left, or a quota reached. Nothing of the step was kept.
    Full {
        /// Where.
        place: String,
    },
    /// Another writer held it for longer than we wait.
    Busy {
        /// What.
        place: String,
    },
    /// Half-written, cut short or altered: not believed.
    Corrupt {
        /// What.
        place: String,
        /// How it shows.
        why: String,
    },
    /// It is not there.
    Missing {
        /// What.
        place: String,
    },
    /// Another row or holder stands in the way.
    Conflict {
        /// What.
        place: String,
        /// Which rule.
        why: String,
    },
    /// A kind of store that this release does not have, or a URL that names none.
    Unsupported {
        /// The URL or what was asked for.
        what: String,
        /// What there is.
        instead: &'static str,
    },
    /// Another process has it open.
    InUse {
        /// The lock file.
        place: String,
        /// Who, as far as the lock file says.
        by: String,
    },
    /// Written by a newer release, or by a release that went another way.
    Release {
        /// The database.
        place: String,
        /// What shows it.
        why: String,
    },
    /// The store of another service.
    Foreign {
        /// The database.
        place: String,
        /// Whose it is.
        whose: String,
    },
    /// A key of an object that is not of the allowed form.
    Key {
        /// The key.
        key: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The operating system would not.
    Io {
        /// Where.
        place: String,
        /// What it said.
        source: io::Error,
    },
    /// A statement the database does not take: a mistake of this program.
    Sql {
        /// The database.
        place: String,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// What happened.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Full { place } => {
                format!("{place}: no space left; nothing of this step was kept")
            }
            Self::Busy { place } => format!("{place}: another writer does not let go of it"),
            Self::Corrupt { place, why } => format!("{place}: damaged, and not believed: {why}"),
            Self::Missing { place } => format!("{place}: not there"),
            Self::Conflict { place, why } => format!("{place}: refused: {why}"),
            Self::Unsupported { what, instead } => {
                format!("{what}: not in this release; there is {instead}")
            }
            Self::InUse { place, by } => format!("{place}: in use by {by}"),
            Self::Release { place, why } => format!("{place}: not of this release: {why}"),
            Self::Foreign { place, whose } => format!("{place}: the store of {whose}"),
            Self::Key { key, why } => format!("key {key:?}: {why}"),
            Self::Io { place, source } => format!("{place}: {source}"),
            Self::Sql { place, source } => format!("{place}: {source}"),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Full { .. } => "free space or raise the quota, then repeat",
            Self::Busy { .. } => "repeat later; close other programs that have the store open",
            Self::Corrupt { .. } => {
                "look after the disk, then restore a copy or repeat what wrote it"
            }
            Self::Missing { .. } => "check the name, and whether it was ever written",
            Self::Conflict { .. } => "look at what is stored already",
            Self::Unsupported { .. } => "change the URL",
            Self::InUse { .. } => "stop that process, or give this one a store of its own",
            Self::Release { .. } => "start the release that wrote it, or a newer one",
            Self::Foreign { .. } => "give each service a store of its own",
            Self::Key { .. } => "use a to z, 0 to 9 and . _ - in parts separated by /",
            Self::Io { .. } => "check the path, its owner and mode, and the disk",
            Self::Sql { .. } => "report this: it is a mistake of the program",
        }
    }

    /// Whether a repeat may go well without anybody doing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// An error of the operating system, sorted.
    pub(crate) fn io(place: impl fmt::Display, source: io::Error) -> Self {
        let place = place.to_string();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::Full { place }
            }
            ErrorKind::NotFound => Self::Missing { place },
            _ => Self::Io { place, source },
        }
    }

    pub(crate) fn corrupt(place: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::Corrupt { place: place.to_string(), why: why.to_string() }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what(), self.advice())
    }
}
