//! Figures of the ciphertext engine: both clouds on this machine's cores, over loopback sockets, at
//! 2048 bits.
//!
//! The baseline of the matrix product is the same protocol with num-bigint: two modpows (A and B)
//! for each product of a secret number with a ciphertext, of the exponents' very bits. A few of them
//! are timed, on both cores, and multiplied up; openings and encryptions count for nothing there.

use crate::figure::Figure;
use crate::measure::{median, seconds};
use crate::train::rows;
use crate::{Bench, Done, Show};
use dyad_bcp::master::{FreshMaker, KnownKey, MasterKey};
use dyad_bcp::{Ciphertext, Fresh, KeySize, ParaGen, Plaintext, PublicKey, SecretKey, UnifiedKey};
use dyad_learn::{Job, Loss, Metric, Run};
use dyad_mpc::cipher::Opener;
use dyad_mpc::engine::Transpose;
use dyad_mpc::link::Traffic;
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{Input, Lines, Setup, two_on_ciphertexts};
use dyad_mpc::{Cipher, Session, Shift};
use num_bigint::BigUint;
use rayon::prelude::*;
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

pub(crate) const BENCHES: &[Bench] = &[
    Bench {
        name: "cipher.matmul",
        about: "a product of masked matrices 32x30 and 30x16 on ciphertexts",
        run: matmul,
    },
    Bench {
        name: "cipher.relu",
        about: "ReLU of 512 values on ciphertexts, with truncation by 13 bits",
        run: relu,
    },
    Bench {
        name: "train.cipher",
        about: "a step of 30-16-1, batch 32, squared error, on ciphertexts: all parties together",
        run: train,
    },
];

/// A unified key of two owners, and C0's part.
#[derive(Clone)]
struct World {
    key: PublicKey,
    master: Arc<MasterKey>,
    known: Arc<KnownKey>,
    maker: Arc<FreshMaker>,
}

impl Opener for World {
    fn open(&self, ciphertexts: &[Ciphertext]) -> dyad_bcp::Result<Vec<Plaintext>> {
        self.master.decrypt_many(&self.known, ciphertexts)
    }

    fn fresh(&self, count: usize) -> dyad_bcp::Result<Vec<Fresh>> {
        self.maker.many(count)
    }
}

impl World {
    fn new() -> Result<Self, Box<dyn Error>> {
        let (params, master) = ParaGen::new(KeySize::Bits2048).run()?;
        let owners = [SecretKey::generate(&params)?, SecretKey::generate(&params)?];
        let owners = owners.map(|owner| owner.public().clone());
        let key = UnifiedKey::new(&owners)?.key().clone();
        let (known, maker) = (Arc::new(master.know(&key)?), Arc::new(master.fresh_maker(&key)?));
        Ok(Self { key, master: Arc::new(master), known, maker })
    }

    /// Both clouds' ends of some work.
    fn both<T: Send>(
        &self,
        inputs: &[Input],
        work: impl Fn(Session<Cipher>) -> dyad_mpc::Result<T> + Sync,
    ) -> Result<[T; 2], Box<dyn Error>> {
        let setup = Setup::new(inputs, Lines::Tcp)?;
        let opener = Box::new(self.clone());
        let [zero, one] =
            two_on_ciphertexts(&self.key, opener, [0; 32], setup, |_, mut engine, contract| {
                engine.greet(contract)?;
                work(Session::new(engine))
            })?;
        Ok([zero?, one?])
    }
}

/// What a cloud noted before and after.
type Noted = (Instant, Traffic);

fn note(session: &Session<Cipher>) -> Noted {
    (Instant::now(), session.engine().traffic())
}

/// From the first to begin to the last to end; bytes both clouds sent; the rounds of C1.
fn between(ends: &[[Noted; 2]; 2]) -> (f64, u64, u64) {
    let begun = ends.iter().map(|[before, _]| before.0).min();
    let ended = ends.iter().map(|[_, after]| after.0).max();
    let seconds = begun.zip(ended).map_or(0.0, |(begun, ended)| (ended - begun).as_secs_f64());
    let sent = ends.iter().map(|[before, after]| after.1.bytes_sent - before.1.bytes_sent).sum();
    let [_, [before, after]] = ends;
    (seconds, sent, after.1.rounds - before.1.rounds)
}

/// Times each is taken.
const RUNS: usize = 5;
/// Powers the baseline is timed with.
const POWERS: usize = 16;

