//! Parameters to attack, weak decryptors, and what attackers compute with.

use crate::common::{Fixture, fixture, header, padded};
use dyad_bcp::{
    Backend, Ciphertext, Error, MasterKey, Plaintext, ProofContext, PublicKey, PublicParams,
    RawCiphertext, SecretKey, UnprovedKey,
};
use num_bigint::BigUint;
use num_integer::Integer;
use num_traits::{CheckedSub, One, Zero};
use rand::{TryRng, rngs::SysRng};

pub(crate) const ALICE: ProofContext<'_> = ProofContext { study: b"study", owner: b"alice" };

/// Parameters, the master key for them, and an honest owner.
pub(crate) struct Study {
    pub(crate) fixture: Fixture,
    pub(crate) params: PublicParams,
    pub(crate) master: MasterKey,
    pub(crate) owner: SecretKey,
}

/// Each attack runs several times at each size on each backend, with new random choices.
pub(crate) fn studies() -> impl Iterator<Item = Study> {
    let backends = || Backend::available().into_iter();
    let settings =
        ["256", "512"].into_iter().flat_map(move |name| backends().map(move |b| (name, b)));
    let four_each = settings.flat_map(|setting| [setting; 4]);
    four_each.map(|(name, backend)| Study::new(name, backend).expect("a study"))
}

impl Study {
    pub(crate) fn new(name: &str, backend: Backend) -> Result<Self, Error> {
        let fixture = fixture(name);
        let (params, master) = fixture.on(backend);
        let owner = SecretKey::generate(&params)?;
        Ok(Self { fixture, params, master, owner })
    }

    pub(crate) fn n(&self) -> &BigUint {
        self.params.n()
    }

    /// The owner's h.
    pub(crate) fn h(&self) -> &BigUint {
        self.owner.public().h()
    }

    /// x^exponent mod N²
    pub(crate) fn pow(&self, x: &BigUint, exponent: &BigUint) -> BigUint {
        x.modpow(exponent, self.params.n_squared())
    }

    /// x y mod N²
    pub(crate) fn times(&self, x: &BigUint, y: &BigUint) -> BigUint {
        x * y % self.params.n_squared()
    }

    /// -x mod N²
    pub(crate) fn negative(&self, x: &BigUint) -> BigUint {
        self.params.n_squared() - x
    }

    /// A key taken from its owner's hand, as a careless party would.
    pub(crate) fn key_without_proof(&self, h: &BigUint) -> Result<PublicKey, Error> {
        let len = 2 * self.params.size().bits() / 8;
        let id = self.params.id().as_bytes().to_vec();
        let bytes = [header(&self.params, 3), id, padded(h, len)].concat();
        Ok(UnprovedKey::from_bytes(&self.params, &bytes)?.assume_certified())
    }

    /// Our decryption of a query under any key, from admission on.
    pub(crate) fn decrypt(&self, h: &BigUint, a: &BigUint, b: &BigUint) -> Result<BigUint, Error> {
        let key = self.key_without_proof(h)?;
        let c = key.admit(RawCiphertext::new(key.id(), a.clone(), b.clone()))?;
        let known = self.master.know(&key)?;
        Ok(self.master.decrypt(&known, &c)?.to_biguint())
    }

    /// Does encryption under this key stay in G? For a key outside, half of all B do not.
    pub(crate) fn encrypts_into_g(&self, key: &PublicKey) -> Result<bool, Error> {
        let c = key.encrypt_many(&vec![Plaintext::from_u64(&self.params, 1); 64])?;
        let b: Vec<&BigUint> = c.iter().map(Ciphertext::b).collect();
        Ok(self.master.check_members(&b).is_ok())
    }

    /// m - m' if the two ciphertexts have one r under one key: L(B / B'), and nothing if that is
    /// not 1 modulo N.
    pub(crate) fn difference(&self, c: &Ciphertext, d: &Ciphertext) -> Option<BigUint> {
        let (difference, rest) = divide(c.b(), d.b(), self.params.n_squared())?.div_rem(self.n());
        rest.is_one().then_some(difference)
    }

    pub(crate) fn is_factor(&self, found: Option<BigUint>) -> bool {
        found.is_some_and(|f| f == self.fixture.p || f == self.fixture.q)
    }
}

/// mDec as the paper prints it, with a membership check to choose.
pub(crate) struct WeakMaster<'a> {
    pub(crate) study: &'a Study,
    pub(crate) admits: fn(&Fixture, &BigUint) -> bool,
}

