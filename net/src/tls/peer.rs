//! Who sent a request.

use super::client::{Expect, Who};
use super::state::Refusals;
use super::{Tls, causes};
use crate::authority::Serial;
use crate::facts::Facts;
use crate::identity::{Fingerprint, Identity, Role};
use std::time::{Duration, SystemTime};
use tonic::Status;

/// The sender of a request, as its connection proved it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Peer {
    /// Who.
    pub identity: Identity,
    /// Of its key.
    pub fingerprint: Fingerprint,
    /// Until when its certificate is good.
    pub not_after: SystemTime,
    /// Its certificate's number.
    pub serial: Serial,
    tls: Tls,
}

impl Peer {
    pub(super) fn new(facts: Facts, tls: Tls) -> Self {
        let Facts { identity, fingerprint, serial, not_after, .. } = facts;
        Self { identity, fingerprint, not_after, serial, tls }
    }

    /// A certificate may end, or be revoked, while its connection lives.
    pub(super) fn still_good(&self) -> Result<(), Status> {
        let (cause, line) = if self.tls.is_revoked(&self.serial) {
            (causes::REVOKED, "was revoked; ask the key centre why, and enrol again")
        } else if SystemTime::now() > self.not_after {
            (causes::EXPIRED, "has expired; renew it and connect again")
        } else {
            return Ok(());
        };
        let line = format!("the certificate of {} {line}", self.identity);
        self.tls.refusals().tell(cause, &line);
        Err(Status::unauthenticated(line))
    }

    /// Ends when the certificate has expired or was revoked: for calls that last.
    pub(crate) async fn until_refused(&self) {
        let mut lists = self.tls.lists();
        while self.still_good().is_ok() {
            let left = self.not_after.duration_since(SystemTime::now()).unwrap_or_default();
            // Clocks may be set: no wait is longer than an hour.
            let wait = left.min(Duration::from_hours(1)) + Duration::from_millis(1);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = lists.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Its role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.identity.role
    }

    /// Is it of one of these roles? If not, the refusal is counted.
    pub fn require(&self, roles: &[Role]) -> Result<(), Status> {
        if roles.contains(&self.identity.role) {
            return Ok(());
        }
        let wanted: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        let line = format!(
            "{} may not do this: expected a certificate of {}; \
             call with the credentials of that role",
            self.identity,
            wanted.join(" or ")
        );
        self.refuse(causes::ROLE, line)
    }

    /// Is it exactly this one? If not, the refusal is counted.
    pub fn require_identity(&self, identity: &Identity) -> Result<(), Status> {
        if self.identity == *identity {
            return Ok(());
        }
        let line = format!("{} may not do this: only {identity} may", self.identity);
        self.refuse(causes::IDENTITY, line)
    }

    /// Is it the one expected, with the key that is pinned, if one is? If not, the refusal is
    /// counted.
    pub fn require_expected(&self, expect: &Expect) -> Result<(), Status> {
        match &expect.who {
            Who::Identity(identity) => self.require_identity(identity)?,
            Who::Role(role) => self.require(&[*role])?,
        }
        expect.pin.as_ref().map_or(Ok(()), |pin| self.require_pin(pin))
    }

    /// Has it this key? If not, the refusal is counted.
    pub fn require_pin(&self, pin: &Fingerprint) -> Result<(), Status> {
        if self.fingerprint == *pin {
            return Ok(());
        }
        let line = format!(
            "{} came with the key {}, but {pin} is pinned; \
             if it has a new key, everybody concerned must agree to it",
            self.identity, self.fingerprint
        );
        self.refuse(causes::PIN, line)
    }

    fn refuse(&self, cause: &'static str, line: String) -> Result<(), Status> {
        self.tls.refusals().tell(cause, &line);
        let mut status = Status::permission_denied(line);
        if let Ok(value) = cause.parse() {
            status.metadata_mut().insert(dyad_protos::CAUSE, value);
        }
        Err(status)
    }
}

/// In the requests of connections without a certificate.
#[derive(Clone, Debug)]
pub(super) struct Anonymous(pub(super) Refusals);

/// Who sent a request. An anonymous one is an error, and counted.
pub fn peer<T>(request: &tonic::Request<T>) -> Result<Peer, Status> {
    if let Some(peer) = request.extensions().get::<Peer>() {
        return Ok(peer.clone());
    }
    let line = "this call needs a certificate: enrol, and connect with it";
    if let Some(Anonymous(refusals)) = request.extensions().get() {
        refusals.tell(causes::NO_CERTIFICATE, line);
    }
    Err(Status::unauthenticated(line))
}
