//! Operations that every engine does on what it holds, without a message.

use super::{Bit, Masked, Of, Session, Shared, drawn, finer, program, sized};
use crate::engine::{Engine, Wide};
use crate::error::{Op, Result};
use crate::tensor::{Axis, Meta, Shape, Tensor, View, bits_of_sum};

/// Factors, and what an engine keeps of the tensors.
type Terms<'a, T> = Vec<(u64, &'a T)>;

/// What the ring holds with its sign: beyond it a number comes back as another.
const RING: u8 = 63;

impl<E: Engine> Session<E> {
    /// An input that the job names.
    pub fn input(&mut self, name: &str, meta: Meta) -> Result<Shared<E>> {
        let letters: Vec<u64> = name.bytes().map(u64::from).collect();
        let op = self.op("input", &[(meta, 0)], &letters)?;
        sized(op, meta.shape)?;
        let data = self.engine.input(op, name, meta)?;
        Ok(self.made(meta, data))
    }

    /// An input of the dealer's: neither cloud knows it, each is dealt a share; no message between
    /// them.
    pub fn dealer_input(&mut self, name: &str, meta: Meta) -> Result<Shared<E>> {
        let letters: Vec<u64> = name.bytes().map(u64::from).collect();
        let op = self.op("dealer's input", &[(meta, 0)], &letters)?;
        sized(op, meta.shape)?;
        drawn(op, std::iter::once(meta.shape.len()))?;
        let data = self.engine.dealer_input(op, name, meta)?;
        Ok(self.made(meta, data))
    }

    /// Public numbers, row by row: the same in every engine.
    pub fn public(&mut self, meta: Meta, values: &[i64]) -> Result<Shared<E>> {
        let words: Vec<u64> = values.iter().map(|v| *v as u64).collect();
        let op = self.op("public", &[(meta, 0)], &words)?;
        sized(op, meta.shape)?;
        if values.len() != meta.shape.len() {
            return Err(program(op, format!("{} numbers for {meta}", values.len())));
        }
        if let Some(v) =
            values.iter().find(|v| v.unsigned_abs().checked_shr(meta.bound.into()).unwrap_or(0) > 0)
        {
            return Err(program(op, format!("{v} is not below 2^{}", meta.bound)));
        }
        let data = self.engine.public(meta.shape, words);
        Ok(self.made(meta, data))
    }

    /// One public number everywhere.
    pub fn constant(&mut self, meta: Meta, value: i64) -> Result<Shared<E>> {
        self.public(meta, &vec![value; meta.shape.len()])
    }

    /// Sum of k_i x_i: same shapes, same scales.
    pub fn linear(&mut self, terms: &[(i64, &Shared<E>)]) -> Result<Shared<E>> {
        let (op, meta, terms) = self.linear_of("linear", terms)?;
        if meta.bound > RING {
            self.engine.check_wide(op, &Wide::Linear(&terms))?;
        }
        Ok(self.made(meta, Tensor::linear(&terms)))
    }

    /// The same of masked tensors: the sum is masked by the sum of the masks.
    pub fn linear_masked(&mut self, terms: &[(i64, &Masked<E>)]) -> Result<Masked<E>> {
        let (op, meta, terms) = self.linear_of("linear masked", terms)?;
        if meta.bound > RING {
            let behind: Vec<_> = terms.iter().map(|(k, x)| (*k, self.engine.unmask(x))).collect();
            let behind: Vec<_> = behind.iter().map(|(k, x)| (*k, x)).collect();
            self.engine.check_wide(op, &Wide::Linear(&behind))?;
        }
        Ok(self.made(meta, Tensor::linear(&terms)))
    }

