//! What every engine knows of a tensor: its shape, its scale and its bound, never a value.
//!
//! All tensors are matrices. An entry z stands for z / 2^scale, and |z| < 2^bound.

use std::fmt;
use std::ops::Range;

/// Rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
}

impl Shape {
    /// Of `rows` by `cols`.
    #[must_use]
    pub const fn new(rows: usize, cols: usize) -> Self {
        Self { rows, cols }
    }

    /// Entries.
    #[must_use]
    pub const fn len(self) -> usize {
        self.rows * self.cols
    }

    /// Has it no entry?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Columns by rows.
    #[must_use]
    pub const fn transposed(self) -> Self {
        Self { rows: self.cols, cols: self.rows }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.rows, self.cols)
    }
}

/// What is public of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Meta {
    /// Rows and columns.
    pub shape: Shape,
    /// An entry z stands for z / 2^scale.
    pub scale: u8,
    /// |z| < 2^bound, as far as the program can tell. Above [`MAX_BOUND`] it must be declared
    /// before anything but linear operations and products is done.
    pub bound: u8,
}

/// What truncations and comparisons can take: |z| < 2^62, the rounding constant included.
pub const MAX_BOUND: u8 = 62;

impl Meta {
    /// A tensor of this shape.
    #[must_use]
    pub const fn new(rows: usize, cols: usize, scale: u8, bound: u8) -> Self {
        Self { shape: Shape::new(rows, cols), scale, bound }
    }
}

impl fmt::Display for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at scale {}, below 2^{}", self.shape, self.scale, self.bound)
    }
}

/// The bits a sum of `terms` values gains.
pub(crate) fn bits_of_sum(terms: usize) -> u8 {
    (usize::BITS - terms.saturating_sub(1).leading_zeros()) as u8
}

/// Entries of a tensor, moved about but not changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum View<'a> {
    /// These rows, in this order, repetitions allowed.
    Rows(&'a [u32]),
    /// These columns.
    Columns(Range<usize>),
    /// Rows become columns.
    Transpose,
    /// The same entries, row by row, in another shape.
    Reshape(Shape),
    /// A single row, this many times.
    RepeatRow(usize),
    /// A single column, this many times.
    RepeatColumn(usize),
}

impl View<'_> {
    /// The shape it gives, or what is wrong with it.
    pub fn shape(&self, of: Shape) -> Result<Shape, String> {
        match self {
            Self::Rows(rows) => match rows.iter().find(|row| **row as usize >= of.rows) {
                Some(row) => Err(format!("row {row} of a {of} tensor")),
                None => Ok(Shape::new(rows.len(), of.cols)),
            },
            Self::Columns(range) => {
                if range.start <= range.end && range.end <= of.cols {
                    Ok(Shape::new(of.rows, range.len()))
                } else {
                    Err(format!("columns {range:?} of a {of} tensor"))
                }
            }
            Self::Transpose => Ok(of.transposed()),
            Self::Reshape(shape) => {
                if shape.len() == of.len() {
                    Ok(*shape)
                } else {
                    Err(format!("a {of} tensor as {shape}"))
                }
            }
            Self::RepeatRow(times) => match of.rows {
                1 => Ok(Shape::new(*times, of.cols)),
                _ => Err(format!("a {of} tensor is not a single row")),
            },
            Self::RepeatColumn(times) => match of.cols {
                1 => Ok(Shape::new(of.rows, *times)),
                _ => Err(format!("a {of} tensor is not a single column")),
            },
        }
    }
}

/// Along which direction tensors are summed or joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Down the rows: a sum is a single row, joining puts one below the other.
    Rows,
    /// Along the columns: a sum is a single column, joining puts one beside the other.
    Columns,
}

/// What an engine keeps of a tensor. The shapes come from [`Meta`] and have been checked.
pub trait Tensor: Clone + Send {
    /// Sum of k_i x_i in the ring; at least one term, all of one length.
    #[must_use]
    fn linear(terms: &[(u64, &Self)]) -> Self;
    /// Each entry by its own factor.
    #[must_use]
    fn weigh(&self, factors: &[u64]) -> Self;
    /// Entries moved about.
    #[must_use]
    fn view(&self, of: Shape, view: &View<'_>) -> Self;
    /// Sum along an axis.
    #[must_use]
    fn sum(&self, of: Shape, axis: Axis) -> Self;
    /// One after the other along an axis.
    #[must_use]
    fn join(parts: &[(&Self, Shape)], axis: Axis) -> Self;
}

/// Of engines that hold no numbers.
impl Tensor for () {
    fn linear(_: &[(u64, &Self)]) -> Self {}
    fn weigh(&self, _: &[u64]) -> Self {}
    fn view(&self, _: Shape, _: &View<'_>) -> Self {}
    fn sum(&self, _: Shape, _: Axis) -> Self {}
    fn join(_: &[(&Self, Shape)], _: Axis) -> Self {}
}

/// Ring elements, row by row.
impl Tensor for Vec<u64> {
    fn linear(terms: &[(u64, &Self)]) -> Self {
        let (&(k, x), rest) = terms.split_first().unwrap_or_else(|| unreachable!("no terms"));
        let mut sum: Self =
            if k == 1 { x.clone() } else { x.iter().map(|x| k.wrapping_mul(*x)).collect() };
        for (k, x) in rest {
            for (sum, x) in sum.iter_mut().zip(*x) {
                *sum = sum.wrapping_add(k.wrapping_mul(*x));
            }
        }
        sum
    }

