//! Claimed keys, unified keys and joint decryption.

use super::{World, encrypt, refused, residue_len, sibling, world};
use crate::common::{big, fixture, padded, plain};
use dyad_bcp::{
    Ciphertext, ClaimedKey, Error, Head, KeyId, Partial, ProofContext, PublicParams, Result,
    SecretKey, UnifiedKey,
};
use num_bigint::BigUint;

const STUDY: ProofContext<'_> = ProofContext { study: b"study", owner: b"owner" };
/// Where y, t and s stand in a claim under 64-bit parameters.
const Y: usize = 36;
const T: usize = 52;
const S: usize = 68;

/// The claim of the world's owner with a number in place of the one that stands at `at`.
fn tampered(w: &World, at: usize, x: &BigUint) -> Result<ClaimedKey> {
    let mut bytes = w.owner.prove(&STUDY)?.to_bytes();
    let end = if at == S { bytes.len() } else { at + 16 };
    bytes.splice(at..end, padded(x, end - at));
    ClaimedKey::from_bytes(&w.params, &bytes)
}

/// The number at `at` in a claim.
fn field(claim: &ClaimedKey, at: usize) -> BigUint {
    let bytes = claim.to_bytes();
    let end = if at == S { bytes.len() } else { at + 16 };
    BigUint::from_bytes_be(&bytes[at..end])
}

#[test]
fn a_claim_gives_the_square_of_what_was_claimed() {
    let w = world();
    let claim = w.owner.prove(&STUDY).expect("a proof");
    let y = field(&claim, Y);
    let key = claim.verify(&STUDY).expect("an honest proof");
    assert_eq!((key.h(), &key), (&(&y * &y % w.n_squared()), w.owner.public()));
}

#[test]
fn a_proof_for_another_study_or_owner_is_refused() {
    let claim = world().owner.prove(&STUDY).expect("a proof");
    // The last moves the boundary between the two names.
    let others: [(&[u8], &[u8]); 6] = [
        (b"Study", b"owner"),
        (b"study", b"owner2"),
        (b"owner", b"study"),
        (b"", b"owner"),
        (b"study", b""),
        (b"studyo", b"wner"),
    ];
    for (study, owner) in others {
        assert_eq!(refused(claim.verify(&ProofContext { study, owner })), Error::BadProof);
    }
}

#[test]
fn a_proof_for_another_key_is_refused() {
    let w = world();
    let other = SecretKey::generate(&w.params).expect("a key").prove(&STUDY).expect("a proof");
    let own = w.owner.prove(&STUDY).expect("a proof");
    let y = field(&own, Y);
    // What an attacker would like to claim: another's key, -g^a, g^a g, the key that makes the
    // product of all keys trivial, and keys of no use.
    let inverse = y.modinv(w.n_squared()).expect("a unit");
    let rogue = [
        field(&other, Y),
        w.minus(&y),
        &y * w.params.g() % w.n_squared(),
        inverse,
        w.params.g().clone(),
        big(1),
    ];
    for y in rogue.iter().chain(&w.outside()) {
        assert_eq!(refused(tampered(&w, Y, y).expect("its form").verify(&STUDY)), Error::BadProof);
    }
    for (at, x) in [(T, field(&other, T)), (S, field(&other, S)), (S, big(0))] {
        assert_eq!(refused(tampered(&w, at, &x).expect("form").verify(&STUDY)), Error::BadProof);
    }
}

#[test]
fn a_claim_with_a_number_that_is_no_residue_is_refused_as_any_bad_proof() {
    let w = world();
    for x in w.no_residues().iter().filter(|x| x.bits() <= 128) {
        for at in [Y, T] {
            let claim = tampered(&w, at, x).expect("its form");
            assert_eq!(refused(claim.verify(&STUDY)), Error::BadProof, "{x}");
        }
    }
}

#[test]
fn a_proof_under_other_parameters_is_refused_whatever_it_says() {
    let w = world();
    let (params, _) = sibling();
    let foreign = SecretKey::generate(&params).expect("a key");
    let mut bytes = foreign.prove(&STUDY).expect("a proof").to_bytes();
    let (expected, found) = (w.params.id(), params.id());
    let error = refused(ClaimedKey::from_bytes(&w.params, &bytes));
    assert_eq!(error, Error::OtherParams { index: 0, expected, found });
    bytes[4..36].copy_from_slice(expected.as_bytes());
    let claim = ClaimedKey::from_bytes(&w.params, &bytes).expect("its form");
    assert_eq!(refused(claim.verify(&STUDY)), Error::BadProof);
}

