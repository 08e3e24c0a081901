//! What is sealed for what: every context in one place, so that nothing that is sealed for one
//! purpose opens for another.

use crate::identity::{Name, Role};
use crate::seal::SealContext;

/// A chunk of an upload, for a cloud. The manifest binds owner, study, mode, columns and rows.
#[must_use]
pub fn chunk(to: Role, manifest: &[u8; 32], owner: &Name, index: u32) -> SealContext {
    SealContext::new("chunk")
        .with("to", to.as_str())
        .with("manifest", manifest)
        .with("owner", owner.as_str())
        .with("index", index.to_be_bytes())
}

/// An owner's partial decryptions of a model, for a recipient.
#[must_use]
pub fn partial(job: &[u8; 32], owner: &Name, recipient: &Name, index: u32) -> SealContext {
    SealContext::new("partial")
        .with("job", job)
        .with("owner", owner.as_str())
        .with("recipient", recipient.as_str())
        .with("index", index.to_be_bytes())
}

/// A cloud's share of a model, for a recipient. `release` is the digest both clouds signed.
#[must_use]
pub fn share(
    from: Role,
    job: &[u8; 32],
    release: &[u8; 32],
    recipient: &Name,
    index: u32,
) -> SealContext {
    SealContext::new("share")
        .with("from", from.as_str())
        .with("job", job)
        .with("release", release)
        .with("recipient", recipient.as_str())
        .with("index", index.to_be_bytes())
}

/// What a recipient tells another of the model it has opened.
#[must_use]
pub fn comparison(job: &[u8; 32], from: &Name, to: &Name) -> SealContext {
    SealContext::new("comparison")
        .with("job", job)
        .with("from", from.as_str())
        .with("to", to.as_str())
}

/// The master key, for C0.
#[must_use]
pub fn master_key(kgc: &Name, c0: &Name) -> SealContext {
    SealContext::new("master key").with("kgc", kgc.as_str()).with("c0", c0.as_str())
}