    fn weigh(&self, factors: &[u64]) -> Self {
        self.iter().zip(factors).map(|(x, k)| x.wrapping_mul(*k)).collect()
    }

    fn view(&self, of: Shape, view: &View<'_>) -> Self {
        viewed(self, of, view)
    }

    fn sum(&self, of: Shape, axis: Axis) -> Self {
        let add = |a: u64, b: &u64| a.wrapping_add(*b);
        match axis {
            Axis::Columns if of.cols == 0 => vec![0; of.rows],
            Axis::Columns => {
                self.chunks_exact(of.cols).map(|row| row.iter().fold(0, add)).collect()
            }
            Axis::Rows => {
                let mut sum = vec![0u64; of.cols];
                for row in self.chunks_exact(of.cols.max(1)) {
                    for (sum, x) in sum.iter_mut().zip(row) {
                        *sum = sum.wrapping_add(*x);
                    }
                }
                sum
            }
        }
    }

    fn join(parts: &[(&Self, Shape)], axis: Axis) -> Self {
        let parts: Vec<_> = parts.iter().map(|(x, shape)| (x.as_slice(), *shape)).collect();
        joined(&parts, axis)
    }
}

/// Entries moved about, row by row.
pub(crate) fn viewed<T: Clone>(x: &[T], of: Shape, view: &View<'_>) -> Vec<T> {
    if of.is_empty() {
        return vec![];
    }
    // Room for all: one that grows would leave behind what it held, masks perhaps.
    let len = view.shape(of).map_or(0, Shape::len);
    let mut out = Vec::with_capacity(len);
    match view {
        View::Rows(rows) => {
            for row in *rows {
                let at = *row as usize * of.cols;
                out.extend_from_slice(&x[at..at + of.cols]);
            }
        }
        View::Columns(range) => {
            x.chunks_exact(of.cols).for_each(|row| out.extend_from_slice(&row[range.clone()]));
        }
        View::Transpose => {
            for col in 0..of.cols {
                out.extend((0..of.rows).map(|row| x[row * of.cols + col].clone()));
            }
        }
        View::Reshape(_) => out.extend_from_slice(x),
        View::RepeatRow(times) => (0..*times).for_each(|_| out.extend_from_slice(x)),
        View::RepeatColumn(times) => {
            for x in x {
                out.extend(std::iter::repeat_n(x.clone(), *times));
            }
        }
    }
    out
}

/// One after the other along an axis.
pub(crate) fn joined<T: Clone>(parts: &[(&[T], Shape)], axis: Axis) -> Vec<T> {
    let mut out = Vec::with_capacity(parts.iter().map(|(x, _)| x.len()).sum());
    match axis {
        Axis::Rows => parts.iter().for_each(|(x, _)| out.extend_from_slice(x)),
        Axis::Columns => {
            let rows = parts.first().map_or(0, |(_, shape)| shape.rows);
            for row in 0..rows {
                for (x, shape) in parts {
                    out.extend_from_slice(&x[row * shape.cols..(row + 1) * shape.cols]);
                }
            }
        }
    }
    out
}

/// A value behind a mask, as a cloud sees it: `hat` = value + mask is public to both clouds (or
/// value xor mask, for bits), `share` is this cloud's share of the mask.
#[derive(Clone)]
pub struct Veiled {
    pub(crate) hat: Vec<u64>,
    pub(crate) share: Vec<u64>,
}

impl Veiled {
    fn both(&self, f: impl Fn(&Vec<u64>) -> Vec<u64>) -> Self {
        Self { hat: f(&self.hat), share: f(&self.share) }
    }
}

impl Tensor for Veiled {
    fn linear(terms: &[(u64, &Self)]) -> Self {
        let hats: Vec<_> = terms.iter().map(|(k, x)| (*k, &x.hat)).collect();
        let shares: Vec<_> = terms.iter().map(|(k, x)| (*k, &x.share)).collect();
        Self { hat: Tensor::linear(&hats), share: Tensor::linear(&shares) }
    }

    fn weigh(&self, factors: &[u64]) -> Self {
        self.both(|x| x.weigh(factors))
    }

    fn view(&self, of: Shape, view: &View<'_>) -> Self {
        self.both(|x| x.view(of, view))
    }

    fn sum(&self, of: Shape, axis: Axis) -> Self {
        self.both(|x| x.sum(of, axis))
    }

    fn join(parts: &[(&Self, Shape)], axis: Axis) -> Self {
        let hats: Vec<_> = parts.iter().map(|(x, shape)| (&x.hat, *shape)).collect();
        let shares: Vec<_> = parts.iter().map(|(x, shape)| (&x.share, *shape)).collect();
        Self { hat: Tensor::join(&hats, axis), share: Tensor::join(&shares, axis) }
    }
}
