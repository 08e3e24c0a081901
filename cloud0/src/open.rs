//! C0's shares of what owners uploaded: what only the holder of the master key can make.
//!
//! ```text
//! sealed    owner: seed of 32 bytes, drawn for each chunk; Enc_{pk_i}(seed) to C0, x - PRG(seed) to C1
//!           C0 opens the seed; share PRG(seed)
//! packed    see [`dyad_cloud::packed`]
//! ```
//!
//! Who learns what: of a sealed upload C0 sees a seed that has nothing to do with x.

use dyad_bcp::master::{KnownKey, MasterKey};
use dyad_bcp::packing::{Slot, SlotLayout};
use dyad_bcp::{Ciphertext, Plaintext, Result};
use dyad_mpc::prg::Seed;

/// Opens the seeds of many chunks.
pub fn seeds(
    master: &MasterKey,
    owner: &KnownKey,
    ciphertexts: &[Ciphertext],
) -> Result<Vec<Seed>> {
    let opened = master.decrypt_many(owner, ciphertexts)?;
    let seed = |plaintext: &Plaintext| {
        let mut seed = [0; 32];
        seed.copy_from_slice(&plaintext.to_bytes(32)?);
        Ok(Seed::from_bytes(seed))
    };
    opened.iter().map(seed).collect()
}

/// Shares of a packed chunk, from the owner's part and C1's blinded one.
pub fn open(
    master: &MasterKey,
    owner: &KnownKey,
    layout: &SlotLayout,
    value_bits: u32,
    [m_0, blinded]: [&[Ciphertext]; 2],
    count: usize,
) -> Result<Vec<u64>> {
    let opened = |ciphertexts| layout.unpack(&master.decrypt_many(owner, ciphertexts)?, count);
    let (m_0, blinded) = (opened(m_0)?, opened(blinded)?);
    let offset = layout.blind_bound().low_u64().wrapping_add(1 << (value_bits - 1));
    let share = |(m_0, blinded): (&Slot, &Slot)| {
        blinded.low_u64().wrapping_add(m_0.low_u64()).wrapping_sub(offset)
    };
    Ok(m_0.iter().zip(&blinded).map(share).collect())
}
