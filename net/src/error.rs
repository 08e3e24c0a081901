//! What can go wrong, and what to do about it.

use crate::identity::{Identity, Role};
use std::fmt;
use std::path::PathBuf;

/// What this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors. Their text says what was expected, what was found, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a name, or not a role; or a document or message that makes no sense.
    #[error(transparent)]
    Said(#[from] dyad_protos::Error),
    /// Not what some text or bytes should be.
    #[error("not {what}: {found}")]
    Malformed {
        /// What it should be.
        what: &'static str,
        /// What is wrong with it.
        found: String,
    },
    /// A certificate request that is not signed by its own key, or not of this house's kind.
    #[error(
        "the certificate request is refused: {0}; make a new key and a new request and enrol again"
    )]
    Request(String),
    /// A certificate and a key that do not belong together, or an incomplete chain.
    #[error("the certificate cannot be used: {0}; enrol again, or restore both from one backup")]
    Mismatch(String),
    /// A certificate could not be made or read.
    #[error("certificate: {0}")]
    Certificate(String),
    /// A revocation list that is not the authority's, or older than the one in use.
    #[error("the revocation list is refused: {0}; fetch the present one from the key centre")]
    RevocationList(String),
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A secret that others on this machine may read.
    #[error(
        "{} holds a secret, but its mode is {mode:03o}, so that others may read it; \
         run: chmod 600 {}", path.display(), path.display()
    )]
    Permissions {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A key file that needs a passphrase.
    #[error("the key file is locked; give its passphrase")]
    Locked,
    /// A key file that the passphrase does not open. Nothing more is said.
    #[error("the key file does not open: a wrong passphrase, or the file was altered")]
    Passphrase,
    /// A sealed message that does not open. Nothing more is said.
    #[error("the sealed message does not open: another key, another context, or it was altered")]
    Sealed,
    /// A signature that does not verify. Nothing more is said.
    #[error("the signature does not verify")]
    Signature,
    /// A point that nobody honest sends as a key.
    #[error("not a public key that may be used")]
    Key,
    /// An address to connect to.
    #[error("{0:?} is no address; expected host:port or https://host:port")]
    Address(String),
    /// A peer was refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Nobody is there, or the connection broke.
    #[error("cannot reach {address}: {reason}; is the service running, and the address right?")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        reason: String,
    },
    /// A call that the other side refused, or that failed.
    #[error("{who}: {what}")]
    Call {
        /// Who was asked.
        who: Identity,
        /// What it says, or what happened.
        what: String,
        /// Is it worth a second try?
        fault: crate::retry::Fault,
    },
    /// TLS itself.
    #[error("TLS: {0}")]
    Tls(#[from] tokio_rustls::rustls::Error),
    /// The operating system.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Error {
    pub(crate) fn malformed(what: &'static str, found: impl fmt::Display) -> Self {
        Self::Malformed { what, found: found.to_string() }
    }

    pub(crate) fn file(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
}

/// A peer that was refused, by this side: who was expected, who was found, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// One of [`causes`](crate::tls::causes): what refusals are counted by.
    pub cause: &'static str,
    /// The role the peer should have, if one was expected.
    pub role: Option<Role>,
    /// Where it was found.
    pub address: String,
    /// Who or what was expected.
    pub expected: String,
    /// Who or what was found.
    pub found: String,
    /// What to do.
    pub remedy: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused")?;
        if let Some(role) = self.role {
            write!(f, " the peer that should be {role}")?;
        }
        if !self.address.is_empty() {
            write!(f, " at {}", self.address)?;
        }
        let Self { cause, expected, found, remedy, .. } = self;
        write!(f, " ({cause}): expected {expected}, found {found}; {remedy}")
    }
}

impl std::error::Error for Refused {}
