//! What is opened under masks is uniform whatever the data, and no two openings are related: not
//! the shares, which always look random, but their sums, which are what both clouds learn.
//!
//! Each check is held against runs whose masks are broken on purpose.

use super::{boxed, pairwise_seeded, seeded};
use crate::bits::parts::chunks;
use crate::bits::plan::{Plan, blocks};
use crate::engine::{Act, Engine};
use crate::link::{Link, LinkError, memory};
use crate::prg::{Party as Side, Seed, Stream};
use crate::tensor::Meta;
use crate::together::{Ends, Input, Program, clear};
use crate::wire::{HEADER, Header, Kind, all_words};
use crate::{Result, Session, Shift};
use bytes::Bytes;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

const ROWS: usize = 1024;
const COLUMNS: usize = 8;
const ENTRIES: usize = ROWS * COLUMNS;

/// One opening a step; two tensors in each.
struct Openings;

const TABLE: u64 = 0;
const MASK: u64 = 1;
/// The steps of acts, and what they are.
const ACTS: [(u64, [Act; 2]); 6] = [
    (2, [Act::Relu(20), Act::Relu(20)]),
    (3, [Act::Truncate(20), Act::Truncate(7)]),
    (4, [Act::Sign, Act::Sign]),
    (5, [Act::Zero, Act::Zero]),
    (6, [Act::Gate(20), Act::Gate(0)]),
    (7, [Act::Truncate(3), Act::Truncate(3)]),
];

impl Program for Openings {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let meta = Meta::new(ROWS, COLUMNS, 40, 50);
        let (x, y, t) = (e.input("x", meta)?, e.input("y", meta)?, e.input("t", meta)?);
        let (near, floor) = (Shift::nearest(20), Shift::floor(20));
        e.prepare(t)?;
        e.step(MASK)?;
        e.mask(&[&x, &y])?;
        e.step(2)?;
        let bits = e.relu(&[(&x, near), (&y, floor)])?;
        e.step(3)?;
        e.truncate(&[(&x, floor), (&y, Shift::nearest(7))])?;
        e.step(4)?;
        e.not_negative(&[&x, &y])?;
        e.step(5)?;
        e.is_zero(&[&x, &y])?;
        e.step(6)?;
        e.gate(&[(&bits[0].1, &x, near), (&bits[1].1, &y, Shift::floor(0))])?;
        e.step(7)?;
        e.truncate(&[(&x, Shift::floor(3)), (&y, Shift::floor(3))])?;
        Ok(vec![])
    }
}

/// Takes note of what is sent.
struct Recorder(Box<dyn Link>, Arc<Mutex<Vec<Bytes>>>);

impl Link for Recorder {
    fn send(&mut self, frame: Bytes) -> std::result::Result<(), LinkError> {
        self.1.lock().unwrap().push(frame.clone());
        self.0.send(frame)
    }

    fn recv(&mut self, by: Instant) -> std::result::Result<Bytes, LinkError> {
        self.0.recv(by)
    }
}

/// Words by step and round, as one sent them.
type Sent = BTreeMap<(u64, u8), Vec<u64>>;

/// Who makes what depends on both clouds' masks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Made {
    ByTheDealer,
    ByBoth,
}

/// What both clouds send in openings, and then what the dealer sends, or both in transfers: there
/// by step and side.
fn sent(made: Made, seeds: &[Seed; 2], value: i64) -> [Sent; 3] {
    let records: [Arc<Mutex<Vec<Bytes>>>; 3] = Default::default();
    let noted =
        |link, i: usize| -> Box<dyn Link> { Box::new(Recorder(link, Arc::clone(&records[i]))) };
    let ((zero, one), (dealing, dealt)): (Ends, Ends) =
        (boxed(memory::pair()), boxed(memory::pair()));
    let meta = Meta::new(ROWS, COLUMNS, 40, 50);
    let words = || vec![value as u64; ENTRIES];
    let inputs = ["x", "y", "t"].map(|name| Input::new(name, meta, words()));
    clear(&Openings, &inputs).unwrap();
    let clouds = (noted(zero, 0), noted(one, 1));
    match made {
        Made::ByTheDealer => {
            seeded(&Openings, &inputs, seeds, clouds, (noted(dealing, 2), dealt));
        }
        Made::ByBoth => drop(pairwise_seeded(&Openings, &inputs, seeds, clouds)),
    }
    let mut sent = [Sent::new(), Sent::new(), Sent::new()];
    for (i, record) in records.iter().enumerate() {
        for frame in record.lock().unwrap().iter() {
            let Header { kind, step, round, shape, .. } = Header::read(frame).unwrap();
            let words = all_words(&frame[HEADER..]);
            // The first two messages of transfers hold points, whose encodings are not all bytes.
            if kind == Kind::Opening as u8 || kind == Kind::Dealt as u8 {
                // The top bit says who sends.
                sent[i].entry((step, round & 0x7f)).or_default().extend(words);
            } else if kind == Kind::Transfer as u8 && shape > 1 {
                sent[2].entry((step, i as u8)).or_default().extend(words);
            }
        }
    }
    sent
}

