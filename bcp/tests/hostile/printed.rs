//! What is printed of secrets and of errors.

use super::{World, admitted, encrypt, refused, sibling, with_modulus, world};
use crate::common::{fixture, plain};
use crate::keys::joint;
use dyad_bcp::packing::{Slot, SlotLayout};
use dyad_bcp::{
    Backend, Error, MasterKey, ParamsFault, Plaintext, RawCiphertext, SecretKey, UnifiedKey,
};
use num_bigint::BigUint;
use std::slice::from_ref;

/// How a number looks in print: decimal, hexadecimal of either case, a list of bytes, words.
fn in_print(x: &BigUint) -> Vec<String> {
    let words = x.to_u64_digits();
    let bytes = x.to_bytes_be();
    let dump = format!("{bytes:?}");
    let words = words.iter().flat_map(|w| [w.to_string(), format!("{w:x}")]);
    let whole = [x.to_string(), format!("{x:x}"), format!("{x:X}")];
    let all = words.chain(whole).chain([dump.trim_matches(['[', ']']).to_owned()]);
    // A word of few digits stands in any text.
    all.filter(|digits| digits.len() >= 8).collect()
}

#[test]
fn debug_output_of_secrets_is_redacted() {
    let f = fixture("256");
    let (params, master) = f.on(Backend::detect());
    let a = params.n() + 12_345u32;
    let secret = SecretKey::insecure_from_exponent(&params, &(&a * 2u8)).expect("a key");
    let known = master.know(secret.public()).expect("a key in G");
    let m = BigUint::from(0xfeed_beef_0123_4567_u64);
    let plaintext = Plaintext::from_biguint(&params, &m).expect("a plaintext");
    let unified = UnifiedKey::new(&[secret.public().clone()]).expect("one member");
    let head = secret.public().encrypt(&plaintext).expect("a ciphertext").head();
    let partial = secret.partial_many(&unified, &[head]).expect("a member").remove(0);
    let bytes = partial.to_bytes();
    let value = BigUint::from_bytes_be(&bytes[bytes.len() - 64..]);
    let slot = Slot::from_u64(0xfeed_beef_0123_4567);
    let texts = [
        [format!("{secret:?}"), format!("{secret:#?}")],
        [format!("{master:?}"), format!("{master:#?}")],
        [format!("{known:?}"), format!("{known:#?}")],
        [format!("{plaintext:?}"), format!("{plaintext:#?}")],
        [format!("{partial:?}"), format!("{partial:#?}")],
        [format!("{slot:?}"), format!("{slot:#?}")],
    ];
    let secrets = [&f.p, &f.q, &(&f.p >> 1u8), &(&f.q >> 1u8), &a, &(&a * 2u8), &m, &value];
    for text in texts.iter().flatten() {
        assert!(text.contains("redacted"), "{text}");
        for digits in secrets.iter().flat_map(|x| in_print(x)) {
            assert!(!text.contains(&digits), "{text} has {digits}");
        }
    }
}

/// One error of nearly every kind, from work with secrets.
fn errors(w: &World) -> Vec<Error> {
    let key = w.owner.public();
    let other = SecretKey::generate(&w.params).expect("a key");
    let (sibling, _) = sibling();
    let foreign = SecretKey::generate(&sibling).expect("a key");
    let c = encrypt(key, 1).remove(0);
    let j = joint(&w.params);
    let layout = SlotLayout::new(&w.params, 8, 8).expect("a layout");
    let m = plain(&w.params, 0x0123_4567_89ab_cdef);
    vec![
        refused(MasterKey::new(&w.params, &w.fixture.p, &w.fixture.p)),
        refused(with_modulus(w.n_squared())),
        refused(SecretKey::from_bytes(&w.params, &w.owner.to_bytes()[1..])),
        refused(SecretKey::from_bytes(&w.params, &foreign.to_bytes())),
        refused(MasterKey::from_bytes(&w.params, &w.master.to_bytes()[..9])),
        refused(w.master.know(foreign.public())),
        refused(other.decrypt(&c)),
        refused(other.decrypt(&admitted(other.public(), c.a(), c.b()))),
        refused(w.master.decrypt(&w.known, &admitted(key, &w.minus(c.a()), c.b()))),
        refused(key.admit(RawCiphertext::new(key.id(), w.fixture.p.clone(), c.b().clone()))),
        refused(w.params.pow_many(from_ref(&w.fixture.p), from_ref(&w.fixture.q), 3)),
        refused(SecretKey::insecure_from_exponent(&w.params, w.n_squared())),
        refused(key.scale_many_bounded(from_ref(&c), &[m], 8)),
        refused(layout.unpack(&[plain(&w.params, 0x0123_4567_89ab_cdef)], 1)),
        refused(layout.pack(&[Slot::from_u64(0x0123_4567_89ab_cdef)])),
        refused(layout.offset(&[0x0123_4567_89ab_cdef])),
        refused(SlotLayout::new(&w.params, 66, 80)),
        refused(j.unified.open(&j.ciphertexts[0], j.partials[1].clone())),
        refused(j.unified.open_many(&j.ciphertexts, &j.partials[..1])),
        refused(w.owner.partial_many(&j.unified, &[])),
        refused(w.master.issue(0)),
    ]
}

#[test]
fn the_text_of_an_error_contains_no_secret() {
    let w = world();
    let bytes = w.owner.to_bytes();
    let sk = BigUint::from_bytes_be(&bytes[bytes.len() - 16..]);
    let (p, q) = (&w.fixture.p, &w.fixture.q);
    let m = BigUint::from(0x0123_4567_89ab_cdef_u64);
    let secrets = [p, q, &(p >> 1u8), &(q >> 1u8), &sk, &(&sk >> 1u8), &m];
    for error in errors(&w) {
        let text = format!("{error} {error:?}");
        for digits in secrets.iter().flat_map(|x| in_print(x)) {
            assert!(!text.contains(&digits), "{text} has {digits}");
        }
    }
}

#[test]
fn the_text_of_an_error_says_what_to_do() {
    let id = |w: &World| (w.params.id(), w.owner.public().id());
    let (w, other) = (world(), world());
    let ((params, key), (_, found)) = (id(&w), id(&other));
    let expected = key;
    let texts = [
        (Error::Params(ParamsFault::Size), "must have exactly 2048, 3072 or 4096 bits"),
        (
            Error::OtherParams { index: 7, expected: params, found: params },
            "item 7 belongs .*use those of its study",
        ),
        (Error::OtherKey { index: 7, expected, found }, "item 7 is .*use its key"),
        (Error::NotAResidue { index: 7 }, "item 7 is .*refuse it and its sender"),
        (Error::Undecryptable { index: 7 }, "item 7 does not decrypt"),
        (Error::BadProof, "have the owner enrol again"),
        (Error::OutOfRange { index: 7, limit: "less than x" }, "item 7 is .*less than x"),
        (Error::Length { expected: 3, found: 2 }, "2 items where 3 were expected"),
        (Error::Randomness, "try again"),
    ];
    for (error, parts) in texts {
        let text = error.to_string();
        assert!(parts.split(".*").all(|part| text.contains(part)), "{text}");
    }
    let text = Error::OtherKey { index: 7, expected, found }.to_string();
    assert!(text.contains(&expected.to_string()) && text.contains(&found.to_string()), "{text}");
}
