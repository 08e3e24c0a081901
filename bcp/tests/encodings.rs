//! Bytes chosen by an enemy: a decoder takes the one encoding there is, refuses all else with a
//! typed error, and never panics.

mod common;

use common::{Fixture, big, fixture, padded, plain};
use dyad_bcp::{
    Backend, ClaimedKey, EncodingFault, Error, Head, KeySize, MasterKey, ParamsFault, Partial,
    ProofContext, PublicParams, RawCiphertext, Result, SecretKey, UnifiedKey, UnprovedKey,
};
use num_bigint::BigUint;

const CONTEXT: ProofContext<'_> = ProofContext { study: b"study", owner: b"owner" };

/// A decoder and then the encoder that belongs to it.
type Decode = Box<dyn Fn(&[u8]) -> Result<Vec<u8>>>;

/// One kind of encoding, with an example.
struct Encoding {
    what: &'static str,
    valid: Vec<u8>,
    decode: Decode,
    /// Whether the id of the parameters comes first.
    names_params: bool,
    /// (first byte, bytes) of each number that must be a unit below N².
    residues: Vec<(usize, usize)>,
}

/// Every kind of encoding under these parameters.
fn encodings(f: &Fixture) -> Vec<Encoding> {
    let (params, master) = f.on(Backend::detect());
    let local = SecretKey::insecure_from_exponent(&params, &big(246_810)).expect("a key");
    let issued = SecretKey::insecure_from_exponent(&params, &big(13_579)).expect("a key");
    let key = local.public().clone();
    let claim = local.prove(&CONTEXT).expect("a proof");
    let unified = UnifiedKey::new(&[key.clone(), issued.public().clone()]).expect("two members");
    let c = unified.key().encrypt(&plain(&params, 7)).expect("a ciphertext");
    let partial = local.partial_many(&unified, &[c.head()]).expect("a member").remove(0);
    let len = (2 * f.size.bits()).div_ceil(8);

    let p = params.clone();
    let decoder = |decode: fn(&PublicParams, &[u8]) -> Result<Vec<u8>>| -> Decode {
        let params = params.clone();
        Box::new(move |bytes| decode(&params, bytes))
    };
    let encoding = |what, valid: Vec<u8>, names_params, at: &[usize], decode| Encoding {
        what,
        valid,
        decode,
        names_params,
        residues: at.iter().map(|at| (*at, len)).collect(),
    };
    let unified_key = unified.key().clone();
    vec![
        encoding(
            "public parameters",
            params.to_bytes(),
            false,
            &[],
            Box::new(|bytes| Ok(PublicParams::insecure_from_bytes(bytes)?.to_bytes())),
        ),
        encoding(
            "a claimed key",
            claim.to_bytes(),
            true,
            &[],
            decoder(|params, bytes| Ok(ClaimedKey::from_bytes(params, bytes)?.to_bytes())),
        ),
        encoding(
            "a public key",
            key.to_bytes(),
            true,
            &[36],
            decoder(|params, bytes| {
                Ok(UnprovedKey::from_bytes(params, bytes)?.assume_certified().to_bytes())
            }),
        ),
        encoding(
            "a ciphertext",
            c.to_bytes(),
            false,
            &[36, 36 + len],
            Box::new(move |bytes| {
                let raw = RawCiphertext::from_bytes(&p, bytes)?;
                Ok(unified_key.admit(raw)?.to_bytes())
            }),
        ),
        encoding(
            "a ciphertext's head",
            c.head().to_bytes(),
            false,
            &[36],
            decoder(|params, bytes| Ok(Head::from_bytes(params, bytes)?.to_bytes())),
        ),
        encoding(
            "a partial decryption",
            partial.to_bytes().to_vec(),
            false,
            &[68, 68 + len],
            decoder(|params, bytes| Ok(Partial::from_bytes(params, bytes)?.to_bytes().to_vec())),
        ),
        encoding("a secret key", local.to_bytes().to_vec(), true, &[], decoder(secret_key)),
        encoding("a secret key", issued.to_bytes().to_vec(), true, &[], decoder(secret_key)),
        encoding("a master key", master.to_bytes().to_vec(), true, &[], decoder(master_key)),
    ]
}

fn secret_key(params: &PublicParams, bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(SecretKey::from_bytes(params, bytes)?.to_bytes().to_vec())
}

