//! Attacks on BCP. Each runs against a variant that is weak on purpose, to show that it works, and
//! against ours, to show that it does not.
//!
//! An attacker has public numbers and the answers to its queries. The p and q of a fixture serve
//! the weak decryptors, and tell whether a factor that an attacker found is one. Letters are those
//! of the crate: e = p'q', G = <g> the squares modulo N², L(v) = (v - 1) / N.

mod claim;
mod close;
#[path = "../common/mod.rs"]
mod common;
mod study;

use claim::{Claim, challenge};
use common::{header, padded};
use dyad_bcp::{Backend, Error, Plaintext, ProofContext, RawCiphertext, SecretKey, UnifiedKey};
use num_bigint::BigUint;
use num_integer::Integer;
use num_traits::{One, Zero};
use std::collections::HashSet;
use study::*;

type Outcome = Result<(), Error>;

/// What our decryptor says to everything that it refuses.
const REFUSED: Error = Error::Undecryptable { index: 0 };

/// An mDec without membership check answers (A, B) = (1, u) with log u, whatever u is. For a unit u
/// with Jacobi symbol -1, v = u^e is one of two opposite roots ±ρ of 1 modulo N, neither 1 nor -1:
///
/// ```text
/// v = ρ + v1 N mod N²                   L rounds down:  D = v1 / e            the answer to u
/// v² = 1 + (s + 2 ρ v1) N mod N²,  s = (ρ² - 1) / N:    M = (s + 2 ρ v1) / e  the answer to u²
/// ```
///
/// Two of any three such u have one ρ, and s with it. For these ρ = (M - M') / (2 (D - D')), and
/// gcd(ρ - 1, N) is p or q. Ours refuses every u outside G, and for want of a D there is no ρ.
#[test]
fn six_queries_factor_n_without_a_membership_check() -> Outcome {
    for study in studies() {
        let weak = WeakMaster { study: &study, admits: everything };
        let c = study.owner.public().encrypt(&Plaintext::from_u64(&study.params, 1000))?;
        assert_eq!(weak.decrypt(study.h(), c.a(), c.b()), Some(1000u32.into()));

        let mut queries = 0;
        let found = factor_with_six_queries(study.n(), |u| {
            queries += 1;
            weak.decrypt(study.h(), &BigUint::one(), u)
        });
        assert!(queries <= 6);
        assert!(study.is_factor(found));

        let mut answers = Vec::new();
        let found = factor_with_six_queries(study.n(), |u| {
            let answer = study.decrypt(study.h(), &BigUint::one(), u);
            answers.push(answer.clone());
            answer.ok()
        });
        assert_eq!(found, None);
        // u is refused. u² is a square, so it lies in G and has a true logarithm.
        for pair in answers.chunks(2) {
            assert_eq!(pair[0], Err(REFUSED));
            assert!(pair[1].is_ok());
        }
    }
    Ok(())
}

/// -1 is a unit with Jacobi symbol 1, and worse than the others:
///
/// ```text
/// (-1)^e = -1 = (N - 1) + (N - 1) N mod N²,   so the answer to (1, -1) is M = -1 / e mod N
/// ```
///
/// and e = -1 / M gives the factors. Ours refuses -1.
#[test]
fn one_query_with_minus_one_factors_n_without_a_membership_check() {
    for study in studies() {
        let attack = |m: BigUint| factor_from_order(study.n(), &(study.n() - m).modinv(study.n())?);
        let minus_one = study.negative(&BigUint::one());

        let weak = WeakMaster { study: &study, admits: everything };
        let answer = weak.decrypt(study.h(), &BigUint::one(), &minus_one);
        assert!(study.is_factor(answer.and_then(attack)));

        assert_eq!(study.decrypt(study.h(), &BigUint::one(), &minus_one), Err(REFUSED));
    }
}

