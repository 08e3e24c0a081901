//! What is worth a second try, and when.

use crate::error::{Error, Refused};
use crate::tls::causes;
use std::error::Error as StdError;
use std::time::Duration;
use tonic::{Code, Status};

/// Will it help to try again?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It may: the network, a restart, a peer that is busy.
    Transient,
    /// It will not: somebody has to do something.
    Permanent,
}

/// Of a call.
#[must_use]
pub fn classify(status: &Status) -> Fault {
    if refusal(status).is_some() {
        return Fault::Permanent;
    }
    match status.code() {
        Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::DeadlineExceeded => {
            Fault::Transient
        }
        // What tonic makes of a connection that broke in the middle. An answer of the peer's own
        // has no source.
        Code::Unknown | Code::Cancelled | Code::Internal if status.source().is_some() => {
            Fault::Transient
        }
        _ => Fault::Permanent,
    }
}

/// Of an error of this crate.
#[must_use]
pub fn classify_error(error: &Error) -> Fault {
    match error {
        Error::Unreachable { .. } | Error::Io(_) => Fault::Transient,
        Error::Call { fault, .. } => *fault,
        _ => Fault::Permanent,
    }
}

/// Why TLS was refused, if it was: by this side, or by the peer.
#[must_use]
pub fn refusal(status: &Status) -> Option<String> {
    refusal_of(status)
}

/// The same of any error, looked for in all its sources.
#[must_use]
pub fn refusal_of(error: &(dyn StdError + 'static)) -> Option<String> {
    find(error, &mut |error| {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Some(refused.to_string());
        }
        if let Some(Error::Refused(refused)) = error.downcast_ref::<Error>() {
            return Some(refused.to_string());
        }
        // HTTP/2 keeps no more of an error of TLS than its text.
        let text = error.to_string();
        let (_, alert) = text.split_once("received fatal alert: ")?;
        said_by_peer(alert)
    })
}

/// What to tell the user of a failed call: why TLS was refused if that is so, or the innermost
/// cause, which says more than the outer ones.
#[must_use]
pub fn explain(status: &Status) -> String {
    if let Some(refusal) = refusal(status) {
        return refusal;
    }
    let mut innermost: &(dyn StdError + 'static) = status;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if innermost.is::<Status>() {
        return format!("{} ({})", status.message(), status.code());
    }
    // The outer text may be made of the inner one: nothing is said twice.
    let (outer, inner) = (status.message(), innermost.to_string());
    if inner.contains(outer) {
        inner
    } else if outer.contains(&inner) {
        outer.to_owned()
    } else {
        format!("{outer}: {inner}")
    }
}

/// Looks through an error's sources, and into what io::Error hides of them.
fn find<T>(
    error: &(dyn StdError + 'static),
    look: &mut dyn FnMut(&(dyn StdError + 'static)) -> Option<T>,
) -> Option<T> {
    if let Some(found) = look(error) {
        return Some(found);
    }
    if let Some(io) = error.downcast_ref::<std::io::Error>()
        && let Some(inner) = io.get_ref()
    {
        return find(inner, look);
    }
    find(error.source()?, look)
}

/// What a peer's alert means for one's own certificate. Known by its name in rustls.
fn said_by_peer(alert: &str) -> Option<String> {
    let name: String = alert.chars().take_while(char::is_ascii_alphanumeric).collect();
    let (cause, remedy) = match name.as_str() {
        "CertificateRequired" => {
            (causes::NO_CERTIFICATE, "enrol, and connect with the certificate")
        }
        "CertificateExpired" => {
            (causes::EXPIRED, "renew the certificate, and check the clocks of both machines")
        }
        "CertificateRevoked" => (causes::REVOKED, "ask the key centre why, and enrol again"),
        "UnknownCA" | "DecryptError" => {
            (causes::AUTHORITY, "enrol with the key centre that the peer trusts")
        }
        "BadCertificate" | "UnsupportedCertificate" | "CertificateUnknown" | "AccessDenied" => {
            (causes::CERTIFICATE, "enrol again; the peer's log says more")
        }
        "ProtocolVersion" | "HandshakeFailure" | "NoApplicationProtocol" => {
            (causes::HANDSHAKE, "both ends must run compatible releases of Dyad")
        }
        _ => return None,
    };
    Some(format!("the peer refused this side's certificate ({cause}): {remedy}"))
}

/// How long to wait before the next try: twice as long each time up to a cap, and of that a random
/// part, at least half, so that many do not come back at once.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    next: Duration,
}

impl Backoff {
    /// Starting with this wait, and never longer than the cap.
    #[must_use]
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap, next: first }
    }

    /// The next wait.
    pub fn delay(&mut self) -> Duration {
        let whole = self.next.min(self.cap);
        self.next = whole.saturating_mul(2).min(self.cap);
        let mut bytes = [0; 4];
        // Without random numbers all wait the whole time: no more than a nuisance.
        if crate::random::fill(&mut bytes).is_err() {
            return whole;
        }
        let part = f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX);
        whole.mul_f64(0.5 + 0.5 * part)
    }

    /// After a success: from the start.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(5))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_its_cap() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(35));
        for whole in [10, 20, 35, 35] {
            let delay = backoff.delay();
            assert!(delay <= Duration::from_millis(whole), "{delay:?}");
            assert!(delay >= Duration::from_millis(whole) / 2, "{delay:?}");
        }
        backoff.reset();
        assert!(backoff.delay() <= Duration::from_millis(10));
    }

    #[test]
    fn nothing_is_said_twice() {
        let (address, reason) = ("127.0.0.1:1".to_owned(), "connection refused".to_owned());
        let unreachable = Error::Unreachable { address, reason };
        let said = unreachable.to_string();
        assert_eq!(explain(&Status::from_error(Box::new(unreachable))), said);
        let answer = Status::unavailable("later");
        assert!(explain(&answer).starts_with("later ("), "{}", explain(&answer));
        let source = std::io::Error::other("the disk is gone");
        let mut broken = Status::unknown("transport error");
        broken.set_source(std::sync::Arc::new(source));
        assert_eq!(explain(&broken), "transport error: the disk is gone");
    }

    #[test]
    fn classes() {
        for code in [Code::Unavailable, Code::ResourceExhausted, Code::DeadlineExceeded] {
            assert_eq!(classify(&Status::new(code, "")), Fault::Transient);
        }
        let who: crate::Identity = "kgc main".parse().unwrap();
        for code in [Code::Unavailable, Code::PermissionDenied] {
            let status = Status::new(code, "");
            let error = crate::member::failed(&who, &status);
            assert_eq!(classify_error(&error), classify(&status));
        }
        for code in [Code::Unauthenticated, Code::InvalidArgument, Code::Internal, Code::NotFound] {
            assert_eq!(classify(&Status::new(code, "")), Fault::Permanent);
        }
    }
}
