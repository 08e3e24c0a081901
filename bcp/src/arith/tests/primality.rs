//! Tests for primality against num-prime, and against numbers known to deceive them.

use super::{Stream, big, power, views};
use crate::arith::Backend;
use crate::arith::limbs::{SecretLimbs, from_public, limbs_for};
use crate::arith::probable::{fermat_many, strong_test};
use num_bigint::BigUint;
use num_prime::nt_funcs::{is_prime, is_prime64};
use num_traits::One;

fn fermat(candidates: &[BigUint], bits: usize) -> Vec<bool> {
    let limbs: Vec<_> = candidates.iter().map(|c| from_public(c, limbs_for(bits))).collect();
    let verdicts: Vec<_> = Backend::available()
        .into_iter()
        .map(|backend| fermat_many(&views(&limbs), bits, backend))
        .collect();
    assert!(verdicts.iter().all(|v| *v == verdicts[0]), "backends agree");
    verdicts[0].clone()
}

fn strong(candidate: &BigUint, bases: &[u64]) -> bool {
    let bits = candidate.bits() as usize;
    let c = from_public(candidate, limbs_for(bits));
    let bases: Vec<SecretLimbs> = bases.iter().map(|b| vec![*b].into()).collect();
    let verdicts: Vec<_> =
        Backend::available().into_iter().map(|b| strong_test(&c, &bases, bits, b)).collect();
    assert!(verdicts.iter().all(|v| *v == verdicts[0]), "backends agree on {candidate}");
    verdicts[0]
}

#[test]
fn fermats_test_is_fermats_test() {
    let mut stream = Stream(11);
    let mut batches: Vec<(usize, Vec<BigUint>)> = (2..=12)
        .map(|bits| {
            (bits, (1 << (bits - 1)..1u64 << bits).filter(|c| c % 2 == 1).map(big).collect())
        })
        .collect();
    for bits in [63, 64, 65, 127, 512, 513, 1024] {
        let mut some: Vec<BigUint> = (0..9).map(|_| stream.modulus(bits)).collect();
        some.push(power(bits) - 1u8);
        batches.push((bits, some));
    }
    // Primes: 2^127 - 1, 2^521 - 1.
    batches.extend([127, 521].map(|bits| (bits, vec![power(bits) - 1u8; 3])));
    for (bits, candidates) in batches {
        let is_one = |c: &BigUint| big(2).modpow(&(c - 1u8), c).is_one();
        let expected: Vec<bool> = candidates.iter().map(is_one).collect();
        assert_eq!(fermat(&candidates, bits), expected, "{bits} bits");
    }
    assert_eq!(fermat(&[power(127) - 1u8, power(126) + 1u8], 127), [true, false]);
}

/// Composite, and 2^(c - 1) = 1 mod c all the same.
const PSEUDOPRIMES: [u64; 12] =
    [341, 561, 645, 1105, 1387, 1729, 1905, 2465, 2821, 6601, 8911, 10585];

#[test]
fn the_strong_test_tells_pseudoprimes_from_primes() {
    for c in PSEUDOPRIMES {
        let bits = big(c).bits() as usize;
        assert_eq!(fermat(&[big(c)], bits), [true], "{c} deceives Fermat's test to base 2");
        assert!(!strong(&big(c), &[2]), "{c} does not deceive the strong one");
    }
    // Strong pseudoprimes to the first bases, unmasked by one more: every base given is used, and
    // the last one too.
    assert!(strong(&big(2047), &[2]) && !strong(&big(2047), &[2, 3]));
    let liar = big(3_215_031_751);
    assert!(strong(&liar, &[2, 3, 5, 7]) && !strong(&liar, &[2, 3, 5, 7, 11]));
    let liar = big(3_825_123_056_546_413_051);
    let primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    assert!(strong(&liar, &primes[..11]) && !strong(&liar, &primes));
    assert!(strong(&big(4_294_967_297), &[2]) && !strong(&big(4_294_967_297), &[3]));
}

#[test]
fn the_strong_test_to_all_bases_is_primality() {
    for c in (5..400).step_by(2) {
        let bases: Vec<u64> = (2..=c - 2).collect();
        assert_eq!(strong(&big(c), &bases), is_prime64(c), "{c}");
    }
    for c in (401..6000).step_by(2) {
        assert_eq!(strong(&big(c), &[2, 3, 5, 7, 11]), is_prime64(c), "{c}");
    }
}

#[test]
fn the_strong_test_holds_for_large_numbers() {
    let bases = [2, 3, 5, 7, 11, 13];
    let mersenne = |k: usize| power(k) - 1u8;
    // 3 2^189 + 1: two divides c - 1 often. 2^k - 1: only once.
    let proth = (power(189) * 3u8) + 1u8;
    for prime in [mersenne(61), mersenne(127), mersenne(521), mersenne(607), proth.clone()] {
        assert!(is_prime(&prime, None).probably() && strong(&prime, &bases), "{prime}");
    }
    // (6k + 1)(12k + 1)(18k + 1) with three prime factors is a Carmichael number.
    let carmichael = (1 << 40..(1 << 40) + 100_000)
        .map(|k| [big(k) * 6u8 + 1u8, big(k) * 12u8 + 1u8, big(k) * 18u8 + 1u8])
        .find(|factors| factors.iter().all(|f| is_prime(f, None).probably()));
    let carmichael: BigUint = carmichael.into_iter().flatten().product();
    assert_eq!(fermat(std::slice::from_ref(&carmichael), carmichael.bits() as usize), [true]);
    for composite in [carmichael, mersenne(61) * mersenne(89), mersenne(67), &proth * &proth] {
        assert!(!strong(&composite, &bases), "{composite}");
    }
}
