//! What a program is written against: tensors with their shape, scale and bound, and operations on
//! them that check all three, number themselves and enter a hash of all that was done.
//!
//! A program may branch on what is known before the run (shapes, hyper-parameters, seeds, the
//! step's number), never on what it opens: the dealer runs the same program and opens nothing.
//!
//! - `local`: operations without a message: sums, views, factors, declared bounds
//! - `secret`: masks, products, truncation, comparison, gates, tables, openings

mod local;
mod secret;

use crate::engine::Engine;
use crate::error::{Error, Op, Result};
use crate::prg::STREAM_WORDS;
use crate::tensor::{Meta, Shape};
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
        program(self.here(name), what)
    }

    /// Where the next operation would stand.
    const fn here(&self, name: &'static str) -> Op {
        Op { step: self.step, number: self.number, name }
    }

    /// Numbers an operation and takes note of it.
    fn op(&mut self, name: &'static str, operands: &[Operand], public: &[u64]) -> Result<Op> {
        let op = self.here(name);
        if self.number >= MAX_OPERATIONS {
            return Err(program(op, "a step has at most 2^20 operations"));
        }
        self.number += 1;
        self.begun = true;
        self.trace.update([name.len() as u8]);
        self.trace.update(name);
        self.trace.update((operands.len() as u64).to_be_bytes());
        for (Meta { shape, scale, bound }, id) in operands {
            let mut bytes = [0; 26];
            bytes[..8].copy_from_slice(&(shape.rows as u64).to_be_bytes());
            bytes[8..16].copy_from_slice(&(shape.cols as u64).to_be_bytes());
            bytes[16..18].copy_from_slice(&[*scale, *bound]);
            bytes[18..].copy_from_slice(&id.to_be_bytes());
            self.trace.update(bytes);
        }
        self.trace.update((public.len() as u64).to_be_bytes());
        // Many at a time: a hash is quick on blocks, and slow to be called.
        let mut bytes = [[0; 8]; 64];
        for words in public.chunks(bytes.len()) {
            for (bytes, word) in bytes.iter_mut().zip(words) {
                *bytes = word.to_be_bytes();
            }
            self.trace.update(bytes[..words.len()].as_flattened());
        }
        Ok(op)
    }

    /// A new tensor.
    const fn made<T>(&mut self, meta: Meta, data: T) -> Of<T> {
        self.made += 1;
        Of { meta, data, id: self.made }
    }
}

/// Operations in a step; what a label of the streams can name, with room for what engines add.
const MAX_OPERATIONS: u32 = 1 << 20;

/// Entries of a tensor at most: more than any stream has words.
const MAX_ENTRIES: usize = 1 << 36;

fn sized(op: Op, shape: Shape) -> Result<()> {
    match shape.rows.checked_mul(shape.cols) {
        Some(entries) if entries <= MAX_ENTRIES => Ok(()),
        _ => Err(program(op, format!("a {shape} tensor has more than 2^36 entries"))),
    }
}

/// What an operation draws from a stream; more than one has would stop a party in the middle.
fn drawn(op: Op, words: impl Iterator<Item = usize>) -> Result<()> {
    let words: u128 = words.map(|words| words as u128).sum();
    if words <= STREAM_WORDS.into() {
        return Ok(());
    }
    Err(program(
        op,
        format!("it takes {words} words of a stream that has 2^32 words: do it in parts"),
    ))
}

/// The scale of a tensor, higher by so many bits.
fn finer(op: Op, x: Meta, by: u8) -> Result<u8> {
    let scale = x.scale.checked_add(by).filter(|scale| *scale < 64);
    scale.ok_or_else(|| program(op, format!("{x}, {by} bits finer: a scale is at most 63")))
}

fn program(op: Op, what: impl Into<String>) -> Error {
    Error::Program { op, what: what.into() }
}
