//! Numbers chosen by an enemy: each is refused with a typed error, and nothing panics.
//! What hostile bytes do stands in `encodings.rs`.

mod common;
#[path = "hostile/keys.rs"]
mod keys;
#[path = "hostile/params.rs"]
mod params;
#[path = "hostile/printed.rs"]
mod printed;
#[path = "hostile/slots.rs"]
mod slots;

use common::{Fixture, big, fixture, padded, plain};
use dyad_bcp::master::KnownKey;
use dyad_bcp::packing::SlotLayout;
use dyad_bcp::{
    Backend, Ciphertext, Error, Head, KeySize, MasterKey, Plaintext, PublicKey, PublicParams,
    RawCiphertext, Result, SecretKey, UnifiedKey, UnprovedKey,
};
use num_bigint::BigUint;
use num_prime::nt_funcs::is_prime64;

/// One owner and the holder of the master key, with 64-bit N: small, yet nothing happens by chance.
struct World {
    fixture: Fixture,
    params: PublicParams,
    master: MasterKey,
    owner: SecretKey,
    known: KnownKey,
}

fn world() -> World {
    world_on(Backend::detect())
}

fn world_on(backend: Backend) -> World {
    let fixture = fixture("64");
    let (params, master) = fixture.on(backend);
    let owner = SecretKey::generate(&params).expect("a key");
    let known = master.know(owner.public()).expect("a key in G");
    World { fixture, params, master, owner, known }
}

impl World {
    fn n(&self) -> &BigUint {
        self.params.n()
    }

    fn n_squared(&self) -> &BigUint {
        self.params.n_squared()
    }

    fn encrypt(&self, count: u64) -> Vec<Ciphertext> {
        encrypt(self.owner.public(), count)
    }

    /// -x
    fn minus(&self, x: &BigUint) -> BigUint {
        self.n_squared() - x
    }

    /// Not strictly between 0 and N², or no unit.
    fn no_residues(&self) -> Vec<BigUint> {
        let (p, q, n) = (&self.fixture.p, &self.fixture.q, self.n());
        let n_squared = self.n_squared();
        let not_below = [n_squared.clone(), n_squared + 1u8, n_squared << 5000u32];
        // The last but one is the same residue as 4, written a second time.
        let multiples = [p.clone(), q * 7u8, p * p, n.clone(), n * 5u8, n_squared - p];
        let again = [n_squared + 4u8, big(0)];
        not_below.into_iter().chain(multiples).chain(again).collect()
    }

    /// Units outside G: -1, and numbers that are no square modulo p, modulo q, modulo both.
    /// The Jacobi symbol of the first and the last is 1, that of the others -1.
    fn outside(&self) -> Vec<BigUint> {
        let signs = [(false, true), (true, false), (false, false)];
        let small = signs.map(|(p, q)| self.with_symbols(p, q));
        [self.minus(&big(1))].into_iter().chain(small).collect()
    }

    /// The smallest number that is a square modulo p and q or is not, as told.
    fn with_symbols(&self, square_mod_p: bool, square_mod_q: bool) -> BigUint {
        let is_square = |x: &BigUint, p: &BigUint| x.modpow(&(p >> 1u8), p) == big(1);
        let (p, q) = (&self.fixture.p, &self.fixture.q);
        let fits = |x: &BigUint| is_square(x, p) == square_mod_p && is_square(x, q) == square_mod_q;
        (2..1000).map(big).find(fits).expect("a quarter of all numbers")
    }

    /// A key nobody has proved anything about.
    fn certified(&self, h: &BigUint) -> PublicKey {
        unproved(&self.params, h).expect("a unit").assume_certified()
    }
}

fn refused<T>(result: Result<T>) -> Error {
    result.map(|_| ()).expect_err("refused")
}

fn encrypt(key: &PublicKey, count: u64) -> Vec<Ciphertext> {
    let m: Vec<Plaintext> = (0..count).map(|m| plain(key.params(), m)).collect();
    key.encrypt_many(&m).expect("plaintexts")
}

fn raw(c: &Ciphertext) -> RawCiphertext {
    RawCiphertext::new(c.key(), c.a().clone(), c.b().clone())
}

/// An admitted ciphertext of these components.
fn admitted(key: &PublicKey, a: &BigUint, b: &BigUint) -> Ciphertext {
    key.admit(RawCiphertext::new(key.id(), a.clone(), b.clone())).expect("two units")
}

