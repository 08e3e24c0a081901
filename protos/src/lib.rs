//! What the parties say to each other.
//!
//! - [`wire`]: what is generated from `proto/`; not believed
//! - [`study`], [`job`], [`upload`]: the documents that are agreed on and signed. They are TOML
//!   texts and travel as such: what is signed is the text, byte by byte, and a person can read it.
//! - [`consent`]: what owners sign about jobs and uploads
//! - [`codec`]: lists of ciphertexts and the like in bytes
//! - [`limits`]: what is refused for its size, the same numbers on both sides
//!
//! Documents are checked when they are read: whoever holds a [`Study`] holds one whose names, keys
//! and counts make sense. Whether it is the right one, signatures tell.

pub mod codec;
pub mod consent;
mod error;
mod hex;
pub mod job;
pub mod limits;
mod name;
mod params;
pub mod study;
mod text;
pub mod upload;
pub mod wire;

pub use error::{Error, Result};
pub use hex::Hex;
pub use job::Job;
pub use name::{Name, Role};
pub use params::{INSECURE_DEMO, master_key_digest};
pub use study::Study;
pub use text::Document;
pub use upload::Manifest;

/// The version of what is said: parties of different versions refuse each other.
pub const PROTOCOL: u32 = 1;

/// The metadata field in which a service tells the cause of a refusal: what has none is a fault of
/// the service, or of the line to it.
pub const CAUSE: &str = "dyad-cause";

/// A label that keeps this digest or signature from being taken for another.
#[must_use]
pub fn labelled(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    feed(label, parts, |bytes| out.extend_from_slice(bytes));
    out
}

/// SHA-256 of [`labelled`] parts.
#[must_use]
pub fn digest(label: &str, parts: &[&[u8]]) -> [u8; 32] {
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    feed(label, parts, |bytes| hash.update(bytes));
    hash.finalize().into()
}

/// The same with BLAKE3, for what is long: chunks of an upload. What is fed is not copied.
pub(crate) fn long_digest(label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    feed(label, parts, |bytes| {
        hash.update(bytes);
    });
    hash.finalize().into()
}

fn feed(label: &str, parts: &[&[u8]], mut to: impl FnMut(&[u8])) {
    to(b"dyad/1/");
    for part in std::iter::once(&label.as_bytes()).chain(parts) {
        to(&(part.len() as u64).to_be_bytes());
        to(part);
    }
}
