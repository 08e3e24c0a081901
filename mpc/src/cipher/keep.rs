//! What outlives an attempt: tensors as a checkpoint holds them.
//!
//! Kept tensors are packed or single ciphertexts, nothing else. Bits that nobody has made numbers of
//! yet are shared by XOR under this attempt's transfers, and what waits stands for its operands: both
//! are settled first, in the messages that an opening would take. A half of such a tensor is never
//! written, so there is none that another attempt could take for one of its own.
//!
//! Who learns what: as of an opening behind a blind. What is kept stays at C1; C0 keeps its layout.

use super::range::two_to;
use super::secret::{Form, Secret};
use super::{Cipher, Given};
use crate::error::{Error, Op, Result};
use crate::session::{Session, Shared};
use crate::tensor::{Meta, Shape};

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

impl Session<Cipher> {
    /// Tensors for a checkpoint. Both clouds do it, of the same tensors.
    pub fn keep(&mut self, xs: &[&Shared<Cipher>]) -> Result<Vec<Kept>> {
        let op = self.here("keep");
        let xs: Vec<&Secret> = xs.iter().map(|x| x.data()).collect();
        self.engine_mut().kept(op, &xs)
    }
}

impl Cipher {
    /// Gives an input that an earlier attempt kept.
    pub fn give_kept(&mut self, name: &str, meta: Meta, kept: Kept) {
        self.inputs.insert(name.to_owned(), (meta, Given::Kept(kept)));
    }

    fn kept(&mut self, op: Op, xs: &[&Secret]) -> Result<Vec<Kept>> {
        let settled = self.settle(op, xs)?;
        let key = &self.ground.key;
        let kept = |x: &Secret| {
            let packed = x.form() == Some(Form::Packed)
                || (x.form().is_none() && self.ground.packs(x.shape));
            let form = if packed { Form::Packed } else { Form::Single };
            let ciphertexts = if self.ground.holds { x.as_form(form) } else { vec![] };
            let words = key.to_words(&ciphertexts).map_err(Self::failed(op))?;
            Ok(Kept { packed, reach: x.reach.bits(), words })
        };
        settled.iter().map(kept).collect()
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
