//! Tests of how long what is drawn at random is: an exponent or a mask that is too short works just
//! as well, and hides nothing.

use crate::arith::Backend;
use crate::arith::limbs::{self, from_public, limbs_for, to_public};
use crate::primes::is_probable_prime;
use crate::{
    KeySize, MasterKey, ParaGen, Plaintext, ProofContext, PublicParams, SecretKey, random,
};
use num_bigint::BigUint;
use num_prime::nt_funcs::is_prime64;
use num_traits::{One, Zero};
use rand::rngs::SysRng;
use rand::{TryCryptoRng, TryRng};
use std::convert::Infallible;
use std::sync::LazyLock;

/// How often each is drawn: that none of so many has its highest bit set is no chance.
const DRAWS: usize = 64;

static WORLD: LazyLock<(PublicParams, MasterKey)> =
    LazyLock::new(|| ParaGen::new(KeySize::InsecureForTests(256)).run().expect("parameters"));

/// The same in every run, and again from the start when copied (splitmix64).
#[derive(Clone)]
struct Stream(u64);

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(x ^ (x >> 31))
    }

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|x| x as u32)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let limb = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&limb[..chunk.len()]);
        }
        Ok(())
    }
}

// It is none; but tests must be able to say which number comes next.
impl TryCryptoRng for Stream {}

/// The system's generator, and how often it was asked.
struct Counted(usize);

impl TryRng for Counted {
    type Error = rand::rngs::SysError;

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 += 1;
        SysRng.try_next_u64()
    }

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.0 += 1;
        SysRng.try_next_u32()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0 += 1;
        SysRng.try_fill_bytes(bytes)
    }
}

impl TryCryptoRng for Counted {}

/// All in [1, bound), some in its upper half, some odd ones, no two alike.
fn fill(what: &str, drawn: &[BigUint], bound: &BigUint) {
    assert!(drawn.iter().all(|x| !x.is_zero() && x < bound), "{what}: out of range");
    assert!(drawn.iter().any(|x| *x > bound >> 1u8), "{what}: too short");
    assert!(
        drawn.iter().any(|x| x.bit(0)) && drawn.iter().any(|x| !x.bit(0)),
        "{what}: one parity"
    );
    let different: std::collections::HashSet<_> = drawn.iter().collect();
    assert_eq!(different.len(), drawn.len(), "{what}: drawn twice");
}

/// sk, as its encoding spells it: after the head, the parameters' id and the kind of key.
fn exponent(key: &SecretKey) -> BigUint {
    BigUint::from_bytes_be(&key.to_bytes()[4 + 32 + 1..])
}

#[test]
fn the_randomness_of_encryption_fills_half_of_n_squared() {
    let params = &WORLD.0;
    let key = SecretKey::generate(params).expect("a key");
    let plaintexts = vec![Plaintext::from_u64(params, 7); DRAWS];
    let (mut stream, mut again) = (Stream(1), Stream(1));
    let c = key.public().encrypt_many_with(&plaintexts, &mut stream).expect("encryption");
    let r: Vec<BigUint> = c
        .iter()
        .map(|c| {
            let r = to_public(&params.random_exponent(&mut again).expect("a number"));
            assert_eq!(*c.a(), params.g().modpow(&r, params.n_squared()), "this r and no other");
            r
        })
        .collect();
    fill("r", &r, &(params.n_squared() >> 1u8));
}

#[test]
fn local_keys_fill_half_of_n_squared() {
    let params = &WORLD.0;
    let keys: Vec<_> = (0..DRAWS).map(|_| SecretKey::generate(params).expect("a key")).collect();
    let a: Vec<BigUint> = keys.iter().map(|key| exponent(key) >> 1u8).collect();
    fill("a", &a, &(params.n_squared() >> 1u8));
}

#[test]
fn issued_keys_fill_the_order_of_the_group() {
    let (params, master) = &*WORLD;
    let (keys, _) = master.issue(DRAWS).expect("keys");
    let order = to_public(&master.order());
    // A multiple of N, and what it raises g to is 1.
    assert!((&order % params.n()).is_zero());
    assert!(params.g().modpow(&order, params.n_squared()).is_one());
    fill("issued keys", &keys.iter().map(exponent).collect::<Vec<_>>(), &order);
}

#[test]
fn the_mask_of_a_proof_is_far_longer_than_what_it_hides() {
    let params = &WORLD.0;
    let bits = 2 * params.bits();
    let key = SecretKey::generate(params).expect("a key");
    let context = ProofContext { study: b"study", owner: b"owner" };
    let s = |_| {
        let bytes = key.prove(&context).expect("a local key").to_bytes();
        let len = (bits + 256 + 1usize).div_ceil(8);
        BigUint::from_bytes_be(&bytes[bytes.len() - len..])
    };
    let s: Vec<BigUint> = (0..DRAWS).map(s).collect();
    // s = k + e a with e a below 2^(bits + 127): but for a carry, the bits beyond are k's own.
    let masks: Vec<BigUint> = s.iter().map(|s| s >> (bits + 128)).collect();
    fill("the top of k", &masks, &(BigUint::one() << 128u8));
}

#[test]
fn plaintexts_and_generators_fill_their_range() {
    let params = &WORLD.0;
    let m = |_| Plaintext::random(params).expect("a plaintext").to_biguint();
    fill("m", &(0..DRAWS).map(m).collect::<Vec<_>>(), params.n());
    // Were alpha below N, its square would be g as it stands.
    let root = params.g().sqrt();
    assert_ne!(&root * &root, *params.g(), "alpha is too short");
}

#[test]
fn every_bit_that_is_drawn_takes_both_values() {
    for bits in [1, 63, 64, 65, 200] {
        let draw = || random::bits(&mut random::os(), bits).expect("bits");
        let (mut or, mut and) = (draw(), draw());
        for _ in 0..2 * DRAWS {
            let x = draw();
            or.iter_mut().zip(&*x).for_each(|(or, x)| *or |= x);
            and.iter_mut().zip(&*x).for_each(|(and, x)| *and &= x);
        }
        assert_eq!(to_public(&or), (BigUint::one() << bits) - 1u8, "{bits} bits");
        assert!(bool::from(limbs::is_zero(&and)), "{bits} bits");
    }
}

#[test]
fn primality_is_tested_to_64_random_bases() {
    let backend = Backend::detect();
    let limbs_of = |x: &BigUint| from_public(x, limbs_for(x.bits() as usize));
    let prime = (BigUint::one() << 127u8) - 1u8;
    let mut rng = Counted(0);
    assert!(is_probable_prime(&limbs_of(&prime), backend, &mut rng).expect("randomness"));
    // One call a base: 2^127 - 4 is so near a power of two that hardly any is drawn anew.
    assert!((64..70).contains(&rng.0), "{} bases", rng.0);
    // p (2p - 1) with p = 3 mod 4 deceives a quarter of all bases, as many as can be deceived.
    let p = (1u64 << 20..1 << 24)
        .find(|p| p % 4 == 3 && is_prime64(*p) && is_prime64(2 * p - 1))
        .expect("there are many");
    let liar = limbs_of(&(BigUint::from(p) * (2 * p - 1)));
    for _ in 0..2 * DRAWS {
        assert!(!is_probable_prime(&liar, backend, &mut random::os()).expect("randomness"));
    }
}
