//! Packing: round trips at every width, sums up to a slot's limit, and the split of an upload.

mod common;

use common::{big, fixture};
use dyad_bcp::master::KnownKey;
use dyad_bcp::packing::{STATISTICAL_BITS, Slot, SlotLayout};
use dyad_bcp::{
    Backend, Ciphertext, Error, MasterKey, Plaintext, PublicKey, PublicParams, SecretKey,
};
use num_bigint::BigUint;
use num_traits::{One, Zero};

/// Every number of value bits there is a use for, with every kind of blind.
fn layouts(params: &PublicParams) -> Vec<(usize, usize, SlotLayout)> {
    let widths = (1..=64).chain([66]).flat_map(|l| [0, 1, 40, 80, 128].map(|sigma| (l, sigma)));
    let layout = |(l, sigma)| (l, sigma, SlotLayout::new(params, l, sigma).expect("it fits"));
    widths.map(layout).collect()
}

/// The smallest and the largest value of l bits.
fn extremes(l: usize) -> (i64, i64) {
    let shift = 64 - l.min(64);
    (i64::MIN >> shift, i64::MAX >> shift)
}

/// 2^bit, by doubling.
fn power(bit: usize) -> Slot {
    (0..bit).fold(Slot::from_u64(1), |x, _| x.plus(&x))
}

/// 2^bit - 1
fn all_ones(bit: usize) -> Slot {
    power(bit).minus(&Slot::from_u64(1)).expect("not negative")
}

fn sum(slots: &[&Slot]) -> Slot {
    slots.iter().fold(Slot::from_u64(0), |sum, x| sum.plus(x))
}

/// What a plaintext must be: its slots' numbers in radix 2^width.
fn spelled(numbers: &[BigUint], width: usize) -> BigUint {
    numbers.iter().rev().fold(BigUint::zero(), |m, u| (m << width) + u)
}

/// u = x + 2^{l-1}
fn offset(x: i64, l: usize) -> BigUint {
    BigUint::try_from(i128::from(x) + (1i128 << (l.min(64) - 1))).expect("not negative")
}

#[test]
fn values_come_back_at_every_width() {
    for params in ["2048", "3072"].map(|name| fixture(name).params()) {
        for (l, sigma, layout) in layouts(&params) {
            let (min, max) = extremes(l);
            let count = layout.slots() + 3;
            let values: Vec<i64> = [min, max, 0, -1].into_iter().cycle().take(count).collect();
            let slots = layout.offset(&values).expect("in range");
            let packed = layout.pack(&slots).expect("offset values fit");
            assert_eq!(layout.width(), l + sigma + 2);
            assert_eq!(packed.len(), 2, "l = {l}, sigma = {sigma}");
            for (m, values) in packed.iter().zip(values.chunks(layout.slots())) {
                let numbers: Vec<BigUint> = values.iter().map(|x| offset(*x, l)).collect();
                assert_eq!(m.to_biguint(), spelled(&numbers, layout.width()));
            }
            let back = layout.unpack(&packed, count).expect("as packed");
            assert!(back == slots, "l = {l}, sigma = {sigma}");
            let opened: Vec<_> = back.iter().map(|slot| layout.value(slot, 1)).collect();
            assert_eq!(opened, values.into_iter().map(Some).collect::<Vec<_>>());
        }
    }
}

#[test]
fn slots_hold_their_limit_and_not_one_more() {
    for params in ["2048", "3072"].map(|name| fixture(name).params()) {
        for (l, sigma, layout) in layouts(&params) {
            let of = format!("l = {l}, sigma = {sigma}");
            let maximal = all_ones(l + sigma);
            let four = sum(&[&maximal; 4]);
            let full = all_ones(layout.width());
            // Zeros and ones beside what is full, in every position: neighbours stay what they are.
            for at in 0..layout.slots() {
                let mut slots = vec![Slot::from_u64(0); layout.slots()];
                let next = (at + 1) % layout.slots();
                slots[next] = Slot::from_u64(1);
                for number in [&four, &full] {
                    slots[at] = number.clone();
                    let packed = layout.pack(&slots).expect("within the limit");
                    assert!(
                        layout.unpack(&packed, slots.len()).expect("as packed") == slots,
                        "{of}"
                    );
                }
                // Only the first position and the last: the refusal depends on the number alone.
                if at == 0 || next == 0 {
                    let mut refuse = |number: Slot| {
                        slots[at] = number;
                        let refused = layout.pack(&slots).map(|_| ());
                        assert!(
                            matches!(refused, Err(Error::OutOfRange { index, .. }) if index == at),
                            "{of}: {refused:?}"
                        );
                    };
                    refuse(full.plus(&Slot::from_u64(1)));
                    // A fifth maximal number is too many, except where it has no more than two
                    // bits: 5 (2^2 - 1) < 2^4.
                    if l + sigma > 2 {
                        refuse(four.plus(&maximal));
                    }
                }
            }
        }
    }
}

