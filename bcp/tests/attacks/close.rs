//! Primes that are neighbours.

use crate::common::{Fixture, fixture};
use crate::study::random_below;
use dyad_bcp::{
    Backend, Error, KeySize, MasterKey, ParaGen, ParamsFault, PublicParams, fermat_many,
};
use num_bigint::BigUint;
use num_traits::{CheckedSub, One};

const CLOSE: Error = Error::Params(ParamsFault::ClosePrimes);

/// Fermat's method: N = a² - d² for a = (p + q) / 2, found by counting up from the root of N.
fn factor_by_fermat(n: &BigUint, steps: u32) -> Option<BigUint> {
    let root = n.sqrt();
    (0..=steps).find_map(|step| {
        let a = &root + step;
        let rest = (&a * &a).checked_sub(n)?;
        let d = rest.sqrt();
        (&d * &d == rest && a > &d + 1u8).then(|| a - d)
    })
}

/// The next safe prime from x on, as a generator finds it that goes on with its run.
fn next_safe_prime(x: &BigUint) -> BigUint {
    // p = 3 modulo 4 and p, p' not divisible by 3: p = 11 modulo 12.
    let mut p = x + (23u8 - (x % 12u8).iter_u32_digits().next().unwrap_or(0) as u8) % 12u8;
    loop {
        let run: Vec<BigUint> = (0..512u32).map(|i| &p + 12 * i).collect();
        let halves: Vec<BigUint> = run.iter().map(|p| p >> 1u8).collect();
        let pass = |x: &[BigUint]| fermat_many(x, Backend::detect()).expect("small enough");
        let both = pass(&halves).into_iter().zip(pass(&run)).position(|(h, p)| h && p);
        if let Some(at) = both {
            return run[at].clone();
        }
        p += 12u32 * 512;
    }
}

/// g = 4, a square of large order: what else is wrong with the parameters must not matter.
fn params(size: KeySize, p: &BigUint, q: &BigUint) -> Result<PublicParams, Error> {
    PublicParams::new(size, p * q, BigUint::from(4u8))
}

/// A generator that takes p and q from one run of its sieve makes neighbours, and the root of N is
/// as good as the factors. Ours takes one prime a run, and everybody who reads N tries.
#[test]
fn fermats_method_factors_n_when_its_primes_are_neighbours() {
    for name in ["256", "512"] {
        let Fixture { size, p, .. } = fixture(name);
        let q = next_safe_prime(&(&p + 1u8));
        let n = &p * &q;
        assert_eq!(factor_by_fermat(&n, 1), Some(p.clone()));
        assert_eq!(params(size, &p, &q).err(), Some(CLOSE));
        // The encoding is refused as well: readers make the checks of `new`.
        let len = n.to_bytes_be().len();
        let bits = (size.bits() as u16).to_be_bytes();
        let g = [vec![0; 2 * len - 1], vec![4]].concat();
        let bytes = [vec![1, 1], bits.to_vec(), n.to_bytes_be(), g].concat();
        assert_eq!(PublicParams::insecure_from_bytes(&bytes).err(), Some(CLOSE));

        for _ in 0..4 {
            let (ours, master) = ParaGen::new(size).run().expect("parameters");
            assert_eq!(factor_by_fermat(ours.n(), 1 << 12), None);
            let bytes = master.to_bytes();
            let (p, q) = bytes[36..].split_at((bytes.len() - 36) / 2);
            let [p, q] = [p, q].map(BigUint::from_bytes_be);
            assert!((q - p).bits() > least_bits(size));
        }
    }
    for f in crate::common::fixtures().iter().filter(|f| f.name != "toy") {
        assert_eq!(factor_by_fermat(&(&f.p * &f.q), 1 << 8), None, "{}", f.name);
    }
}

/// Bits of the least difference of two primes.
fn least_bits(size: KeySize) -> u64 {
    let bits = size.bits() as u64 / 2;
    bits.saturating_sub(100).max(bits / 2 + 2)
}

/// Further apart than a few steps of Fermat's method reach and still too close: that shows to who
/// has the primes, and the master key refuses them.
#[test]
fn the_master_key_refuses_primes_closer_than_they_should_be() {
    let Fixture { size, p, .. } = fixture("512");
    let apart = |bits: u64| {
        let half = BigUint::one() << (bits - 2);
        let q = next_safe_prime(&(&p + &half * 2u8 + random_below(&half)));
        assert_eq!((&q - &p).bits(), bits);
        let params = params(size, &p, &q).expect("out of reach of the readers");
        [[&p, &q], [&q, &p]].map(|[p, q]| MasterKey::new(&params, p, q).map(drop))
    };
    let least = least_bits(size);
    assert_eq!(apart(least), [Err(CLOSE), Err(CLOSE)]);
    // One bit more, and nothing is wrong but, perhaps, g = 4.
    for answer in apart(least + 1) {
        assert!(matches!(answer, Ok(()) | Err(Error::Params(ParamsFault::Generator))));
    }
}