/// One bit of every entry of a tensor, and where it was opened.
struct Opened {
    name: String,
    bits: Vec<u64>,
}

/// How many standard deviations a count of `n` fair coins is off.
fn off(ones: u32, n: usize) -> f64 {
    (f64::from(ones) - n as f64 / 2.0).abs() / (n as f64 / 4.0).sqrt()
}

/// Chi-square of bytes against the uniform distribution, as a number of standard deviations.
fn chi_square(words: &[u64]) -> f64 {
    let mut counts = [0u64; 256];
    for byte in words.iter().flat_map(|word| word.to_le_bytes()) {
        counts[usize::from(byte)] += 1;
    }
    let expected = 8.0 * words.len() as f64 / 256.0;
    let chi: f64 = counts.iter().map(|c| (*c as f64 - expected).powi(2) / expected).sum();
    let (k, v) = (255.0, 2.0 / (9.0 * 255.0));
    (((chi / k).cbrt() - (1.0 - v)) / v.sqrt()).abs()
}

/// p = 10^-6 for a test of its own, and 10^-11 for each of many.
const ONE: f64 = 4.9;
const MANY: f64 = 6.9;

/// What a run shows beyond counts and sizes: nothing, if its masks are what they should be.
fn leaks([zero, one, dealt]: &[Sent; 3]) -> Vec<String> {
    let mut found = vec![];
    let mut hats: Vec<(String, Vec<u64>)> = vec![];
    let mut planes = vec![];
    assert!(zero.keys().eq(one.keys()));
    for (place @ (step, round), a) in zero {
        let b = &one[place];
        assert_eq!(a.len(), b.len());
        let name = format!("step {step}, round {round}");
        let opened: Vec<u64> = match round {
            0 => a.iter().zip(b).map(|(a, b)| a.wrapping_add(*b)).collect(),
            _ => a.iter().zip(b).map(|(a, b)| a ^ b).collect(),
        };
        if chi_square(&opened) > ONE {
            found.push(format!("{name}: what is opened is not uniform"));
        }
        if *round == 0 {
            for (i, hat) in opened.chunks(ENTRIES).enumerate() {
                assert_eq!(hat.len(), ENTRIES);
                hats.push((format!("{name}, tensor {i}"), hat.to_vec()));
            }
        } else {
            planes.extend(planes_of(*step, *round, &opened));
        }
    }
    for (place, words) in dealt {
        if chi_square(words) > ONE {
            found.push(format!("what is dealt or transferred at {place:?} is not uniform"));
        }
    }
    found.extend(related_words(&hats));
    for (name, hat) in &hats {
        for bit in 0..64 {
            let of_word = |word: &[u64]| (0..64).map(|e| (word[e] >> bit & 1) << e).sum();
            let bits = hat.chunks_exact(64).map(of_word).collect();
            planes.push(Opened { name: format!("{name}, bit {bit}"), bits });
        }
    }
    found.extend(related_planes(&planes));
    found
}

/// The planes opened in a round of an act.
fn planes_of(step: u64, round: u8, opened: &[u64]) -> Vec<Opened> {
    let (_, acts) = ACTS.iter().find(|(s, _)| *s == step).unwrap();
    let mut planes = vec![];
    let mut rest = opened;
    for (t, act) in acts.iter().enumerate() {
        let plan = Plan::new(*act);
        let each = plan.opened(usize::from(round));
        let first = planes.len();
        planes.extend((0..each).map(|i| Opened {
            name: format!("step {step}, round {round}, tensor {t}, plane {i}"),
            bits: vec![],
        }));
        for chunk in chunks(ENTRIES) {
            let part;
            (part, rest) = rest.split_at(each * chunk.width);
            for (plane, words) in planes[first..].iter_mut().zip(part.chunks(chunk.width)) {
                plane.bits.extend(words);
            }
        }
        assert!(planes[first..].iter().all(|plane| plane.bits.len() == blocks(ENTRIES)));
    }
    assert!(rest.is_empty());
    planes
}

