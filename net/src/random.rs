//! The system's generator.

use rand::TryRng;
use rand::rngs::SysRng;
use std::io;

/// Fills with random bytes.
pub(crate) fn fill(out: &mut [u8]) -> io::Result<()> {
    SysRng.try_fill_bytes(out).map_err(io::Error::other)
}
