//! Batched tests for primality, on candidates that may become secret primes: constant time in the
//! candidate.

use super::Backend;
#[cfg(target_arch = "x86_64")]
use super::ifma::Ifma;
use super::kernel::Kernel;
use super::limbs::{self, SecretLimbs};
use super::portable::Portable;
use super::ring::{Group, Pair, square_ring};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Fermat's test to base 2 for each candidate: `2^(c - 1) = 1 mod c`. Candidates are odd and have
/// at most `bits` bits.
pub(crate) fn fermat_many(candidates: &[&[u64]], bits: usize, backend: Backend) -> Vec<bool> {
    match backend {
        Backend::Portable => fermat_on::<Portable>(candidates, bits),
        #[cfg(target_arch = "x86_64")]
        Backend::Ifma => fermat_on::<Ifma>(candidates, bits),
        #[cfg(not(target_arch = "x86_64"))]
        Backend::Ifma => fermat_on::<Portable>(candidates, bits),
    }
}

fn fermat_on<K: Kernel>(candidates: &[&[u64]], bits: usize) -> Vec<bool> {
    candidates.chunks(K::LANES).flat_map(|chunk| fermat_lanes::<K>(chunk, bits)).collect()
}

fn fermat_lanes<K: Kernel>(chunk: &[&[u64]], bits: usize) -> Vec<bool> {
    // A lane without a candidate repeats the first.
    let lanes: Vec<&[u64]> = (0..K::LANES).map(|i| *chunk.get(i).unwrap_or(&chunk[0])).collect();
    let kernel = K::new(&lanes);
    let mut x = Zeroizing::new(Group::montgomery_one(&kernel, &lanes));
    let mut scratch = Zeroizing::new(kernel.scratch());
    // c - 1 for odd c
    let exponents: Vec<SecretLimbs> = lanes.iter().map(|c| Zeroizing::new(c.to_vec())).collect();
    let exponents: Vec<SecretLimbs> = exponents
        .into_iter()
        .map(|mut e| {
            e[0] &= !1;
            e
        })
        .collect();
    let views: Vec<&[u64]> = exponents.iter().map(|e| e.as_slice()).collect();
    kernel.power_of_two(&mut x, &views, bits, &mut scratch);
    (0..chunk.len())
        .map(|lane| {
            let digits = Zeroizing::new(kernel.scatter(&x, lane));
            let power = Zeroizing::new(kernel.join(&digits[..kernel.digits()]));
            // Candidates of mixed lengths come padded.
            let mut power = limbs::widened(&power, power.len().max(chunk[lane].len()));
            limbs::reduce_once(&mut power, chunk[lane]);
            bool::from(power[0].ct_eq(&1) & limbs::is_zero(&power[1..]))
        })
        .collect()
}

/// The test of Miller and Rabin for one odd candidate `c > 4` of `bits` bits to each of the given
/// bases, `1 < base < c - 1`: with c - 1 = 2^s d, `base^d = 1` or `base^(2^i d) = -1` for some i <
/// s.
pub(crate) fn strong_test(
    candidate: &[u64],
    bases: &[SecretLimbs],
    bits: usize,
    backend: Backend,
) -> bool {
    let ring = square_ring(&[candidate], backend);
    let len = limbs::limbs_for(bits);
    let mut minus_one = Zeroizing::new(candidate[..len].to_vec());
    minus_one[0] &= !1;
    // s is small and says little: how often 2 divides c - 1.
    let s = (0..bits).find(|at| limbs::bits_at(&minus_one, *at, 1) == 1).unwrap_or(0);
    let d = Zeroizing::new(
        (0..len)
            .map(|i| {
                limbs::bits_at(&minus_one, 64 * i + s, 32)
                    | limbs::bits_at(&minus_one, 64 * i + s + 32, 32) << 32
            })
            .collect::<Vec<u64>>(),
    );
    let views: Vec<&[u64]> = bases.iter().map(|b| b.as_slice()).collect();
    let mut powers = ring.pow_many(&views, &[&d], bits);
    let is_minus_one = |x: &Pair| bool::from(x.x0.ct_eq(&minus_one));
    let mut passed: Vec<bool> =
        powers.iter().map(|x| x.is_one_mod_m().into() || is_minus_one(x)).collect();
    for _ in 1..s {
        let factors: Vec<(&[u64], &[u64])> =
            powers.iter().map(|x| (x.x0.as_slice(), x.x0.as_slice())).collect();
        powers = ring.mul_many(&factors);
        for (passed, x) in passed.iter_mut().zip(&powers) {
            *passed |= is_minus_one(x);
        }
    }
    passed.into_iter().all(|p| p)
}
