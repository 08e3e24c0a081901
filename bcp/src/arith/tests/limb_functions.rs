//! The functions on limbs against num-bigint.

use super::{big, power};
use crate::arith::limbs::{self, from_public, to_public};
use num_bigint::BigUint;
use num_traits::{One, Zero};
use proptest::prelude::*;

/// Limbs that make and pass on carries.
fn limb() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), Just(0), Just(1), Just(u64::MAX), Just(1 << 63)]
}

fn number(max: usize) -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(limb(), 1..max)
}

/// Two numbers, the second not longer than the first.
fn two_numbers() -> impl Strategy<Value = (Vec<u64>, Vec<u64>)> {
    (number(7), number(7)).prop_map(|(a, b)| if a.len() < b.len() { (b, a) } else { (a, b) })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn limbs_add_and_subtract((a, b) in two_numbers(), masked in any::<bool>()) {
        let (x, y, top) = (to_public(&a), to_public(&b), power(64 * a.len()));
        let mut sum = a.clone();
        let carry = limbs::add_assign(&mut sum, &b);
        prop_assert_eq!(to_public(&sum) + carry * &top, &x + &y);
        let mut difference = a.clone();
        let borrow = limbs::sub_assign(&mut difference, &b);
        prop_assert_eq!(to_public(&difference) + &y, &x + borrow * &top);
        prop_assert!(carry <= 1 && borrow <= 1);
        let mut kept = a.clone();
        let borrow = limbs::sub_assign_masked(&mut kept, &b, u64::from(masked).wrapping_neg());
        prop_assert_eq!(to_public(&kept) + y * u8::from(masked), x + borrow * top);
    }

    #[test]
    fn limbs_compare_and_measure((a, mut b) in two_numbers(), bits in 0usize..450) {
        b.resize(a.len(), 0);
        let (x, y) = (to_public(&a), to_public(&b));
        prop_assert_eq!(limbs::ge_mask(&a, &b), if x >= y { u64::MAX } else { 0 });
        prop_assert_eq!(limbs::ge_mask(&a, &a), u64::MAX);
        prop_assert_eq!(limbs::bit_length(&b) as u64, y.bits());
        for bits in [bits, x.bits() as usize, (x.bits() as usize).saturating_sub(1)] {
            prop_assert_eq!(limbs::fits(&a, bits), x < power(bits));
        }
        prop_assert_eq!(from_public(&x, a.len()), a);
    }

    #[test]
    fn limbs_multiply(a in number(7), b in number(7), extra in limb()) {
        prop_assert_eq!(to_public(&limbs::mul(&a, &b)), to_public(&a) * to_public(&b));
        let (scale, mut acc) = (b[0], vec![extra; a.len()]);
        let before = to_public(&acc);
        let carry = limbs::add_scaled(&mut acc, &a, scale);
        let expected = before + to_public(&a) * scale;
        prop_assert_eq!(to_public(&acc) + (BigUint::from(carry) << (64 * a.len())), expected);
    }

    #[test]
    fn limbs_shift_and_cut(a in number(7), at in 0usize..500, width in 0usize..=32) {
        let x = to_public(&a);
        let mut doubled = a.clone();
        let out = limbs::double(&mut doubled);
        prop_assert_eq!(to_public(&doubled) + (BigUint::from(out) << (64 * a.len())), &x * 2u8);
        let mut halved = a.clone();
        limbs::halve(&mut halved);
        prop_assert_eq!(to_public(&halved), &x >> 1u8);
        prop_assert_eq!(big(limbs::bits_at(&a, at, width)), (x >> at) % power(width));
    }

    #[test]
    fn limbs_reduce(mut m in number(6), fill in number(7), extra in 0usize..3) {
        m[0] |= 1;
        let modulus = to_public(&m);
        // Below 2m, in limbs that hold it.
        let len = m.len() + 1 + extra;
        for x in [to_public(&fill) % (&modulus * 2u8), modulus.clone(), &modulus - 1u8] {
            let mut a = from_public(&x, len);
            let taken = limbs::reduce_once(&mut a, &m);
            prop_assert_eq!(taken, u64::from(x >= modulus));
            prop_assert_eq!(to_public(&a), x % &modulus);
        }
    }

    #[test]
    fn limbs_know_montgomerys_constants(mut m in number(5), more in 0usize..300) {
        m[0] |= 1;
        prop_assert_eq!(m[0].wrapping_mul(limbs::negated_inverse(m[0])), u64::MAX);
        let bits = limbs::bit_length(&m);
        prop_assume!(bits > 1);
        m.push(0);
        let (modulus, exponent) = (to_public(&m), bits + more);
        let residue = power(exponent) % &modulus;
        prop_assert_eq!(to_public(&limbs::power_of_two(&m, bits, exponent)), residue.clone());
        let complement = to_public(&limbs::one_minus_power(&m, bits, exponent));
        prop_assert!(!complement.is_zero() && complement <= modulus);
        prop_assert_eq!((complement + residue) % modulus, BigUint::one());
    }
}

#[test]
#[should_panic(expected = "numbers of one length")]
fn numbers_of_unlike_lengths_are_not_compared() {
    // By its low limb alone the first would be the larger.
    limbs::ge_mask(&[2], &[1, 1]);
}
