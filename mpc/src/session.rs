//! What a program is written against: tensors with their shape, scale and bound, and operations on
//! them that check all three, number themselves and enter a hash of all that was done.
//!
//! A program may branch on what is known before the run (shapes, hyper-parameters, seeds, the
//! step's number), never on what it opens: the dealer runs the same program and opens nothing.

use crate::engine::{Act, Audience, Engine, Outcome, Product, Task, Transpose, Wide};
use crate::error::{Error, Op, Result};
use crate::tensor::{Axis, MAX_BOUND, Meta, Shape, Tensor, View, bits_of_sum};
use sha2::{Digest, Sha256};

/// A tensor of a session: what is public of it, and what the engine keeps.
#[derive(Clone)]
pub struct Of<T> {
    pub(crate) meta: Meta,
    pub(crate) data: T,
    /// Its number among all tensors of the session, so that the trace knows what was done to which.
    id: u64,
}

impl<T> Of<T> {
    /// What the trace notes of an operand.
    const fn operand(&self) -> Operand {
        (self.meta, self.id)
    }

    /// Shape, scale and bound.
    #[must_use]
    pub const fn meta(&self) -> Meta {
        self.meta
    }

    /// Shape.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.meta.shape
    }

    /// Scale.
    #[must_use]
    pub const fn scale(&self) -> u8 {
        self.meta.scale
    }

    /// What the engine keeps of it: a cloud's share, to be stored between steps.
    #[must_use]
    pub const fn data(&self) -> &T {
        &self.data
    }
}

/// Factors, and what an engine keeps of the tensors.
type Terms<'a, T> = Vec<(u64, &'a T)>;

/// An operand: what is public of it, and its number.
type Operand = (Meta, u64);

/// A secret tensor.
pub type Shared<E> = Of<<E as Engine>::Shared>;
/// A secret tensor behind a mask: what products are made of.
pub type Masked<E> = Of<<E as Engine>::Masked>;
/// Secret bits.
pub type Bit<E> = Of<<E as Engine>::Bit>;
/// A secret table whose rows are masked once and used often.
pub type Table<E> = Of<<E as Engine>::Rows>;

/// How a shift to the right rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Rounding {
    /// Towards minus infinity.
    Floor,
    /// To the nearest; halves up.
    #[default]
    Nearest,
}

/// A shift to the right by public bits: the scale falls by as many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shift {
    /// By how many bits.
    pub bits: u8,
    /// How it rounds.
    pub rounding: Rounding,
}

impl Shift {
    /// By `bits`, to the nearest.
    #[must_use]
    pub const fn nearest(bits: u8) -> Self {
        Self { bits, rounding: Rounding::Nearest }
    }

    /// By `bits`, downwards.
    #[must_use]
    pub const fn floor(bits: u8) -> Self {
        Self { bits, rounding: Rounding::Floor }
    }

    /// The rounding constant, which is added before the bits are cut off.
    #[must_use]
    pub const fn constant(self) -> u64 {
        match (self.rounding, self.bits) {
            (Rounding::Floor, _) | (_, 0) => 0,
            (Rounding::Nearest, bits) => 1 << (bits - 1),
        }
    }

    /// Of a meta.
    fn of(self, meta: Meta) -> Meta {
        // To the nearest can round up to the power itself.
        let bound = (meta.bound.saturating_sub(self.bits) + 1).min(meta.bound);
        Meta { scale: meta.scale - self.bits, bound: bound.max(1), ..meta }
    }
}

/// A run of a program on an engine.
pub struct Session<E: Engine> {
    engine: E,
    step: u64,
    number: u32,
    /// Has anything been done yet?
    begun: bool,
    /// Tensors made so far.
    made: u64,
    trace: Sha256,
}

impl<E: Engine> Session<E> {
    /// Starts at step 0, operation 0.
    pub fn new(engine: E) -> Self {
        Self { engine, step: 0, number: 0, begun: false, made: 0, trace: Sha256::new() }
    }

    /// The engine, to ask it what only it knows.
    pub const fn engine(&self) -> &E {
        &self.engine
    }

    /// The engine, when the run is over.
    pub fn into_engine(self) -> E {
        self.engine
    }

    /// The same, to change it.
    pub const fn engine_mut(&mut self) -> &mut E {
        &mut self.engine
    }

