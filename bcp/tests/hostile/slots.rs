//! Plaintexts, scalars and packed values out of range.

use super::{refused, sibling, world};
use crate::common::{fixture, plain};
use dyad_bcp::packing::{Slot, SlotLayout};
use dyad_bcp::{Error, Plaintext, PublicParams, SecretKey};
use num_bigint::BigUint;

#[test]
fn plaintexts_that_are_not_below_n_are_refused() {
    let w = world();
    for m in [w.n().clone(), w.n() + 1u8, w.n() << 5000u32] {
        let error = refused(Plaintext::from_biguint(&w.params, &m));
        assert!(matches!(error, Error::OutOfRange { index: 0, .. }), "{error:?}");
    }
    Plaintext::from_biguint(&w.params, &(w.n() - 1u8)).expect("the largest plaintext");
}

#[test]
fn plaintexts_of_other_parameters_that_do_not_fit_are_refused_and_named() {
    let w = world();
    let key = w.owner.public();
    let (larger, _) = sibling();
    let longer = fixture("256").params();
    let top = |params: &PublicParams| Plaintext::from_biguint(params, &(params.n() - 1u8));
    let c = w.encrypt(4);
    for foreign in [top(&larger).expect("a plaintext"), top(&longer).expect("a plaintext")] {
        for at in 0..4 {
            let mut m = vec![plain(&w.params, 1); 4];
            m[at] = foreign.clone();
            let errors = [
                refused(key.encrypt_many(&m)),
                refused(key.scale_many(&c, &m)),
                refused(key.scale_many_bounded(&c, &m, 256)),
                refused(key.add_plain_many(&c, &m)),
            ];
            for error in errors {
                assert!(matches!(error, Error::OutOfRange { index, .. } if index == at));
            }
        }
    }
}

#[test]
fn scalars_longer_than_declared_are_refused_and_named() {
    let w = world();
    let key = w.owner.public();
    let c = w.encrypt(3);
    let m = [plain(&w.params, 7), plain(&w.params, 8), plain(&w.params, 1)];
    let error = refused(key.scale_many_bounded(&c, &m, 3));
    assert!(matches!(error, Error::OutOfRange { index: 1, .. }), "{error:?}");
    key.scale_many_bounded(&c, &m, 4).expect("now they fit");
}

#[test]
fn secret_keys_that_are_not_below_n_squared_are_refused() {
    let w = world();
    let key = |sk: &BigUint| SecretKey::insecure_from_exponent(&w.params, sk);
    let errors = [refused(key(w.n_squared())), refused(key(&(w.n_squared() << 500u32)))];
    for error in errors {
        assert!(matches!(error, Error::OutOfRange { index: 0, .. }), "{error:?}");
    }
    key(&(w.n_squared() - 1u8)).expect("the largest key");
}

#[test]
fn layouts_that_do_not_fit_a_plaintext_are_refused() {
    let params = world().params;
    for (value, blind) in [(0, 0), (67, 0), (8, 129), (64, 0), (62, 0), (usize::MAX, usize::MAX)] {
        let error = refused(SlotLayout::new(&params, value, blind));
        assert!(matches!(error, Error::Packing(_)), "{error:?}");
    }
    assert_eq!(SlotLayout::new(&params, 61, 0).map(|layout| layout.slots()), Ok(1));
}

#[test]
fn values_and_slots_out_of_range_are_refused_and_named() {
    let params = world().params;
    let layout = SlotLayout::new(&params, 8, 8).expect("a layout");
    for bad in [128, -129, i64::MAX, i64::MIN] {
        let error = refused(layout.offset(&[127, -128, bad, 0]));
        assert!(matches!(error, Error::OutOfRange { index: 2, .. }), "{error:?}");
    }
    let widest = Slot::from_u64((1 << 18) - 1);
    layout.pack(&[widest.clone(), widest.clone()]).expect("the widest");
    for bad in [widest.plus(&Slot::from_u64(1)), Slot::from_u64(u64::MAX)] {
        let error = refused(layout.pack(&[widest.clone(), bad]));
        assert!(matches!(error, Error::OutOfRange { index: 1, .. }), "{error:?}");
    }
}

#[test]
fn a_sum_that_outgrows_even_its_limbs_is_refused() {
    let layout = SlotLayout::new(&fixture("256").params(), 64, 128).expect("a layout");
    let mut slot = Slot::from_u64(1);
    for _ in 0..300 {
        slot = slot.plus(&slot);
    }
    refused(layout.pack(&[slot]));
}

#[test]
fn packed_plaintexts_with_anything_beyond_their_slots_are_refused_and_named() {
    let params = world().params;
    let layout = SlotLayout::new(&params, 8, 8).expect("a layout");
    assert_eq!((layout.slots(), layout.width()), (3, 18));
    let small = plain(&params, 3);
    let full = plain(&params, (1 << 54) - 1);
    layout.unpack(&[full.clone(), small.clone()], 4).expect("three slots and one");
    let longer = plain(&fixture("256").params(), 3);
    // One bit beyond three slots; one beyond the only one asked for; another length.
    let bad = [plain(&params, 1 << 54), longer];
    for bad in &bad {
        let error = refused(layout.unpack(&[bad.clone(), small.clone()], 4));
        assert!(matches!(error, Error::OutOfRange { index: 0, .. }), "{error:?}");
    }
    for bad in bad.iter().chain([&plain(&params, 1 << 18), &full]) {
        let error = refused(layout.unpack(&[full.clone(), bad.clone()], 4));
        assert!(matches!(error, Error::OutOfRange { index: 1, .. }), "{error:?}");
    }
}

#[test]
fn the_wrong_number_of_packed_plaintexts_is_refused() {
    let params = world().params;
    let layout = SlotLayout::new(&params, 8, 8).expect("a layout");
    let two = vec![plain(&params, 3); 2];
    for count in [0, 1, 3, 7, usize::MAX] {
        let expected = count.div_ceil(3);
        assert_eq!(refused(layout.unpack(&two, count)), Error::Length { expected, found: 2 });
    }
}