/// Number `h` in the encoding of a public key.
fn unproved(params: &PublicParams, h: &BigUint) -> Result<UnprovedKey> {
    let valid = SecretKey::generate(params)?.public().to_bytes();
    let len = residue_len(params);
    let mut bytes = valid[..valid.len() - len].to_vec();
    bytes.extend(padded(h, len));
    UnprovedKey::from_bytes(params, &bytes)
}

/// Bytes of a residue modulo N² in encodings.
fn residue_len(params: &PublicParams) -> usize {
    (2 * params.size().bits()).div_ceil(8)
}

/// More than the least difference of two primes of 32 bits.
const FAR: u64 = 1 << 20;

fn safe_prime_below(limit: u64) -> u64 {
    let safe = |p: &u64| p % 4 == 3 && is_prime64(*p) && is_prime64(p / 2);
    (3..limit).rev().find(safe).expect("there are many")
}

/// Other parameters with N of 64 bits, larger than that of the fixture.
fn sibling() -> (PublicParams, MasterKey) {
    let p = safe_prime_below(1 << 32);
    let q = safe_prime_below(p - FAR);
    let params = with_modulus(&(big(p) * q)).expect("two safe primes");
    let master = MasterKey::new(&params, &big(p), &big(q)).expect("its primes");
    (params, master)
}

fn with_modulus(n: &BigUint) -> Result<PublicParams> {
    // (N + 2)² has a logarithm: it is 4 + 4N modulo N².
    PublicParams::new(KeySize::InsecureForTests(64), n.clone(), n * 4u8 + 4u8)
}

// Ciphertexts

#[test]
fn components_that_are_no_units_below_n_squared_are_refused() {
    let w = world();
    let key = w.owner.public();
    let good = w.encrypt(1).remove(0);
    for x in w.no_residues() {
        for (a, b) in [(&x, good.b()), (good.a(), &x), (&x, &x)] {
            let raw = RawCiphertext::new(key.id(), a.clone(), b.clone());
            assert_eq!(refused(key.admit(raw)), Error::NotAResidue { index: 0 }, "{x}");
        }
    }
}

#[test]
fn one_bad_component_anywhere_refuses_the_batch_and_is_named() {
    let w = world();
    let key = w.owner.public();
    let good = w.encrypt(9);
    for (at, c) in good.iter().enumerate() {
        for x in w.no_residues() {
            for bad in [(x.clone(), c.b().clone()), (c.a().clone(), x.clone())] {
                let mut batch: Vec<_> = good.iter().map(raw).collect();
                batch[at] = RawCiphertext::new(key.id(), bad.0, bad.1);
                let error = refused(key.admit_many(batch));
                assert_eq!(error, Error::NotAResidue { index: at }, "{x}");
            }
        }
    }
    assert_eq!(key.admit_many(good.iter().map(raw).collect()), Ok(good));
}

#[test]
fn ciphertexts_under_another_key_are_refused_by_every_operation() {
    let w = world();
    let key = w.owner.public();
    let other = SecretKey::generate(&w.params).expect("a key");
    let foreign = encrypt(other.public(), 1).remove(0);
    let unified = UnifiedKey::new(std::slice::from_ref(key)).expect("one member");
    let good = w.encrypt(3);
    let m = vec![plain(&w.params, 1); 3];
    for at in 0..3 {
        let mut mixed = good.clone();
        mixed[at] = foreign.clone();
        let heads: Vec<Head> = mixed.iter().map(Ciphertext::head).collect();
        let errors = [
            refused(key.admit_many(mixed.iter().map(raw).collect())),
            refused(key.add_many(&mixed, &good)),
            refused(key.add_many(&good, &mixed)),
            refused(key.sub_many(&mixed, &good)),
            refused(key.sub_many(&good, &mixed)),
            refused(key.sum(&mixed)),
            refused(key.negate_many(&mixed)),
            refused(key.scale_many(&mixed, &m)),
            refused(key.add_plain_many(&mixed, &m)),
            refused(key.rerandomize_many(&mixed)),
            refused(w.owner.decrypt_many(&mixed)),
            refused(w.master.decrypt_many(&w.known, &mixed)),
            refused(w.owner.partial_many(&unified, &heads)),
            refused(unified.open_many(&mixed, &[vec![], vec![], vec![]])),
        ];
        let (expected, found) = (key.id(), other.public().id());
        for error in errors {
            assert_eq!(error, Error::OtherKey { index: at, expected, found });
        }
    }
}

