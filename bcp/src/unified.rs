//! Unified keys and joint decryption.
//!
//! ```text
//! h = prod h_i,  sk = sum sk_i                    nobody holds sk
//! owner i     P_i = A^{sk_i}                      from the head A alone
//! recipient   B / prod P_i = 1 + mN
//! ```
//!
//! Who learns what: an owner sees A, which alone says nothing of m. The recipient, who holds B and
//! all partials, learns m; whoever holds B and all partials but one learns nothing. A partial is as
//! good as its owner's share of the plaintext: send it sealed, to the recipient only. One owner who
//! never answers ends decryption under this key for ever.
//!
//! **An owner answers only for heads it has reason to trust.** Whoever chooses A has the owner's
//! exponent applied to it: any ciphertext's A opens that ciphertext, and
//!
//! ```text
//! A = 1 + N      P = 1 + sk N mod N²             sk mod N
//! A and -A       P and (-1)^sk P                 whether sk is odd; a local sk never is
//! ```
//!
//! No check here can tell such an A from an honest one. What stops it is the digest of the release,
//! signed by both clouds, which an owner verifies before it answers: that check carries weight.
//!
//! Not promised: a partial carries no proof that it was formed honestly; a wrong one makes
//! decryption fail (or, if chosen with skill, gives another plaintext), and does not tell who did
//! it.

use crate::arith::ring::Pair;
use crate::ciphertext::{Ciphertext, Head, one, same_length};
use crate::codec::{self, Kind, Reader, Writer};
use crate::decrypt::unblind_many;
use crate::id::KeyId;
use crate::keys::{PublicKey, SecretKey};
use crate::params::PublicParams;
use crate::plaintext::Plaintext;
use crate::{Error, KeySize, Result};
use num_bigint::BigUint;
use num_traits::One;
use std::collections::HashSet;
use std::fmt;
use zeroize::Zeroizing;

/// The product of its members' keys. Encrypt under [`UnifiedKey::key`].
#[derive(Clone, Debug)]
pub struct UnifiedKey {
    key: PublicKey,
    members: Vec<KeyId>,
}

impl UnifiedKey {
    /// Joins keys whose owners are known to know their secrets; each once. Everybody can recompute
    /// it.
    pub fn new(members: &[PublicKey]) -> Result<Self> {
        let params =
            members.first().ok_or(Error::Members("a unified key needs at least one"))?.params();
        if members.iter().any(|m| m.params() != params) {
            return Err(Error::Members("all keys must belong to the same parameters"));
        }
        let ids: Vec<KeyId> = members.iter().map(PublicKey::id).collect();
        if ids.iter().collect::<HashSet<_>>().len() != ids.len() {
            return Err(Error::Members("a key stands there twice"));
        }
        let h = members.iter().fold(BigUint::one(), |h, m| h * m.h() % params.n_squared());
        if !params.hides(&h) {
            return Err(Error::Members("the keys cancel each other out"));
        }
        Ok(Self { key: PublicKey::new(params, h), members: ids })
    }

    /// The key to encrypt under.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Whose partial decryptions are needed.
    #[must_use]
    pub fn members(&self) -> &[KeyId] {
        &self.members
    }

    /// Opens each ciphertext with the partials of all members. `partials[i]` are those of
    /// ciphertext i, in any order.
    pub fn open_many(
        &self,
        ciphertexts: &[Ciphertext],
        partials: &[Vec<Partial>],
    ) -> Result<Vec<Plaintext>> {
        self.key.check_many(ciphertexts)?;
        same_length(ciphertexts.len(), partials.len())?;
        for (c, partials) in ciphertexts.iter().zip(partials) {
            self.check_partials(c, partials)?;
        }
        let params = self.key.params();
        // X = prod P_i, member by member over the whole batch
        let mut x: Vec<_> = partials.iter().map(|p| p[0].value.clone()).collect();
        for i in 1..self.members.len() {
            let factors: Vec<(&[u64], &[u64])> = x
                .iter()
                .zip(partials)
                .map(|(x, p)| (x.as_slice(), p[i].value.as_slice()))
                .collect();
            let products = params.ring().mul_many(&factors);
            x = products.iter().map(|x| x.join(params.n_limbs())).collect();
        }
        let x = canonical(params, &x);
        let b: Vec<&BigUint> = ciphertexts.iter().map(Ciphertext::b).collect();
        unblind_many(params, &b, &x.into_iter().map(|x| (x.x0, x.x1)).collect::<Vec<_>>())
    }

