//! The master key: what the key generation centre makes and hands to the auxiliary cloud, C0. No
//! other party links this module.
//!
//! ```text
//! log(u) = L(u^e) e^{-1} mod N,  e = p'q'          additive on G, log(1 + mN) = m
//! mDec   m = log B - log A log h / log g mod N     log h kept per key, log g per parameters
//! ```
//!
//! The paper computes g^tau with tau = ar and takes three exponentiations modulo N²; the formula
//! above needs none beyond the logarithms. Those are taken modulo p² with exponent p' and modulo q²
//! with exponent q':
//!
//! ```text
//! u in G   <=>   u^{p'} = 1 mod p  and  u^{q'} = 1 mod q
//! then           u^{p'} = 1 + x_p p mod p²,  log u = x_p (q p')^{-1} mod p,  and likewise modulo q
//! ```
//!
//! Who learns what: whoever holds the master key reads **everything** encrypted under **any** key
//! of these parameters. In Dyad C0 gets nothing but shares and blinded values to read, and no
//! result of mDec ever goes to whoever chose the ciphertext.
//!
//! That h, A and B lie in G is checked with exponents p' and q', on the way. Without the check a
//! handful of chosen ciphertexts factors N, and with p - 1 in place of p' there is no check, for by
//! Fermat every unit passes (`tests/attacks/`).

mod fresh;

pub use fresh::FreshMaker;

use crate::arith::limbs::{self, SecretLimbs, limbs_for};
use crate::arith::ring::{Pair, SquareRing, square_ring};
use crate::ciphertext::{Ciphertext, one};
use crate::codec::{self, Kind, Reader, Writer};
use crate::decrypt::sub_mod;
use crate::id::{KeyId, ParamsId};
use crate::keys::{PublicKey, SecretKey, check_params};
use crate::params::PublicParams;
use crate::plaintext::Plaintext;
use crate::primes::{far_apart, is_probable_prime};
use crate::unified::UnifiedKey;
use crate::{Error, KeySize, ParamsFault, Result, random};
use num_bigint::BigUint;
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// p and q, and what follows from them. Wiped when dropped, not printable, not cloneable.
pub struct MasterKey {
    params: PublicParams,
    /// p, q.
    primes: [SecretLimbs; 2],
    /// p', q'.
    halves: [SecretLimbs; 2],
    /// Residues alternately modulo p² and q².
    ring: Arc<dyn SquareRing>,
    /// (q² p')^{-1} mod p and (p² q')^{-1} mod q: from x_p, x_q to the coefficients of q and p in
    /// log u.
    to_log: [SecretLimbs; 2],
    /// 1 / x(g), modulo p and q.
    one_over_log_g: [SecretLimbs; 2],
}

/// A public key in G whose logarithm is known: what decryption under it needs.
pub struct KnownKey {
    key: KeyId,
    params: ParamsId,
    /// (log h / log g) (q² p')^{-1} mod p, and likewise modulo q.
    ratio: [SecretLimbs; 2],
}

impl MasterKey {
    /// Takes p and q after checking everything that can be wrong with them: N = pq, p and q not
    /// equal and not close to each other, p, q, p', q' prime, gcd(N, p'q') = 1, and that g
    /// generates G with g^{p'q'} = 1 + kN, gcd(k, N) = 1.
    ///
    /// For primes that are no secret, as those of tests: [`BigUint`] is not wiped. Secret ones come
    /// from [`crate::ParaGen`] and [`MasterKey::from_bytes`].
    pub fn new(params: &PublicParams, p: &BigUint, q: &BigUint) -> Result<Self> {
        let [p, q] = [p, q].map(|x| Zeroizing::new(x.to_u64_digits()));
        Self::from_limbs(params, &p, &q)
    }

