//! The search for safe primes: random starting points, a sieve, batched Fermat tests, and proof.
//!
//! A candidate p' that survives the sieve is tested to base 2, then p = 2p' + 1 to base 2. If p' is
//! prime, the second test proves p prime (Pocklington: p' > sqrt(p) divides p - 1, and gcd(2^2 - 1,
//! p) = 1). p' itself passes 64 rounds of Miller and Rabin's test to random bases.
//!
//! Each worker walks a short run of odd numbers from a fresh uniform start and takes at most one
//! prime from it: two from one run would be neighbours, and N = pq of neighbours is factored by a
//! square root. p and q are compared as well. What remains is that primes after long gaps are
//! likelier than others, as in every sieving generator: a few bits of entropy out of a thousand.

use super::{far_apart, is_probable_prime, sieve};
use crate::arith::Backend;
use crate::arith::limbs::{self, SecretLimbs};
use crate::arith::probable::fermat_many;
use crate::{Error, Result, random};
use rayon::prelude::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the search has done so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Candidates tested with an exponentiation, for both primes together.
    pub tested: u64,
    /// How many it takes on average to the end. A search may need half or thrice as many.
    pub expected: u64,
    /// Safe primes found, of two.
    pub found: usize,
}

/// Asks the search how it should go on.
pub(crate) struct Watch<'a> {
    pub progress: &'a (dyn Fn(Progress) + Sync),
    pub cancel: &'a AtomicBool,
}

/// `count` different safe primes of exactly `bits` bits with their two highest bits set, so that
/// the product of two has exactly 2 bits bits.
pub(crate) fn safe_primes(
    count: usize,
    bits: usize,
    backend: Backend,
    watch: &Watch<'_>,
) -> Result<Vec<SecretLimbs>> {
    let search = Search {
        bits,
        run: run_length(bits),
        backend,
        expected: count as u64 * expected_tests(bits),
        wanted: count,
        tested: AtomicU64::new(0),
        found: Mutex::new(Vec::new()),
        failed: AtomicBool::new(false),
        watch,
    };
    // One endless walk per core; the first error, the last prime or the caller ends them all.
    let walkers = rayon::current_num_threads();
    let walk = |_| search.walk().inspect_err(|_| search.failed.store(true, Ordering::Relaxed));
    (0..walkers).into_par_iter().map(walk).collect::<Result<Vec<()>>>()?;
    let found = search.found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if found.len() < count { Err(Error::Cancelled) } else { Ok(found) }
}

struct Search<'a> {
    bits: usize,
    run: usize,
    backend: Backend,
    expected: u64,
    wanted: usize,
    tested: AtomicU64,
    found: Mutex<Vec<SecretLimbs>>,
    /// Set by a walker that ends with an error: the others need not go on.
    failed: AtomicBool,
    watch: &'a Watch<'a>,
}

/// Candidates per call of the batched test: enough to keep eight lanes full, few enough to stop
/// soon.
const BATCH: usize = 64;

