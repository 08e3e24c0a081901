//! Ciphertexts in messages and objects.

use crate::refusal::Refusal;
use dyad_bcp::{Ciphertext, PublicKey, RawCiphertext};
use dyad_protos::codec::{read_each, write_each};

/// Writes them.
#[must_use]
pub fn write(ciphertexts: &[Ciphertext]) -> Vec<u8> {
    write_each(ciphertexts.iter().map(Ciphertext::to_bytes))
}

/// Reads exactly so many of a key: each is checked to be a pair of units.
pub fn read(key: &PublicKey, bytes: &[u8], count: usize) -> Result<Vec<Ciphertext>, Refusal> {
    let raw = read_each(bytes, count)?.into_iter();
    let raw = raw.map(|bytes| RawCiphertext::from_bytes(key.params(), bytes));
    Ok(key.admit_many(raw.collect::<Result<_, _>>()?)?)
}
