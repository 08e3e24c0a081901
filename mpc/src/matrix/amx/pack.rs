//! Words to planes of bytes.

use super::{PLANES, SIDE, STEP, TILE_WORDS};
use crate::matrix::kernel::Block;
use crate::matrix::scratch::wipe;
use crate::matrix::view::Matrix;
use core::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_permutex2var_epi64, _mm512_permutexvar_epi8,
    _mm512_setzero_si512, _mm512_storeu_si512,
};

/// Where blocks go that do not lie in memory as they must: ragged, transposed or negated ones.
#[repr(align(64))]
pub(super) struct Stage {
    words: [u64; SIDE * STEP],
    used: bool,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self { words: [0; SIDE * STEP], used: false }
    }

    pub(super) fn wipe(&mut self) {
        if self.used {
            wipe(&mut self.words);
        }
    }

    /// The block's words, rows a stride apart, filled up with zeros to the full size.
    pub(super) fn find<'a>(
        &'a mut self,
        m: &Matrix<'a>,
        block: Block,
        full: (usize, usize),
    ) -> (&'a [u64], usize) {
        if block.size() == full
            && let Some(found) = m.plain(block.row, block.column)
        {
            return found;
        }
        self.used = true;
        if block.size() != full {
            self.words.fill(0);
        }
        m.copy_block(block.at(), block.size(), &mut self.words, full.1);
        (&self.words, full.1)
    }
}

/// Packs 16 rows of 64 words: of each plane 16 rows of 64 bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn left(from: &[u64], stride: usize, to: &mut [u64]) {
    let to = &mut to[..PLANES * TILE_WORDS];
    for row in 0..SIDE {
        let from = &from[row * stride..][..STEP];
        // SAFETY: `from` has 64 words.
        let words = core::array::from_fn(|i| unsafe { load(from.as_ptr().add(8 * i)) });
        for (plane, bytes) in planes(words).into_iter().enumerate() {
            // SAFETY: a plane has 16 rows of 8 words.
            unsafe { store(to.as_mut_ptr().add(plane * TILE_WORDS + row * 8), bytes) };
        }
    }
}

/// Packs 64 rows of 16 words: of each plane 16 rows, which hold four bytes of each column.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn right(from: &[u64], stride: usize, to: &mut [u64]) {
    const FOURS: [u8; 64] = {
        let mut from = [0; 64];
        let mut at = 0;
        while at < 64 {
            // Column, and row among the four.
            let (n, k) = (at / 4, at % 4);
            from[at] = (k * SIDE + n) as u8;
            at += 1;
        }
        from
    };
    let to = &mut to[..PLANES * TILE_WORDS];
    // SAFETY: the constant has 64 bytes.
    let fours = unsafe { load(FOURS.as_ptr().cast()) };
    for row in 0..STEP / 4 {
        let words = core::array::from_fn(|i| {
            let from = &from[(4 * row + i / 2) * stride + i % 2 * 8..][..8];
            // SAFETY: `from` has 8 words.
            unsafe { load(from.as_ptr()) }
        });
        for (plane, bytes) in planes(words).into_iter().enumerate() {
            let bytes = _mm512_permutexvar_epi8(fours, bytes);
            // SAFETY: a plane has 16 rows of 8 words.
            unsafe { store(to.as_mut_ptr().add(plane * TILE_WORDS + row * 8), bytes) };
        }
    }
}

/// The eight planes of 64 words.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn planes(mut words: [__m512i; 8]) -> [__m512i; 8] {
    /// Gathers bytes of equal weight: an 8 x 8 transposition.
    const BYTES: [u8; 64] = {
        let mut from = [0; 64];
        let mut at = 0;
        while at < 64 {
            from[at] = (at % 8 * 8 + at / 8) as u8;
            at += 1;
        }
        from
    };
    /// For each bit of a register's number: swaps it with that bit of the word's number.
    const SWAPS: [[[u64; 8]; 2]; 3] = {
        let mut swaps = [[[0; 8]; 2]; 3];
        let mut i = 0;
        while i < 3 {
            let bit = 1 << i;
            let mut at = 0;
            while at < 8 {
                let clear = at & bit == 0;
                swaps[i][0][at] = if clear { at as u64 } else { (8 + at - bit) as u64 };
                swaps[i][1][at] = if clear { (at + bit) as u64 } else { (8 + at) as u64 };
                at += 1;
            }
            i += 1;
        }
        swaps
    };
    // SAFETY: the constant has 64 bytes.
    let bytes = unsafe { load(BYTES.as_ptr().cast()) };
    for word in &mut words {
        *word = _mm512_permutexvar_epi8(bytes, *word);
    }
    for (i, swap) in SWAPS.iter().enumerate() {
        // SAFETY: both rows have eight words.
        let swap = [unsafe { load(swap[0].as_ptr()) }, unsafe { load(swap[1].as_ptr()) }];
        let mut next = [_mm512_setzero_si512(); 8];
        for (at, next) in next.iter_mut().enumerate() {
            let (low, high) = (words[at & !(1 << i)], words[at | 1 << i]);
            *next = _mm512_permutex2var_epi64(low, swap[at >> i & 1], high);
        }
        words = next;
    }
    words
}

/// # Safety
///
/// Eight words must be there.
#[target_feature(enable = "avx512f")]
unsafe fn load(from: *const u64) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe { _mm512_loadu_si512(from.cast()) }
}

/// # Safety
///
/// There must be room for eight words.
#[target_feature(enable = "avx512f")]
unsafe fn store(to: *mut u64, words: __m512i) {
    // SAFETY: the caller's promise.
    unsafe { _mm512_storeu_si512(to.cast(), words) }
}
