//! Values that leave their bounds: nothing of them shows, and the job ends with an error that says
//! where. Blinds are counted.

use super::common::Small;
use super::leaks::{Curious, LIMIT, WIDTH, deviation};
use super::world::World;
use dyad_mpc::engine::{Audience, Engine, Transpose};
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{Input, Lines, Program, Setup, clear, cost, two_on_ciphertexts};
use dyad_mpc::{Cipher, Error, Opened, Result, Session, Shift};
use std::time::Duration;

const ROWS: usize = 500;
/// Of what the program takes in, and what it takes their product for.
const BOUND: u8 = 30;
const DECLARED: u8 = 24;

/// x w declared below 2^24, which it is for a run that goes well; truncated, masked, squared.
struct Runaway;

impl Runaway {
    fn inputs(value: impl Fn(usize) -> i64) -> Vec<Input> {
        let [x, w] = Self::metas();
        let words = |meta: Meta| (0..meta.shape.len()).map(|i| value(i) as u64).collect();
        vec![Input::new("x", x, words(x)), Input::new("w", w, words(w))]
    }

    fn metas() -> [Meta; 2] {
        [Meta::new(ROWS, 3, 10, BOUND), Meta::new(3, 2, 10, BOUND)]
    }
}

impl Program for Runaway {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let [x, w] = Self::metas();
        let (x, w) = (e.input("x", x)?, e.input("w", w)?);
        let masked = e.mask(&[&x, &w])?;
        let z = e.matmul(&masked[0], &masked[1], Transpose::None)?;
        let z = e.declare(&z, DECLARED)?;
        let y = e.truncate(&[(&z, Shift::floor(12))])?.pop().unwrap();
        let y = e.mask_one(&y)?;
        let y = e.multiply(&y, &y)?;
        e.open(&[&y], Audience::All)
    }
}

/// What C0 opened, in the order in which it did, and how the run ended.
fn run(value: impl Fn(usize) -> i64) -> (Vec<[u64; 4]>, [Result<Vec<Opened>>; 2]) {
    let world = World::new(512);
    let (opener, seen) = Curious::beside(&world);
    let mut setup = Setup::new(&Runaway::inputs(value), Lines::Memory).unwrap();
    setup.limit = Duration::from_secs(20);
    let trace = cost(&Runaway).unwrap().1;
    let ends = two_on_ciphertexts(&world.key, opener, trace, setup, |_, mut engine, contract| {
        engine.greet(contract)?;
        Runaway.run(&mut Session::new(engine))
    });
    let seen = seen.lock().unwrap();
    let slots = (512 - 2) / WIDTH;
    let values = seen.iter().flat_map(|m| m.slots(WIDTH, slots).unwrap());
    (values.filter(|x| *x != [0; 4]).collect(), ends.unwrap())
}

/// x as a number below 1, of so many bits.
fn fraction(x: &[u64; 4], bits: usize) -> f64 {
    let word = |i: usize| x[i] as f64 * ((64 * i) as f64 - bits as f64).exp2();
    word(0) + word(1) + word(2)
}

fn small(i: usize) -> i64 {
    [900, -900, 0][i % 3]
}

/// 2^59 and more as a product, where 2^24 is declared.
fn far_beyond(_: usize) -> i64 {
    (1 << BOUND) - 1
}

fn far_below(i: usize) -> i64 {
    if i.is_multiple_of(2) { far_beyond(i) } else { -far_beyond(i) }
}

