//! Secrets do not show in what the processor does.
//!
//! On the portable backend: the same number of instructions for every exponent, counted by
//! callgrind. On the vector backend, which callgrind cannot run: a Welch test between two classes
//! of exponents, on demand:
//!
//! ```sh
//! cargo test --release -p dyad-bcp --test constant_time -- --ignored --nocapture welch
//! ```

#![allow(unsafe_code)] // an allocator for the probe, so that nothing depends on what came before
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod common;

use common::{big, fixture, plain, skipped};
use dyad_bcp::matrix::SecretMatrix;
use dyad_bcp::{
    Backend, Ciphertext, Head, MasterKey, Plaintext, ProofContext, PublicKey, PublicParams,
    SecretKey, UnifiedKey, fermat_many,
};
use num_bigint::BigUint;
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Set for the copy of this test program that runs under callgrind.
const PROBE: &str = "DYAD_CONSTANT_TIME_PROBE";

/// Operations with a secret, and kinds of secrets that a leak would tell apart.
const OPERATIONS: [&str; 8] =
    ["partial", "encrypt", "decrypt", "decrypt_master", "scale", "matrix", "prove", "fermat"];
const CLASSES: [&str; 3] = ["sparse", "dense", "mixed"];

/// A number of `bits` bits: two ones, all ones, or alternating runs.
fn secret(class: &str, bits: u64) -> BigUint {
    let one = BigUint::from(1u8);
    match class {
        "sparse" => (&one << (bits - 1)) + &one,
        "dense" => (&one << bits) - &one,
        _ => (0..bits).filter(|i| i % 7 < 3).fold(&one << (bits - 1), |x, i| x | (&one << i)),
    }
}

/// A key that is the same in every class.
fn fixed_secret() -> BigUint {
    secret("mixed", 1019) << 1u8
}

struct World {
    params: PublicParams,
    master: MasterKey,
    secret: SecretKey,
    unified: UnifiedKey,
    heads: Vec<Head>,
    ciphertexts: Vec<Ciphertext>,
    class: String,
}

impl World {
    fn new(class: &str) -> Self {
        let (params, master) = fixture("512").on(Backend::Portable);
        // Even, as local keys are.
        let sk = secret(class, 1021) << 1u8;
        let secret = SecretKey::insecure_from_exponent(&params, &sk).unwrap();
        let fixed = SecretKey::insecure_from_exponent(&params, &fixed_secret()).unwrap();
        let member = |key: &SecretKey| key.public().clone();
        let unified = UnifiedKey::new(&[member(&secret), member(&fixed)]).unwrap();
        // The same residues in every class: what is public may show.
        let a = params.g().modpow(&big(123_456_789), params.n_squared());
        let raw = dyad_bcp::RawCiphertext::new(unified.key().id(), a.clone(), a);
        let heads = vec![unified.key().admit(raw).unwrap().head()];
        let m = Plaintext::from_biguint(&params, &self::secret(class, 511)).unwrap();
        let ciphertexts = vec![encrypt(fixed.public(), &m, &self::secret("mixed", 1022))];
        Self { params, master, secret, unified, heads, ciphertexts, class: class.to_owned() }
    }

    fn run(&self, operation: &str) {
        match operation {
            "partial" => {
                let work = || self.secret.partial_many(&self.unified, &self.heads).unwrap();
                measured_section(&work);
            }
            "encrypt" => {
                let m = Plaintext::from_biguint(&self.params, &secret(&self.class, 511)).unwrap();
                let r = secret(&self.class, 1022);
                // Tables are made before the count begins.
                let key = self.unified.key();
                encrypt(key, &m, &r);
                measured_section(&|| encrypt(key, &m, &r));
            }
            "decrypt_master" => {
                let fixed = SecretKey::insecure_from_exponent(&self.params, &fixed_secret());
                let known = self.master.know(fixed.unwrap().public()).unwrap();
                let work = || self.master.decrypt_many(&known, &self.ciphertexts).unwrap();
                measured_section(&work);
            }
            "decrypt" => {
                // The same A and B for every key: the inverse of B takes what time it takes. That
                // it does not decrypt shows after all that depends on sk is done.
                let a = self.params.g().modpow(&big(123_456_789), self.params.n_squared());
                let key = self.secret.public();
                let raw = dyad_bcp::RawCiphertext::new(key.id(), a.clone(), a);
                let c = [key.admit(raw).unwrap()];
                measured_section(&|| self.secret.decrypt_many(&c).unwrap_err());
            }
            "prove" => {
                let context = ProofContext { study: b"study", owner: b"owner" };
                measured_section(&|| self.secret.prove(&context).unwrap());
            }
            "matrix" => {
                let key = self.unified.key();
                let fixed = Plaintext::from_u64(&self.params, 3);
                let x = vec![encrypt(key, &fixed, &secret("mixed", 1022)); 2];
                let s = secret(&self.class, 200).to_u64_digits();
                let s = vec![core::array::from_fn(|i| s[i]); 4];
                measured_section(&|| {
                    let s = SecretMatrix::new(2, 2, s.clone(), 200, false).unwrap();
                    key.times_matrix(&x, &s).unwrap()
                });
            }
            "fermat" => {
                let candidates = vec![secret(&self.class, 512); 3];
                measured_section(&|| fermat_many(&candidates, Backend::Portable).unwrap());
            }
            _ => {
                let key = self.unified.key();
                let c = Plaintext::from_biguint(&self.params, &secret(&self.class, 511)).unwrap();
                let fixed = Plaintext::from_u64(&self.params, 3);
                let x = vec![encrypt(key, &fixed, &secret("mixed", 1022))];
                // Another key in each class: another ciphertext, of the same length.
                measured_section(&|| key.scale_many(&x, std::slice::from_ref(&c)).unwrap());
            }
        }
    }
}

