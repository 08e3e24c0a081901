//! `dyad-local`: what works so far, with every party in one process.
//!
//! Three hospitals upload a column each, encrypted under their own keys. The two clouds bring it
//! under one key without opening it and add it up; the hospitals together open the sum, and nothing
//! else is ever open.

mod parties;
mod screen;

use dyad_bcp::{KeySize, ParaGen};
use parties::{AuxiliaryCloud, Hospital, MainCloud};
use screen::{Screen, line, title};
use std::process::ExitCode;

/// Rows per hospital: enough to see a rate, few enough to wait for.
const ROWS: usize = 3100;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        None => (),
        Some("--help" | "-h") => {
            println!(
                "dyad-local: what works so far, all parties in one process.\n\nUsage: dyad-local"
            );
            return ExitCode::SUCCESS;
        }
        Some("--version" | "-V") => {
            println!("dyad-local {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprintln!(
                "dyad-local: unknown argument `{other}`; it takes none but --help and --version"
            );
            return ExitCode::FAILURE;
        }
    }
    match run(&Screen::new()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("dyad-local: the opened sums differ from the sums in the clear");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("dyad-local: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Plays the whole story; true if the opened sums are the true ones.
fn run(screen: &Screen) -> dyad_bcp::Result<bool> {
    title("Key generation centre");
    let (params, master) = screen.step("safe primes, 3072-bit N", |tick| {
        let progress = |p: dyad_bcp::Progress| {
            tick(&format!(
                "{} candidates tested, about {} expected, {} of 2 found",
                p.tested, p.expected, p.found
            ));
        };
        ParaGen::new(KeySize::default()).progress(&progress).run()
    })?;
    line("parameters", &params.id().to_string());

    title("Hospitals");
    let names = ["Northside", "St. Mary", "Riverbank"];
    let hospitals = screen.step("key pairs with proofs of knowledge", |_| {
        names
            .iter()
            .map(|name| Hospital::new(name, &params, ROWS))
            .collect::<dyad_bcp::Result<Vec<_>>>()
    })?;
    let claims = hospitals.iter().map(Hospital::claim).collect::<dyad_bcp::Result<Vec<_>>>()?;

    let main = screen
        .step("the clouds verify the proofs and unify the keys", |_| MainCloud::new(&claims))?;
    let auxiliary = AuxiliaryCloud::new(&master, main.unified(), main.members())?;
    let uploads = screen
        .step(&format!("{} values packed and encrypted", names.len() * ROWS), |_| {
            hospitals.iter().map(Hospital::upload).collect::<dyad_bcp::Result<Vec<_>>>()
        })?;
    line(
        "uploaded",
        &format!("{} ciphertexts", uploads.iter().map(parties::Upload::len).sum::<usize>()),
    );

    title("Two clouds");
    let sums = screen.step("shares blinded, re-encrypted under the unified key, added", |_| {
        main.sum_with(&auxiliary, &uploads)
    })?;

    title("Hospitals, together");
    let opened =
        screen.step("partial decryptions of the sums, joined", |_| main.open(&hospitals, &sums))?;
    let clear = parties::sums_in_the_clear(&hospitals);
    let same = opened == clear;
    line("first sums opened", &format!("{:?}", &opened[..6]));
    line("first sums in clear", &format!("{:?}", &clear[..6]));
    line("all identical", if same { "yes" } else { "NO" });
    Ok(same)
}