#[test]
fn packed_sums_are_sums_slot_by_slot() {
    for (l, sigma) in [(1, 0), (8, 0), (8, 80), (32, 40), (64, 80), (66, 128)] {
        let params = fixture("2048").params();
        let layout = SlotLayout::new(&params, l, sigma).expect("it fits");
        let (min, max) = extremes(l);
        for terms in 1..=4u32 {
            let values: Vec<i64> = [min, max, 0].into_iter().cycle().take(layout.slots()).collect();
            let slots = layout.offset(&values).expect("in range");
            let m = layout.pack(&slots).expect("offset values fit")[0].to_biguint() * terms;
            let total = Plaintext::from_biguint(&params, &m).expect("four terms stay below N");
            let back = layout.unpack(&[total], layout.slots()).expect("no slot spilled over");
            for (slot, x) in back.iter().zip(values) {
                let expected = i64::try_from(i128::from(x) * i128::from(terms)).ok();
                assert_eq!(layout.value(slot, terms), expected, "{terms} times {x}, l = {l}");
            }
        }
    }
}

#[test]
fn a_sum_beyond_64_bits_is_no_value() {
    let params = fixture("2048").params();
    let layout = SlotLayout::new(&params, 64, 80).expect("it fits");
    let value = |values: &[i64]| {
        let slots = layout.offset(values).expect("in range");
        layout.value(&sum(&slots.iter().collect::<Vec<_>>()), values.len() as u32)
    };
    assert_eq!(value(&[i64::MAX, i64::MIN]), Some(-1));
    assert_eq!(value(&[i64::MAX, i64::MAX, i64::MIN, i64::MIN]), Some(-2));
    assert_eq!(value(&[i64::MAX, 0]), Some(i64::MAX));
    assert_eq!(value(&[i64::MIN, 0]), Some(i64::MIN));
    assert_eq!(value(&[i64::MAX, 1]), None);
    assert_eq!(value(&[i64::MIN, -1]), None);
    assert_eq!(value(&[i64::MAX; 4]), None);
    assert_eq!(value(&[i64::MIN; 4]), None);
    assert_eq!(layout.value(&all_ones(146), 1), None);
}

#[test]
fn values_out_of_range_are_named() {
    let params = fixture("2048").params();
    for l in 1..64 {
        let layout = SlotLayout::new(&params, l, 80).expect("it fits");
        let (min, max) = extremes(l);
        for bad in [min - 1, max + 1, i64::MIN, i64::MAX] {
            for index in [0, 2] {
                let mut values = vec![min, max, 0];
                values[index] = bad;
                let refused = layout.offset(&values).map(|_| ());
                assert!(
                    matches!(refused, Err(Error::OutOfRange { index: i, .. }) if i == index),
                    "{bad} in {l} bits: {refused:?}"
                );
            }
        }
    }
}

#[test]
fn the_default_size_holds_as_many_slots_as_the_design_says() {
    let params = fixture("3072").params();
    let slots = |l| SlotLayout::new(&params, l, STATISTICAL_BITS).expect("it fits").slots();
    assert_eq!(STATISTICAL_BITS, 80);
    assert_eq!([8, 16, 32].map(slots), [34, 31, 26]);
}

#[test]
fn layouts_that_cannot_be_are_refused() {
    let refused = |name: &str, l, sigma| {
        let layout = SlotLayout::new(&fixture(name).params(), l, sigma);
        matches!(layout, Err(Error::Packing(_)))
    };
    assert!(refused("3072", 0, 80) && refused("3072", 67, 80) && refused("3072", 8, 129));
    assert!(!refused("3072", 1, 0) && !refused("3072", 66, 128));
    // |N| - 1 = 63 bits: one slot of that width, none of one bit more.
    assert!(!refused("64", 61, 0) && refused("64", 61, 1));
    assert!(!refused("toy", 8, 0) && refused("toy", 9, 0));
}

