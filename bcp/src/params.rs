//! Public parameters: N and g, and nothing else.
//!
//! The paper publishes k with g^{p'q'} = 1 + kN as well. That factors N with one query to a master
//! decryption (see `tests/attacks/`), so k stays with the master key.

use crate::arith::limbs::{self, SecretLimbs};
use crate::arith::ring::{FixedBase, SquareRing, square_ring};
use crate::arith::{Backend, limbs::limbs_for};
use crate::codec::{self, Kind, Reader, Writer};
use crate::id::ParamsId;
use crate::{Error, ParamsFault, Result, fermat_many, random};
use num_bigint::BigUint;
use num_integer::Integer;
use num_traits::{One, Zero};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The number of bits of N.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeySize {
    /// 112-bit security: allowed, not the default.
    Bits2048,
    /// 128-bit security.
    #[default]
    Bits3072,
    /// For those who want a margin.
    Bits4096,
    /// No security at all. For tests, which need small numbers.
    #[cfg(feature = "insecure-small-keys")]
    InsecureForTests(u16),
}

impl KeySize {
    /// Bits of N.
    #[must_use]
    pub const fn bits(self) -> usize {
        match self {
            Self::Bits2048 => 2048,
            Self::Bits3072 => 3072,
            Self::Bits4096 => 4096,
            #[cfg(feature = "insecure-small-keys")]
            Self::InsecureForTests(bits) => bits as usize,
        }
    }

    /// Large enough to protect anything.
    pub(crate) const fn is_secure(self) -> bool {
        self.bits() >= 2048
    }

    /// No name for what is secure or too small even for tests.
    pub(crate) const fn is_allowed(self) -> bool {
        match self {
            #[cfg(feature = "insecure-small-keys")]
            Self::InsecureForTests(bits) => 8 <= bits && bits < 2048,
            _ => true,
        }
    }

    /// The size with this many bits, if it is allowed: never an insecure one, whatever features are
    /// on, since the number may come from anywhere.
    #[must_use]
    pub const fn from_bits(bits: usize) -> Option<Self> {
        match bits {
            2048 => Some(Self::Bits2048),
            3072 => Some(Self::Bits3072),
            4096 => Some(Self::Bits4096),
            _ => None,
        }
    }

    /// The same with sizes that are insecure.
    #[cfg(feature = "insecure-small-keys")]
    #[must_use]
    pub const fn insecure_from_bits(bits: usize) -> Option<Self> {
        match bits {
            8..2048 => Some(Self::InsecureForTests(bits as u16)),
            _ => Self::from_bits(bits),
        }
    }
}

/// N and g, checked as far as anybody can without the factors. Cheap to clone.
#[derive(Clone)]
pub struct PublicParams(Arc<Inner>);

struct Inner {
    size: KeySize,
    id: ParamsId,
    n: BigUint,
    n_squared: BigUint,
    g: BigUint,
    ring: Arc<dyn SquareRing>,
    backend: Backend,
    powers_of_g: OnceLock<Arc<dyn FixedBase>>,
}

impl PublicParams {
    /// Takes N and g after these checks: N odd and of exactly the declared size, without a small
    /// factor, not p², not p (2p + 1) and not of primes that are neighbours; g a unit, with Jacobi
    /// symbol 1 as every square, and not of tiny order modulo N.
    ///
    /// What only the factors could show (that N is a product of two safe primes, that g has full
    /// order) is up to the key generation centre, which is trusted with far more.
    pub fn new(size: KeySize, n: BigUint, g: BigUint) -> Result<Self> {
        Self::with_backend(size, n, g, Backend::detect())
    }