fn matmul(show: Show<'_>) -> Done {
    let world = World::new()?;
    let (rows, inner, cols) = (32, 30, 16);
    // As in the first layer of `train.cipher`.
    let (x, w) = (Meta::new(rows, inner, 12, 13), Meta::new(inner, cols, 33, 36));
    let input = |name: &str, meta: Meta| {
        let words = (0..meta.shape.len() as u64).map(|i| i.wrapping_mul(0x9e37_79b9) % 4096);
        Input::new(name, meta, words.collect())
    };
    let inputs = [input("x", x), input("w", w)];
    let (mut times, mut sent, mut rounds) = (vec![], 0, 0);
    for _ in 0..RUNS {
        let ends = world.both(&inputs, |mut e| {
            let (x, w) = (e.input("x", x)?, e.input("w", w)?);
            let masked = e.mask(&[&x, &w])?;
            // Tables of g and h are made by now; what C0 encrypts of the factors is not.
            let before = note(&e);
            e.matmul(&masked[0], &masked[1], Transpose::None)?;
            Ok([before, note(&e)])
        })?;
        let (seconds, bytes, waits) = between(&ends);
        times.push(seconds);
        (sent, rounds) = (bytes, waits);
    }
    let ours = median(&mut times);
    // sum_k x~ s and sum_k r y~: a product each, of A and of B, with blinds of b + 82 bits.
    let products = (2 * rows * inner * cols) as f64;
    let modulus = world.key.params().n_squared();
    let base = world.key.encrypt(&Plaintext::from_u64(world.key.params(), 7))?;
    let exponent = |meta: Meta| -> BigUint {
        let ones = (BigUint::from(1u8) << (meta.bound + 82)) - 1u8;
        // Half of the bits set, as in a random blind.
        ones / 3u8
    };
    let exponents = [exponent(x), exponent(w)];
    let mut baseline: Vec<f64> = (0..RUNS)
        .map(|_| {
            let powers = || {
                (0..POWERS).into_par_iter().for_each(|i| {
                    black_box(base.a().modpow(&exponents[i % 2], modulus));
                    black_box(base.b().modpow(&exponents[i % 2], modulus));
                });
            };
            seconds(powers) / POWERS as f64 * products
        })
        .collect();
    let baseline = median(&mut baseline);
    show(Figure {
        bench: "cipher.matmul",
        params: format!("{rows}x{inner}x{cols}, 2048 bits"),
        value: ours,
        unit: "s",
        baseline: Some("num-bigint modpow, two a product"),
        ratio: Some(baseline / ours),
        rounds: Some(rounds),
        bytes_sent: Some(sent),
        ..Figure::default()
    })?;
    Ok(())
}

fn relu(show: Show<'_>) -> Done {
    let world = World::new()?;
    let meta = Meta::new(32, 16, 45, 54);
    let words = (0..512u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) as i64 >> 11) as u64);
    let inputs = [Input::new("z", meta, words.collect())];
    let (mut times, mut sent, mut rounds) = (vec![], 0, 0);
    for _ in 0..RUNS {
        let ends = world.both(&inputs, |mut e| {
            let z = e.input("z", meta)?;
            let before = note(&e);
            e.relu(&[(&z, Shift::nearest(13))])?;
            Ok([before, note(&e)])
        })?;
        let (seconds, bytes, waits) = between(&ends);
        times.push(seconds);
        (sent, rounds) = (bytes, waits);
    }
    show(Figure {
        bench: "cipher.relu",
        params: "512 values, s = 13, 2048 bits".to_owned(),
        value: median(&mut times),
        unit: "s",
        rounds: Some(rounds),
        bytes_sent: Some(sent),
        ..Figure::default()
    })?;
    Ok(())
}

/// Steps timed: two epochs of five, so that what C0 encrypted of rows is used again.
const STEPS: u64 = 10;

fn train(show: Show<'_>) -> Done {
    let world = World::new()?;
    let job = Job::mlp(160, &[30, 16, 1], Loss::SquaredError, 32, 10);
    let plan = Job { metrics: vec![Metric::Loss], ..job }.check()?;
    let run = Run { until: STEPS, ..Run::all(&plan) };
    let ends = world.both(&rows(&plan), |mut session| {
        let mut notes = vec![];
        let engine = &mut session;
        run.each(engine, &mut |_| {
            notes.push(Instant::now());
            Ok::<_, dyad_mpc::Error>(())
        })?;
        Ok((notes, session.engine().traffic()))
    })?;
    let [(_, zero), (times, one)] = ends;
    // The first epoch, in which rows are encrypted one by one, and the second, which has them.
    let half = times.len() / 2;
    for (what, some) in [("first epoch", &times[..=half]), ("later", &times[half..])] {
        let mut steps: Vec<f64> =
            some.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        show(Figure {
            bench: "train.cipher",
            params: format!("30-16-1, batch 32, {what}"),
            value: median(&mut steps),
            unit: "s",
            bytes_sent: Some((zero.bytes_sent + one.bytes_sent) / STEPS),
            rounds: Some(one.rounds / STEPS),
            ..Figure::default()
        })?;
    }
    Ok(())
}