    /// [`UnifiedKey::open_many`] of one.
    pub fn open(&self, ciphertext: &Ciphertext, partials: Vec<Partial>) -> Result<Plaintext> {
        one(self.open_many(std::slice::from_ref(ciphertext), &[partials]))
    }

    /// One partial of every member, each made for this ciphertext's A.
    fn check_partials(&self, c: &Ciphertext, partials: &[Partial]) -> Result<()> {
        if partials.iter().any(|p| p.head != c.head()) {
            return Err(Error::Members("a partial decryption was made for another ciphertext"));
        }
        let given: HashSet<KeyId> = partials.iter().map(|p| p.member).collect();
        let needed: HashSet<KeyId> = self.members.iter().copied().collect();
        if given != needed || partials.len() != self.members.len() {
            return Err(Error::Members("exactly one partial decryption of each member is needed"));
        }
        Ok(())
    }
}

/// x split into x0 + x1 N: a product with one does it.
fn canonical(params: &PublicParams, x: &[Zeroizing<Vec<u64>>]) -> Vec<Pair> {
    let factors: Vec<(&[u64], &[u64])> = x.iter().map(|x| (x.as_slice(), &[1][..])).collect();
    params.ring().mul_many(&factors)
}

/// P_i = A^{sk_i}: one owner's part of a joint decryption. Wiped when dropped, not printable.
#[derive(Clone)]
pub struct Partial {
    member: KeyId,
    head: Head,
    value: Zeroizing<Vec<u64>>,
}

impl Partial {
    /// Whose it is.
    #[must_use]
    pub fn member(&self) -> KeyId {
        self.member
    }

    /// The encoding: member's key id, ciphertext's key id, A, P.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let bits = 2 * self.head.size.bits();
        Writer::new(Kind::Partial, self.head.size, body_len(self.head.size))
            .bytes(self.member.as_bytes())
            .bytes(self.head.key.as_bytes())
            .public(&self.head.a, bits)
            .secret(&self.value, bits)
            .finish()
    }

    /// Reads the encoding of [`Partial::to_bytes`] and checks that A and P are units below N².
    pub fn from_bytes(params: &PublicParams, bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::of_size(Kind::Partial, params.size(), bytes, body_len)?;
        let (member, key) = (KeyId(reader.array()?), KeyId(reader.array()?));
        let a = reader.public(2 * params.bits())?;
        let value = reader.secret(2 * params.bits())?;
        params
            .check_residues([&a].into_iter())
            .and_then(|()| params.check_secret_residue(&value).map_err(|_| 0))
            .map_err(|index| Error::NotAResidue { index })?;
        Ok(Self { member, head: Head { key, size: params.size(), a }, value })
    }
}

/// Member's key id, ciphertext's key id, A, P
fn body_len(size: KeySize) -> usize {
    2 * codec::ID_LEN + 2 * codec::bytes_for(2 * size.bits())
}

impl fmt::Debug for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partial(of {}, redacted)", self.member)
    }
}

impl SecretKey {
    /// This owner's part of the joint decryption of each head under `unified`, of which it must be
    /// a member. Ask first who will receive it (with the other members' parts it opens the
    /// ciphertext) and where the heads come from (a chosen one shows half of the key; see the
    /// module's head).
    pub fn partial_many(&self, unified: &UnifiedKey, heads: &[Head]) -> Result<Vec<Partial>> {
        let member = self.public().id();
        if !unified.members.contains(&member) {
            return Err(Error::Members("this key is not a member"));
        }
        unified.key.check_ids(heads.iter().map(|h| h.key))?;
        let params = self.params();
        // A head may have been read with the parameters of another study.
        params
            .check_residues(heads.iter().map(|h| &h.a))
            .map_err(|index| Error::NotAResidue { index })?;
        let a: Vec<_> = heads.iter().map(|h| params.residue(&h.a)).collect();
        let bases: Vec<&[u64]> = a.iter().map(Vec::as_slice).collect();
        let powers = params.ring().pow_many(&bases, &[self.exponent()], 2 * params.bits());
        let partial = |(head, p): (&Head, &Pair)| Partial {
            member,
            head: head.clone(),
            value: p.join(params.n_limbs()),
        };
        Ok(heads.iter().zip(&powers).map(partial).collect())
    }
}
