//! Products with few rows or few columns, with AVX-512.
//!
//! Packing the big factor would cost as much as the product, so it is read where it lies: by rows
//! if its rows are contiguous, else as columns whose scalar products are taken. Words are
//! multiplied whole; splitting them, which is faster, would be packing again.
#![allow(unsafe_code)] // calls into code compiled for detected processor features

use super::driver::{Target, WORTH_A_THREAD};
use super::scratch::{LINE, Scratch};
use super::view::{Matrix, MatrixMut};
use core::arch::x86_64::{
    __m512i, __mmask8, _mm512_add_epi64, _mm512_loadu_si512, _mm512_maskz_loadu_epi64,
    _mm512_mullo_epi64, _mm512_reduce_add_epi64, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_storeu_si512,
};
use rayon::prelude::*;
use std::ops::Range;

/// Having one proves that the processor can.
#[derive(Clone, Copy)]
pub(super) struct Thin(());

/// Rows of the small factor at a time.
const ROWS: usize = 5;

impl Thin {
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq"))
            .then_some(Self(()))
    }

    /// out (+)= the sum of the products of `terms`, whose shapes fit.
    pub(super) fn run(
        self,
        terms: &[(Matrix<'_>, Matrix<'_>)],
        out: &mut MatrixMut<'_>,
        add: bool,
    ) {
        if !add {
            out.clear();
        }
        let (rows, columns, stride) = (out.rows(), out.columns(), out.stride());
        let straight = Target { start: out.start(), row_step: stride, column_step: 1, add: true };
        for &(left, right) in terms {
            if rows <= columns {
                self.product(left, right, straight);
            } else {
                let target = Target { row_step: 1, column_step: stride, ..straight };
                self.product(right.transposed(), left.transposed(), target);
            }
        }
    }

    /// A product whose left factor is the small one.
    fn product(self, small: Matrix<'_>, big: Matrix<'_>, target: Target) {
        let (rows, depth, columns) = (small.rows(), small.columns(), big.columns());
        if rows == 0 || depth == 0 || columns == 0 {
            return;
        }
        // A sign is dealt with where there is less to do.
        let (small, big) =
            if big.is_negated() { (small.negated(), big.negated()) } else { (small, big) };
        let along = depth.next_multiple_of(LINE);
        let by_rows = !big.is_transposed();
        let length = if by_rows { depth * rows } else { along * rows };
        Scratch::with([length, 0], |packed, _| {
            if by_rows {
                small.transposed().copy_block((0, 0), (depth, rows), packed, rows);
            } else {
                small.copy_block((0, 0), (rows, depth), packed, along);
            }
            let job = Job { _can: self, packed, along, rows, depth, big, target };
            let threads = (rows * depth * columns / WORTH_A_THREAD).max(1);
            let share = columns.div_ceil(threads.min(rayon::current_num_threads()));
            let run = |columns: Range<usize>| {
                // SAFETY: a `Thin` exists, so the features were detected.
                unsafe { if by_rows { job.by_rows(columns) } else { job.by_columns(columns) } }
            };
            if share == columns {
                run(0..columns);
            } else {
                // Whole vectors, but for the last.
                let share = share.next_multiple_of(8);
                (0..columns.div_ceil(share))
                    .into_par_iter()
                    .for_each(|i| run(i * share..columns.min((i + 1) * share)));
            }
        });
    }
}

struct Job<'a> {
    _can: Thin,
    /// The small factor: its columns one after the other, or its rows, `along` words apart.
    packed: &'a [u64],
    along: usize,
    rows: usize,
    depth: usize,
    big: Matrix<'a>,
    target: Target,
}

