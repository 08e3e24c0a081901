//! Look-ups that touch every entry alike.

use super::digits;
use super::{BLOCK, Block, LANES, Octet};
use core::arch::x86_64::{
    __m512i, __mmask8, _mm512_cmpeq_epi64_mask, _mm512_mask_blend_epi64, _mm512_mask_mov_epi64,
    _mm512_permutex2var_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_test_epi64_mask,
};
use zeroize::{Zeroize, Zeroizing};

fn indices(digits: &[u64]) -> __m512i {
    let mut x = [0; LANES];
    x[..digits.len()].copy_from_slice(digits);
    digits::lanes(x)
}

/// Lane i of `out` := lane i of `table[digits[i]]`: each entry is read whole and kept where its
/// number is the lane's digit.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn select(table: &[Octet], digits: &[u64], out: &mut [Block]) {
    let index = indices(digits);
    // As good as the digits: wiped like them.
    let masks: Zeroizing<Vec<__mmask8>> = (0..table.len())
        .map(|e| _mm512_cmpeq_epi64_mask(index, _mm512_set1_epi64(e as i64)))
        .collect::<Vec<_>>()
        .into();
    for (b, out) in out.iter_mut().enumerate() {
        let mut found = [_mm512_setzero_si512(); BLOCK];
        for (entry, mask) in table.iter().zip(masks.iter()) {
            let entry = &entry.0[b];
            for i in 0..BLOCK {
                found[i] = _mm512_mask_mov_epi64(found[i], *mask, entry[i]);
            }
        }
        *out = found;
    }
}

/// 2^4 to 2^TEETH entries with their digits side by side: for each digit one row of as many
/// numbers, eight a vector.
pub(crate) struct Table {
    /// Vectors in a row.
    row: usize,
    vectors: Vec<__m512i>,
}

/// Vectors in the longest row: 2^TEETH / LANES.
const ROW: usize = 16;

// Of a base modulo a secret prime, it gives the prime away.
impl Drop for Table {
    fn drop(&mut self) {
        self.vectors.iter_mut().for_each(Zeroize::zeroize);
    }
}

impl Table {
    pub(super) fn new(entries: &[Vec<u64>]) -> Self {
        let row = entries.len() / LANES;
        assert!(matches!(row, 2 | 4 | 8 | ROW), "16, 32, 64 or 128 entries");
        let digits = entries[0].len();
        // Room for all: one that grows would leave what it held behind.
        let mut vectors = Vec::with_capacity(digits * row);
        for d in 0..digits {
            for eight in entries.chunks_exact(LANES) {
                vectors.push(digits::lanes(core::array::from_fn(|lane| eight[lane][d])));
            }
        }
        Self { row, vectors }
    }
}

/// Lane i of `out` := entry `digits[i]`, digits below the number of entries.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn look_up(table: &Table, digits: &[u64], out: &mut [Block]) {
    match table.row {
        2 => look_up_in::<2>(&table.vectors, digits, out),
        4 => look_up_in::<4>(&table.vectors, digits, out),
        8 => look_up_in::<8>(&table.vectors, digits, out),
        _ => look_up_in::<ROW>(&table.vectors, digits, out),
    }
}

/// A permutation of two registers picks one of sixteen numbers for each lane; the upper bits of the
/// digit, up to three, choose among such picks. Nothing but registers is indexed.
#[target_feature(enable = "avx512f,avx512ifma")]
fn look_up_in<const N: usize>(table: &[__m512i], digits: &[u64], out: &mut [Block]) {
    let index = indices(digits);
    let bit = |b: i64| _mm512_test_epi64_mask(index, _mm512_set1_epi64(b));
    let upper = [bit(16), bit(32), bit(64)];
    for (row, out) in table.chunks_exact(N).zip(out.as_flattened_mut()) {
        let mut pick = [_mm512_setzero_si512(); ROW / 2];
        for i in 0..N / 2 {
            pick[i] = _mm512_permutex2var_epi64(row[2 * i], index, row[2 * i + 1]);
        }
        let mut left = N / 2;
        for mask in upper {
            left /= 2;
            for i in 0..left {
                pick[i] = _mm512_mask_blend_epi64(mask, pick[2 * i], pick[2 * i + 1]);
            }
        }
        *out = pick[0];
    }
}

/// Keeps the width of a row and the backend's number of teeth together.
const _: () = assert!(ROW * LANES == 1 << <super::Ifma as crate::arith::kernel::Kernel>::TEETH);
