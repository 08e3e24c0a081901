//! Rounds and bytes are what the formulas in `docs/engine.md` say: formula, `Cost` and (in the
//! other tests) the links agree, and the table in that page is what they give.
#![allow(clippy::unwrap_used)]

use dyad_mpc::engine::{Engine, Transpose};
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{Input, Lines, Program, cost, shared};
use dyad_mpc::wire::{HEADER, PIECE, WINDOW};
use dyad_mpc::{Count, Result, Session, Shift};
use std::fmt::Write;

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Truncate(u8),
    Sign,
    Zero,
    Relu(u8),
    Gate(u8),
    Mask,
    Prepare,
    Multiply,
    Matmul,
    Open,
    DealerInput,
    Agree,
}

struct One {
    what: What,
    n: usize,
}

impl One {
    fn meta(&self) -> Meta {
        Meta::new(1, self.n, 62, 30)
    }
}

impl Program for One {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let x = e.input("x", self.meta())?;
        match self.what {
            What::Truncate(s) => drop(e.truncate_one(&x, Shift::floor(s))?),
            What::Sign => drop(e.not_negative(&[&x])?),
            What::Zero => drop(e.is_zero(&[&x])?),
            What::Relu(s) => drop(e.relu(&[(&x, Shift::floor(s))])?),
            What::Gate(s) => {
                let b = e.not_negative(&[&x])?.pop().unwrap();
                drop(e.gate(&[(&b, &x, Shift::floor(s))])?);
            }
            What::Mask => drop(e.mask_one(&x)?),
            What::Prepare => drop(e.prepare(x)?),
            What::Multiply | What::Matmul => {
                let x = e.read_at(&x, 20)?;
                let m = e.mask_one(&x)?;
                if self.what == What::Multiply {
                    e.multiply(&m, &m)?;
                } else {
                    e.matmul(&m, &m, Transpose::First)?;
                }
            }
            What::DealerInput => drop(e.dealer_input("y", self.meta())?),
            What::Agree => e.agree()?,
            What::Open => return Ok(vec![e.open_one(&x)?]),
        }
        Ok(vec![])
    }
}

/// The page's formulas.
mod formula {
    /// Planes of the tables of so many bits.
    fn tables(bits: usize) -> usize {
        15 * (bits / 4) + (1 << (bits % 4)) - 1
    }

    fn digits(bits: usize) -> usize {
        bits.div_ceil(4)
    }

    /// Groups of at most four digits.
    fn groups(digits: usize) -> Vec<usize> {
        (0..digits).step_by(4).map(|first| (digits - first).min(4)).collect()
    }

    /// What is opened and dealt for lt of k places, for eq of k places, for both.
    fn less(k: usize) -> (usize, usize) {
        let products: usize = (1..k).map(|i| (1 << i) - 1).sum();
        (2 * (k - 1), products + (1 << (k - 1)) - k)
    }

    fn equal(k: usize) -> (usize, usize) {
        if k == 1 { (0, 0) } else { (k, (1 << k) - 1 - k) }
    }

    fn both(k: usize) -> (usize, usize) {
        let (opened, products) = less(k);
        if k == 1 { (0, 0) } else { (opened + 1, products + (1 << (k - 1)) - 1) }
    }

    /// Words each cloud sends in each round after ẑ, and words dealt, for a block of 64 entries.
    /// `stretches` are the bits between the places where a result is wanted.
    pub(super) fn block(stretches: &[usize], equality: bool, words: usize) -> (Vec<usize>, usize) {
        let results = stretches.len();
        let sign = usize::from(!equality && stretches.iter().sum::<usize>() == 63);
        let mut dealt = stretches.iter().map(|bits| tables(*bits)).sum::<usize>() + sign;
        let groups: Vec<usize> = stretches.iter().flat_map(|bits| groups(digits(*bits))).collect();
        let mut rounds = Vec::new();
        let mut layer = |parts: Vec<(usize, usize)>| {
            dealt += parts.iter().map(|(_, products)| products).sum::<usize>();
            rounds.push(parts.iter().map(|(opened, _)| opened).sum());
        };
        match (&groups[..], equality) {
            ([] | [1], _) => {}
            ([k], true) => layer(vec![equal(*k)]),
            ([k], false) => layer(vec![less(*k)]),
            (many, true) => {
                layer(many.iter().map(|k| equal(*k)).collect());
                layer(vec![equal(many.len())]);
            }
            (many, false) => {
                let mut parts: Vec<_> = many.iter().map(|k| both(*k)).collect();
                parts[0] = less(many[0]);
                layer(parts);
                layer(vec![less(many.len())]);
            }
        }
        if results > 0 {
            rounds.push(results);
        }
        (rounds, dealt + 64 * words)
    }
}

/// Rounds, bytes each cloud sends, bytes dealt.
fn frames(words: usize) -> (u64, u64, u64) {
    let frames = words.div_ceil(PIECE).max(1);
    let waits = 1 + frames.saturating_sub(WINDOW);
    (waits as u64, frames as u64, (frames * HEADER + 8 * words) as u64)
}

