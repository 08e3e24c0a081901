//! No secret is left in memory that is given back: freed blocks are kept as they were, and
//! searched.

#![allow(unsafe_code)] // an allocator that keeps what is freed

mod common;
#[path = "wiped/keeper.rs"]
mod keeper;

use common::{Fixture, big, fixture};
use dyad_bcp::packing::{Slot, SlotLayout};
use dyad_bcp::{
    Backend, KeySize, MasterKey, ParaGen, Partial, Plaintext, ProofContext, PublicParams,
    RawCiphertext, Result, SecretKey, UnifiedKey,
};
use keeper::{Secrets, alone, kept};
use num_bigint::BigUint;
use std::hint::black_box;

/// The number at the end of an encoding, as long as two of them are.
fn last(bytes: &[u8], len: usize) -> BigUint {
    BigUint::from_bytes_be(&bytes[bytes.len() - len..])
}

fn params(fixture: &Fixture, backend: Backend) -> PublicParams {
    fixture.on(backend).0
}

/// Bytes of a residue modulo N².
fn residue_len(params: &PublicParams) -> usize {
    2 * params.size().bits() / 8
}

/// A number as large as a secret is, and the same in every run.
fn number(fixture: &Fixture, power: u32) -> BigUint {
    fixture.g.modpow(&big(0x9e37_79b9_7f4a_7c15).pow(power), &(&fixture.p * &fixture.q))
}

#[test]
fn what_is_left_behind_is_found() {
    let _alone = alone();
    let f = fixture("512");
    let secrets = Secrets::default().and("p", &f.p).and("q", &f.q);
    // Limbs, digits of 52 bits, bytes from either end and not aligned, a buffer that grew.
    let ones = (BigUint::from(1u8) << 52u8) - 1u8;
    let digit = |i: u32| (&f.p >> (52 * i) & &ones).to_u64_digits()[0];
    let in_digits: Vec<u64> = (0..4).map(digit).collect();
    let (limbs, bytes) = (f.p.to_u64_digits(), f.p.to_bytes_be());
    let copies: [&dyn Fn(); 5] = [
        &|| drop(black_box(limbs.clone())),
        &|| drop(black_box(in_digits.clone())),
        &|| drop(black_box([&[0; 5], &bytes[..]].concat())),
        &|| drop(black_box(bytes.iter().rev().copied().collect::<Vec<u8>>())),
        &|| {
            let mut grows = limbs.clone();
            grows.push(0);
            grows.fill(0);
            black_box(&grows);
        },
    ];
    for copy in copies {
        let ((), freed) = kept(copy);
        assert!(freed.find(&secrets).contains(&"p"));
    }
    let ((), freed) = kept(&|| {
        let mut wiped = limbs.clone();
        wiped.fill(0);
        black_box(&wiped);
    });
    assert_eq!(freed.find(&secrets), [""; 0]);
}

/// The master key from p and q and from bytes, what it opens, and the keys it issues.
#[test]
fn the_master_key_leaves_nothing_behind() {
    let _alone = alone();
    let f = fixture("512");
    for backend in Backend::available() {
        let params = params(&f, backend);
        let owner = SecretKey::insecure_from_exponent(&params, &number(&f, 1)).expect("a key");
        let m = number(&f, 2);
        let plaintext = Plaintext::from_biguint(&params, &m).expect("below N");
        let c = owner.public().encrypt_many(&vec![plaintext; 9]).expect("ciphertexts");
        let (issued, freed) = kept(&|| {
            let master = MasterKey::new(&params, &f.p, &f.q)?;
            let bytes = master.to_bytes();
            drop(master);
            let master = MasterKey::from_bytes(&params, &bytes)?;
            let known = master.know(owner.public())?;
            drop(master.decrypt_many(&known, &c)?);
            master.check_members(&[c[0].a()])?;
            Ok(master.issue(2)?.0)
        });
        let issued: Result<_> = issued;
        let mut secrets = of_master(&f, owner.public().h(), c[0].a(), c[0].b()).and("m", &m);
        for key in issued.expect("keys") {
            secrets = secrets.and("an issued key", &last(&key.to_bytes(), residue_len(&params)));
        }
        assert_eq!(freed.find(&secrets), [""; 0], "{backend:?}");
    }
}

