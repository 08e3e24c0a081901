//! ParaGen: N, g and the master key.
//!
//! ```text
//! p = 2p' + 1, q = 2q' + 1 safe primes,  N = pq
//! alpha uniform in Z*_{N²},  g = alpha²
//! checked: g^{p'q'} = 1 + kN with gcd(k, N) = 1, g not 1 modulo p or q
//! ```
//!
//! so that g generates G, of order N p'q'. Run by the key generation centre alone.

use crate::arith::Backend;
use crate::arith::limbs::{self, SecretLimbs};
use crate::arith::ring::square_ring;
pub use crate::primes::search::Progress;
use crate::primes::search::{Watch, safe_primes};
use crate::{Error, KeySize, MasterKey, ParamsFault, PublicParams, Result, random};
use num_traits::Zero;
use std::sync::atomic::AtomicBool;

/// A parameter generation: set up, then [`ParaGen::run`].
///
/// ```no_run
/// use dyad_bcp::{KeySize, ParaGen};
/// let (params, master) = ParaGen::new(KeySize::default()).run()?;
/// # Ok::<(), dyad_bcp::Error>(())
/// ```
pub struct ParaGen<'a> {
    size: KeySize,
    backend: Backend,
    progress: &'a (dyn Fn(Progress) + Sync),
    cancel: &'a AtomicBool,
}

static NEVER: AtomicBool = AtomicBool::new(false);

impl<'a> ParaGen<'a> {
    /// For a modulus of the given size, on all cores of the current rayon pool.
    #[must_use]
    pub fn new(size: KeySize) -> Self {
        Self { size, backend: Backend::detect(), progress: &|_| (), cancel: &NEVER }
    }

    /// Calls `progress` now and then, from any thread and from several at once. Whatever it does,
    /// it holds up the thread it runs on and no other; but the search does not end before it.
    #[must_use]
    pub fn progress(self, progress: &'a (dyn Fn(Progress) + Sync)) -> Self {
        Self { progress, ..self }
    }

    /// Gives up with [`Error::Cancelled`] soon after `cancel` is set.
    #[must_use]
    pub fn cancel(self, cancel: &'a AtomicBool) -> Self {
        Self { cancel, ..self }
    }

    /// Uses the arithmetic of the given backend.
    #[must_use]
    pub fn backend(self, backend: Backend) -> Self {
        Self { backend, ..self }
    }

    /// Generates.
    pub fn run(self) -> Result<(PublicParams, MasterKey)> {
        self.backend.check()?;
        let bits = self.size.bits();
        if !self.size.is_allowed() || bits < MIN_BITS || !bits.is_multiple_of(2) {
            return Err(Error::Params(ParamsFault::Size));
        }
        let watch = Watch { progress: self.progress, cancel: self.cancel };
        let primes = safe_primes(2, bits / 2, self.backend, &watch)?;
        loop {
            match self.finish(&primes[0], &primes[1]) {
                // An alpha without full order: about one in 2^(bits/2). Draw another.
                Err(Error::Params(ParamsFault::Generator)) => (),
                done => return done,
            }
        }
    }

    fn finish(&self, p: &SecretLimbs, q: &SecretLimbs) -> Result<(PublicParams, MasterKey)> {
        let n = limbs::to_public(&limbs::mul(p, q));
        let len = limbs::limbs_for(self.size.bits());
        let bound = limbs::from_public(&(&n * &n), 2 * len);
        // alpha stays in limbs, which are wiped: only its square is public.
        let alpha = random::below(&mut random::os(), &bound)?;
        let n_limbs = limbs::from_public(&n, len);
        let square = square_ring(&[&n_limbs], self.backend).mul_many(&[(&alpha, &alpha)]);
        let g = limbs::to_public(&square[0].join(&n_limbs));
        if g.is_zero() {
            return Err(Error::Params(ParamsFault::Generator));
        }
        let params = PublicParams::with_backend(self.size, n, g, self.backend)?;
        let master = MasterKey::from_limbs(&params, p, q)?;
        Ok((params, master))
    }
}

/// Below this there are too few safe primes to find two of.
const MIN_BITS: usize = 32;
