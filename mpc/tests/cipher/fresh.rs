//! No ciphertext leaves a cloud with randomness that another one had, and none comes twice.

use super::common::{ATTEMPT, Small, recorded};
use super::world::World;
use bytes::Bytes;
use dyad_mpc::Session;
use dyad_mpc::together::{Lines, Program, Setup, cost, two_on_ciphertexts};
use std::collections::HashSet;

const HEADER: usize = dyad_mpc::wire::HEADER;
/// Bytes of a residue modulo N² under keys of 512 bits.
const RESIDUE: usize = 128;

/// What C0 and C1 received in a run whose inputs, shares and attempt are given.
fn received(world: &World) -> [Vec<Bytes>; 2] {
    let program = Small { rows: 9, steps: 2, shift: 12 };
    let inputs = program.inputs(|i| (i as i64 - 11) * 7_919);
    let mut setup = Setup::new(&[], Lines::Memory).unwrap();
    setup.attempt = ATTEMPT;
    let zeros = program.inputs(|_| 0);
    setup.shares = [inputs, zeros];
    let (zero, from_one) = recorded(setup.clouds.0);
    let (one, from_zero) = recorded(setup.clouds.1);
    setup.clouds = (zero, one);
    let trace = cost(&program).unwrap().1;
    let ends = two_on_ciphertexts(&world.key, world.opener(), trace, setup, |_, engine, _| {
        program.run(&mut Session::new(engine))
    });
    assert!(ends.unwrap().iter().all(Result::is_ok));
    [from_one, from_zero].map(|record| record.lock().unwrap().clone())
}

/// Residues that stand where ciphertexts do, with the name of their operation's number. Transfers'
/// words are among them, which do not come twice either; what is opened on purpose is shorter.
fn residues(frames: &[Bytes]) -> Vec<&[u8]> {
    let whole = frames.iter().filter(|f| (f.len() - HEADER).is_multiple_of(2 * RESIDUE));
    whole.flat_map(|frame| frame[HEADER..].chunks_exact(RESIDUE)).collect()
}

#[test]
fn every_ciphertext_that_leaves_a_cloud_is_fresh() {
    let world = World::new(512);
    let runs = [received(&world), received(&world)];
    for side in [0, 1] {
        let mut seen: HashSet<&[u8]> = HashSet::new();
        let mut count = 0;
        for run in &runs {
            for residue in residues(&run[side]) {
                assert!(seen.insert(residue), "C{side} received a residue twice");
                // 1, or 1 + mN with no randomness before it.
                assert!(residue[RESIDUE - 8..] != [0; 8], "C{side} received a bare number");
                count += 1;
            }
        }
        // Two of each ciphertext: the table, factors and openings from C1, factors and products
        // from C0.
        assert!(count > 2 * 2 * 40, "{count} residues");
    }
}

/// Of C1's own state nothing is sent as it is: even what is opened as it is, is sent anew.
#[test]
fn what_is_sent_twice_is_sent_under_new_randomness() {
    use dyad_mpc::engine::Audience;
    use dyad_mpc::tensor::Meta;
    use dyad_mpc::together::Input;
    let world = World::new(512);
    let meta = Meta::new(2, 2, 0, 20);
    let mut setup = Setup::new(&[Input::new("x", meta, vec![1, 2, 3, 4])], Lines::Memory).unwrap();
    let (zero, from_one) = recorded(setup.clouds.0);
    setup.clouds.0 = zero;
    let ends = two_on_ciphertexts(&world.key, world.opener(), [0; 32], setup, |_, engine, _| {
        let mut e = Session::new(engine);
        let x = e.input("x", meta)?;
        let first = e.open(&[&x], Audience::All)?;
        let again = e.open(&[&x, &x], Audience::All)?;
        Ok::<_, dyad_mpc::Error>((first, again))
    });
    for end in ends.unwrap() {
        let (first, again) = end.unwrap();
        assert_eq!([&first[0].words, &first[0].words], [&again[0].words, &again[1].words]);
    }
    let frames = from_one.lock().unwrap().clone();
    let all: Vec<&[u8]> = frames
        .iter()
        .filter(|frame| u32::from_be_bytes(frame[16..20].try_into().unwrap()) > 0)
        .flat_map(|frame| frame[HEADER..].chunks_exact(RESIDUE))
        .collect();
    // Two rows, three times, two halves each: their A too differ.
    assert_eq!(all.len(), 2 * 3 * 2);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
}