    /// A step of the program begins; its operations are numbered from 0. Steps rise: one that came
    /// before has used its masks.
    pub fn step(&mut self, step: u64) -> Result<()> {
        if self.begun && step <= self.step {
            let op = Op { step, number: 0, name: "step" };
            let what = format!("comes after step {}, and its masks are used", self.step);
            return Err(program(op, what));
        }
        (self.step, self.number, self.begun) = (step, 0, true);
        self.trace.update(step.to_be_bytes());
        self.engine.step(step)
    }

    /// Compares with the others that the same was done so far, by them and here.
    pub fn agree(&mut self) -> Result<()> {
        let op = self.op("agree", &[], &[])?;
        let trace = self.trace();
        self.engine.agree(op, trace)
    }

    /// Hash of every operation so far, with shapes, scales, bounds and public factors.
    #[must_use]
    pub fn trace(&self) -> [u8; 32] {
        self.trace.clone().finalize().into()
    }

    /// What a function built on sessions says of arguments it cannot take.
    pub(crate) fn refusal(&self, name: &'static str, what: impl Into<String>) -> Error {
        program(Op { step: self.step, number: self.number, name }, what)
    }

    /// Numbers an operation and takes note of it.
    fn op(&mut self, name: &'static str, operands: &[Operand], public: &[u64]) -> Result<Op> {
        let op = Op { step: self.step, number: self.number, name };
        if self.number >= MAX_OPERATIONS {
            return Err(program(op, "a step has at most 2^20 operations"));
        }
        self.number += 1;
        self.begun = true;
        self.trace.update([name.len() as u8]);
        self.trace.update(name);
        self.trace.update((operands.len() as u64).to_be_bytes());
        for (Meta { shape, scale, bound }, id) in operands {
            self.trace.update((shape.rows as u64).to_be_bytes());
            self.trace.update((shape.cols as u64).to_be_bytes());
            self.trace.update([*scale, *bound]);
            self.trace.update(id.to_be_bytes());
        }
        self.trace.update((public.len() as u64).to_be_bytes());
        for word in public {
            self.trace.update(word.to_be_bytes());
        }
        Ok(op)
    }

    /// A new tensor.
    const fn made<T>(&mut self, meta: Meta, data: T) -> Of<T> {
        self.made += 1;
        Of { meta, data, id: self.made }
    }

    /// An input that the job names.
    pub fn input(&mut self, name: &str, meta: Meta) -> Result<Shared<E>> {
        let letters: Vec<u64> = name.bytes().map(u64::from).collect();
        let op = self.op("input", &[(meta, 0)], &letters)?;
        sized(op, meta.shape)?;
        let data = self.engine.input(op, name, meta)?;
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
        let data = self.engine.public(words);
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
        let op = Op { step: self.step, number: self.number, name: "raise" };
        let factor = 1i64.checked_shl(by.into()).filter(|factor| *factor > 0);
        let factor =
            factor.ok_or_else(|| program(op, format!("{} raised by {by} bits", x.meta)))?;
        self.times(x, factor, by)
    }

    /// x times the public number `k` / 2^`scale`; the scales add up.
    pub fn times(&mut self, x: &Shared<E>, k: i64, scale: u8) -> Result<Shared<E>> {
        let op = Op { step: self.step, number: self.number, name: "times" };
        let scale = finer(op, x.meta, scale)?;
        let mut product = self.linear(&[(k, x)])?;
        product.meta.scale = scale;
        Ok(product)
    }