#[test]
fn what_c0_opens_of_values_far_beyond_their_bound_is_what_it_opens_of_others() {
    type Kind = (&'static str, fn(usize) -> i64);
    let kinds: [Kind; 3] =
        [("within", small), ("far beyond", far_beyond), ("far below", far_below)];
    for (name, value) in kinds {
        let (seen, ends) = run(value);
        // x and w masked, x w as it is truncated, the result masked.
        let masked = 3 * ROWS + 6;
        let [z, y] = [masked, masked + 2 * ROWS].map(|at| &seen[at..at + 2 * ROWS]);
        // A product of reach 62 behind 144 bits, a result of reach 50 behind 115.
        for (what, values, bits) in [("truncated", z, 144), ("masked", y, 115)] {
            let bytes = values.iter().flat_map(|x| {
                let bytes: Vec<u8> = x.iter().flat_map(|word| word.to_le_bytes()).collect();
                bytes[..bits / 8].to_vec()
            });
            let deviation = deviation(bytes);
            assert!(deviation.abs() < LIMIT, "{name}, {what}: {deviation} standard deviations");
            let n = values.len() as f64;
            let mean = values.iter().map(|x| fraction(x, bits)).sum::<f64>() / n;
            let sigma = (1.0 / 12.0 / n).sqrt();
            assert!((mean - 0.5).abs() < LIMIT * sigma, "{name}, {what}: mean {mean}");
        }
        let expected = clear(&Runaway, &Runaway::inputs(value));
        assert_eq!(expected.is_ok(), name == "within", "{name}");
        for end in ends {
            match (&expected, end) {
                (Ok(expected), Ok(opened)) => assert_eq!(opened, *expected),
                (Err(_), Err(error)) => {
                    let text = error.to_string();
                    assert!(matches!(error, Error::Beyond { bound: 13, .. }), "{name}: {text}");
                    assert!(text.contains("(mask)") && text.contains("smaller rate"), "{text}");
                }
                (_, end) => panic!("{name}: {end:?}"),
            }
        }
        // After the test that failed C0 opened nothing more.
        assert_eq!(seen.len() > masked + 4 * ROWS, name == "within", "{name}");
    }
}

/// An input beyond what its schema says is refused with its name, before anybody is shown a value.
#[test]
fn inputs_beyond_their_bound_are_refused_by_name() {
    let world = World::new(512);
    for beyond in [1i64 << BOUND, -(1 << BOUND) - 1, i64::MAX, i64::MIN] {
        let (opener, seen) = Curious::beside(&world);
        let value = |i: usize| if i == 4 { beyond } else { 5 };
        let setup = Setup::new(&Runaway::inputs(value), Lines::Memory).unwrap();
        let trace = cost(&Runaway).unwrap().1;
        let ends = two_on_ciphertexts(&world.key, opener, trace, setup, |_, engine, _| {
            Runaway.run(&mut Session::new(engine))
        });
        for end in ends.unwrap() {
            let error = end.unwrap_err();
            let text = error.to_string();
            assert!(matches!(&error, Error::Input { name, .. } if name == "x"), "{text}");
            assert!(text.contains("2^30"), "{text}");
        }
        assert!(seen.lock().unwrap().is_empty());
    }
}

/// Small's blinded values: a table, a factor and a ReLU, and two bits for each row.
const BLINDED: u64 = 4 * 3 + 3 * 2 + 4 * 2 + 4 * 2;

#[test]
fn blinded_values_are_counted_over_attempts_and_bounded() {
    let world = World::new(512);
    let program = Small { rows: 4, steps: 1, shift: 12 };
    let run = |before: u64| {
        let setup = Setup::new(&program.inputs(|i| i as i64), Lines::Memory).unwrap();
        let trace = cost(&program).unwrap().1;
        let work = |_, engine: Cipher, _: &dyad_mpc::Contract| {
            let mut session = Session::new(engine.having_blinded(before));
            program.run(&mut session)?;
            Ok(session.engine().blinded())
        };
        let ends = two_on_ciphertexts(&world.key, world.opener(), trace, setup, work);
        ends.unwrap()
    };
    let ends: [Result<u64>; 2] = run(7);
    assert_eq!(ends.map(Result::unwrap), [7 + BLINDED; 2]);
    let last = (1 << 40) - BLINDED;
    assert_eq!(run(last).map(Result::unwrap), [1 << 40; 2]);
    for end in run(last + 1) {
        let error = end.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Blinds { more: 8, .. }), "{text}");
        assert!(text.contains("open") && text.contains("new job"), "{text}");
    }
}

/// A program whose blinds could not hide what its factors reach is refused, by both.
#[test]
fn a_product_beyond_all_blinds_is_refused() {
    struct Wide;
    impl Program for Wide {
        fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
            let x = e.input("x", Meta::new(2, 2, 10, 60))?;
            let x = e.mask_one(&x)?;
            let z = e.multiply(&x, &x)?;
            let z = e.declare(&z, 40)?;
            let z = e.truncate(&[(&z, Shift::floor(3))])?;
            e.open(&[&z[0]], Audience::All)
        }
    }
    let world = World::new(512);
    let inputs = [Input::new("x", Meta::new(2, 2, 10, 60), vec![3, 4, 5, 6])];
    let setup = Setup::new(&inputs, Lines::Memory).unwrap();
    let ends = two_on_ciphertexts(&world.key, world.opener(), [0; 32], setup, |_, engine, _| {
        Wide.run(&mut Session::new(engine))
    });
    for end in ends.unwrap() {
        let error = end.unwrap_err();
        assert!(matches!(error, Error::Program { .. }), "{error}");
        assert!(error.to_string().contains("up to 2^120"), "{error}");
    }
}

/// To the last value, and also where numbers modulo 2^64 are alike.
#[test]
fn a_mask_tells_what_is_within_its_bound_from_what_is_not() {
    /// x 2^shift declared below 2^bound, masked.
    struct Scaled(Meta, u8, u8);
    impl Program for Scaled {
        fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
            let Self(meta, shift, bound) = *self;
            let x = e.input("x", meta)?;
            let x = e.linear(&[(1 << shift, &x)])?;
            let x = e.declare(&x, bound)?;
            let masked = e.mask_one(&x)?;
            let x = e.unmask(&masked)?;
            e.open(&[&x], Audience::All)
        }
    }
    let world = World::new(512);
    let top = 1i64 << 54;
    for (value, shift, bound, within) in [
        (1023, 0, 10, true),
        (-1023, 0, 10, true),
        (1024, 0, 10, false),
        (-1025, 0, 10, false),
        (1, 9, 10, true),
        (-1, 11, 10, false),
        // 2^64 and its neighbours, and twice that.
        (top, 10, 10, false),
        (-top, 10, 10, false),
        (2 * top, 10, 12, false),
        (0, 10, 10, true),
        (1 << 40, 20, 61, true),
        (-(1 << 40), 21, 60, false),
    ] {
        let meta = Meta::new(2, 2, 10, 57);
        let program = Scaled(meta, shift, bound);
        let words = vec![0, 0, value as u64, 0];
        let setup = Setup::new(&[Input::new("x", meta, words)], Lines::Memory).unwrap();
        let ends =
            two_on_ciphertexts(&world.key, world.opener(), [0; 32], setup, |_, engine, _| {
                program.run(&mut Session::new(engine))
            });
        for end in ends.unwrap() {
            match end {
                Ok(opened) => {
                    assert!(within, "{value} << {shift} below 2^{bound}");
                    assert_eq!(opened[0].words[2], (value as u64) << shift);
                }
                Err(error) => {
                    assert!(matches!(error, Error::Beyond { .. }), "{error}");
                    assert!(!within, "{value} << {shift} below 2^{bound}");
                }
            }
        }
    }
}