impl Job<'_> {
    #[target_feature(enable = "avx512f,avx512dq")]
    fn by_rows(&self, columns: Range<usize>) {
        for row in (0..self.rows).step_by(ROWS) {
            // Sums enough to hide that a multiplication takes 15 cycles.
            match self.rows - row {
                1 => self.rows_of_big::<1, 8>(row, columns.clone()),
                2 => self.rows_of_big::<2, 6>(row, columns.clone()),
                3 => self.rows_of_big::<3, 4>(row, columns.clone()),
                4 => self.rows_of_big::<4, 4>(row, columns.clone()),
                _ => self.rows_of_big::<ROWS, 4>(row, columns.clone()),
            }
        }
    }

    /// `R` rows of the result, in strips of `V` vectors.
    #[target_feature(enable = "avx512f,avx512dq")]
    fn rows_of_big<const R: usize, const V: usize>(&self, row: usize, columns: Range<usize>) {
        for column in columns.clone().step_by(8 * V) {
            let width = (columns.end - column).min(8 * V);
            let masks: [__mmask8; V] = core::array::from_fn(|v| mask(width, 8 * v));
            let mut sums = [[_mm512_setzero_si512(); V]; R];
            for k in 0..self.depth {
                let line = &self.big.line(k, column)[..width];
                let small = &self.packed[k * self.rows + row..][..R];
                // SAFETY: a mask has bits for words of the line only.
                let big: [__m512i; V] = core::array::from_fn(|v| unsafe {
                    _mm512_maskz_loadu_epi64(masks[v], line.as_ptr().wrapping_add(8 * v).cast())
                });
                for (sums, &small) in sums.iter_mut().zip(small) {
                    let small = _mm512_set1_epi64(small.cast_signed());
                    for (sum, &big) in sums.iter_mut().zip(&big) {
                        *sum = _mm512_add_epi64(*sum, _mm512_mullo_epi64(small, big));
                    }
                }
            }
            for (i, sums) in sums.into_iter().enumerate() {
                let mut line = [[0; 8]; V];
                for (words, sum) in line.iter_mut().zip(sums) {
                    // SAFETY: the reference is to eight words.
                    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), sum) };
                }
                // SAFETY: the place lies in the target, and no other task has these columns.
                unsafe { self.target.put(row + i, column, &line.as_flattened()[..width]) };
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512dq")]
    fn by_columns(&self, columns: Range<usize>) {
        for column in columns.clone().step_by(2) {
            for row in (0..self.rows).step_by(ROWS) {
                let (rows, two) = (self.rows - row, column + 1 < columns.end);
                match (rows, two) {
                    (1, false) => self.columns_of_big::<1, 1>(row, column),
                    (1, true) => self.columns_of_big::<1, 2>(row, column),
                    (2, false) => self.columns_of_big::<2, 1>(row, column),
                    (2, true) => self.columns_of_big::<2, 2>(row, column),
                    (3, false) => self.columns_of_big::<3, 1>(row, column),
                    (3, true) => self.columns_of_big::<3, 2>(row, column),
                    (4, false) => self.columns_of_big::<4, 1>(row, column),
                    (4, true) => self.columns_of_big::<4, 2>(row, column),
                    (_, false) => self.columns_of_big::<ROWS, 1>(row, column),
                    (_, true) => self.columns_of_big::<ROWS, 2>(row, column),
                }
            }
        }
    }

    /// `R` x `C` scalar products along the depth.
    #[target_feature(enable = "avx512f,avx512dq")]
    fn columns_of_big<const R: usize, const C: usize>(&self, row: usize, column: usize) {
        let lines: [&[u64]; C] =
            core::array::from_fn(|j| &self.big.transposed().line(column + j, 0)[..self.depth]);
        let small: [&[u64]; R] =
            core::array::from_fn(|i| &self.packed[(row + i) * self.along..][..self.along]);
        let mut sums = [[_mm512_setzero_si512(); C]; R];
        for k in (0..self.depth).step_by(8) {
            let mask = mask(self.depth, k);
            // SAFETY: a mask has bits for words of the line only.
            let big: [__m512i; C] = core::array::from_fn(|j| unsafe {
                _mm512_maskz_loadu_epi64(mask, lines[j].as_ptr().add(k).cast())
            });
            for (sums, small) in sums.iter_mut().zip(small) {
                // SAFETY: rows of the small factor are filled up to whole vectors.
                let small = unsafe { _mm512_loadu_si512(small.as_ptr().add(k).cast()) };
                for (sum, &big) in sums.iter_mut().zip(&big) {
                    *sum = _mm512_add_epi64(*sum, _mm512_mullo_epi64(small, big));
                }
            }
        }
        for (i, sums) in sums.into_iter().enumerate() {
            let sums = sums.map(|sum| _mm512_reduce_add_epi64(sum).cast_unsigned());
            // SAFETY: the place lies in the target, and no other task has these columns.
            unsafe { self.target.put(row + i, column, &sums) };
        }
    }
}

/// Which words of the vector at `start` are below `end`.
fn mask(end: usize, start: usize) -> __mmask8 {
    match end.saturating_sub(start) {
        there @ 0..8 => (1 << there) - 1,
        _ => u8::MAX,
    }
}
