//! Keys, unified keys, joint decryption, proofs, encodings.

use super::common::{big, fixtures, plain};
use super::{SMALL, World, worlds};
use dyad_bcp::{
    ClaimedKey, Error, Head, KeyId, MasterKey, Partial, ProofContext, PublicKey, PublicParams,
    RawCiphertext, SecretKey, UnifiedKey, UnprovedKey,
};
use num_bigint::BigUint;
use std::collections::HashSet;

/// sk, as its encoding spells it: after the head, the parameters' id and the kind of key.
pub(crate) fn exponent(key: &SecretKey) -> BigUint {
    BigUint::from_bytes_be(&key.to_bytes()[4 + 32 + 1..])
}

fn generate(world: &World, n: usize) -> Vec<SecretKey> {
    (0..n).map(|_| SecretKey::generate(&world.params).expect("a key")).collect()
}

fn public(keys: &[SecretKey]) -> Vec<PublicKey> {
    keys.iter().map(|k| k.public().clone()).collect()
}

/// Everything a unified key promises, for owners whose keys came about in whatever way.
fn check_unified(world: &World, owners: &[SecretKey], unified: &UnifiedKey) {
    let (params, key) = (&world.params, unified.key());
    let product = owners.iter().fold(big(1), |h, k| h * k.public().h() % params.n_squared());
    assert_eq!(*key.h(), product, "h = prod h_i");
    assert_eq!(unified.members(), public(owners).iter().map(PublicKey::id).collect::<Vec<_>>());

    // Its secret is the sum, which nobody holds: modulo the order of G.
    let order = params.n() * world.fixture.e();
    let sum = owners.iter().map(exponent).sum::<BigUint>() % order;
    let whole = SecretKey::insecure_from_exponent(params, &sum).expect("below N²");
    assert_eq!(whole.public(), key, "g^(sum sk_i) = prod g^sk_i");

    let plaintexts = [big(0), big(1), params.n() - 1u8, params.n() / 3u8];
    let m: Vec<_> = plaintexts.iter().map(|m| world.plain(m)).collect();
    let ciphertexts = key.encrypt_many(&m).expect("encryption");
    let heads: Vec<Head> = ciphertexts.iter().map(dyad_bcp::Ciphertext::head).collect();
    let parts: Vec<Vec<Partial>> =
        owners.iter().map(|owner| owner.partial_many(unified, &heads).expect("a member")).collect();
    // The last owner's first: the order is free.
    let of = |i: usize| parts.iter().rev().map(|p| p[i].clone()).collect::<Vec<_>>();
    let partials: Vec<Vec<Partial>> = (0..m.len()).map(of).collect();
    assert_eq!(unified.open_many(&ciphertexts, &partials).expect("all partials"), m);

    let known = world.master.know(key).expect("a key in G");
    assert_eq!(world.master.decrypt_many(&known, &ciphertexts).expect("mDec"), m);
    assert_eq!(whole.decrypt_many(&ciphertexts).expect("uDec"), m);
    for (c, m) in ciphertexts.iter().zip(&plaintexts) {
        assert_eq!(world.paper_mdec(key.h(), c), *m);
    }

    let mut one_missing = partials[3].clone();
    one_missing.pop();
    assert!(matches!(unified.open(&ciphertexts[3], one_missing), Err(Error::Members(_))));
    assert!(matches!(unified.open(&ciphertexts[3], of(2)), Err(Error::Members(_))));
}

#[test]
fn one_to_five_owners_decrypt_jointly() {
    for world in SMALL.iter() {
        for n in 1..=5 {
            let owners = generate(world, n);
            let unified = UnifiedKey::new(&public(&owners)).expect("different keys");
            check_unified(world, &owners, &unified);
        }
    }
    for world in worlds(&["2048"]) {
        let owners = generate(&world, 3);
        let unified = UnifiedKey::new(&public(&owners)).expect("different keys");
        check_unified(&world, &owners, &unified);
    }
}

#[test]
fn issued_keys_are_parts_of_one_secret() {
    for world in SMALL.iter() {
        let order = world.params.n() * world.fixture.e();
        for n in 1..=5 {
            let (owners, unified) = world.master.issue(n).expect("keys");
            assert_eq!(owners.len(), n);
            for owner in &owners {
                let sk = exponent(owner);
                assert!(sk > big(0) && sk < order);
                assert_eq!(*owner.public().h(), world.pow(world.params.g(), &sk));
                assert!(matches!(owner.prove(&context("s", "o")), Err(Error::Members(_))));
            }
            check_unified(world, &owners, &unified);
        }
        assert!(matches!(world.master.issue(0), Err(Error::Members(_))));
    }
}

#[test]
fn local_and_issued_keys_make_one_unified_key() {
    for world in SMALL.iter() {
        let (mut owners, _) = world.master.issue(2).expect("keys");
        owners.extend(generate(world, 2));
        let unified = UnifiedKey::new(&public(&owners)).expect("different keys");
        check_unified(world, &owners, &unified);
        let stranger = SecretKey::generate(&world.params).expect("a key");
        assert!(matches!(stranger.partial_many(&unified, &[]), Err(Error::Members(_))));
        let mut twice = public(&owners);
        twice.push(twice[0].clone());
        assert!(matches!(UnifiedKey::new(&twice), Err(Error::Members(_))));
    }
}

