//! The algebra of the cryptosystem as properties, each against its formula written with num-bigint.

#[path = "algebra/batches.rs"]
mod batches;
mod common;
#[path = "algebra/owners.rs"]
mod owners;
#[path = "algebra/paragen.rs"]
mod paragen;

use common::{Fixture, big, fixture};
use dyad_bcp::master::KnownKey;
use dyad_bcp::{
    Backend, Ciphertext, Error, MasterKey, Plaintext, PublicKey, PublicParams, RawCiphertext,
    SecretKey,
};
use num_bigint::BigUint;
use num_integer::Integer;
use num_traits::{One, Zero};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sha2::{Digest, Sha256};
use std::slice::from_ref;
use std::sync::LazyLock;

/// One owner and the master key, on one backend.
struct World {
    fixture: Fixture,
    params: PublicParams,
    master: MasterKey,
    user: SecretKey,
    known: KnownKey,
    /// g^{p'q'} = 1 + kN
    k: BigUint,
}

fn worlds(names: &[&str]) -> Vec<World> {
    let on = |name: &str, backend| {
        let fixture = fixture(name);
        let (params, master) = fixture.on(backend);
        // Even, as the exponent of a local key is.
        let sk = (expand(name.len() as u64, params.n_squared()) >> 1u8) << 1u8;
        let user = SecretKey::insecure_from_exponent(&params, &sk).expect("a key");
        let known = master.know(user.public()).expect("a key in G");
        let power = params.g().modpow(&fixture.e(), params.n_squared());
        let k = (power - 1u8) / params.n();
        World { fixture, params, master, user, known, k }
    };
    names.iter().flat_map(|name| Backend::available().into_iter().map(|b| on(name, b))).collect()
}

static SMALL: LazyLock<Vec<World>> = LazyLock::new(|| worlds(&["64", "256", "512"]));
static LARGE: LazyLock<Vec<World>> = LazyLock::new(|| worlds(&["2048", "3072"]));

/// A number to come: an edge of its range, or anything.
#[derive(Clone, Debug)]
enum Draw {
    Zero,
    One,
    Half,
    Last,
    Any(u64),
}

impl Draw {
    fn below(&self, bound: &BigUint) -> BigUint {
        match self {
            Self::Zero => BigUint::zero(),
            Self::One => BigUint::one() % bound,
            Self::Half => bound >> 1u8,
            Self::Last => bound - 1u8,
            Self::Any(seed) => expand(*seed, bound),
        }
    }
}

fn draw() -> impl Strategy<Value = Draw> {
    let edges = vec![Draw::Zero, Draw::One, Draw::Half, Draw::Last];
    prop_oneof![2 => proptest::sample::select(edges), 3 => any::<u64>().prop_map(Draw::Any)]
}

/// A number below the bound that follows from the seed.
fn expand(seed: u64, bound: &BigUint) -> BigUint {
    let block = |i: u64| Sha256::digest([seed.to_be_bytes(), i.to_be_bytes()].concat());
    let blocks = bound.bits() / 256 + 2;
    BigUint::from_bytes_be(&(0..blocks).flat_map(block).collect::<Vec<_>>()) % bound
}

fn check(worlds: &[World], cases: u32, draws: usize, property: impl Fn(&World, &[Draw])) {
    for world in worlds {
        // Each doubling of the size takes eight times the time.
        let cases = (cases * 64 / world.n().bits() as u32).max(cases / 4).max(1);
        let config = ProptestConfig { cases, failure_persistence: None, ..Default::default() };
        let of = |error| format!("{} on {:?}: {error}", world.fixture.name, world.params.backend());
        let run = |draws: Vec<Draw>| {
            property(world, &draws);
            Ok(())
        };
        let verdict =
            TestRunner::new(config).run(&proptest::collection::vec(draw(), draws), run).map_err(of);
        assert_eq!(verdict, Ok(()));
    }
}

/// Runs the property with so many draws: often with small keys, once with each large one.
fn check_all(draws: usize, property: impl Fn(&World, &[Draw])) {
    check(&SMALL, 40, draws, &property);
    check(&LARGE, 1, draws, &property);
}

