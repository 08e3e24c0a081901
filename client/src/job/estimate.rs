//! What a job will take, before anything runs.
//!
//! ```text
//! compute  products / products a second + bytes / bytes a second + ciphertexts, in encryptions,
//!          / encryptions a second, all measured here
//! network  rounds times a round trip + bytes / the line's rate
//! memory   a cloud's: rows masked and their mask, weights, what is dealt ahead
//! ```
//!
//! Opening a ciphertext, blinding included, takes as long as 1.8 encryptions by the public key; one
//! of C0's, until C1 has admitted it, 0.9; raising a ciphertext to a secret number of a product 0.06,
//! many together: so it was measured for `train.cipher`. A cloud is idle while the other works on
//! ciphertexts, so both clouds' count.
//!
//! Rounds and bytes are exact: they are counted on the very program that will run. Time is a guess:
//! the clouds' machines may be faster or slower than this one.

use crate::client::Client;
use crate::error::Result;
use crate::study::Frozen;
use dyad_bcp::{Plaintext, PublicKey};
use dyad_learn::Plan;
use dyad_learn::signed::Signed;
use dyad_mpc::correlations::AHEAD;
use dyad_mpc::matrix::{Matrix, MatrixMut, multiply};
use dyad_mpc::prg::Seed;
use dyad_mpc::together::{ciphered_cost, pairwise_cost};
use dyad_mpc::{Ciphertexts, Count};
use dyad_protos::job::{Engine, Job, Randomness};
use serde::Serialize;
use std::time::{Duration, Instant};

/// The line between the clouds, as it is assumed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// There and back.
    pub round_trip: Duration,
    /// Bits a second.
    pub bits: f64,
}

impl Default for Line {
    /// In one data centre: half a millisecond, ten gigabits.
    fn default() -> Self {
        Self { round_trip: Duration::from_micros(500), bits: 1e10 }
    }
}

/// What a job will take.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Estimate {
    /// Steps in all.
    pub steps: u64,
    /// Times the clouds wait for each other.
    pub rounds: u64,
    /// Bytes that each cloud sends the other: C0, C1.
    pub sent: [u64; 2],
    /// Bytes that the key centre deals to C1.
    pub dealt: u64,
    /// Multiplications of matrix products, in one cloud.
    pub multiplications: u64,
    /// Bytes of memory in one cloud, about.
    pub memory: u64,
    /// Seconds of computing, about.
    pub compute: f64,
    /// Seconds of waiting for the line, about.
    pub network: f64,
}

impl Estimate {
    /// Seconds in all, about.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.compute + self.network
    }
}

/// How fast this machine is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Multiplications of matrix products a second.
    pub multiplications: f64,
    /// Bytes of masks a second.
    pub bytes: f64,
    /// Encryptions a second, by the study's key; none where nothing is done on ciphertexts.
    pub encryptions: f64,
}

impl Speed {
    /// Measures it: takes a tenth of a second or two. Encryptions under `key`, if they matter.
    #[must_use]
    pub fn measure(key: Option<&PublicKey>) -> Self {
        const SIDE: usize = 384;
        const WORDS: usize = 1 << 18;
        let a = vec![0x9e37_79b9_7f4a_7c15; SIDE * SIDE];
        let mut out = vec![0; SIDE * SIDE];
        let products = rate(|| {
            let matrix = Matrix::new(&a, SIDE, SIDE);
            multiply(matrix, matrix, MatrixMut::new(&mut out, SIDE, SIDE));
        });
        let seed = Seed::from_bytes([7; 32]);
        let masks = rate(|| drop(seed.share(WORDS)));
        Self {
            multiplications: products * (SIDE * SIDE * SIDE) as f64,
            bytes: masks * (8 * WORDS) as f64,
            encryptions: key.map_or(f64::INFINITY, encryptions),
        }
    }
}

impl Client {
    /// How fast this machine is at what a job does.
    pub fn speed(&self, study: &Frozen, job: &Job) -> Result<Speed> {
        let key = match job.engine {
            Engine::Share => None,
            Engine::Cipher => Some(study.keys(&self.params)?.1.key().clone()),
        };
        Ok(Speed::measure(key.as_ref()))
    }
}

