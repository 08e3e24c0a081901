//! Keys of owners.
//!
//! Who learns what: the owner alone holds sk; everybody may hold pk. The holder of the master key
//! can read everything encrypted under any pk.
//!
//! ```text
//! local    a random in [1, N²/2), y = g^a, published with a proof of knowing a; h = y², sk = 2a
//! issued   the key generation centre splits an sk into n parts (`MasterKey::issue`);  h = g^sk_i
//! ```
//!
//! h is a square by construction and so lies in G: the squaring, not the proof, keeps -g^a out (see
//! [`crate::proof`]).

use crate::arith::limbs::{self, SecretLimbs};
use crate::arith::ring::FixedBase;
use crate::codec::{self, Kind, Reader, Writer};
use crate::id::{KeyId, ParamsId};
use crate::params::PublicParams;
use crate::proof::{ClaimedKey, ProofContext, prove};
use crate::{Error, KeySize, Result, random};
use num_bigint::BigUint;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

/// A key to encrypt under, whose owner is known to know the secret: it comes from a verified
/// [`ClaimedKey`], from the key generation centre, or from others of its kind. Cheap to clone;
/// tables for fast encryption are made at first use and shared.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    params: PublicParams,
    id: KeyId,
    h: BigUint,
    powers_of_h: OnceLock<Arc<dyn FixedBase>>,
}

impl PublicKey {
    /// h must be a unit below N².
    pub(crate) fn new(params: &PublicParams, h: BigUint) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"dyad-bcp key v1");
        hash.update(params.id().as_bytes());
        let bits = 2 * params.bits();
        let encoded = Writer::new(Kind::PublicKey, params.size(), codec::bytes_for(bits));
        hash.update(encoded.public(&h, bits).finish());
        let id = KeyId(hash.finalize().into());
        Self(Arc::new(Inner { params: params.clone(), id, h, powers_of_h: OnceLock::new() }))
    }

    /// Identifies this key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.0.id
    }

    /// The parameters it belongs to.
    #[must_use]
    pub fn params(&self) -> &PublicParams {
        &self.0.params
    }

    /// h.
    #[must_use]
    pub fn h(&self) -> &BigUint {
        &self.0.h
    }

    pub(crate) fn powers_of_h(&self) -> &dyn FixedBase {
        self.0.powers_of_h.get_or_init(|| self.params().tables_for(self.h())).as_ref()
    }

    /// The encoding: parameters' id, h.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Writer::new(Kind::PublicKey, self.params().size(), public_len(self.params().size()))
            .bytes(self.params().id().as_bytes())
            .public(self.h(), 2 * self.params().bits())
            .finish()
            .to_vec()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {:?})", self.id(), self.params().size())
    }
}

/// A public key read from bytes: a unit below N² of Jacobi symbol 1, not of order 1 or 2 modulo N.
/// But nobody has shown that its owner knows the secret.
#[derive(Clone, Debug)]
pub struct UnprovedKey(PublicKey);

impl UnprovedKey {
    /// Reads the encoding of [`PublicKey::to_bytes`].
    pub fn from_bytes(params: &PublicParams, bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::of_size(Kind::PublicKey, params.size(), bytes, public_len)?;
        check_params(params, &mut reader)?;
        let h = reader.public(2 * params.bits())?;
        params.check_residues([&h].into_iter()).map_err(|index| Error::NotAResidue { index })?;
        if !params.hides(&h) || !params.may_be_square(&h) {
            return Err(Error::NotAResidue { index: 0 });
        }
        Ok(Self(PublicKey::new(params, h)))
    }

    /// Takes the key without a proof: only for a key that stands in a registry certified by the key
    /// generation centre, which has verified the proof. A key taken from its owner's hand can be
    /// rogue or lie outside G.
    #[must_use]
    pub fn assume_certified(self) -> PublicKey {
        self.0
    }

    /// Identifies the key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.0.id()
    }
}

/// Parameters' id, h
fn public_len(size: KeySize) -> usize {
    codec::ID_LEN + codec::bytes_for(2 * size.bits())
}

/// Parameters' id, kind of key, sk
fn secret_len(size: KeySize) -> usize {
    codec::ID_LEN + 1 + codec::bytes_for(2 * size.bits())
}

/// Compares the parameters' id that comes next with the parameters in use.
pub(crate) fn check_params(params: &PublicParams, reader: &mut Reader<'_>) -> Result<()> {
    let found = ParamsId(reader.array()?);
    if found == params.id() {
        Ok(())
    } else {
        Err(Error::OtherParams { index: 0, expected: params.id(), found })
    }
}

