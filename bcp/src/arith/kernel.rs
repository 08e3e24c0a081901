//! What a backend offers: multiplication of a few residues at once. Everything above (windows,
//! combs, conversions) is written once over this trait.
//!
//! # Arithmetic modulo a square
//!
//! Every exponentiation of the cryptosystem is modulo a square: N² for owners, p² and q² for the
//! holder of the master key. So a residue x modulo M² is kept as the pair (x0, x1) with x = x0 + x1
//! M, and with Montgomery's R the product is
//!
//! ```text
//! T  = x0 y0                             T + q M = t R exactly, q as Montgomery's reduction has it
//! z0 = t
//! z1 = (x0 y1 + x1 y0 - q) R^{-1} mod M  because x0 y0 = t R - q M
//! ```
//!
//! so that z0 + z1 M = x y R^{-1} modulo M². With n limbs in M this costs 3n² + 2n² word products,
//! a squaring 1.5n² + 2n², where the plain method modulo M² (2n limbs) costs 8n². And the pair is
//! what decryption wants: 1 + mN *is* (1, m).
//!
//! Components are redundant. With R >= 2^8 M ([`SPARE_BITS`]), components below 8M give a product
//! whose components are below 2M: (2·64 M² + R + M + R M) / R < 2M. So a sum of up to four products
//! needs no reduction.
//!
//! One product has a larger factor: on the way into Montgomery form, x0 is a chunk of digits, up to
//! R - 1, and x1 is zero; the other factor is R² mod M² (below 2M). Then T0 < 2RM gives z0 < (2RM +
//! RM) / R = 3M, and T1 = x0 y1 < 2RM gives z1 < (2RM + R + M + RM) / R, below 4M. So the result
//! may be added to the chunk above it, which is below 2M, and that sum multiplied again; and T0 and
//! T1 stay below R², for which there is room.

use zeroize::Zeroize;

/// Every backend leaves at least this many bits free above M (see the module's head).
pub(crate) const SPARE_BITS: usize = 8;

/// Every backend has room for moduli of this many bits.
pub(crate) const MAX_BITS: usize = 15_592;

/// A backend: arithmetic on `LANES` pairs at once, lane i modulo the square of the i-th modulus.
pub(crate) trait Kernel: Sized + Send + Sync + 'static {
    /// `LANES` pairs, in the backend's own digits. Wiped by whoever keeps secrets in it.
    type Value: Clone + Send + Sync + Zeroize;
    /// Powers of one base, shared by all lanes, laid out for a constant-time look-up.
    type Table: Send + Sync;
    /// Room for intermediate products.
    type Scratch: Zeroize;

    /// Residues per value.
    const LANES: usize;
    /// Teeth of a fixed-base comb: 2^TEETH entries a block.
    const TEETH: usize;
    /// Blocks of a fixed-base comb.
    const BLOCKS: usize;

    /// Sets up arithmetic modulo the squares of odd moduli of equal limb count. `moduli.len() ==
    /// LANES`.
    fn new(moduli: &[&[u64]]) -> Self;

    /// Digits in one component of a pair.
    fn digits(&self) -> usize;
    /// Bits in one digit.
    fn digit_bits(&self) -> usize;
    /// Writes 64-bit limbs as the backend's digits. The number must be below 2^(digits *
    /// digit_bits).
    fn split(&self, limbs: &[u64], digits: &mut [u64]);
    /// The 64-bit limbs of a number given in digits.
    fn join(&self, digits: &[u64]) -> Vec<u64>;

    /// Puts one pair (2 * digits) into every lane.
    fn gather(&self, lanes: &[&[u64]]) -> Self::Value;
    /// Takes the pair of one lane out.
    fn scatter(&self, x: &Self::Value, lane: usize) -> Vec<u64>;

    /// Room for products.
    fn scratch(&self) -> Self::Scratch;
    /// x := x y R^{-1}
    fn mul(&self, x: &mut Self::Value, y: &Self::Value, scratch: &mut Self::Scratch);
    /// x := x² R^{-1}
    fn square(&self, x: &mut Self::Value, scratch: &mut Self::Scratch);
    /// x := x + y, without reduction.
    fn add(&self, x: &mut Self::Value, y: &Self::Value);
    /// First components alone: from x = R to x = 2^e modulo M, out of Montgomery form. Lane i has
    /// the exponent `exponents[i]` of `bits` bits. Half the work of a pair: the prime search lives
    /// on it.
    fn power_of_two(
        &self,
        x: &mut Self::Value,
        exponents: &[&[u64]],
        bits: usize,
        scratch: &mut Self::Scratch,
    );

    /// Lane i of `out` := lane i of `table[digits[i]]`, touching every entry alike.
    fn select(&self, table: &[Self::Value], digits: &[u64], out: &mut Self::Value);

    /// Lays 2^4 to 2^TEETH pairs, a power of two, out for [`Kernel::look_up`].
    fn table(&self, entries: &[Vec<u64>]) -> Self::Table;
    /// Lane i of `out` := entry `digits[i]`, touching every entry alike.
    fn look_up(&self, table: &Self::Table, digits: &[u64], out: &mut Self::Value);
}
