//! Products of two masked tensors: X~ = X + R and Y~ = Y + S at C0, R and S at C1.
//!
//! ```text
//! XY    = X~ Y~ - X~ S - R Y~ + R S
//! [XY]  = Enc_0(X~ Y~) + Enc_0(-X~) S + R Enc_0(-Y~) + R S          one message, from C0
//! ```
//!
//! C0 encrypts what it knows, C1 raises that to its secrets: multi-exponentiations in constant time,
//! the paper's "one server conducts most of the computation". R Enc_0(-Y~) is formed on packed rows
//! of Y~, many columns at once; for Enc_0(-X~) S each entry of X~ needs a ciphertext, and the
//! products are packed afterwards. What C0 encrypted of a factor is kept with it.
//!
//! Who learns what: C1 sees ciphertexts; C0 sees nothing, having seen X~ and Y~ before. The plaintext
//! of [XY] is the integer XY, whatever the sizes on the way: all of it is linear modulo N.

use super::Cipher;
use super::int::{Ints, Wide, add, mul, neg, power, widened};
use super::range::{Behind, Reveal};
use super::secret::{Form, Secret};
use super::veil::{Inner, Veil};
use crate::engine::{Product, Transpose};
use crate::error::{Op, Result};
use crate::tensor::{Meta, Shape, View, viewed};
use dyad_bcp::matrix::{Int, SecretMatrix};
use dyad_bcp::{Ciphertext, Plaintext};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What C0 is to encrypt of -X~, for whom it has not yet.
enum Want<'a> {
    /// Entry by entry.
    Singles(&'a Veil),
    /// Rows of a table, entry by entry.
    Rows(&'a Veil, Vec<u32>),
    /// Packed row by row, perhaps transposed first.
    Packed(&'a Veil, bool),
}

impl Want<'_> {
    fn groups(&self) -> Vec<usize> {
        match self {
            Self::Singles(x) => vec![1; x.shape().len()],
            Self::Rows(x, rows) => vec![1; rows.len() * x.shape().cols],
            Self::Packed(x, transposed) => {
                let shape = x.shape();
                let shape = if *transposed { shape.transposed() } else { shape };
                x.ground().groups(form_of(x, shape), shape)
            }
        }
    }

    /// -X~, at C0.
    fn ints(&self) -> Ints {
        let ints = match self {
            Self::Singles(x) => x.0.ints.to_vec(),
            Self::Rows(x, rows) => {
                let table = x.0.rows.as_ref().map(|(table, _)| &table.0.veil);
                let table = table.unwrap_or_else(|| unreachable!("rows of a table"));
                viewed(&table.0.ints, table.shape(), &View::Rows(rows))
            }
            Self::Packed(x, transposed) => turned(&x.0.ints, x.shape(), *transposed),
        };
        let ints = Ints::from(ints);
        ints.iter().map(neg).collect::<Vec<_>>().into()
    }

    /// Keeps what came.
    fn keep(&self, ciphertexts: Vec<Ciphertext>) {
        match self {
            Self::Singles(x) => drop(x.0.singles.set(ciphertexts)),
            Self::Packed(x, transposed) => {
                drop(x.0.packed[usize::from(*transposed)].set(ciphertexts));
            }
            Self::Rows(x, rows) => {
                let cols = x.shape().cols;
                let Some((table, _)) = &x.0.rows else { return };
                for (i, row) in rows.iter().enumerate() {
                    let some = ciphertexts.get(i * cols..(i + 1) * cols).unwrap_or_default();
                    drop(table.0.singles[*row as usize].set(some.to_vec()));
                }
            }
        }
    }
}

/// The form of a tensor of this shape beside this one.
fn form_of(x: &Veil, shape: Shape) -> Form {
    if x.ground().packs(shape) { Form::Packed } else { Form::Single }
}

fn turned<T: Clone>(x: &[T], shape: Shape, transposed: bool) -> Vec<T> {
    if transposed { viewed(x, shape, &View::Transpose) } else { x.to_vec() }
}

/// What is still to be encrypted of a factor one by one, if anything.
fn singles(x: &Veil) -> Option<Want<'_>> {
    if x.0.singles.get().is_some() {
        return None;
    }
    let Some((table, rows)) = &x.0.rows else { return Some(Want::Singles(x)) };
    let mut missing: Vec<u32> = Vec::new();
    for row in rows {
        if table.0.singles[*row as usize].get().is_none() && !missing.contains(row) {
            missing.push(*row);
        }
    }
    (!missing.is_empty()).then_some(Want::Rows(x, missing))
}

