//! A secret tensor of the ciphertext engine: ciphertexts under the unified key at C1, and at C0
//! nothing but their layout.
//!
//! ```text
//! packed   slots of W = 145 bits, each row in ceil(cols / G) ciphertexts of as many slots each as
//!          there is use for; G = (|N| - 2) / W
//! single   one entry in a ciphertext
//! ```
//!
//! An entry is an integer z with |z| <= 2^63, and a plaintext is the sum of z_j 2^{j W} modulo N: the
//! ring's numbers themselves, not what they are modulo something. Sums, public factors, views and
//! sums down the rows are done on whole ciphertexts. What would tear a packed ciphertext apart
//! (columns, transposition, sums along a row) waits ([`Body::Later`]) until a protocol wants the
//! tensor; the engine then has C0 encrypt its entries one by one.

use super::int::{add, mul, signed};
use super::range::{BLIND_BITS, Reach};
use crate::tensor::{Axis, Shape, Tensor, View, joined, viewed};
use dyad_bcp::matrix::Int;
use dyad_bcp::{Ciphertext, Plaintext, PublicKey};
use std::sync::{Arc, OnceLock};

/// Bits of a slot: a blind, 80 bits longer than a value and its sign, and a carry.
pub(super) const WIDTH: usize = BLIND_BITS + 1;
/// |z| <= 2^63 for every value of a run.
pub(super) const VALUE_BITS: usize = 63;

/// What all tensors of a run share.
pub(super) struct Ground {
    pub(super) key: PublicKey,
    /// Values in a ciphertext.
    pub(super) slots: usize,
    /// Is this C1, who has the ciphertexts?
    pub(super) holds: bool,
}

impl Ground {
    /// Under this key, at C1 or not.
    pub(super) fn new(key: &PublicKey, holds: bool) -> Self {
        // A sign beside the slots.
        let slots = (key.params().size().bits() - 2) / WIDTH;
        Self { key: key.clone(), slots, holds }
    }

    /// Slots of each ciphertext of a packed tensor, and how many there are in a row.
    pub(super) fn row(&self, shape: Shape) -> (usize, usize) {
        let count = shape.cols.div_ceil(self.slots);
        (shape.cols.div_ceil(count.max(1)).max(1), count)
    }

    /// Does a row of this shape gain from being packed?
    pub(super) fn packs(&self, shape: Shape) -> bool {
        self.row(shape).0 > 1
    }

    /// How many entries each ciphertext has, entries row by row.
    pub(super) fn groups(&self, form: Form, shape: Shape) -> Vec<usize> {
        match form {
            Form::Single | Form::Bits => vec![1; shape.len()],
            Form::Packed => {
                let (each, _) = self.row(shape);
                let row = (0..shape.cols).step_by(each).map(|at| each.min(shape.cols - at));
                let row: Vec<usize> = row.collect();
                row.repeat(shape.rows)
            }
        }
    }

    /// The numbers of a tensor as plaintexts.
    pub(super) fn plaintexts<const L: usize>(
        &self,
        groups: &[usize],
        ints: &[[u64; L]],
    ) -> Vec<Plaintext> {
        let mut rest = ints;
        let rows = groups.iter().map(|count| {
            let (row, after) = rest.split_at(*count);
            rest = after;
            row
        });
        self.key.pack_ints(rows.collect::<Vec<_>>(), WIDTH)
    }

    pub(super) fn zero(&self) -> Ciphertext {
        self.key.trivial(&Plaintext::from_u64(self.key.params(), 0))
    }

    /// Single ciphertexts of these groups packed.
    pub(super) fn pack(&self, singles: &[Ciphertext], groups: &[usize]) -> Vec<Ciphertext> {
        let most = groups.iter().copied().max().unwrap_or(1);
        if most == 1 {
            return singles.to_vec();
        }
        let zero = self.zero();
        let mut rest = singles;
        let mut terms = Vec::with_capacity(most * groups.len());
        for count in groups {
            let (some, after) = rest.split_at(*count);
            terms.extend_from_slice(some);
            terms.resize(terms.len() + most - count, zero.clone());
            rest = after;
        }
        sound(self.key.combine_many(&terms, most, WIDTH))
    }
}

