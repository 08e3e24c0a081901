//! Randomness of encryptions made in advance.
//!
//! ```text
//! fresh    (g^r, h^r), r random in [1, N²/2): an encryption of zero, and with (1 + mN) of m
//! ```
//!
//! Who learns what: as of encryption. A [`Fresh`] is used once: two ciphertexts with one r give the
//! difference of their plaintexts away, so it is handed over and cannot be copied. It is as secret
//! as the plaintext it will hide until that has been sent, and is wiped when dropped.

use crate::arith::limbs::{self, SecretLimbs};
use crate::arith::ring::Pair;
use crate::ciphertext::{Ciphertext, same_length};
use crate::id::KeyId;
use crate::keys::PublicKey;
use crate::plaintext::{Plaintext, check_plaintexts};
use crate::{Result, random};
use std::fmt;

/// (g^r, h^r) for an r that nobody keeps. Made by [`PublicKey::fresh_many`], used once.
pub struct Fresh {
    key: KeyId,
    a: SecretLimbs,
    b: SecretLimbs,
}

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fresh({}, redacted)", self.key)
    }
}

impl Fresh {
    /// Of a key's powers, in limbs of N².
    pub(crate) fn new(key: KeyId, a: SecretLimbs, b: SecretLimbs) -> Self {
        Self { key, a, b }
    }
}

impl PublicKey {
    /// Randomness for so many encryptions, by the combs of g and h.
    pub fn fresh_many(&self, count: usize) -> Result<Vec<Fresh>> {
        let rng = &mut random::os();
        let r: Vec<SecretLimbs> =
            (0..count).map(|_| self.params().random_exponent(rng)).collect::<Result<_>>()?;
        let r: Vec<&[u64]> = r.iter().map(|r| r.as_slice()).collect();
        let a = self.params().powers_of_g().pow_many(&r, None);
        let b = self.powers_of_h().pow_many(&r, None);
        let whole = |x: &Pair| x.join(self.params().n_limbs());
        let pairs = a.iter().zip(&b);
        Ok(pairs.map(|(a, b)| Fresh::new(self.id(), whole(a), whole(b))).collect())
    }

    /// Encrypts with randomness made before: a product each.
    #[expect(clippy::needless_pass_by_value, reason = "it is used up")]
    pub fn encrypt_with(
        &self,
        plaintexts: &[Plaintext],
        fresh: Vec<Fresh>,
    ) -> Result<Vec<Ciphertext>> {
        self.check_ids(fresh.iter().map(|f| f.key))?;
        same_length(plaintexts.len(), fresh.len())?;
        check_plaintexts(self.params(), plaintexts)?;
        let shifts: Vec<_> = plaintexts.iter().map(|m| self.shift(m)).collect();
        let factors: Vec<(&[u64], &[u64])> =
            fresh.iter().zip(&shifts).map(|(f, s)| (f.b.as_slice(), s.as_slice())).collect();
        let products = self.params().ring().mul_many(&factors);
        let ciphertext = |(f, b): (&Fresh, &Pair)| {
            let b = b.join(self.params().n_limbs());
            Ciphertext::new(self, limbs::to_public(&f.a), limbs::to_public(&b))
        };
        Ok(fresh.iter().zip(&products).map(ciphertext).collect())
    }

    /// m + c for each pair, in ciphertexts that nobody can link to what they were: what leaves a
    /// party that hides its operands.
    pub fn blind_with(
        &self,
        x: &[Ciphertext],
        c: &[Plaintext],
        fresh: Vec<Fresh>,
    ) -> Result<Vec<Ciphertext>> {
        self.add_many(x, &self.encrypt_with(c, fresh)?)
    }

    /// 1 + mN, the number with the limbs (1, m) in radix N.
    pub(crate) fn shift(&self, m: &Plaintext) -> SecretLimbs {
        let mut shift = limbs::mul(m.limbs(), self.params().n_limbs());
        limbs::add_assign(&mut shift, &[1]);
        shift
    }
}

/// Randomness in store. Each is handed out once, the last that was put in first: no two differ in
/// what they are good for.
#[derive(Debug)]
pub struct Pool {
    key: PublicKey,
    ready: Vec<Fresh>,
}

impl Pool {
    /// Nothing in store yet.
    #[must_use]
    pub fn new(key: &PublicKey) -> Self {
        Self { key: key.clone(), ready: Vec::new() }
    }

    /// How much is in store.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ready.len()
    }

    /// Is nothing in store?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Puts what somebody made into the store.
    pub fn put(&mut self, fresh: Vec<Fresh>) -> Result<()> {
        self.key.check_ids(fresh.iter().map(|f| f.key))?;
        self.ready.extend(fresh);
        Ok(())
    }

    /// Makes as much as is missing.
    pub fn fill(&mut self, count: usize) -> Result<()> {
        let missing = self.key.fresh_many(count.saturating_sub(self.ready.len()))?;
        self.ready.extend(missing);
        Ok(())
    }

    /// So many out of the store; what is missing is made on the spot.
    pub fn take(&mut self, count: usize) -> Result<Vec<Fresh>> {
        self.fill(count)?;
        Ok(self.ready.split_off(self.ready.len() - count))
    }

    /// The key whose powers these are.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }
}