#[test]
fn what_was_not_packed_like_this_does_not_unpack() {
    let params = fixture("256").params();
    let layout = SlotLayout::new(&params, 8, 40).expect("it fits");
    assert_eq!(layout.slots(), 5);
    let packed = layout.pack(&vec![Slot::from_u64(255); 7]).expect("they fit");
    assert!(layout.unpack(&packed, 7).is_ok());
    for (plaintexts, count) in [(&packed[..1], 7), (&packed[..], 5), (&packed[..], 11)] {
        let refused = layout.unpack(plaintexts, count).map(|_| ());
        assert!(matches!(refused, Err(Error::Length { .. })), "{count}: {refused:?}");
    }
    // Something beyond the slots asked for: in the next slot, and above all five of them.
    let refused = layout.unpack(&packed, 6).map(|_| ());
    assert!(matches!(refused, Err(Error::OutOfRange { index: 1, .. })), "{refused:?}");
    let beyond = Plaintext::from_biguint(&params, &(BigUint::one() << 250)).expect("below N");
    let refused = layout.unpack(&[packed[0].clone(), beyond], 10).map(|_| ());
    assert!(matches!(refused, Err(Error::OutOfRange { index: 1, .. })), "{refused:?}");
    let other = Plaintext::from_u64(&fixture("512").params(), 1);
    let refused = layout.unpack(&[other], 1).map(|_| ());
    assert!(matches!(refused, Err(Error::OutOfRange { index: 0, .. })), "{refused:?}");
    assert!(layout.pack(&[]).expect("nothing").is_empty());
    assert!(layout.unpack(&[], 0).expect("nothing").is_empty());
}

#[test]
fn a_job_blinds_no_more_values_than_its_blinds_allow() {
    let params = fixture("3072").params();
    for sigma in 0..=128u32 {
        let layout = SlotLayout::new(&params, 8, sigma as usize).expect("it fits");
        match sigma.checked_sub(40) {
            None => assert!(!layout.allows(1) && !layout.allows(u64::MAX), "sigma = {sigma}"),
            Some(log2 @ 0..64) => {
                let most = 1u64 << log2;
                assert!(layout.allows(most) && layout.allows(most / 2 + 1), "sigma = {sigma}");
                assert!(!layout.allows(most + 1) && !layout.allows(u64::MAX), "sigma = {sigma}");
            }
            Some(_) => assert!(layout.allows(u64::MAX), "sigma = {sigma}"),
        }
    }
}

#[test]
fn blinds_fill_their_range_and_no_more() {
    let params = fixture("3072").params();
    for (l, sigma, layout) in layouts(&params) {
        let top = power(l + sigma - 1);
        let blinds: Vec<Slot> = (0..40).map(|_| layout.blind().expect("randomness")).collect();
        assert!(blinds.iter().all(|r| all_ones(l + sigma).minus(r).is_some()));
        // Half of them have the highest bit; all or none with probability 2^-39.
        let large = blinds.iter().filter(|r| r.minus(&top).is_some()).count();
        assert!((1..40).contains(&large), "l = {l}, sigma = {sigma}: {large} of 40");
        assert!(layout.pack(&[sum(&blinds[..4].iter().collect::<Vec<_>>())]).is_ok());
        assert!(layout.blind_bound() == power(l + sigma));
    }
}

/// An owner, and the two clouds of which C0 has the master key.
struct World {
    params: PublicParams,
    master: MasterKey,
    owner: SecretKey,
    known: KnownKey,
}

fn world(name: &str, backend: Backend) -> World {
    let (params, master) = fixture(name).on(backend);
    let owner = SecretKey::generate(&params).expect("a key");
    let known = master.know(owner.public()).expect("a key in G");
    World { params, master, owner, known }
}

impl World {
    fn key(&self) -> &PublicKey {
        self.owner.public()
    }

    fn encrypt(&self, layout: &SlotLayout, slots: &[Slot]) -> Vec<Ciphertext> {
        self.key().encrypt_many(&layout.pack(slots).expect("within limits")).expect("encryption")
    }

    fn open(&self, layout: &SlotLayout, c: &[Ciphertext], count: usize) -> Vec<Slot> {
        let plaintexts = self.master.decrypt_many(&self.known, c).expect("mDec");
        assert!(plaintexts == self.owner.decrypt_many(c).expect("uDec"));
        layout.unpack(&plaintexts, count).expect("as packed")
    }
}