/// A decryptor that answered "refused: A" and "refused: B", or refused ρ and -ρ in different words,
/// would sort units for an attacker. Ours says one thing, and which item of a batch it means.
#[test]
fn refusals_tell_no_kind_of_unit_from_another() -> Outcome {
    for study in studies() {
        let key = study.owner.public();
        let known = study.master.know(key)?;
        let m = Plaintext::random(&study.params)?;
        let c = key.encrypt(&m)?;
        let (a, b) = (c.a(), c.b());
        let (minus_a, minus_b) = (study.negative(a), study.negative(b));
        let mut outside = vec![
            (minus_a.clone(), b.clone()),
            (a.clone(), minus_b.clone()),
            (minus_a, minus_b),
            (BigUint::one(), study.negative(&BigUint::one())),
        ];
        // Enough units for ρ and -ρ both to come up.
        for _ in 0..8 {
            let u = unit_with_jacobi_minus_one(study.n());
            outside.push((BigUint::one(), u.clone()));
            outside.push((study.times(&u, a), b.clone()));
            outside.push((a.clone(), study.times(&u, b)));
            outside.push((study.times(&u, a), study.times(&u, b)));
        }
        for (a, b) in outside {
            assert_eq!(study.decrypt(key.h(), &a, &b), Err(REFUSED));
            let bad = key.admit(RawCiphertext::new(key.id(), a, b))?;
            let batch = [c.clone(), bad, c.clone()];
            let answer = study.master.decrypt_many(&known, &batch);
            assert_eq!(answer, Err(Error::Undecryptable { index: 1 }));
        }
        assert_eq!(study.master.decrypt(&known, &c)?, m);
    }
    Ok(())
}

/// With p - 1 in place of p' the check is u^{p-1} = 1 mod p and u^{q-1} = 1 mod q: Fermat's little
/// theorem, true of every unit. The six queries pass it, and so does a key -h. Ours, with p' and
/// q', refuses -h, whether it comes as the key, as A or as B.
#[test]
fn a_membership_check_with_p_minus_1_stops_no_unit() -> Outcome {
    for study in studies() {
        let minus_h = study.negative(study.h());
        let outside = [minus_h.clone(), unit_with_jacobi_minus_one(study.n())];
        for u in &outside {
            assert!(by_fermat(&study.fixture, u));
            assert!(!by_order(&study.fixture, u));
        }
        for _ in 0..16 {
            // A random number is a unit, or finds a factor by itself.
            assert!(by_fermat(&study.fixture, &random_below(study.params.n_squared())));
        }
        let weak = WeakMaster { study: &study, admits: by_fermat };
        assert!(weak.decrypt(&minus_h, &minus_h, &minus_h).is_some());
        let found =
            factor_with_six_queries(study.n(), |u| weak.decrypt(study.h(), &BigUint::one(), u));
        assert!(study.is_factor(found));

        // The exponents are all that was wrong: with p' and q' the same decryptor holds.
        let repaired = WeakMaster { study: &study, admits: by_order };
        let found =
            factor_with_six_queries(study.n(), |u| repaired.decrypt(study.h(), &BigUint::one(), u));
        assert_eq!(found, None);

        let (g, h) = (study.params.g(), study.h());
        assert_eq!(study.decrypt(h, g, h), Ok(BigUint::zero()));
        for u in &outside {
            // Half of what is outside does not even pass for a key.
            let key = study.key_without_proof(u);
            match jacobi(u % study.n(), study.n().clone()) {
                1 => assert_eq!(study.master.know(&key?).err(), Some(REFUSED)),
                _ => assert_eq!(key.err(), Some(Error::NotAResidue { index: 0 })),
            }
            assert_eq!(study.master.check_members(&[u]), Err(REFUSED));
            assert_eq!(study.decrypt(h, u, h), Err(REFUSED));
            assert_eq!(study.decrypt(h, g, u), Err(REFUSED));
        }
    }
    Ok(())
}