#[test]
fn batches_of_unequal_length_are_refused() {
    let w = world();
    let key = w.owner.public();
    let (two, three) = (w.encrypt(2), w.encrypt(3));
    let m = vec![plain(&w.params, 1); 3];
    let unified = UnifiedKey::new(std::slice::from_ref(key)).expect("one member");
    let errors = [
        refused(key.add_many(&two, &three)),
        refused(key.sub_many(&two, &three)),
        refused(key.scale_many(&two, &m)),
        refused(key.add_plain_many(&two, &m)),
        refused(unified.open_many(&two, &[vec![], vec![], vec![]])),
        refused(w.params.pow_many(&[big(2), big(3)], &[big(1), big(1), big(1)], 1)),
    ];
    for error in errors {
        assert_eq!(error, Error::Length { expected: 2, found: 3 });
    }
}

#[test]
fn empty_batches_work() {
    let w = world();
    let key = w.owner.public();
    let unified = UnifiedKey::new(std::slice::from_ref(key)).expect("one member");
    let results = [
        key.admit_many(vec![]),
        key.encrypt_many(&[]),
        key.add_many(&[], &[]),
        key.sub_many(&[], &[]),
        key.negate_many(&[]),
        key.scale_many(&[], &[]),
        key.scale_many_bounded(&[], &[], 0),
        key.add_plain_many(&[], &[]),
        key.rerandomize_many(&[]),
    ];
    assert!(results.into_iter().all(|r| r == Ok(vec![])));
    assert_eq!(key.sum(&[]), Ok(None));
    assert_eq!(w.owner.decrypt_many(&[]), Ok(vec![]));
    assert_eq!(w.master.decrypt_many(&w.known, &[]), Ok(vec![]));
    assert_eq!(w.master.check_members(&[]), Ok(()));
    assert!(w.owner.partial_many(&unified, &[]).expect("no partials").is_empty());
    assert_eq!(unified.open_many(&[], &[]), Ok(vec![]));
    assert_eq!(w.params.pow_many(&[], &[], 0), Ok(vec![]));
    let layout = SlotLayout::new(&w.params, 8, 8).expect("a layout");
    assert_eq!(layout.pack(&[]), Ok(vec![]));
    assert_eq!(layout.unpack(&[], 0), Ok(vec![]));
}

#[test]
fn powers_of_what_is_out_of_range_are_refused() {
    let w = world();
    let (n_squared, one) = (w.n_squared().clone(), big(1));
    let pow = |bases: &[BigUint], exponents: &[BigUint]| w.params.pow_many(bases, exponents, 3);
    let error = refused(pow(&[one.clone(), n_squared], &[one.clone(), one.clone()]));
    assert_eq!(error, Error::NotAResidue { index: 1 });
    let error = refused(pow(&[one.clone(), one.clone()], &[one.clone(), big(8)]));
    assert!(matches!(error, Error::OutOfRange { index: 1, .. }), "{error:?}");
    assert_eq!(w.params.pow_many(&[big(5)], &[big(0)], 0), Ok(vec![one]));
}

// Membership of G: all causes give one error

#[test]
fn whatever_does_not_decrypt_gives_one_and_the_same_error() {
    for backend in Backend::available() {
        let w = world_on(backend);
        let key = w.owner.public();
        let good = w.encrypt(1).remove(0);
        let times = |x: &BigUint, y: &BigUint| x * y % w.n_squared();
        let mut errors = Vec::new();
        for u in w.outside() {
            let (a, b) = (times(good.a(), &u), times(good.b(), &u));
            for c in [(&a, good.b()), (good.a(), &b), (&a, &b), (&u, &u)] {
                errors.push(refused(w.master.decrypt(&w.known, &admitted(key, c.0, c.1))));
            }
            errors.push(refused(w.owner.decrypt(&admitted(key, good.a(), &b))));
            errors.push(refused(w.master.check_members(&[&u])));
        }
        // Keys outside G that pass for keys, since their Jacobi symbol is 1.
        for h in [w.minus(key.h()), w.with_symbols(false, false)] {
            errors.push(refused(w.master.know(&w.certified(&h))));
        }
        // The wrong key, which looks right because somebody has written the right name on it.
        let other = SecretKey::generate(&w.params).expect("a key");
        errors.push(refused(other.decrypt(&admitted(other.public(), good.a(), good.b()))));
        errors.extend(w.no_residues().iter().map(|x| refused(w.master.check_members(&[x]))));
        assert_eq!(errors, vec![Error::Undecryptable { index: 0 }; errors.len()]);
    }
}

