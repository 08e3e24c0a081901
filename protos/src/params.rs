//! What is said of the cryptosystem's parameters.

use crate::{Hex, digest};

/// The id of parameters whose master key is published: for trying things out. Whoever works with
/// real data refuses them.
pub const INSECURE_DEMO: Hex<32> = Hex([
    0x0f, 0x8e, 0xb5, 0x8d, 0x21, 0xfd, 0x14, 0x62, 0x67, 0xa7, 0x4a, 0x38, 0x81, 0x3a, 0x5c, 0xdb,
    0x08, 0xaa, 0x30, 0x81, 0x87, 0x62, 0x81, 0x10, 0xb3, 0x9d, 0xcf, 0x1f, 0x1d, 0x0a, 0x63, 0x34,
]);

/// What C0 says when it has opened and stored the master key: the digest of what was sealed.
#[must_use]
pub fn master_key_digest(key: &[u8]) -> [u8; 32] {
    digest("master key", &[key])
}
