//! What can go wrong, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A call on its way. In a box, so that its code is made once, in this crate, and not again in every
/// program that awaits it.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// What can go wrong, sorted by whose it is to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The owner's file, or the schema: names row and column.
    #[error(transparent)]
    Data(#[from] dyad_data::Error),
    /// A document that is none.
    #[error(transparent)]
    Document(#[from] dyad_protos::Error),
    /// Keys and ciphertexts.
    #[error(transparent)]
    Crypto(#[from] dyad_bcp::Error),
    /// What is to be trained does not hold together.
    #[error(transparent)]
    Learn(#[from] dyad_learn::Error),
    /// Certificates, connections, key files.
    #[error(transparent)]
    Net(#[from] dyad_net::Error),
    /// A file of this program's own, or one it was given.
    #[error("{}: {source}; check that it is there, that it may be read and written, and that the \
             disk is not full", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of this program's own that does not say what it should.
    #[error("{} is damaged ({what}); restore it from a backup", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A service said no, or could not be reached.
    #[error("{who}: {what}")]
    Call {
        /// Who was asked, and for what.
        who: String,
        /// What it said.
        what: String,
        /// In what kind.
        code: tonic::Code,
        /// May the same call do better later?
        transient: bool,
    },
    /// Two parties say different things, or a party says another thing than before.
    #[error("{0}")]
    Contradiction(String),
    /// Not now: somebody else has to do something first.
    #[error("{0}")]
    NotYet(String),
    /// What was asked for cannot be: the request is to be changed.
    #[error("{0}")]
    Request(String),
}

impl Error {
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, what: impl std::fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.to_string() }
    }

    /// Does a service say that there is no such thing?
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Call { code: tonic::Code::NotFound, .. })
    }

    /// Is it worth to do the same again a little later?
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Call { transient, .. } => *transient,
            Self::Net(error) => {
                dyad_net::retry::classify_error(error) == dyad_net::retry::Fault::Transient
            }
            _ => false,
        }
    }
}

pub(crate) fn request<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::Request(what.into()))
}

pub(crate) fn contradiction<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::Contradiction(what.into()))
}
