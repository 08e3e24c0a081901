//! Faults that were found by trying, each kept as a test.

mod common;

use common::{big, fixture, padded, plain};
use dyad_bcp::packing::SlotLayout;
use dyad_bcp::{
    Backend, Error, KeySize, ParaGen, Plaintext, SecretKey, UnifiedKey, UnprovedKey, fermat_many,
};
use num_bigint::BigUint;

#[test]
fn candidates_of_mixed_length_are_tested_alike_by_every_backend() {
    let candidates =
        [big(3), (BigUint::from(1u8) << 521u32) - 1u8, big(4), big(2), big(341), big(1)];
    for backend in Backend::available() {
        let verdicts = fermat_many(&candidates, backend).expect("small enough");
        // 341 = 11 · 31 is the smallest composite that passes to base 2.
        assert_eq!(verdicts, [true, true, false, true, true, false], "{backend:?}");
    }
    assert_eq!(fermat_many(&[], Backend::detect()), Ok(vec![]));
}

#[test]
fn keys_that_cancel_out_make_no_unified_key() {
    let params = fixture("64").params();
    let key = SecretKey::generate(&params).expect("a key");
    let inverse = key.public().h().modinv(params.n_squared()).expect("a unit");
    let mut bytes = key.public().to_bytes();
    bytes.truncate(bytes.len() - 16);
    bytes.extend(padded(&inverse, 16));
    let other = UnprovedKey::from_bytes(&params, &bytes).expect("a unit").assume_certified();
    let unified = UnifiedKey::new(&[key.public().clone(), other]);
    assert!(matches!(unified, Err(Error::Members(_))));
}

#[test]
fn a_secret_key_that_hides_nothing_is_refused() {
    let fixture = fixture("64");
    let params = fixture.params();
    // A multiple of the order of g: h = 1.
    let order = params.n() * fixture.e();
    let mut bytes = SecretKey::generate(&params).expect("a key").to_bytes();
    let at = bytes.len() - 16;
    bytes[at..].copy_from_slice(&padded(&order, 16));
    bytes[36] = 0;
    assert!(matches!(SecretKey::from_bytes(&params, &bytes), Err(Error::Encoding { .. })));
}

#[test]
fn a_job_that_blinds_nothing_is_always_allowed() {
    let params = fixture("2048").params();
    for (sigma, values, allowed) in [
        (0, 0, true),
        (0, 1, false),
        (39, 1, false),
        (40, 1, true),
        (40, 2, false),
        (128, u64::MAX, true),
    ] {
        let layout = SlotLayout::new(&params, 8, sigma).expect("a layout");
        assert_eq!(layout.allows(values), allowed, "{sigma} {values}");
    }
}

/// Fermat's method: if p is near q, a² - N is a square for a just above the root of N.
#[test]
fn generated_primes_are_not_neighbours() {
    for bits in [256, 512] {
        for _ in 0..10 {
            let (params, _) = ParaGen::new(KeySize::insecure_from_bits(bits).expect("a size"))
                .run()
                .expect("made");
            let n = params.n();
            let root = n.sqrt();
            for step in 1..100u32 {
                let a = &root + step;
                let rest = &a * &a - n;
                let b = rest.sqrt();
                assert_ne!(&b * &b, rest, "{bits} bits: factored in {step} steps");
            }
        }
    }
}

#[test]
fn candidates_that_one_backend_has_no_room_for_are_refused_by_all() {
    let ones = |bits: u32| (BigUint::from(1u8) << bits) - 1u8;
    for backend in Backend::available() {
        let refused = fermat_many(&[big(3), ones(15_593)], backend);
        assert!(matches!(refused, Err(Error::OutOfRange { index: 1, .. })), "{backend:?}");
        // Composite, as 15592 is.
        assert_eq!(fermat_many(&[ones(15_592)], backend), Ok(vec![false]), "{backend:?}");
    }
}

#[test]
fn declared_bits_beyond_use_are_refused() {
    let params = fixture("64").params();
    let (x, e) = ([big(5)], [big(3)]);
    for bits in [0, 1, 386, 1 << 40, usize::MAX] {
        let found = params.pow_many(&x, &e, bits);
        assert!(matches!(found, Err(Error::OutOfRange { index: 0, .. })), "{bits}");
    }
    assert_eq!(params.pow_many(&x, &e, 385), Ok(vec![big(125)]));
    let key = SecretKey::generate(&params).expect("a key").public().clone();
    let c = [key.encrypt(&plain(&params, 5)).expect("a ciphertext")];
    for bits in [65, 1_000_000, 1 << 40, usize::MAX] {
        let found = key.scale_many_bounded(&c, &[plain(&params, 3)], bits);
        assert!(matches!(found, Err(Error::OutOfRange { index: 0, .. })), "{bits}");
    }
    key.scale_many_bounded(&c, &[plain(&params, 3)], 64).expect("as long as N");
}

#[test]
fn a_seed_goes_into_a_plaintext_and_comes_out_again() {
    let params = fixture("512").params();
    let seed: Vec<u8> = (0..32).map(|i| i * 7).collect();
    let m = Plaintext::from_bytes(&params, &seed).expect("far below N");
    assert_eq!(m.to_biguint(), BigUint::from_bytes_be(&seed));
    assert_eq!(m.to_bytes(32).expect("it fits").to_vec(), seed);
    assert_eq!(m.to_bytes(100).expect("it fits")[68..], seed[..]);
    // The first byte is zero, the second is not.
    assert_eq!(m.to_bytes(31).expect("it fits").to_vec(), seed[1..]);
    for len in [0, 1, 30] {
        assert!(matches!(m.to_bytes(len), Err(Error::OutOfRange { .. })), "{len}");
    }
    assert_eq!(plain(&params, 0).to_bytes(0).expect("nothing").len(), 0);
    let n = params.n().to_bytes_be();
    let largest = Plaintext::from_bytes(&params, &(params.n() - 1u8).to_bytes_be());
    assert_eq!(largest.expect("below N").to_bytes(64).expect("it fits").to_vec(), {
        (params.n() - 1u8).to_bytes_be()
    });
    for bytes in [&n[..], &[255; 64], &[0; 65], &[0; 1000]] {
        let found = Plaintext::from_bytes(&params, bytes);
        assert!(matches!(found, Err(Error::OutOfRange { .. })), "{}", bytes.len());
    }
}