fn expected(what: What, n: usize) -> Count {
    let blocks = n.div_ceil(64);
    let s = |s: u8| usize::from(s);
    let act = |stretches: &[usize], equality, words| {
        let (rounds, dealt) = formula::block(stretches, equality, words);
        let sent = std::iter::once(n).chain(rounds.iter().map(|planes| planes * blocks));
        (sent.collect::<Vec<_>>(), Some(dealt * blocks))
    };
    let (sent, dealt) = match what {
        What::Truncate(bits) => act(&[s(bits)], false, 3),
        What::Sign => act(&[63], false, 1),
        What::Zero => act(&[64], true, 1),
        What::Relu(bits) => act(&[s(bits), 63 - s(bits)], false, 7),
        What::Gate(0) => act(&[], false, 1),
        What::Gate(bits) => act(&[s(bits)], false, 6),
        What::Mask | What::Prepare | What::Open => (vec![n], None),
        What::Multiply | What::DealerInput => (vec![], Some(n)),
        What::Agree => (vec![4], Some(4)),
        What::Matmul => (vec![], Some(n * n)),
    };
    let mut count = Count::default();
    for words in sent {
        let (waits, frames, bytes) = frames(words);
        count.rounds += waits;
        count.messages = count.messages.map(|m| m + frames);
        count.bytes = count.bytes.map(|b| b + bytes);
    }
    count.dealt = dealt.map_or(0, |words| frames(words).2);
    count
}

/// What the last operation that costs something costs.
fn counted(what: What, n: usize) -> Count {
    let (cost, _) = cost(&One { what, n }).unwrap();
    let (_, count) = cost.operations().last().unwrap();
    Count { multiplications: 0, ..*count }
}

#[test]
fn formulas_and_the_cost_engine_agree() {
    let mut all = vec![What::Sign, What::Zero, What::Mask, What::Prepare, What::Multiply];
    all.extend([What::Matmul, What::Open, What::Gate(0), What::DealerInput, What::Agree]);
    for s in 1..=62 {
        all.extend([What::Truncate(s), What::Relu(s), What::Gate(s)]);
    }
    for what in all {
        for n in [1, 63, 64, 65, 512, 700, 3000] {
            assert_eq!(counted(what, n), expected(what, n), "{what:?} of {n}");
        }
    }
    // Many pieces, and more than a window of them.
    for n in [PIECE, PIECE + 1, PIECE * WINDOW + 1, PIECE * (WINDOW + 3)] {
        for what in [What::Mask, What::Truncate(13)] {
            assert_eq!(counted(what, n), expected(what, n), "{what:?} of {n}");
        }
    }
}

#[test]
fn links_count_the_same_where_there_are_many_pieces() {
    let n = PIECE * (WINDOW + 1) + 5;
    let program = One { what: What::Open, n };
    let inputs = [Input::new("x", program.meta(), vec![3; n])];
    let run = shared(&program, &inputs, Lines::Tcp).unwrap();
    let count = expected(What::Open, n);
    let greeting = (HEADER + 136) as u64;
    for traffic in run.traffic {
        assert_eq!(traffic.rounds, count.rounds + 1);
        assert_eq!(traffic.bytes_sent, count.bytes[0] + greeting);
    }
    assert_eq!(run.opened[1][0].words, vec![3; n]);
}

/// The table in the page, as it must be: per entry, for a million of them.
fn table() -> String {
    let n = 1_000_000;
    let mut text = String::new();
    let mut row = |name: &str, what: What| {
        let count = counted(what, n);
        let per = |bytes: u64| bytes as f64 / n as f64;
        let rounds = counted(what, 64).rounds;
        writeln!(
            text,
            "| {name} | {rounds} | {:.2} | {:.2} |",
            per(count.bytes[0]),
            per(count.dealt)
        )
        .unwrap();
    };
    row("mask, prepare, open", What::Mask);
    row("multiply, an input of the dealer's", What::Multiply);
    row("compare with zero", What::Sign);
    row("equal to zero", What::Zero);
    row("gate, s = 0", What::Gate(0));
    for s in [1, 4, 8, 13, 16, 17, 24, 34, 48, 62] {
        row(&format!("truncate, s = {s}"), What::Truncate(s));
    }
    for s in [1, 13, 24, 34, 62] {
        row(&format!("gate, s = {s}"), What::Gate(s));
    }
    for s in [1, 13, 24, 34, 62] {
        row(&format!("ReLU, s = {s}"), What::Relu(s));
    }
    text
}

#[test]
fn the_table_in_the_page_is_what_is_counted() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/engine.md");
    let text = std::fs::read_to_string(page).unwrap();
    let table = table();
    assert!(text.contains(&table), "docs/engine.md should have this table:\n{table}");
    // The bars of the project: at most 16 B sent and 112 B dealt for an entry of a ReLU.
    for s in 1..=62 {
        let count = counted(What::Relu(s), 1 << 20);
        assert!(count.bytes[0] <= 16 << 20 && count.dealt <= 112 << 20, "s = {s}: {count:?}");
    }
}