/// Of ciphertexts that were admitted under the one key there is: nothing can be wrong with them.
pub(super) fn sound<T>(made: dyad_bcp::Result<T>) -> T {
    made.unwrap_or_else(|error| unreachable!("admitted ciphertexts under one key: {error}"))
}

/// A secret tensor.
#[derive(Clone)]
pub struct Secret {
    pub(super) ground: Arc<Ground>,
    pub(super) shape: Shape,
    pub(super) body: Body,
    /// The same for all copies.
    pub(super) reach: Reach,
}

#[derive(Clone)]
pub(super) enum Body {
    /// Everybody knows it.
    Known(Arc<Vec<u64>>),
    Leaf(Arc<Leaf>),
    /// To be done once its operands are single.
    Later(Arc<Later>),
}

/// How a tensor lies in its ciphertexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Packed,
    Single,
    /// In none yet: bits, shared by XOR.
    Bits,
}

pub(super) struct Leaf {
    pub(super) form: Form,
    pub(super) shape: Shape,
    /// At C1.
    pub(super) ciphertexts: Vec<Ciphertext>,
    pub(super) bits: Vec<u64>,
    /// One by one, once somebody wanted them so.
    pub(super) singles: OnceLock<Vec<Ciphertext>>,
    reach: Reach,
}

pub(super) enum Later {
    Linear(Vec<(u64, Secret)>),
    Weigh(Secret, Vec<u64>),
    Pick(Secret, Vec<u32>),
    Sum(Secret, Axis),
    Join(Vec<Secret>, Axis),
}

impl Secret {
    /// |z| <= reach, whatever a program declares.
    fn new(ground: &Arc<Ground>, shape: Shape, body: Body, reach: f64) -> Self {
        Self { ground: Arc::clone(ground), shape, body, reach: Reach::new(reach) }
    }

    pub(super) fn known(ground: &Arc<Ground>, shape: Shape, words: Vec<u64>) -> Self {
        let reach = Reach::of_words(&words);
        Self::new(ground, shape, Body::Known(Arc::new(words)), reach)
    }

    /// The very tensor of which this is a leaf.
    pub(super) fn of_leaf(ground: &Arc<Ground>, leaf: &Arc<Leaf>) -> Self {
        let (shape, reach) = (leaf.shape, leaf.reach.clone());
        Self { ground: Arc::clone(ground), shape, body: Body::Leaf(Arc::clone(leaf)), reach }
    }

    pub(super) fn bits(ground: &Arc<Ground>, shape: Shape, bits: Vec<u64>) -> Self {
        let (form, reach) = (Form::Bits, Reach::new(1.0));
        let leaf = Leaf { form, shape, ciphertexts: vec![], bits, singles: OnceLock::new(), reach };
        Self::of_leaf(ground, &Arc::new(leaf))
    }

    /// Of ciphertexts in this form, made only where they are held.
    pub(super) fn leaf(
        ground: &Arc<Ground>,
        shape: Shape,
        form: Form,
        reach: f64,
        ciphertexts: impl FnOnce() -> Vec<Ciphertext>,
    ) -> Self {
        let form = if ground.packs(shape) { form } else { Form::Single };
        let ciphertexts = if ground.holds { ciphertexts() } else { vec![] };
        let (bits, singles, reach) = (vec![], OnceLock::new(), Reach::new(reach));
        Self::of_leaf(ground, &Arc::new(Leaf { form, shape, ciphertexts, bits, singles, reach }))
    }

    /// The form a result is packed in.
    pub(super) fn form(&self) -> Option<Form> {
        match &self.body {
            Body::Known(_) => None,
            Body::Leaf(leaf) => Some(leaf.form),
            Body::Later(_) => Some(Form::Bits),
        }
    }

