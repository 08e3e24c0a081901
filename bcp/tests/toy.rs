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
