//! What is encrypted.

use crate::arith::limbs::{self, SecretLimbs};
use crate::codec;
use crate::params::PublicParams;
use crate::{Error, Result, random};
use num_bigint::BigUint;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// An element of Z_N. Wiped when dropped, compared in constant time, not printable.
#[derive(Clone)]
pub struct Plaintext(SecretLimbs);

impl Plaintext {
    /// A small number.
    #[must_use]
    pub fn from_u64(params: &PublicParams, m: u64) -> Self {
        let mut limbs = Zeroizing::new(vec![0; params.len()]);
        // Only toy parameters are smaller than 64 bits.
        limbs[0] = if params.bits() > 64 { m } else { m % params.n_limbs()[0] };
        Self(limbs)
    }

    /// A number below N.
    pub fn from_biguint(params: &PublicParams, m: &BigUint) -> Result<Self> {
        if m >= params.n() {
            return Err(Error::OutOfRange { index: 0, limit: "a plaintext is below N" });
        }
        Ok(Self(Zeroizing::new(limbs::from_public(m, params.len()))))
    }

    /// A big-endian number below N, of at most the bytes of N. The time depends on how many bytes
    /// there are, so they may be secret.
    pub fn from_bytes(params: &PublicParams, bytes: &[u8]) -> Result<Self> {
        let mut m = Zeroizing::new(vec![0; params.len()]);
        let fits = bytes.len() <= codec::bytes_for(params.bits());
        if fits {
            for (i, byte) in bytes.iter().rev().enumerate() {
                m[i / 8] |= u64::from(*byte) << (8 * (i % 8));
            }
        }
        if !fits || limbs::ge_mask(&m, params.n_limbs()) != 0 {
            return Err(Error::OutOfRange { index: 0, limit: "a plaintext is below N" });
        }
        Ok(Self(m))
    }

    /// The number in `len` bytes, big-endian; refused if it needs more. The buffer is wiped when
    /// dropped.
    pub fn to_bytes(&self, len: usize) -> Result<Zeroizing<Vec<u8>>> {
        if !limbs::fits(&self.0, len.saturating_mul(8)) {
            let limit = "a plaintext fits in the bytes asked for";
            return Err(Error::OutOfRange { index: 0, limit });
        }
        let mut bytes = Zeroizing::new(vec![0; len]);
        for (i, byte) in bytes.iter_mut().rev().enumerate() {
            *byte = (self.0.get(i / 8).copied().unwrap_or(0) >> (8 * (i % 8))) as u8;
        }
        Ok(bytes)
    }

    /// Uniform in [1, N).
    pub fn random(params: &PublicParams) -> Result<Self> {
        Ok(Self(random::below(&mut random::os(), params.n_limbs())?))
    }

    /// The number, in a type that is not wiped: what has been opened.
    #[must_use]
    pub fn to_biguint(&self) -> BigUint {
        limbs::to_public(&self.0)
    }

    /// Limbs below N, as many as N has.
    pub(crate) fn from_limbs(limbs: SecretLimbs) -> Self {
        Self(limbs)
    }

    pub(crate) fn limbs(&self) -> &[u64] {
        &self.0
    }
}

/// Checks that all plaintexts are residues of these parameters: as long as N and below it.
pub(crate) fn check_plaintexts(params: &PublicParams, plaintexts: &[Plaintext]) -> Result<()> {
    let fits =
        |m: &Plaintext| m.0.len() == params.len() && limbs::ge_mask(&m.0, params.n_limbs()) == 0;
    match plaintexts.iter().position(|m| !fits(m)) {
        None => Ok(()),
        Some(index) => Err(Error::OutOfRange { index, limit: "a plaintext is below N" }),
    }
}

impl PartialEq for Plaintext {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Plaintext {}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext(redacted)")
    }
}