/// g^e = 1 + kN mod N². The ciphertext (g^t, h^t g) lies in G, no check can refuse it, and
///
/// ```text
/// m = log(h^t g) - t log h = log g = k / e mod N
/// ```
///
/// Who knows k then has e = k / m. So k is in nothing that we publish, and a wrong k is no help.
#[test]
fn one_query_factors_n_when_k_is_public() -> Outcome {
    for study in studies() {
        let (n, g) = (study.n(), study.params.g());
        let t = random_below(study.params.n_squared());
        let (a, b) = (study.pow(g, &t), study.times(&study.pow(study.h(), &t), g));
        let m = study.decrypt(study.h(), &a, &b)?;
        let attack = |k: &BigUint| factor_from_order(n, &divide(k, &m, n)?);

        let k = (study.pow(g, &study.fixture.e()) - 1u8) / n;
        assert!(study.is_factor(attack(&k)));

        // Public parameters are N and g, to the last byte.
        let bytes = study.params.to_bytes();
        let len = n.to_bytes_be().len();
        let expected = [header(&study.params, 1), padded(n, len), padded(g, 2 * len)].concat();
        assert_eq!(bytes, expected);
        let claimed = study.owner.prove(&ALICE)?;
        let key = study.owner.public();
        let c = key.encrypt(&Plaintext::from_u64(&study.params, 1))?;
        for public in [bytes, key.to_bytes(), claimed.to_bytes(), c.to_bytes()] {
            let k = k.to_bytes_be();
            assert!(public.windows(k.len()).all(|window| window != k));
        }
        for wrong in [BigUint::one(), n - &k, &k + 1u8, &k - 1u8, g % n, study.h() % n] {
            assert_eq!(attack(&wrong), None);
        }
        for _ in 0..100 {
            assert_eq!(attack(&random_below(n)), None);
        }
    }
    Ok(())
}

/// For y = -g^a and an even challenge e, g^s = t y^e holds with s = k + e a as it does for g^a, and
/// whoever makes the proof draws k anew until e is even. A key h = y then lies outside G, and so
/// does every unified key with it: mDec refuses what is under it. With h = y² = g^{2a} the sign is
/// gone, and the key serves like any other.
#[test]
fn a_ground_out_proof_for_minus_g_to_the_a_takes_a_key_out_of_g() -> Outcome {
    for study in studies() {
        let a = random_below(&(study.params.n_squared() >> 1u8));
        let y = study.negative(&study.pow(study.params.g(), &a));
        let odd = Claim::make(&study, &ALICE, &y, &a, Integer::is_odd);
        assert_eq!(odd.verify(&study, &ALICE), Err(Error::BadProof));
        let even = Claim::make(&study, &ALICE, &y, &a, Integer::is_even);
        let ours = even.verify(&study, &ALICE)?;

        let honest = study.owner.public();
        let weak = study.key_without_proof(&y)?;
        assert_eq!(study.master.know(&weak).err(), Some(REFUSED));
        let unified = UnifiedKey::new(&[honest.clone(), weak])?;
        assert_eq!(study.master.know(unified.key()).err(), Some(REFUSED));
        // B = h^r (1 + mN) is in G for even r alone.
        assert!(!study.encrypts_into_g(unified.key())?);

        let m = Plaintext::random(&study.params)?;
        let unified = UnifiedKey::new(&[honest.clone(), ours.clone()])?;
        for key in [&ours, unified.key()] {
            assert!(study.encrypts_into_g(key)?);
            assert_eq!(study.master.decrypt(&study.master.know(key)?, &key.encrypt(&m)?)?, m);
        }
        let secret = SecretKey::insecure_from_exponent(&study.params, &(a << 1u8))?;
        assert_eq!(secret.public(), &ours);
        assert_eq!(secret.decrypt(&ours.encrypt(&m)?)?, m);
    }
    Ok(())
}

