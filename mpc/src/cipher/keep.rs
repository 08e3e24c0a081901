//! Ciphertexts that outlive an attempt: those of a checkpoint, and those of the model when it is
//! released.
//!
//! ```text
//! checkpoint   C1: the ciphertexts of a tensor, word by word; C0: how they lie
//! released     [z + 2^63] Enc(0), packed by rows: every slot in [0, 2^64), whoever may open it takes
//!              2^63 off
//! ```
//!
//! Kept tensors are packed or single ciphertexts, nothing else. Bits that nobody has made numbers of
//! yet are shared by XOR under this attempt's transfers, and what waits stands for its operands:
//! neither is kept, so there is no half that another attempt could take for one of its own.
//!
//! Who learns what: what is kept stays at C1; C0 keeps its layout. A
//! released ciphertext is multiplied by a fresh encryption of zero, so that it says nothing of what it
//! was made of, and is for those alone whom all owners answer.

use super::range::two_to;
use super::secret::{Form, Ground, Secret, VALUE_BITS, WIDTH, sound};
use super::{Cipher, Given};
use crate::error::{Error, Op, Result};
use crate::tensor::{Meta, Shape};
use dyad_bcp::{Ciphertext, Error as Refused, Plaintext, PublicKey};
use zeroize::Zeroizing;

/// A tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Are rows packed, or has each entry a ciphertext?
    pub packed: bool,
    /// |z| <= 2^reach, whatever the program declares.
    pub reach: u8,
    /// Ciphertexts one behind the other, little-endian; at C0 none.
    pub words: Vec<u64>,
}

impl Kept {
    /// How it lies, and then its words.
    #[must_use]
    pub fn to_words(&self) -> Vec<u64> {
        let head = u64::from(self.packed) | u64::from(self.reach) << 8;
        std::iter::once(head).chain(self.words.iter().copied()).collect()
    }

    /// And back; none if these are not such words.
    #[must_use]
    pub fn of_words(words: &[u64]) -> Option<Self> {
        let (head, words) = words.split_first()?;
        let [packed @ (0 | 1), reach, 0, 0, 0, 0, 0, 0] = head.to_le_bytes() else { return None };
        Some(Self { packed: packed == 1, reach, words: words.to_vec() })
    }
}

impl Secret {
    /// As it is kept; none while it waits for a message, as no tensor does that a step's last
    /// operations gave: whoever keeps it there says so.
    #[must_use]
    pub fn kept(&self) -> Option<Kept> {
        let ground = &self.ground;
        let packed = match self.form() {
            Some(Form::Bits) => return None,
            Some(form) => form == Form::Packed,
            None => ground.packs(self.shape),
        };
        let form = if packed { Form::Packed } else { Form::Single };
        let ciphertexts = if ground.holds { self.as_form(form) } else { vec![] };
        let words = sound(ground.key.to_words(&ciphertexts));
        Some(Kept { packed, reach: self.reach.bits(), words })
    }
}

impl Cipher {
    /// Gives an input that an earlier attempt kept.
    pub fn give_kept(&mut self, name: &str, meta: Meta, kept: Kept) {
        self.inputs.insert(name.to_owned(), (meta, Given::Kept(kept)));
    }

    /// A tensor that was kept.
    pub(super) fn of_kept(&self, op: Op, name: &str, shape: Shape, kept: &Kept) -> Result<Secret> {
        let ground = &self.ground;
        let wrong = |what| Error::Input { op, name: name.to_owned(), what };
        let form = if kept.packed { Form::Packed } else { Form::Single };
        if kept.packed && !ground.packs(shape) {
            return Err(wrong(format!("kept packed, but {shape} has nothing to pack")));
        }
        let count = if ground.holds { ground.groups(form, shape).len() } else { 0 };
        let expected = count * ground.key.words();
        if kept.words.len() != expected {
            let len = kept.words.len();
            return Err(wrong(format!(
                "kept in {len} words, which should be {expected}: take an older checkpoint of both \
                 clouds"
            )));
        }
        let admitted = ground.key.admit_words(&kept.words);
        let all = admitted.map_err(|error| {
            wrong(format!("what was kept is damaged: {error}; take an older checkpoint"))
        })?;
        let reach = two_to(kept.reach);
        Ok(match form {
            Form::Packed => Secret::leaf(ground, shape, form, reach, || all),
            _ => Secret::of_singles(ground, shape, reach, || all),
        })
    }
}

/// How many entries are in each ciphertext of a tensor that is released: of a column as of a row.
fn groups(ground: &Ground, shape: Shape) -> Vec<usize> {
    let shape = if shape.cols == 1 { shape.transposed() } else { shape };
    let form = if ground.packs(shape) { Form::Packed } else { Form::Single };
    ground.groups(form, shape)
}

/// A model's tensors as they leave, under the unified key.
pub struct Release {
    ground: Ground,
    shapes: Vec<Shape>,
    groups: Vec<usize>,
}

impl Release {
    /// Of tensors of these shapes. The key must have room for a blinded value, as every run's has.
    #[must_use]
    pub fn of(key: &PublicKey, shapes: impl IntoIterator<Item = Shape>) -> Self {
        let ground = Ground::new(key, true);
        let shapes: Vec<Shape> = shapes.into_iter().collect();
        let groups = shapes.iter().flat_map(|shape| groups(&ground, *shape)).collect();
        Self { ground, shapes, groups }
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

    /// What is handed out of tensors that C1 [kept](Secret::kept): raised by 2^63, with randomness of
    /// its own.
    pub fn seal(&self, kept: &[Kept]) -> dyad_bcp::Result<Vec<Ciphertext>> {
        let (ground, key) = (&self.ground, &self.ground.key);
        let (expected, found) = (self.shapes.len(), kept.len());
        if expected != found {
            return Err(Refused::Length { expected, found });
        }
        let mut all = Vec::with_capacity(self.len());
        for (shape, kept) in self.shapes.iter().zip(kept) {
            let form = if kept.packed { Form::Packed } else { Form::Single };
            let ciphertexts = key.admit_words(&kept.words)?;
            let (expected, found) = (ground.groups(form, *shape).len(), ciphertexts.len());
            if expected != found {
                return Err(Refused::Length { expected, found });
            }
            match form {
                Form::Packed => all.extend(ciphertexts),
                _ => all.extend(ground.pack(&ciphertexts, &groups(ground, *shape))),
            }
        }
        let raise = vec![[1u64 << VALUE_BITS, 0]; self.groups.iter().sum()];
        let raised = key.add_plain_many(&all, &ground.plaintexts(&self.groups, &raise))?;
        key.rerandomize_many(&raised)
    }

    /// The numbers in what was opened: words modulo 2^64, as on shares.
    pub fn read(&self, opened: &[Plaintext]) -> dyad_bcp::Result<Zeroizing<Vec<u64>>> {
        if opened.len() != self.len() {
            return Err(Refused::Length { expected: self.len(), found: opened.len() });
        }
        let mut words = Zeroizing::new(Vec::with_capacity(self.groups.iter().sum()));
        for (count, plaintext) in self.groups.iter().zip(opened) {
            for [low, above @ ..] in plaintext.slots(WIDTH, *count)? {
                if above != [0; 3] {
                    let limit = "a released number has 64 bits";
                    return Err(Refused::OutOfRange { index: words.len(), limit });
                }
                words.push(low.wrapping_sub(1 << VALUE_BITS));
            }
        }
        Ok(words)
    }
}
