//! Ciphertexts: admission, homomorphic operations, re-randomising.
//!
//! ```text
//! (A, B) (A', B')          decrypts to m + m'
//! (A, B)^c                 decrypts to c m
//! (A, B (1 + cN))          decrypts to m + c
//! (A, B) Enc(0)            decrypts to m, and nobody can tell where it comes from
//! ```
//!
//! Anybody who holds pk can do all of this: ciphertexts are malleable by design. A sum shows
//! whoever opens it nothing but the sum; but the randomness of sums, multiples and shifts is known
//! to whoever knows that of their parts, so a ciphertext that leaves a party which must hide its
//! operands is re-randomised first.

use crate::arith::limbs;
use crate::codec::{self, Kind, Reader, Writer};
use crate::id::KeyId;
use crate::keys::PublicKey;
use crate::params::PublicParams;
use crate::plaintext::{Plaintext, check_plaintexts};
use crate::{Error, KeySize, Result};
use num_bigint::BigUint;
use num_traits::One;

/// (A, B) under a known key, both units below N².
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ciphertext {
    key: KeyId,
    size: KeySize,
    a: BigUint,
    b: BigUint,
}

/// What somebody sent: a pair of numbers that claims to be a ciphertext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawCiphertext {
    key: KeyId,
    a: BigUint,
    b: BigUint,
}

/// The A of a ciphertext: all that an owner needs for a partial decryption, and useless without B.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub(crate) key: KeyId,
    pub(crate) size: KeySize,
    pub(crate) a: BigUint,
}

impl Ciphertext {
    /// A and B must be units below N².
    pub(crate) fn new(key: &PublicKey, a: BigUint, b: BigUint) -> Self {
        Self { key: key.id(), size: key.params().size(), a, b }
    }

    /// The key it is under.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// A.
    #[must_use]
    pub fn a(&self) -> &BigUint {
        &self.a
    }

    /// B.
    #[must_use]
    pub fn b(&self) -> &BigUint {
        &self.b
    }

    /// The part an owner gets for a partial decryption.
    #[must_use]
    pub fn head(&self) -> Head {
        Head { key: self.key, size: self.size, a: self.a.clone() }
    }

    /// The encoding: key id, A, B.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let bits = 2 * self.size.bits();
        Writer::new(Kind::Ciphertext, self.size, body_len(self.size))
            .bytes(self.key.as_bytes())
            .public(&self.a, bits)
            .public(&self.b, bits)
            .finish()
            .to_vec()
    }
}

impl Head {
    /// The encoding: key id, A.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Writer::new(Kind::Head, self.size, head_len(self.size))
            .bytes(self.key.as_bytes())
            .public(&self.a, 2 * self.size.bits())
            .finish()
            .to_vec()
    }

    /// Reads the encoding of [`Head::to_bytes`] and checks that A is a unit below N².
    pub fn from_bytes(params: &PublicParams, bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::of_size(Kind::Head, params.size(), bytes, head_len)?;
        let key = KeyId(reader.array()?);
        let a = reader.public(2 * params.bits())?;
        params.check_residues([&a].into_iter()).map_err(|index| Error::NotAResidue { index })?;
        Ok(Self { key, size: params.size(), a })
    }
}

impl RawCiphertext {
    /// Two numbers that claim to be a ciphertext under a key.
    #[must_use]
    pub fn new(key: KeyId, a: BigUint, b: BigUint) -> Self {
        Self { key, a, b }
    }

    /// Reads the encoding of [`Ciphertext::to_bytes`]. Only its form is checked.
    pub fn from_bytes(params: &PublicParams, bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::of_size(Kind::Ciphertext, params.size(), bytes, body_len)?;
        let key = KeyId(reader.array()?);
        let bits = 2 * params.bits();
        Ok(Self { key, a: reader.public(bits)?, b: reader.public(bits)? })
    }
}

/// Key id, A, B
fn body_len(size: KeySize) -> usize {
    codec::ID_LEN + 2 * codec::bytes_for(2 * size.bits())
}

/// Key id, A
fn head_len(size: KeySize) -> usize {
    codec::ID_LEN + codec::bytes_for(2 * size.bits())
}