    fn later(&self, shape: Shape, what: Later, reach: f64) -> Self {
        Self::new(&self.ground, shape, Body::Later(Arc::new(what)), reach)
    }

    /// Its ciphertexts packed, or one by one: of what is neither bits nor to be done later.
    pub(super) fn as_form(&self, form: Form) -> Vec<Ciphertext> {
        let key = &self.ground.key;
        match &self.body {
            Body::Known(words) => {
                let ints: Vec<Int> = words.iter().map(|x| signed(*x as i64)).collect();
                let plain = self.ground.plaintexts(&self.ground.groups(form, self.shape), &ints);
                plain.iter().map(|m| key.trivial(m)).collect()
            }
            Body::Leaf(leaf) if leaf.form == form => leaf.ciphertexts.clone(),
            Body::Leaf(leaf) if form == Form::Packed => {
                self.ground.pack(&leaf.ciphertexts, &self.ground.groups(form, self.shape))
            }
            _ => unreachable!("what is packed stays so"),
        }
    }

    /// Leaves that must be made single before this can be done.
    pub(super) fn pending(&self, inside: bool, found: &mut Vec<Arc<Leaf>>) {
        match &self.body {
            Body::Known(_) => {}
            Body::Leaf(leaf) => {
                let wanted = match leaf.form {
                    Form::Packed => inside,
                    Form::Bits => true,
                    Form::Single => false,
                };
                let known = || found.iter().any(|other| Arc::ptr_eq(other, leaf));
                if wanted && leaf.singles.get().is_none() && !known() {
                    found.push(Arc::clone(leaf));
                }
            }
            Body::Later(later) => match &**later {
                Later::Linear(terms) => terms.iter().for_each(|(_, x)| x.pending(true, found)),
                Later::Weigh(x, _) | Later::Pick(x, _) | Later::Sum(x, _) => x.pending(true, found),
                Later::Join(parts, _) => parts.iter().for_each(|x| x.pending(true, found)),
            },
        }
    }

    /// What waited is done, now that its operands are single.
    pub(super) fn settled(&self) -> Self {
        match &self.body {
            Body::Leaf(leaf) if leaf.form == Form::Bits => self.single(),
            Body::Known(_) | Body::Leaf(_) => self.clone(),
            Body::Later(later) => match &**later {
                Later::Linear(terms) => {
                    let terms: Vec<_> = terms.iter().map(|(k, x)| (*k, x.single())).collect();
                    Tensor::linear(&terms.iter().map(|(k, x)| (*k, x)).collect::<Vec<_>>())
                }
                Later::Weigh(x, factors) => x.single().weigh(factors),
                Later::Pick(x, at) => x.single().picked(self.shape, at),
                Later::Sum(x, axis) => x.single().sum(x.shape, *axis),
                Later::Join(parts, axis) => {
                    let parts: Vec<_> = parts.iter().map(|x| (x.single(), x.shape)).collect();
                    Tensor::join(&parts.iter().map(|(x, s)| (x, *s)).collect::<Vec<_>>(), *axis)
                }
            },
        }
    }

    fn single(&self) -> Self {
        match &self.body {
            Body::Leaf(leaf) if leaf.form != Form::Single => {
                let singles = leaf.singles.get().unwrap_or_else(|| unreachable!("not settled"));
                let single = Leaf {
                    form: Form::Single,
                    shape: self.shape,
                    ciphertexts: singles.clone(),
                    bits: vec![],
                    singles: OnceLock::new(),
                    reach: self.reach.clone(),
                };
                Self::of_leaf(&self.ground, &Arc::new(single))
            }
            Body::Later(_) => self.settled(),
            _ => self.clone(),
        }
    }