/// An owner's secret. Wiped when dropped, not printable, not cloneable.
pub struct SecretKey {
    public: PublicKey,
    /// sk, in as many limbs as N² has: a local sk is 2a < N², an issued one is below the order of
    /// G.
    sk: SecretLimbs,
    /// Whether sk = 2a of a local key, so that knowledge of a can be proved.
    local: bool,
}

impl SecretKey {
    /// KeyGen by the owner. Prove it with [`SecretKey::prove`].
    pub fn generate(params: &PublicParams) -> Result<Self> {
        Self::generate_with(params, &mut random::os())
    }

    pub(crate) fn generate_with(
        params: &PublicParams,
        rng: &mut impl rand::TryCryptoRng,
    ) -> Result<Self> {
        let mut sk = params.random_exponent(rng)?;
        limbs::double(&mut sk);
        Ok(Self::from_exponent(params, sk, true))
    }

    /// sk below N².
    pub(crate) fn from_exponent(params: &PublicParams, sk: SecretLimbs, local: bool) -> Self {
        let g = params.residue(params.g());
        let power = params.ring().pow_many(&[&g], &[&sk], 2 * params.bits());
        let h = limbs::to_public(&power[0].join(params.n_limbs()));
        Self { public: PublicKey::new(params, h), sk, local }
    }

    /// A key with an exponent of the caller's choosing, local if it is even: insecure by nature,
    /// and here only to make test vectors.
    #[cfg(feature = "insecure-small-keys")]
    pub fn insecure_from_exponent(params: &PublicParams, sk: &BigUint) -> Result<Self> {
        let local = !sk.bit(0);
        if *sk >= params.n_squared() >> if local { 0u8 } else { 2 } {
            let limit = "an even secret key is below N², an odd one below N²/4";
            return Err(Error::OutOfRange { index: 0, limit });
        }
        Ok(Self::from_exponent(params, Zeroizing::new(params.residue(sk)), local))
    }

    /// The key others encrypt under.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The parameters it belongs to.
    #[must_use]
    pub fn params(&self) -> &PublicParams {
        self.public.params()
    }

    pub(crate) fn exponent(&self) -> &[u64] {
        &self.sk
    }

    /// What the owner publishes: y = g^a with a proof of knowledge of a, bound to study and owner.
    /// An issued key has no proof: its maker certifies it.
    pub fn prove(&self, context: &ProofContext<'_>) -> Result<ClaimedKey> {
        if !self.local {
            return Err(Error::Members(
                "an issued key is certified by its issuer and has no proof",
            ));
        }
        let mut a = self.sk.clone();
        limbs::halve(&mut a);
        prove(self.params(), &a, context, &mut random::os())
    }

    /// The encoding: parameters' id, kind of key, sk. The buffer is wiped when dropped; encrypt it
    /// before it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Writer::new(Kind::SecretKey, self.params().size(), secret_len(self.params().size()))
            .bytes(self.params().id().as_bytes())
            .bytes(&[u8::from(self.local)])
            .secret(&self.sk, 2 * self.params().bits())
            .finish()
    }

    /// Reads the encoding of [`SecretKey::to_bytes`]: a local key below N², an issued one below
    /// N²/4, which is just above the order of G.
    pub fn from_bytes(params: &PublicParams, bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::of_size(Kind::SecretKey, params.size(), bytes, secret_len)?;
        check_params(params, &mut reader)?;
        let [local] = reader.array()?;
        let sk = reader.secret(2 * params.bits())?;
        // An issued key is below the order of G, N p'q', and N²/4 is just above that: all but every
        // 2^(|N|/2)-th key has no second number that means the same.
        let bound = if local == 1 { params.n_squared().clone() } else { params.n_squared() >> 2u8 };
        let below = limbs::ge_mask(&sk, &limbs::from_public(&bound, sk.len())) == 0;
        let zero = limbs::is_zero(&sk).into();
        if local > 1 || !below || zero || (local == 1 && sk[0] & 1 == 1) {
            return Err(reader.out_of_range());
        }
        let key = Self::from_exponent(params, sk, local == 1);
        if !params.hides(key.public.h()) {
            return Err(reader.out_of_range());
        }
        Ok(key)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, redacted)", self.public.id())
    }
}