impl PublicKey {
    /// Admits what was sent: each under this key, 0 < A, B < N², both units. One bad item refuses
    /// the batch and is named.
    pub fn admit_many(&self, raw: Vec<RawCiphertext>) -> Result<Vec<Ciphertext>> {
        self.check_ids(raw.iter().map(|c| c.key))?;
        let residues = raw.iter().flat_map(|c| [&c.a, &c.b]);
        self.params()
            .check_residues(residues)
            .map_err(|at| Error::NotAResidue { index: at / 2 })?;
        Ok(raw.into_iter().map(|c| Ciphertext::new(self, c.a, c.b)).collect())
    }

    /// [`PublicKey::admit_many`] of one.
    pub fn admit(&self, raw: RawCiphertext) -> Result<Ciphertext> {
        one(self.admit_many(vec![raw]))
    }

    /// m + m' for each pair.
    pub fn add_many(&self, x: &[Ciphertext], y: &[Ciphertext]) -> Result<Vec<Ciphertext>> {
        self.check_many(x)?;
        self.check_many(y)?;
        same_length(x.len(), y.len())?;
        Ok(self.componentwise(x, y))
    }

    /// m + m'.
    pub fn add(&self, x: &Ciphertext, y: &Ciphertext) -> Result<Ciphertext> {
        one(self.add_many(std::slice::from_ref(x), std::slice::from_ref(y)))
    }

    /// The sum of all, or nothing for an empty batch.
    pub fn sum(&self, terms: &[Ciphertext]) -> Result<Option<Ciphertext>> {
        self.check_many(terms)?;
        let mut layer = terms.to_vec();
        while layer.len() > 1 {
            let half = layer.len() / 2;
            let rest = layer.split_off(2 * half);
            let mut sums = self.componentwise(&layer[..half], &layer[half..]);
            sums.extend(rest);
            layer = sums;
        }
        Ok(layer.pop())
    }

    /// -m for each.
    pub fn negate_many(&self, x: &[Ciphertext]) -> Result<Vec<Ciphertext>> {
        self.check_many(x)?;
        let values: Vec<_> = x.iter().flat_map(|c| [c.a.clone(), c.b.clone()]).collect();
        let inverses = invert_many_vartime(&values, self.params().n_squared())
            .ok_or(Error::NotAResidue { index: 0 })?;
        let pairs = inverses.as_chunks::<2>().0.iter();
        Ok(pairs.map(|[a, b]| Ciphertext::new(self, a.clone(), b.clone())).collect())
    }

    /// m - m' for each pair.
    pub fn sub_many(&self, x: &[Ciphertext], y: &[Ciphertext]) -> Result<Vec<Ciphertext>> {
        self.check_many(x)?;
        same_length(x.len(), y.len())?;
        Ok(self.componentwise(x, &self.negate_many(y)?))
    }

    /// c m for each pair. The time depends on the size of N alone, so c may be secret.
    pub fn scale_many(&self, x: &[Ciphertext], c: &[Plaintext]) -> Result<Vec<Ciphertext>> {
        self.scale_many_bounded(x, c, self.params().bits())
    }

    /// c m for each pair with every c below 2^bits, bits at most |N|: the time depends on `bits`,
    /// which is public, and on nothing else.
    pub fn scale_many_bounded(
        &self,
        x: &[Ciphertext],
        c: &[Plaintext],
        bits: usize,
    ) -> Result<Vec<Ciphertext>> {
        self.check_many(x)?;
        same_length(x.len(), c.len())?;
        check_plaintexts(self.params(), c)?;
        if bits > self.params().bits() {
            let limit = "the declared bits of a scalar are at most those of N";
            return Err(Error::OutOfRange { index: 0, limit });
        }
        let too_long = |c: &Plaintext| !limbs::fits(c.limbs(), bits);
        if let Some(index) = c.iter().position(too_long) {
            return Err(Error::OutOfRange {
                index,
                limit: "a scalar has at most the declared bits",
            });
        }
        let bases: Vec<_> = x
            .iter()
            .flat_map(|c| [self.params().residue(&c.a), self.params().residue(&c.b)])
            .collect();
        let bases: Vec<&[u64]> = bases.iter().map(Vec::as_slice).collect();
        let exponents: Vec<&[u64]> = c.iter().flat_map(|c| [c.limbs(), c.limbs()]).collect();
        let powers = self.params().ring().pow_many(&bases, &exponents, bits);
        Ok(self.collect(&powers))
    }