#[test]
fn a_proof_for_a_key_that_hides_nothing_is_refused() {
    // With y = 1 and t = g^k, s = k answers every challenge; with y = -1 every other one.
    let w = world();
    let claim = |y: &BigUint, k: u64| {
        let mut bytes = tampered(&w, Y, y).expect("its form").to_bytes();
        bytes[T..S].copy_from_slice(&padded(&w.params.g().modpow(&big(k), w.n_squared()), 16));
        bytes[S..].copy_from_slice(&padded(&big(k), 49));
        ClaimedKey::from_bytes(&w.params, &bytes).expect("its form")
    };
    for k in 1..20 {
        for y in [big(1), w.minus(&big(1))] {
            assert_eq!(refused(claim(&y, k).verify(&STUDY)), Error::BadProof, "{y}");
        }
    }
}

#[test]
fn an_issued_key_has_no_proof() {
    let (keys, _) = world().master.issue(2).expect("two keys");
    assert!(keys.iter().all(|key| about_members(key.prove(&STUDY))));
}

#[test]
fn public_keys_that_are_no_units_below_n_squared_or_hide_nothing_are_refused() {
    let w = world();
    let (n, n_squared) = (w.n(), w.n_squared());
    // With h = 1 modulo N, B is the plaintext but for a number that does not depend on it; with h =
    // -1 modulo N, B² is.
    let trivial = [big(1), n + 1u8, n_squared - n + 1u8, n_squared - 1u8, n - 1u8, n + n - 1u8];
    // The other roots of 1: 1 modulo one prime, -1 modulo the other.
    let (p, q) = (&w.fixture.p, &w.fixture.q);
    let root = (p * p.modinv(q).expect("different primes") * 2u8 + n - 1u8) % n;
    assert_eq!(&root * &root % n, big(1));
    // No square, as everybody sees.
    let jacobi_minus_one = [w.with_symbols(true, false), w.with_symbols(false, true)];
    let no_residues = w.no_residues();
    let no_residues = no_residues.iter().filter(|h| h.bits() <= 128);
    for h in no_residues.chain(&trivial).chain(&jacobi_minus_one).chain([&(n - &root), &root]) {
        let error = refused(super::unproved(&w.params, h));
        assert_eq!(error, Error::NotAResidue { index: 0 }, "{h}");
    }
}

#[test]
fn a_public_key_outside_g_of_jacobi_symbol_1_is_refused_by_the_master_key() {
    let w = world();
    // No residue of either prime, as -g^a is: nobody sees it without the factors.
    for h in [w.minus(w.owner.public().h()), w.minus(w.params.g()), w.with_symbols(false, false)] {
        let key = super::unproved(&w.params, &h).expect("Jacobi symbol 1").assume_certified();
        assert_eq!(refused(w.master.know(&key)), Error::Undecryptable { index: 0 }, "{h}");
    }
}

/// Three owners, their unified key, two ciphertexts under it and everybody's partials of each.
pub(super) struct Joint {
    owners: Vec<SecretKey>,
    pub(super) unified: UnifiedKey,
    pub(super) ciphertexts: Vec<Ciphertext>,
    pub(super) partials: Vec<Vec<Partial>>,
}

pub(super) fn joint(params: &PublicParams) -> Joint {
    let owners: Vec<_> = (0..3).map(|_| SecretKey::generate(params).expect("a key")).collect();
    let public: Vec<_> = owners.iter().map(|o| o.public().clone()).collect();
    let unified = UnifiedKey::new(&public).expect("three members");
    let ciphertexts = encrypt(unified.key(), 2);
    let partials = partials(&owners, &unified, &ciphertexts);
    Joint { owners, unified, ciphertexts, partials }
}

fn partials(o: &[SecretKey], unified: &UnifiedKey, c: &[Ciphertext]) -> Vec<Vec<Partial>> {
    let of = |c: &Ciphertext| -> Vec<Partial> {
        let one = |o: &SecretKey| o.partial_many(unified, &[c.head()]).expect("a member").remove(0);
        o.iter().map(one).collect()
    };
    c.iter().map(of).collect()
}

fn about_members<T>(result: Result<T>) -> bool {
    matches!(refused(result), Error::Members(_))
}