/// Ciphertexts that C0 is to make of the factors of a product; they count as made from now on.
pub(super) fn wanted(form: Product, x: &Veil, y: &Veil) -> usize {
    let mut wants: Vec<Want<'_>> = singles(x).into_iter().collect();
    match form {
        Product::Matrix(t) if y.0.packed[usize::from(t.second())].get().is_none() => {
            wants.push(Want::Packed(y, t.second()));
        }
        Product::Entries if !Arc::ptr_eq(&x.0, &y.0) => wants.extend(singles(y)),
        Product::Matrix(_) | Product::Entries => {}
    }
    let count = wants.iter().map(|want| want.groups().len()).sum();
    for want in &wants {
        want.keep(vec![]);
    }
    count
}

/// Encryptions of -X~ one by one, at C1.
fn single_ciphertexts(x: &Veil) -> Vec<Ciphertext> {
    match &x.0.rows {
        Some((table, rows)) => {
            let row = |row: &u32| table.0.singles[*row as usize].get().cloned().unwrap_or_default();
            rows.iter().flat_map(row).collect()
        }
        None => x.0.singles.get().cloned().unwrap_or_default(),
    }
}

/// Products of blinded values, or of blinds.
type Wides = Zeroizing<Vec<Wide>>;

/// X Y, both in words enough.
fn multiplied(x: &[Int], y: &[Int], rows: usize, inner: usize, cols: usize) -> Wides {
    let entry = |i: usize, j: usize| {
        (0..inner).fold([0; 8], |sum: Wide, k| {
            add(&sum, &mul(&widened(&x[i * inner + k]), &widened(&y[k * cols + j])))
        })
    };
    // As long as it gets from the first: one that grows would leave what it held behind.
    let mut all = Zeroizing::new(vec![[0; 8]; rows * cols]);
    for (at, out) in all.iter_mut().enumerate() {
        *out = entry(at / cols, at % cols);
    }
    all
}

impl Cipher {
    pub(super) fn multiplied(
        &mut self,
        op: Op,
        form: Product,
        (x, mx): (&Veil, Meta),
        (y, my): (&Veil, Meta),
        out: Meta,
    ) -> Result<Secret> {
        let (x, y) = (self.fit(op, x, mx)?, self.fit(op, y, my)?);
        if out.shape.is_empty() {
            return Ok(Secret::known(&self.ground, out.shape, vec![]));
        }
        match form {
            Product::Matrix(t) => self.matrices(op, t, &x, &y, out.shape),
            Product::Entries => self.entries(op, &x, &y, out.shape),
        }
    }

    /// A factor whose mask is short enough: one that sums made too long is masked anew.
    fn fit(&mut self, op: Op, x: &Veil, meta: Meta) -> Result<Veil> {
        if x.0.bits <= super::veil::MOST_BITS {
            return Ok(x.clone());
        }
        let veils = self.veiled(op, &[(&x.0.x, meta)])?;
        veils.into_iter().next().ok_or_else(|| unreachable!("one in, one out"))
    }

