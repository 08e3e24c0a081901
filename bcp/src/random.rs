//! The one sampler for every uniform number of this crate.

use crate::arith::limbs::{self, SecretLimbs};
use crate::{Error, Result};
use rand::TryCryptoRng;
use rand::rngs::SysRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The operating system's generator.
pub(crate) fn os() -> SysRng {
    SysRng
}

/// Uniform in `[0, 2^bits)`, in as many limbs as `bits` need.
pub(crate) fn bits(rng: &mut impl TryCryptoRng, bits: usize) -> Result<SecretLimbs> {
    bits_in(rng, bits, limbs::limbs_for(bits))
}

/// The same in `len` limbs.
fn bits_in(rng: &mut impl TryCryptoRng, bits: usize, len: usize) -> Result<SecretLimbs> {
    let used = limbs::limbs_for(bits);
    let mut bytes = Zeroizing::new(vec![0u8; 8 * used]);
    rng.try_fill_bytes(&mut bytes).map_err(|_| Error::Randomness)?;
    let mut x = Zeroizing::new(vec![0u64; len]);
    for (limb, chunk) in x.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *limb = u64::from_le_bytes(*chunk);
    }
    if !bits.is_multiple_of(limbs::LIMB_BITS) {
        x[used - 1] &= (1 << (bits % limbs::LIMB_BITS)) - 1;
    }
    Ok(x)
}

/// Uniform in `[1, bound)`, by rejection: what is rejected says nothing of what is kept. The result
/// has as many limbs as `bound`.
pub(crate) fn below(rng: &mut impl TryCryptoRng, bound: &[u64]) -> Result<SecretLimbs> {
    let length = limbs::bit_length(bound);
    loop {
        let x = bits_in(rng, length, bound.len())?;
        // No verdict before both have been looked at: which limb decides must not show.
        let too_large = limbs::ge_mask(&x, bound).ct_ne(&0);
        if bool::from(!(too_large | limbs::is_zero(&x))) {
            return Ok(x);
        }
    }
}
