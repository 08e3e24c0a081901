//! Packed uploads, the paper's: values in slots of ciphertexts, made into shares by one blinded
//! opening.
//!
//! ```text
//! owner     u = x + 2^{l-1}; R uniform below 2^{l+sigma}; m_0 = R, m_1 = u - R + 2^{l+sigma}
//!           c_0 = Enc(m_0) to C0, c_1 = Enc(m_1) to C1, under the owner's key
//! C1        rho uniform below 2^{l+sigma}: c_1 + rho, times a fresh Enc(0), to C0
//!           share -rho mod 2^64
//! C0        opens m_0 and m_1 + rho with the master key
//!           share (m_1 + rho) + m_0 - 2^{l+sigma} - 2^{l-1} mod 2^64
//! ```
//!
//! Who learns what: C0 sees R, which says nothing of x, and u - R + 2^{l+sigma} + rho, which is
//! within 2^-sigma of what it would be for any other x, since rho is drawn anew for each attempt. C1
//! sees a ciphertext and its own rho. The fresh Enc(0) is there because C0 can take logarithms.

use dyad_bcp::packing::{STATISTICAL_BITS, SlotLayout};
use dyad_bcp::{PublicParams, Result};

/// The slots of a study's values.
pub fn layout(params: &PublicParams, value_bits: u32) -> Result<SlotLayout> {
    SlotLayout::new(params, value_bits as usize, STATISTICAL_BITS)
}
