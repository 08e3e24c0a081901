//! Look-ups that touch every entry alike.

use super::digits;
use super::{BLOCK, Block, LANES, Octet};
use core::arch::x86_64::{
    __m512i, __mmask8, _mm512_cmpeq_epi64_mask, _mm512_mask_blend_epi64, _mm512_mask_mov_epi64,
    _mm512_permutex2var_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_test_epi64_mask,
};
use zeroize::Zeroizing;

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

/// 2^TEETH entries with their digits side by side: for each digit one row of 2^TEETH numbers, eight
/// a vector.
pub(super) fn transpose(entries: &[Vec<u64>]) -> Vec<__m512i> {
    let digits = entries[0].len();
    let row = |d: usize| {
        entries
            .chunks_exact(LANES)
            .map(move |eight| digits::lanes(core::array::from_fn(|lane| eight[lane][d])))
    };
    (0..digits).flat_map(row).collect()
}

/// Vectors in one row of the table: 2^TEETH / LANES.
const ROW: usize = 16;

/// Lane i of `out` := entry `digits[i]`. A permutation of two registers picks one of sixteen
/// numbers for each lane; the upper three bits of the digit choose among eight such picks. Nothing
/// but registers is indexed.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn look_up(table: &[__m512i], digits: &[u64], out: &mut [Block]) {
    let index = indices(digits);
    let bit = |b: i64| _mm512_test_epi64_mask(index, _mm512_set1_epi64(b));
    let (k4, k5, k6) = (bit(16), bit(32), bit(64));
    for (row, out) in table.chunks_exact(ROW).zip(out.as_flattened_mut()) {
        let mut pick = [_mm512_setzero_si512(); ROW / 2];
        for i in 0..ROW / 2 {
            pick[i] = _mm512_permutex2var_epi64(row[2 * i], index, row[2 * i + 1]);
        }
        for i in 0..4 {
            pick[i] = _mm512_mask_blend_epi64(k4, pick[2 * i], pick[2 * i + 1]);
        }
        for i in 0..2 {
            pick[i] = _mm512_mask_blend_epi64(k5, pick[2 * i], pick[2 * i + 1]);
        }
        *out = _mm512_mask_blend_epi64(k6, pick[0], pick[1]);
    }
}

/// Keeps the width of a row and the backend's number of teeth together.
const _: () = assert!(ROW * LANES == 1 << <super::Ifma as crate::arith::kernel::Kernel>::TEETH);