/// Between masked words: with the same data everywhere, equal masks give equal words, and masks
/// that have to do with each other give differences that are not uniform.
fn related_words(hats: &[(String, Vec<u64>)]) -> Vec<String> {
    let mut found = vec![];
    let mut seen = HashSet::new();
    let difference = |a: &[u64], b: &[u64]| -> Vec<u64> {
        a.iter().zip(b).map(|(a, b)| a.wrapping_sub(*b)).collect()
    };
    for (i, (name, hat)) in hats.iter().enumerate() {
        if !hat.iter().all(|word| seen.insert(*word)) {
            found.push(format!("{name}: a masked word comes twice"));
        }
        if chi_square(&difference(hat, &hat[COLUMNS..])) > ONE {
            found.push(format!("{name}: rows are related"));
        }
        for (other, theirs) in &hats[..i] {
            if chi_square(&difference(hat, theirs)) > ONE {
                found.push(format!("{name}: related to {other}"));
            }
        }
    }
    found
}

/// Of each bit plane, and between any two of them, of one tensor, two tensors, rounds or steps.
fn related_planes(planes: &[Opened]) -> Vec<String> {
    let mut found = vec![];
    for (i, plane) in planes.iter().enumerate() {
        if off(plane.bits.iter().map(|word| word.count_ones()).sum(), ENTRIES) > MANY {
            found.push(format!("{}: not balanced", plane.name));
        }
        for other in &planes[..i] {
            let pairs = plane.bits.iter().zip(&other.bits);
            if off(pairs.map(|(a, b)| (a ^ b).count_ones()).sum(), ENTRIES) > MANY {
                found.push(format!("{}: related to {}", plane.name, other.name));
            }
        }
    }
    found
}

#[test]
fn what_is_opened_is_uniform_and_unrelated_whatever_the_data() {
    let seeds = [[21; 32], [22; 32]].map(Seed::from_bytes);
    for value in [0, 12_345, -1, (1 << 50) - 1] {
        for made in [Made::ByTheDealer, Made::ByBoth] {
            let sent = sent(made, &seeds, value);
            assert_eq!(sent[0].len(), 2 + ACTS.iter().map(rounds).sum::<usize>());
            // All acts need something of each other, both ways.
            assert!(made == Made::ByTheDealer || sent[2].len() == 2 * ACTS.len());
            let found = leaks(&sent);
            assert!(found.is_empty(), "{made:?}, {value}: {} {:#?}", found.len(), found.first());
        }
    }
}

fn rounds((_, acts): &(u64, [Act; 2])) -> usize {
    acts.iter().map(|act| Plan::new(*act).rounds()).max().unwrap()
}

/// What is found with one stream of both clouds broken so.
fn found_with(made: Made, stream: Stream, period: usize) -> Vec<String> {
    let seeds = [Side::Zero, Side::One].map(|side| Seed::repeating(side, stream, period as u32));
    leaks(&sent(made, &seeds, 0))
}

#[test]
fn masks_that_lack_or_come_twice_are_seen() {
    let bits = |act| Plan::new(act).bit_masks();
    let steps = |steps: &[u64]| -> Vec<String> {
        steps.iter().map(|step| format!("step {step}, ")).collect()
    };
    // Which stream, after how many words it comes again (0: it is 0), what must be seen where.
    let all_acts = [2, 3, 4, 5, 6, 7];
    let cases = [
        ("no masks of words", Stream::Mask, 0, steps(&[MASK, 2, 3, 4, 5, 6, 7])),
        ("no masks of bits", Stream::Bits, 0, steps(&all_acts)),
        ("no masks of rows", Stream::Rows, 0, steps(&[TABLE])),
        ("no shares of C0", Stream::Share, 0, vec!["what is dealt".into()]),
        // The second tensor's begin where the first's did.
        ("one mask for two tensors", Stream::Mask, ENTRIES, steps(&[MASK, 2, 3, 4, 5, 6, 7])),
        (
            "one mask of bits for two tensors",
            Stream::Bits,
            bits(Act::Relu(20)) * blocks(ENTRIES),
            steps(&[2]),
        ),
        ("one mask for two rounds", Stream::Bits, 8, steps(&all_acts)),
        ("one mask for all rows", Stream::Rows, COLUMNS, steps(&[TABLE])),
        ("one mask for two rows", Stream::Rows, ENTRIES - COLUMNS, steps(&[TABLE])),
        ("one mask for all entries", Stream::Mask, 1, steps(&[MASK, 2, 3, 4, 5, 6, 7])),
    ];
    for (what, stream, period, places) in cases {
        for made in [Made::ByTheDealer, Made::ByBoth] {
            if (made, stream) == (Made::ByBoth, Stream::Share) {
                // Nobody draws of it: shares come out of transfers.
                continue;
            }
            let found = found_with(made, stream, period);
            for place in &places {
                let seen = found.iter().any(|f| f.starts_with(place.as_str()));
                assert!(seen, "{what}: not seen at {place}, {made:?}");
            }
        }
    }
}