/// The last to publish takes y_n = g^x / prod y_i. The unified key, the product of all h_i = y_i²,
/// is then g^{2x}: it belongs to the attacker alone, who reads everything under it. But nobody
/// knows the logarithm of y_n, and without it there is no proof.
#[test]
fn a_rogue_key_takes_over_the_unified_key_without_proofs() -> Outcome {
    const MALLORY: ProofContext<'_> = ProofContext { study: b"study", owner: b"mallory" };
    const OTHER_STUDY: ProofContext<'_> = ProofContext { study: b"another", ..MALLORY };
    const MOVED: ProofContext<'_> = ProofContext { study: b"studym", owner: b"allory" };
    for study in studies() {
        let (params, g) = (&study.params, study.params.g());
        let bob = SecretKey::generate(params)?;
        let claims = [
            Claim::read(params, &study.owner.prove(&ALICE)?),
            Claim::read(params, &bob.prove(&ProofContext { owner: b"bob", ..ALICE })?),
        ];
        let x = random_below(&(params.n_squared() >> 1u8));
        let g_to_x = study.pow(g, &x);
        let product = study.times(&claims[0].y, &claims[1].y);
        let y = divide(&g_to_x, &product, params.n_squared()).expect("a quotient of units");

        let rogue = study.key_without_proof(&study.times(&y, &y))?;
        let weak = UnifiedKey::new(&[study.owner.public().clone(), bob.public().clone(), rogue])?;
        let m = Plaintext::random(params)?;
        let attacker = SecretKey::insecure_from_exponent(params, &(&x << 1u8))?;
        assert_eq!(attacker.decrypt(&weak.key().encrypt(&m)?)?, m);

        let refused =
            |claim: Claim| assert_eq!(claim.verify(&study, &MALLORY), Err(Error::BadProof));
        let own = Claim::make(&study, &MALLORY, &g_to_x, &x, |_| true);
        assert_eq!(own.verify(&study, &MALLORY)?.h(), attacker.public().h());
        // The proof for g^x, or that of an honest owner, with the rogue y put in.
        refused(Claim { y: y.clone(), ..own.clone() });
        refused(Claim { y: y.clone(), ..claims[0].clone() });
        // The same, as if y_n = g^x were what has to be proved, with the challenge for y_n.
        refused(Claim::make(&study, &MALLORY, &y, &x, |_| true));
        // The proof made backwards: e and s first, then the t that fits them. It changes e.
        let (e, s) = (random_below(&(BigUint::one() << 128u8)), x.clone());
        let t = divide(&study.pow(g, &s), &study.pow(&y, &e), params.n_squared());
        refused(Claim { y: y.clone(), t: t.expect("a quotient of units"), s });
        // An honest y times g^x, an honest s moved by e x to suit it. It changes e, too.
        let e = challenge(params, &ALICE, &claims[0].y, &claims[0].t);
        let moved = Claim {
            y: study.times(&claims[0].y, &g_to_x),
            s: &claims[0].s + e * &x,
            ..claims[0].clone()
        };
        assert_eq!(moved.verify(&study, &ALICE), Err(Error::BadProof));
        refused(moved);
        // An honest owner's claim, whole or with the sign of y changed, as one's own.
        refused(claims[0].clone());
        refused(Claim { y: study.negative(&claims[0].y), ..claims[0].clone() });
        // A proof made for another study, or by another owner.
        refused(Claim::make(&study, &OTHER_STUDY, &g_to_x, &x, |_| true));
        refused(Claim::make(&study, &ALICE, &g_to_x, &x, |_| true));
        // The border between study and owner moved.
        refused(Claim::make(&study, &MOVED, &g_to_x, &x, |_| true));
    }
    Ok(())
}

