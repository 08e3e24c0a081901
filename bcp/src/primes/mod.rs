//! Safe primes p = 2p' + 1.

pub(crate) mod search;
mod sieve;

use crate::arith::kernel::MAX_BITS;
use crate::arith::{Backend, limbs, probable};
use crate::{Error, Result, random};
use num_bigint::BigUint;
use rand::TryCryptoRng;
use zeroize::Zeroizing;

/// Rounds of the primality test with random bases: an adversary who chose the number passes with
/// probability 4^-64.
const PRIMALITY_ROUNDS: usize = 64;

/// Miller's and Rabin's test with random bases. Constant time in x, but for the verdict.
pub(crate) fn is_probable_prime(
    x: &[u64],
    backend: Backend,
    rng: &mut impl TryCryptoRng,
) -> Result<bool> {
    let bits = limbs::bit_length(x);
    if x[0] & 1 == 0 {
        return Ok(false);
    }
    // Tiny x have no bases.
    if bits <= 3 {
        return Ok(matches!(x[0], 3 | 5 | 7));
    }
    // Bases uniform in [2, x - 3]: one more than something in [1, x - 3).
    let mut bound = Zeroizing::new(x.to_vec());
    limbs::sub_assign(&mut bound, &[3]);
    let bases = (0..PRIMALITY_ROUNDS)
        .map(|_| {
            let mut base = random::below(rng, &bound)?;
            limbs::add_assign(&mut base, &[1]);
            Ok(base)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(probable::strong_test(x, &bases, bits, backend))
}

/// |p - q| >= 2^(bits - 100) for primes of `bits` bits, as FIPS 186-5 asks: else Fermat's method,
/// or a quicker one of its kind, factors N. For toy primes that is too little to ask; theirs
/// differ by 2^(bits/2 + 2) at least, out of reach of the two steps that readers of N make.
pub(crate) fn far_apart(p: &[u64], q: &[u64], bits: usize) -> bool {
    let (mut larger, smaller) = if limbs::ge_mask(p, q) != 0 {
        (Zeroizing::new(p.to_vec()), q)
    } else {
        (Zeroizing::new(q.to_vec()), p)
    };
    limbs::sub_assign(&mut larger, smaller);
    !limbs::fits(&larger, bits.saturating_sub(100).max(bits.div_ceil(2) + 2))
}

/// Fermat's test to base 2, `2^(c - 1) = 1 mod c`, for many odd candidates above 2 on one core.
/// What fails is composite; what passes is almost certainly prime if it was chosen at random, and
/// proves nothing if an adversary chose it. Candidates of more than 15 592 bits are refused, as
/// one of the backends has no room for them.
pub fn fermat_many(candidates: &[BigUint], backend: Backend) -> Result<Vec<bool>> {
    backend.check()?;
    if let Some(index) = candidates.iter().position(|c| c.bits() > MAX_BITS as u64) {
        return Err(Error::OutOfRange { index, limit: "a candidate has at most 15592 bits" });
    }
    let bits = candidates.iter().map(BigUint::bits).max().unwrap_or(0) as usize;
    let len = limbs::limbs_for(bits);
    let even = |c: &BigUint| !c.bit(0) || c.bits() < 2;
    // Even numbers have no Montgomery form; three stands in for them and does not count.
    let three = BigUint::from(3u8);
    let odd = candidates.iter().map(|c| if even(c) { &three } else { c });
    let limbs: Vec<_> = odd.map(|c| limbs::from_public(c, len.max(1))).collect();
    let views: Vec<&[u64]> = limbs.iter().map(Vec::as_slice).collect();
    let verdicts = probable::fermat_many(&views, bits.max(2), backend);
    let verdict = |(c, prime)| if even(c) { *c == BigUint::from(2u8) } else { prime };
    Ok(candidates.iter().zip(verdicts).map(verdict).collect())
}
