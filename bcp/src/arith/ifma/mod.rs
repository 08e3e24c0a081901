//! The backend for processors with AVX-512 IFMA: eight residues at once, one per 64-bit lane, in
//! digits of 52 bits.
//!
//! Digits come in blocks of [`BLOCK`]. Ten is no accident: 10 × 52 = 520 bits hold 512 bits and the
//! spare ones, so moduli of 1024, 1536, 2048, 3072, 4096 bits fill whole blocks, and a sweep over
//! ten rows keeps its window of sums, its row and its column in registers with one load and one
//! store for twenty multiplications, while the ten sums hide the latency of the multiplier.
//!
//! Sums are left unreduced in their 64-bit lanes: each of the up to 6n summands is below 2^52, so n
//! <= 300 is safe, and carries are taken once at the end.
#![allow(unsafe_code)] // calls into code compiled for detected processor features

mod digits;
mod product;
mod table;

use super::kernel::{Kernel, SPARE_BITS};
use super::limbs;
use core::arch::x86_64::__m512i;
use product::Modulus;
use zeroize::Zeroize;

/// Digits in one block.
const BLOCK: usize = 10;
/// Bits in one digit.
const DIGIT_BITS: usize = 52;
/// Residues at once.
const LANES: usize = 8;
/// Beyond this the unreduced sums could overflow (see the module's head).
const MAX_DIGITS: usize = 300;

/// Ten digits of eight residues.
type Block = [__m512i; BLOCK];

/// Arithmetic modulo the squares of eight moduli. Having one proves that the processor has the
/// features.
pub(crate) struct Ifma {
    blocks: usize,
    modulus: Modulus,
}

/// True on a processor this backend can run on.
pub(crate) fn detected() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")
}

/// Eight pairs: the blocks of x0, then those of x1.
#[derive(Clone)]
pub(crate) struct Octet(Vec<Block>);

impl Zeroize for Octet {
    fn zeroize(&mut self) {
        digits::wipe(&mut self.0);
    }
}

/// Sums of x0 y0, then of x0 y1 + x1 y0: 2n digits each.
pub(crate) struct Sums(Vec<Block>);

impl Zeroize for Sums {
    fn zeroize(&mut self) {
        digits::wipe(&mut self.0);
    }
}

impl Kernel for Ifma {
    type Value = Octet;
    type Table = table::Table;
    type Scratch = Sums;

    const LANES: usize = LANES;
    const TEETH: usize = 7;
    const BLOCKS: usize = 16;

    fn new(moduli: &[&[u64]]) -> Self {
        assert!(detected(), "this backend needs AVX-512 IFMA");
        assert_eq!(moduli.len(), LANES);
        let bits = moduli.iter().map(|m| limbs::bit_length(m)).max().unwrap_or(0);
        let blocks = (bits + SPARE_BITS).div_ceil(BLOCK * DIGIT_BITS);
        assert!(blocks * BLOCK <= MAX_DIGITS, "a modulus of {bits} bits is beyond this kernel");
        Self { blocks, modulus: Modulus::new(moduli, blocks) }
    }

    fn digits(&self) -> usize {
        self.blocks * BLOCK
    }

    fn digit_bits(&self) -> usize {
        DIGIT_BITS
    }

    fn split(&self, limbs: &[u64], digits: &mut [u64]) {
        digits::split(limbs, digits);
    }

    fn join(&self, digits: &[u64]) -> Vec<u64> {
        digits::join(digits)
    }

    fn gather(&self, lanes: &[&[u64]]) -> Octet {
        Octet(digits::gather(lanes, 2 * self.blocks))
    }

    fn scatter(&self, x: &Octet, lane: usize) -> Vec<u64> {
        digits::scatter(&x.0, lane)
    }

    fn scratch(&self) -> Sums {
        Sums(vec![digits::ZERO; 4 * self.blocks])
    }

    fn mul(&self, x: &mut Octet, y: &Octet, scratch: &mut Sums) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { self.modulus.mul(&mut x.0, &y.0, &mut scratch.0) }
    }

    fn square(&self, x: &mut Octet, scratch: &mut Sums) {
        // SAFETY: as above.
        unsafe { self.modulus.square(&mut x.0, &mut scratch.0) }
    }

    fn add(&self, x: &mut Octet, y: &Octet) {
        // SAFETY: as above.
        unsafe { product::add(&mut x.0, &y.0) }
    }

    fn power_of_two(&self, x: &mut Octet, exponents: &[&[u64]], bits: usize, scratch: &mut Sums) {
        // SAFETY: as above.
        unsafe { self.modulus.power_of_two(&mut x.0, exponents, bits, &mut scratch.0) }
    }

    fn select(&self, table: &[Octet], digits: &[u64], out: &mut Octet) {
        // SAFETY: as above.
        unsafe { table::select(table, digits, &mut out.0) }
    }

    fn table(&self, entries: &[Vec<u64>]) -> Self::Table {
        table::Table::new(entries)
    }

    fn look_up(&self, table: &Self::Table, digits: &[u64], out: &mut Octet) {
        // SAFETY: as above.
        unsafe { table::look_up(table, digits, &mut out.0) }
    }
}
