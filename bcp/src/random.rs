//! The one sampler for every uniform number of this crate.

use crate::arith::limbs::{self, SecretLimbs};
use crate::{Error, Result};
use rand::TryCryptoRng;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

/// The operating system's generator.
pub(crate) fn os() -> SysRng {
    SysRng
}

/// Uniform in `[0, 2^bits)`, in as many limbs as `bits` need.
pub(crate) fn bits(rng: &mut impl TryCryptoRng, bits: usize) -> Result<SecretLimbs> {
    let len = limbs::limbs_for(bits);
    let mut bytes = Zeroizing::new(vec![0u8; 8 * len]);
    rng.try_fill_bytes(&mut bytes).map_err(|_| Error::Randomness)?;
    let mut x = Zeroizing::new(vec![0u64; len]);
    for (limb, chunk) in x.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *limb = u64::from_le_bytes(*chunk);
    }
    if let (Some(top), used) = (x.last_mut(), bits % limbs::LIMB_BITS)
        && used != 0
    {
        *top &= (1 << used) - 1;
    }
    Ok(x)
}

/// Uniform in `[1, bound)`, by rejection: what is rejected says nothing of what is kept. The result
/// has as many limbs as `bound`.
pub(crate) fn below(rng: &mut impl TryCryptoRng, bound: &[u64]) -> Result<SecretLimbs> {
    let length = limbs::bit_length(bound);
    loop {
        let mut x = bits(rng, length)?;
        x.resize(bound.len(), 0);
        if limbs::ge_mask(&x, bound) == 0 && x.iter().any(|l| *l != 0) {
            return Ok(x);
        }
    }
}