#[test]
fn numbers_in_g_are_not_refused() {
    // The other half of the tests on membership: a square decrypts to something or other.
    let w = world();
    let square = w.with_symbols(true, true);
    w.master.check_members(&[&square, w.owner.public().h(), w.params.g()]).expect("in G");
    w.master.know(&w.certified(&square)).expect("in G");
    w.master.decrypt(&w.known, &admitted(w.owner.public(), &square, &square)).expect("in G");
}

#[test]
fn one_component_outside_g_anywhere_refuses_the_batch_and_is_named() {
    for backend in Backend::available() {
        let w = world_on(backend);
        let key = w.owner.public();
        let good = w.encrypt(11);
        let mut plaintexts = w.master.decrypt_many(&w.known, &good).expect("in G");
        assert_eq!(plaintexts.pop(), Some(plain(&w.params, 10)));
        for (at, c) in good.iter().enumerate() {
            let bad_a = admitted(key, &w.minus(c.a()), c.b());
            let bad_b = admitted(key, c.a(), &w.minus(c.b()));
            for bad in [bad_a, bad_b.clone()] {
                let mut batch = good.clone();
                batch[at] = bad;
                let error = refused(w.master.decrypt_many(&w.known, &batch));
                assert_eq!(error, Error::Undecryptable { index: at });
            }
            let mut batch = good.clone();
            batch[at] = bad_b;
            assert_eq!(refused(w.owner.decrypt_many(&batch)), Error::Undecryptable { index: at });
            let mut members: Vec<&BigUint> = good.iter().map(Ciphertext::a).collect();
            let outside = w.minus(c.a());
            members[at] = &outside;
            let error = refused(w.master.check_members(&members));
            assert_eq!(error, Error::Undecryptable { index: at });
        }
    }
}

// Mixed parameters

#[test]
fn keys_of_other_parameters_are_refused_by_the_master_key() {
    let w = world();
    let (params, master) = sibling();
    let foreign = SecretKey::generate(&params).expect("a key");
    let known = master.know(foreign.public()).expect("a key in G");
    let (expected, found) = (w.params.id(), params.id());
    let error = Error::OtherParams { index: 0, expected, found };
    assert_eq!(refused(w.master.know(foreign.public())), error);
    assert_eq!(refused(w.master.decrypt_many(&known, &encrypt(foreign.public(), 2))), error);
    assert_eq!(refused(w.master.decrypt_many(&known, &[])), error);
}

#[test]
fn ciphertexts_of_other_parameters_are_refused() {
    let w = world();
    let (params, _) = sibling();
    let foreign = SecretKey::generate(&params).expect("a key");
    let c = encrypt(foreign.public(), 1).remove(0);
    let (expected, found) = (w.owner.public().id(), foreign.public().id());
    let error = Error::OtherKey { index: 0, expected, found };
    assert_eq!(refused(w.owner.public().admit(raw(&c))), error);
    assert_eq!(refused(w.owner.decrypt(&c)), error);
    assert_eq!(refused(w.master.decrypt(&w.known, &c)), error);
}

#[test]
fn heads_read_under_larger_parameters_are_refused() {
    // Whoever serves two studies may read a head with the parameters of the wrong one: its sender
    // can name any key in it.
    let w = world();
    let unified = UnifiedKey::new(&[w.owner.public().clone()]).expect("one member");
    for name in ["256", "2048"] {
        let large = fixture(name).params();
        let key = SecretKey::generate(&large).expect("a key");
        let mut bytes = encrypt(key.public(), 1).remove(0).head().to_bytes();
        bytes[4..36].copy_from_slice(unified.key().id().as_bytes());
        let head = Head::from_bytes(&large, &bytes).expect("a unit for these parameters");
        let error = refused(w.owner.partial_many(&unified, &[head]));
        assert_eq!(error, Error::NotAResidue { index: 0 }, "{name}");
    }
}
