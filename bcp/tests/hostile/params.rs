//! Public parameters and master keys that are not fit for use.

use super::{FAR, Fixture, refused, safe_prime_below, with_modulus, world};
use crate::common::{big, fixture};
use dyad_bcp::{Error, KeySize, MasterKey, ParaGen, ParamsFault, PublicParams, Result};
use num_bigint::BigUint;
use num_prime::nt_funcs::{is_prime, is_prime64};

fn fault(result: Result<PublicParams>) -> ParamsFault {
    match refused(result) {
        Error::Params(fault) => fault,
        other => unreachable!("{other:?} is no error of parameters"),
    }
}

fn with_generator(f: &Fixture, g: &BigUint) -> Result<PublicParams> {
    PublicParams::new(f.size, &f.p * &f.q, g.clone())
}

#[test]
fn a_key_size_nobody_allowed_is_refused() {
    for bits in
        [0, 1, 7, 8, 64, 512, 1024, 2047, 2049, 3071, 4095, 4097, 8192, 1 << 16, (1 << 16) + 3072]
    {
        assert_eq!(KeySize::from_bits(bits), None, "{bits}");
    }
    // No insecure name for a secure size, and none for sizes that are not allowed at all.
    for bits in [0, 7, 2048, 3072, 4096, 5000] {
        let n = (big(1) << u32::from(bits)) - 1u8;
        let size = KeySize::InsecureForTests(bits);
        assert_eq!(fault(PublicParams::new(size, n, big(4))), ParamsFault::Size, "{bits}");
        let generated = ParaGen::new(size).run().map(|(params, _)| params);
        assert_eq!(fault(generated), ParamsFault::Size, "{bits}");
    }
}

#[test]
fn a_modulus_of_another_size_than_declared_is_refused() {
    let n = fixture("64").params().n().clone();
    for n in [big(0), big(1), big(15), &n >> 1u8, (&n << 1u8) + 1u8, n << 64u8] {
        assert_eq!(fault(with_modulus(&n)), ParamsFault::Size, "{n}");
    }
}

#[test]
fn an_even_modulus_is_refused() {
    let n = fixture("64").params().n().clone();
    for n in [&n - 1u8, &n + 1u8, big(1 << 63)] {
        assert_eq!(fault(with_modulus(&n)), ParamsFault::Even, "{n}");
    }
}

#[test]
fn a_modulus_with_a_small_factor_is_refused() {
    for small in [3, 5, 101, 65_521] {
        let large = (3..u64::MAX / small).rev().find(|p| is_prime64(*p)).expect("a prime");
        assert_eq!(fault(with_modulus(&big(small * large))), ParamsFault::Modulus, "{small}");
    }
}

#[test]
fn the_square_of_a_safe_prime_is_refused() {
    let p = safe_prime_below(1 << 32);
    assert_eq!(fault(with_modulus(&(big(p) * p))), ParamsFault::Modulus);
    // It is the square that is refused: the prime is fit for use.
    with_modulus(&(big(p) * safe_prime_below(p - FAR))).expect("two different primes");
}

#[test]
fn a_modulus_p_times_2p_plus_1_is_refused() {
    // Both factors are safe primes; but the order of G has p twice.
    let chain = |p: &u64| [p / 2, *p, 2 * p + 1].into_iter().all(is_prime64);
    let p = (3u64..3_000_000_000).rev().step_by(2).find(chain).expect("there are many");
    let q = safe_prime_below(2 * p);
    assert_eq!(fault(with_modulus(&(big(p) * (2 * p + 1)))), ParamsFault::Modulus);
    with_modulus(&(big(p) * q)).expect("the nearest other safe prime");
    // The smallest examples: 11 · 23 and 23 · 47.
    for (bits, n) in [(8, 253), (11, 1081)] {
        let size = KeySize::InsecureForTests(bits);
        assert_eq!(fault(PublicParams::new(size, big(n), big(4))), ParamsFault::Modulus);
    }
}

#[test]
fn a_generator_that_is_no_square_or_has_no_order_to_speak_of_is_refused() {
    let w = world();
    let (n, n_squared) = (w.n(), w.n_squared());
    let trivial = [big(0), big(1), n - 1u8, n + 1u8, n_squared - n + 1u8, n_squared - 1u8];
    let no_square = [w.with_symbols(true, false), w.with_symbols(false, true)];
    for g in trivial.into_iter().chain(no_square).chain(w.no_residues()) {
        assert_eq!(fault(with_generator(&w.fixture, &g)), ParamsFault::Generator, "{g}");
    }
}