/// Combs modulo p² and q², and what they make: of their tables the entries 1 and g in Montgomery's
/// form, of which each backend has its own.
#[test]
fn makers_of_randomness_leave_nothing_behind() {
    let _alone = alone();
    let f = fixture("512");
    for backend in Backend::available() {
        let (params, master) = f.on(backend);
        let owner = SecretKey::insecure_from_exponent(&params, &number(&f, 1)).expect("a key");
        let (made, freed) = kept(&|| -> Result<_> {
            let maker = master.fresh_maker(owner.public())?;
            drop(maker.many(9)?);
            Ok(())
        });
        made.expect("all goes well");
        let mut secrets = of_master(&f, owner.public().h(), &f.g, &f.g);
        for prime in [&f.p, &f.q] {
            let square = prime * prime;
            secrets = secrets.and("p²", &square).and("p p'", &(prime * (prime >> 1u8)));
            // 2^8 times the prime has five limbs, or one block of ten digits.
            for r in [big(1) << 320u32, big(1) << 520u32] {
                for (name, x) in
                    [("R", big(1)), ("R g", f.g.clone()), ("R h", owner.public().h().clone())]
                {
                    let x = x * &r % &square;
                    let (x1, x0) = (&x / prime, &x % prime);
                    // x0 + x1 p in the forms that sums and products leave unreduced.
                    for more in 0..3u8 {
                        secrets = secrets.and(name, &(&x0 + prime * more));
                        secrets = secrets.and(name, &(&x1 + prime * more));
                    }
                }
            }
        }
        assert_eq!(freed.find(&secrets), [""; 0], "{backend:?}");
    }
}

/// The factors and what follows from them, and every step of mDec.
fn of_master(f: &Fixture, h: &BigUint, a: &BigUint, b: &BigUint) -> Secrets {
    // The upper half of p'q' is that of N / 4.
    let lower = |x: BigUint| x % (BigUint::from(1u8) << (f.size.bits() / 2));
    let mut secrets = Secrets::default()
        .and("p'q'", &lower(f.e()))
        .and("the order of G", &lower(&f.p * &f.q * f.e()));
    for (p, q) in [(&f.p, &f.q), (&f.q, &f.p)] {
        let half = p >> 1u8;
        let log = |u: &BigUint| (u.modpow(&half, &(p * p)) - 1u8) / p;
        let inverse = |x: &BigUint| x.modinv(p).expect("a unit");
        let to_log = inverse(&(q * q % p * &half % p));
        let ratio = log(h) * inverse(&log(&f.g)) % p * &to_log % p;
        let (of_a, of_b) = (log(a) * &ratio % p, log(b) * &to_log % p);
        let u = (p + &of_b - &of_a) % p;
        secrets = secrets
            .and("p", p)
            .and("p'", &half)
            .and("log g", &log(&f.g))
            .and("1 / log g", &inverse(&log(&f.g)))
            .and("log h", &log(h))
            .and("log A", &log(a))
            .and("log B", &log(b))
            .and("to log", &to_log)
            .and("ratio", &ratio)
            .and("log A log h / log g", &of_a)
            .and("m mod p", &u)
            .and("(m mod p) q", &(u * q));
    }
    secrets
}

/// KeyGen, encodings, a proof, both decryptions of an owner, encryption and operations with
/// secrets.
#[test]
fn owners_leave_nothing_behind() {
    let _alone = alone();
    let f = fixture("512");
    let context = ProofContext { study: b"study", owner: b"alice" };
    for backend in Backend::available() {
        let params = params(&f, backend);
        let n = params.n();
        let (m, c, r) = (number(&f, 1), number(&f, 2), number(&f, 3));
        let other = SecretKey::generate(&params).expect("a key");
        let (kept_values, freed) = kept(&|| -> Result<_> {
            let secret = SecretKey::generate(&params)?;
            drop(secret.prove(&context)?);
            let bytes = secret.to_bytes();
            drop(secret);
            let secret = SecretKey::from_bytes(&params, &bytes)?;
            let key = secret.public();
            let plaintext = Plaintext::from_biguint(&params, &m)?;
            let scalar = Plaintext::from_biguint(&params, &c)?;
            let x = key.insecure_encrypt_with_randomness(&plaintext, &r)?;
            let x = vec![x; 9];
            drop(key.scale_many(&x, &vec![scalar.clone(); 9])?);
            drop(key.add_plain_many(&x, &vec![scalar.clone(); 9])?);
            drop(key.rerandomize_many(&x)?);
            drop(secret.decrypt_many(&x)?);

            let unified = UnifiedKey::new(&[key.clone(), other.public().clone()])?;
            let y = unified.key().encrypt(&scalar)?;
            let partial = |key: &SecretKey| -> Result<_> {
                let partial = key.partial_many(&unified, &[y.head()])?.remove(0);
                Partial::from_bytes(&params, &partial.to_bytes())
            };
            let partials = vec![partial(&secret)?, partial(&other)?];
            let values = [partials[0].to_bytes(), partials[1].to_bytes()];
            drop(unified.open(&y, partials)?);
            let random = Plaintext::random(&params)?;
            let copy = random.clone();
            drop(random);
            Ok((bytes, x[0].clone(), values, copy))
        });
        let (bytes, x, values, random) = kept_values.expect("all goes well");
        let len = residue_len(&params);
        let sk = last(&bytes, len);
        let [p, q] = values.map(|bytes| last(&bytes, len));
        let product = &p * &q % params.n_squared();
        let mut secrets = Secrets::default()
            .and("sk", &sk)
            .and("a", &(&sk >> 1u8))
            .and("another sk", &last(&other.to_bytes(), len))
            .and("m", &m)
            .and("c", &c)
            .and("1 + cN", &(&c * n + 1u8))
            .and("r", &r)
            .and("a random plaintext", &random.to_biguint());
        let of_x = x.a().modpow(&sk, params.n_squared());
        // The lower half of A^sk is that of B.
        for power in [&p, &q, &product, &of_x] {
            secrets = secrets.and("a power of A", power).and("its upper half", &(power / n));
        }
        for power in [&p, &q] {
            secrets = secrets.and("the lower half of a partial decryption", &(power % n));
        }
        assert_eq!(freed.find(&secrets), [""; 0], "{backend:?}");
    }
}