fn encrypt(key: &PublicKey, m: &Plaintext, r: &BigUint) -> Ciphertext {
    key.insecure_encrypt_with_randomness(m, r).unwrap()
}

/// Does the work, and lets callgrind count it if memory comes from the shelf.
fn measured_section<T>(work: &dyn Fn() -> T) {
    if START.load(Ordering::SeqCst) == 0 {
        black_box(work());
    } else {
        counted(work);
    }
}

/// What callgrind counts: it is told this function's name.
#[inline(never)]
fn counted<T>(work: &dyn Fn() -> T) {
    black_box(work());
}

/// The system's allocator until [`Shelf::open`]; from then on memory is handed out from front to
/// back and never taken back, so that neither the allocator's path nor the order of addresses
/// (compilers compare them before they vectorise) depends on earlier work with public numbers.
struct Shelf;

#[global_allocator]
static SHELF: Shelf = Shelf;

const SHELF_BYTES: usize = 1 << 30;
const SHELF_ALIGN: usize = 64;
static START: AtomicUsize = AtomicUsize::new(0);
static NEXT: AtomicUsize = AtomicUsize::new(0);

impl Shelf {
    fn open() {
        let layout = Layout::from_size_align(SHELF_BYTES, SHELF_ALIGN).unwrap();
        // SAFETY: the layout is not of size zero.
        let start = unsafe { System.alloc(layout) } as usize;
        assert_ne!(start, 0);
        NEXT.store(start, Ordering::SeqCst);
        START.store(start, Ordering::SeqCst);
    }

    fn holds(pointer: *mut u8) -> bool {
        let start = START.load(Ordering::SeqCst);
        start != 0 && (start..start + SHELF_BYTES).contains(&(pointer as usize))
    }
}

// SAFETY: before `open` everything is the system allocator's; after it, each piece is a part of its
// own of one allocation, aligned to 64, and null when that is used up. `dealloc` gives back exactly
// what the system allocator gave.
unsafe impl GlobalAlloc for Shelf {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = START.load(Ordering::SeqCst);
        if start == 0 {
            // SAFETY: the caller keeps GlobalAlloc's contract, and so do we.
            return unsafe { System.alloc(layout) };
        }
        let size = layout.size().next_multiple_of(SHELF_ALIGN);
        let at = NEXT.fetch_add(size, Ordering::SeqCst);
        if layout.align() > SHELF_ALIGN || at + size > start + SHELF_BYTES {
            return std::ptr::null_mut();
        }
        at as *mut u8
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !Self::holds(pointer) {
            // SAFETY: as above; this pointer came from the system allocator.
            unsafe { System.dealloc(pointer, layout) }
        }
    }
}

/// Runs under callgrind only: one operation with one class of secret.
#[test]
#[ignore = "the probe that `every_exponent_takes_the_same_instructions` starts under callgrind"]
fn probe() {
    let Ok(probe) = std::env::var(PROBE) else {
        println!("nothing to probe: {PROBE} is not set");
        return;
    };
    let (operation, class) = probe.split_once(' ').expect("operation and class");
    let pool = one_thread();
    let world = World::new(class);
    // What rayon sets up at first use is set up now.
    pool.install(|| world.run(operation));
    Shelf::open();
    pool.install(|| world.run(operation));
}

fn one_thread() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap()
}