    pub(crate) fn from_limbs(params: &PublicParams, p: &[u64], q: &[u64]) -> Result<Self> {
        let unfit = Error::Params(ParamsFault::Primes);
        let bits = params.bits().div_ceil(2);
        let len = limbs_for(bits);
        if p.len() > len || q.len() > len {
            return Err(unfit);
        }
        let mut primes = [p, q].map(|x| limbs::widened(x, len));
        // Half the bits each; toy moduli need not be so even.
        let smallest = if params.size().is_secure() { bits } else { bits - 1 };
        let of_size =
            |x: &SecretLimbs| (smallest..=bits).contains(&limbs::bit_length(x)) && x[0] & 3 == 3;
        let product = limbs::mul(&primes[0], &primes[1]);
        let product = limbs::widened(&product, params.len().max(product.len()));
        // Equal primes would be a square N, which no parameters have.
        let is_n = product[..params.len()].ct_eq(params.n_limbs())
            & limbs::is_zero(&product[params.len()..]);
        if !bool::from(is_n) || !primes.iter().all(of_size) {
            return Err(unfit);
        }
        // The smaller first: one key, one encoding.
        if limbs::ge_mask(&primes[0], &primes[1]) != 0 {
            primes.swap(0, 1);
        }
        let halves = primes.clone().map(|mut x| {
            limbs::halve(&mut x);
            x
        });
        // p' = q would make p'q' share a factor with N; of one size they cannot be equal, but toy
        // sizes are not worth trusting.
        let shares_factor = bool::from(halves[0].ct_eq(&primes[1]) | halves[1].ct_eq(&primes[0]));
        if !far_apart(&primes[0], &primes[1], bits) {
            return Err(Error::Params(ParamsFault::ClosePrimes));
        }
        for x in primes.iter().chain(&halves) {
            let rng = &mut random::os();
            if shares_factor || !is_probable_prime(x, params.backend(), rng)? {
                return Err(unfit);
            }
        }
        Self::with_primes(params, primes, halves)
    }

    /// The constants, and the check of g.
    fn with_primes(
        params: &PublicParams,
        primes: [SecretLimbs; 2],
        halves: [SecretLimbs; 2],
    ) -> Result<Self> {
        let ring = square_ring(&[&primes[0], &primes[1]], params.backend());
        // (q² p')^{-1} mod p, (p² q')^{-1} mod q
        let [p, q] = &primes;
        let squares = mul_mods(&*ring, &[q, p], &[q, p]);
        let to_log =
            invert_mods(&*ring, &mul_mods(&*ring, &refs(&squares), &refs(&halves)), &primes);
        let mut key = Self {
            params: params.clone(),
            one_over_log_g: to_log.clone(),
            primes,
            halves,
            ring,
            to_log,
        };
        // x(g) is not zero modulo p and q iff gcd(k, N) = 1; g is not 1 modulo p and q, and p', q'
        // are prime, so its order there is p', q'.
        let unfit = || Error::Params(ParamsFault::Generator);
        let [x] = key.logs(&[params.g()]).map_err(|_| unfit())?.try_into().map_err(|_| unfit())?;
        let g = params.residue(params.g());
        let residues = key.ring.mul_many(&[(&g, &[1]), (&g, &[1])]);
        if x.iter().any(|x| limbs::is_zero(x).into())
            || residues.iter().any(|g| g.is_one_mod_m().into())
        {
            return Err(unfit());
        }
        key.one_over_log_g = invert_mods(&*key.ring, &x, &key.primes);
        Ok(key)
    }

    /// The parameters this key opens.
    #[must_use]
    pub fn params(&self) -> &PublicParams {
        &self.params
    }

    /// Takes the logarithm of a key once; refuses a key outside G.
    pub fn know(&self, key: &PublicKey) -> Result<KnownKey> {
        self.check_params(key.params())?;
        let [x] =
            self.logs(&[key.h()])?.try_into().map_err(|_| Error::Undecryptable { index: 0 })?;
        let ratio = mul_mods(&*self.ring, &refs(&x), &refs(&self.one_over_log_g));
        let ratio = mul_mods(&*self.ring, &refs(&ratio), &refs(&self.to_log));
        Ok(KnownKey { key: key.id(), params: self.params.id(), ratio })
    }

