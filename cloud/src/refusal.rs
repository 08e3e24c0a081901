//! Why a cloud refuses something: one type for all calls, so that each refusal is told in words,
//! logged and counted by its cause.

use tonic::{Code, Status};

/// A refusal.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Refusal {
    /// What kind: for metrics.
    pub cause: Cause,
    /// What is wrong, and what to do.
    pub what: String,
}

/// Kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A message or a document makes no sense.
    Message,
    /// A signature does not hold.
    Signature,
    /// Not theirs to ask.
    Stranger,
    /// There is no such thing.
    Unknown,
    /// Not now: the state does not allow it, and may later.
    State,
    /// It is another than the one that was there before.
    Changed,
    /// Data do not fit together.
    Data,
    /// Programs differ.
    Release,
    /// Too much.
    Limit,
    /// This cloud's own trouble: the store, the network, another service.
    Own,
}

impl Cause {
    /// For metrics and the audit.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Signature => "signature",
            Self::Stranger => "stranger",
            Self::Unknown => "unknown",
            Self::State => "state",
            Self::Changed => "changed",
            Self::Data => "data",
            Self::Release => "release",
            Self::Limit => "limit",
            Self::Own => "own",
        }
    }

    const fn code(self) -> Code {
        match self {
            Self::Message | Self::Data => Code::InvalidArgument,
            Self::Signature | Self::Stranger => Code::PermissionDenied,
            Self::Unknown => Code::NotFound,
            Self::State | Self::Release => Code::FailedPrecondition,
            Self::Changed => Code::AlreadyExists,
            Self::Limit => Code::ResourceExhausted,
            Self::Own => Code::Unavailable,
        }
    }
}

/// A refusal of this kind.
pub fn refuse<T>(cause: Cause, what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { cause, what: what.into() })
}

impl Refusal {
    /// For `ok_or_else` and `map_err`.
    pub fn new(cause: Cause, what: impl Into<String>) -> Self {
        Self { cause, what: what.into() }
    }

    /// May the same be tried again, later?
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self.cause, Cause::State | Cause::Own | Cause::Release)
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.cause.code(), refusal.what)
    }
}

/// What C0 refused, as C1 hears it.
impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let cause = match status.code() {
            Code::InvalidArgument => Cause::Data,
            Code::PermissionDenied | Code::Unauthenticated => Cause::Signature,
            Code::NotFound => Cause::Unknown,
            Code::FailedPrecondition => Cause::State,
            Code::AlreadyExists => Cause::Changed,
            Code::ResourceExhausted => Cause::Limit,
            _ => Cause::Own,
        };
        Self::new(cause, status.message())
    }
}

impl From<dyad_protos::Error> for Refusal {
    fn from(error: dyad_protos::Error) -> Self {
        Self::new(Cause::Message, error.to_string())
    }
}

impl From<dyad_bcp::Error> for Refusal {
    fn from(error: dyad_bcp::Error) -> Self {
        Self::new(Cause::Message, error.to_string())
    }
}

impl From<dyad_node::store::StoreError> for Refusal {
    fn from(error: dyad_node::store::StoreError) -> Self {
        Self::new(Cause::Own, error.to_string())
    }
}

impl From<dyad_net::Error> for Refusal {
    fn from(error: dyad_net::Error) -> Self {
        Self::new(Cause::Own, error.to_string())
    }
}
