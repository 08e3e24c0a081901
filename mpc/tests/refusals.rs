//! What a session refuses, and what the clear engine reports: before anything is sent, and naming
//! operation and step.
#![allow(clippy::unwrap_used, clippy::panic)]

use dyad_mpc::engine::{Engine, Transpose};
use dyad_mpc::prg::{Attempt, Party as Side, Seed};
use dyad_mpc::tensor::{Axis, Meta, Shape, View};
use dyad_mpc::together::cost;
use dyad_mpc::together::{Input, Program, clear};
use dyad_mpc::{Clear, Cost, Error, Op, Party, Result, Session, Shared, Shift};

fn session() -> Session<Clear> {
    Session::new(Clear::new())
}

fn refused<T>(result: Result<T>, what: &str) {
    match result.map(|_| ()) {
        Err(Error::Program { op, what: said }) => {
            assert!(said.contains(what), "{op}: {said}, not {what:?}");
        }
        other => panic!("{other:?}, not {what:?}"),
    }
}

#[test]
fn steps_rise() {
    let mut e = session();
    e.step(0).unwrap();
    e.step(5).unwrap();
    refused(e.step(5), "comes after step 5");
    refused(e.step(4), "comes after step 5");
    e.step(6).unwrap();
    // What was done before the first step was done in step 0.
    let mut e = session();
    e.constant(Meta::new(1, 1, 0, 1), 0).unwrap();
    refused(e.step(0), "comes after step 0");
    e.step(1).unwrap();
}

/// Takes all and keeps nothing.
struct Nowhere;
impl dyad_mpc::correlations::Sink for Nowhere {
    fn greet(&mut self, _: &dyad_mpc::Contract) -> Result<()> {
        Ok(())
    }
    fn step(&mut self, _: Op) -> Result<()> {
        Ok(())
    }
    fn put(&mut self, _: Op, _: bytes::Bytes) -> Result<()> {
        Ok(())
    }
    fn agree(&mut self, _: Op, _: [u8; 32]) -> Result<()> {
        Ok(())
    }
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
    fn bytes(&self) -> u64 {
        0
    }
}

#[test]
fn engines_refuse_what_was_dealt_or_opened_already() {
    use dyad_mpc::engine::Product;
    let attempt = Attempt { job: [1; 32], nonces: [[2; 16], [3; 16]] };
    let seed = Seed::derive(&[4; 32], &attempt, Side::Zero);
    let (link, peer) = dyad_mpc::link::memory::pair();
    let mut party = Party::zero(&seed, &attempt, Box::new(link));
    let meta = Meta::new(1, 1, 0, 5);
    let op = |step, number| Op { step, number, name: "test" };
    // An opening that goes wrong has been sent, so it counts.
    drop(peer);
    assert!(matches!(party.mask(op(3, 1), &[(&vec![7], meta)]), Err(Error::Link { .. })));
    for (step, number) in [(3, 1), (3, 0), (2, 9)] {
        let again = party.mask(op(step, number), &[(&vec![8], meta)]);
        assert!(matches!(again, Err(Error::MaskReused(_))));
        let again = party.prepare(op(step, number), vec![8], meta);
        assert!(matches!(again, Err(Error::MaskReused(_))));
        let again = party.act(op(step, number), &[]);
        assert!(matches!(again, Err(Error::MaskReused(_))));
    }
    let mut dealer = dyad_mpc::Dealer::new([&seed, &seed], Box::new(Nowhere));
    let x = dealer.mask(op(1, 0), &[(&(), meta)]).unwrap().pop().unwrap();
    let mut product =
        |number| dealer.product(op(1, number), Product::Entries, (&x, meta), (&x, meta), meta);
    product(1).unwrap();
    // The second correction under one share would tell C1 how the products differ.
    assert!(matches!(product(1), Err(Error::MaskReused(_))));
    product(2).unwrap();
}

#[test]
fn scales_and_sizes_that_cannot_be_are_refused() {
    let mut e = session();
    let x = e.constant(Meta::new(2, 2, 20, 5), 3).unwrap();
    refused(e.raise(&x, 44), "a scale is at most 63");
    refused(e.raise(&x, 66), "raised by 66 bits");
    refused(e.raise(&x, 255), "raised by 255 bits");
    refused(e.halve(&x, 250), "a scale is at most 63");
    refused(e.times(&x, 3, 250), "a scale is at most 63");
    refused(e.read_at(&x, 64), "a scale is at most 63");
    let fine = e.read_at(&x, 40).unwrap();
    let masked = e.mask(&[&fine]).unwrap().pop().unwrap();
    refused(e.matmul(&masked, &masked, Transpose::None), "a scale is at most 63");
    let mut e = Session::new(Cost::new());
    refused(e.input("x", Meta::new(1 << 33, 1 << 33, 0, 5)), "2^36 entries");
    let long = e.input("x", Meta::new(1 << 20, 1, 0, 5)).unwrap();
    refused(e.view(&long, &View::RepeatColumn(1 << 20)), "2^36 entries");
    let masked = e.mask_one(&long).unwrap();
    refused(e.matmul(&masked, &masked, Transpose::Second), "2^36 entries");
    let shift = Shift::nearest(1);
    refused(e.truncate_one(&long, shift), "a shift of 1 bits");
    refused(e.view(&long, &View::Reshape(Shape::new(2, 2))), "as 2x2");
}