    /// Entries at these places, of what is single.
    fn picked(&self, shape: Shape, at: &[u32]) -> Self {
        match &self.body {
            Body::Known(words) => {
                let words = at.iter().map(|i| words[*i as usize]).collect();
                Self::known(&self.ground, shape, words)
            }
            Body::Leaf(leaf) => {
                let all = &leaf.ciphertexts;
                let picked = || at.iter().map(|i| all[*i as usize].clone()).collect();
                Self::of_singles(&self.ground, shape, self.reach.most(), picked)
            }
            Body::Later(_) => unreachable!("settled"),
        }
    }

    /// Single, whether or not it would be packed.
    pub(super) fn of_singles(
        ground: &Arc<Ground>,
        shape: Shape,
        reach: f64,
        ciphertexts: impl FnOnce() -> Vec<Ciphertext>,
    ) -> Self {
        let ciphertexts = if ground.holds { ciphertexts() } else { vec![] };
        let (form, bits) = (Form::Single, vec![]);
        let (singles, reach) = (OnceLock::new(), Reach::new(reach));
        Self::of_leaf(ground, &Arc::new(Leaf { form, shape, ciphertexts, bits, singles, reach }))
    }

    fn of(
        &self,
        shape: Shape,
        form: Form,
        reach: f64,
        made: impl FnOnce() -> Vec<Ciphertext>,
    ) -> Self {
        match form {
            Form::Packed => Self::leaf(&self.ground, shape, form, reach, made),
            _ => Self::of_singles(&self.ground, shape, reach, made),
        }
    }
}

/// The form in which all of these can be had without a message: none if one of them waits.
fn common<'a>(all: impl Iterator<Item = &'a Secret>) -> Option<Form> {
    let mut form = Form::Single;
    for x in all {
        match x.form() {
            Some(Form::Bits) => return None,
            Some(Form::Packed) => form = Form::Packed,
            Some(Form::Single) | None => {}
        }
    }
    Some(form)
}

impl Tensor for Secret {
    fn linear(terms: &[(u64, &Self)]) -> Self {
        let &(_, first) = terms.first().unwrap_or_else(|| unreachable!("no terms"));
        let (ground, shape) = (&first.ground, first.shape);
        let live = || terms.iter().filter(|(k, _)| *k != 0);
        let known: Vec<(u64, &Vec<u64>)> = live()
            .filter_map(|(k, x)| match &x.body {
                Body::Known(words) => Some((*k, &**words)),
                _ => None,
            })
            .collect();
        let secret: Vec<(i64, &Self)> = live()
            .filter(|(_, x)| !matches!(x.body, Body::Known(_)))
            .map(|(k, x)| (*k as i64, *x))
            .collect();
        if secret.is_empty() {
            let words =
                if known.is_empty() { vec![0; shape.len()] } else { Tensor::linear(&known) };
            return Self::known(ground, shape, words);
        }
        let reaches = terms.iter().map(|(k, x)| (*k, x.reach.most()));
        let reach = Reach::of_sum(reaches);
        let Some(form) = common(secret.iter().map(|(_, x)| *x)) else {
            return first.later(shape, Later::Linear(owned(terms)), reach);
        };
        first.of(shape, form, reach, || {
            let key = &ground.key;
            let part = |negative: bool| {
                let terms = secret.iter().filter(|(k, _)| (*k < 0) == negative);
                terms
                    .map(|(k, x)| {
                        let x = x.as_form(form);
                        sound(scaled(key, &x, k.unsigned_abs()))
                    })
                    .reduce(|x, y| sound(key.add_many(&x, &y)))
            };
            let sum = match (part(false), part(true)) {
                (Some(x), Some(y)) => sound(key.sub_many(&x, &y)),
                (None, Some(y)) => sound(key.negate_many(&y)),
                (Some(x), None) => x,
                (None, None) => unreachable!("a secret term"),
            };
            if known.is_empty() {
                return sum;
            }
            // Exact: what is known need not fit in the ring before the rest is added.
            let entry = |i: usize| {
                known.iter().fold([0; 4], |sum: Int, (k, x)| {
                    add(&sum, &mul(&signed(*k as i64), &signed(x[i] as i64)))
                })
            };
            let ints: Vec<Int> = (0..shape.len()).map(entry).collect();
            let plain = ground.plaintexts(&ground.groups(form, shape), &ints);
            sound(key.add_plain_many(&sum, &plain))
        })
    }

