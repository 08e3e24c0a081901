//! Bytes are those of the formulas, frame by frame; comparisons are measured apart.

use super::world::World;
use dyad_bcp::KeySize;
use dyad_mpc::cipher::Costs;
use dyad_mpc::engine::{Audience, Engine, Transpose};
use dyad_mpc::link::{Traffic, memory};
use dyad_mpc::prg::Party as Side;
use dyad_mpc::tensor::{Meta, Shape};
use dyad_mpc::together::{
    Input, Lines, Program, Setup, ciphered, ciphered_cost, clear, two_on_ciphertexts,
};
use dyad_mpc::transfer::Transfers;
use dyad_mpc::{Cipher, Line, Op, Result, Session, Shift};

fn sum(parts: &[[u64; 2]]) -> [u64; 2] {
    parts.iter().fold([0, 0], |[a, b], [x, y]| [a + x, b + y])
}

/// What each cloud sends for n comparisons of so many bits.
fn compared(n: usize, bits: u8) -> [u64; 2] {
    let (zero, one) = memory::pair();
    let op = Op { step: 0, number: 0, name: "test" };
    let sent = |side, link| {
        let mut line = Line::new(side, &super::common::ATTEMPT, link);
        let mut transfers = Transfers::begin(&mut line, op).unwrap();
        let before = line.traffic().bytes_sent;
        transfers.less(&mut line, op, bits, &vec![5; n]).unwrap();
        line.traffic().bytes_sent - before
    };
    std::thread::scope(|scope| {
        let one = scope.spawn(|| sent(Side::One, Box::new(one)));
        [sent(Side::Zero, Box::new(zero)), one.join().unwrap()]
    })
}

#[test]
fn bytes_are_those_of_the_formulas() {
    for bits in [512u16, 1024] {
        let world = World::new(bits.into());
        let costs = Costs::new(KeySize::InsecureForTests(bits));
        let (rows, inner, cols) = (5, 4, 10);
        let (x, w) = (Meta::new(rows, inner, 10, 20), Meta::new(inner, cols, 10, 20));
        let (a, b, z) = (x.shape, w.shape, Shape::new(rows, cols));
        let inputs = [
            Input::new("x", x, (0..20).collect()),
            Input::new("w", w, (0..40u64).map(|i| i.wrapping_sub(20)).collect()),
        ];
        let setup = Setup::new(&inputs, Lines::Memory).unwrap();
        let ends = two_on_ciphertexts(
            &world.key,
            world.opener(),
            [0; 32],
            setup,
            |_, engine: Cipher, _| {
                let mut e = Session::new(engine);
                let mut sent = vec![];
                let mut note = |e: &Session<Cipher>| sent.push(e.engine().traffic());
                let (x, w) = (e.input("x", x)?, e.input("w", w)?);
                note(&e);
                let masked = e.mask(&[&x, &w])?;
                note(&e);
                let z = e.matmul(&masked[0], &masked[1], Transpose::None)?;
                note(&e);
                // All that C0 encrypts of the factors is there.
                e.matmul(&masked[0], &masked[1], Transpose::None)?;
                note(&e);
                e.relu(&[(&z, Shift::nearest(7))])?;
                note(&e);
                e.truncate(&[(&z, Shift::floor(7))])?;
                note(&e);
                let bit = e.not_negative(&[&z])?;
                note(&e);
                e.gate(&[(&bit[0], &z, Shift::floor(0))])?;
                note(&e);
                let column = e.view(&x, &dyad_mpc::tensor::View::Columns(0..1))?;
                e.mask(&[&column])?;
                note(&e);
                Ok::<Vec<Traffic>, dyad_mpc::Error>(sent)
            },
        );
        let sent = ends.unwrap().map(Result::unwrap);
        let n = z.len();
        // |z| < 2^42, and 2^43 with the rounding constant.
        let expected = [
            costs.mask(&[a, b]),
            costs.matmul(Some(a), Some(b), z),
            costs.matmul(None, None, z),
            sum(&[
                costs.mask(&[z]),
                compared(n, 43),
                Costs::gate(n),
                compared(n, 7),
                Costs::numbers(n),
                costs.deal(z),
            ]),
            sum(&[costs.mask(&[z]), compared(n, 7), Costs::numbers(n), costs.deal(z)]),
            sum(&[costs.mask(&[z]), compared(n, 42)]),
            sum(&[costs.mask(&[z]), Costs::gate(n), costs.deal(z)]),
            // A column of a packed tensor: it is taken apart first, by C0.
            sum(&[
                costs.mask(&[a]),
                costs.deal(Shape::new(a.len(), 1)),
                costs.mask(&[Shape::new(rows, 1)]),
            ]),
        ];
        for (i, expected) in expected.iter().enumerate() {
            for (side, sent) in sent.iter().enumerate() {
                let bytes = sent[i + 1].bytes_sent - sent[i].bytes_sent;
                assert_eq!(bytes, expected[side], "{bits} bits, operation {i}, C{side}");
            }
        }
        // Half a round each: nobody waits for an answer before it speaks.
        let rounds = |i: usize| sent.each_ref().map(|sent| sent[i + 1].rounds - sent[i].rounds);
        for i in 0..3 {
            assert!(rounds(i).iter().sum::<u64>() <= 1, "operation {i}: {:?}", rounds(i));
        }
    }
}

/// More ciphertexts than go in a message: a column of 600 rows, masked, multiplied, gated.
#[test]
fn many_go_in_several_messages() {
    struct Column;
    impl Program for Column {
        fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
            let x = e.input("x", Meta::new(600, 1, 4, 20))?;
            let masked = e.mask(&[&x])?;
            let square = e.multiply(&masked[0], &masked[0])?;
            let (y, _) = e.relu(&[(&square, Shift::nearest(4))])?.swap_remove(0);
            e.open(&[&y], Audience::All)
        }
    }
    let world = World::new(256);
    let words = (0..600u64).map(|i| i.wrapping_sub(300)).collect();
    let inputs = [Input::new("x", Meta::new(600, 1, 4, 20), words)];
    let run = ciphered(&Column, &inputs, &world.key, world.opener(), Lines::Memory).unwrap();
    assert_eq!(run.opened[0], clear(&Column, &inputs).unwrap());
    let count = ciphered_cost(&Column, &world.key).unwrap();
    let greeting = (2 * dyad_mpc::wire::HEADER + 136 + 32) as u64;
    for (i, traffic) in run.traffic.iter().enumerate() {
        assert_eq!(traffic.bytes_sent, count.bytes[i] + greeting);
        assert_eq!(traffic.messages_sent, count.messages[i] + 2);
    }
    assert!(count.ciphertexts.made > 1200, "not many");
}
