//! Why a cloud refuses something: one type for all calls, so that each refusal is told in words,
//! logged and counted by its cause.

use dyad_net::identity::Identity;
use dyad_net::retry::explain;
use dyad_protos::CAUSE;
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
    /// Too much at a time: a moment later there is room.
    Busy,
    /// The other cloud, or this one, is done with the job: nothing more will happen to it there.
    Over,
    /// The key centre refuses it for good.
    Centre,
    /// This cloud's own trouble: the store, the network, another service.
    Own,
}

impl Cause {
    /// All of them, so that counters can start at zero.
    pub const ALL: [Self; 13] = [
        Self::Message,
        Self::Signature,
        Self::Stranger,
        Self::Unknown,
        Self::State,
        Self::Changed,
        Self::Data,
        Self::Release,
        Self::Limit,
        Self::Busy,
        Self::Over,
        Self::Centre,
        Self::Own,
    ];

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
            Self::Busy => "busy",
            Self::Over => "over",
            Self::Centre => "centre",
            Self::Own => "own",
        }
    }

    const fn code(self) -> Code {
        match self {
            Self::Message | Self::Data => Code::InvalidArgument,
            Self::Signature | Self::Stranger => Code::PermissionDenied,
            Self::Unknown => Code::NotFound,
            // Not RESOURCE_EXHAUSTED, which callers take for passing: a limit is there tomorrow too.
            Self::State | Self::Release | Self::Limit | Self::Over | Self::Centre => {
                Code::FailedPrecondition
            }
            Self::Busy => Code::ResourceExhausted,
            Self::Changed => Code::AlreadyExists,
            Self::Own => Code::Unavailable,
        }
    }
}

/// Bytes of what a refusal says.
const LONGEST: usize = 2_000;

/// A refusal of this kind.
pub fn refuse<T>(cause: Cause, what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(cause, what))
}

impl Refusal {
    /// For `ok_or_else` and `map_err`.
    pub fn new(cause: Cause, what: impl Into<String>) -> Self {
        let mut what = what.into();
        // It may quote what somebody sent, and goes to the log and the audit table.
        what.truncate(what.floor_char_boundary(LONGEST));
        Self { cause, what }
    }

    /// May the same be tried again, later?
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self.cause, Cause::State | Cause::Own | Cause::Release | Cause::Busy)
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let mut status = Self::new(refusal.cause.code(), refusal.what);
        if let Ok(value) = refusal.cause.as_str().parse() {
            status.metadata_mut().insert(CAUSE, value);
        }
        status
    }
}

fn told_cause(status: &Status) -> Option<&str> {
    status.metadata().get(CAUSE)?.to_str().ok()
}

/// What C0 refused, as C1 hears it. What names no cause is no refusal: a line that broke, a
/// certificate that ended, another release. Somebody may mend it, so it is waited out.
impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let told = told_cause(&status);
        let cause = Cause::ALL.into_iter().find(|cause| told == Some(cause.as_str()));
        match cause {
            Some(cause) => Self::new(cause, status.message()),
            None => Self::new(Cause::Own, explain(&status)),
        }
    }
}

impl Refusal {
    /// What the key centre answers: its refusals end a job, but for those that another attempt, a
    /// while, or the same release on all sides mends. What names no cause is waited out.
    #[must_use]
    pub fn of_centre(who: &Identity, status: &Status) -> Self {
        let what = format!("{who}: {}", explain(status));
        let cause = match told_cause(status) {
            None => Cause::Own,
            Some("program") => Cause::Release,
            Some("nonce" | "limit") => Cause::State,
            Some(_) => Cause::Centre,
        };
        Self::new(cause, what)
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

/// Of keys, addresses and lines: nobody asked for anything that could be refused.
impl From<dyad_net::Error> for Refusal {
    fn from(error: dyad_net::Error) -> Self {
        Self::new(Cause::Own, error.to_string())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_survives_the_line() {
        for cause in Cause::ALL {
            let heard = Refusal::from(Status::from(Refusal::new(cause, "because")));
            assert_eq!((heard.cause, heard.what.as_str()), (cause, "because"));
        }
        // Whatever its code: only what says its cause is a refusal.
        for code in [Code::PermissionDenied, Code::InvalidArgument, Code::Unimplemented] {
            assert_eq!(Refusal::from(Status::new(code, "")).cause, Cause::Own);
        }
    }

    #[test]
    fn what_is_said_is_bounded() {
        assert_eq!(Refusal::new(Cause::Message, "short").what, "short");
        // Cut between letters, wherever the bound falls.
        for letter in ["x", "\u{e9}", "\u{20ac}", "\u{1f600}"] {
            let refusal = refuse::<()>(Cause::Message, format!("<{}", letter.repeat(LONGEST)));
            let said = refusal.unwrap_err().what;
            assert!((LONGEST - 3..=LONGEST).contains(&said.len()), "{letter}: {}", said.len());
            assert!(said.ends_with(letter));
        }
    }

    #[test]
    fn whose_fault_it_is_at_the_key_centre() {
        let who = "kgc main".parse().unwrap();
        let of = |cause: Option<&str>, code| {
            let mut status = Status::new(code, "no");
            if let Some(cause) = cause {
                status.metadata_mut().insert(CAUSE, cause.parse().unwrap());
            }
            Refusal::of_centre(&who, &status)
        };
        for last in ["approval", "approval_expired", "party_revoked", "job_ended", "job_id"] {
            let refusal = of(Some(last), Code::FailedPrecondition);
            assert_eq!(refusal.cause, Cause::Centre, "{last}");
            assert!(!refusal.is_passing() && refusal.what.contains("kgc main: no"));
        }
        for passing in [Some("nonce"), Some("limit"), Some("program"), None] {
            assert!(of(passing, Code::FailedPrecondition).is_passing(), "{passing:?}");
        }
        assert!(of(None, Code::Unavailable).is_passing());
        assert!(of(None, Code::Internal).is_passing());
    }
}