impl WeakMaster<'_> {
    /// log u = L(u^e) / e mod N, with an L that rounds down
    pub(crate) fn log(&self, u: &BigUint) -> BigUint {
        let (n, e) = (self.study.n(), self.study.fixture.e());
        let v = self.study.pow(u, &e);
        divide(&((v - 1u8) / n), &e, n).expect("gcd(N, p'q') = 1")
    }

    /// m = log B - log A log h / log g mod N
    pub(crate) fn decrypt(&self, h: &BigUint, a: &BigUint, b: &BigUint) -> Option<BigUint> {
        if ![h, a, b].iter().all(|u| (self.admits)(&self.study.fixture, u)) {
            return None;
        }
        let n = self.study.n();
        let ratio = divide(&self.log(h), &self.log(self.study.params.g()), n)?;
        Some(subtract(&self.log(b), &(self.log(a) * ratio % n), n))
    }
}

/// No membership check.
pub(crate) fn everything(_: &Fixture, _: &BigUint) -> bool {
    true
}

/// The wrong check: u^{p-1} = 1 mod p and u^{q-1} = 1 mod q.
pub(crate) fn by_fermat(fixture: &Fixture, u: &BigUint) -> bool {
    [&fixture.p, &fixture.q].iter().all(|p| u.modpow(&(*p - 1u8), p).is_one())
}

/// The right check: u^{p'} = 1 mod p and u^{q'} = 1 mod q.
pub(crate) fn by_order(fixture: &Fixture, u: &BigUint) -> bool {
    [&fixture.p, &fixture.q].iter().all(|p| u.modpow(&(*p >> 1u8), p).is_one())
}

/// The attack of the first test; `ask` gives the answer to (1, u), if there is one.
pub(crate) fn factor_with_six_queries(
    n: &BigUint,
    mut ask: impl FnMut(&BigUint) -> Option<BigUint>,
) -> Option<BigUint> {
    let mut answers = Vec::new();
    for _ in 0..3 {
        let u = unit_with_jacobi_minus_one(n);
        if let (Some(d), Some(m)) = (ask(&u), ask(&(&u * &u))) {
            answers.push((d, m));
        }
    }
    let mut pairs = (0..answers.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
    pairs.find_map(|(i, j)| {
        let ((d1, m1), (d2, m2)) = (&answers[i], &answers[j]);
        let rho = divide(&subtract(m1, m2, n), &(subtract(d1, d2, n) * 2u8), n)?;
        let factor = (rho + n - 1u8).gcd(n);
        (!factor.is_one() && factor != *n).then_some(factor)
    })
}

/// phi(N) = 4e, so p + q = N + 1 - 4e, and (p - q)² = (p + q)² - 4N.
pub(crate) fn factor_from_order(n: &BigUint, e: &BigUint) -> Option<BigUint> {
    let sum = (n + 1u8).checked_sub(&(e * 4u8))?;
    let difference = (&sum * &sum).checked_sub(&(n * 4u8))?.sqrt();
    let p = (sum + difference) / 2u8;
    (p > BigUint::one() && p < *n && (n % &p).is_zero()).then_some(p)
}

/// Below N, so that its square is below N².
pub(crate) fn unit_with_jacobi_minus_one(n: &BigUint) -> BigUint {
    loop {
        let u = random_below(n);
        if jacobi(u.clone(), n.clone()) == -1 {
            return u;
        }
    }
}

/// The Jacobi symbol (a / n), n odd, a < n, by quadratic reciprocity.
pub(crate) fn jacobi(mut a: BigUint, mut n: BigUint) -> i8 {
    let mut sign = 1;
    while !a.is_zero() {
        while a.is_even() {
            a >>= 1u8;
            if [3, 5].contains(&low_bits(&n, 8)) {
                sign = -sign;
            }
        }
        if low_bits(&a, 4) == 3 && low_bits(&n, 4) == 3 {
            sign = -sign;
        }
        (a, n) = (&n % &a, a);
    }
    if n.is_one() { sign } else { 0 }
}

/// x mod m for a small power of two m.
pub(crate) fn low_bits(x: &BigUint, m: u32) -> u32 {
    x.iter_u32_digits().next().unwrap_or(0) % m
}

/// (x - y) mod m for x, y < m
pub(crate) fn subtract(x: &BigUint, y: &BigUint, m: &BigUint) -> BigUint {
    (m + x - y) % m
}

/// x / y mod m, if y has an inverse
pub(crate) fn divide(x: &BigUint, y: &BigUint, m: &BigUint) -> Option<BigUint> {
    Some(x * y.modinv(m)? % m)
}

/// Uniform in [1, bound), all but 2^-64.
pub(crate) fn random_below(bound: &BigUint) -> BigUint {
    let mut bytes = vec![0; bound.bits() as usize / 8 + 9];
    SysRng.try_fill_bytes(&mut bytes).expect("randomness");
    BigUint::from_bytes_be(&bytes) % (bound - 1u8) + 1u8
}
