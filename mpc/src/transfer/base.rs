//! Base transfers: each gives the sender two keys, and the receiver the one its bit c chooses.
//!
//! ```text
//! receiver   a random, R_{1-c} a random point, R_c = a G - H_c(R_{1-c});   sends R_0, R_1
//! sender     b random;  sends B = b G
//! keys       k_j = KDF(b (R_j + H_j(R_{1-j}))) at the sender,  k_c = KDF(a B) at the receiver
//! ```
//!
//! Masny and Rindal, "Endemic Oblivious Transfer", CCS 2019, from Diffie and Hellman's agreement in
//! ristretto255, a group of prime order; H_j are hashes into the group, KDF is SHA-256 over
//! everything in the transfer, and both over job, attempt and who sends. Each transfer has its own a and b and its number in all hashes: what
//! goes wrong when one B serves many (McQuoid, Rosulek, Roy, "Batching Base Oblivious Transfers",
//! ASIACRYPT 2021) does not arise.
//!
//! Who learns what: R_{1-c} and a G are uniform, so (R_0, R_1) is a uniform pair whatever c is: the
//! sender learns nothing of it. The key not chosen is a hash of b (R_{1-c} + H(R_c)), which by the
//! computational Diffie-Hellman assumption the receiver cannot form, H being a random oracle. A
//! simulator draws points and that key at random.

use super::{Context, Refused};
use crate::wire::all_words;
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256, Sha512};
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

/// Words of a point.
pub(super) const POINT: usize = 4;

/// Fresh bytes. The system's generator fails only where nothing can run.
pub(crate) fn fresh<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    SysRng.try_fill_bytes(&mut bytes[..]).unwrap_or_else(|error| {
        unreachable!("the system's generator gives numbers: {error}");
    });
    bytes
}

fn scalar() -> Zeroizing<Scalar> {
    Zeroizing::new(Scalar::from_bytes_mod_order_wide(&fresh::<64>()))
}

/// H_j of transfer `number`.
fn to_group(
    context: &Context,
    number: usize,
    j: u8,
    point: &CompressedRistretto,
) -> RistrettoPoint {
    let mut hash = Sha512::new();
    hash.update(b"dyad-mpc base transfer point v2");
    hash.update(context.as_bytes());
    hash.update((number as u32).to_be_bytes());
    hash.update([j]);
    hash.update(point.as_bytes());
    RistrettoPoint::from_uniform_bytes(&hash.finalize().into())
}

/// What both have seen of transfer `number`.
struct Seen<'a> {
    context: &'a Context,
    number: usize,
    r: [CompressedRistretto; 2],
    b: CompressedRistretto,
}

impl Seen<'_> {
    /// KDF
    fn key(&self, secret: RistrettoPoint) -> u128 {
        let secret = Zeroizing::new(secret);
        let mut hash = Sha256::new();
        hash.update(b"dyad-mpc base transfer key v2");
        hash.update(self.context.as_bytes());
        hash.update((self.number as u32).to_be_bytes());
        for point in [&self.r[0], &self.r[1], &self.b] {
            hash.update(point.as_bytes());
        }
        hash.update(Zeroizing::new(secret.compress().to_bytes()));
        let digest = Zeroizing::new(<[u8; 32]>::from(hash.finalize()));
        let mut key = Zeroizing::new([0; 16]);
        key.copy_from_slice(&digest[..16]);
        u128::from_le_bytes(*key)
    }
}

/// The receiver, between its two messages.
pub(super) struct Choosing {
    context: Context,
    a: Vec<Zeroizing<Scalar>>,
    r: Vec<[CompressedRistretto; 2]>,
}

impl Choosing {
    /// So many transfers, at most 128; and R_0, R_1 of each, to be sent.
    pub(super) fn new(context: &Context, chosen: &u128, count: usize) -> (Self, Vec<u64>) {
        // None of them grows: what is left where a vector was would not be wiped.
        let (mut a, mut r) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut message = Vec::with_capacity(2 * POINT * count);
        for number in 0..count {
            let c = (chosen >> number & 1) as u8;
            let secret = scalar();
            let other = RistrettoPoint::from_uniform_bytes(&fresh::<64>()).compress();
            // H_c, which of the two being a secret.
            let set = Choice::from(c);
            let [zero, one] = [0, 1].map(|j| to_group(context, number, j, &other));
            let hash = RistrettoPoint::conditional_select(&zero, &one, set);
            let own = (RistrettoPoint::mul_base(&secret) - hash).compress();
            let pair = [(&own, &other), (&other, &own)].map(|(if_0, if_1)| {
                let mut bytes = if_0.to_bytes();
                for (byte, if_1) in bytes.iter_mut().zip(if_1.as_bytes()) {
                    *byte = u8::conditional_select(byte, if_1, set);
                }
                CompressedRistretto(bytes)
            });
            for point in &pair {
                message.extend(all_words(point.as_bytes()));
            }
            a.push(secret);
            r.push(pair);
        }
        (Self { context: *context, a, r }, message)
    }