#[test]
fn the_master_key_refuses_the_generators_that_only_the_factors_show() {
    let w = world();
    let (f, g) = (&w.fixture, w.params.g());
    let power = |e: &BigUint| g.modpow(e, w.n_squared());
    let unfit = [
        w.minus(g),
        w.with_symbols(false, false),
        // Of order p'q', N p', N q', N p'q' / p: without a logarithm, trivial on one side or the
        // other, without half of its logarithm.
        power(w.n()),
        power(&(&f.q >> 1u8)),
        power(&(&f.p >> 1u8)),
        power(&f.p),
    ];
    for g in unfit {
        // What is trivial on one side only gives itself away by a common factor with N.
        let error = match with_generator(f, &g) {
            Ok(params) => refused(MasterKey::new(&params, &f.p, &f.q)),
            Err(error) => error,
        };
        assert_eq!(error, Error::Params(ParamsFault::Generator), "{g}");
    }
}

#[test]
fn primes_that_do_not_belong_to_the_modulus_are_refused() {
    let w = world();
    let (p, q, n) = (&w.fixture.p, &w.fixture.q, w.n());
    let other = fixture("toy");
    let huge = n << 6000u32;
    // As good as the right ones, but of another modulus.
    let safe = big(safe_prime_below(1 << 32));
    let wrong = [
        [p, p],
        [q, q],
        [p, &(q + 2u8)],
        [&(p - 2u8), q],
        [p, &safe],
        [&safe, q],
        [&big(1), n],
        [n, &big(1)],
        [&big(0), n],
        [p, &big(0)],
        [&big(0), &big(0)],
        [&other.p, &other.q],
        [&huge, q],
        [p, &huge],
        // The same product modulo 2^64.
        [p, &(q + (big(1) << 64u8))],
    ];
    for [p, q] in wrong {
        let error = refused(MasterKey::new(&w.params, p, q));
        assert_eq!(error, Error::Params(ParamsFault::Primes), "{p} {q}");
    }
}

#[test]
fn primes_that_are_not_safe_are_refused() {
    let q = safe_prime_below(1 << 32);
    let prime = |p: &u64| is_prime64(*p);
    let unsafe_ones = [
        // p' is even
        (3..q - FAR).rev().find(|p| p % 4 == 1 && prime(p)),
        // p' is odd and composite
        (3..q - FAR).rev().find(|p| p % 4 == 3 && prime(p) && !is_prime64(p / 2)),
    ];
    for p in unsafe_ones.map(|p| big(p.expect("there are many"))) {
        let params = with_modulus(&(&p * q)).expect("nobody sees it without the factors");
        for [p, q] in [[&p, &big(q)], [&big(q), &p]] {
            let error = refused(MasterKey::new(&params, p, q));
            assert_eq!(error, Error::Params(ParamsFault::Primes), "{p} {q}");
        }
    }
}

#[test]
fn a_composite_number_twice_a_prime_plus_one_is_refused() {
    let f = fixture("256");
    let is_prime = |x: &BigUint| is_prime(x, None).probably();
    let no_small = |x: &BigUint| (3u32..1 << 16).step_by(2).all(|d| x % d != big(0));
    let twice_a_prime = |x: &BigUint| no_small(x) && !is_prime(x) && is_prime(&(x >> 1u8));
    let mut candidates = (0u32..).map(|i| &f.p + 4 * i);
    let p = candidates.find(twice_a_prime).expect("there are many");
    let params = PublicParams::new(f.size, &p * &f.q, big(4)).expect("no small factor");
    let error = refused(MasterKey::new(&params, &p, &f.q));
    assert_eq!(error, Error::Params(ParamsFault::Primes));
}

#[test]
fn primes_of_unlike_size_are_refused() {
    // 31 and 33 bits, safe, and their product has 64; but the encoding has 32 bits for each.
    let (p, q) = (safe_prime_below(1 << 31), safe_prime_below(1 << 33));
    let params = with_modulus(&(big(p) * q)).expect("nobody sees it without the factors");
    for [p, q] in [[p, q], [q, p]] {
        assert_eq!(
            refused(MasterKey::new(&params, &big(p), &big(q))),
            Error::Params(ParamsFault::Primes)
        );
    }
}

#[test]
fn the_order_of_the_primes_does_not_matter() {
    let w = world();
    let swapped = MasterKey::new(&w.params, &w.fixture.q, &w.fixture.p).expect("the same key");
    let known = swapped.know(w.owner.public()).expect("a key in G");
    for c in w.encrypt(3) {
        assert_eq!(swapped.decrypt(&known, &c), w.master.decrypt(&w.known, &c));
    }
}
