//! Secret choices of transfers do not show in what the processor does: the same number of
//! instructions, counted by callgrind, whatever they are. For base transfers, whose choices each
//! run draws anew, and for all that is made of an extension, in one count. (callgrind's processor has no AVX-512,
//! so what is counted is compiled for AVX2 or less.)
#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{ATTEMPT, ends, recorded};
use dyad_mpc::link::{Link, LinkError};
use dyad_mpc::prg::Party as Side;
use dyad_mpc::transfer::{Transfers, send_chosen, take_chosen};
use dyad_mpc::{Line, Op};
use std::collections::VecDeque;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use zeroize::Zeroizing;

/// Set for the copy of this test program that runs under callgrind: what it does, which cloud it
/// is, its class of secrets, and a file with what the other cloud sends.
const PROBE: &str = "DYAD_TRANSFERS_PROBE";

const OP: Op = Op { step: 0, number: 0, name: "test" };

/// Numbers and bits.
const ENTRIES: usize = 130;

/// Classes of secrets that a leak would tell apart.
const CLASSES: [&str; 3] = ["zeros", "ones_", "mixed"];

/// What is compared, made numbers and gated by: as the class says.
fn secret(class: &str) -> Vec<u64> {
    let word = |i: usize| match class {
        "zeros" => 0,
        "ones_" => u64::MAX,
        _ => (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    };
    (0..ENTRIES).map(word).collect()
}

/// Gives what the other cloud once sent; what is sent goes nowhere.
struct Replay(VecDeque<Bytes>);

impl Link for Replay {
    fn send(&mut self, _: Bytes) -> Result<(), LinkError> {
        Ok(())
    }

    fn recv(&mut self, _: Instant) -> Result<Bytes, LinkError> {
        self.0.pop_front().ok_or(LinkError::Closed)
    }
}

/// All that uses a choice: digits of one of 16, bits that become numbers, bits that gate.
fn uses(transfers: &mut Transfers, line: &mut Line, values: &[u64]) {
    let bits = &values[..ENTRIES.div_ceil(64)];
    black_box(transfers.less_each(line, OP, &[13, 63], values).unwrap());
    black_box(transfers.numbers(line, OP, bits, ENTRIES).unwrap());
    black_box(transfers.multiplex(line, OP, bits, values).unwrap());
}

/// What this cloud receives in an honest run, in a file.
fn record(side: Side) -> PathBuf {
    let (zero, one) = ends();
    let (zero, to_zero) = recorded(zero);
    let (one, to_one) = recorded(one);
    let work = |side, link| {
        let mut line = Line::new(side, &ATTEMPT, link);
        let mut transfers = Transfers::begin(&mut line, OP).unwrap();
        uses(&mut transfers, &mut line, &secret("mixed"));
    };
    std::thread::scope(|scope| {
        scope.spawn(|| work(Side::One, one));
        work(Side::Zero, zero);
    });
    let frames = [to_zero, to_one][side.index()].lock().unwrap().clone();
    let mut bytes = vec![];
    for frame in frames {
        bytes.extend((frame.len() as u64).to_le_bytes());
        bytes.extend(&frame);
    }
    let name = format!("dyad-transfers-{}-{}", std::process::id(), side.index());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn read(path: &str) -> VecDeque<Bytes> {
    let bytes = std::fs::read(path).unwrap();
    let (mut frames, mut rest) = (VecDeque::with_capacity(64), &bytes[..]);
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (frame, behind) = behind.split_at(u64::from_le_bytes(*length) as usize);
        frames.push_back(Bytes::copy_from_slice(frame));
        rest = behind;
    }
    frames
}

/// What callgrind counts: it is told this function's name.
#[inline(never)]
fn counted(work: impl FnOnce()) {
    work();
}

/// Runs under callgrind only.
#[test]
#[ignore = "the probe that the test below starts under callgrind"]
fn probe() {
    let Ok(probe) = std::env::var(PROBE) else {
        println!("nothing to probe: {PROBE} is not set");
        return;
    };
    let parts: Vec<&str> = probe.split(' ').collect();
    let [what, side, class, path]: [&str; 4] = parts.try_into().expect("what, side, class, file");
    let side = if side == "0" { Side::Zero } else { Side::One };
    let (values, frames) = (secret(class), read(path));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    pool.build_global().unwrap();
    let link = Box::new(Replay(frames));
    let mut line = Line::new(side, &ATTEMPT, link);
    match what {
        "transfers" => counted(|| {
            let mut transfers = Transfers::begin(&mut line, OP).unwrap();
            uses(&mut transfers, &mut line, &values);
            chosen(transfers, &values);
        }),
        // The instrument itself: something that branches on each bit.
        _ => counted(|| {
            for i in 0..64 * values.len() {
                if values[i / 64] >> (i % 64) & 1 == 1 {
                    black_box(Vec::<u64>::with_capacity(black_box(i)));
                }
            }
        }),
    }
}

/// One of two blocks for each bit; what comes from the other is noise, which nobody can tell.
fn chosen(transfers: Transfers, bits: &[u64]) {
    let Transfers { mut sender, mut receiver } = transfers;
    let (asked, taken) = receiver.ask(bits);
    let sent = sender.answer(&asked, bits.len()).unwrap();
    let count = sent.len();
    let came = send_chosen(sent, Zeroizing::new(vec![[1, 2]; count])).unwrap();
    let bits = Zeroizing::new(bits.to_vec());
    black_box(take_chosen(taken, bits, count, came).unwrap());
}

/// Instructions of what is counted.
fn instructions(what: &str, side: Side, class: &str, path: &Path) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .args(["--toggle-collect=constant_time::counted*"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "probe", "--ignored", "--test-threads=1"])
        .env(PROBE, format!("{what} {} {class} {}", side.index(), path.display()))
        .output()
        .expect("valgrind starts");
    let report = String::from_utf8_lossy(&output.stderr);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}{said}");
    let line = report.lines().find(|l| l.contains("Collected")).expect("a count");
    line.rsplit(' ').next().unwrap().trim().parse().expect("a number")
}

#[test]
fn every_choice_takes_the_same_instructions() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("SKIPPED: valgrind is not installed, instruction counts are not compared");
        return;
    }
    for side in [Side::Zero, Side::One] {
        let path = record(side);
        for what in ["transfers", "leak"] {
            let counts = CLASSES.map(|class| instructions(what, side, class, &path));
            println!("{side}, {what}: {counts:?} instructions");
            assert!(counts[0] > 10_000, "{what} of {side}: nothing was counted");
            let same = counts.iter().all(|count| *count == counts[0]);
            assert_eq!(same, what != "leak", "{what} of {side}: {counts:?}");
        }
        std::fs::remove_file(path).unwrap();
    }
}
