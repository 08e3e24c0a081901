//! Engines: what a program's operations do.
//!
//! A program is written once, against [`Session`](crate::Session). Which engine stands behind the
//! session decides what happens:
//!
//! | engine | is |
//! | --- | --- |
//! | [`Clear`](crate::Clear) | the same fixed point in the clear, bit for bit |
//! | [`Party`](crate::Party) | the computation on shares, over a link |
//! | [`Dealer`](crate::Dealer) | the same program on masks: writes the correlations |
//! | [`Cost`](crate::Cost) | the same program on shapes: counts rounds and bytes |
//!
//! The session has checked shapes, scales and bounds before an engine is called, so an engine only
//! does the work.

pub mod clear;

use crate::error::{Op, Result};
use crate::tensor::{Axis, Meta, Shape, Tensor};

/// How a product of two masked tensors is formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Product {
    /// Of matrices, each transposed first if so marked.
    Matrix(Transpose),
    /// Entry by entry.
    Entries,
}

/// Which factor of a matrix product is transposed first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transpose {
    /// X Y
    #[default]
    None,
    /// Xᵀ Y
    First,
    /// X Yᵀ
    Second,
    /// Xᵀ Yᵀ
    Both,
}

impl Transpose {
    /// Is the first factor transposed?
    #[must_use]
    pub const fn first(self) -> bool {
        matches!(self, Self::First | Self::Both)
    }

    /// Is the second factor transposed?
    #[must_use]
    pub const fn second(self) -> bool {
        matches!(self, Self::Second | Self::Both)
    }
}

/// What is done entry by entry that is not linear. z includes what is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// z >> s, rounded down; 1 <= s <= 62.
    Truncate(u8),
    /// The bit z >= 0.
    Sign,
    /// The bit z = 0.
    Zero,
    /// The bit z >= 0, and where it is set z >> s, else 0; 1 <= s <= 62.
    Relu(u8),
    /// z >> s where a bit is set, else 0; 0 <= s <= 62.
    Gate(u8),
}

/// An [`Act`] on a tensor.
pub struct Task<'a, E: Engine + ?Sized> {
    /// What to do.
    pub act: Act,
    /// With what.
    pub z: &'a E::Shared,
    /// Its shape.
    pub meta: Meta,
    /// What is added to each entry first: the rounding constant.
    pub add: u64,
    /// For [`Act::Gate`]: the bits.
    pub bit: Option<&'a E::Bit>,
}

/// What an [`Act`] gives: a number, a bit, or both.
pub struct Outcome<E: Engine + ?Sized> {
    /// Of [`Act::Truncate`], [`Act::Relu`] and [`Act::Gate`].
    pub value: Option<E::Shared>,
    /// Of [`Act::Sign`], [`Act::Zero`] and [`Act::Relu`].
    pub bit: Option<E::Bit>,
}

/// A local operation whose result may be wider than the ring.
pub enum Wide<'a, T> {
    /// Sum of k_i x_i.
    Linear(&'a [(u64, &'a T)]),
    /// Each entry by its own factor.
    Weigh(&'a T, &'a [u64]),
    /// Sum along an axis.
    Sum(&'a T, Shape, Axis),
}

/// Who may read what is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Both clouds.
    All,
    /// One of them.
    One(crate::prg::Party),
}

/// What stands behind a [`Session`](crate::Session). Operations that take several tensors do them
/// all in the rounds of one.
pub trait Engine {
    /// A secret tensor: additive shares, in the engine of the clouds.
    type Shared: Tensor;
    /// A secret tensor behind a mask, its difference to it public.
    type Masked: Tensor;
    /// Secret bits.
    type Bit: Tensor;
    /// A secret table whose rows are masked once.
    type Rows;
    /// What is opened: numbers, in engines that have them.
    type Opened;

    /// A step begins.
    fn step(&mut self, step: u64) -> Result<()>;
    /// An input named in the job.
    fn input(&mut self, op: Op, name: &str, meta: Meta) -> Result<Self::Shared>;
    /// An input that the dealer alone knows, dealt as shares.
    fn dealer_input(&mut self, op: Op, name: &str, meta: Meta) -> Result<Self::Shared>;
    /// Public numbers.
    fn public(&mut self, shape: Shape, values: Vec<u64>) -> Self::Shared;
    /// Numbers nobody knows, the sum of two draws of each party: uniform in the ring.
    fn mask(&mut self, op: Op, xs: &[(&Self::Shared, Meta)]) -> Result<Vec<Self::Masked>>;
    /// The tensor behind the mask.
    fn unmask(&mut self, x: &Self::Masked) -> Self::Shared;
    /// The product of two masked tensors; `out` is its meta.
    fn product(
        &mut self,
        op: Op,
        form: Product,
        x: (&Self::Masked, Meta),
        y: (&Self::Masked, Meta),
        out: Meta,
    ) -> Result<Self::Shared>;
    /// Everything that is not linear, entry by entry.
    fn act(&mut self, op: Op, tasks: &[Task<'_, Self>]) -> Result<Vec<Outcome<Self>>>;
    /// The bits as numbers 0 and 1.
    fn number(&mut self, b: &Self::Bit) -> Self::Shared;
    /// The opposite bits.
    fn not(&mut self, b: &Self::Bit) -> Self::Bit;
    /// Masks a table, row by row. It may be large, so it is handed over.
    fn prepare(&mut self, op: Op, x: Self::Shared, meta: Meta) -> Result<Self::Rows>;
    /// Rows of a masked table, as a masked tensor.
    fn rows(&mut self, table: &Self::Rows, meta: Meta, rows: &[u32]) -> Result<Self::Masked>;
    /// Opens.
    fn open(
        &mut self,
        op: Op,
        xs: &[(&Self::Shared, Meta)],
        to: Audience,
    ) -> Result<Vec<Self::Opened>>;
    /// The declared bound holds. Only the clear engine can tell.
    fn check(&mut self, op: Op, x: &Self::Shared, meta: Meta) -> Result<()>;
    /// A local operation whose worst case leaves the ring does not. Only the clear engine can tell.
    fn check_wide(&mut self, _: Op, _: &Wide<'_, Self::Shared>) -> Result<()> {
        Ok(())
    }
    /// The hash of all that was done so far is this: clouds compare, and C1 and the dealer.
    fn agree(&mut self, op: Op, trace: [u8; 32]) -> Result<()>;
}
