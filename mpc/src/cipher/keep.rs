//! Ciphertexts that outlive a run: those of a checkpoint, and those of the model when it is released.
//!
//! ```text
//! checkpoint   C1: the packed ciphertexts of a tensor, word by word; C0: nothing
//! released     [z + 2^63] Enc(0), packed by rows: every slot in [0, 2^64), whoever may open it takes
//!              2^63 off
//! ```
//!
//! Who learns what: C1 keeps what it holds anyway. A released ciphertext is multiplied by a fresh
//! encryption of zero, so that it says nothing of what it was made of, and is for those alone whom
//! all owners answer.

use super::secret::{Body, Form, Ground, Secret, VALUE_BITS, WIDTH, sound};
use super::{Cipher, Given};
use crate::tensor::{Meta, Shape};
use dyad_bcp::{Ciphertext, Plaintext, PublicKey};
use zeroize::Zeroizing;

impl Secret {
    /// As it is kept between steps: at C1 its ciphertexts, packed, at C0 nothing. None while it waits
    /// for a message: no tensor does that a step's last operations gave.
    #[must_use]
    pub fn kept(&self) -> Option<Vec<u64>> {
        let packed = self.packed()?;
        if !self.ground.holds {
            return Some(vec![]);
        }
        Some(sound(self.ground.key.to_words(&packed)))
    }

    fn packed(&self) -> Option<Vec<Ciphertext>> {
        match &self.body {
            Body::Later(_) => None,
            Body::Leaf(leaf) if leaf.form == Form::Bits => None,
            _ if !self.ground.holds => Some(vec![]),
            Body::Leaf(leaf) if leaf.form == self.kept_form() => Some(leaf.ciphertexts.clone()),
            _ => Some(self.as_form(self.kept_form())),
        }
    }

    fn kept_form(&self) -> Form {
        if self.ground.packs(self.shape) { Form::Packed } else { Form::Single }
    }
}

impl Cipher {
    /// Gives an input that was [kept](Secret::kept): C1's words, and none at C0.
    pub fn give_kept(&mut self, name: &str, meta: Meta, words: Vec<u64>) {
        self.inputs.insert(name.to_owned(), (meta, Given::Kept(words)));
    }

    /// The tensor that was kept; `Err` says what it should have been.
    pub(super) fn of_kept(&self, meta: Meta, words: &[u64]) -> Result<Secret, String> {
        let ground = &self.ground;
        let groups = groups(ground, meta.shape);
        let expected = if ground.holds { groups.len() * ground.key.words() } else { 0 };
        if words.len() != expected {
            return Err(format!("kept in {} words, not {expected}", words.len()));
        }
        let read = ground.key.admit_words(words);
        let ciphertexts = read.map_err(|error| format!("kept, and is no ciphertext: {error}"))?;
        Ok(Secret::leaf(ground, meta.shape, Form::Packed, || ciphertexts))
    }
}

/// How many entries are in each ciphertext of a tensor that is kept.
fn groups(ground: &Ground, shape: Shape) -> Vec<usize> {
    let form = if ground.packs(shape) { Form::Packed } else { Form::Single };
    ground.groups(form, shape)
}

/// A model's tensors as they leave, under the unified key.
pub struct Release {
    ground: Ground,
    groups: Vec<usize>,
}

impl Release {
    /// Of tensors of these shapes. The key must have room for a blinded value, as every run's has.
    #[must_use]
    pub fn of(key: &PublicKey, shapes: impl IntoIterator<Item = Shape>) -> Self {
        let ground = Ground::new(key, true);
        let groups = shapes.into_iter().flat_map(|shape| groups(&ground, shape)).collect();
        Self { ground, groups }
    }

    /// Ciphertexts in all.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.groups.len()
    }

    /// Is there nothing to release?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// What is handed out, from [kept](Secret::kept) words: raised by 2^63, with randomness of its
    /// own.
    pub fn seal(&self, kept: &[u64]) -> dyad_bcp::Result<Vec<Ciphertext>> {
        let key = &self.ground.key;
        let kept = key.admit_words(kept)?;
        if kept.len() != self.len() {
            return Err(dyad_bcp::Error::Length { expected: self.len(), found: kept.len() });
        }
        let raise = [1u64 << VALUE_BITS, 0];
        let ints: Vec<[u64; 2]> = vec![raise; self.groups.iter().sum()];
        let raised = key.add_plain_many(&kept, &self.ground.plaintexts(&self.groups, &ints))?;
        key.rerandomize_many(&raised)
    }

    /// The numbers in what was opened: words modulo 2^64, as on shares.
    pub fn read(&self, opened: &[Plaintext]) -> dyad_bcp::Result<Zeroizing<Vec<u64>>> {
        if opened.len() != self.len() {
            return Err(dyad_bcp::Error::Length { expected: self.len(), found: opened.len() });
        }
        let mut words = Zeroizing::new(Vec::with_capacity(self.groups.iter().sum()));
        for (count, plaintext) in self.groups.iter().zip(opened) {
            for [low, above @ ..] in plaintext.slots(WIDTH, *count)? {
                if above != [0; 3] {
                    let limit = "a released number has 64 bits";
                    return Err(dyad_bcp::Error::OutOfRange { index: words.len(), limit });
                }
                words.push(low.wrapping_sub(1 << VALUE_BITS));
            }
        }
        Ok(words)
    }
}
