//! Sieving a run of odd numbers c, c + 2, c + 4, ... for those where neither p' = c + 2i nor 2p' +
//! 1 has a small factor.

use std::sync::OnceLock;
use zeroize::Zeroizing;

/// Small primes reach up to here. Beyond, another prime removes fewer candidates than testing them
/// costs.
const LIMIT: usize = 1 << 21;

/// The odd primes below [`LIMIT`], by Eratosthenes.
fn small_primes() -> &'static [u32] {
    static PRIMES: OnceLock<Vec<u32>> = OnceLock::new();
    PRIMES.get_or_init(|| {
        let mut composite = vec![false; LIMIT];
        let mut primes = Vec::new();
        for n in (3..LIMIT).step_by(2) {
            if !composite[n] {
                primes.push(n as u32);
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
    for &r in small_primes() {
        if u64::from(r) > largest {
            break;
        }
        let residue = remainder(start, r);
        let r = u64::from(r);
        let half = r.div_ceil(2);
        // start + 2i = 0:  i = -start / 2.   2 (start + 2i) + 1 = 0:  i = -(2 start + 1) / 4.
        // (mod r; 1/2 = (r + 1) / 2)
        let first = (r - residue) % r * half % r;
        let second = (2 * r - (2 * residue + 1) % r) % r * half % r * half % r;
        for at in [first, second] {
            for i in (at as usize..run).step_by(r as usize) {
                struck[i] = 1;
            }
        }
    }
    // Which numbers survive shows the start modulo every small prime. Hence wiped, and counted first:
    // a vector that grows leaves its old buffer behind.
    let count = struck.iter().filter(|s| **s == 0).count();
    let mut survivors = Zeroizing::new(Vec::with_capacity(count));
    survivors.extend((0..run).filter(|i| struck[*i] == 0));
    survivors
}

/// x mod r, 32 bits at a time.
fn remainder(x: &[u64], r: u32) -> u64 {
    let r = u64::from(r);
    x.iter().rev().fold(0, |rest, limb| {
        let high = (rest << 32 | limb >> 32) % r;
        (high << 32 | limb & u64::from(u32::MAX)) % r
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strikes_exactly_what_has_a_small_factor() {
        let start = (1u64 << 20) + 7;
        let has_factor = |n: u64| {
            small_primes()
                .iter()
                .map(|r| u64::from(*r))
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