/// An owner's part of a joint decryption is A^sk for whatever A it is given:
///
/// ```text
/// (1 + N)^sk = 1 + sk N mod N²          half of the key
/// (-A)^sk = (-1)^sk A^sk                its lowest bit
/// ```
///
/// Nothing in these functions can stop it, so nothing is refused here: an owner answers for heads
/// in a release that both clouds have signed, and for no others. A local key is even, whatever is
/// asked.
#[test]
fn a_chosen_head_shows_half_of_a_key_to_who_gets_the_answer() -> Outcome {
    for study in studies() {
        let n = study.n();
        let (issued, _) = study.master.issue(1)?;
        for (owner, local) in [(&study.owner, true), (&issued[0], false)] {
            let unified = UnifiedKey::new(&[owner.public().clone()])?;
            let answer = |a: BigUint| -> Result<BigUint, Error> {
                let raw = RawCiphertext::new(unified.key().id(), a, BigUint::one());
                let head = unified.key().admit(raw)?.head();
                let bytes = owner.partial_many(&unified, &[head])?.remove(0).to_bytes();
                Ok(BigUint::from_bytes_be(&bytes[bytes.len() - n.to_bytes_be().len() * 2..]))
            };
            let bytes = owner.to_bytes();
            let sk = BigUint::from_bytes_be(&bytes[4 + 32 + 1..]);
            assert_eq!((answer(n + 1u8)? - 1u8) / n, &sk % n);
            let a = random_below(n);
            let odd = answer(study.negative(&a))? != answer(a)?;
            assert_eq!(odd, sk.is_odd());
            assert!(!(local && odd));
        }
    }
    Ok(())
}

/// Two ciphertexts with one r show the difference of their plaintexts to everybody:
///
/// ```text
/// B / B' = h^{r - r} (1 + mN) / (1 + m'N) = 1 + (m - m') N mod N²
/// ```
///
/// Ours draw r anew for every plaintext, in a batch and across batches and keys, and once more to
/// re-randomise; the test looks at 2000 at each size.
#[test]
fn reuse_of_r_gives_differences_of_plaintexts_away() -> Outcome {
    for study in studies() {
        let key = study.owner.public();
        let (m, other) = (Plaintext::random(&study.params)?, Plaintext::random(&study.params)?);
        let r = random_below(&(study.params.n_squared() >> 1u8));
        let c = key.insecure_encrypt_with_randomness(&m, &r)?;
        let d = key.insecure_encrypt_with_randomness(&other, &r)?;
        let difference = subtract(&m.to_biguint(), &other.to_biguint(), study.n());
        assert_eq!(study.difference(&c, &d), Some(difference));
        assert_eq!(study.difference(&key.encrypt(&m)?, &key.encrypt(&other)?), None);
    }
    for name in ["256", "512"] {
        for backend in Backend::available() {
            let study = Study::new(name, backend)?;
            let other_owner = SecretKey::generate(&study.params)?;
            let keys = [study.owner.public(), other_owner.public()];
            let m = Plaintext::random(&study.params)?;
            let mut c = Vec::new();
            for i in [0, 1, 0, 1, 0] {
                let batch = keys[i].encrypt_many(&vec![m.clone(); 199])?;
                let fresh = keys[i].rerandomize_many(&batch)?;
                // One Enc(0) for two of a batch would link them: A'/A would be the same for both.
                for (old, new) in batch.windows(2).zip(fresh.windows(2)) {
                    let crosswise = study.times(old[0].a(), new[1].a());
                    assert_ne!(crosswise, study.times(old[1].a(), new[0].a()));
                }
                let known = study.master.know(keys[i])?;
                assert!(study.master.decrypt_many(&known, &fresh)?.iter().all(|x| *x == m));
                c.extend([batch, fresh].concat());
                c.extend([keys[i].encrypt(&m)?, keys[i].encrypt(&m)?]);
            }
            // B / B' is 1 modulo N iff B and B' are the same modulo N.
            let a: HashSet<BigUint> = c.iter().map(|c| c.a().clone()).collect();
            let b: HashSet<BigUint> = c.iter().map(|c| c.b() % study.n()).collect();
            assert_eq!((c.len(), a.len(), b.len()), (2000, 2000, 2000));
        }
    }
    Ok(())
}
