//! What a cloud receives does not depend on the data: not how much, not when, and not what, but for
//! what is opened on purpose.
#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{Small, recorded, setup};
use dyad_mpc::prg::{Attempt, Label, Party as Side, Prg, Seed, Stream};
use dyad_mpc::together::{Input, cost, run, split};

const HEADER: usize = dyad_mpc::wire::HEADER;

/// Everything each cloud receives, C1's from the dealer last.
struct View {
    frames: [Vec<Bytes>; 3],
}

/// A run with given shares, and in the attempt of this number.
fn view(program: &Small, shares: [Vec<Input>; 2], number: u8) -> View {
    let mut setup = setup(shares);
    setup.attempt.nonces[0][0] = number;
    let (zero, from_one) = recorded(setup.clouds.0);
    let (one, from_zero) = recorded(setup.clouds.1);
    setup.clouds = (zero, one);
    let (source, dealt) = recorded(setup.dealing.1);
    setup.dealing.1 = source;
    let outcomes = run(program, cost(program).unwrap().1, setup);
    assert!(outcomes.clouds.iter().all(Result::is_ok));
    let frames = [from_one, from_zero, dealt].map(|record| record.lock().unwrap().clone());
    View { frames }
}

/// Shares of which C0's are always the same.
fn shares(program: &Small, value: impl Fn(usize) -> i64) -> [Vec<Input>; 2] {
    let prg = Prg::new(&Seed::from_bytes([4; 32]));
    let mut zero = program.inputs(|_| 0);
    let mut one = program.inputs(value);
    for (operation, (zero, one)) in zero.iter_mut().zip(&mut one).enumerate() {
        let label = Label { step: 0, operation: operation as u32, stream: Stream::Share };
        prg.fill(label, 0, &mut zero.words);
        for (one, zero) in one.words.iter_mut().zip(&zero.words) {
            *one = one.wrapping_sub(*zero);
        }
    }
    [zero, one]
}

fn noise(i: usize) -> i64 {
    (i as i64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64) >> 46
}

#[test]
fn counts_and_sizes_are_those_of_the_shape() {
    let program = Small::default();
    let sizes = |value: fn(usize) -> i64| {
        let shares = program.inputs(value).into_iter().map(|input| (split(&input.words), input));
        let mut both = [vec![], vec![]];
        for ([zero, one], input) in shares {
            both[0].push(Input::new(&input.name, input.meta, zero));
            both[1].push(Input::new(&input.name, input.meta, one));
        }
        let view = view(&program, both, 1);
        view.frames.map(|frames| {
            // Headers too: everything but the words.
            frames.iter().map(|frame| (frame.slice(..HEADER), frame.len())).collect::<Vec<_>>()
        })
    };
    let zeros = sizes(|_| 0);
    assert_eq!(zeros, sizes(noise));
    assert_eq!(zeros, sizes(|_| (1 << 20) - 1));
}

