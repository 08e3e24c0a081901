//! What C0 does for the ciphertext engine and nobody else can: opening what is blinded, and
//! encrypting quickly.
//!
//! Who learns what: see [`dyad_mpc::cipher`]. What is opened here leaves blinded and encrypted anew,
//! but for what a program opens to C1: that a C1 which deviates would choose (decision 14).

use dyad_bcp::master::{FreshMaker, KnownKey, MasterKey};
use dyad_bcp::{Ciphertext, Fresh, Plaintext, PublicKey, Result};
use dyad_mpc::cipher::Opener;
use std::sync::Arc;

/// Opens what is under one unified key.
pub struct Auxiliary {
    master: Arc<MasterKey>,
    known: KnownKey,
    maker: FreshMaker,
}

impl Auxiliary {
    /// For a study's unified key; refuses one outside the group.
    pub fn new(master: Arc<MasterKey>, unified: &PublicKey) -> Result<Self> {
        let (known, maker) = (master.know(unified)?, master.fresh_maker(unified)?);
        Ok(Self { master, known, maker })
    }
}

impl Opener for Auxiliary {
    fn open(&self, ciphertexts: &[Ciphertext]) -> Result<Vec<Plaintext>> {
        self.master.decrypt_many(&self.known, ciphertexts)
    }

    fn fresh(&self, count: usize) -> Result<Vec<Fresh>> {
        self.maker.many(count)
    }
}
