//! One-hot digits of r, and what ẑ's digits look up in them.
//!
//! Who learns what: the dealt tables are XOR shares, uniform for either cloud; ẑ is public to both.
//! Nothing is sent.

use super::plan::{Digit, Plan};
use super::plane::Plane;

/// [digit = j] for every j, of the digit's planes.
#[inline(always)]
pub(crate) fn decode<const W: usize>(bits: &[Plane<W>; 64], digit: Digit) -> [Plane<W>; 16] {
    let mut hot = [Plane::ZERO; 16];
    hot[0] = Plane::ONES;
    for k in 0..digit.width as usize {
        let bit = bits[digit.low as usize + k];
        for j in 0..1 << k {
            hot[j + (1 << k)] = hot[j] & bit;
            hot[j] = hot[j] & !bit;
        }
    }
    hot
}

/// eq = T[d] and lt = T[d+1] ^ T[d+2] ^ ... for each digit d of ẑ: eq of digit i goes to 2i, lt to
/// 2i + 1. T[0] = 1 ^ T[1] ^ T[2] ^ ..., the 1 being added by the first cloud.
#[inline(always)]
pub(crate) fn look_up<const W: usize>(
    plan: &Plan,
    hat: &[Plane<W>; 64],
    tables: &[u64],
    first: bool,
    out: &mut [Plane<W>],
) {
    let mut tables = tables.chunks_exact(W).map(Plane::<W>::read);
    for (digit, out) in plan.digits.iter().zip(out.chunks_exact_mut(2)) {
        let hot = decode(hat, *digit);
        let mut rest = if first { Plane::ONES } else { Plane::ZERO };
        let (mut eq, mut lt) = (Plane::ZERO, Plane::ZERO);
        // [d < j]
        let mut below = hot[0];
        for hot in &hot[1..=digit.planes()] {
            let t = tables.next().unwrap_or(Plane::ZERO);
            rest ^= t;
            eq ^= *hot & t;
            lt ^= below & t;
            below ^= *hot;
        }
        out[0] = eq ^ (hot[0] & rest);
        out[1] = lt;
    }
}
