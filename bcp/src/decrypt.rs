//! Decryption by the owner.
//!
//! ```text
//! uDec     m = L(B A^{-sk} mod N²),  L(u) = (u - 1) / N,  and nothing unless B A^{-sk} = 1 mod N
//! ```
//!
//! (The paper leaves the division by N out.) With X = A^sk = x0 + x1 N and B = b0 + b1 N, B = X (1
//! + mN) says
//!
//! ```text
//! b0 = x0    and    m = (b1 - x1) / b0 mod N
//! ```
//!
//! so the only inverse is that of the public b0, modulo N, one for a whole batch.
//!
//! Who learns what: the owner learns m. Whether a ciphertext decrypted at all is one bit of an
//! owner's secret key to whoever chose it, so all failures look alike, and an owner does not
//! decrypt for strangers.

use crate::arith::limbs::{self, SecretLimbs};
use crate::ciphertext::{Ciphertext, invert_many_vartime, one};
use crate::keys::SecretKey;
use crate::params::PublicParams;
use crate::plaintext::Plaintext;
use crate::{Error, Result};
use num_bigint::BigUint;
use num_integer::Integer;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

impl SecretKey {
    /// Decrypts each ciphertext, or names one that does not decrypt.
    pub fn decrypt_many(&self, ciphertexts: &[Ciphertext]) -> Result<Vec<Plaintext>> {
        self.public().check_many(ciphertexts)?;
        let params = self.params();
        let a: Vec<_> = ciphertexts.iter().map(|c| params.residue(c.a())).collect();
        let bases: Vec<&[u64]> = a.iter().map(Vec::as_slice).collect();
        let x = params.ring().pow_many(&bases, &[self.exponent()], 2 * params.bits());
        let b: Vec<&BigUint> = ciphertexts.iter().map(Ciphertext::b).collect();
        let x: Vec<_> = x.into_iter().map(|x| (x.x0, x.x1)).collect();
        unblind_many(params, &b, &x)
    }

    /// [`SecretKey::decrypt_many`] of one.
    pub fn decrypt(&self, ciphertext: &Ciphertext) -> Result<Plaintext> {
        one(self.decrypt_many(std::slice::from_ref(ciphertext)))
    }
}

/// L(B / X) for public units B and secret X = x0 + x1 N.
pub(crate) fn unblind_many(
    params: &PublicParams,
    b: &[&BigUint],
    x: &[(SecretLimbs, SecretLimbs)],
) -> Result<Vec<Plaintext>> {
    let n = params.n_limbs();
    let (b1, b0): (Vec<BigUint>, Vec<BigUint>) = b.iter().map(|b| b.div_rem(params.n())).unzip();
    let inverses = invert_many_vartime(&b0, params.n()).ok_or(Error::Undecryptable { index: 0 })?;
    let limbs_of = |x: &BigUint| limbs::from_public(x, params.len());
    let differences: Vec<SecretLimbs> =
        b1.iter().zip(x).map(|(b1, (_, x1))| sub_mod(&limbs_of(b1), x1, n)).collect();
    let inverses: Vec<_> = inverses.iter().map(limbs_of).collect();
    let factors: Vec<(&[u64], &[u64])> =
        differences.iter().zip(&inverses).map(|(d, i)| (d.as_slice(), i.as_slice())).collect();
    let m = params.ring().mul_many(&factors);
    let bad = b0.iter().zip(x).position(|(b0, (x0, _))| !bool::from(limbs_of(b0).ct_eq(x0)));
    match bad {
        Some(index) => Err(Error::Undecryptable { index }),
        None => Ok(m.into_iter().map(|m| Plaintext::from_limbs(m.x0)).collect()),
    }
}

/// (x - y) mod m for x, y < m.
pub(crate) fn sub_mod(x: &[u64], y: &[u64], m: &[u64]) -> SecretLimbs {
    let mut d = Zeroizing::new(x.to_vec());
    let borrow = limbs::sub_assign(&mut d, y);
    // m - (something below m) never borrows: add m back where the subtraction went below zero.
    let mask = limbs::mask(borrow);
    let masked: SecretLimbs = Zeroizing::new(m.iter().map(|l| l & mask).collect());
    limbs::add_assign(&mut d, &masked);
    d
}