impl World {
    fn n(&self) -> &BigUint {
        self.params.n()
    }

    fn n_squared(&self) -> &BigUint {
        self.params.n_squared()
    }

    fn key(&self) -> &PublicKey {
        self.user.public()
    }

    fn plain(&self, m: &BigUint) -> Plaintext {
        Plaintext::from_biguint(&self.params, m).expect("below N")
    }

    /// A plaintext and its encryption, both from two draws: randomness in [0, N²/2).
    fn encrypt(&self, draws: &[Draw]) -> (BigUint, Ciphertext) {
        let (m, r) = (draws[0].below(self.n()), draws[1].below(&(self.n_squared() >> 1u8)));
        let c = self.key().insecure_encrypt_with_randomness(&self.plain(&m), &r);
        (m, c.expect("r below N²/2"))
    }

    /// L(u) = (u - 1) / N
    fn l(&self, u: &BigUint) -> BigUint {
        assert!((u % self.n()).is_one(), "L takes what is 1 modulo N");
        (u - 1u8) / self.n()
    }

    fn pow(&self, x: &BigUint, e: &BigUint) -> BigUint {
        x.modpow(e, self.n_squared())
    }

    /// x / y
    fn div(&self, x: &BigUint, y: &BigUint) -> BigUint {
        x * y.modinv(self.n_squared()).expect("a unit") % self.n_squared()
    }

    /// mDec as the paper has it: a and r modulo N, tau = a r, m = L((B / g^tau)^e) / e.
    fn paper_mdec(&self, h: &BigUint, c: &Ciphertext) -> BigUint {
        let (n, e) = (self.n(), self.fixture.e());
        let inverse = |x: &BigUint| x.modinv(n).expect("a unit");
        let a = self.l(&self.pow(h, &e)) * inverse(&self.k) % n;
        let r = self.l(&self.pow(c.a(), &e)) * inverse(&self.k) % n;
        let tau = a * r % n;
        let unblinded = self.div(c.b(), &self.pow(self.params.g(), &tau));
        self.l(&self.pow(&unblinded, &e)) * inverse(&e) % n
    }

    /// uDec, mDec and the paper's mDec all give m.
    fn opens(&self, c: &Ciphertext, m: &BigUint) {
        assert_eq!(self.user.decrypt(c).expect("uDec").to_biguint(), *m);
        assert_eq!(self.master.decrypt(&self.known, c).expect("mDec").to_biguint(), *m);
        assert_eq!(self.paper_mdec(self.key().h(), c), *m);
    }
}

fn pair(c: &Ciphertext) -> (BigUint, BigUint) {
    (c.a().clone(), c.b().clone())
}

#[test]
fn encryption_is_its_formula_and_opens() {
    check_all(2, |w, draws| {
        let (m, c) = w.encrypt(draws);
        let r = draws[1].below(&(w.n_squared() >> 1u8));
        let a = w.pow(w.params.g(), &r);
        let b = w.pow(w.key().h(), &r) * (&m * w.n() + 1u8) % w.n_squared();
        assert_eq!(pair(&c), (a, b));
        w.opens(&c, &m);
        // With randomness of its own: the same plaintext, and never the same ciphertext.
        let (d, e) = (w.key().encrypt(&w.plain(&m)), w.key().encrypt(&w.plain(&m)));
        let (d, e) = (d.expect("encryption"), e.expect("encryption"));
        w.opens(&d, &m);
        assert!(d != e && d != c);
    });
}

#[test]
fn products_of_ciphertexts_are_sums() {
    check_all(4, |w, draws| {
        let ((m, c), (n, d)) = (w.encrypt(&draws[..2]), w.encrypt(&draws[2..]));
        let sum = w.key().add(&c, &d).expect("one key");
        let product = |x: &BigUint, y: &BigUint| x * y % w.n_squared();
        assert_eq!(pair(&sum), (product(c.a(), d.a()), product(c.b(), d.b())));
        w.opens(&sum, &((m + n) % w.n()));
    });
}