/// Chi-square of bytes against the uniform distribution, as a number of standard deviations
/// (Wilson and Hilferty's).
fn deviation(bytes: &[u8]) -> f64 {
    let mut counts = [0u64; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let expected = bytes.len() as f64 / 256.0;
    let chi: f64 = counts.iter().map(|c| (*c as f64 - expected).powi(2) / expected).sum();
    let (k, v) = (255.0, 2.0 / (9.0 * 255.0));
    ((chi / k).cbrt() - (1.0 - v)) / v.sqrt()
}

/// p = 10^-6, on either side.
const LIMIT: f64 = 4.9;

/// The words of frames, without greeting, agreement (public hashes) and what is opened on purpose.
fn masked_bytes(frames: &[Bytes]) -> Vec<u8> {
    let hashes = |frame: &Bytes| frame.len() == HEADER + 32 || frame.len() == HEADER + 136;
    let opened = usize::from(frames.len() > 8);
    let masked = &frames[..frames.len() - opened];
    masked.iter().filter(|frame| !hashes(frame)).flat_map(|f| f[HEADER..].to_vec()).collect()
}

#[test]
fn what_arrives_looks_uniform_whatever_the_data() {
    let program = Small { rows: 3000, steps: 3, shift: 12 };
    for value in [|_| 0, noise, |_| -1] {
        let view = view(&program, shares(&program, value), 2);
        for (who, frames) in ["C0", "C1", "C1 from the dealer"].iter().zip(&view.frames) {
            let bytes = masked_bytes(frames);
            assert!(bytes.len() > 100_000);
            let deviation = deviation(&bytes);
            assert!(deviation.abs() < LIMIT, "{who}: {deviation} standard deviations");
        }
    }
}

#[test]
fn the_test_of_uniformity_sees_what_is_not() {
    // Bits that are set a little too often, and counting.
    let skewed: Vec<u8> =
        (0..200_000u32).map(|i| if i % 100 == 0 { 7 } else { (i * 37) as u8 }).collect();
    assert!(deviation(&skewed) > LIMIT);
    let even: Vec<u8> = (0..=255).cycle().take(256_000).collect();
    assert!(deviation(&even) < -LIMIT);
}

#[test]
fn under_the_same_masks_openings_differ_by_the_data_and_nothing_else() {
    // Of the table and of the first mask of w: x̂ - x is the mask, the same for all data.
    let program = Small { steps: 1, ..Small::default() };
    let words = |frame: &Bytes| -> Vec<u64> {
        frame[HEADER..].as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect()
    };
    let zeros = view(&program, shares(&program, |_| 0), 3);
    let noisy = view(&program, shares(&program, noise), 3);
    let inputs = program.inputs(noise);
    // C1 -> C0: greeting, table, mask of w, ẑ, two folds, {b^, c^}.
    for (frame, input) in [(1, &inputs[0]), (2, &inputs[1])] {
        let (a, b) = (words(&zeros.frames[0][frame]), words(&noisy.frames[0][frame]));
        let differences = a.iter().zip(&b).map(|(a, b)| b.wrapping_sub(*a));
        assert!(differences.eq(input.words.iter().copied()), "frame {frame}");
    }
    // C0's shares are the same in both runs, and so is all that C0 sends up to the product.
    for frame in 0..3 {
        assert_eq!(zeros.frames[1][frame], noisy.frames[1][frame]);
    }
    // What the dealer sends does not depend on data at all.
    assert_eq!(zeros.frames[2], noisy.frames[2]);
    // The bits opened in the folds differ, under the same masks, by bits of the data: so masks of
    // bits are used once. Under other masks they are unrelated.
    let other = view(&program, shares(&program, noise), 4);
    for frame in 1..7 {
        assert_ne!(other.frames[0][frame], noisy.frames[0][frame]);
        assert_ne!(other.frames[1][frame], noisy.frames[1][frame]);
    }
}

#[test]
fn a_mask_used_twice_is_seen() {
    // Two runs in one attempt, as a roll-back would have it: what is under the masks comes out.
    let program = Small { rows: 3000, steps: 1, shift: 12 };
    let difference = |first: u8, second: u8| -> Vec<u8> {
        let a = view(&program, shares(&program, |_| 0), first);
        let b = view(&program, shares(&program, |i| i as i64 % 5), second);
        // The table, as C0 receives it.
        let words = |view: &View| {
            let words = view.frames[0][1][HEADER..].as_chunks::<8>().0;
            words.iter().map(|b| u64::from_le_bytes(*b)).collect::<Vec<_>>()
        };
        let pairs = words(&a).into_iter().zip(words(&b));
        pairs.flat_map(|(a, b)| b.wrapping_sub(a).to_le_bytes()).collect()
    };
    assert!(deviation(&difference(5, 5)).abs() > LIMIT, "the same attempt twice");
    assert!(deviation(&difference(5, 6)).abs() < LIMIT, "two attempts");
    // And so the seeds of two attempts are different in every way that matters.
    let seed = |number: u8| {
        let attempt = Attempt { nonces: [[number; 16], [2; 16]], ..common::ATTEMPT };
        *Seed::derive(&[9; 32], &attempt, Side::Zero).as_bytes()
    };
    assert_ne!(seed(5), seed(6));
}

#[test]
fn a_step_that_is_run_twice_is_refused_whatever_it_opens() {
    use dyad_mpc::engine::Engine;
    use dyad_mpc::together::Program;
    use dyad_mpc::{Error, Result, Session, Shift};
    /// Opens by the operation of this number.
    struct Twice(usize);
    impl Program for Twice {
        fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
            let x = e.input("w", dyad_mpc::tensor::Meta::new(3, 2, 10, 20))?;
            e.step(1)?;
            let b = e.not_negative(&[&x])?;
            for step in [2, 3, 2] {
                e.step(step)?;
                match self.0 {
                    0 => drop(e.mask_one(&x)?),
                    1 => drop(e.prepare(x.clone())?),
                    2 => drop(e.truncate_one(&x, Shift::floor(3))?),
                    3 => drop(e.is_zero(&[&x])?),
                    4 => drop(e.relu(&[(&x, Shift::nearest(3))])?),
                    _ => drop(e.gate(&[(&b[0], &x, Shift::floor(0))])?),
                }
            }
            Ok(vec![])
        }
    }
    for operation in 0..=5 {
        let mut setup = setup(shares(&Small::default(), noise));
        setup.limit = std::time::Duration::from_secs(2);
        for end in run(&Twice(operation), [0; 32], setup).clouds {
            let error = end.unwrap_err();
            assert!(matches!(error, Error::Program { .. }), "operation {operation}: {error}");
        }
    }
}
