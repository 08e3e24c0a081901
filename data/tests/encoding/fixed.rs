use dyad_data::{FixedPoint, Reason};
use proptest::prelude::*;

#[test]
fn rounds_to_nearest_halves_away_from_zero() {
    let fixed = FixedPoint::default();
    assert_eq!((fixed.fraction_bits(), fixed.value_bits()), (16, 64));
    let half = 0.5f64.powi(17);
    for (v, x) in [
        (0.0, 0),
        (-0.0, 0),
        (1.0, 65536),
        (-1.0, -65536),
        (half, 1),
        (-half, -1),
        (half * 0.999, 0),
        (3.0 * half, 2),
        (0.1, 6554),
        (140_737_488_355_327.0, 140_737_488_355_327 << 16),
        (-140_737_488_355_328.0, i64::MIN),
    ] {
        assert_eq!(fixed.encode(v), Ok(x), "{v}");
    }
    assert_eq!(-1i64 as u64, 0xffff_ffff_ffff_ffff);
}

#[test]
fn what_does_not_fit_is_refused() {
    let fixed = FixedPoint::new(4, 8).unwrap();
    assert_eq!(fixed.encode(7.96), Ok(127));
    assert_eq!(fixed.encode(-8.0), Ok(-128));
    let outside = Reason::OutsideRing { fraction_bits: 4, value_bits: 8 };
    // Rounding comes first.
    assert_eq!(fixed.encode(7.97), Err(outside.clone()));
    assert_eq!(fixed.encode(-8.03), Ok(-128));
    assert_eq!(fixed.encode(-8.04), Err(outside.clone()));
    assert_eq!(fixed.encode(f64::MAX), Err(outside));
    for v in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(fixed.encode(v), Err(Reason::NotFinite));
    }
    let whole = FixedPoint::new(0, 64).unwrap();
    assert!(whole.encode(9_223_372_036_854_775_808.0).is_err());
    assert_eq!(whole.encode(-9_223_372_036_854_775_808.0), Ok(i64::MIN));
}

#[test]
fn scales_that_the_ring_does_not_hold() {
    assert!(FixedPoint::new(62, 64).is_some());
    assert!(FixedPoint::new(63, 64).is_none());
    assert!(FixedPoint::new(16, 65).is_none());
    assert!(FixedPoint::new(16, 17).is_none());
    assert!(FixedPoint::new(0, 2).is_some());
    assert!(FixedPoint::new(u32::MAX - 1, 64).is_none());
}

proptest! {
    #[test]
    fn off_by_half_a_step_at_most(v in -1e9f64..1e9, f in 0u32..30) {
        let fixed = FixedPoint::new(f, 64).unwrap();
        let x = fixed.encode(v).unwrap();
        let step = 0.5f64.powi(f as i32);
        prop_assert!((fixed.decode(x) - v).abs() <= step / 2.0);
    }

    /// Against integer arithmetic: numbers of 20 bits behind the point, rounded to 16.
    #[test]
    fn as_integers_round(n in -(1i64 << 50)..(1i64 << 50)) {
        let v = n as f64 / f64::from(1 << 20);
        let expected = (n.abs() + 8) / 16 * n.signum();
        prop_assert_eq!(FixedPoint::default().encode(v), Ok(expected));
    }
}
