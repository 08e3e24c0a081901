//! Labels: what a model is to learn.

use super::Element;
use crate::fixed::FixedPoint;
use std::fmt;

/// The labels of an encoded file, one per row.
///
/// `Debug` shows their kind, never their values.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Labels<T = i64> {
    /// Classes.
    Classes {
        /// The column's name.
        column: String,
        /// The classes' names; a class's number is its place.
        names: Vec<String>,
        /// Each row's class.
        numbers: Vec<u32>,
    },
    /// Numbers.
    Numbers {
        /// The column's name.
        column: String,
        /// f and l of the values.
        fixed: FixedPoint,
        /// Each row's value.
        values: Vec<T>,
    },
}

impl<T: Element> Labels<T> {
    /// Each row's class, if the label is one.
    #[must_use]
    pub fn classes(&self) -> Option<&[u32]> {
        match self {
            Self::Classes { numbers, .. } => Some(numbers),
            Self::Numbers { .. } => None,
        }
    }

    /// How many rows each class has, with its name.
    #[must_use]
    pub fn histogram(&self) -> Vec<(&str, usize)> {
        let Self::Classes { names, numbers, .. } = self else { return Vec::new() };
        let mut counts = vec![0; names.len()];
        for number in numbers {
            counts[*number as usize] += 1;
        }
        names.iter().map(String::as_str).zip(counts).collect()
    }

    /// The labels as a matrix, row by row: a column per class, one-hot, or one column of numbers.
    /// The second number is the columns. `fixed` is the scale of a one.
    #[must_use]
    pub fn matrix(&self, fixed: FixedPoint) -> (Vec<T>, usize) {
        match self {
            Self::Numbers { values, .. } => (values.clone(), 1),
            Self::Classes { names, numbers, .. } => {
                let width = names.len();
                // A one fits: two bits are left above the point.
                let one = T::encode(fixed, 1.0).unwrap_or_default();
                let mut matrix = vec![T::default(); numbers.len() * width];
                for (row, number) in matrix.chunks_exact_mut(width).zip(numbers) {
                    row[*number as usize] = one;
                }
                (matrix, width)
            }
        }
    }

    pub(super) fn select(&self, rows: &[u32]) -> Self {
        match self {
            Self::Classes { column, names, numbers } => Self::Classes {
                column: column.clone(),
                names: names.clone(),
                numbers: rows.iter().map(|row| numbers[*row as usize]).collect(),
            },
            Self::Numbers { column, fixed, values } => Self::Numbers {
                column: column.clone(),
                fixed: *fixed,
                values: rows.iter().map(|row| values[*row as usize]).collect(),
            },
        }
    }
}

impl<T> fmt::Debug for Labels<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Classes { column, names, numbers } => {
                write!(f, "Classes({column}, {} rows, {} classes)", numbers.len(), names.len())
            }
            Self::Numbers { column, values, .. } => {
                write!(f, "Numbers({column}, {} rows)", values.len())
            }
        }
    }
}