    /// mDec of each ciphertext under a known key. An item outside G is named, and nothing is
    /// returned.
    pub fn decrypt_many(
        &self,
        key: &KnownKey,
        ciphertexts: &[Ciphertext],
    ) -> Result<Vec<Plaintext>> {
        if key.params != self.params.id() {
            return Err(Error::OtherParams {
                index: 0,
                expected: self.params.id(),
                found: key.params,
            });
        }
        if let Some((index, c)) = ciphertexts.iter().enumerate().find(|(_, c)| c.key() != key.key) {
            return Err(Error::OtherKey { index, expected: key.key, found: c.key() });
        }
        let residues: Vec<&BigUint> = ciphertexts.iter().flat_map(|c| [c.a(), c.b()]).collect();
        let x = self.logs(&residues).map_err(|error| match error {
            Error::Undecryptable { index } => Error::Undecryptable { index: index / 2 },
            other => other,
        })?;
        // Coefficients of q and p in log A log h / log g and in log B, for all ciphertexts at once.
        let [p, q] = &self.primes;
        let mut factors: Vec<(&[u64], &[u64])> = Vec::with_capacity(2 * x.len());
        for [a, b] in x.as_chunks::<2>().0 {
            factors.extend([(&a[0][..], &key.ratio[0][..]), (&a[1], &key.ratio[1])]);
            factors.extend([(&b[0][..], &self.to_log[0][..]), (&b[1], &self.to_log[1])]);
        }
        let products = self.ring.mul_many(&factors);
        let plaintext = |c: &[Pair; 4]| {
            let [a_p, a_q, b_p, b_q] = c.each_ref().map(|x| x.x0.as_slice());
            self.join(&sub_mod(b_p, a_p, p), &sub_mod(b_q, a_q, q))
        };
        Ok(products.as_chunks::<4>().0.iter().map(plaintext).collect())
    }

    /// [`MasterKey::decrypt_many`] of one.
    pub fn decrypt(&self, key: &KnownKey, ciphertext: &Ciphertext) -> Result<Plaintext> {
        one(self.decrypt_many(key, std::slice::from_ref(ciphertext)))
    }

    /// Is each of these residues in G?
    pub fn check_members(&self, residues: &[&BigUint]) -> Result<()> {
        self.params
            .check_residues(residues.iter().copied())
            .map_err(|index| Error::Undecryptable { index })?;
        self.logs(residues).map(|_| ())
    }

    /// Issues n keys as the paper has it: sk uniform modulo the order of G, split into n uniform
    /// parts with sum sk. Owners need not trust each other, but they trust the issuer, which could
    /// read everything anyway.
    pub fn issue(&self, n: usize) -> Result<(Vec<SecretKey>, UnifiedKey)> {
        if n == 0 {
            return Err(Error::Members("a unified key needs at least one"));
        }
        // Splitting a uniform sk = sk_1 + .. + sk_n into uniform parts is drawing the parts and
        // calling their sum sk.
        let order = self.order();
        let mut rng = random::os();
        let keys = (0..n)
            .map(|_| {
                Ok(SecretKey::from_exponent(&self.params, random::below(&mut rng, &order)?, false))
            })
            .collect::<Result<Vec<_>>>()?;
        let public: Vec<PublicKey> = keys.iter().map(|k| k.public().clone()).collect();
        let unified = UnifiedKey::new(&public)?;
        Ok((keys, unified))
    }

    /// Bits of the larger prime.
    fn prime_bits(&self) -> usize {
        self.params.bits().div_ceil(2)
    }

    /// The order of G, N p' q', in limbs of N².
    pub(crate) fn order(&self) -> SecretLimbs {
        let e = limbs::mul(&self.halves[0], &self.halves[1]);
        let order = limbs::mul(&e, self.params.n_limbs());
        limbs::widened(&order, order.len().max(2 * self.params.len()))
    }

    fn check_params(&self, found: &PublicParams) -> Result<()> {
        if *found == self.params {
            Ok(())
        } else {
            Err(Error::OtherParams { index: 0, expected: self.params.id(), found: found.id() })
        }
    }