    /// The same entries, read at a scale that is higher by `by`: division by 2^`by`, free.
    pub fn halve(&mut self, x: &Shared<E>, by: u8) -> Result<Shared<E>> {
        let op = Op { step: self.step, number: self.number, name: "halve" };
        let scale = finer(op, x.meta, by)?;
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

    /// Masks tensors and opens them masked: one round. Every product with them is local then.
    pub fn mask(&mut self, xs: &[&Shared<E>]) -> Result<Vec<Masked<E>>> {
        let metas: Vec<Meta> = xs.iter().map(|x| x.meta).collect();
        let operands: Vec<_> = xs.iter().map(|x| x.operand()).collect();
        let op = self.op("mask", &operands, &[])?;
        let data: Vec<_> = xs.iter().map(|x| (&x.data, x.meta)).collect();
        let masked = self.engine.mask(op, &data)?;
        Ok(masked.into_iter().zip(metas).map(|(data, meta)| self.made(meta, data)).collect())
    }

    /// One tensor masked.
    pub fn mask_one(&mut self, x: &Shared<E>) -> Result<Masked<E>> {
        Ok(only(self.mask(&[x])?))
    }

    /// The tensor behind its mask: free.
    pub fn unmask(&mut self, x: &Masked<E>) -> Result<Shared<E>> {
        self.op("unmask", &[x.operand()], &[])?;
        let data = self.engine.unmask(&x.data);
        Ok(self.made(x.meta, data))
    }

    /// Matrix product, either factor transposed first if so marked; no message.
    pub fn matmul(&mut self, x: &Masked<E>, y: &Masked<E>, t: Transpose) -> Result<Shared<E>> {
        let op = self.op("matmul", &[x.operand(), y.operand()], &[t as u64])?;
        let (a, b) = (x.meta.shape, y.meta.shape);
        let a = if t.first() { a.transposed() } else { a };
        let b = if t.second() { b.transposed() } else { b };
        if a.cols != b.rows {
            return Err(program(op, format!("{a} times {b}")));
        }
        let shape = Shape::new(a.rows, b.cols);
        self.product(op, Product::Matrix(t), x, y, shape, bits_of_sum(a.cols))
    }

    /// Product entry by entry; no message.
    pub fn multiply(&mut self, x: &Masked<E>, y: &Masked<E>) -> Result<Shared<E>> {
        let op = self.op("multiply", &[x.operand(), y.operand()], &[])?;
        if x.meta.shape != y.meta.shape {
            return Err(program(op, format!("{} times {}, entry by entry", x.meta, y.meta)));
        }
        self.product(op, Product::Entries, x, y, x.meta.shape, 0)
    }

    fn product(
        &mut self,
        op: Op,
        form: Product,
        x: &Masked<E>,
        y: &Masked<E>,
        shape: Shape,
        sum: u8,
    ) -> Result<Shared<E>> {
        sized(op, shape)?;
        let scale = finer(op, x.meta, y.meta.scale)?;
        let bound = x.meta.bound.saturating_add(y.meta.bound).saturating_add(sum);
        let meta = Meta { shape, scale, bound };
        let data = self.engine.product(op, form, (&x.data, x.meta), (&y.data, y.meta), meta)?;
        Ok(self.made(meta, data))
    }

    /// x >> s each: the scale falls by s, the number stays.
    pub fn truncate(&mut self, xs: &[(&Shared<E>, Shift)]) -> Result<Vec<Shared<E>>> {
        let acts: Vec<_> =
            xs.iter().map(|(x, shift)| (Act::Truncate(shift.bits), *x, *shift, None)).collect();
        Ok(self.act("truncate", &acts)?.into_iter().map(|(value, _)| some(value)).collect())
    }

    /// One tensor truncated.
    pub fn truncate_one(&mut self, x: &Shared<E>, shift: Shift) -> Result<Shared<E>> {
        Ok(only(self.truncate(&[(x, shift)])?))
    }

    /// The bits x >= 0.
    pub fn not_negative(&mut self, xs: &[&Shared<E>]) -> Result<Vec<Bit<E>>> {
        self.test("compare", Act::Sign, xs)
    }

    /// The bits x = 0.
    pub fn is_zero(&mut self, xs: &[&Shared<E>]) -> Result<Vec<Bit<E>>> {
        self.test("equal", Act::Zero, xs)
    }

    fn test(&mut self, name: &'static str, act: Act, xs: &[&Shared<E>]) -> Result<Vec<Bit<E>>> {
        let acts: Vec<_> = xs.iter().map(|x| (act, *x, Shift::floor(0), None)).collect();
        Ok(self.act(name, &acts)?.into_iter().map(|(_, bit)| some(bit)).collect())
    }

    /// The bits x >= t for a public t, given as a ring element of x's scale.
    pub fn at_least(&mut self, x: &Shared<E>, t: i64) -> Result<Bit<E>> {
        let threshold = self.constant(Meta { bound: bits(t) + 1, ..x.meta }, t)?;
        let difference = self.sub(x, &threshold)?;
        Ok(only(self.not_negative(&[&difference])?))
    }

    /// The bits x = t for a public t, given as a ring element of x's scale.
    pub fn equals(&mut self, x: &Shared<E>, t: i64) -> Result<Bit<E>> {
        let value = self.constant(Meta { bound: bits(t) + 1, ..x.meta }, t)?;
        let difference = self.sub(x, &value)?;
        Ok(only(self.is_zero(&[&difference])?))
    }

    /// Where b is set x >> s, else 0.
    pub fn gate(&mut self, xs: &[(&Bit<E>, &Shared<E>, Shift)]) -> Result<Vec<Shared<E>>> {
        let acts: Vec<_> =
            xs.iter().map(|(b, x, shift)| (Act::Gate(shift.bits), *x, *shift, Some(*b))).collect();
        Ok(self.act("gate", &acts)?.into_iter().map(|(value, _)| some(value)).collect())
    }

    /// Where b is set x, else y: y + b (x - y).
    pub fn select(&mut self, b: &Bit<E>, x: &Shared<E>, y: &Shared<E>) -> Result<Shared<E>> {
        let difference = self.sub(x, y)?;
        let kept = only(self.gate(&[(b, &difference, Shift::floor(0))])?);
        let mut chosen = self.add(y, &kept)?;
        chosen.meta.bound = x.meta.bound.max(y.meta.bound);
        Ok(chosen)
    }

    /// max(x >> s, 0) and the bits x >= 0, s > 0; x with the rounding constant in it.
    pub fn relu(&mut self, xs: &[(&Shared<E>, Shift)]) -> Result<Vec<(Shared<E>, Bit<E>)>> {
        let acts: Vec<_> =
            xs.iter().map(|(x, shift)| (Act::Relu(shift.bits), *x, *shift, None)).collect();
        let outcomes = self.act("relu", &acts)?;
        Ok(outcomes.into_iter().map(|(value, bit)| (some(value), some(bit))).collect())
    }

    /// The bits as numbers 0 and 1 at scale 0: free.
    pub fn number(&mut self, b: &Bit<E>) -> Result<Shared<E>> {
        self.op("number", &[b.operand()], &[])?;
        let data = self.engine.number(&b.data);
        Ok(self.made(Meta { bound: 1, ..b.meta }, data))
    }

    /// The opposite bits: free.
    pub fn not(&mut self, b: &Bit<E>) -> Result<Bit<E>> {
        self.op("not", &[b.operand()], &[])?;
        let data = self.engine.not(&b.data);
        Ok(self.made(b.meta, data))
    }

    /// Masks a table once; its rows are products' factors as often as one likes.
    pub fn prepare(&mut self, x: Shared<E>) -> Result<Table<E>> {
        let op = self.op("prepare", &[x.operand()], &[])?;
        let Of { meta, data, .. } = x;
        let data = self.engine.prepare(op, data, meta)?;
        Ok(self.made(meta, data))
    }

    /// Rows of a table: no message.
    pub fn rows(&mut self, table: &Table<E>, rows: &[u32]) -> Result<Masked<E>> {
        let words: Vec<u64> = rows.iter().map(|row| (*row).into()).collect();
        let op = self.op("rows", &[table.operand()], &words)?;
        let shape = View::Rows(rows).shape(table.meta.shape).map_err(|what| program(op, what))?;
        let data = self.engine.rows(&table.data, table.meta, rows)?;
        Ok(self.made(Meta { shape, ..table.meta }, data))
    }

    /// Opens.
    pub fn open(&mut self, xs: &[&Shared<E>], to: Audience) -> Result<Vec<E::Opened>> {
        let operands: Vec<_> = xs.iter().map(|x| x.operand()).collect();
        let audience = match to {
            Audience::All => 2,
            Audience::One(party) => party.index() as u64,
        };
        let op = self.op("open", &operands, &[audience])?;
        let data: Vec<_> = xs.iter().map(|x| (&x.data, x.meta)).collect();
        self.engine.open(op, &data, to)
    }

    /// Opens one tensor to both clouds.
    pub fn open_one(&mut self, x: &Shared<E>) -> Result<E::Opened> {
        Ok(only(self.open(&[x], Audience::All)?))
    }

    /// Checks what can be checked and lets the engine act.
    #[expect(clippy::type_complexity, reason = "what an act takes, in one place")]
    fn act(
        &mut self,
        name: &'static str,
        acts: &[(Act, &Shared<E>, Shift, Option<&Bit<E>>)],
    ) -> Result<Vec<(Option<Shared<E>>, Option<Bit<E>>)>> {
        let gated = |bit: Option<&Bit<E>>| bit.map(Of::operand);
        let operands: Vec<_> = acts
            .iter()
            .flat_map(|(_, x, _, bit)| std::iter::once(x.operand()).chain(gated(*bit)))
            .collect();
        let shifts: Vec<u64> = acts
            .iter()
            .flat_map(|(.., shift, _)| [shift.bits.into(), shift.rounding as u64])
            .collect();
        let op = self.op(name, &operands, &shifts)?;
        for (act, x, shift, bit) in acts {
            check_act(op, *act, x.meta, *shift, bit.map(|b| b.meta))?;
        }
        let tasks: Vec<Task<'_, E>> = acts
            .iter()
            .map(|(act, x, shift, bit)| Task {
                act: *act,
                z: &x.data,
                meta: x.meta,
                add: shift.constant(),
                bit: bit.map(|b| &b.data),
            })
            .collect();
        let outcomes = self.engine.act(op, &tasks)?;
        Ok(outcomes
            .into_iter()
            .zip(acts)
            .map(|(Outcome { value, bit }, (_, x, shift, _))| {
                let bits = Meta { scale: 0, bound: 1, ..x.meta };
                (
                    value.map(|data| self.made(shift.of(x.meta), data)),
                    bit.map(|data| self.made(bits, data)),
                )
            })
            .collect())
    }
}

/// Operations in a step; what a label of the streams can name, with room for what engines add.
const MAX_OPERATIONS: u32 = 1 << 20;

/// What the ring holds with its sign: beyond it a number comes back as another.
const RING: u8 = 63;

/// Entries of a tensor at most: more than any stream has words.
const MAX_ENTRIES: usize = 1 << 36;

fn sized(op: Op, shape: Shape) -> Result<()> {
    match shape.rows.checked_mul(shape.cols) {
        Some(entries) if entries <= MAX_ENTRIES => Ok(()),
        _ => Err(program(op, format!("a {shape} tensor has more than 2^36 entries"))),
    }
}

/// The scale of a tensor, higher by so many bits.
fn finer(op: Op, x: Meta, by: u8) -> Result<u8> {
    let scale = x.scale.checked_add(by).filter(|scale| *scale < 64);
    scale.ok_or_else(|| program(op, format!("{x}, {by} bits finer: a scale is at most 63")))
}

fn program(op: Op, what: impl Into<String>) -> Error {
    Error::Program { op, what: what.into() }
}

fn check_act(op: Op, act: Act, x: Meta, shift: Shift, bit: Option<Meta>) -> Result<()> {
    let lowest = match act {
        Act::Sign | Act::Zero | Act::Gate(_) => 0,
        Act::Truncate(_) | Act::Relu(_) => 1,
    };
    if !(lowest..=62).contains(&shift.bits) || shift.bits > x.scale {
        return Err(program(op, format!("a shift of {} bits of {x}", shift.bits)));
    }
    // With the rounding constant, half of what is cut off.
    let bound = match shift.constant() {
        0 => x.bound,
        _ => x.bound.max(shift.bits - 1).saturating_add(1),
    };
    // A gate without a shift and a test for zero hold for all of the ring.
    let any = matches!(act, Act::Zero | Act::Gate(0));
    if bound > MAX_BOUND && !any {
        let what = format!("{x} exceeds 2^{MAX_BOUND}: declare its bound or lower the scales");
        return Err(program(op, what));
    }
    match bit {
        Some(bit) if bit.shape != x.shape => {
            Err(program(op, format!("bits {} for {x}", bit.shape)))
        }
        _ => Ok(()),
    }
}

/// The bits of |k|, rounded up: |k x| < 2^(bits + bound).
const fn bits(k: i64) -> u8 {
    let k = k.unsigned_abs();
    (u64::BITS - k.saturating_sub(1).leading_zeros()) as u8
}

fn only<T>(mut all: Vec<T>) -> T {
    all.pop().unwrap_or_else(|| unreachable!("an engine answers for each tensor"))
}

fn some<T>(value: Option<T>) -> T {
    value.unwrap_or_else(|| unreachable!("an engine gives what the act promises"))
}