    fn linear_of<'a, T>(
        &mut self,
        name: &'static str,
        terms: &[(i64, &'a Of<T>)],
    ) -> Result<(Op, Meta, Terms<'a, T>)> {
        let operands: Vec<_> = terms.iter().map(|(_, x)| x.operand()).collect();
        let metas: Vec<Meta> = terms.iter().map(|(_, x)| x.meta).collect();
        let factors: Vec<u64> = terms.iter().map(|(k, _)| *k as u64).collect();
        let op = self.op(name, &operands, &factors)?;
        let Some((first, _)) = metas.split_first() else {
            return Err(program(op, "a sum of nothing"));
        };
        if let Some(other) = metas.iter().find(|m| (m.shape, m.scale) != (first.shape, first.scale))
        {
            return Err(program(op, format!("a sum of {first} and {other}")));
        }
        let largest = |(k, x): &(i64, &Of<T>)| x.meta.bound.saturating_add(bits(*k));
        let bound = terms.iter().map(largest).max().unwrap_or(0);
        let bound = bound.saturating_add(bits_of_sum(terms.len()));
        let terms = terms.iter().map(|(k, x)| (*k as u64, &x.data)).collect();
        Ok((op, Meta { bound, ..*first }, terms))
    }

    /// x + y
    pub fn add(&mut self, x: &Shared<E>, y: &Shared<E>) -> Result<Shared<E>> {
        self.linear(&[(1, x), (1, y)])
    }

    /// x - y
    pub fn sub(&mut self, x: &Shared<E>, y: &Shared<E>) -> Result<Shared<E>> {
        self.linear(&[(1, x), (-1, y)])
    }

    /// The same number at a scale that is higher by `by`: free.
    pub fn raise(&mut self, x: &Shared<E>, by: u8) -> Result<Shared<E>> {
        let factor = 1i64.checked_shl(by.into()).filter(|factor| *factor > 0);
        let factor = factor
            .ok_or_else(|| self.refusal("raise", format!("{} raised by {by} bits", x.meta)))?;
        self.times(x, factor, by)
    }

    /// x times the public number `k` / 2^`scale`; the scales add up.
    pub fn times(&mut self, x: &Shared<E>, k: i64, scale: u8) -> Result<Shared<E>> {
        let scale = finer(self.here("times"), x.meta, scale)?;
        let mut product = self.linear(&[(k, x)])?;
        product.meta.scale = scale;
        Ok(product)
    }

    /// The same entries, read at a scale that is higher by `by`: division by 2^`by`, free.
    pub fn halve(&mut self, x: &Shared<E>, by: u8) -> Result<Shared<E>> {
        let scale = finer(self.here("halve"), x.meta, by)?;
        self.read_at(x, scale)
    }

    /// The same entries, read at another scale: free.
    pub fn read_at(&mut self, x: &Shared<E>, scale: u8) -> Result<Shared<E>> {
        let op = self.op("read", &[x.operand()], &[scale.into()])?;
        finer(op, Meta { scale: 0, ..x.meta }, scale)?;
        Ok(self.made(Meta { scale, ..x.meta }, x.data.clone()))
    }

    /// Each entry times its own public number (an integer).
    pub fn weigh(&mut self, x: &Shared<E>, factors: &[i64]) -> Result<Shared<E>> {
        let words: Vec<u64> = factors.iter().map(|k| *k as u64).collect();
        let op = self.op("weigh", &[x.operand()], &words)?;
        if factors.len() != x.meta.shape.len() {
            return Err(program(op, format!("{} factors for {}", factors.len(), x.meta)));
        }
        let most = factors.iter().map(|k| bits(*k)).max().unwrap_or(0);
        let meta = Meta { bound: x.meta.bound.saturating_add(most), ..x.meta };
        if meta.bound > RING {
            self.engine.check_wide(op, &Wide::Weigh(&x.data, &words))?;
        }
        Ok(self.made(meta, x.data.weigh(&words)))
    }

    /// Entries moved about.
    pub fn view(&mut self, x: &Shared<E>, view: &View<'_>) -> Result<Shared<E>> {
        self.view_of(x, view)
    }

    /// The same of a masked tensor: what is one entry twice is masked by one mask.
    pub fn view_masked(&mut self, x: &Masked<E>, view: &View<'_>) -> Result<Masked<E>> {
        self.view_of(x, view)
    }

    /// The same of bits.
    pub fn view_bits(&mut self, b: &Bit<E>, view: &View<'_>) -> Result<Bit<E>> {
        self.view_of(b, view)
    }

    fn view_of<T: Tensor>(&mut self, x: &Of<T>, view: &View<'_>) -> Result<Of<T>> {
        let (kind, words): (u64, Vec<u64>) = match view {
            View::Rows(rows) => (0, rows.iter().map(|row| (*row).into()).collect()),
            View::Columns(range) => (1, vec![range.start as u64, range.end as u64]),
            View::Transpose => (2, vec![]),
            View::Reshape(shape) => (3, vec![shape.rows as u64, shape.cols as u64]),
            View::RepeatRow(times) => (4, vec![*times as u64]),
            View::RepeatColumn(times) => (5, vec![*times as u64]),
        };
        let op = self.op("view", &[x.operand()], &[&[kind], &words[..]].concat())?;
        let shape = view.shape(x.meta.shape).map_err(|what| program(op, what))?;
        sized(op, shape)?;
        Ok(self.made(Meta { shape, ..x.meta }, x.data.view(x.meta.shape, view)))
    }

    /// Sum down the rows (a row is left) or along the columns (a column is left).
    pub fn sum(&mut self, x: &Shared<E>, axis: Axis) -> Result<Shared<E>> {
        let op = self.op("sum", &[x.operand()], &[axis as u64])?;
        let Shape { rows, cols } = x.meta.shape;
        let (shape, terms) = match axis {
            Axis::Rows => (Shape::new(1, cols), rows),
            Axis::Columns => (Shape::new(rows, 1), cols),
        };
        let bound = x.meta.bound.saturating_add(bits_of_sum(terms));
        if bound > RING {
            self.engine.check_wide(op, &Wide::Sum(&x.data, x.meta.shape, axis))?;
        }
        Ok(self.made(Meta { shape, bound, ..x.meta }, x.data.sum(x.meta.shape, axis)))
    }

    /// Tensors of one scale, one after the other along an axis.
    pub fn join(&mut self, parts: &[&Shared<E>], axis: Axis) -> Result<Shared<E>> {
        let metas: Vec<Meta> = parts.iter().map(|x| x.meta).collect();
        let operands: Vec<_> = parts.iter().map(|x| x.operand()).collect();
        let op = self.op("join", &operands, &[axis as u64])?;
        let Some(first) = metas.first() else {
            return Err(program(op, "a join of nothing"));
        };
        let across = |m: &Meta| match axis {
            Axis::Rows => m.shape.cols,
            Axis::Columns => m.shape.rows,
        };
        if let Some(other) =
            metas.iter().find(|m| (across(m), m.scale) != (across(first), first.scale))
        {
            return Err(program(op, format!("{first} joined with {other}")));
        }
        let shape = match axis {
            Axis::Rows => Shape::new(metas.iter().map(|m| m.shape.rows).sum(), across(first)),
            Axis::Columns => Shape::new(across(first), metas.iter().map(|m| m.shape.cols).sum()),
        };
        let bound = metas.iter().map(|m| m.bound).max().unwrap_or(0);
        let parts: Vec<_> = parts.iter().map(|x| (&x.data, x.meta.shape)).collect();
        sized(op, shape)?;
        Ok(self.made(Meta { shape, bound, ..*first }, Tensor::join(&parts, axis)))
    }

    /// Declares |z| < 2^`bound`: the program's author knows more than the worst case. The clear
    /// engine holds it against the values.
    pub fn declare(&mut self, x: &Shared<E>, bound: u8) -> Result<Shared<E>> {
        let meta = Meta { bound, ..x.meta };
        let op = self.op("declare", &[x.operand()], &[bound.into()])?;
        self.engine.check(op, &x.data, meta)?;
        Ok(self.made(meta, x.data.clone()))
    }
}

/// The bits of |k|, rounded up: |k x| < 2^(bits + bound).
pub(super) const fn bits(k: i64) -> u8 {
    let k = k.unsigned_abs();
    (u64::BITS - k.saturating_sub(1).leading_zeros()) as u8
}