#[test]
fn generated_keys_are_squares_and_all_different() {
    for world in SMALL.iter() {
        let keys = generate(world, 20);
        let ids: HashSet<KeyId> = keys.iter().map(|k| k.public().id()).collect();
        assert_eq!(ids.len(), keys.len());
        for key in &keys {
            let sk = exponent(key);
            assert!(!sk.bit(0) && sk > big(0) && sk < *world.params.n_squared());
            assert_eq!(*key.public().h(), world.pow(world.params.g(), &sk));
        }
        // In G, as the master key sees it.
        let h: Vec<&BigUint> = keys.iter().map(|k| k.public().h()).collect();
        assert_eq!(world.master.check_members(&h), Ok(()));
    }
}

fn context<'a>(study: &'a str, owner: &'a str) -> ProofContext<'a> {
    ProofContext { study: study.as_bytes(), owner: owner.as_bytes() }
}

#[test]
fn proofs_hold_in_their_context_alone() {
    for world in SMALL.iter().chain(&worlds(&["2048"])) {
        let secret = SecretKey::generate(&world.params).expect("a key");
        let claim = secret.prove(&context("study", "owner")).expect("a local key");
        let key = claim.verify(&context("study", "owner")).expect("the proof holds");
        assert_eq!(key, *secret.public());
        // The last two spell the same letters in a row.
        for (study, owner) in [
            ("Study", "owner"),
            ("study", "Owner"),
            ("", ""),
            ("studyo", "wner"),
            ("stud", "yowner"),
        ] {
            let verdict = claim.verify(&context(study, owner));
            assert_eq!(verdict.err(), Some(Error::BadProof), "{study}, {owner}");
        }
        let read = ClaimedKey::from_bytes(&world.params, &claim.to_bytes()).expect("as written");
        assert_eq!(read.to_bytes(), claim.to_bytes());
        assert_eq!(read.verify(&context("study", "owner")).expect("still holds"), key);
    }
}

#[test]
fn a_proof_with_one_bit_changed_does_not_hold() {
    for world in SMALL.iter() {
        let secret = SecretKey::generate(&world.params).expect("a key");
        let bytes = secret.prove(&context("study", "owner")).expect("a local key").to_bytes();
        // Bits of y, of t and of s, spread over all of it.
        for at in (36 * 8..bytes.len() * 8).step_by(37) {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            let verdict = ClaimedKey::from_bytes(&world.params, &changed)
                .and_then(|claim| claim.verify(&context("study", "owner")));
            assert!(
                matches!(verdict, Err(Error::BadProof | Error::Encoding { .. })),
                "bit {at} of {}",
                8 * bytes.len()
            );
        }
    }
}

#[test]
fn every_encoding_reads_as_it_was_written() {
    for world in SMALL.iter().chain(&worlds(&["2048"])) {
        let (params, key) = (&world.params, world.key());
        let read = PublicParams::insecure_from_bytes(&params.to_bytes()).expect("parameters");
        assert_eq!((read.n(), read.g()), (params.n(), params.g()));
        assert_eq!((read.id(), read.size()), (params.id(), params.size()));

        let read = UnprovedKey::from_bytes(params, &key.to_bytes()).expect("a public key");
        assert_eq!(read.id(), key.id());
        assert_eq!(read.assume_certified().h(), key.h());

        let (issued, _) = world.master.issue(1).expect("a key");
        for secret in [&world.user, &issued[0]] {
            let read = SecretKey::from_bytes(params, &secret.to_bytes()).expect("a secret key");
            assert_eq!(read.to_bytes(), secret.to_bytes());
            assert_eq!(read.public(), secret.public());
        }

        let read = MasterKey::from_bytes(params, &world.master.to_bytes()).expect("a master key");
        assert_eq!(read.to_bytes(), world.master.to_bytes());

        let unified = UnifiedKey::new(std::slice::from_ref(key)).expect("one member");
        let c = key.encrypt(&plain(params, 1234)).expect("encryption");
        let raw = RawCiphertext::from_bytes(params, &c.to_bytes()).expect("a ciphertext");
        assert_eq!(key.admit(raw).expect("two units"), c);
        let head = Head::from_bytes(params, &c.head().to_bytes()).expect("a head");
        assert_eq!(head, c.head());
        let partial = world.user.partial_many(&unified, &[head]).expect("a member").remove(0);
        let read = Partial::from_bytes(params, &partial.to_bytes()).expect("a partial");
        assert_eq!(read.member(), key.id());
        assert_eq!(read.to_bytes(), partial.to_bytes());
        assert_eq!(unified.open(&c, vec![read]).expect("its only member's"), plain(params, 1234));
    }
}

#[test]
fn ids_name_one_thing_only() {
    let all: Vec<PublicParams> = fixtures().iter().map(super::Fixture::params).collect();
    let ids: HashSet<_> = all.iter().map(PublicParams::id).collect();
    assert_eq!(ids.len(), all.len());
    // One N, two g; and the same h under both.
    let f = &SMALL[0].fixture;
    let g = &f.g * &f.g % (&f.p * &f.p * &f.q * &f.q);
    let other = PublicParams::new(f.size, &f.p * &f.q, g.clone()).expect("another generator");
    assert_ne!(other.id(), f.params().id());
    let under = |params: &PublicParams, sk: u64| {
        SecretKey::insecure_from_exponent(params, &big(sk)).expect("a key").public().clone()
    };
    let (x, y) = (under(&f.params(), 4), under(&other, 2));
    assert_eq!(x.h(), y.h());
    assert_ne!(x.id(), y.id());
    assert_eq!(x.id(), under(&f.params(), 4).id());
}
