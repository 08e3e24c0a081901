//! The backend for processors with AVX-512 IFMA and VNNI.
//!
//! IFMA multiplies the low 52 bits of words and adds either half of the product. With
//! a = a0 + 2^52 a1 the product modulo 2^64 is
//!
//! ```text
//! low(a0 b0) + 2^52 (high(a0 b0) + a0 b1 + a1 b0)
//! ```
//!
//! and of the bracket only 12 bits count. So its last two products are made of 12 bits of each
//! factor, and VNNI adds such a pair of products in one go, for sixteen columns at once: five
//! instructions for sixteen products. Nothing overflows that counts: the low sums wrap at 2^64, as
//! they must, the others count modulo 2^12.
#![allow(unsafe_code)] // calls into code compiled for detected processor features

use super::kernel::{Block, Kernel, pack_columns, pack_rows};
use super::view::Matrix;
use core::arch::x86_64::{
    _mm512_add_epi64, _mm512_castsi512_si256, _mm512_cvtepu32_epi64, _mm512_dpwssd_epi32,
    _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64,
    _mm512_storeu_si512,
};

#[derive(Clone, Copy)]
pub(super) struct Avx512(());

const ROWS: usize = 5;
const COLUMNS: usize = 16;
/// Per step: the words, then 32 bits for each.
const LEFT_WORDS: usize = 8;
const RIGHT_WORDS: usize = COLUMNS + COLUMNS / 2;
const LOW_BITS: u32 = 52;
const HIGH: u64 = 0xfff;

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512ifma")
            && is_x86_feature_detected!("avx512vnni"))
        .then_some(Self(()))
    }
}

/// Puts the 12-bit parts behind the `count` words of each group: on the left the high part lies
/// below the low one, on the right above, so that they meet crosswise.
#[target_feature(enable = "avx512f,avx512bw")]
fn split<const WORDS: usize>(count: usize, high_at: u32, to: &mut [u64]) {
    for group in to.as_chunks_mut::<WORDS>().0 {
        let (words, parts) = group.split_at_mut(count);
        let part = |x: u64| ((x >> LOW_BITS) << high_at) | ((x & HIGH) << (16 - high_at));
        for (part_of, pair) in parts.iter_mut().zip(words.chunks(2)) {
            *part_of = part(pair[0]) | pair.get(1).map_or(0, |&x| part(x) << 32);
        }
    }
}

impl Kernel for Avx512 {
    const ROWS: usize = ROWS;
    const COLUMNS: usize = COLUMNS;
    const STEP: usize = 1;
    const LEFT_WORDS: usize = LEFT_WORDS;
    const RIGHT_WORDS: usize = RIGHT_WORDS;

    fn pack_left(&self, m: &Matrix<'_>, block: Block, to: &mut [u64]) {
        if block.rows < ROWS {
            to.fill(0);
        }
        pack_columns(m, block, LEFT_WORDS, to);
        // SAFETY: `self` exists, so the features were detected.
        unsafe { split::<LEFT_WORDS>(ROWS, 0, to) }
    }

    fn pack_right(&self, m: &Matrix<'_>, block: Block, to: &mut [u64]) {
        if block.columns < COLUMNS {
            to.fill(0);
        }
        pack_rows(m, block, RIGHT_WORDS, to);
        // SAFETY: as above.
        unsafe { split::<RIGHT_WORDS>(COLUMNS, 16, to) }
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
        // SAFETY: as above.
        unsafe { multiply(left.as_chunks().0, right.as_chunks().0, tile.as_chunks_mut().0) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vnni")]
fn multiply(left: &[[u64; LEFT_WORDS]], right: &[[u64; RIGHT_WORDS]], tile: &mut [[u64; COLUMNS]]) {
    let zero = _mm512_setzero_si512();
    let (mut low, mut high, mut cross) = ([[zero; 2]; ROWS], [[zero; 2]; ROWS], [zero; ROWS]);
    for (a, b) in left.iter().zip(right) {
        // SAFETY: the reference is to three times eight words.
        let (b, b_parts) = unsafe {
            let b = b.as_ptr();
            (
                [_mm512_loadu_si512(b.cast()), _mm512_loadu_si512(b.add(8).cast())],
                _mm512_loadu_si512(b.add(16).cast()),
            )
        };
        for i in 0..ROWS {
            let word = _mm512_set1_epi64(a[i].cast_signed());
            let parts = (a[ROWS + i / 2] >> (32 * (i % 2))) as u32;
            for j in 0..2 {
                low[i][j] = _mm512_madd52lo_epu64(low[i][j], word, b[j]);
                high[i][j] = _mm512_madd52hi_epu64(high[i][j], word, b[j]);
            }
            cross[i] =
                _mm512_dpwssd_epi32(cross[i], _mm512_set1_epi32(parts.cast_signed()), b_parts);
        }
    }
    for i in 0..ROWS {
        let halves = [_mm512_castsi512_si256(cross[i]), _mm512_extracti64x4_epi64::<1>(cross[i])];
        for j in 0..2 {
            let top = _mm512_add_epi64(high[i][j], _mm512_cvtepu32_epi64(halves[j]));
            let sum = _mm512_add_epi64(low[i][j], _mm512_slli_epi64::<LOW_BITS>(top));
            // SAFETY: the reference is to sixteen words.
            unsafe { _mm512_storeu_si512(tile[i].as_mut_ptr().add(8 * j).cast(), sum) };
        }
    }
}