    /// x_p and x_q of each residue, or the index of one that is not in G.
    fn logs(&self, residues: &[&BigUint]) -> Result<Vec<[SecretLimbs; 2]>> {
        let limbs: Vec<_> = residues.iter().map(|u| self.params.residue(u)).collect();
        let bases: Vec<&[u64]> = limbs.iter().flat_map(|u| [u.as_slice(), u.as_slice()]).collect();
        let powers = self.ring.pow_many(&bases, &refs(&self.halves), self.prime_bits() - 1);
        let pairs = powers.as_chunks::<2>().0;
        let member = |[p, q]: &[Pair; 2]| p.is_one_mod_m() & q.is_one_mod_m();
        match pairs.iter().position(|pair| !bool::from(member(pair))) {
            Some(index) => Err(Error::Undecryptable { index }),
            None => Ok(pairs.iter().map(|[p, q]| [p.x1.clone(), q.x1.clone()]).collect()),
        }
    }

    /// u_p q + u_q p mod N for u_p < p, u_q < q.
    fn join(&self, u_p: &[u64], u_q: &[u64]) -> Plaintext {
        let [p, q] = &self.primes;
        let len = self.params.len();
        let mut m = limbs::widened(&limbs::mul(u_p, q), 2 * p.len() + 1);
        limbs::add_assign(&mut m, &limbs::mul(u_q, p)[..]);
        limbs::reduce_once(&mut m, self.params.n_limbs());
        m.truncate(len);
        Plaintext::from_limbs(m)
    }

    /// The encoding: parameters' id, p, q. The buffer is wiped when dropped; encrypt it before it
    /// is stored or sent.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let bits = self.prime_bits();
        Writer::new(Kind::MasterKey, self.params.size(), body_len(self.params.size()))
            .bytes(self.params.id().as_bytes())
            .secret(&self.primes[0], bits)
            .secret(&self.primes[1], bits)
            .finish()
    }

    /// Reads the encoding of [`MasterKey::to_bytes`] and makes all checks of [`MasterKey::new`].
    pub fn from_bytes(params: &PublicParams, bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::of_size(Kind::MasterKey, params.size(), bytes, body_len)?;
        check_params(params, &mut reader)?;
        let bits = params.bits().div_ceil(2);
        let (p, q) = (reader.secret(bits)?, reader.secret(bits)?);
        if limbs::ge_mask(&p, &q) != 0 {
            return Err(reader.out_of_range());
        }
        Self::from_limbs(params, &p, &q)
    }
}

/// Parameters' id, p, q
fn body_len(size: KeySize) -> usize {
    codec::ID_LEN + 2 * codec::bytes_for(size.bits().div_ceil(2))
}

fn refs(x: &[SecretLimbs; 2]) -> [&[u64]; 2] {
    [&x[0], &x[1]]
}

/// (x_p y_p mod p, x_q y_q mod q)
fn mul_mods(ring: &dyn SquareRing, x: &[&[u64]; 2], y: &[&[u64]; 2]) -> [SecretLimbs; 2] {
    let products = ring.mul_many(&[(x[0], y[0]), (x[1], y[1])]);
    let [p, q] = products.try_into().unwrap_or_else(|_| unreachable!("two products"));
    [p.x0, q.x0]
}

/// (x_p^{-1} mod p, x_q^{-1} mod q) by Fermat: x^{p-2}, in constant time.
fn invert_mods(
    ring: &dyn SquareRing,
    x: &[SecretLimbs; 2],
    primes: &[SecretLimbs; 2],
) -> [SecretLimbs; 2] {
    let exponents = primes.clone().map(|mut p| {
        limbs::sub_assign(&mut p, &[2]);
        p
    });
    let bits = primes.iter().map(|p| limbs::bit_length(p)).max().unwrap_or(0);
    let powers = ring.pow_many(&refs(x), &refs(&exponents), bits);
    let [p, q] = powers.try_into().unwrap_or_else(|_| unreachable!("two powers"));
    [p.x0, q.x0]
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, redacted)", self.params.id())
    }
}

impl fmt::Debug for KnownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnownKey({}, redacted)", self.key)
    }
}