impl Search<'_> {
    fn done(&self) -> bool {
        self.watch.cancel.load(Ordering::Relaxed)
            || self.failed.load(Ordering::Relaxed)
            || self.found().len() >= self.wanted
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Vec<SecretLimbs>> {
        self.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn walk(&self) -> Result<()> {
        'runs: while !self.done() {
            let start = self.random_start()?;
            let at = |i: usize| {
                let mut candidate = start.clone();
                limbs::add_assign(&mut candidate, &[2 * i as u64]);
                candidate
            };
            // The end of the run may leave the range: two highest bits no longer set is impossible,
            // too long is not.
            let fits = |c: &SecretLimbs| limbs::bit_length(c) == self.bits - 1;
            let survivors = sieve::survivors(&start, self.bits - 1, self.run);
            for batch in survivors.chunks(BATCH) {
                if self.done() {
                    return Ok(());
                }
                let candidates: Vec<SecretLimbs> =
                    batch.iter().map(|i| at(*i)).filter(fits).collect();
                for half in self.survive(candidates) {
                    if let Some(p) = self.confirm(&half)? {
                        self.keep(p);
                        // One prime a run: two of one run are neighbours, and N = pq with p near q
                        // is factored by a square root.
                        continue 'runs;
                    }
                }
            }
        }
        Ok(())
    }

    /// Uniform among odd numbers of bits - 1 bits whose two highest are set.
    fn random_start(&self) -> Result<SecretLimbs> {
        let mut start = random::bits(&mut random::os(), self.bits - 1)?;
        let set = |x: &mut SecretLimbs, bit: usize| {
            x[bit / limbs::LIMB_BITS] |= 1 << (bit % limbs::LIMB_BITS);
        };
        start[0] |= 1;
        set(&mut start, self.bits - 2);
        set(&mut start, self.bits - 3);
        Ok(start)
    }

    /// Those p' for which both p' and 2p' + 1 pass Fermat's test.
    fn survive(&self, candidates: Vec<SecretLimbs>) -> Vec<SecretLimbs> {
        let passing = |of: Vec<SecretLimbs>,
                       value: &dyn Fn(&SecretLimbs) -> SecretLimbs,
                       bits: usize| {
            let values: Vec<SecretLimbs> = of.iter().map(value).collect();
            let views: Vec<&[u64]> = values.iter().map(|c| c.as_slice()).collect();
            let verdicts =
                if views.is_empty() { vec![] } else { fermat_many(&views, bits, self.backend) };
            of.into_iter().zip(verdicts).filter_map(|(c, ok)| ok.then_some(c)).collect::<Vec<_>>()
        };
        let tested = candidates.len() as u64;
        let halves = passing(candidates, &SecretLimbs::clone, self.bits - 1);
        let halves = passing(halves, &|h| self.doubled(h), self.bits);
        let tested = self.tested.fetch_add(tested, Ordering::Relaxed) + tested;
        // Not within the call: the lock would be held while the caller's code runs, and a walker
        // that rayon starts on this thread meanwhile would wait for it for ever.
        let found = self.found().len();
        (self.watch.progress)(Progress { tested, expected: self.expected, found });
        halves
    }

    /// 2p' + 1
    fn doubled(&self, half: &SecretLimbs) -> SecretLimbs {
        let mut p = limbs::widened(half, limbs::limbs_for(self.bits));
        limbs::double(&mut p);
        p[0] |= 1;
        p
    }

    /// p, if p' passes all rounds.
    fn confirm(&self, half: &SecretLimbs) -> Result<Option<SecretLimbs>> {
        let prime = is_probable_prime(half, self.backend, &mut random::os())?;
        Ok(prime.then(|| self.doubled(half)))
    }

    fn keep(&self, p: SecretLimbs) {
        let mut found = self.found();
        let far = |q: &SecretLimbs| far_apart(&p, q, self.bits);
        if found.len() < self.wanted && found.iter().all(far) {
            found.push(p);
        }
    }
}

/// Odd numbers per sieve: as many as make the sieve's fixed costs small beside the tests.
fn run_length(bits: usize) -> usize {
    (bits * 160).clamp(64, 1 << 18)
}

/// Survivors tested until p' and 2p' + 1 are both prime, on average: of numbers near x the fraction
/// 2 C / ln² x are, C = 0.66 (twice, for odd ones), and of those numbers 4 C e^(-2γ) / ln² limit
/// survive the sieve.
fn expected_tests(bits: usize) -> u64 {
    let ln_x = bits as f64 * std::f64::consts::LN_2;
    let ln_limit = 21.0 * std::f64::consts::LN_2;
    // ln² x e^(-2γ) / ln² limit
    (ln_x * ln_x * 0.3152 / (ln_limit * ln_limit)).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_fermats_test_takes_for_a_prime_is_not_kept() {
        let watch = Watch { progress: &|_| (), cancel: &AtomicBool::new(false) };
        let search = Search {
            bits: 10,
            run: 1,
            backend: Backend::Portable,
            expected: 1,
            wanted: 1,
            tested: AtomicU64::new(0),
            found: Mutex::new(Vec::new()),
            failed: AtomicBool::new(false),
            watch: &watch,
        };
        let confirm = |half: u64| search.confirm(&vec![half].into()).expect("randomness");
        // 341 = 11 · 31, and 2^340 = 1 modulo it; 359 is prime, and so is 719.
        assert_eq!(confirm(341), None);
        assert_eq!(confirm(359).as_deref(), Some(&vec![719]));
    }
}