    /// Takes each B: the keys that are chosen.
    pub(super) fn finish(&self, answer: &[u64]) -> Result<Zeroizing<Vec<u128>>, Refused> {
        let answers = answer.chunks_exact(POINT);
        let mut keys = Zeroizing::new(Vec::with_capacity(self.a.len()));
        for (number, ((a, r), b)) in self.a.iter().zip(&self.r).zip(answers).enumerate() {
            let (b, point) = read(b)?;
            keys.push(Seen { context: &self.context, number, r: *r, b }.key(**a * point));
        }
        Ok(keys)
    }
}

/// Both keys of each transfer.
pub(super) type Pairs = Zeroizing<Vec<[u128; 2]>>;

/// The sender: both keys of each transfer, and each B, to be sent.
pub(super) fn answer(context: &Context, asked: &[u64]) -> Result<(Pairs, Vec<u64>), Refused> {
    let count = asked.len() / (2 * POINT);
    let mut message = Vec::with_capacity(POINT * count);
    let mut keys = Zeroizing::new(Vec::with_capacity(count));
    for (number, asked) in asked.chunks_exact(2 * POINT).enumerate() {
        let ((r_0, point_0), (r_1, point_1)) = (read(&asked[..POINT])?, read(&asked[POINT..])?);
        let secret = scalar();
        let b = RistrettoPoint::mul_base(&secret).compress();
        let seen = Seen { context, number, r: [r_0, r_1], b };
        message.extend(all_words(seen.b.as_bytes()));
        keys.push([
            seen.key(*secret * (point_0 + to_group(context, number, 0, &r_1))),
            seen.key(*secret * (point_1 + to_group(context, number, 1, &r_0))),
        ]);
    }
    Ok((keys, message))
}

/// A point as it was sent: in its one encoding, and not zero, with which all secrets are one.
fn read(words: &[u64]) -> Result<(CompressedRistretto, RistrettoPoint), Refused> {
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let compressed = CompressedRistretto(bytes);
    match compressed.decompress() {
        Some(point) if !point.is_identity() => Ok((compressed, point)),
        _ => Err(Refused::NoPoint),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::prg::{Attempt, Party as Side};

    const ATTEMPT: Attempt = Attempt { job: [1; 32], nonces: [[2; 16], [3; 16]] };

    fn context() -> Context {
        Context::new(&ATTEMPT, Side::Zero)
    }

    #[test]
    fn the_receiver_has_the_key_it_chose_and_no_other() {
        let chosen = 0b1011_0010;
        let (choosing, asks) = Choosing::new(&context(), &chosen, 8);
        let (keys, answer) = answer(&context(), &asks).unwrap();
        let taken = choosing.finish(&answer).unwrap();
        for (i, (pair, taken)) in keys.iter().zip(&*taken).enumerate() {
            let c = chosen >> i & 1;
            assert_eq!(*taken, pair[c as usize]);
            assert_ne!(*taken, pair[1 - c as usize]);
        }
    }

    /// Job, either nonce, and who sends: in both hashes.
    #[test]
    fn ends_of_other_attempts_or_directions_have_no_key_in_common() {
        let mut others = [ATTEMPT; 3];
        others[0].job[31] ^= 1;
        others[1].nonces[0][0] ^= 1;
        others[2].nonces[1][15] ^= 1;
        let mut others = others.map(|attempt| Context::new(&attempt, Side::Zero)).to_vec();
        others.push(Context::new(&ATTEMPT, Side::One));
        let point = RistrettoPoint::mul_base(&scalar()).compress();
        for other in others {
            let (choosing, asks) = Choosing::new(&context(), &0b01, 2);
            let (keys, answer) = answer(&other, &asks).unwrap();
            for taken in &*choosing.finish(&answer).unwrap() {
                assert!(!keys.as_flattened().contains(taken));
            }
            let hashes = [&context(), &other].map(|c| to_group(c, 0, 0, &point));
            assert_ne!(hashes[0], hashes[1]);
        }
    }

    #[test]
    fn no_key_comes_twice() {
        let keys = || {
            let (_, asks) = Choosing::new(&context(), &0, 4);
            answer(&context(), &asks).unwrap().0.as_flattened().to_vec()
        };
        let mut all = [keys(), keys()].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 16);
    }

    #[test]
    fn what_is_no_point_is_refused() {
        let (choosing, asks) = Choosing::new(&context(), &1, 2);
        // Not canonical, and zero.
        for bad in [[u64::MAX; 4], [0; 4]] {
            let mut asks = asks.clone();
            asks[8..12].copy_from_slice(&bad);
            assert_eq!(answer(&context(), &asks).unwrap_err(), Refused::NoPoint);
            let asks = Choosing::new(&context(), &1, 2).1;
            let mut b = answer(&context(), &asks).unwrap().1;
            b[4..].copy_from_slice(&bad);
            assert_eq!(choosing.finish(&b).unwrap_err(), Refused::NoPoint);
        }
    }
}
