//! What C0 opens is the same whatever the data, statistically; what C1 receives are ciphertexts and
//! masked bits.

use super::common::{ATTEMPT, Small, recorded};
use super::world::World;
use bytes::Bytes;
use dyad_bcp::{Ciphertext, Fresh, Plaintext};
use dyad_mpc::Session;
use dyad_mpc::cipher::Opener;
use dyad_mpc::together::Program;
use dyad_mpc::together::{Lines, Setup, cost, two_on_ciphertexts};
use std::sync::{Arc, Mutex};

const HEADER: usize = dyad_mpc::wire::HEADER;
/// Bits of a slot.
pub(super) const WIDTH: usize = 145;

/// C0 with a notebook.
pub(super) struct Curious {
    world: World,
    seen: Notes,
}

/// What C0 opened.
type Notes = Arc<Mutex<Vec<Plaintext>>>;

impl Curious {
    pub(super) fn beside(world: &World) -> (Box<dyn Opener>, Notes) {
        let seen = Notes::default();
        (Box::new(Self { world: world.clone(), seen: Arc::clone(&seen) }), seen)
    }
}

impl Opener for Curious {
    fn open(&self, ciphertexts: &[Ciphertext]) -> dyad_bcp::Result<Vec<Plaintext>> {
        let opened = self.world.open(ciphertexts)?;
        self.seen.lock().unwrap().extend(opened.iter().cloned());
        Ok(opened)
    }

    fn fresh(&self, count: usize) -> dyad_bcp::Result<Vec<Fresh>> {
        self.world.fresh(count)
    }
}

/// What C0 opened, value by value, and what C0 and C1 received.
fn view(value: impl Fn(usize) -> i64) -> (Vec<[u64; 4]>, [Vec<Bytes>; 2]) {
    let program = Small { rows: 500, steps: 1, shift: 12 };
    let world = World::new(512);
    let slots = (512 - 2) / WIDTH;
    let (opener, seen) = Curious::beside(&world);
    let mut setup = Setup::new(&program.inputs(value), Lines::Memory).unwrap();
    setup.attempt = ATTEMPT;
    let (zero, from_one) = recorded(setup.clouds.0);
    let (one, from_zero) = recorded(setup.clouds.1);
    setup.clouds = (zero, one);
    let trace = cost(&program).unwrap().1;
    let ends = two_on_ciphertexts(&world.key, opener, trace, setup, |_, mut engine, contract| {
        engine.greet(contract)?;
        program.run(&mut Session::new(engine))
    });
    assert!(ends.unwrap().iter().all(Result::is_ok));
    // The last openings are those on purpose, of the ReLU's results, row by row, and of its bits,
    // one behind the other.
    let seen = seen.lock().unwrap();
    let on_purpose = program.rows + (2 * program.rows).div_ceil(slots);
    let blinded = &seen[..seen.len() - on_purpose];
    let values = blinded.iter().flat_map(|m| m.slots(WIDTH, slots).unwrap());
    let values = values.filter(|x| *x != [0; 4]).collect();
    (values, [from_one, from_zero].map(|record| record.lock().unwrap().clone()))
}

/// Chi-square of bytes against the uniform distribution, as a number of standard deviations
/// (Wilson and Hilferty's).
pub(super) fn deviation(bytes: impl Iterator<Item = u8>) -> f64 {
    let (mut counts, mut all) = ([0u64; 256], 0u64);
    for byte in bytes {
        counts[usize::from(byte)] += 1;
        all += 1;
    }
    assert!(all > 10_000, "{all} bytes are too few");
    let expected = all as f64 / 256.0;
    let chi: f64 = counts.iter().map(|c| (*c as f64 - expected).powi(2) / expected).sum();
    let (k, v) = (255.0, 2.0 / (9.0 * 255.0));
    ((chi / k).cbrt() - (1.0 - v)) / v.sqrt()
}

/// p = 10^-6, on either side.
pub(super) const LIMIT: f64 = 4.9;

const BOUND: i64 = (1 << 20) - 1;

fn signs(i: usize) -> i64 {
    if i.is_multiple_of(2) { BOUND } else { -BOUND }
}

