//! No branch and no address depends on a secret: valgrind's memcheck follows secrets that are
//! marked as uninitialised through the portable backend, and reports wherever one decides
//! something.
//!
//! Counting instructions (`tests/constant_time.rs`) compares a few secrets and does not see
//! addresses; this sees both, for all secrets. Only in release builds: in others `subtle` asserts,
//! which is a branch.

#![allow(unsafe_code)] // valgrind is spoken to by an instruction sequence

use super::{Stream, from_public, skipped};
use crate::arith::Backend;
use crate::arith::kernel::Kernel;
use crate::arith::limbs::{self, SecretLimbs};
use crate::arith::portable::Portable;
use crate::arith::ring::{Group, square_ring};
use crate::decrypt::sub_mod;
use std::hint::black_box;
use std::process::{Command, Output};

/// Set for the copy of this program that runs under memcheck.
const PROBE: &str = "DYAD_MEMCHECK_PROBE";
const BITS: usize = 256;

/// From valgrind.h and memcheck.h.
const RUNNING_ON_VALGRIND: u64 = 0x1001;
const MAKE_MEM_UNDEFINED: u64 = 0x4d43_0001;

/// Asks valgrind for something; 0 without it.
fn request(code: u64, start: usize, len: usize) -> u64 {
    let args = [code, start as u64, len as u64, 0, 0, 0];
    let answer;
    // SAFETY: without valgrind these are rotations by 128 bits in all and an exchange of a register
    // with itself. With it, the bytes at `start` are marked and not written.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") args.as_ptr(),
            inlateout("rdx") 0u64 => answer,
        );
    }
    answer
}

/// The same number, of which memcheck believes that nobody has set it.
fn secret(x: &[u64]) -> SecretLimbs {
    let x: SecretLimbs = black_box(x.to_vec()).into();
    request(MAKE_MEM_UNDEFINED, x.as_ptr() as usize, 8 * x.len());
    black_box(x)
}

/// A secret modulus: what is public of it, its length and that it is odd, stays known.
fn secret_modulus(x: &[u64]) -> SecretLimbs {
    let x: SecretLimbs = black_box(x.to_vec()).into();
    request(MAKE_MEM_UNDEFINED, x.as_ptr() as usize + 1, 8 * (x.len() - 1) - 1);
    black_box(x)
}

/// Odd, of exactly `BITS` bits.
fn modulus(stream: &mut Stream) -> Vec<u64> {
    let mut m = stream.bits(BITS);
    m[0] |= 1;
    m[BITS / 64 - 1] |= 1 << 63;
    m
}

fn below(stream: &mut Stream, m: &[u64]) -> Vec<u64> {
    from_public(&(limbs::to_public(&stream.bits(BITS)) % limbs::to_public(m)), m.len())
}

/// All there is to do with secrets, on one of each kind.
fn work(stream: &mut Stream) {
    let n = modulus(stream);
    let ring = square_ring(&[&n], Backend::Portable);
    let (base, e, m) = (stream.bits(2 * BITS), stream.bits(2 * BITS), below(stream, &n));
    let (e, m) = (secret(&e), secret(&m));
    // Windows, combs with a plaintext, products; and back to one number.
    let mut pairs = ring.pow_many(&[&base], &[&e], 2 * BITS);
    let comb = std::sync::Arc::clone(&ring).fixed_base(&base, 2 * BITS);
    pairs.extend(comb.pow_many(&[&e], Some(&[&m])));
    pairs.extend(ring.mul_many(&[(&e, &m)]));
    for pair in &pairs {
        black_box(pair.join(&n));
        black_box(pair.is_one_mod_m());
        black_box(sub_mod(&pair.x0, &m, &n));
    }
    // A prime is a secret modulus, and its half a secret exponent.
    let p = secret_modulus(&modulus(stream));
    let mut half = p.clone();
    limbs::halve(&mut half);
    let of_p = square_ring(&[&p], Backend::Portable);
    for pair in of_p.pow_many(&[&base], &[&half], BITS - 1) {
        black_box(pair.is_one_mod_m());
    }
    // The test of a candidate, but for its verdict, which is the search's to see.
    let kernel = Portable::new(&[&p]);
    let mut power = Group::montgomery_one(&kernel, &[&p]);
    kernel.power_of_two(&mut power, &[&p], BITS, &mut kernel.scratch());
    black_box(limbs::is_zero(&power));
    black_box(limbs::is_zero(&e));
    black_box(limbs::reduce_once(&mut secret(&m), &n));
}

/// Runs under memcheck only.
#[test]
#[ignore = "the probe that `no_branch_and_no_address_depends_on_a_secret` starts under memcheck"]
fn probe() {
    let Ok(kind) = std::env::var(PROBE) else {
        println!("nothing to probe: {PROBE} is not set");
        return;
    };
    assert_ne!(request(RUNNING_ON_VALGRIND, 0, 0), 0, "valgrind does not answer");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    let mut stream = Stream(9);
    let x = secret(&stream.bits(BITS));
    match kind.as_str() {
        "work" => pool.install(|| work(&mut stream)),
        "branch" if x.contains(&7) => println!("never"),
        "branch" => (),
        _ => {
            black_box(black_box([0u8; 256])[(x[0] & 255) as usize]);
        }
    }
}

fn memcheck(kind: &str) -> Output {
    let probe = concat!(module_path!(), "::probe");
    let (_, probe) = probe.split_once("::").expect("a module of this crate");
    Command::new("valgrind")
        .args(["--quiet", "--error-exitcode=3", "--leak-check=no", "--num-callers=20"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", probe, "--ignored", "--test-threads=1"])
        .env(PROBE, kind)
        .output()
        .expect("valgrind starts")
}

#[test]
fn no_branch_and_no_address_depends_on_a_secret() {
    if cfg!(debug_assertions) {
        skipped("a debug build asserts about secrets, which memcheck takes for leaks");
        return;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        skipped("valgrind is not installed, secrets are not followed");
        return;
    }
    for leak in ["branch", "address"] {
        assert_eq!(memcheck(leak).status.code(), Some(3), "memcheck must see a leak: {leak}");
    }
    let output = memcheck("work");
    let [said, report] = [&output.stdout, &output.stderr].map(|x| String::from_utf8_lossy(x));
    assert!(output.status.success(), "{said}\n{report}");
    assert!(said.contains("1 passed"), "{said}");
}
