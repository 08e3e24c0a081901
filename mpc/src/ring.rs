//! Sums in Z_{2^64}, entry by entry, in place.
#![expect(clippy::inline_always, reason = "callers that are vectorised want these so, too")]

/// x + y
#[inline(always)]
pub(crate) fn add(x: &mut [u64], y: &[u64]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x = x.wrapping_add(*y);
    }
}

/// x - y
#[inline(always)]
pub(crate) fn subtract(x: &mut [u64], y: &[u64]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x = x.wrapping_sub(*y);
    }
}