#[test]
fn what_c0_opens_does_not_depend_on_the_data() {
    // Masks of x and w and the ReLU's opening; bounds are 20 and 42 bits, so blinds have at least
    // 101, of which the low 96 are looked at one by one and the top by its mean.
    type Kind = (&'static str, fn(usize) -> i64);
    let kinds: [Kind; 4] = [
        ("zeros", |_| 0),
        ("at the bound", |_| BOUND),
        ("below zero", |_| -BOUND),
        ("signs", signs),
    ];
    let mut counts = vec![];
    for (name, value) in kinds {
        let (values, _) = view(value);
        let low = |x: &[u64; 4]| [x[0].to_le_bytes(), x[1].to_le_bytes()].concat();
        let deviation = deviation(values.iter().flat_map(|x| low(x)[..12].to_vec()));
        assert!(deviation.abs() < LIMIT, "{name}: {deviation} standard deviations");
        // Of x: the blind's top bits, where a value of 20 bits cannot reach.
        let wide = values.iter().filter(|x| x[1] >> 42 == 0 && x[2] == 0);
        let tops: Vec<f64> = wide.map(|x| x[1] as f64 / (1u64 << 37) as f64).collect();
        let mean = tops.iter().sum::<f64>() / tops.len() as f64;
        let sigma = (1.0 / 12.0 / tops.len() as f64).sqrt();
        assert!((mean - 0.5).abs() < LIMIT * sigma, "{name}: mean {mean} of {}", tops.len());
        counts.push(values.len());
    }
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

/// Without the greeting, base transfers (their points are no uniform words), agreements, what is opened
/// on purpose, and the top words of residues, which are below that of N².
fn masked_bytes(frames: &[Bytes]) -> Vec<u8> {
    let limbs = 2 * 512 / 64;
    let step = |frame: &Bytes| frame[15];
    let agreed = |frame: &Bytes| frame.len() == HEADER + 32;
    let last = frames.iter().map(|frame| u32::from_be_bytes(frame[16..20].try_into().unwrap()));
    let last = last.max().unwrap();
    frames
        .iter()
        .filter(|f| step(f) == 1 && !agreed(f))
        .filter(|f| u32::from_be_bytes(f[16..20].try_into().unwrap()) < last - 1)
        .flat_map(|frame| {
            let words = frame[HEADER..].as_chunks::<8>().0.iter().enumerate();
            words.filter(|(i, _)| i % limbs != limbs - 1).flat_map(|(_, word)| *word)
        })
        .collect()
}

#[test]
fn what_arrives_looks_uniform_and_has_the_same_size_whatever_the_data() {
    let kinds: [fn(usize) -> i64; 3] = [|_| 0, |_| BOUND, signs];
    let mut sizes = vec![];
    for value in kinds {
        let (_, frames) = view(value);
        for (who, frames) in ["C0", "C1"].iter().zip(&frames) {
            let deviation = deviation(masked_bytes(frames).into_iter());
            assert!(deviation.abs() < LIMIT, "{who}: {deviation} standard deviations");
        }
        let size = |frames: &Vec<Bytes>| frames.iter().map(Bytes::len).collect::<Vec<_>>();
        sizes.push(frames.each_ref().map(size));
    }
    assert!(sizes.iter().all(|size| *size == sizes[0]));
}

/// The literature has C1 send [k z] for a random k > 0 so that C0 may tell the sign: C0 then knows
/// the sign, which values are zero, and, k being of known length, about how large each is.
#[test]
fn a_factor_would_have_given_sign_and_size_away() {
    let world = World::new(512);
    let params = world.key.params();
    let n = params.n().clone();
    let half = &n >> 1u8;
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state >> 24
    };
    // Secret numbers: zero, small or large, of either sign.
    let secret: Vec<i64> = (0..200).map(|i| [0, 9, -9, 9_000, -9_000][i % 5]).collect();
    let plain: Vec<Plaintext> = secret
        .iter()
        .map(|z| {
            let m = if *z < 0 { &n - z.unsigned_abs() } else { z.unsigned_abs().into() };
            Plaintext::from_biguint(params, &m).unwrap()
        })
        .collect();
    let z = world.key.encrypt_many(&plain).unwrap();
    let k: Vec<Plaintext> = z.iter().map(|_| Plaintext::from_u64(params, random() | 1)).collect();
    let blinded = world.key.scale_many(&z, &k).unwrap();
    let blinded = world.key.rerandomize_many(&blinded).unwrap();
    let (mut signs, mut zeros, mut sizes) = (0, 0, 0);
    for (opened, z) in world.open(&blinded).unwrap().iter().zip(&secret) {
        let m = opened.to_biguint();
        let (negative, magnitude) = if m > half { (true, &n - m) } else { (false, m) };
        signs += usize::from(negative == (*z < 0));
        zeros += usize::from((magnitude.bits() == 0) == (*z == 0));
        // k is below 2^40 and seldom far below.
        sizes += usize::from((magnitude.bits() > 45) == (z.abs() == 9_000));
    }
    assert_eq!((signs, zeros), (200, 200));
    assert!(sizes > 180, "{sizes} of 200 sizes guessed");
    // The same C0, shown what this engine shows: the guesses are as good as a coin's.
    let guesses = |value: fn(usize) -> i64| {
        let (values, _) = view(value);
        let middle = 1u64 << 36;
        let some = values.iter().filter(|x| x[1] >> 42 == 0 && x[2] == 0);
        let guessed: Vec<bool> = some.map(|x| x[1] >= middle).collect();
        guessed.iter().filter(|high| **high).count() as f64 / guessed.len() as f64
    };
    let (zeros, bound) = (guesses(|_| 0), guesses(|_| BOUND));
    assert!((zeros - bound).abs() < 0.15, "{zeros} and {bound}");
}
