//! C1's part in opening packed uploads ([`dyad_cloud::packed`]).

use dyad_bcp::packing::SlotLayout;
use dyad_bcp::{Ciphertext, PublicKey, Result};

/// What C1 sends to C0, and the shares it keeps.
pub struct Blinded {
    /// Enc(m_1 + rho).
    pub ciphertexts: Vec<Ciphertext>,
    /// -rho.
    pub shares: Vec<u64>,
}

/// Blinds what the owner sent it.
pub fn blind(
    owner: &PublicKey,
    layout: &SlotLayout,
    m_1: &[Ciphertext],
    count: usize,
) -> Result<Blinded> {
    let rho = (0..count).map(|_| layout.blind()).collect::<Result<Vec<_>>>()?;
    let blinded = owner.add_plain_many(m_1, &layout.pack(&rho)?)?;
    let ciphertexts = owner.rerandomize_many(&blinded)?;
    let shares = rho.iter().map(|rho| rho.low_u64().wrapping_neg()).collect();
    Ok(Blinded { ciphertexts, shares })
}