#[test]
fn encrypted_slots_add_up_to_their_limit() {
    for (name, l, sigma) in [("256", 8, 40), ("512", 64, 80), ("2048", 16, 80), ("3072", 32, 80)] {
        let w = world(name, Backend::detect());
        let layout = SlotLayout::new(&w.params, l, sigma).expect("it fits");
        let count = layout.slots() + 1;
        let maximal = all_ones(l + sigma);
        // Maximal numbers beside blinds beside zeros.
        let term = |shift: usize| -> Vec<Slot> {
            let number = |i: usize| match (i + shift) % 3 {
                0 => maximal.clone(),
                1 => layout.blind().expect("randomness"),
                _ => Slot::from_u64(0),
            };
            (0..count).map(number).collect()
        };
        for terms in [[term(0), term(0), term(0), term(0)], [term(0), term(1), term(2), term(3)]] {
            let encrypted: Vec<_> = terms.iter().map(|t| w.encrypt(&layout, t)).collect();
            let total = encrypted[1..].iter().fold(encrypted[0].clone(), |total, c| {
                w.key().add_many(&total, c).expect("one key")
            });
            let opened = w.open(&layout, &total, count);
            for (i, slot) in opened.iter().enumerate() {
                assert!(*slot == sum(&terms.each_ref().map(|t| &t[i])), "{name}: slot {i}");
            }
        }
    }
}

/// An upload as in §4.1 of the paper map: u = x + 2^{l-1}, m_0 = R, m_1 = u - R + 2^{l+sigma}. C0
/// opens m_0; C1 adds rho and fresh randomness, C0 opens that too. C0's share is
/// opened + m_0 - 2^{l+sigma} - 2^{l-1} modulo 2^64, C1's is -rho.
fn shares(w: &World, layout: &SlotLayout, l: usize, x: &[i64], r: &[Slot], rho: &[Slot]) {
    let bound = layout.blind_bound();
    // The owner.
    let u = layout.offset(x).expect("in range");
    let m_1: Vec<Slot> =
        u.iter().zip(r).map(|(u, r)| u.plus(&bound).minus(r).expect("not negative")).collect();
    let (c_0, c_1) = (w.encrypt(layout, r), w.encrypt(layout, &m_1));
    // C1.
    let packed = layout.pack(rho).expect("blinds fit");
    let blinded = w.key().add_plain_many(&c_1, &packed).expect("one key");
    let blinded = w.key().rerandomize_many(&blinded).expect("one key");
    // C0.
    let (m_0, opened) = (w.open(layout, &c_0, x.len()), w.open(layout, &blinded, x.len()));
    let constants = bound.low_u64().wrapping_add(1 << (l - 1));
    for i in 0..x.len() {
        let share_0 = opened[i].low_u64().wrapping_add(m_0[i].low_u64()).wrapping_sub(constants);
        let share_1 = rho[i].low_u64().wrapping_neg();
        assert_eq!(share_0.wrapping_add(share_1) as i64, x[i], "l = {l}");
        // What C0 sees of m_1 is u - R + 2^{l+sigma} + rho, whole numbers and not only modulo 2^64.
        assert!(opened[i].plus(&m_0[i]) == sum(&[&u[i], &bound, &rho[i]]));
    }
}

#[test]
fn an_upload_splits_into_shares_of_its_values() {
    let sigma = STATISTICAL_BITS;
    for name in ["256", "512", "3072"] {
        let w = world(name, Backend::detect());
        for l in [1, 8, 16, 32, 64] {
            let layout = SlotLayout::new(&w.params, l, sigma).expect("it fits");
            let ((min, max), largest) = (extremes(l), all_ones(l + sigma));
            // Every extreme value with every extreme pair of blinds, and with random ones.
            let mut x = Vec::new();
            let (mut r, mut rho) = (Vec::new(), Vec::new());
            let blind = || layout.blind().expect("randomness");
            for value in [min, max, 0, -1, min / 3] {
                for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)] {
                    let pick =
                        |kind| [Slot::from_u64(0), largest.clone(), blind()][kind as usize].clone();
                    x.push(value);
                    r.push(pick(a));
                    rho.push(pick(b));
                }
            }
            shares(&w, &layout, l, &x, &r, &rho);
        }
    }
}

#[test]
fn the_split_is_the_same_on_every_backend() {
    for backend in Backend::available() {
        let w = world("2048", backend);
        let layout = SlotLayout::new(&w.params, 64, 80).expect("it fits");
        let x: Vec<i64> = (0..40).map(|i| (i64::MAX / 20).wrapping_mul(i)).collect();
        let blinds = || x.iter().map(|_| layout.blind().expect("randomness")).collect::<Vec<_>>();
        shares(&w, &layout, 64, &x, &blinds(), &blinds());
    }
}

#[test]
fn slots_are_numbers() {
    let (a, b) = (Slot::from_u64(u64::MAX), Slot::from_u64(1));
    assert!(a.plus(&b) == power(64) && power(64).minus(&b) == Some(a.clone()));
    assert!(a.minus(&power(64)).is_none() && b.minus(&b) == Some(Slot::from_u64(0)));
    assert_eq!((a.plus(&b).low_u64(), a.low_u64()), (0, u64::MAX));
    assert_eq!(spelled(&[big(1), big(2)], 4), big(33));
}