/// Some linear operation on an input near the ring's end.
fn wide(which: u8) -> Result<()> {
    struct Wide(u8);
    impl Program for Wide {
        fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
            let x = e.input("x", Meta::new(2, 2, 10, 62))?;
            e.step(7)?;
            let y: Shared<E> = match self.0 {
                0 => e.times(&x, 16, 0)?,
                1 => e.linear(&[(1, &x), (1, &x), (1, &x)])?,
                2 => e.weigh(&x, &[1, 1, 1, 5])?,
                3 => e.sum(&x, Axis::Rows)?,
                4 => {
                    let sum = e.sum(&x, Axis::Columns)?;
                    e.raise(&sum, 1)?
                }
                _ => {
                    let masked = e.mask_one(&x)?;
                    let twice = e.linear_masked(&[(i64::MAX, &masked)])?;
                    e.unmask(&twice)?
                }
            };
            e.declare(&y, 40)?;
            Ok(vec![])
        }
    }
    cost(&Wide(which)).unwrap();
    let words = match which {
        3 => vec![(1 << 62) - 1; 4],
        4 => vec![1 << 61; 4],
        _ => vec![1, 2, 3, 1 << 61],
    };
    clear(&Wide(which), &[Input::new("x", Meta::new(2, 2, 10, 62), words)]).map(|_| ())
}

#[test]
fn the_clear_engine_sees_a_linear_operation_leave_the_ring() {
    for which in 0..=5 {
        match wide(which) {
            Err(Error::Overflow { op, .. }) => {
                assert_eq!(op.step, 7, "{which}");
                // Three times 2^61, and twice 2^62, are still inside: the declared bound is not.
                let inside = [1, 3].contains(&which);
                assert_eq!(op.name == "declare", inside, "{which}: {op}");
            }
            other => panic!("{which}: {other:?}"),
        }
    }
}

#[test]
fn programs_that_wire_their_tensors_otherwise_have_other_names() {
    struct Wired(bool);
    impl Program for Wired {
        fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
            let meta = Meta::new(1, 3, 10, 20);
            let (x, y) = (e.input("x", meta)?, e.input("y", meta)?);
            let bits = e.not_negative(&[&x, &y])?;
            let which = if self.0 { &bits[0] } else { &bits[1] };
            e.gate(&[(which, &x, Shift::floor(0))])?;
            Ok(vec![])
        }
    }
    assert_eq!(cost(&Wired(true)).unwrap().1, cost(&Wired(true)).unwrap().1);
    assert_ne!(cost(&Wired(true)).unwrap().1, cost(&Wired(false)).unwrap().1);
}

/// A stream of masks has 2^32 words; what takes more is refused by all alike, and stops nobody.
#[test]
fn an_operation_takes_no_more_than_a_stream_has() {
    let mut e = Session::new(Cost::new());
    let x = e.input("x", Meta::new(1 << 20, 1, 20, 30)).unwrap();
    let wide = |e: &mut Session<Cost>, times| e.view(&x, &View::RepeatColumn(times)).unwrap();
    let (most, more) = (wide(&mut e, 1 << 12), wide(&mut e, (1 << 12) + 1));
    e.mask(&[&most]).unwrap();
    e.prepare(most.clone()).unwrap();
    e.dealer_input("most", Meta::new(1 << 20, 1 << 12, 20, 30)).unwrap();
    refused(e.dealer_input("more", Meta::new((1 << 20) + 1, 1 << 12, 20, 30)), "2^32 words");
    refused(e.mask(&[&more]), "2^32 words");
    refused(e.mask(&[&most, &x]), "2^32 words");
    refused(e.prepare(more), "2^32 words");
    // What is dealt of an act is more than what is masked: 12.44 words an entry of a ReLU.
    let (some, many) = (wide(&mut e, 329), wide(&mut e, 330));
    e.relu(&[(&some, Shift::nearest(13))]).unwrap();
    refused(e.relu(&[(&many, Shift::nearest(13))]), "2^32 words");
    let half = wide(&mut e, 165);
    refused(e.relu(&[(&half, Shift::nearest(13)), (&half, Shift::nearest(13))]), "2^32 words");
    let column = e.mask_one(&x).unwrap();
    let row = e.public(Meta::new(1, (1 << 12) + 1, 0, 1), &vec![0; (1 << 12) + 1]).unwrap();
    let row = e.mask_one(&row).unwrap();
    refused(e.matmul(&column, &row, Transpose::None), "2^32 words");
}