#[test]
fn unified_keys_without_members_with_one_twice_or_of_mixed_parameters_are_refused() {
    let w = world();
    let key = w.owner.public().clone();
    let twin = w.certified(key.h());
    let other = SecretKey::generate(&w.params).expect("a key").public().clone();
    let foreign = |params| SecretKey::generate(&params).expect("a key").public().clone();
    let (sibling, longer) = (foreign(sibling().0), foreign(fixture("256").params()));
    assert!(about_members(UnifiedKey::new(&[])));
    assert!(about_members(w.master.issue(0)));
    for bad in [key.clone(), twin, sibling, longer] {
        assert!(about_members(UnifiedKey::new(&[key.clone(), other.clone(), bad.clone()])));
        assert!(about_members(UnifiedKey::new(&[bad, other.clone(), key.clone()])));
    }
}

#[test]
fn joint_decryption_needs_exactly_one_partial_of_each_member() {
    let params = world().params;
    let j = joint(&params);
    let c = &j.ciphertexts[0];
    let [x, y, z] = [0, 1, 2].map(|i| j.partials[0][i].clone());
    assert_eq!(j.unified.open(c, vec![z.clone(), x.clone(), y.clone()]), Ok(plain(&params, 0)));
    let foreign = {
        // A stranger's answer to the same A, made to look as if asked under this key.
        let stranger = SecretKey::generate(&params).expect("a key");
        let own = UnifiedKey::new(&[stranger.public().clone()]).expect("one member");
        let mut head = c.head().to_bytes();
        head[4..36].copy_from_slice(own.key().id().as_bytes());
        let head = Head::from_bytes(&params, &head).expect("a head");
        let partial = stranger.partial_many(&own, &[head]).expect("a member").remove(0);
        with_key(&params, &partial, j.unified.key().id())
    };
    let wrong = [
        vec![],
        vec![x.clone(), y.clone()],
        vec![x.clone(), y.clone(), y.clone()],
        vec![x.clone(), x.clone(), x.clone()],
        vec![x.clone(), y.clone(), z.clone(), z.clone()],
        vec![x.clone(), y.clone(), foreign.clone()],
        vec![x, y, z, foreign],
    ];
    for partials in wrong {
        assert!(about_members(j.unified.open(c, partials)));
    }
}

/// The same partial with another ciphertext key's id.
fn with_key(params: &PublicParams, partial: &Partial, key: KeyId) -> Partial {
    let mut bytes = partial.to_bytes().to_vec();
    bytes[36..68].copy_from_slice(key.as_bytes());
    Partial::from_bytes(params, &bytes).expect("a partial")
}

#[test]
fn partials_for_another_ciphertext_or_key_are_refused() {
    let params = world().params;
    let mut j = joint(&params);
    let other_key = with_key(&params, &j.partials[1][2], j.owners[0].public().id());
    let other_ciphertext = j.partials[0][2].clone();
    j.unified.open_many(&j.ciphertexts, &j.partials).expect("all is well");
    for bad in [other_key, other_ciphertext] {
        j.partials[1][2] = bad;
        assert!(about_members(j.unified.open_many(&j.ciphertexts, &j.partials)));
    }
    j.ciphertexts.swap(0, 1);
    assert!(about_members(j.unified.open_many(&j.ciphertexts, &j.partials)));
}

#[test]
fn a_wrong_partial_anywhere_refuses_the_batch_and_its_ciphertext_is_named() {
    let w = world();
    let j = joint(&w.params);
    let len = residue_len(&w.params);
    for at in 0..2 {
        for member in 0..3 {
            // 4, -P and P g
            let changes: [&dyn Fn(&BigUint) -> BigUint; 3] =
                [&|_| big(4), &|p| w.minus(p), &|p| p * w.params.g() % w.n_squared()];
            for change in changes {
                let mut bytes = j.partials[at][member].to_bytes().to_vec();
                let value = bytes.split_off(bytes.len() - len);
                bytes.extend(padded(&change(&BigUint::from_bytes_be(&value)), len));
                let mut partials = j.partials.clone();
                partials[at][member] = Partial::from_bytes(&w.params, &bytes).expect("a unit");
                let error = refused(j.unified.open_many(&j.ciphertexts, &partials));
                assert_eq!(error, Error::Undecryptable { index: at });
            }
        }
    }
}

#[test]
fn partials_of_a_key_that_is_no_member_are_refused() {
    let w = world();
    let j = joint(&w.params);
    let heads = [j.ciphertexts[0].head()];
    assert!(about_members(w.owner.partial_many(&j.unified, &heads)));
    let (params, _) = sibling();
    let foreign = SecretKey::generate(&params).expect("a key");
    assert!(about_members(foreign.partial_many(&j.unified, &heads)));
}
