//! Claimed keys put together by hand.

use crate::common::{header, padded};
use crate::study::{Study, random_below};
use dyad_bcp::{ClaimedKey, Error, ProofContext, PublicKey, PublicParams};
use num_bigint::BigUint;
use num_traits::One;
use sha2::{Digest, Sha256};

/// y, t and s of a claimed key, for an attacker to put together at will.
#[derive(Clone)]
pub(crate) struct Claim {
    pub(crate) y: BigUint,
    pub(crate) t: BigUint,
    pub(crate) s: BigUint,
}

impl Claim {
    /// t = g^k and s = k + e a, with k drawn anew until the challenge suits.
    pub(crate) fn make(
        study: &Study,
        context: &ProofContext<'_>,
        y: &BigUint,
        a: &BigUint,
        suits: impl Fn(&BigUint) -> bool,
    ) -> Self {
        let mask = BigUint::one() << (2 * study.params.size().bits() + 256);
        loop {
            let k = random_below(&mask);
            let t = study.pow(study.params.g(), &k);
            let e = challenge(&study.params, context, y, &t);
            if suits(&e) {
                return Self { y: y.clone(), t, s: k + e * a };
            }
        }
    }

    /// Header (4 bytes), parameters' id (32), y, t, s.
    pub(crate) fn read(params: &PublicParams, claimed: &ClaimedKey) -> Self {
        let bytes = claimed.to_bytes();
        let (y, rest) = bytes[36..].split_at(2 * params.size().bits() / 8);
        let (t, s) = rest.split_at(y.len());
        let [y, t, s] = [y, t, s].map(BigUint::from_bytes_be);
        Self { y, t, s }
    }

    /// What the one who receives it makes of it. The bits of s: |N²| + 128 + 128 + 1.
    pub(crate) fn verify(
        &self,
        study: &Study,
        context: &ProofContext<'_>,
    ) -> Result<PublicKey, Error> {
        let (params, bits) = (&study.params, 2 * study.params.size().bits());
        let bytes = [
            header(params, 2),
            params.id().as_bytes().to_vec(),
            padded(&self.y, bits / 8),
            padded(&self.t, bits / 8),
            padded(&self.s, (bits + 257).div_ceil(8)),
        ];
        ClaimedKey::from_bytes(params, &bytes.concat())?.verify(context)
    }
}

/// e = H(parameters, study, owner, y, t): the first 16 bytes of SHA-256, as one number.
pub(crate) fn challenge(
    params: &PublicParams,
    context: &ProofContext<'_>,
    y: &BigUint,
    t: &BigUint,
) -> BigUint {
    let len = 2 * params.size().bits() / 8;
    let mut hash = Sha256::new();
    hash.update(b"dyad-bcp proof of knowledge v1");
    hash.update(params.id().as_bytes());
    for part in [context.study, context.owner] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update([header(params, 2), padded(y, len), padded(t, len)].concat());
    let digest = hash.finalize();
    BigUint::from_bytes_be(&digest[..16])
}
