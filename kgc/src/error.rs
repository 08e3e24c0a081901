//! What is refused, and what can go wrong. A refusal is the caller's fault and says what to do; it
//! is counted by its cause. All else is ours.

use dyad_node::store::StoreError;
use tonic::{Code, Status};

/// What refusals are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// A message that is not as it should be.
    Message,
    /// Another version of the protocol.
    Version,
    /// A token that was never given out, or was revoked.
    Token,
    /// A token whose time is over.
    TokenExpired,
    /// A token used again, with another request.
    TokenReplayed,
    /// A name, a role or a key that somebody else has.
    Taken,
    /// A certificate request.
    Request,
    /// A party that is enrolled no more.
    Revoked,
    /// A role that may not do this.
    Role,
    /// Somebody who is not a member.
    Stranger,
    /// A study that there is not, or not yet.
    Study,
    /// A draft that is not the one that others have.
    Draft,
    /// A BCP key without its proof.
    Proof,
    /// The master key is here no more, or was given to another C0.
    HandOver,
    /// An approval that is missing or forged.
    Approval,
    /// An approval whose time is over.
    ApprovalExpired,
    /// An id that another job has.
    JobId,
    /// A job that has ended.
    JobEnded,
    /// A program that this release would not run.
    Program,
    /// A nonce that was used before, or an attempt that was dealt before.
    Nonce,
    /// More than is allowed at a time.
    Limit,
    /// A job of more steps than are ever dealt for.
    TooLong,
}

impl Cause {
    /// All of them, so that counters can start at zero.
    pub const ALL: [Self; 22] = [
        Self::Message,
        Self::Version,
        Self::Token,
        Self::TokenExpired,
        Self::TokenReplayed,
        Self::Taken,
        Self::Request,
        Self::Revoked,
        Self::Role,
        Self::Stranger,
        Self::Study,
        Self::Draft,
        Self::Proof,
        Self::HandOver,
        Self::Approval,
        Self::ApprovalExpired,
        Self::JobId,
        Self::JobEnded,
        Self::Program,
        Self::Nonce,
        Self::Limit,
        Self::TooLong,
    ];

    /// As it is counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Version => "version",
            Self::Token => "token",
            Self::TokenExpired => "token_expired",
            Self::TokenReplayed => "token_replayed",
            Self::Taken => "taken",
            Self::Request => "request",
            Self::Revoked => "party_revoked",
            Self::Role => "role",
            Self::Stranger => "stranger",
            Self::Study => "study",
            Self::Draft => "draft",
            Self::Proof => "proof",
            Self::HandOver => "hand_over",
            Self::Approval => "approval",
            Self::ApprovalExpired => "approval_expired",
            Self::JobId => "job_id",
            Self::JobEnded => "job_ended",
            Self::Program => "program",
            Self::Nonce => "nonce",
            Self::Limit => "limit",
            Self::TooLong => "too_long",
        }
    }

    const fn code(self) -> Code {
        match self {
            Self::Message | Self::Request => Code::InvalidArgument,
            Self::Token | Self::TokenExpired | Self::TokenReplayed | Self::Revoked => {
                Code::Unauthenticated
            }
            Self::Taken => Code::AlreadyExists,
            Self::Study => Code::NotFound,
            Self::Role | Self::Stranger | Self::Approval | Self::ApprovalExpired => {
                Code::PermissionDenied
            }
            Self::Limit => Code::ResourceExhausted,
            _ => Code::FailedPrecondition,
        }
    }
}

/// What calls return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal, or a fault here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller may not, or not so.
    #[error("{text}")]
    Refused {
        /// What it is counted by.
        cause: Cause,
        /// What is wrong, and what to do.
        text: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Certificates, seals, key files.
    #[error(transparent)]
    Net(#[from] dyad_net::Error),
    /// Parameters and keys of the cryptosystem.
    #[error(transparent)]
    Bcp(#[from] dyad_bcp::Error),
    /// A document of ours that cannot be written.
    #[error(transparent)]
    Document(#[from] dyad_protos::Error),
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What cannot be gone on from, and what to do.
    #[error("{0}")]
    Broken(String),
}

/// Refuses.
pub(crate) fn refuse<T>(cause: Cause, text: impl Into<String>) -> Result<T> {
    Err(refusal(cause, text))
}

/// A refusal. What callers write into it does not make it long: it goes into logs and headers.
pub(crate) fn refusal(cause: Cause, text: impl Into<String>) -> Error {
    const LONGEST: usize = 2000;
    let mut text = text.into();
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push_str(" ...");
    }
    Error::Refused { cause, text }
}

/// What is wrong with a message.
pub(crate) fn message(error: &dyad_protos::Error) -> Error {
    refusal(Cause::Message, error.to_string())
}

/// The metadata field in which a refusal's cause is told.
pub const CAUSE: &str = dyad_protos::CAUSE;

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused { cause, text } => {
                let mut status = Self::new(cause.code(), text);
                if let Ok(value) = cause.as_str().parse() {
                    status.metadata_mut().insert(CAUSE, value);
                }
                status
            }
            // A full disk or a locked database may be mended: the caller should try again.
            Error::Store(_) => {
                Self::unavailable("the key centre's store fails at the moment: its log says why")
            }
            _ => Self::internal("the key centre failed: its log says why"),
        }
    }
}
