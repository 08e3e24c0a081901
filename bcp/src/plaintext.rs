//! What is encrypted.

use crate::arith::limbs::{self, SecretLimbs};
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