#[test]
fn sums_of_any_length_are_products_of_all() {
    let property = |w: &World, draws: &[Draw]| {
        let all: Vec<_> = draws.chunks(2).map(|draws| w.encrypt(draws)).collect();
        let (plaintexts, ciphertexts): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let sum = w.key().sum(&ciphertexts).expect("one key").expect("not empty");
        let product = |of: fn(&Ciphertext) -> &BigUint| {
            ciphertexts.iter().fold(BigUint::one(), |x, c| x * of(c) % w.n_squared())
        };
        assert_eq!(pair(&sum), (product(Ciphertext::a), product(Ciphertext::b)));
        w.opens(&sum, &(plaintexts.iter().sum::<BigUint>() % w.n()));
    };
    for (terms, cases) in [(1, 4), (2, 4), (7, 10), (33, 6)] {
        check(&SMALL, cases, 2 * terms, property);
    }
    check(&LARGE, 1, 14, property); // seven terms
    for w in SMALL.iter() {
        assert_eq!(w.key().sum(&[]), Ok(None), "nothing to add is no ciphertext");
    }
}

#[test]
fn quotients_of_ciphertexts_are_differences() {
    check_all(4, |w, draws| {
        let ((m, c), (n, d)) = (w.encrypt(&draws[..2]), w.encrypt(&draws[2..]));
        let difference = &w.key().sub_many(from_ref(&c), from_ref(&d)).expect("one key")[0];
        assert_eq!(pair(difference), (w.div(c.a(), d.a()), w.div(c.b(), d.b())));
        w.opens(difference, &((m + w.n() - &n) % w.n()));
        let negative = &w.key().negate_many(from_ref(&d)).expect("one key")[0];
        let one = BigUint::one();
        assert_eq!(pair(negative), (w.div(&one, d.a()), w.div(&one, d.b())));
        w.opens(negative, &((w.n() - n) % w.n()));
    });
}

#[test]
fn powers_of_ciphertexts_are_multiples() {
    check_all(3, |w, draws| {
        let (m, c) = w.encrypt(draws);
        let scale = |by: &BigUint| {
            let scaled = w.key().scale_many(from_ref(&c), &[w.plain(by)]).expect("one key");
            assert_eq!(pair(&scaled[0]), (w.pow(c.a(), by), w.pow(c.b(), by)), "times {by}");
            w.opens(&scaled[0], &(&m * by % w.n()));
        };
        scale(&draws[2].below(w.n()));
        if w.n().bits() <= 512 {
            [big(0), big(1), w.n() - 1u8].iter().for_each(scale);
        }
    });
}

#[test]
fn bounded_multiples_are_multiples_within_their_bound() {
    check_all(4, |w, draws| {
        let (m, c) = w.encrypt(draws);
        let bits = draws[2].below(&big(w.n().bits() - 1)).iter_u64_digits().next().unwrap_or(0);
        let by = draws[3].below(&(BigUint::one() << bits));
        let scale =
            |bits: u64| w.key().scale_many_bounded(from_ref(&c), &[w.plain(&by)], bits as usize);
        let scaled = &scale(bits).expect("within the bound")[0];
        assert_eq!(pair(scaled), (w.pow(c.a(), &by), w.pow(c.b(), &by)));
        w.opens(scaled, &(m * &by % w.n()));
        // As long as it is, and one bit too long.
        assert_eq!(scale(by.bits()).expect("just fits")[0], *scaled);
        if by.bits() > 0 {
            let refused = scale(by.bits() - 1);
            assert!(matches!(refused, Err(Error::OutOfRange { index: 0, .. })), "{refused:?}");
        }
    });
}

#[test]
fn added_constants_change_b_alone() {
    check_all(3, |w, draws| {
        let ((m, c), constant) = (w.encrypt(draws), draws[2].below(w.n()));
        let shifted = &w.key().add_plain_many(from_ref(&c), &[w.plain(&constant)]);
        let shifted = &shifted.as_ref().expect("one key")[0];
        let b = c.b() * (&constant * w.n() + 1u8) % w.n_squared();
        assert_eq!(pair(shifted), (c.a().clone(), b));
        w.opens(shifted, &((m + constant) % w.n()));
    });
}