    /// As [`PublicParams::new`], with the arithmetic of a chosen backend: for tests and benchmarks
    /// that compare backends.
    pub fn with_backend(size: KeySize, n: BigUint, g: BigUint, backend: Backend) -> Result<Self> {
        backend.check()?;
        check_modulus(size, &n)?;
        let n_squared = &n * &n;
        check_generator(&n, &n_squared, &g).map_err(Error::Params)?;
        let mut hash = Sha256::new();
        hash.update(b"dyad-bcp params v1");
        hash.update(
            Writer::new(Kind::Params, size, body_len(size))
                .public(&n, size.bits())
                .public(&g, 2 * size.bits())
                .finish(),
        );
        let ring = square_ring(&[&limbs::from_public(&n, limbs_for(size.bits()))], backend);
        Ok(Self(Arc::new(Inner {
            size,
            id: ParamsId(hash.finalize().into()),
            n,
            n_squared,
            g,
            ring,
            backend,
            powers_of_g: OnceLock::new(),
        })))
    }

    /// Identifies these parameters.
    #[must_use]
    pub fn id(&self) -> ParamsId {
        self.0.id
    }

    /// The declared size.
    #[must_use]
    pub fn size(&self) -> KeySize {
        self.0.size
    }

    /// N.
    #[must_use]
    pub fn n(&self) -> &BigUint {
        &self.0.n
    }

    /// N².
    #[must_use]
    pub fn n_squared(&self) -> &BigUint {
        &self.0.n_squared
    }

    /// g.
    #[must_use]
    pub fn g(&self) -> &BigUint {
        &self.0.g
    }

