//! Products of matrices over Z_{2^64}: the hot kernel of the whole system.
//!
//! ```
//! use dyad_mpc::matrix::{Matrix, MatrixMut, multiply, multiply_add};
//!
//! let (a, b) = ([1, 2, 3, 4], [5, 6, u64::MAX, 8]);
//! let (a, b) = (Matrix::new(&a, 2, 2), Matrix::new(&b, 2, 2));
//! let mut out = [0; 4];
//! multiply(a, b, MatrixMut::new(&mut out, 2, 2));
//! assert_eq!(out, [3, 22, 11, 50]);
//! multiply_add(a.transposed().negated(), b, MatrixMut::new(&mut out, 2, 2));
//! assert_eq!(out, [1, u64::MAX - 7, 5, 6]);
//! ```
//!
//! Operands are cut into panels and packed as the backend likes them; transposing, negating and
//! strides are dealt with there. Big products run on the threads of the current rayon pool. Entries
//! may be shares: no branch and no address depends on them, and packed copies are wiped.
// What only the vector backends call.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod driver;
mod kernel;
mod portable;
mod scratch;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod thin;
mod view;

pub use view::{Matrix, MatrixMut};

/// Which code multiplies. All give the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// Any processor.
    Portable,
    /// Halves of words, with AVX2.
    Avx2,
    /// 52 and 12 bits, with AVX-512 IFMA and VNNI.
    Avx512,
    /// Bytes, with the tiles of AMX.
    Amx,
}

impl Backend {
    /// The fastest this processor can run.
    #[must_use]
    pub fn detect() -> Self {
        Self::available().last().copied().unwrap_or(Self::Portable)
    }

    /// Every backend this processor can run, the slowest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let all = [Self::Portable, Self::Avx2, Self::Avx512, Self::Amx];
        all.into_iter().filter(|backend| backend.runs()).collect()
    }

    fn runs(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::Avx2::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::Avx512::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Amx => amx::Amx::detect().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The one for a product of `rows` x `depth` by `depth` x `columns`. Tiles of AMX do not pay
    /// for thin products nor for shallow ones, which are padded to a depth of 64.
    #[must_use]
    pub fn for_shape(rows: usize, depth: usize, columns: usize) -> Self {
        let fastest = Self::detect();
        let small = rows.min(columns) <= THIN || depth <= SHALLOW;
        if fastest == Self::Amx && small && Self::Avx512.runs() { Self::Avx512 } else { fastest }
    }

    /// The sum of the products of `terms`, put into `out` or added to it.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit, or the processor does not have the backend.
    pub fn sum_products(
        self,
        terms: &[(Matrix<'_>, Matrix<'_>)],
        mut out: MatrixMut<'_>,
        onto: Onto,
    ) {
        for (left, right) in terms {
            assert_eq!(left.columns(), right.rows(), "the factors do not fit");
            assert_eq!(left.rows(), out.rows(), "the product has another height");
            assert_eq!(right.columns(), out.columns(), "the product has another width");
        }
        let (out, add) = (&mut out, onto == Onto::Sum);
        #[cfg(target_arch = "x86_64")]
        if matches!(self, Self::Avx512 | Self::Amx)
            && out.rows().min(out.columns()) <= THIN
            && let Some(thin) = thin::Thin::detect()
        {
            return thin.run(terms, out, add);
        }
        match self {
            Self::Portable => driver::run(portable::Portable, terms, out, add),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => driver::run(there(avx2::Avx2::detect()), terms, out, add),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => driver::run(there(avx512::Avx512::detect()), terms, out, add),
            #[cfg(target_arch = "x86_64")]
            Self::Amx => driver::run(there(amx::Amx::detect()), terms, out, add),
            #[cfg(not(target_arch = "x86_64"))]
            _ => unreachable!("not on this processor"),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn there<K>(kernel: Option<K>) -> K {
    kernel.unwrap_or_else(|| unreachable!("the processor does not have this backend"))
}

/// Up to so many rows or columns packing does not pay, if there is AVX-512.
const THIN: usize = 12;
/// Up to this depth more than half of each tile of AMX would be padding.
const SHALLOW: usize = 24;

/// What becomes of the numbers that stood in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onto {
    /// They are overwritten.
    Nothing,
    /// The product is added to them.
    Sum,
}

/// out = a b.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn multiply(a: Matrix<'_>, b: Matrix<'_>, out: MatrixMut<'_>) {
    sum_products(&[(a, b)], out, Onto::Nothing);
}

/// out += a b.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn multiply_add(a: Matrix<'_>, b: Matrix<'_>, out: MatrixMut<'_>) {
    sum_products(&[(a, b)], out, Onto::Sum);
}

/// The sum of several products, as if their depths were one. It takes as long as one product after
/// the other. For a difference negate a factor.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn sum_products(terms: &[(Matrix<'_>, Matrix<'_>)], out: MatrixMut<'_>, onto: Onto) {
    let depth = terms.iter().map(|(left, _)| left.columns()).sum();
    Backend::for_shape(out.rows(), depth, out.columns()).sum_products(terms, out, onto);
}