#[test]
fn rerandomised_ciphertexts_differ_by_an_encryption_of_zero() {
    check_all(2, |w, draws| {
        let (m, c) = w.encrypt(draws);
        let fresh =
            |c: &Ciphertext| w.key().rerandomize_many(from_ref(c)).expect("one key").remove(0);
        let (d, e) = (fresh(&c), fresh(&c));
        w.opens(&d, &m);
        assert!(d.a() != c.a() && d.b() != c.b() && d.a() != e.a() && d.b() != e.b());
        let zero = &w.key().sub_many(&[d], &[c]).expect("one key")[0];
        w.opens(zero, &BigUint::zero());
    });
}

#[test]
fn public_powers_are_powers() {
    check_all(3, |w, draws| {
        let base = draws[0].below(w.n_squared());
        let bits = draws[1].below(&big(300)).iter_u64_digits().next().unwrap_or(0);
        let e = draws[2].below(&(BigUint::one() << bits));
        let (bases, exponents) = ([base.clone()], [e.clone()]);
        let power = w.params.pow_many(&bases, &exponents, bits as usize).expect("in range");
        assert_eq!(power[0], w.pow(&base, &e));
    });
}

#[test]
fn the_master_key_opens_nothing_outside_the_group() {
    for w in SMALL.iter() {
        let (p, q) = (&w.fixture.p * &w.fixture.p, &w.fixture.q * &w.fixture.q);
        // -1 modulo x², 1 modulo y²: in G as far as one prime can see.
        let minus_one_mod = |x: &BigUint, y: &BigUint| {
            (y.modinv(x).expect("different primes") * (x - 2u8) % x * y + 1u8) % w.n_squared()
        };
        let strange = [minus_one_mod(&p, &q), minus_one_mod(&q, &p), w.n_squared() - 1u8];
        let (_, c) = w.encrypt(&[Draw::Any(1), Draw::Any(2)]);
        let admit = |a: BigUint, b: BigUint| {
            let raw = RawCiphertext::new(w.key().id(), a, b);
            w.key().admit(raw).expect("two units")
        };
        let refused = Err(Error::Undecryptable { index: 1 });
        for s in &strange {
            let times = |x: &BigUint| x * s % w.n_squared();
            for bad in [admit(times(c.a()), c.b().clone()), admit(c.a().clone(), times(c.b()))] {
                let opened = w.master.decrypt_many(&w.known, &[c.clone(), bad]).map(drop);
                assert_eq!(opened, refused);
            }
            let members = w.master.check_members(&[c.a(), &times(c.b()), c.b()]);
            assert_eq!(members, refused);
            assert_eq!(w.master.check_members(&[c.a(), &times(&times(c.b()))]), Ok(()));
        }
    }
}

#[test]
fn a_ciphertext_under_another_key_does_not_open() {
    for w in SMALL.iter() {
        let other = SecretKey::generate(&w.params).expect("a key");
        let c = other.public().encrypt(&w.plain(&big(5))).expect("encryption");
        assert!(matches!(w.user.decrypt(&c), Err(Error::OtherKey { index: 0, .. })));
        assert!(matches!(w.master.decrypt(&w.known, &c), Err(Error::OtherKey { index: 0, .. })));
        assert!(matches!(w.key().add(&c, &c), Err(Error::OtherKey { index: 0, .. })));
        // Passed off as one under this key, the quotient is not 1 modulo N.
        let raw = RawCiphertext::new(w.key().id(), c.a().clone(), c.b().clone());
        let passed_off = w.key().admit(raw).expect("two units");
        let quotient = w.div(passed_off.b(), &w.pow(passed_off.a(), &owners::exponent(&w.user)));
        assert!(!quotient.mod_floor(w.n()).is_one());
        assert_eq!(w.user.decrypt(&passed_off), Err(Error::Undecryptable { index: 0 }));
    }
}