    /// m + c for each pair. The randomness stays what it was.
    pub fn add_plain_many(&self, x: &[Ciphertext], c: &[Plaintext]) -> Result<Vec<Ciphertext>> {
        self.check_many(x)?;
        same_length(x.len(), c.len())?;
        check_plaintexts(self.params(), c)?;
        let shifts: Vec<_> = c.iter().map(|c| self.shift(c)).collect();
        let bs: Vec<_> = x.iter().map(|c| self.params().residue(&c.b)).collect();
        let factors: Vec<(&[u64], &[u64])> =
            bs.iter().zip(&shifts).map(|(b, s)| (b.as_slice(), s.as_slice())).collect();
        let products = self.params().ring().mul_many(&factors);
        let join = |(x, b): (&Ciphertext, &crate::arith::ring::Pair)| {
            Ciphertext::new(self, x.a.clone(), limbs::to_public(&b.join(self.params().n_limbs())))
        };
        Ok(x.iter().zip(&products).map(join).collect())
    }

    /// The same plaintexts in ciphertexts that nobody can link to these.
    pub fn rerandomize_many(&self, x: &[Ciphertext]) -> Result<Vec<Ciphertext>> {
        self.check_many(x)?;
        let zeros = vec![Plaintext::from_u64(self.params(), 0); x.len()];
        Ok(self.componentwise(x, &self.encrypt_many(&zeros)?))
    }

    fn componentwise(&self, x: &[Ciphertext], y: &[Ciphertext]) -> Vec<Ciphertext> {
        let residue = |x: &BigUint| self.params().residue(x);
        let limbs_of = |c: &[Ciphertext]| -> Vec<Vec<u64>> {
            c.iter().flat_map(|c| [residue(&c.a), residue(&c.b)]).collect()
        };
        let (x, y) = (limbs_of(x), limbs_of(y));
        let factors: Vec<(&[u64], &[u64])> =
            x.iter().zip(&y).map(|(x, y)| (x.as_slice(), y.as_slice())).collect();
        self.collect(&self.params().ring().mul_many(&factors))
    }

    /// Results A, B, A, B ... as ciphertexts.
    pub(crate) fn collect(&self, residues: &[crate::arith::ring::Pair]) -> Vec<Ciphertext> {
        let public =
            |x: &crate::arith::ring::Pair| limbs::to_public(&x.join(self.params().n_limbs()));
        let pairs = residues.as_chunks::<2>().0.iter();
        pairs.map(|[a, b]| Ciphertext::new(self, public(a), public(b))).collect()
    }

    /// All under this key?
    pub(crate) fn check_many(&self, x: &[Ciphertext]) -> Result<()> {
        self.check_ids(x.iter().map(Ciphertext::key))
    }

    pub(crate) fn check_ids(&self, mut ids: impl Iterator<Item = KeyId>) -> Result<()> {
        let other = ids.by_ref().enumerate().find(|(_, id)| *id != self.id());
        other.map_or(Ok(()), |(index, found)| {
            Err(Error::OtherKey { index, expected: self.id(), found })
        })
    }
}

/// The one item of a batch of one.
pub(crate) fn one<T>(batch: Result<Vec<T>>) -> Result<T> {
    batch?.pop().ok_or(Error::Length { expected: 1, found: 0 })
}

/// Two batches that go together.
pub(crate) fn same_length(expected: usize, found: usize) -> Result<()> {
    if expected == found { Ok(()) } else { Err(Error::Length { expected, found }) }
}

/// The inverses of public numbers modulo a public modulus, or nothing if one has none: one
/// inversion and three products each.
pub(crate) fn invert_many_vartime(values: &[BigUint], modulus: &BigUint) -> Option<Vec<BigUint>> {
    let mut prefix = Vec::with_capacity(values.len());
    let mut product = BigUint::one();
    for x in values {
        prefix.push(product.clone());
        product = product * x % modulus;
    }
    let mut inverse = product.modinv(modulus)?;
    let mut inverses = vec![BigUint::one(); values.len()];
    for i in (0..values.len()).rev() {
        inverses[i] = &inverse * &prefix[i] % modulus;
        inverse = inverse * &values[i] % modulus;
    }
    Some(inverses)
}
