//! How a model lies in its ciphertexts under the unified key.

use crate::error::Result;
use dyad_bcp::packing::{Slot, SlotLayout};
use dyad_bcp::{Plaintext, PublicKey};
use dyad_learn::signed::Signed;
use dyad_mpc::cipher::Release;
use dyad_mpc::tensor::Shape;
use dyad_protos::job::{Engine, Job};
use zeroize::Zeroizing;

/// What is in the ciphertexts.
pub(super) enum Bodies {
    /// Sums of two shares, in slots of 64 bits and carries, one behind the other.
    Sums {
        /// Slots.
        layout: SlotLayout,
        /// Words in all.
        words: usize,
    },
    /// Numbers as they were trained on ciphertexts, row by row.
    Numbers(Release),
}

impl Bodies {
    /// Of a job's model, under the study's unified key.
    pub(super) fn of(job: &Job, training: &Signed, key: &PublicKey) -> Result<Self> {
        let shapes = training.plan().released().into_iter().map(|meta| meta.shape);
        Ok(match job.engine {
            Engine::Share => Self::Sums {
                layout: SlotLayout::new(key.params(), 64, 0)?,
                words: shapes.map(Shape::len).sum(),
            },
            Engine::Cipher => Self::Numbers(Release::of(key, shapes)),
        })
    }

    /// Ciphertexts in all.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Sums { layout, words } => words.div_ceil(layout.slots()),
            Self::Numbers(release) => release.len(),
        }
    }

    /// The model's words, modulo 2^64.
    pub(super) fn read(&self, opened: &[Plaintext]) -> Result<Zeroizing<Vec<u64>>> {
        Ok(match self {
            Self::Sums { layout, words } => {
                let slots = layout.unpack(opened, *words)?;
                Zeroizing::new(slots.iter().map(Slot::low_u64).collect())
            }
            Self::Numbers(release) => release.read(opened)?,
        })
    }
}