#[test]
fn packing_leaves_nothing_behind() {
    let _alone = alone();
    let params = params(&fixture("512"), Backend::detect());
    let layout = SlotLayout::new(&params, 64, 80).expect("a layout");
    let values: Vec<i64> = (1..40).map(|i: i64| i.wrapping_mul(0x1234_5678_9abc_def1)).collect();
    let (made, freed) = kept(&|| -> Result<_> {
        let slots = layout.offset(&values)?;
        let blinds: Vec<Slot> = values.iter().map(|_| layout.blind().expect("drawn")).collect();
        let sums: Vec<Slot> = slots.iter().zip(&blinds).map(|(u, r)| u.plus(r)).collect();
        let plaintexts = layout.pack(&sums)?;
        let again = layout.unpack(&plaintexts, values.len())?;
        let differences: Vec<Option<Slot>> =
            again.iter().zip(&blinds).map(|(sum, r)| sum.minus(r)).collect();
        for (difference, value) in differences.iter().zip(&values) {
            let difference = difference.as_ref().expect("not negative");
            assert_eq!(layout.value(difference, 1), Some(*value));
        }
        // Refused half-way: what is ready by then goes as well.
        let narrow = SlotLayout::new(&params, 62, 80)?;
        let mut some = vec![0x0123_4567_89ab_cdef; 20];
        some.push(i64::MAX);
        assert!(narrow.offset(&some).is_err());
        Ok((plaintexts, blinds))
    });
    let (plaintexts, blinds) = made.expect("all goes well");
    let mut secrets = Secrets::default().and("refused", &big(0x0123_4567_89ab_cdef + (1 << 61)));
    for (value, blind) in values.iter().zip(&blinds) {
        let u = (*value as u64).wrapping_add(1 << 63);
        secrets = secrets
            .and("a value in its slot", &big(u))
            .and("a blind", &big(blind.low_u64()))
            .and("a blinded value", &big(u.wrapping_add(blind.low_u64())));
    }
    for plaintext in &plaintexts {
        secrets = secrets.and("a packed plaintext", &plaintext.to_biguint());
    }
    assert_eq!(freed.find(&secrets), [""; 0]);
}

#[test]
fn paragen_leaves_nothing_behind() {
    let _alone = alone();
    for backend in Backend::available() {
        let size = KeySize::insecure_from_bits(256).expect("a size");
        let (made, freed) = kept(&|| ParaGen::new(size).backend(backend).run());
        let (params, master) = made.expect("parameters");
        let bytes = master.to_bytes();
        let (p, q) = bytes[4 + 32..].split_at(16);
        let [p, q] = [p, q].map(BigUint::from_bytes_be);
        let secrets = of_master(
            &Fixture { name: String::new(), size, p, q, g: params.g().clone() },
            params.g(),
            params.g(),
            params.g(),
        );
        assert_eq!(freed.find(&secrets), [""; 0], "{backend:?}");
    }
}

/// Somebody else's ciphertext, refused: a failure wipes as well.
#[test]
fn failures_leave_nothing_behind() {
    let _alone = alone();
    let f = fixture("512");
    for backend in Backend::available() {
        let (params, master) = f.on(backend);
        let owner = SecretKey::insecure_from_exponent(&params, &number(&f, 1)).expect("a key");
        let known = master.know(owner.public()).expect("in G");
        let key = owner.public();
        let c = key.encrypt(&Plaintext::from_u64(&params, 7)).expect("a ciphertext");
        let minus = params.n_squared() - c.b();
        let bad = key.admit(RawCiphertext::new(key.id(), c.a().clone(), minus)).expect("a unit");
        let bytes = master.to_bytes();
        let ((), freed) = kept(&|| {
            assert!(master.decrypt(&known, &bad).is_err());
            assert!(owner.decrypt(&bad).is_err());
            assert!(MasterKey::new(&params, &f.p, &f.p).is_err());
            assert!(MasterKey::from_bytes(&params, &bytes[..bytes.len() - 1]).is_err());
            let mut swapped = bytes.to_vec();
            swapped[36..].rotate_left(32);
            assert!(MasterKey::from_bytes(&params, &swapped).is_err());
            swapped.fill(0);
        });
        let power = c.a().modpow(&number(&f, 1), params.n_squared());
        let secrets = of_master(&f, key.h(), c.a(), bad.b())
            .and("sk", &number(&f, 1))
            .and("A^sk", &power)
            .and("its upper half", &(power / params.n()));
        assert_eq!(freed.find(&secrets), [""; 0], "{backend:?}");
    }
}
