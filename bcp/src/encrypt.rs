//! Encryption.
//!
//! ```text
//! Enc(m)   r random in [1, N²/2),  A = g^r,  B = h^r (1 + mN)      mod N²,  m in Z_N
//! ```
//!
//! Who learns what: whoever holds pk learns nothing of m; equal plaintexts give unlike ciphertexts.
//! Two ciphertexts with one r would give m - m' away (`tests/attacks/`), so r is drawn here, for
//! every plaintext anew, and no caller can pass one in.
//!
//! g and h are fixed: both powers come from combs, and the factor 1 + mN costs nothing, being the
//! pair (1, m) by which the result is multiplied on its way out of Montgomery form.

use crate::arith::limbs::{self, SecretLimbs};
use crate::arith::ring::Pair;
use crate::ciphertext::{Ciphertext, one};
use crate::keys::PublicKey;
use crate::plaintext::{Plaintext, check_plaintexts};
use crate::{Result, random};
use rand::TryCryptoRng;

impl PublicKey {
    /// Encrypts each plaintext with randomness of its own.
    pub fn encrypt_many(&self, plaintexts: &[Plaintext]) -> Result<Vec<Ciphertext>> {
        self.encrypt_many_with(plaintexts, &mut random::os())
    }

    /// [`PublicKey::encrypt_many`] of one.
    pub fn encrypt(&self, plaintext: &Plaintext) -> Result<Ciphertext> {
        one(self.encrypt_many(std::slice::from_ref(plaintext)))
    }

    pub(crate) fn encrypt_many_with(
        &self,
        plaintexts: &[Plaintext],
        rng: &mut impl TryCryptoRng,
    ) -> Result<Vec<Ciphertext>> {
        check_plaintexts(self.params(), plaintexts)?;
        let r: Vec<SecretLimbs> =
            plaintexts.iter().map(|_| self.params().random_exponent(rng)).collect::<Result<_>>()?;
        Ok(self.encrypt_with_randomness(plaintexts, &r))
    }

    fn encrypt_with_randomness(
        &self,
        plaintexts: &[Plaintext],
        r: &[SecretLimbs],
    ) -> Vec<Ciphertext> {
        let r: Vec<&[u64]> = r.iter().map(|r| r.as_slice()).collect();
        let m: Vec<&[u64]> = plaintexts.iter().map(Plaintext::limbs).collect();
        let a = self.params().powers_of_g().pow_many(&r, None);
        let b = self.powers_of_h().pow_many(&r, Some(&m));
        let public = |x: &Pair| limbs::to_public(&x.join(self.params().n_limbs()));
        a.iter().zip(&b).map(|(a, b)| Ciphertext::new(self, public(a), public(b))).collect()
    }

    /// Encryption with randomness of the caller's choosing: insecure by nature (one r used twice
    /// gives plaintexts away), and here only to make test vectors.
    #[cfg(feature = "insecure-small-keys")]
    pub fn insecure_encrypt_with_randomness(
        &self,
        m: &Plaintext,
        r: &num_bigint::BigUint,
    ) -> Result<Ciphertext> {
        check_plaintexts(self.params(), std::slice::from_ref(m))?;
        if *r >= self.params().n_squared() >> 1 {
            return Err(crate::Error::OutOfRange { index: 0, limit: "r is below N²/2" });
        }
        let r = zeroize::Zeroizing::new(self.params().residue(r));
        one(Ok(self.encrypt_with_randomness(std::slice::from_ref(m), &[r])))
    }
}