    /// Which code does the arithmetic.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.0.backend
    }

    /// Bits of N.
    pub(crate) fn bits(&self) -> usize {
        self.0.size.bits()
    }

    /// Limbs of a residue modulo N; twice as many hold one modulo N².
    pub(crate) fn len(&self) -> usize {
        limbs_for(self.bits())
    }

    /// N in limbs.
    pub(crate) fn n_limbs(&self) -> &[u64] {
        self.0.ring.modulus(0)
    }

    /// Arithmetic modulo N².
    pub(crate) fn ring(&self) -> &Arc<dyn SquareRing> {
        &self.0.ring
    }

    /// A public residue modulo N² in limbs.
    pub(crate) fn residue(&self, x: &BigUint) -> Vec<u64> {
        limbs::from_public(x, 2 * self.len())
    }

    /// Bits of the exponents of encryption and of local keys: they are below N²/2.
    pub(crate) fn exponent_bits(&self) -> usize {
        2 * self.bits() - 1
    }

    /// `bases[i] ^ exponents[i]` modulo N², exponents of at most `bits` bits. At most 2 |N| + 257
    /// may be declared. The powers take a time that depends on `bits` alone; but a [`BigUint`] is
    /// as long as its number and is not wiped, so this is for public exponents, tests and benchmarks.
    pub fn pow_many(
        &self,
        bases: &[BigUint],
        exponents: &[BigUint],
        bits: usize,
    ) -> Result<Vec<BigUint>> {
        if bases.len() != exponents.len() {
            return Err(Error::Length { expected: bases.len(), found: exponents.len() });
        }
        if let Some(index) = bases.iter().position(|x| x >= self.n_squared()) {
            return Err(Error::NotAResidue { index });
        }
        // The time, and the room for an exponent, follow from the declared bits.
        if bits > 2 * self.bits() + 257 {
            let limit = "the declared bits are at most those of a proof's response, 2 |N| + 257";
            return Err(Error::OutOfRange { index: 0, limit });
        }
        if let Some(index) = exponents.iter().position(|e| e.bits() > bits as u64) {
            let limit = "an exponent has at most the declared bits";
            return Err(Error::OutOfRange { index, limit });
        }
        let bases: Vec<_> = bases.iter().map(|x| self.residue(x)).collect();
        let exponents: Vec<SecretLimbs> =
            exponents.iter().map(|e| limbs::from_public(e, limbs_for(bits)).into()).collect();
        let bases: Vec<&[u64]> = bases.iter().map(Vec::as_slice).collect();
        let exponents: Vec<&[u64]> = exponents.iter().map(|e| e.as_slice()).collect();
        let powers = self.ring().pow_many(&bases, &exponents, bits);
        Ok(powers.iter().map(|x| limbs::to_public(&x.join(self.n_limbs()))).collect())
    }

    /// Tables for powers of a fixed base with such exponents.
    pub(crate) fn tables_for(&self, base: &BigUint) -> Arc<dyn FixedBase> {
        Arc::clone(self.ring()).fixed_base(&self.residue(base), self.exponent_bits())
    }

    /// Tables for powers of g, made at first use.
    pub(crate) fn powers_of_g(&self) -> &dyn FixedBase {
        self.0.powers_of_g.get_or_init(|| self.tables_for(self.g())).as_ref()
    }

    /// Uniform in [1, N²/2).
    pub(crate) fn random_exponent(&self, rng: &mut impl rand::TryCryptoRng) -> Result<SecretLimbs> {
        random::below(rng, &self.residue(&(self.n_squared() >> 1)))
    }

    /// A public residue is acceptable if it lies strictly between 0 and N² and is a unit.
    pub(crate) fn check_residues<'a>(
        &self,
        residues: impl Iterator<Item = &'a BigUint> + Clone,
    ) -> Result<(), usize> {
        // One gcd for the whole batch; only if something is wrong is it looked for.
        let mut product = BigUint::one();
        let mut below = true;
        for x in residues.clone() {
            below &= x < self.n_squared();
            product = product * (x % self.n()) % self.n();
        }
        if below && self.is_unit(&product) {
            return Ok(());
        }
        let acceptable = |x: &BigUint| x < self.n_squared() && self.is_unit(x);
        Err(residues.into_iter().position(|x| !acceptable(x)).unwrap_or(0))
    }

    /// The same for a secret residue: below N², and a unit, which its product with a random number
    /// shows without showing it.
    pub(crate) fn check_secret_residue(&self, x: &[u64]) -> Result<()> {
        let n_squared = limbs::from_public(self.n_squared(), x.len());
        let blinded_is_unit = || -> Result<bool> {
            let blind = random::below(&mut random::os(), self.n_limbs())?;
            let blinded = self.ring().mul_many(&[(x, &blind)]);
            Ok(self.is_unit(&limbs::to_public(&blinded[0].x0)))
        };
        if limbs::ge_mask(x, &n_squared) == 0 {
            // One try is enough, but for toy moduli, where the blind may be no unit.
            for _ in 0..16 {
                if blinded_is_unit()? {
                    return Ok(());
                }
            }
        }
        Err(Error::NotAResidue { index: 0 })
    }

    /// h = 1 + jN would hide nothing: with h = 1, B is 1 + mN. Nor would an h of order 2 modulo N:
    /// B² is of that form then.
    pub(crate) fn hides(&self, h: &BigUint) -> bool {
        let h = h % self.n();
        !(&h * &h % self.n()).is_one()
    }

    /// What lies in G is a square and has Jacobi symbol 1. So has -h for an h in G: half of the
    /// units outside G show here, the other half to the master key alone.
    pub(crate) fn may_be_square(&self, h: &BigUint) -> bool {
        jacobi(h % self.n(), self.n().clone()) == 1
    }

    fn is_unit(&self, x: &BigUint) -> bool {
        !x.is_zero() && x.gcd(self.n()).is_one()
    }

    /// The encoding: N, g.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let bits = self.bits();
        Writer::new(Kind::Params, self.size(), body_len(self.size()))
            .public(self.n(), bits)
            .public(self.g(), 2 * bits)
            .finish()
            .to_vec()
    }

    /// Reads an encoding and makes all checks of [`PublicParams::new`]. Insecure sizes are refused,
    /// whatever features are on.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(Reader::new(Kind::Params, bytes, KeySize::from_bits, body_len)?)
    }

    /// The same for tests, which need small numbers: takes parameters without any security.
    #[cfg(feature = "insecure-small-keys")]
    pub fn insecure_from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(Reader::new(Kind::Params, bytes, KeySize::insecure_from_bits, body_len)?)
    }

    fn read(mut reader: Reader<'_>) -> Result<Self> {
        let size = reader.size();
        let n = reader.public(size.bits())?;
        let g = reader.public(2 * size.bits())?;
        Self::new(size, n, g)
    }
}

