//! Proof of knowledge of a key: Schnorr's proof in a group of unknown order, made non-interactive
//! by Fiat and Shamir.
//!
//! ```text
//! owner     k random of |N²| + 128 + 128 bits,  t = g^k
//!           e = H(parameters, study, owner, y, t)   first 16 bytes of SHA-256, a big-endian number
//!           s = k + e a over the integers           publishes (y, t, s)
//! verifier  g^s = t y^e,  and the key in use is h = y²
//! ```
//!
//! Who learns what: the mask k is 128 bits longer than e a, so s tells nothing of a
//! (statistically). Two answers to one t give g^(s - s') = y^(e - e') and so, if roots are hard, y
//! = ±g^a with a known to the owner.
//!
//! The sign is real: for y = -g^a the equation holds whenever e is even, and an owner can grind t
//! until it is. Squaring removes it (h = g^2a whatever the sign). The proof in turn stops what
//! squaring cannot: a rogue h_n = g^x / prod h_i, whose owner would read what is under the unified
//! key, and whose logarithm nobody knows.
//!
//! Not promised: that the owner still has the key, or that nobody else does.

use crate::arith::limbs::{self, SecretLimbs};
use crate::codec::{self, Kind, Reader, Writer};
use crate::keys::{PublicKey, check_params};
use crate::params::PublicParams;
use crate::{Error, KeySize, Result, random};
use num_bigint::BigUint;
use rand::TryCryptoRng;
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// Bits of the challenge e.
const CHALLENGE_BITS: usize = 128;
/// Bits by which the mask exceeds what it hides.
const STATISTICAL_BITS: usize = 128;

/// Whom a proof is made for: without the right study and owner it does not verify.
#[derive(Clone, Copy, Debug)]
pub struct ProofContext<'a> {
    /// Name or hash of the study.
    pub study: &'a [u8],
    /// The owner's certified identity.
    pub owner: &'a [u8],
}

/// y and the proof, as published by an owner. Nothing may be encrypted under it before
/// [`ClaimedKey::verify`].
#[derive(Clone)]
pub struct ClaimedKey {
    params: PublicParams,
    y: BigUint,
    t: BigUint,
    /// Public once published, in limbs of [`response_bits`].
    s: Vec<u64>,
}

/// Bits of the mask k.
fn mask_bits(params: &PublicParams) -> usize {
    2 * params.bits() + CHALLENGE_BITS + STATISTICAL_BITS
}

/// Bits of s = k + e a: one more than k.
fn response_bits(bits: usize) -> usize {
    2 * bits + CHALLENGE_BITS + STATISTICAL_BITS + 1
}

/// y = g^a and the proof for it.
pub(crate) fn prove(
    params: &PublicParams,
    a: &[u64],
    context: &ProofContext<'_>,
    rng: &mut impl TryCryptoRng,
) -> Result<ClaimedKey> {
    let k = random::bits(rng, mask_bits(params))?;
    let y = power_of_g(params, a, params.exponent_bits());
    let t = power_of_g(params, &k, mask_bits(params));
    let e = challenge(params, context, &y, &t);
    // s = k + e a
    let mut s = vec![0u64; limbs::limbs_for(response_bits(params.bits()))];
    s[..k.len()].copy_from_slice(&k);
    limbs::add_assign(&mut s, &limbs::mul(a, &e)[..]);
    Ok(ClaimedKey { params: params.clone(), y, t, s })
}

fn power_of_g(params: &PublicParams, exponent: &[u64], bits: usize) -> BigUint {
    let g = params.residue(params.g());
    let power = params.ring().pow_many(&[&g], &[exponent], bits);
    limbs::to_public(&power[0].join(params.n_limbs()))
}

/// e = H(parameters, study, owner, y, t), every part with its length or of fixed length.
fn challenge(
    params: &PublicParams,
    context: &ProofContext<'_>,
    y: &BigUint,
    t: &BigUint,
) -> SecretLimbs {
    let mut hash = Sha256::new();
    hash.update(b"dyad-bcp proof of knowledge v1");
    hash.update(params.id().as_bytes());
    for part in [context.study, context.owner] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let bits = 2 * params.bits();
    let residues = Writer::new(Kind::ClaimedKey, params.size(), 2 * codec::bytes_for(bits));
    hash.update(residues.public(y, bits).public(t, bits).finish());
    let digest: [u8; 32] = hash.finalize().into();
    // The first 16 bytes as one big-endian number.
    let limbs = digest[..CHALLENGE_BITS / 8].as_chunks::<8>().0.iter().rev();
    Zeroizing::new(limbs.map(|bytes| u64::from_be_bytes(*bytes)).collect())
}

impl ClaimedKey {
    /// Checks the proof and gives the key in use, h = y².
    pub fn verify(&self, context: &ProofContext<'_>) -> Result<PublicKey> {
        let params = &self.params;
        params.check_residues([&self.y, &self.t].into_iter()).map_err(|_| Error::BadProof)?;
        let e = challenge(params, context, &self.y, &self.t);
        let g_to_s = power_of_g(params, &self.s, response_bits(params.bits()));
        let y = params.residue(&self.y);
        let y_to_e = params.ring().pow_many(&[&y], &[&e], CHALLENGE_BITS);
        let y_to_e = limbs::to_public(&y_to_e[0].join(params.n_limbs()));
        if g_to_s != &self.t * y_to_e % params.n_squared() {
            return Err(Error::BadProof);
        }
        let h = &self.y * &self.y % params.n_squared();
        if !params.hides(&h) {
            return Err(Error::BadProof);
        }
        Ok(PublicKey::new(params, h))
    }

    /// The encoding: parameters' id, y, t, s.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let bits = self.params.bits();
        Writer::new(Kind::ClaimedKey, self.params.size(), body_len(self.params.size()))
            .bytes(self.params.id().as_bytes())
            .public(&self.y, 2 * bits)
            .public(&self.t, 2 * bits)
            .secret(&self.s, response_bits(bits))
            .finish()
            .to_vec()
    }

    /// Reads the encoding of [`ClaimedKey::to_bytes`]. Nothing is checked but its form.
    pub fn from_bytes(params: &PublicParams, bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::of_size(Kind::ClaimedKey, params.size(), bytes, body_len)?;
        check_params(params, &mut reader)?;
        let bits = params.bits();
        let (y, t) = (reader.public(2 * bits)?, reader.public(2 * bits)?);
        let s = reader.secret(response_bits(bits))?.to_vec();
        Ok(Self { params: params.clone(), y, t, s })
    }
}

/// Parameters' id, y, t, s
fn body_len(size: KeySize) -> usize {
    let residues = 2 * codec::bytes_for(2 * size.bits());
    codec::ID_LEN + residues + codec::bytes_for(response_bits(size.bits()))
}

impl fmt::Debug for ClaimedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimedKey(unverified)")
    }
}
