//! Sieving a run of odd numbers c, c + 2, c + 4, ... for those where neither p' = c + 2i nor 2p' +
//! 1 has a small factor.
//!
//! Not constant time. No division sees c, but which bytes are struck out, and how many are left,
//! follows from c modulo the small primes, and p' follows from that: whoever watches the cache of
//! this machine during the search learns the primes. ParaGen runs once, on a machine that the key
//! generation centre has to itself.

use std::sync::OnceLock;
use zeroize::Zeroizing;

/// Small primes reach up to here. Beyond, another prime removes fewer candidates than testing them
/// costs.
const LIMIT: usize = 1 << 21;

/// An odd prime below [`LIMIT`] with what it takes to reduce by it.
struct Small {
    r: u64,
    /// 2^64 / r, rounded down.
    reciprocal: u64,
}

impl Small {
    fn new(r: u64) -> Self {
        Self { r, reciprocal: u64::MAX / r }
    }

    /// x mod r or r more than it, by Barrett: the time of a division may depend on what is divided.
    fn nearly_reduce(&self, x: u64) -> u64 {
        // The quotient, or one less: the reciprocal's rounding takes less than x 2^-64 < 1 off it.
        let quotient = ((u128::from(x) * u128::from(self.reciprocal)) >> 64) as u64;
        x - quotient * self.r
    }

    /// x mod r
    fn reduce(&self, x: u64) -> u64 {
        let below = self.nearly_reduce(x).wrapping_sub(self.r);
        below.wrapping_add(self.r & (below >> 63).wrapping_neg())
    }

    /// x mod r for many limbs, 32 bits at a time: with the 22 of the rest they make 54.
    fn remainder(&self, x: &[u64]) -> u64 {
        let rest = x.iter().rev().fold(0, |rest, limb| {
            let high = self.nearly_reduce(rest << 32 | limb >> 32);
            self.nearly_reduce(high << 32 | limb & u64::from(u32::MAX))
        });
        self.reduce(rest)
    }
}

/// The odd primes below [`LIMIT`], by Eratosthenes.
fn small_primes() -> &'static [Small] {
    static PRIMES: OnceLock<Vec<Small>> = OnceLock::new();
    PRIMES.get_or_init(|| {
        let mut composite = vec![false; LIMIT];
        let mut primes = Vec::new();
        for n in (3..LIMIT).step_by(2) {
            if !composite[n] {
                primes.push(Small::new(n as u64));
                (n * n..LIMIT).step_by(2 * n).for_each(|m| composite[m] = true);
            }
        }
        primes
    })
}

/// The i < run for which neither `start + 2i` nor `2 (start + 2i) + 1` has a prime factor below the
/// limit that is smaller than itself. `start` is odd and of `bits` bits.
pub(super) fn survivors(start: &[u64], bits: usize, run: usize) -> Zeroizing<Vec<usize>> {
    let mut struck = Zeroizing::new(vec![0u8; run]);
    // A factor as large as the candidate itself is no reason against it.
    let largest = if bits < 32 { 1u64 << ((bits - 1) / 2) } else { u64::MAX };
    for small in small_primes().iter().take_while(|small| small.r <= largest) {
        let (r, residue) = (small.r, small.remainder(start));
        let half = r.div_ceil(2);
        // start + 2i = 0:  i = -start / 2.   2 (start + 2i) + 1 = 0:  i = -(2 start + 1) / 4.
        // (mod r; 1/2 = (r + 1) / 2)
        let first = small.reduce((r - residue) * half);
        let second = small.reduce(small.reduce((2 * r - (2 * residue + 1)) * half) * half);
        for at in [first, second] {
            for i in (at as usize..run).step_by(r as usize) {
                struck[i] = 1;
            }
        }
    }
    // Which numbers survive shows the start modulo every small prime. Hence wiped, and counted
    // first: a vector that grows leaves its old buffer behind.
    let count = run - struck.iter().map(|s| usize::from(*s)).sum::<usize>();
    let mut survivors = Zeroizing::new(Vec::with_capacity(count));
    survivors.extend((0..run).filter(|i| struck[*i] == 0));
    survivors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reduces_like_a_division() {
        for small in small_primes().iter().step_by(997) {
            let r = small.r;
            let edges = (1..200).flat_map(|k| [k * r - 1, k * r, k * r + 1, u64::MAX / r * r - k]);
            for x in edges.chain([0, 1, u64::MAX - 1, u64::MAX]) {
                assert_eq!(small.reduce(x), x % r, "{x} mod {r}");
                let both = u128::from(x) << 64 | u128::from(!x);
                assert_eq!(u128::from(small.remainder(&[!x, x])), both % u128::from(r));
            }
        }
    }

    #[test]
    fn strikes_exactly_what_has_a_small_factor() {
        let start = (1u64 << 20) + 7;
        let has_factor = |n: u64| {
            small_primes()
                .iter()
                .map(|small| small.r)
                .take_while(|r| *r < 1 << 10)
                .any(|r| n.is_multiple_of(r))
        };
        let expected: Vec<usize> = (0..3000)
            .filter(|i| {
                let c = start + 2 * *i as u64;
                !has_factor(c) && !has_factor(2 * c + 1)
            })
            .collect();
        assert_eq!(*survivors(&[start], 21, 3000), expected);
    }
}