/// Instructions of the measured section.
fn instructions(operation: &str, class: &str) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .args(["--toggle-collect=constant_time::counted*"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "probe", "--ignored", "--test-threads=1"])
        .env(PROBE, format!("{operation} {class}"))
        .output()
        .expect("valgrind starts");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
    let line = report.lines().find(|l| l.contains("Collected")).expect("a count");
    line.rsplit(' ').next().unwrap().trim().parse().expect("a number")
}

#[test]
fn every_exponent_takes_the_same_instructions() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        skipped("valgrind is not installed, instruction counts are not compared");
        return;
    }
    for operation in OPERATIONS {
        let counts = CLASSES.map(|class| instructions(operation, class));
        println!("{operation}: {counts:?} instructions");
        assert!(counts[0] > 100_000, "{operation}: nothing was counted");
        assert!(counts.iter().all(|c| *c == counts[0]), "{operation} leaks: {counts:?}");
    }
}

/// Welch's t between the times of two classes of exponents; slow outliers are the machine's, not
/// the code's.
#[test]
#[ignore = "a million runs: six minutes"]
fn welch_test_tells_two_classes_of_exponents_not_apart() {
    const RUNS: usize = 1_000_000;
    const BITS: usize = 256;
    let fixture = fixture("512");
    for backend in Backend::available() {
        let (params, _) = fixture.on(backend);
        // Eight lanes of one class at a time.
        let bases: Vec<BigUint> =
            (2..10u32).map(|i| params.g().modpow(&big(u64::from(i)), params.n_squared())).collect();
        let classes = ["sparse", "dense"].map(|class| vec![secret(class, BITS as u64); 8]);
        let runs = if backend == Backend::Portable { RUNS / 10 } else { RUNS };
        let power = |class: usize| drop(params.pow_many(&bases, &classes[class], BITS).unwrap());
        not_apart(&format!("{backend:?}, powers"), runs, &power);

        // And the look-ups of combs, which the exponents of encryption go through.
        let key = SecretKey::insecure_from_exponent(&params, &fixed_secret()).unwrap();
        let m = plain(&params, 5);
        let r = ["sparse", "dense"].map(|class| secret(class, 1021));
        let encrypts = |class: usize| drop(encrypt(key.public(), &m, &r[class]));
        not_apart(&format!("{backend:?}, encryption"), runs / 4, &encrypts);
    }
}

/// Runs two classes of the same work and compares their times.
fn not_apart(what: &str, runs: usize, work: &(dyn Fn(usize) + Sync)) {
    let times = one_thread().install(|| time_classes(runs, work));
    let t = welch_t(&times);
    let n = times.map(|t| t.len());
    println!("{what}: |t| = {:.2} over {n:?} runs", t.abs());
    assert!(t.abs() < 10.0, "{what}: t = {t}");
}

/// Nanoseconds of each run, by class, in an order that nothing can get used to; the slowest tenth
/// dropped.
fn time_classes(runs: usize, work: &dyn Fn(usize)) -> [Vec<f64>; 2] {
    let mut coin = 0x9e37_79b9_7f4a_7c15u64;
    let mut all = Vec::with_capacity(runs);
    for _ in 0..runs {
        coin ^= coin << 13;
        coin ^= coin >> 7;
        coin ^= coin << 17;
        let class = (coin >> 40 & 1) as usize;
        let start = Instant::now();
        work(class);
        all.push((class, start.elapsed().as_nanos() as f64));
    }
    let mut sorted: Vec<f64> = all.iter().map(|(_, time)| *time).collect();
    sorted.sort_by(f64::total_cmp);
    let cut = sorted[runs * 9 / 10];
    let of =
        |class| all.iter().filter(|(c, t)| *c == class && *t <= cut).map(|(_, t)| *t).collect();
    [of(0), of(1)]
}

fn welch_t(times: &[Vec<f64>; 2]) -> f64 {
    let moments = times.each_ref().map(|t| {
        let n = t.len() as f64;
        let mean = t.iter().sum::<f64>() / n;
        let variance = t.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance / n)
    });
    (moments[0].0 - moments[1].0) / (moments[0].1 + moments[1].1).sqrt()
}

/// The instrument itself: it must see a leak where there is one.
#[test]
fn welch_sees_a_difference_of_one_percent() {
    let noisy =
        |mean: f64| (0..10_000).map(|i| mean + f64::from(i * 7919 % 101)).collect::<Vec<f64>>();
    assert!(welch_t(&[noisy(1000.0), noisy(1010.0)]).abs() > 10.0);
    assert!(welch_t(&[noisy(1000.0), noisy(1000.0)]).abs() < 1e-9);
}
