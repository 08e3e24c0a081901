//! Numbers, and nothing of cryptography: fast, constant-time arithmetic modulo squares.
//!
//! - [`limbs`]: slices of 64-bit limbs
//! - [`kernel`]: what a backend offers, and the pairs x0 + x1 M it works on
//! - [`portable`], [`ifma`]: the backends
//! - [`ring`]: batches over a backend; [`window`] and [`comb`] raise them to powers, [`multi`]
//!   multiplies matrices of them by matrices of exponents
//! - [`probable`]: batched tests for primality

pub(crate) mod comb;
#[cfg(target_arch = "x86_64")]
pub(crate) mod ifma;
pub(crate) mod kernel;
pub(crate) mod limbs;
pub(crate) mod multi;
pub(crate) mod portable;
pub(crate) mod probable;
pub(crate) mod ring;
pub(crate) mod window;

#[cfg(test)]
mod tests;

use crate::{Error, Result};

/// Which code does the arithmetic. All give the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// 64-bit limbs, any processor.
    Portable,
    /// Eight residues at once with AVX-512 IFMA.
    Ifma,
}

impl Backend {
    /// The fastest this processor can run.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if ifma::detected() {
            return Self::Ifma;
        }
        Self::Portable
    }

    /// An error unless this processor can run it.
    pub(crate) fn check(self) -> Result<()> {
        if Self::available().contains(&self) { Ok(()) } else { Err(Error::Backend(self)) }
    }

    /// Every backend this processor can run.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut all = vec![Self::Portable];
        if Self::detect() == Self::Ifma {
            all.push(Self::Ifma);
        }
        all
    }
}
