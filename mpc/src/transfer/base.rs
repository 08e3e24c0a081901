//! Base transfers: each gives the sender two keys, and the receiver the one its bit c chooses.
//!
//! ```text
//! receiver   a random, R_{1-c} a random point, R_c = a G - H_c(R_{1-c});   sends R_0, R_1
//! sender     b random;  sends B = b G
//! keys       k_j = KDF(b (R_j + H_j(R_{1-j}))) at the sender,  k_c = KDF(a B) at the receiver
//! ```
//!
//! Masny and Rindal, "Endemic Oblivious Transfer", CCS 2019, from Diffie and Hellman's agreement in
//! ristretto255, a group of prime order; H_j are hashes into the group, KDF is SHA-256 over everything in the transfer.
//! Each transfer has its own a and b and its number in all hashes: what goes wrong when one B serves
//! many (McQuoid, Rosulek, Roy, "Batching Base Oblivious Transfers", ASIACRYPT 2021) does not arise.
//!
//! Who learns what: R_{1-c} and a G are uniform, so (R_0, R_1) is a uniform pair whatever c is: the
//! sender learns nothing of it. The key not chosen is a hash of b (R_{1-c} + H(R_c)), which by the
//! computational Diffie-Hellman assumption the receiver cannot form, H being a random oracle. A simulator draws points and that key at random.

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
pub(super) fn fresh<const N: usize>() -> Zeroizing<[u8; N]> {
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
fn to_group(number: usize, j: u8, point: &CompressedRistretto) -> RistrettoPoint {
    let mut hash = Sha512::new();
    hash.update(b"dyad-mpc base transfer point v1");
    hash.update((number as u32).to_be_bytes());
    hash.update([j]);
    hash.update(point.as_bytes());
    RistrettoPoint::from_uniform_bytes(&hash.finalize().into())
}

/// What both have seen of transfer `number`.
struct Seen {
    number: usize,
    r: [CompressedRistretto; 2],
    b: CompressedRistretto,
}

impl Seen {
    /// KDF
    fn key(&self, secret: &RistrettoPoint) -> u128 {
        let mut hash = Sha256::new();
        hash.update(b"dyad-mpc base transfer key v1");
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
    a: Vec<Zeroizing<Scalar>>,
    r: Vec<[CompressedRistretto; 2]>,
}

impl Choosing {
    /// So many transfers, at most 128; and R_0, R_1 of each, to be sent.
    pub(super) fn new(chosen: u128, count: usize) -> (Self, Vec<u64>) {
        let (mut a, mut r, mut message) = (vec![], vec![], vec![]);
        for number in 0..count {
            let c = (chosen >> number & 1) as u8;
            let secret = scalar();
            let other = RistrettoPoint::from_uniform_bytes(&fresh::<64>()).compress();
            // H_c, which of the two being a secret.
            let set = Choice::from(c);
            let [zero, one] = [0, 1].map(|j| to_group(number, j, &other));
            let hash = RistrettoPoint::conditional_select(&zero, &one, set);
            let own = (RistrettoPoint::mul_base(&secret) - hash).compress();
            let pair = [(&own, &other), (&other, &own)].map(|(if_0, if_1)| {
                let mut bytes = if_0.to_bytes();
                for (byte, if_1) in bytes.iter_mut().zip(if_1.as_bytes()) {
                    *byte = u8::conditional_select(byte, if_1, set);
                }
                CompressedRistretto(bytes)
            });
            pair.iter().for_each(|point| message.extend(all_words(point.as_bytes())));
            a.push(secret);
            r.push(pair);
        }
        (Self { a, r }, message)
    }

    /// Takes each B: the keys that are chosen.
    pub(super) fn finish(&self, answer: &[u64]) -> Result<Vec<u128>, String> {
        let answers = answer.chunks_exact(POINT);
        let each = self.a.iter().zip(&self.r).zip(answers).enumerate();
        each.map(|(number, ((a, r), b))| {
            let (b, point) = read(b)?;
            Ok(Seen { number, r: *r, b }.key(&(**a * point)))
        })
        .collect()
    }
}

/// The sender: both keys of each transfer, and each B, to be sent.
pub(super) fn answer(asked: &[u64]) -> Result<(Vec<[u128; 2]>, Vec<u64>), String> {
    let mut message = vec![];
    let mut keys = vec![];
    for (number, asked) in asked.chunks_exact(2 * POINT).enumerate() {
        let ((r_0, point_0), (r_1, point_1)) = (read(&asked[..POINT])?, read(&asked[POINT..])?);
        let secret = scalar();
        let seen = Seen { number, r: [r_0, r_1], b: RistrettoPoint::mul_base(&secret).compress() };
        message.extend(all_words(seen.b.as_bytes()));
        keys.push([
            seen.key(&(*secret * (point_0 + to_group(number, 0, &r_1)))),
            seen.key(&(*secret * (point_1 + to_group(number, 1, &r_0)))),
        ]);
    }
    Ok((keys, message))
}

/// A point as it was sent: in its one encoding, and not zero, with which all secrets are one.
fn read(words: &[u64]) -> Result<(CompressedRistretto, RistrettoPoint), String> {
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let compressed = CompressedRistretto(bytes);
    match compressed.decompress() {
        Some(point) if !point.is_identity() => Ok((compressed, point)),
        _ => Err("32 bytes that are no point of ristretto255".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_receiver_has_the_key_it_chose_and_no_other() {
        let chosen = 0b1011_0010;
        let (choosing, asks) = Choosing::new(chosen, 8);
        let (keys, answer) = answer(&asks).unwrap();
        let taken = choosing.finish(&answer).unwrap();
        for (i, (pair, taken)) in keys.iter().zip(taken).enumerate() {
            let c = chosen >> i & 1;
            assert_eq!(taken, pair[c as usize]);
            assert_ne!(taken, pair[1 - c as usize]);
        }
    }

    #[test]
    fn no_key_comes_twice() {
        let keys = || {
            let (_, asks) = Choosing::new(0, 4);
            answer(&asks).unwrap().0.into_flattened()
        };
        let mut all = [keys(), keys()].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 16);
    }

    #[test]
    fn what_is_no_point_is_refused() {
        let (choosing, asks) = Choosing::new(1, 2);
        // Not canonical, and zero.
        for bad in [[u64::MAX; 4], [0; 4]] {
            let mut asks = asks.clone();
            asks[8..12].copy_from_slice(&bad);
            assert!(answer(&asks).unwrap_err().contains("ristretto255"));
            let mut b = answer(&Choosing::new(1, 2).1).unwrap().1;
            b[4..].copy_from_slice(&bad);
            assert!(choosing.finish(&b).unwrap_err().contains("ristretto255"));
        }
    }
}
