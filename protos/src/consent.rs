//! What owners and clouds sign about jobs.

use crate::digest;
use sha2::Digest;

/// An owner proposes a job.
pub const PROPOSED: &str = "job is proposed";
/// An owner approves of a job, until a time.
pub const APPROVED: &str = "job is approved";
/// An owner takes an approval back.
pub const REVOKED: &str = "approval is revoked";
/// The author calls a job off.
pub const CANCELLED: &str = "job is cancelled";
/// A cloud vouches for what is released.
pub const RELEASED: &str = "model is released";

/// A recipient says what model it has opened.
pub const COMPARED: &str = "model is compared";

/// What is signed with [`COMPARED`]: job, release, and digest of the opened words.
#[must_use]
pub fn comparison(job: &[u8; 32], released: &[u8; 32], model: &[u8; 32]) -> Vec<u8> {
    [&job[..], released, model].concat()
}

/// What is signed with [`APPROVED`]: the job's digest and the approval's end, in seconds since 1970.
#[must_use]
pub fn approval(job: &[u8; 32], expires: u64) -> Vec<u8> {
    [&job[..], &expires.to_be_bytes()].concat()
}

/// What is signed with [`REVOKED`]: the job's digest and the ends of the approvals that are taken
/// back.
#[must_use]
pub fn revocation(job: &[u8; 32], ends: &[u64]) -> Vec<u8> {
    let ends = ends.iter().flat_map(|end| end.to_be_bytes());
    job.iter().copied().chain(ends).collect()
}

/// What is signed with [`RELEASED`]: the job's digest and the digest of what is released.
#[must_use]
pub fn release(job: &[u8; 32], released: &[u8; 32]) -> Vec<u8> {
    [&job[..], released].concat()
}

/// What is released jointly: the heads of the model's ciphertexts, in order.
#[must_use]
pub fn heads_digest<'a>(job: &[u8; 32], heads: impl Iterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut all = sha2::Sha256::new();
    heads.for_each(|head| all.update(digest("head", &[head])));
    digest("heads", &[job, &all.finalize()])
}

/// What is released to each: the shares of one attempt after its last step. Shares of two
/// attempts do not fit together.
#[must_use]
pub fn shares_digest(job: &[u8; 32], nonces: &[[u8; 16]; 2], step: u64) -> [u8; 32] {
    digest("shares", &[job, nonces.as_flattened(), &step.to_be_bytes()])
}
