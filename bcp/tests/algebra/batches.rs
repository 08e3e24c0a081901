//! A batch gives what its items give one by one, on any number of threads.

use super::common::big;
use super::{SMALL, World, expand};
use dyad_bcp::{Ciphertext, Plaintext, UnifiedKey};
use num_bigint::BigUint;

/// Plaintexts and encryptions of them, more than two rounds of eight lanes.
fn batch(world: &World, label: u64) -> (Vec<Plaintext>, Vec<Ciphertext>) {
    let half = world.n_squared() >> 1u8;
    let item = |i: u64| {
        let m = world.plain(&expand(1000 * label + i, world.n()));
        let r = expand(1000 * label + 500 + i, &half);
        let c = world.key().insecure_encrypt_with_randomness(&m, &r).expect("encryption");
        (m, c)
    };
    (0..19).map(item).unzip()
}

/// Every deterministic result that can be had of a batch, in one list.
fn results(world: &World, unified: &UnifiedKey, size: usize) -> Vec<(BigUint, BigUint)> {
    let key = world.key();
    let ((m, x), (_, y)) = (batch(world, 1), batch(world, 2));
    let (m, x, y) = (&m[..size], &x[..size], &y[..size]);
    let mut all: Vec<Ciphertext> = Vec::new();
    all.extend(key.add_many(x, y).expect("add"));
    all.extend(key.sub_many(x, y).expect("sub"));
    all.extend(key.negate_many(x).expect("negate"));
    all.extend(key.scale_many(x, m).expect("scale"));
    all.extend(key.scale_many_bounded(x, m, world.params.n().bits() as usize).expect("scale"));
    all.extend(key.add_plain_many(x, m).expect("shift"));
    all.extend(key.sum(x).expect("sum"));
    let heads: Vec<_> = all.iter().map(Ciphertext::head).collect();
    let partials = world.user.partial_many(unified, &heads).expect("a member");
    let partials: Vec<_> = partials.into_iter().map(|p| vec![p]).collect();
    let opened = [
        world.user.decrypt_many(&all).expect("uDec"),
        world.master.decrypt_many(&world.known, &all).expect("mDec"),
        unified.open_many(&all, &partials).expect("joint"),
    ];
    assert!(opened[1] == opened[0] && opened[2] == opened[0]);
    let mut numbers: Vec<_> = all.iter().map(super::pair).collect();
    numbers.extend(opened[0].iter().map(|m| (m.to_biguint(), big(0))));
    numbers
}

fn unified(world: &World) -> UnifiedKey {
    UnifiedKey::new(std::slice::from_ref(world.key())).expect("one member")
}

#[test]
fn batches_give_what_single_items_give() {
    for world in SMALL.iter() {
        let key = world.key();
        let ((m, x), (_, y)) = (batch(world, 1), batch(world, 2));
        let (sums, differences) = (key.add_many(&x, &y), key.sub_many(&x, &y));
        let (sums, differences) = (sums.expect("add"), differences.expect("sub"));
        let (negatives, shifted) = (key.negate_many(&x), key.add_plain_many(&x, &m));
        let (negatives, shifted) = (negatives.expect("negate"), shifted.expect("shift"));
        let (scaled, opened) = (key.scale_many(&x, &m), world.user.decrypt_many(&x));
        let (scaled, opened) = (scaled.expect("scale"), opened.expect("uDec"));
        let by_master = world.master.decrypt_many(&world.known, &x).expect("mDec");
        for i in 0..x.len() {
            let (x, y, m) = (&x[i..=i], &y[i..=i], &m[i..=i]);
            assert_eq!(key.add(&x[0], &y[0]).expect("add"), sums[i]);
            assert_eq!(key.sub_many(x, y).expect("sub"), differences[i..=i]);
            assert_eq!(key.negate_many(x).expect("negate"), negatives[i..=i]);
            assert_eq!(key.scale_many(x, m).expect("scale"), scaled[i..=i]);
            assert_eq!(key.add_plain_many(x, m).expect("shift"), shifted[i..=i]);
            assert_eq!(world.user.decrypt(&x[0]).expect("uDec"), opened[i]);
            assert_eq!(world.master.decrypt(&world.known, &x[0]).expect("mDec"), by_master[i]);
        }
        assert!(opened == m && by_master == m);
        let fresh = key.encrypt_many(&m).expect("encryption");
        assert_eq!(world.user.decrypt_many(&fresh).expect("uDec"), m);
        let again = key.rerandomize_many(&x).expect("fresh randomness");
        assert_eq!(world.user.decrypt_many(&again).expect("uDec"), m);
    }
}

#[test]
fn batches_of_every_size_are_beginnings_of_longer_ones() {
    for world in SMALL.iter() {
        let unified = unified(world);
        let (whole, parts) = (19, 6);
        let long = results(world, &unified, whole);
        for size in [0, 1, 7, 8, 9, 17] {
            let short = results(world, &unified, size);
            for part in 0..parts {
                let (short, long) = (&short[part * size..], &long[part * whole..]);
                assert_eq!(short[..size], long[..size], "batch of {size}, part {part}");
            }
        }
    }
}

#[test]
fn backends_give_the_same() {
    let by_name = |name: &str| {
        let worlds = SMALL.iter().filter(|w| w.fixture.name == name);
        worlds.map(|w| results(w, &unified(w), 19)).collect::<Vec<_>>()
    };
    for name in ["64", "256", "512"] {
        let all = by_name(name);
        assert!(all.iter().all(|r| *r == all[0]), "{name}");
    }
}

#[test]
fn the_number_of_threads_does_not_matter() {
    for world in SMALL.iter() {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("a pool").install(|| results(world, &unified(world), 19))
        };
        let alone = on(1);
        assert_eq!(on(2), alone);
        assert_eq!(on(5), alone);
    }
}
