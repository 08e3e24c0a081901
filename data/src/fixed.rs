//! Fixed point: numbers as elements of the ring Z modulo 2^64.
//!
//! ```text
//! v  is  round(v 2^f)  in  [-2^{l-1}, 2^{l-1}),   f fraction bits, l value bits
//!                                                 halves are rounded away from zero
//! ```
//!
//! The ring element of a negative number is its two's complement: `x as u64`.

use crate::report::Reason;

/// f unless a schema says otherwise.
pub const FRACTION_BITS: u32 = 16;
/// l unless a schema says otherwise: all the ring holds.
pub const VALUE_BITS: u32 = 64;

/// How numbers are put into the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedPoint {
    fraction_bits: u32,
    value_bits: u32,
}

impl Default for FixedPoint {
    fn default() -> Self {
        Self { fraction_bits: FRACTION_BITS, value_bits: VALUE_BITS }
    }
}

impl FixedPoint {
    /// `fraction_bits` behind the point of `value_bits` in all, sign included. Nothing if that is
    /// more than 64 or leaves fewer than two above the point (so that one can be written).
    #[must_use]
    pub fn new(fraction_bits: u32, value_bits: u32) -> Option<Self> {
        let fits = value_bits <= u64::BITS && fraction_bits < value_bits.saturating_sub(1);
        fits.then_some(Self { fraction_bits, value_bits })
    }

    /// f.
    #[must_use]
    pub fn fraction_bits(self) -> u32 {
        self.fraction_bits
    }

    /// l.
    #[must_use]
    pub fn value_bits(self) -> u32 {
        self.value_bits
    }

    /// round(v 2^f).
    pub fn encode(self, v: f64) -> Result<i64, Reason> {
        if !v.is_finite() {
            return Err(Reason::NotFinite);
        }
        let x = (v * self.one()).round();
        let bound = power_of_two(self.value_bits - 1);
        if -bound <= x && x < bound {
            Ok(x as i64)
        } else {
            let Self { fraction_bits, value_bits } = self;
            Err(Reason::OutsideRing { fraction_bits, value_bits })
        }
    }

    /// x / 2^f.
    #[must_use]
    pub fn decode(self, x: i64) -> f64 {
        x as f64 / self.one()
    }

    /// 2^f.
    fn one(self) -> f64 {
        power_of_two(self.fraction_bits)
    }
}

/// 2^n for n < 64, exactly.
fn power_of_two(n: u32) -> f64 {
    (1u64 << n) as f64
}