fn master_key(params: &PublicParams, bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(MasterKey::from_bytes(params, bytes)?.to_bytes().to_vec())
}

/// A master key's numbers with the larger first: not how it is written.
fn swapped(master: &MasterKey, bits: usize) -> Vec<u8> {
    let mut bytes = master.to_bytes().to_vec();
    bytes[36..].rotate_left(bits.div_ceil(2).div_ceil(8));
    bytes
}

/// Bits that are not a multiple of eight, none to spare, and a size of several limbs.
fn all() -> Vec<Encoding> {
    ["toy", "64", "256"].iter().flat_map(|name| encodings(&fixture(name))).collect()
}

fn refused<T>(result: Result<T>) -> Error {
    result.map(|_| ()).expect_err("refused")
}

fn cannot(what: &'static str, fault: EncodingFault) -> Error {
    Error::Encoding { what, fault }
}

/// The number in the place of the one at `at`, big-endian.
fn with_number(valid: &[u8], (at, len): (usize, usize), x: &BigUint) -> Vec<u8> {
    [&valid[..at], &padded(x, len), &valid[at + len..]].concat()
}

#[test]
fn decoding_then_encoding_gives_the_same_bytes() {
    for e in all() {
        assert_eq!((e.decode)(&e.valid).expect("valid"), e.valid, "{}", e.what);
    }
}

#[test]
fn encodings_of_a_real_size_are_decoded_and_nothing_shorter_or_longer() {
    for e in encodings(&fixture("2048")).iter().filter(|e| e.what != "a master key") {
        assert_eq!((e.decode)(&e.valid).expect("valid"), e.valid, "{}", e.what);
        refused((e.decode)(&e.valid[..e.valid.len() - 1]));
        refused((e.decode)(&[&e.valid[..], &[0]].concat()));
    }
}

