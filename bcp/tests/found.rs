//! Faults that were found by trying, each kept as a test.

mod common;

use common::{big, fixture};
use dyad_bcp::packing::SlotLayout;
use dyad_bcp::{Backend, Error, KeySize, ParaGen, SecretKey, UnifiedKey, UnprovedKey, fermat_many};
use num_bigint::BigUint;

#[test]
fn candidates_of_mixed_length_are_tested_alike_by_every_backend() {
    let candidates =
        [big(3), (BigUint::from(1u8) << 521u32) - 1u8, big(4), big(2), big(341), big(1)];
    for backend in Backend::available() {
        let verdicts = fermat_many(&candidates, backend);
        // 341 = 11 · 31 is the smallest composite that passes to base 2.
        assert_eq!(verdicts, [true, true, false, true, true, false], "{backend:?}");
    }
    assert!(fermat_many(&[], Backend::detect()).is_empty());
}

#[test]
fn keys_that_cancel_out_make_no_unified_key() {
    let params = fixture("64").params();
    let key = SecretKey::generate(&params).expect("a key");
    let inverse = key.public().h().modinv(params.n_squared()).expect("a unit");
    let mut bytes = key.public().to_bytes();
    let at = bytes.len() - 16;
    let inverse = inverse.to_bytes_be();
    bytes[at..].fill(0);
    let end = bytes.len();
    bytes[end - inverse.len()..].copy_from_slice(&inverse);
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
    let (head, number) = bytes.split_at_mut(at);
    let order = order.to_bytes_be();
    number.fill(0);
    number[16 - order.len()..].copy_from_slice(&order);
    head[36] = 0;
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
            let (params, _) =
                ParaGen::new(KeySize::from_bits(bits).expect("a size")).run().expect("made");
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
