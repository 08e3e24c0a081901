//! `dyad-local`: what works so far, with every party in one process.
//!
//! Three hospitals upload a column each, encrypted under their own keys. The two clouds bring it
//! under one key without opening it and add it up; the hospitals together open the sums. Of all
//! else the clouds open blinded values only. Then the clouds train a network on shares of scanned
//! digits, with randomness that a key centre deals.

mod parties;
mod screen;
mod training;

use clap::Parser;
use dyad_bcp::{KeySize, ParaGen};
use parties::{AuxiliaryCloud, Hospital, MainCloud, Part, Upload};
use screen::{Screen, line, title};
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

/// Rows per hospital: enough to see a rate, few enough to wait for.
const ROWS: usize = 3100;

/// What works so far, all parties in one process: three hospitals upload encrypted columns, two
/// clouds add them up without opening them, the hospitals together open the sums; then the clouds
/// train a network on shares of scanned digits.
#[derive(Parser)]
#[command(name = "dyad-local", version)]
struct Args {}

fn main() -> ExitCode {
    let Args {} = Args::parse();
    let screen = Screen::new();
    match run(&screen).and_then(|()| training::run(&screen)) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read this has seen enough.
        Err(error) if is_closed_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "dyad-local: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Plays the whole story.
fn run(screen: &Screen) -> Result<(), Box<dyn Error>> {
    title("Key generation centre")?;
    let (params, master) = screen.step("safe primes, 3072-bit N", |tick| {
        let progress = |p: dyad_bcp::Progress| {
            tick(&format!(
                "{} candidates tested, about {} expected, {} of 2 found",
                p.tested, p.expected, p.found
            ));
        };
        ParaGen::new(KeySize::default()).progress(&progress).run()
    })?;
    line("parameters", &params.id().to_string())?;

    title("Hospitals")?;
    let names = ["Northside", "St. Mary", "Riverbank"];
    let hospitals = screen.step("key pairs", |_| {
        names.iter().map(|name| Hospital::new(name, &params, ROWS)).collect::<Result<Vec<_>, _>>()
    })?;
    let claims = screen.step("proofs of knowledge of the keys", |_| {
        hospitals.iter().map(Hospital::claim).collect::<Result<Vec<_>, _>>()
    })?;

    title("Two clouds, each for itself")?;
    let mut main =
        screen.step("C1 verifies the proofs, unifies the keys", |_| MainCloud::new(&claims))?;
    let mut auxiliary = screen.step("C0 verifies the proofs, unifies the keys", |_| {
        AuxiliaryCloud::new(master, &claims)
    })?;

    title("Hospitals")?;
    let uploads = screen
        .step(&format!("{} values packed and encrypted", names.len() * ROWS), |_| {
            hospitals.iter().map(Hospital::upload).collect::<Result<Vec<_>, _>>()
        })?;
    let (for_c0, for_c1): (Vec<Part>, Vec<Part>) =
        uploads.into_iter().map(|Upload { for_c0, for_c1 }| (for_c0, for_c1)).unzip();
    let count =
        |parts: &[Part]| format!("{} ciphertexts", parts.iter().map(Part::len).sum::<usize>());
    line("uploaded to C0: blinds", &count(&for_c0))?;
    line("uploaded to C1: blinded values", &count(&for_c1))?;
    for part in for_c0 {
        auxiliary.receive(part);
    }
    for part in for_c1 {
        main.receive(part);
    }

    title("Two clouds, together")?;
    let sums = screen.step("blinded, re-encrypted under the unified key, added", |_| {
        main.sum_with(&auxiliary)
    })?;

    title("Hospitals, together")?;
    let heads = sums.heads();
    let partials = screen.step("each: partial decryptions of the sums", |_| {
        hospitals.iter().map(|h| h.partials(&claims, &heads)).collect::<Result<Vec<_>, _>>()
    })?;
    let opened = screen.step("each: the partials of all, joined", |_| {
        hospitals.iter().map(|h| h.open(&claims, &sums, &partials)).collect::<Result<Vec<_>, _>>()
    })?;
    let clear = parties::sums_in_the_clear(&hospitals);
    let same = opened.iter().all(|opened| *opened == clear);
    line("first sums opened", &format!("{:?}", &opened[0][..6]))?;
    line("first sums in the clear", &format!("{:?}", &clear[..6]))?;
    line("all identical, at every hospital", if same { "yes" } else { "NO" })?;
    if same { Ok(()) } else { Err("the opened sums differ from the sums in the clear".into()) }
}