#[test]
fn truncated_bytes_are_refused_at_every_length() {
    for e in all() {
        for found in 0..e.valid.len() {
            let expected = if found < 4 { 4 } else { e.valid.len() };
            let error = refused((e.decode)(&e.valid[..found]));
            assert_eq!(error, cannot(e.what, EncodingFault::Length { expected, found }));
        }
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for e in all() {
        for trailing in [&[0][..], &[255], &[0; 8], &[7; 1000], &e.valid] {
            let bytes = [&e.valid, trailing].concat();
            let (expected, found) = (e.valid.len(), bytes.len());
            let error = refused((e.decode)(&bytes));
            assert_eq!(error, cannot(e.what, EncodingFault::Length { expected, found }));
        }
    }
}

#[test]
fn every_other_kind_is_refused() {
    for e in all() {
        for kind in (0..=255).filter(|kind| *kind != e.valid[0]) {
            let mut bytes = e.valid.clone();
            bytes[0] = kind;
            assert_eq!(refused((e.decode)(&bytes)), cannot(e.what, EncodingFault::Kind));
        }
    }
}

#[test]
fn the_encoding_of_anything_else_is_refused() {
    let all = all();
    for e in &all {
        for other in all.iter().filter(|other| other.what != e.what) {
            assert_eq!(refused((e.decode)(&other.valid)), cannot(e.what, EncodingFault::Kind));
        }
    }
}

#[test]
fn every_other_version_is_refused() {
    for e in all() {
        for found in (0..=255).filter(|version| *version != e.valid[1]) {
            let mut bytes = e.valid.clone();
            bytes[1] = found;
            let fault = EncodingFault::Version { expected: 1, found };
            assert_eq!(refused((e.decode)(&bytes)), cannot(e.what, fault));
        }
    }
}

#[test]
fn every_other_declared_size_is_refused() {
    for e in all() {
        let own = u16::from_be_bytes([e.valid[2], e.valid[3]]);
        for bits in (0..=u16::MAX).filter(|bits| *bits != own) {
            let mut bytes = e.valid.clone();
            bytes[2..4].copy_from_slice(&bits.to_be_bytes());
            let result = (e.decode)(&bytes);
            assert!(result.is_err(), "{}: {own} bits also encoded as {bits}", e.what);
            // Parameters alone may have any size, but theirs is the one that counts.
            let any = e.what == "public parameters";
            if !any || KeySize::insecure_from_bits(bits.into()).is_none() {
                assert_eq!(refused(result), cannot(e.what, EncodingFault::Size(bits)));
            }
        }
    }
}

#[test]
fn another_declared_size_is_refused_however_many_bytes_follow() {
    for e in all().iter().filter(|e| e.what != "public parameters") {
        let own = u16::from_be_bytes([e.valid[2], e.valid[3]]);
        for bits in [8, 63, 65, 128, 1024, 2048, 3072, 4096] {
            for len in [e.valid.len(), 3 * usize::from(bits) / 8, 16 * usize::from(bits)] {
                let mut bytes = e.valid.clone();
                bytes.resize(len.max(4), 0);
                bytes[2..4].copy_from_slice(&u16::to_be_bytes(bits));
                let error = refused((e.decode)(&bytes));
                assert_eq!(error, cannot(e.what, EncodingFault::Size(bits)), "not {own}");
            }
        }
    }
}

#[test]
fn insecure_parameters_are_refused_unless_the_caller_says_insecure() {
    for name in ["toy", "64", "256", "512", "1024"] {
        let (size, params) = (fixture(name).size, fixture(name).params());
        let error = refused(PublicParams::from_bytes(&params.to_bytes()));
        let fault = EncodingFault::Size(size.bits() as u16);
        assert_eq!(error, cannot("public parameters", fault), "{name}");
        assert_eq!(KeySize::from_bits(size.bits()), None);
    }
    for name in ["2048", "3072"] {
        let params = fixture(name).params();
        assert_eq!(PublicParams::from_bytes(&params.to_bytes()), Ok(params), "{name}");
    }
}

#[test]
fn no_changed_byte_panics_or_gives_a_second_encoding() {
    for e in all() {
        for at in 0..e.valid.len() {
            for mask in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                let mut bytes = e.valid.clone();
                bytes[at] ^= mask;
                match (e.decode)(&bytes) {
                    Ok(again) => assert_eq!(again, bytes, "{} {at} {mask}", e.what),
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
        }
    }
}

#[test]
fn bits_beyond_a_number_are_refused() {
    // 22 bits of a residue take three bytes: the two highest bits are always zero.
    for e in encodings(&fixture("toy")) {
        for (at, _) in &e.residues {
            for bit in [0x40, 0x80] {
                let mut bytes = e.valid.clone();
                bytes[*at] |= bit;
                assert_eq!(refused((e.decode)(&bytes)), cannot(e.what, EncodingFault::Range));
            }
        }
    }
}

#[test]
fn numbers_that_are_no_units_below_n_squared_are_refused_in_every_place() {
    let f = fixture("64");
    let n = &f.p * &f.q;
    let n_squared = &n * &n;
    let top = (big(1) << 128u8) - 1u8;
    let bad = [
        big(0),
        f.p.clone(),
        f.q.clone(),
        &f.p * &f.p,
        n,
        &n_squared - &f.q,
        n_squared.clone(),
        n_squared + 1u8,
        top,
    ];
    let mut places = 0;
    for e in encodings(&f) {
        for place in &e.residues {
            places += 1;
            for x in &bad {
                let error = refused((e.decode)(&with_number(&e.valid, *place, x)));
                assert_eq!(error, Error::NotAResidue { index: 0 }, "{} {x}", e.what);
            }
        }
    }
    // h, A and B, the A of a head, A and P.
    assert_eq!(places, 6);
}

#[test]
fn another_id_of_parameters_is_refused() {
    let (toy, f) = (fixture("toy").params(), fixture("64"));
    let mut kinds = 0;
    for e in encodings(&f).iter().filter(|e| e.names_params) {
        kinds += 1;
        let mut bytes = e.valid.clone();
        bytes[4..36].copy_from_slice(toy.id().as_bytes());
        let (expected, found) = (f.params().id(), toy.id());
        let error = refused((e.decode)(&bytes));
        assert_eq!(error, Error::OtherParams { index: 0, expected, found }, "{}", e.what);
    }
    assert_eq!(kinds, 5);
}

#[test]
fn another_key_id_is_refused_where_the_key_is_known() {
    let params = fixture("64").params();
    let key = SecretKey::generate(&params).expect("a key").public().clone();
    let other = SecretKey::generate(&params).expect("a key").public().id();
    let mut bytes = key.encrypt(&plain(&params, 1)).expect("a ciphertext").to_bytes();
    bytes[4..36].copy_from_slice(other.as_bytes());
    let raw = RawCiphertext::from_bytes(&params, &bytes).expect("its form");
    let error = Error::OtherKey { index: 0, expected: key.id(), found: other };
    assert_eq!(refused(key.admit(raw)), error);
}

#[test]
fn secret_keys_out_of_range_are_refused() {
    let f = fixture("64");
    let n_squared = (&f.p * &f.q).pow(2);
    let params = f.params();
    let valid = SecretKey::generate(&params).expect("a key").to_bytes();
    let decode = |local: u8, sk: &BigUint| {
        let mut bytes = with_number(&valid, (37, 16), sk);
        bytes[36] = local;
        SecretKey::from_bytes(&params, &bytes)
    };
    let range = cannot("a secret key", EncodingFault::Range);
    for local in [0, 1] {
        let top = (big(1) << 128u8) - 1u8;
        for sk in [big(0), n_squared.clone(), &n_squared + 1u8, top] {
            assert_eq!(refused(decode(local, &sk)), range, "{sk}");
        }
    }
    // An issued key is below the order of G, and what is the same modulo that is no key.
    let order = &f.p * &f.q * f.e();
    let sk = &order / 3u8;
    decode(0, &sk).expect("an issued key");
    for more in 1..4u8 {
        assert_eq!(refused(decode(0, &(&order * more + &sk))), range);
    }
    // A local key is twice a number; there is no third sort of key.
    assert_eq!(refused(decode(1, &big(7))), range);
    for local in 2..=255 {
        assert_eq!(refused(decode(local, &big(6))), range);
    }
    decode(0, &(&order - 1u8)).expect("the largest issued key");
    assert_eq!(refused(decode(0, &(&n_squared >> 2u8))), range);
    decode(1, &(&n_squared - 2u8)).expect_err("odd");
    decode(1, &(&n_squared - 1u8)).expect("the largest local key");
}

#[test]
fn master_keys_with_wrong_primes_are_refused() {
    let f = fixture("64");
    let params = f.params();
    let master = MasterKey::new(&params, &f.p, &f.q).expect("its primes");
    let valid = master.to_bytes();
    let top = big(u64::from(u32::MAX));
    for [p, q] in [[&f.p, &f.p], [&f.q, &f.q], [&big(0), &f.q], [&f.p, &big(1)], [&top, &top]] {
        let bytes = with_number(&with_number(&valid, (36, 4), p), (40, 4), q);
        let error = refused(MasterKey::from_bytes(&params, &bytes));
        let unordered = cannot("a master key", EncodingFault::Range);
        let primes = Error::Params(ParamsFault::Primes);
        assert_eq!(error, if p < q { primes } else { unordered }, "{p} {q}");
    }
    // One key, one encoding: the smaller prime first.
    let error = refused(MasterKey::from_bytes(&params, &swapped(&master, 64)));
    assert_eq!(error, cannot("a master key", EncodingFault::Range));
}

#[test]
fn parameters_that_are_not_fit_for_use_are_refused_in_bytes_as_well() {
    let f = fixture("64");
    let n = &f.p * &f.q;
    let valid = f.params().to_bytes();
    let n_place = (4, 8);
    let g_place = (12, 16);
    let moduli = [
        (&n >> 1u8, ParamsFault::Size),
        (big(0), ParamsFault::Size),
        (&n - 1u8, ParamsFault::Even),
        // 2^64 - 7, a multiple of 3, and 2^64 - 1 = (2^32 - 1) (2^32 + 1)
        (big(u64::MAX - 6), ParamsFault::Modulus),
        (big(u64::MAX), ParamsFault::ClosePrimes),
    ];
    for (x, fault) in moduli {
        let error = refused(PublicParams::insecure_from_bytes(&with_number(&valid, n_place, &x)));
        assert_eq!(error, Error::Params(fault), "{x}");
    }
    let n_squared = &n * &n;
    for g in [big(0), big(1), n.clone(), &n_squared - 1u8, n_squared.clone(), n_squared + 4u8] {
        let error = refused(PublicParams::insecure_from_bytes(&with_number(&valid, g_place, &g)));
        assert_eq!(error, Error::Params(ParamsFault::Generator), "{g}");
    }
}