    fn weigh(&self, factors: &[u64]) -> Self {
        if let Body::Known(words) = &self.body {
            return Self::known(&self.ground, self.shape, words.weigh(factors));
        }
        let alike = |groups: &[usize]| {
            let mut at = 0;
            groups.iter().all(|count| {
                let some = &factors[at..at + count];
                at += count;
                some.iter().all(|k| *k == some[0])
            })
        };
        let groups = self.form().map(|form| self.ground.groups(form, self.shape));
        let most = factors.iter().map(|k| (*k as i64).unsigned_abs()).max().unwrap_or(0);
        let reach = most as f64 * self.reach.most();
        match (self.form(), groups) {
            (Some(form @ (Form::Packed | Form::Single)), Some(groups)) if alike(&groups) => self
                .of(self.shape, form, reach, || {
                    let mut at = 0;
                    let first = groups.iter().map(|count| {
                        at += count;
                        factors[at - count] as i64
                    });
                    let first: Vec<i64> = first.collect();
                    sound(weighed(&self.ground.key, &self.as_form(form), &first))
                }),
            _ => self.later(self.shape, Later::Weigh(self.clone(), factors.to_vec()), reach),
        }
    }

    fn view(&self, of: Shape, view: &View<'_>) -> Self {
        let shape = view.shape(of).unwrap_or_else(|what| unreachable!("checked: {what}"));
        let reach = self.reach.most();
        let later = || self.later(shape, Later::Pick(self.clone(), places(of, view)), reach);
        match &self.body {
            Body::Known(words) => Self::known(&self.ground, shape, words.view(of, view)),
            Body::Leaf(leaf) => match leaf.form {
                Form::Single => {
                    let made = || viewed(&leaf.ciphertexts, of, view);
                    Self::of_singles(&self.ground, shape, reach, made)
                }
                Form::Bits => Self::bits(&self.ground, shape, viewed(&leaf.bits, of, view)),
                Form::Packed => match view {
                    View::Rows(_) | View::RepeatRow(_) => {
                        let blocks = Shape::new(of.rows, self.ground.row(of).1);
                        let made = || viewed(&leaf.ciphertexts, blocks, view);
                        self.of(shape, Form::Packed, reach, made)
                    }
                    _ if shape == of && !matches!(view, View::Transpose) => self.clone(),
                    _ => later(),
                },
            },
            Body::Later(_) => later(),
        }
    }

    fn sum(&self, of: Shape, axis: Axis) -> Self {
        let shape = match axis {
            Axis::Rows => Shape::new(1, of.cols),
            Axis::Columns => Shape::new(of.rows, 1),
        };
        let summed = |all: &[Ciphertext], blocks: Shape| -> Vec<Ciphertext> {
            let (count, terms) = match axis {
                Axis::Rows => (blocks.cols, blocks.rows),
                Axis::Columns => (blocks.rows, blocks.cols),
            };
            let at = |i: usize, j: usize| match axis {
                Axis::Rows => j * blocks.cols + i,
                Axis::Columns => i * blocks.cols + j,
            };
            let term = |j: usize| (0..count).map(|i| all[at(i, j)].clone()).collect::<Vec<_>>();
            let sums = (0..terms).map(term);
            let sum = sums.reduce(|x, y| sound(self.ground.key.add_many(&x, &y)));
            sum.unwrap_or_else(|| vec![self.ground.zero(); count])
        };
        let terms = if axis == Axis::Rows { of.rows } else { of.cols };
        let reach = self.reach.most() * terms as f64;
        match &self.body {
            Body::Known(words) => Self::known(&self.ground, shape, words.sum(of, axis)),
            Body::Leaf(leaf) if leaf.form == Form::Single => {
                Self::of_singles(&self.ground, shape, reach, || summed(&leaf.ciphertexts, of))
            }
            Body::Leaf(leaf) if leaf.form == Form::Packed && axis == Axis::Rows => {
                let blocks = Shape::new(of.rows, self.ground.row(of).1);
                self.of(shape, Form::Packed, reach, || summed(&leaf.ciphertexts, blocks))
            }
            _ => self.later(shape, Later::Sum(self.clone(), axis), reach),
        }
    }

