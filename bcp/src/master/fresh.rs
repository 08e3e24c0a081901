//! Randomness of encryptions, made by who knows the primes: a quarter of the work.
//!
//! ```text
//! g^r is uniform in G for r uniform below its order N p'q', that is for r_p = r mod p p' and
//! r_q = r mod q q' uniform and independent
//! g^r mod p² and mod q² by combs of half the width and half the exponent, then
//! x = x_p + p² ((x_q - x_p) p^{-2} mod q²)
//! ```
//!
//! Who learns what: as of [`PublicKey::fresh_many`], whose r in [1, N²/2) gives g^r within 2^-|N|/2
//! of uniform in G. Tables and exponents are as secret as the primes and wiped like them.

use super::{MasterKey, invert_mods};
use crate::arith::limbs::{self, SecretLimbs};
use crate::arith::ring::{FixedBase, Pair, SquareRing, square_ring};
use crate::fresh::Fresh;
use crate::id::KeyId;
use crate::keys::PublicKey;
use crate::{Result, random};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Makes randomness for encryptions under one key.
pub struct FreshMaker {
    key: KeyId,
    /// Limbs of N².
    len: usize,
    sides: [Side; 2],
    /// p², and its inverse modulo q².
    p_squared: SecretLimbs,
    inverse: SecretLimbs,
    /// 4 q²: above p², so that a difference is not negative.
    lift: SecretLimbs,
}

/// One prime's part.
struct Side {
    prime: SecretLimbs,
    /// p p'
    order: SecretLimbs,
    ring: Arc<dyn SquareRing>,
    /// Powers of g and of h modulo p².
    powers: [Arc<dyn FixedBase>; 2],
}

impl MasterKey {
    /// What makes randomness for encryptions under this key; refuses a key outside G.
    pub fn fresh_maker(&self, key: &PublicKey) -> Result<FreshMaker> {
        self.know(key)?;
        let side = |i: usize| {
            let prime = self.primes[i].clone();
            let ring = square_ring(&[&prime], self.params.backend());
            let order = limbs::mul(&prime, &self.halves[i]);
            let bits = limbs::bit_length(&order);
            let powers = [self.params.g(), key.h()]
                .map(|base| Arc::clone(&ring).fixed_base(&self.params.residue(base), bits));
            Side { prime, order, ring, powers }
        };
        let [p, q] = [side(0), side(1)];
        let p_squared = limbs::mul(&p.prime, &p.prime);
        // An inverse modulo q, made one modulo q² by Newton's step: y (2 - x y).
        let residues = self.ring.mul_many(&[(&[1], &[1]), (&p_squared, &[1])]);
        let both = [residues[0].x0.clone(), residues[1].x0.clone()];
        let [_, y] = invert_mods(&*self.ring, &both, &self.primes);
        let q_squared = limbs::mul(&q.prime, &q.prime);
        let product = q.ring.mul_many(&[(&p_squared, &y)])[0].join(&q.prime);
        let two_less = difference(&[2], &product, &q_squared);
        let inverse = q.ring.mul_many(&[(&y, &two_less)])[0].join(&q.prime);
        let lift = limbs::mul(&q_squared, &[4]);
        let len = 2 * self.params.len();
        Ok(FreshMaker { key: key.id(), len, sides: [p, q], p_squared, inverse, lift })
    }
}

/// x + m - y, for y at most m.
fn difference(x: &[u64], y: &[u64], m: &[u64]) -> SecretLimbs {
    let mut d = limbs::widened(m, m.len().max(x.len()) + 1);
    limbs::add_assign(&mut d, x);
    limbs::sub_assign(&mut d, y);
    d
}

impl FreshMaker {
    /// Randomness for so many encryptions.
    pub fn many(&self, count: usize) -> Result<Vec<Fresh>> {
        let rng = &mut random::os();
        let mut powers: Vec<[Vec<SecretLimbs>; 2]> = Vec::with_capacity(2);
        for side in &self.sides {
            let r: Vec<SecretLimbs> =
                (0..count).map(|_| random::below(rng, &side.order)).collect::<Result<_>>()?;
            let r: Vec<&[u64]> = r.iter().map(|r| r.as_slice()).collect();
            let whole = |x: &Pair| x.join(&side.prime);
            powers.push(
                side.powers
                    .each_ref()
                    .map(|base| base.pow_many(&r, None).iter().map(whole).collect()),
            );
        }
        let [p, q] = refs_of(&powers);
        let [a, b] = [0, 1].map(|i| self.joined(&p[i], &q[i]));
        Ok(a.into_iter().zip(b).map(|(a, b)| Fresh::new(self.key, a, b)).collect())
    }

    /// Modulo N² from modulo p² and q².
    fn joined(&self, p: &[SecretLimbs], q: &[SecretLimbs]) -> Vec<SecretLimbs> {
        let apart: Vec<SecretLimbs> =
            p.iter().zip(q).map(|(p, q)| difference(q, p, &self.lift)).collect();
        let factors: Vec<(&[u64], &[u64])> =
            apart.iter().map(|d| (d.as_slice(), self.inverse.as_slice())).collect();
        let [_, side] = &self.sides;
        let times = side.ring.mul_many(&factors);
        let join = |(p, t): (&SecretLimbs, &Pair)| {
            let product = limbs::mul(&self.p_squared, &t.join(&side.prime));
            let mut x = limbs::widened(&product, product.len().max(self.len));
            limbs::add_assign(&mut x, p);
            Zeroizing::new(x[..self.len].to_vec())
        };
        p.iter().zip(&times).map(join).collect()
    }
}

fn refs_of(powers: &[[Vec<SecretLimbs>; 2]]) -> [&[Vec<SecretLimbs>; 2]; 2] {
    [&powers[0], &powers[1]]
}

impl fmt::Debug for FreshMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FreshMaker({}, redacted)", self.key)
    }
}