/// N, g
fn body_len(size: KeySize) -> usize {
    codec::bytes_for(size.bits()) + codec::bytes_for(2 * size.bits())
}

impl PartialEq for PublicParams {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for PublicParams {}

impl fmt::Debug for PublicParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicParams({}, {:?})", self.id(), self.size())
    }
}

fn check_modulus(size: KeySize, n: &BigUint) -> Result<()> {
    let fault = |fault| Err(Error::Params(fault));
    if !size.is_allowed() || n.bits() != size.bits() as u64 {
        return fault(ParamsFault::Size);
    }
    if !n.bit(0) {
        return fault(ParamsFault::Even);
    }
    // N = p (2p + 1) iff 8N + 1 = (4p + 1)²; then gcd(N, p'q') = p.
    if is_square(n) || is_square(&((n << 3u8) + 1u8)) {
        return fault(ParamsFault::Modulus);
    }
    if fermat_factors(size, n) {
        return fault(ParamsFault::ClosePrimes);
    }
    // The factors of N have half its bits; anything much smaller is foul.
    let limit = 1u64 << (size.bits() / 3).min(16);
    if (3..limit).step_by(2).any(|d| (n % d).is_zero()) {
        return fault(ParamsFault::Modulus);
    }
    if fermat_many(std::slice::from_ref(n), Backend::detect())? == [true] {
        return fault(ParamsFault::Modulus);
    }
    Ok(())
}

/// Fermat's method: N = a² - d² with a = (p + q) / 2, which is just above the root of N if p is
/// near q. Few steps are enough for what a broken generator makes, neighbours from one run of a
/// sieve; that primes are as far apart as they should be, only who knows them can tell
/// (`far_apart`).
fn fermat_factors(size: KeySize, n: &BigUint) -> bool {
    // Toy primes have no room to be far apart: `far_apart` keeps them out of two steps' reach.
    let steps = if size.is_secure() { 32 } else { 2 };
    let root = n.sqrt();
    (1..=steps).any(|step: u32| {
        let a = &root + step;
        is_square(&(&a * &a - n))
    })
}

fn is_square(x: &BigUint) -> bool {
    let root = x.sqrt();
    &root * &root == *x
}

fn check_generator(n: &BigUint, n_squared: &BigUint, g: &BigUint) -> Result<(), ParamsFault> {
    let g_mod_n = g % n;
    let tiny_order = g_mod_n.is_one() || g_mod_n == n - 1u8;
    // g = 1 modulo p alone would have no order there; its difference from 1 would factor N besides.
    let half_trivial = g_mod_n.is_zero() || !(&g_mod_n - 1u8).gcd(n).is_one();
    // A Jacobi symbol other than 1 is no square; 0 is no unit.
    if g >= n_squared || tiny_order || half_trivial || jacobi(g_mod_n, n.clone()) != 1 {
        return Err(ParamsFault::Generator);
    }
    Ok(())
}

/// The Jacobi symbol (a / n) of public numbers, n odd, a < n.
pub(crate) fn jacobi(mut a: BigUint, mut n: BigUint) -> i8 {
    let mut sign = 1;
    while !a.is_zero() {
        let twos = a.trailing_zeros().unwrap_or(0);
        a >>= twos;
        let n_mod_8 = n.iter_u32_digits().next().unwrap_or(0) & 7;
        if twos % 2 == 1 && (n_mod_8 == 3 || n_mod_8 == 5) {
            sign = -sign;
        }
        let a_mod_4 = a.iter_u32_digits().next().unwrap_or(0) & 3;
        if a_mod_4 == 3 && n_mod_8 & 3 == 3 {
            sign = -sign;
        }
        std::mem::swap(&mut a, &mut n);
        a %= &n;
    }
    if n.is_one() { sign } else { 0 }
}
