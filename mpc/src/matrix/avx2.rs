//! The backend for processors with AVX2, which multiply halves of words.
//!
//! With a = a0 + 2^32 a1 the product modulo 2^64 is a0 b0 + 2^32 (a0 b1 + a1 b0), and of the second
//! sum only 32 bits count: one multiplication of 32-bit lanes by the swapped halves gives both of
//! its products.
#![allow(unsafe_code)] // calls into code compiled for detected processor features

use super::kernel::{Block, Kernel, pack_columns, pack_rows};
use super::view::Matrix;
use core::arch::x86_64::{
    _mm256_add_epi32, _mm256_add_epi64, _mm256_loadu_si256, _mm256_mul_epu32, _mm256_mullo_epi32,
    _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_shuffle_epi32, _mm256_slli_epi64,
    _mm256_storeu_si256,
};

#[derive(Clone, Copy)]
pub(super) struct Avx2(());

const ROWS: usize = 4;
const COLUMNS: usize = 4;
/// Swaps the halves of each word.
const SWAP: i32 = 0b10_11_00_01;

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

impl Kernel for Avx2 {
    const ROWS: usize = ROWS;
    const COLUMNS: usize = COLUMNS;
    const STEP: usize = 1;
    const LEFT_WORDS: usize = ROWS;
    const RIGHT_WORDS: usize = COLUMNS;

    fn pack_left(&self, m: &Matrix<'_>, block: Block, to: &mut [u64]) {
        if block.rows < ROWS {
            to.fill(0);
        }
        pack_columns(m, block, ROWS, to);
    }

    fn pack_right(&self, m: &Matrix<'_>, block: Block, to: &mut [u64]) {
        if block.columns < COLUMNS {
            to.fill(0);
        }
        pack_rows(m, block, COLUMNS, to);
    }

    type Ready = ();

    fn begin(&self) {}

    fn multiply(
        &self,
        (): &mut (),
        _: usize,
        left: &[u64],
        right: &[u64],
        _: (usize, usize),
        tile: &mut [u64],
    ) {
        // SAFETY: `self` exists, so the feature was detected.
        unsafe { multiply(left.as_chunks().0, right.as_chunks().0, tile.as_chunks_mut().0) }
    }
}

#[target_feature(enable = "avx2")]
fn multiply(left: &[[u64; ROWS]], right: &[[u64; COLUMNS]], tile: &mut [[u64; COLUMNS]]) {
    let mut low = [_mm256_setzero_si256(); ROWS];
    let mut cross = [_mm256_setzero_si256(); ROWS];
    for (a, b) in left.iter().zip(right) {
        // SAFETY: the reference is to four words.
        let b = unsafe { _mm256_loadu_si256(b.as_ptr().cast()) };
        let swapped = _mm256_shuffle_epi32::<SWAP>(b);
        for i in 0..ROWS {
            let a = _mm256_set1_epi64x(a[i].cast_signed());
            low[i] = _mm256_add_epi64(low[i], _mm256_mul_epu32(a, b));
            cross[i] = _mm256_add_epi32(cross[i], _mm256_mullo_epi32(a, swapped));
        }
    }
    for ((low, cross), to) in low.into_iter().zip(cross).zip(tile) {
        let both = _mm256_add_epi32(cross, _mm256_shuffle_epi32::<SWAP>(cross));
        let sum = _mm256_add_epi64(low, _mm256_slli_epi64::<32>(both));
        // SAFETY: the reference is to four words.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), sum) };
    }
}