    /// C0 encrypts what is wanted of the factors, and X~ Y~; C1 has the latter.
    fn encrypted(
        &mut self,
        op: Op,
        wants: &[Want<'_>],
        groups: &[usize],
        product: impl FnOnce() -> Wides,
    ) -> Result<Vec<Ciphertext>> {
        let ground = Arc::clone(&self.ground);
        let sizes: Vec<Vec<usize>> = wants.iter().map(Want::groups).collect();
        let count = sizes.iter().map(Vec::len).sum::<usize>() + groups.len();
        let mut plain: Vec<Plaintext> = Vec::new();
        if !ground.holds {
            for (want, groups) in wants.iter().zip(&sizes) {
                plain.extend(ground.plaintexts(groups, &want.ints()));
            }
            plain.extend(ground.plaintexts(groups, &product()));
        }
        let mut dealt = self.deal(op, &plain, count)?.into_iter();
        for (want, groups) in wants.iter().zip(&sizes) {
            want.keep(dealt.by_ref().take(groups.len()).collect());
        }
        Ok(dealt.collect())
    }

    fn matrices(&mut self, op: Op, t: Transpose, x: &Veil, y: &Veil, out: Shape) -> Result<Secret> {
        let ground = Arc::clone(&self.ground);
        let Shape { rows, cols } = out;
        let inner = if t.first() { x.shape().rows } else { x.shape().cols };
        let form = if ground.packs(out) { Form::Packed } else { Form::Single };
        let groups = ground.groups(form, out);
        let reach = x.0.x.reach.most() * y.0.x.reach.most() * inner as f64;
        let mut wants: Vec<Want<'_>> = singles(x).into_iter().collect();
        let packed = &y.0.packed[usize::from(t.second())];
        if packed.get().is_none() {
            wants.push(Want::Packed(y, t.second()));
        }
        let a = Ints::from(turned(&x.0.ints, x.shape(), t.first()));
        let b = Ints::from(turned(&y.0.ints, y.shape(), t.second()));
        // X~ Y~ at C0, R S at C1.
        let whole = || multiplied(&a, &b, rows, inner, cols);
        let product = self.encrypted(op, &wants, &groups, whole)?;
        if !ground.holds {
            return Ok(Secret::leaf(&ground, out, Form::Packed, reach, Vec::new));
        }
        let key = &ground.key;
        let failed = Self::failed(op);
        let mut sum =
            key.add_plain_many(&product, &ground.plaintexts(&groups, &whole())).map_err(&failed)?;
        if inner > 0 {
            let Inner { bits, signed, .. } = &*y.0;
            let s = SecretMatrix::new(inner, cols, b.to_vec(), *bits, *signed).map_err(&failed)?;
            let x_tilde = turned(&single_ciphertexts(x), x.shape(), t.first());
            let products = key.times_matrix(&x_tilde, &s).map_err(&failed)?;
            sum = key.add_many(&sum, &ground.pack(&products, &groups)).map_err(&failed)?;

            // Row t of the bases is the t-th ciphertext of each row of Y~; column i of the
            // exponents is row i of R.
            let count = groups.len() / rows;
            let packed = packed.get().cloned().unwrap_or_default();
            let bases = turned(&packed, Shape::new(inner, count), true);
            let Inner { bits, signed, .. } = &*x.0;
            let r = turned(&a, Shape::new(rows, inner), true);
            let r = SecretMatrix::new(inner, rows, r, *bits, *signed).map_err(&failed)?;
            let products = key.times_matrix(&bases, &r).map_err(&failed)?;
            let products = turned(&products, Shape::new(count, rows), true);
            sum = key.add_many(&sum, &products).map_err(&failed)?;
        }
        Ok(Secret::leaf(&ground, out, Form::Packed, reach, || sum))
    }

    fn entries(&mut self, op: Op, x: &Veil, y: &Veil, out: Shape) -> Result<Secret> {
        let ground = Arc::clone(&self.ground);
        let mut wants: Vec<Want<'_>> = singles(x).into_iter().collect();
        if !Arc::ptr_eq(&x.0, &y.0) {
            wants.extend(singles(y));
        }
        let groups = vec![1; out.len()];
        let reach = x.0.x.reach.most() * y.0.x.reach.most();
        let pairs = || x.0.ints.iter().zip(y.0.ints.iter());
        let whole = || -> Wides {
            pairs().map(|(x, y)| mul::<8>(&widened(x), &widened(y))).collect::<Vec<_>>().into()
        };
        let product = self.encrypted(op, &wants, &groups, whole)?;
        if !ground.holds {
            return Ok(Secret::of_singles(&ground, out, reach, Vec::new));
        }
        let key = &ground.key;
        let failed = Self::failed(op);
        let own = ground.plaintexts(&groups, &whole());
        let mut sum = key.add_plain_many(&product, &own).map_err(&failed)?;
        for (tilde, other) in [(x, y), (y, x)] {
            let scaled = self.scaled(&single_ciphertexts(tilde), other);
            sum = key.add_many(&sum, &scaled.map_err(&failed)?).map_err(&failed)?;
        }
        Ok(Secret::of_singles(&ground, out, reach, || sum))
    }

    /// Each times its own secret number.
    fn scaled(&self, x: &[Ciphertext], by: &Veil) -> dyad_bcp::Result<Vec<Ciphertext>> {
        let key = &self.ground.key;
        let Inner { ints, bits, signed, .. } = &*by.0;
        let offset = if *signed { power(*bits) } else { [0; 4] };
        let exponents = Ints::from(ints.iter().map(|s| add(s, &offset)).collect::<Vec<_>>());
        let exponents = self.ground.plaintexts(&vec![1; x.len()], &exponents);
        let scaled = key.scale_many_bounded(x, &exponents, bits + usize::from(*signed))?;
        if *signed { key.sub_many(&scaled, &key.shift_many(x, *bits)?) } else { Ok(scaled) }
    }

    /// Masks of tensors: each needs one opening.
    pub(super) fn veiled(&mut self, op: Op, xs: &[(&Secret, Meta)]) -> Result<Vec<Veil>> {
        let secrets: Vec<&Secret> = xs.iter().map(|(x, _)| *x).collect();
        let settled = self.settle(op, &secrets)?;
        let reveals: Vec<_> = settled
            .iter()
            .zip(xs)
            .map(|(x, (_, meta))| {
                let bound = super::bound_of(*meta);
                Reveal { x, add: 0, bound, behind: Behind::Mask }
            })
            .collect();
        // R, 2^b and a value that may have left its bound, before it is known that it has not.
        let bits: Vec<usize> = reveals.iter().map(|reveal| reveal.blind_bits() + 1).collect();
        let ints = self.reveal(op, &reveals)?;
        // The test is of the tensor and of what it was made ready for the opening as.
        for (x, (given, _)) in settled.iter().zip(xs) {
            given.reach.lower(x.reach.most());
        }
        let all = settled.into_iter().zip(ints).zip(bits);
        Ok(all.map(|((x, ints), bits)| Veil::new(x, ints, bits, false)).collect())
    }
}
