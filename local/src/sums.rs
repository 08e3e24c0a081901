//! `dyad-local sums`: the set-up phase of the paper, literally. Three hospitals upload a column each,
//! encrypted under their own keys; the two clouds bring it under one key without opening it and add
//! it up; the hospitals together open the sums.

use crate::parties::{self, AuxiliaryCloud, Hospital, MainCloud, Part, Upload};
use crate::screen::{Screen, line, title};
use dyad_bcp::{KeySize, ParaGen};
use std::error::Error;

/// Rows per hospital: enough to see a rate, few enough to wait for.
const ROWS: usize = 3100;

/// Plays the whole story.
pub(crate) fn run(screen: &Screen) -> Result<(), Box<dyn Error>> {
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
