//! Whatever comes in a message's place, nobody panics or hangs, the error names where, and inputs go
//! through another attempt as if there had been none: C0 keeps nothing that it would need.

use super::common::{Meddle, Meddler, Small};
use super::world::World;
use bytes::{Bytes, BytesMut};
use dyad_mpc::together::{Input, Lines, Program, Setup, clear, cost, two_on_ciphertexts};
use dyad_mpc::{Error, Opened, Result, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const HEADER: usize = dyad_mpc::wire::HEADER;
const PROGRAM: Small = Small { rows: 3, steps: 1, shift: 12 };

fn given() -> [Vec<Input>; 2] {
    dyad_mpc::together::shares(&PROGRAM.inputs(|i| (i as i64 - 4) * 999))
}

/// An attempt at the same shares, in which a side's messages are meddled with.
fn attempt(
    world: &World,
    shares: [Vec<Input>; 2],
    meddled: Option<(usize, Meddle)>,
) -> [Result<Vec<Opened>>; 2] {
    let mut setup = Setup::new(&[], Lines::Memory.waiting(Duration::from_secs(20))).unwrap();
    setup.shares = shares;
    if let Some((side, meddle)) = meddled {
        let (zero, one) = setup.clouds;
        setup.clouds = match side {
            0 => (Meddler::boxed(zero, meddle), one),
            _ => (zero, Meddler::boxed(one, meddle)),
        };
    }
    let trace = cost(&PROGRAM).unwrap().1;
    let ends =
        two_on_ciphertexts(&world.key, world.opener(), trace, setup, |_, mut engine, contract| {
            engine.greet(contract)?;
            PROGRAM.run(&mut Session::new(engine))
        });
    ends.unwrap()
}

/// How many messages come to this side.
fn messages(world: &World, side: usize) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let meddle: Meddle = Box::new(move |_, frame| {
        counter.fetch_add(1, Ordering::Relaxed);
        vec![frame]
    });
    assert!(attempt(world, given(), Some((side, meddle))).iter().all(Result::is_ok));
    count.load(Ordering::Relaxed)
}

/// Another payload, or another frame, in place of message `at`.
fn instead(at: usize, change: fn(Bytes) -> Vec<Bytes>) -> Meddle {
    Box::new(move |seen, frame| if seen == at { change(frame) } else { vec![frame] })
}

fn payload(frame: &Bytes, byte: u8) -> Vec<Bytes> {
    let mut frame = BytesMut::from(&frame[..]);
    frame[HEADER..].fill(byte);
    vec![frame.freeze()]
}

#[test]
fn messages_that_are_cut_or_come_twice_are_refused_and_another_attempt_gives_the_same_bits() {
    let world = World::new(512);
    let mut expected =
        [clear(&PROGRAM, &PROGRAM.inputs(|i| (i as i64 - 4) * 999)).unwrap(), vec![]];
    expected[1] = expected[0].clone();
    // The last is for C1 alone.
    expected[0][1].words.clear();
    let changes: [fn(Bytes) -> Vec<Bytes>; 3] = [
        |frame| vec![frame.slice(..frame.len() - 1)],
        |frame| vec![frame.slice(..HEADER.min(frame.len()) - 4)],
        |mut frame| {
            let mut longer = BytesMut::from(&frame.split_off(0)[..]);
            longer.extend_from_slice(&[0; 8]);
            vec![longer.freeze()]
        },
    ];
    for (side, name) in ["C0", "C1"].into_iter().enumerate() {
        let count = messages(&world, side);
        assert!(count > 30, "{count} messages");
        for at in 0..count {
            let shares = given();
            let meddle = instead(at, changes[at % changes.len()]);
            let ends = attempt(&world, shares.clone(), Some((side, meddle)));
            let error = ends[side].as_ref().unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, Error::Frame { .. }), "message {at} to {name}: {text}");
            assert!(text.starts_with(name) && text.contains("step"), "{text}");
            if at % 5 == 0 {
                assert_eq!(attempt(&world, shares, None).map(Result::unwrap), expected, "{at}");
            }
        }
    }
}

#[test]
fn words_that_are_no_ciphertexts_or_points_panic_nobody() {
    let world = World::new(512);
    for side in [0, 1] {
        let mut refused = 0;
        for at in 0..messages(&world, side) {
            let change: fn(Bytes) -> Vec<Bytes> = match at % 2 {
                0 => |frame| payload(&frame, 0),
                _ => |frame| payload(&frame, 0xff),
            };
            // Words of transfers are uniform: others in their place spoil results, and no more.
            // Where there are ciphertexts or points, they are refused.
            let ends = attempt(&world, given(), Some((side, instead(at, change))));
            if let Err(error) = &ends[side] {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
        assert!(refused > 10, "{refused} refused");
    }
}

/// A line that is cut in the middle of a step: the other attempt has new blinds, and the same bits.
#[test]
fn an_attempt_that_begins_anew_in_the_middle_of_a_step_has_new_blinds_and_the_same_bits() {
    use super::leaks::Curious;
    let world = World::new(512);
    let shares = given();
    let trace = cost(&PROGRAM).unwrap().1;
    let mut views = vec![];
    let mut results = vec![];
    for stop in [Some("relu"), Some("matmul"), None, None] {
        let (opener, seen) = Curious::beside(&world);
        let mut setup = Setup::new(&[], Lines::Memory.waiting(Duration::from_secs(20))).unwrap();
        setup.shares = shares.clone();
        let ends =
            two_on_ciphertexts(&world.key, opener, trace, setup, |_, mut engine, contract| {
                engine.greet(contract)?;
                let mut e = Session::new(engine);
                match stop {
                    None => PROGRAM.run(&mut e).map(Some),
                    Some(stop) => stopped(&mut e, stop).map(|()| None),
                }
            });
        let ends: [Result<Option<Vec<Opened>>>; 2] = ends.unwrap();
        views.push(seen.lock().unwrap().clone());
        let [zero, one] = ends.map(Result::unwrap);
        results.extend(zero.zip(one));
    }
    assert_eq!(results.len(), 2);
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0].1, clear(&PROGRAM, &PROGRAM.inputs(|i| (i as i64 - 4) * 999)).unwrap());
    // What C0 saw blinded in one attempt it never saw in another.
    let on_purpose = PROGRAM.rows + (2 * PROGRAM.rows).div_ceil(3);
    for (i, view) in views.iter().enumerate() {
        for other in &views[..i] {
            let blinded = view.len() - if i < 2 { 0 } else { on_purpose };
            assert!(blinded >= PROGRAM.rows);
            assert!(view[..blinded].iter().all(|m| !other.contains(m)));
        }
    }
}

/// The step up to an operation, and no further: both clouds go down there.
fn stopped(e: &mut Session<dyad_mpc::Cipher>, at: &str) -> Result<()> {
    use dyad_mpc::Shift;
    use dyad_mpc::engine::Transpose;
    use dyad_mpc::tensor::Meta;
    let x = e.input("x", Meta::new(PROGRAM.rows, 3, 10, 20))?;
    let w = e.input("w", Meta::new(3, 2, 10, 20))?;
    let table = e.prepare(x)?;
    e.step(1)?;
    let x = e.rows(&table, &[0, 1, 2])?;
    let w = e.mask_one(&w)?;
    let z = e.matmul(&x, &w, Transpose::None)?;
    if at == "relu" {
        e.relu(&[(&z, Shift::nearest(12))])?;
    }
    Ok(())
}