    fn join(parts: &[(&Self, Shape)], axis: Axis) -> Self {
        let &(first, _) = parts.first().unwrap_or_else(|| unreachable!("no parts"));
        let total = |side: fn(&Shape) -> usize| parts.iter().map(|(_, shape)| side(shape)).sum();
        let shape = match axis {
            Axis::Rows => Shape::new(total(|s| s.rows), first.shape.cols),
            Axis::Columns => Shape::new(first.shape.rows, total(|s| s.cols)),
        };
        let known: Option<Vec<(&Vec<u64>, Shape)>> = parts
            .iter()
            .map(|(x, shape)| match &x.body {
                Body::Known(words) => Some((&**words, *shape)),
                _ => None,
            })
            .collect();
        if let Some(known) = known {
            return Self::known(&first.ground, shape, Tensor::join(&known, axis));
        }
        let reach = parts.iter().map(|(x, _)| x.reach.most()).fold(0.0, f64::max);
        match common(parts.iter().map(|(x, _)| *x)) {
            Some(form) if form == Form::Single || axis == Axis::Rows => {
                first.of(shape, form, reach, || {
                    let all: Vec<_> = parts.iter().map(|(x, s)| (x.as_form(form), *s)).collect();
                    let blocks: Vec<(&[Ciphertext], Shape)> =
                        all.iter().map(|(x, shape)| (x.as_slice(), *shape)).collect();
                    joined(&blocks, axis)
                })
            }
            _ => {
                let parts = parts.iter().map(|(x, _)| (*x).clone()).collect();
                first.later(shape, Later::Join(parts, axis), reach)
            }
        }
    }
}

/// Where each entry of a view comes from.
fn places(of: Shape, view: &View<'_>) -> Vec<u32> {
    viewed(&(0..of.len() as u32).collect::<Vec<_>>(), of, view)
}

fn owned(terms: &[(u64, &Secret)]) -> Vec<(u64, Secret)> {
    terms.iter().map(|(k, x)| (*k, (*x).clone())).collect()
}

/// x times a public number.
fn scaled(key: &PublicKey, x: &[Ciphertext], k: u64) -> dyad_bcp::Result<Vec<Ciphertext>> {
    match i64::try_from(k) {
        Ok(k) => key.scale_by_vartime(x, k),
        // 2^63
        Err(_) => key.shift_many(x, 63),
    }
}

/// Each times its own public number.
fn weighed(key: &PublicKey, x: &[Ciphertext], k: &[i64]) -> dyad_bcp::Result<Vec<Ciphertext>> {
    let bits = k.iter().map(|k| u64::BITS - k.unsigned_abs().leading_zeros()).max().unwrap_or(0);
    let plain: Vec<_> =
        k.iter().map(|k| Plaintext::from_u64(key.params(), k.unsigned_abs())).collect();
    let mut all = key.scale_many_bounded(x, &plain, bits as usize)?;
    let negative: Vec<usize> = (0..k.len()).filter(|i| k[*i] < 0).collect();
    let inverses =
        key.negate_many(&negative.iter().map(|i| all[*i].clone()).collect::<Vec<_>>())?;
    for (i, inverse) in negative.into_iter().zip(inverses) {
        all[i] = inverse;
    }
    Ok(all)
}