/// Encryptions a second on all cores.
fn encryptions(key: &PublicKey) -> f64 {
    const COUNT: usize = 64;
    let plain = vec![Plaintext::from_u64(key.params(), 1); COUNT];
    rate(|| drop(key.encrypt_many(&plain))) * COUNT as f64
}

/// Times a second.
fn rate(mut work: impl FnMut()) -> f64 {
    const AT_LEAST: Duration = Duration::from_millis(60);
    work();
    let (start, mut times) = (Instant::now(), 0);
    while start.elapsed() < AT_LEAST {
        work();
        times += 1;
    }
    f64::from(times) / start.elapsed().as_secs_f64()
}

/// How often a byte that is sent or dealt is gone through: drawn, added, compared, hashed.
const PASSES: f64 = 6.0;
/// The same of a byte of transfers, of which several streams are drawn and hashed.
const PASSES_OF_TRANSFERS: f64 = 40.0;
/// Encryptions that take as long as blinding and opening a ciphertext, as C0's making one, and as
/// raising one to a secret number.
const OPENED: f64 = 1.8;
const MADE: f64 = 0.9;
const RAISED: f64 = 0.06;

/// What a run of a job costs by its engine and its randomness, and its program's hash.
pub(crate) fn costed(
    job: &Job,
    training: &Signed,
    key: impl FnOnce() -> Result<PublicKey>,
) -> Result<(Count, [u8; 32])> {
    let (cost, program) = training.cost(0)?;
    let run = training.run(0);
    let count = match (job.engine, job.randomness) {
        (Engine::Share, Randomness::Dealer) => cost.count(),
        (Engine::Share, Randomness::Pairwise) => {
            pairwise_cost(&run).map_err(dyad_learn::Error::Run)?.count()
        }
        (Engine::Cipher, _) => ciphered_cost(&run, &key()?).map_err(dyad_learn::Error::Run)?,
    };
    Ok((count, program))
}

/// What a job will take.
#[must_use]
pub fn estimate(plan: &Plan, test_rows: u64, cost: Count, speed: Speed, line: Line) -> Estimate {
    let job = plan.job();
    let sent = cost.bytes[0].max(cost.bytes[1]);
    let handled = (sent + cost.dealt) as f64;
    let passes = if cost.dealt == 0 { PASSES_OF_TRANSFERS } else { PASSES };
    let Ciphertexts { opened, made, raised, .. } = cost.ciphertexts;
    let encryptions = OPENED * opened as f64 + MADE * made as f64 + RAISED * raised as f64;
    let compute = cost.multiplications as f64 / speed.multiplications
        + passes * handled / speed.bytes
        + encryptions / speed.encryptions;
    let network = cost.rounds as f64 * line.round_trip.as_secs_f64()
        + 8.0 * sent.max(cost.dealt) as f64 / line.bits;
    let rows = job.rows as u64 + test_rows;
    let width = (job.features() + job.outputs()) as u64;
    let weights: u64 = plan.released().iter().map(|meta| meta.shape.len() as u64).sum();
    let widest = job.widths.iter().copied().max().unwrap_or(0) as u64;
    // A share of each row, the masked row and its mask; weights, masked, gradients, products; a
    // batch in every layer, with the tables of a comparison, about a hundred bytes a value.
    // On ciphertexts C1 keeps what C0 encrypted of each entry, a ciphertext of its own.
    let kept = (cost.ciphertexts.size * rows * job.features() as u64)
        .saturating_add(cost.ciphertexts.size * weights);
    let memory = kept
        + 24 * rows * width
        + 48 * weights
        + 100 * job.batch as u64 * widest * job.widths.len() as u64
        + AHEAD * cost.dealt / plan.steps().max(1);
    Estimate {
        steps: plan.steps(),
        rounds: cost.rounds,
        sent: cost.bytes,
        dealt: cost.dealt,
        multiplications: cost.multiplications,
        memory,
        compute,
        network,
    }
}
