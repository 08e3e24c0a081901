//! The smallest example, to follow with pencil and paper.

#![allow(clippy::unwrap_used)] // a test fails by panicking

mod common;

use common::{big, fixture, plain};
use dyad_bcp::Backend;

#[test]
fn the_toy_vector_holds() {
    // p=23 q=59 g=4 k=758 a=123457 h=266228 r=98765 m=1000 -> A=923780 B=1457926; adding the
    // encryption of 700 with r=4321 gives (1785180, 1430314) -> 343 = 1700 mod 1357
    let toy = fixture("toy");
    for backend in Backend::available() {
        let (params, master) = toy.on(backend);
        let n_squared = params.n_squared().clone();
        assert_eq!(params.g().modpow(&toy.e(), &n_squared), big(1 + 758 * 1357));

        let secret = dyad_bcp::SecretKey::insecure_from_exponent(&params, &big(123_457)).unwrap();
        let key = secret.public();
        assert_eq!(key.h(), &big(266_228));

        let c = key.insecure_encrypt_with_randomness(&plain(&params, 1000), &big(98_765)).unwrap();
        assert_eq!((c.a(), c.b()), (&big(923_780), &big(1_457_926)));
        let d = key.insecure_encrypt_with_randomness(&plain(&params, 700), &big(4321)).unwrap();
        let sum = key.add(&c, &d).unwrap();
        assert_eq!((sum.a(), sum.b()), (&big(1_785_180), &big(1_430_314)));

        let known = master.know(key).unwrap();
        assert_eq!(secret.decrypt(&c).unwrap(), plain(&params, 1000));
        assert_eq!(master.decrypt(&known, &c).unwrap(), plain(&params, 1000));
        assert_eq!(secret.decrypt(&sum).unwrap(), plain(&params, 343));
        assert_eq!(master.decrypt(&known, &sum).unwrap(), plain(&params, 343));
    }
}

/// In so small a group every logarithm stands in a table. What encrypts has a new exponent each
/// time, and one that may be any of the group's: a shorter one would let who can take logarithms
/// tell a ciphertext by it.
#[test]
fn exponents_of_fresh_encryptions_are_new_and_reach_all_of_the_group() {
    const DRAWN: usize = 2000;
    let toy = fixture("toy");
    for backend in Backend::available() {
        let (params, master) = toy.on(backend);
        let secret = dyad_bcp::SecretKey::insecure_from_exponent(&params, &big(123_457)).unwrap();
        let key = secret.public();
        let modulus = 1357u64 * 1357;
        let order = 1357 * 11 * 29;
        let mut power = 1;
        let mut logarithms = std::collections::HashMap::new();
        for exponent in 0..order {
            assert!(logarithms.insert(big(power), exponent).is_none());
            power = power * 4 % modulus;
        }
        assert_eq!(power, 1);

        let m = vec![plain(&params, 7); DRAWN];
        let one = vec![key.encrypt(&m[0]).unwrap(); DRAWN];
        let with = |fresh| key.encrypt_with(&m, fresh).unwrap();
        let made = [
            ("encrypted", key.encrypt_many(&m).unwrap()),
            ("in store", with(key.fresh_many(DRAWN).unwrap())),
            ("by the primes", with(master.fresh_maker(key).unwrap().many(DRAWN).unwrap())),
            ("again", key.rerandomize_many(&one).unwrap()),
            ("blinded", key.blind_with(&one, &m, key.fresh_many(DRAWN).unwrap()).unwrap()),
        ];
        for (name, ciphertexts) in made {
            let found: Vec<usize> = ciphertexts.iter().map(|c| logarithms[c.a()]).collect();
            let mut quarters = [0; 4];
            for exponent in &found {
                quarters[4 * exponent / order] += 1;
            }
            // N² / 2 is 2.1 times the order, so that the first quarter has 590 of these draws and
            // the others 470 each; those by the primes have 500. Twenty is a standard deviation.
            for share in quarters {
                assert!((360..700).contains(&share), "{backend:?}, {name}: {quarters:?}");
            }
            let new: std::collections::HashSet<_> = found.into_iter().collect();
            // By chance five come twice.
            assert!(new.len() > DRAWN - 40, "{backend:?}, {name}: {} of {DRAWN}", new.len());
        }
    }
}
