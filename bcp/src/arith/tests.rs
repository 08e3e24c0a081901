//! Every backend against num-bigint, and the backends against each other.

mod limb_functions;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod memcheck;
mod primality;
// Shared with the tests outside, which need it to be public.
#[allow(unreachable_pub)]
#[path = "../../tests/common/skipped.rs"]
mod skipped;

use super::Backend;
#[cfg(target_arch = "x86_64")]
use super::ifma::Ifma;
use super::kernel::Kernel;
use super::limbs::{from_public, limbs_for, to_public};
use super::portable::Portable;
use super::ring::{Pair, square_ring};
use num_bigint::BigUint;
use num_traits::{One, Zero};
use skipped::skipped;
use std::sync::Arc;

/// One of Vigna's generators (splitmix64): the same numbers in every run.
struct Stream(u64);

impl Stream {
    fn limb(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn limbs(&mut self, len: usize) -> Vec<u64> {
        (0..len).map(|_| self.limb()).collect()
    }

    /// Uniform below 2^bits, in limbs.
    fn bits(&mut self, bits: usize) -> Vec<u64> {
        let x = to_public(&self.limbs(limbs_for(bits))) % power(bits);
        from_public(&x, limbs_for(bits))
    }

    /// Odd and of exactly `bits` bits.
    fn modulus(&mut self, bits: usize) -> BigUint {
        to_public(&self.bits(bits)) | power(bits - 1) | BigUint::one()
    }
}

fn big(x: u64) -> BigUint {
    BigUint::from(x)
}

fn power(exponent: usize) -> BigUint {
    BigUint::one() << exponent
}

fn views<T: AsRef<[u64]>>(x: &[T]) -> Vec<&[u64]> {
    x.iter().map(AsRef::as_ref).collect()
}

/// Moduli at the edges of limbs, of the eight-lane kernel's blocks (520 bits with the spare ones),
/// and in use.
const SIZES: [usize; 14] =
    [63, 64, 65, 511, 512, 513, 520, 1023, 1024, 1025, 1536, 2048, 3072, 4096];

/// Rings of one modulus: all tiny ones, and three kinds of each size.
fn single_moduli() -> Vec<Vec<BigUint>> {
    let mut stream = Stream(1);
    let tiny = (3..256u64).step_by(2).map(big);
    let large =
        SIZES.into_iter().flat_map(|k| [power(k) - 1u8, power(k - 1) + 1u8, stream.modulus(k)]);
    tiny.chain(large).map(|m| vec![m]).collect()
}

/// Rings of two, four and eight moduli of slightly unequal size, also where the sizes need unequal
/// numbers of limbs.
fn mixed_moduli() -> Vec<Vec<BigUint>> {
    let mut stream = Stream(2);
    let mut rings = Vec::new();
    for top in [8, 57, 64, 65, 512, 513, 1025] {
        for k in [2, 4, 8] {
            let bits = |i: usize| top - [0, 1, 1, 0, 0, 1, 0, 1][i];
            rings.push((0..k).map(|i| stream.modulus(bits(i))).collect());
        }
    }
    rings
}

/// Numbers of many lengths, among them zero, one, M, M² - 1, all ones, and some far beyond M².
fn edges(m: &BigUint, stream: &mut Stream) -> Vec<Vec<u64>> {
    let n = limbs_for(m.bits() as usize);
    let below = to_public(&stream.limbs(2 * n + 1)) % (m * m);
    vec![
        vec![],
        vec![0],
        vec![1],
        vec![0; 2 * n],
        from_public(m, n),
        from_public(&(m - 1u8), n),
        from_public(&(m * m - 1u8), 2 * n),
        from_public(&(m * m), 2 * n),
        from_public(&(m * m - m), 2 * n),
        from_public(&below, 2 * n),
        vec![u64::MAX; n],
        vec![u64::MAX; 2 * n],
        vec![u64::MAX; 3 * n],
        vec![u64::MAX; 4 * n],
        stream.limbs(2 * n),
        stream.limbs(2 * n + 1),
        stream.limbs(4 * n),
    ]
}

/// Five exponents in turn meet each of seventeen bases once.
fn five_times(bases: &[Vec<u64>]) -> Vec<Vec<u64>> {
    bases.iter().cycle().take(5 * bases.len()).cloned().collect()
}

/// Each pair is canonical and right, and each backend gave the same limbs.
fn check(of: &str, moduli: &[BigUint], expected: &[BigUint], found: &[Vec<Pair>]) {
    for pairs in found {
        assert_eq!(pairs.len(), expected.len(), "{of}");
        for (i, (pair, expected)) in pairs.iter().zip(expected).enumerate() {
            let m = &moduli[i % moduli.len()];
            let (x0, x1) = (to_public(&pair.x0), to_public(&pair.x1));
            assert!(x0 < *m && x1 < *m, "{of}: item {i} modulo {m}² is not canonical");
            assert_eq!(x0 + x1 * m, *expected, "{of}: item {i} modulo {m}²");
            assert_eq!(pair.x0, found[0][i].x0, "{of}: item {i} modulo {m}²");
            assert_eq!(pair.x1, found[0][i].x1, "{of}: item {i} modulo {m}²");
            assert_eq!(to_public(&pair.join(&from_public(m, pair.x0.len()))), *expected);
        }
    }
}

fn on_all<T>(moduli: &[BigUint], run: impl Fn(Arc<dyn super::ring::SquareRing>) -> T) -> Vec<T> {
    let len = limbs_for(moduli.iter().map(BigUint::bits).max().unwrap_or(0) as usize);
    let limbs: Vec<_> = moduli.iter().map(|m| from_public(m, len)).collect();
    Backend::available().into_iter().map(|b| run(square_ring(&views(&limbs), b))).collect()
}

fn check_powers(moduli: &[BigUint], bases: &[Vec<u64>], exponents: &[Vec<u64>], bits: usize) {
    let (bases, exponents) = (views(bases), views(exponents));
    let expected: Vec<BigUint> = bases
        .iter()
        .enumerate()
        .map(|(i, x)| {
            let m = &moduli[i % moduli.len()];
            to_public(x).modpow(&to_public(exponents[i % exponents.len()]), &(m * m))
        })
        .collect();
    let found = on_all(moduli, |ring| ring.pow_many(&bases, &exponents, bits));
    check(&format!("powers with exponents of {bits} bits"), moduli, &expected, &found);
}

/// Zero, one, all ones, random: five numbers of up to `bits` bits.
fn exponents(bits: usize, stream: &mut Stream) -> Vec<Vec<u64>> {
    let len = limbs_for(bits);
    let numbers = [BigUint::zero(), power(bits.min(1)) - 1u8, power(bits) - 1u8];
    let mut all: Vec<_> = numbers.iter().map(|e| from_public(e, len)).collect();
    all.extend([stream.bits(bits), stream.bits(bits)]);
    all
}

#[test]
fn powers_agree_for_every_edge() {
    let mut stream = Stream(3);
    for moduli in single_moduli() {
        let bases = five_times(&edges(&moduli[0], &mut stream));
        let lengths: &[usize] = if moduli[0].bits() < 1000 { &[0, 1, 5, 67] } else { &[37] };
        for bits in lengths {
            check_powers(&moduli, &bases, &exponents(*bits, &mut stream), *bits);
        }
    }
}

#[test]
fn powers_agree_for_exponents_as_long_as_the_square() {
    let mut stream = Stream(4);
    for moduli in single_moduli() {
        let bits = 2 * moduli[0].bits() as usize;
        let count = if bits > 2048 { 1 } else { 5 };
        let bases: Vec<_> = (0..count).map(|_| stream.limbs(bits / 64 + 1)).collect();
        let long = exponents(bits, &mut stream);
        check_powers(&moduli, &bases, &long[5 - count..], bits);
    }
}

#[test]
fn powers_agree_with_a_modulus_per_lane() {
    let mut stream = Stream(5);
    for moduli in mixed_moduli() {
        let bases = five_times(&edges(&moduli[moduli.len() - 1], &mut stream));
        for bits in [1, 67, 130] {
            check_powers(&moduli, &bases, &exponents(bits, &mut stream), bits);
        }
    }
}

#[test]
fn products_agree_for_every_pair_of_edges() {
    let mut stream = Stream(6);
    for moduli in single_moduli().into_iter().chain(mixed_moduli()) {
        let numbers = edges(&moduli[0], &mut stream);
        let numbers = views(&numbers);
        let factors: Vec<(&[u64], &[u64])> =
            numbers.iter().flat_map(|x| numbers.iter().map(move |y| (*x, *y))).collect();
        let product = |(i, (x, y)): (usize, &(&[u64], &[u64]))| {
            let m = &moduli[i % moduli.len()];
            to_public(x) * to_public(y) % (m * m)
        };
        let expected: Vec<BigUint> = factors.iter().enumerate().map(product).collect();
        check("products", &moduli, &expected, &on_all(&moduli, |ring| ring.mul_many(&factors)));
    }
}

/// Powers of a fixed base for the five exponents, alone and with the plaintexts 0, 1, M - 1 and a
/// random one.
fn check_fixed_base(m: &BigUint, base: &[u64], bits: usize, stream: &mut Stream) {
    let n = limbs_for(m.bits() as usize);
    let exponents = exponents(bits, stream);
    let mut plaintexts: Vec<BigUint> = vec![BigUint::zero(), BigUint::one(), m - 1u8];
    plaintexts.extend([to_public(&stream.limbs(n)) % m, BigUint::zero()]);
    let limbs: Vec<_> = plaintexts.iter().map(|x| from_public(x, n)).collect();
    let power = |e: &Vec<u64>| to_public(base).modpow(&to_public(e), &(m * m));
    let plain: Vec<BigUint> = exponents.iter().map(power).collect();
    let with: Vec<BigUint> =
        plain.iter().zip(&plaintexts).map(|(x, c)| x * (c * m + 1u8) % (m * m)).collect();
    let moduli = [m.clone()];
    let both = on_all(&moduli, |ring| {
        let powers = ring.fixed_base(base, bits);
        let e = views(&exponents);
        (powers.pow_many(&e, None), powers.pow_many(&e, Some(&views(&limbs))))
    });
    let (alone, multiplied): (Vec<_>, Vec<_>) = both.into_iter().unzip();
    check(&format!("fixed base, {bits} bits"), &moduli, &plain, &alone);
    check(&format!("fixed base and plaintext, {bits} bits"), &moduli, &with, &multiplied);
}

#[test]
fn fixed_base_agrees_for_every_modulus() {
    let mut stream = Stream(7);
    for moduli in single_moduli() {
        let base = stream.limbs(2 * moduli[0].bits() as usize / 64 + 1);
        check_fixed_base(&moduli[0], &base, 131, &mut stream);
    }
}

#[test]
fn fixed_base_agrees_for_every_edge_and_exponent_length() {
    let mut stream = Stream(8);
    let m = stream.modulus(64);
    for base in edges(&m, &mut stream) {
        check_fixed_base(&m, &base, 127, &mut stream);
    }
    // Shorter than the comb's teeth, and with rows that the pieces do not divide.
    for bits in 1..=260 {
        let base = stream.limbs(2);
        check_fixed_base(&m, &base, bits, &mut stream);
    }
    for bits in [512, 1024] {
        let m = stream.modulus(bits);
        let base = stream.limbs(bits / 32);
        check_fixed_base(&m, &base, 2 * bits - 1, &mut stream);
    }
}

#[test]
fn every_batch_size_keeps_its_order() {
    let mut stream = Stream(9);
    let m = stream.modulus(512);
    let (base, square) = (stream.limbs(16), &m * &m);
    for size in [0, 1, 7, 8, 9, 17] {
        let x: Vec<_> = (0..size).map(|_| stream.limbs(16)).collect();
        let e: Vec<_> = (0..size).map(|_| stream.bits(67)).collect();
        let of = format!("a batch of {size}");
        let moduli = [m.clone()];

        let expected: Vec<_> =
            x.iter().zip(&e).map(|(x, e)| to_public(x).modpow(&to_public(e), &square)).collect();
        let found = on_all(&moduli, |ring| ring.pow_many(&views(&x), &views(&e), 67));
        check(&of, &moduli, &expected, &found);

        let factors: Vec<(&[u64], &[u64])> =
            x.iter().zip(&e).map(|(x, e)| (x.as_slice(), e.as_slice())).collect();
        let expected: Vec<_> =
            factors.iter().map(|(x, e)| to_public(x) * to_public(e) % &square).collect();
        check(&of, &moduli, &expected, &on_all(&moduli, |ring| ring.mul_many(&factors)));

        let power = |e: &Vec<u64>| to_public(&base).modpow(&to_public(e), &square);
        let expected: Vec<_> = e.iter().map(power).collect();
        let found = on_all(&moduli, |ring| ring.fixed_base(&base, 67).pow_many(&views(&e), None));
        check(&of, &moduli, &expected, &found);
    }
}

/// The promises a kernel makes: digits in and out, and components below 8M give products whose
/// components are below 2M.
fn kernel_keeps_its_promises<K: Kernel>() {
    let mut stream = Stream(10);
    for bits in [2, 3, 56, 57, 64, 511, 512, 513, 1024, 1025] {
        // A modulus per lane, the largest among them so that digits are enough for it.
        let all_ones = power(bits) - 1u8;
        let moduli: Vec<BigUint> = (0..K::LANES)
            .map(|i| if i == 0 { all_ones.clone() } else { stream.modulus(bits) })
            .collect();
        let limbs: Vec<_> = moduli.iter().map(|m| from_public(m, limbs_for(bits))).collect();
        let kernel = K::new(&views(&limbs));
        let (n, width) = (kernel.digits(), kernel.digit_bits());
        let to_digits = |x: &BigUint| {
            let mut digits = vec![0; n];
            kernel.split(&from_public(x, limbs_for(n * width)), &mut digits);
            assert!(digits.iter().all(|d| width == 64 || *d < 1 << width));
            let value = |d: &[u64]| d.iter().rev().fold(BigUint::zero(), |x, d| (x << width) + d);
            assert_eq!(value(&digits), *x, "digits spell the number");
            assert_eq!(to_public(&kernel.join(&digits)), *x, "digits and back");
            digits
        };
        to_digits(&(power(n * width) - 1u8));
        let mut pair = |m: &BigUint, top: bool| {
            let limit = m << 3u8;
            let random = to_public(&stream.limbs(limbs_for(bits) + 1)) % &limit;
            let (x0, x1) = if top { (&limit - 1u8, &limit - 1u8) } else { (random, limit - 2u8) };
            let digits = [to_digits(&x0), to_digits(&x1)].concat();
            (x0 + x1 * m, digits)
        };
        for top in [true, false] {
            let x: Vec<_> = moduli.iter().map(|m| pair(m, top)).collect();
            let y: Vec<_> = moduli.iter().map(|m| pair(m, true)).collect();
            let gather = |x: &[(BigUint, Vec<u64>)]| {
                kernel.gather(&x.iter().map(|x| x.1.as_slice()).collect::<Vec<_>>())
            };
            let mut product = gather(&x);
            let mut square = gather(&x);
            for (lane, x) in x.iter().enumerate() {
                assert_eq!(kernel.scatter(&product, lane), x.1, "lane {lane} out as it went in");
            }
            kernel.mul(&mut product, &gather(&y), &mut kernel.scratch());
            kernel.square(&mut square, &mut kernel.scratch());
            for (lane, m) in moduli.iter().enumerate() {
                let r = power(n * width);
                for (z, y) in [(&product, &y[lane].0), (&square, &x[lane].0)] {
                    let z = kernel.scatter(z, lane);
                    let component = |d: &[u64]| to_public(&kernel.join(d));
                    let (z0, z1) = (component(&z[..n]), component(&z[n..]));
                    assert!(z0 < m * 2u8 && z1 < m * 2u8, "{bits} bits, lane {lane}");
                    let expected = &x[lane].0 * y % (m * m);
                    assert_eq!((z0 + z1 * m) * &r % (m * m), expected, "{bits} bits, lane {lane}");
                }
            }
        }
    }
}

#[test]
fn kernels_keep_their_promises() {
    kernel_keeps_its_promises::<Portable>();
    #[cfg(target_arch = "x86_64")]
    if Backend::available().contains(&Backend::Ifma) {
        kernel_keeps_its_promises::<Ifma>();
    }
}

/// What the system says the processor can do, the crate uses.
#[test]
fn the_vector_backend_is_used_where_there_is_one() {
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = flags.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let has = |flag: &str| flags.split_whitespace().any(|f| f == flag);
    let vectors = cfg!(target_arch = "x86_64") && has("avx512f") && has("avx512ifma");
    if vectors {
        assert_eq!(Backend::detect(), Backend::Ifma);
        assert_eq!(Backend::available(), [Backend::Portable, Backend::Ifma]);
    }
    if !Backend::available().contains(&Backend::Ifma) {
        skipped("no AVX-512 IFMA here, the vector backend is not tested");
    }
}
