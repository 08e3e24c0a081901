//! Random programs over every operation: what the clouds open is what the clear engine computes,
//! and what the links count is what `Cost` counts.
#![allow(clippy::unwrap_used)]

#[path = "common/world.rs"]
mod world;

use dyad_mpc::engine::{Audience, Engine, Transpose};
use dyad_mpc::tensor::{Axis, Meta, Shape, View};
use dyad_mpc::together::{
    Finished, Input, Lines, Program, ciphered, ciphered_cost, clear, cost, pairwise, pairwise_cost,
    shared,
};
use dyad_mpc::{Bit, Count, Error, Opened, Result, Session, Shared, Shift};
use proptest::prelude::*;

/// An operation: which, on which tensors, and a number it may use. What does not fit is refused, by
/// all engines alike, and left out.
type Choice = (u8, u8, u8, u8);

#[derive(Debug)]
struct Random {
    shapes: Vec<Shape>,
    choices: Vec<Choice>,
}

const SCALE: u8 = 12;
const BOUND: u8 = 16;
/// Entries a tensor may have.
const MOST: usize = 600;

impl Random {
    fn meta(shape: Shape) -> Meta {
        Meta { shape, scale: SCALE, bound: BOUND }
    }

    fn inputs(&self, values: &[i64]) -> Vec<Input> {
        let mut values = values.iter().cycle();
        let input = |(i, shape): (usize, &Shape)| {
            let words = (0..shape.len()).map(|_| *values.next().unwrap() as u64).collect();
            Input::new(&format!("input {i}"), Self::meta(*shape), words)
        };
        self.shapes.iter().enumerate().map(input).collect()
    }
}

impl Program for Random {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let mut pool: Vec<Shared<E>> = Vec::new();
        let mut bits: Vec<Bit<E>> = Vec::new();
        for (i, shape) in self.shapes.iter().enumerate() {
            pool.push(e.input(&format!("input {i}"), Self::meta(*shape))?);
        }
        e.step(1)?;
        for choice in &self.choices {
            match operate(e, &pool, &bits, *choice) {
                Ok((tensors, more)) => {
                    pool.extend(tensors.into_iter().filter(|x| x.shape().len() <= MOST));
                    bits.extend(more);
                }
                Err(Error::Program { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        for b in &bits {
            pool.push(e.number(b)?);
        }
        e.agree()?;
        e.open(&pool.iter().collect::<Vec<_>>(), Audience::All)
    }
}

type Made<E> = (Vec<Shared<E>>, Vec<Bit<E>>);

fn operate<E: Engine>(
    e: &mut Session<E>,
    pool: &[Shared<E>],
    bits: &[Bit<E>],
    (which, i, j, k): Choice,
) -> Result<Made<E>> {
    let x = &pool[usize::from(i) % pool.len()];
    let y = &pool[usize::from(j) % pool.len()];
    let Shape { rows, cols } = x.shape();
    let shift = |e: u8| if k % 2 == 0 { Shift::nearest(e) } else { Shift::floor(e) };
    let s = 1 + k % x.scale().max(1);
    let one = |x| (vec![x], vec![]);
    Ok(match which % 24 {
        0 => one(e.add(x, y)?),
        1 => one(e.sub(x, y)?),
        2 => one(e.linear(&[(i64::from(k) - 99, x), (3, y), (-1, x)])?),
        3 => one(e.raise(x, k % 5)?),
        4 => one(e.halve(x, k % 5)?),
        5 => {
            let factors: Vec<i64> = (0..rows * cols).map(|n| n as i64 % 7 - i64::from(k)).collect();
            one(e.weigh(x, &factors)?)
        }
        6 => {
            let picked: Vec<u32> =
                (0..u32::from(k) % 9).map(|n| n * 5 % (rows as u32).max(1)).collect();
            one(e.view(x, &View::Rows(&picked))?)
        }
        7 => {
            let from = usize::from(k) % cols.max(1);
            one(e.view(x, &View::Columns(from..cols))?)
        }
        8 => one(e.view(x, &View::Transpose)?),
        9 => one(e.view(x, &View::Reshape(Shape::new(cols, rows)))?),
        10 => one(e.view(x, &View::RepeatRow(usize::from(k) % 5))?),
        11 => one(e.view(x, &View::RepeatColumn(usize::from(k) % 5))?),
        12 => one(e.sum(x, if k % 2 == 0 { Axis::Rows } else { Axis::Columns })?),
        13 => one(e.join(&[x, y], if k % 2 == 0 { Axis::Rows } else { Axis::Columns })?),
        14 => {
            let mut masked = e.mask(&[x, y])?;
            let (y, x) = (masked.pop().unwrap(), masked.pop().unwrap());
            let z = e.multiply(&x, &y)?;
            (vec![z, e.unmask(&x)?], vec![])
        }
        15 | 16 => {
            let (x, y) = (e.mask_one(x)?, e.mask_one(y)?);
            let forms = [Transpose::None, Transpose::First, Transpose::Second, Transpose::Both];
            one(e.matmul(&x, &y, forms[usize::from(k) % 4])?)
        }
        17 => {
            (e.truncate(&[(x, shift(s)), (y, Shift::nearest(1 + k % y.scale().max(1)))])?, vec![])
        }
        18 => {
            let mut made = e.relu(&[(x, shift(s))])?;
            let (y, b) = made.pop().unwrap();
            (vec![y], vec![b])
        }
        19 => (vec![], e.not_negative(&[x, y])?),
        20 => (vec![], vec![e.equals(x, i64::from(k) - 100)?, e.at_least(x, i64::from(k) - 100)?]),
        21 | 22 if !bits.is_empty() => {
            let b = &bits[usize::from(j) % bits.len()];
            let not = e.not(b)?;
            let s = if k % 3 == 0 { Shift::floor(0) } else { shift(s) };
            (e.gate(&[(b, x, s), (&not, x, Shift::floor(0))])?, vec![not])
        }
        23 if !bits.is_empty() => one(e.select(&bits[usize::from(k) % bits.len()], x, y)?),
        _ => {
            let rows: Vec<u32> = (0..rows as u32).rev().collect();
            let table = e.prepare(x.clone())?;
            let x = e.rows(&table, &rows)?;
            let twice = e.linear_masked(&[(1, &x), (1, &x)])?;
            let turned = e.view_masked(&twice, &View::Transpose)?;
            (vec![e.unmask(&twice)?, e.matmul(&x, &turned, Transpose::None)?], vec![])
        }
    })
}

/// What is done to tensors without an entry costs frames without a word, and hangs nobody.
#[test]
fn nothing_is_a_tensor_too() {
    let choices = (0..24).map(|which| (which, 2, 2, 5)).chain([(10, 0, 0, 0), (6, 0, 0, 0)]);
    let choices: Vec<Choice> = choices.chain((0..24).map(|which| (which, 255, 255, 4))).collect();
    for shape in [Shape::new(0, 3), Shape::new(3, 0), Shape::new(0, 0)] {
        let program = Random { shapes: vec![shape; 3], choices: choices.clone() };
        let inputs = program.inputs(&[1]);
        let expected = clear(&program, &inputs).unwrap();
        let run = shared(&program, &inputs, Lines::Memory).unwrap();
        assert_eq!(run.opened, [expected.clone(), expected.clone()]);
        assert_eq!(run.dealt, cost(&program).unwrap().0.count().dealt);
        let run = pairwise(&program, &inputs, Lines::Memory).unwrap();
        assert_eq!(run.opened, [expected.clone(), expected.clone()]);
        let count = pairwise_cost(&program).unwrap().count();
        let greeting = (dyad_mpc::wire::HEADER + 136) as u64;
        assert_eq!(run.traffic[0].bytes_sent, count.bytes[0] + greeting);
        let world = world::World::new(512);
        let run = ciphered(&program, &inputs, &world.key, world.opener(), Lines::Memory).unwrap();
        assert_eq!(run.opened, [expected.clone(), expected]);
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::new(1, 1)),
        Just(Shape::new(4, 4)),
        Just(Shape::new(1, 130)),
        (1..8usize, 1..8usize).prop_map(|(rows, cols)| Shape::new(rows, cols)),
    ]
}

fn value() -> impl Strategy<Value = i64> {
    let most = (1i64 << BOUND) - 1;
    prop_oneof![Just(0), Just(1), Just(-1), Just(most), Just(-most), Just(1 << SCALE), -most..=most]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]
    #[test]
    fn clouds_open_what_the_clear_engine_computes(
        shapes in prop::collection::vec(shape(), 2..5),
        choices in prop::collection::vec(any::<Choice>(), 1..14),
        values in prop::collection::vec(value(), 200),
    ) {
        let program = Random { shapes, choices };
        let inputs = program.inputs(&values);
        let expected = clear(&program, &inputs);
        // Values may leave the ring in a product of products; then there is nothing to compare.
        prop_assume!(expected.is_ok());
        let run = shared(&program, &inputs, Lines::Memory).unwrap();
        same(&run, &expected.unwrap(), &cost(&program).unwrap().0.count())?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn clouds_without_a_dealer_open_what_the_clear_engine_computes(
        shapes in prop::collection::vec(shape(), 2..5),
        choices in prop::collection::vec(any::<Choice>(), 1..14),
        values in prop::collection::vec(value(), 200),
    ) {
        let program = Random { shapes, choices };
        let inputs = program.inputs(&values);
        let expected = clear(&program, &inputs);
        prop_assume!(expected.is_ok());
        let run = pairwise(&program, &inputs, Lines::Memory).unwrap();
        same(&run, &expected.unwrap(), &pairwise_cost(&program).unwrap().count())?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn ciphertexts_hold_what_the_clear_engine_computes(
        shapes in prop::collection::vec(shape(), 2..4),
        choices in prop::collection::vec(any::<Choice>(), 1..10),
        values in prop::collection::vec(value(), 200),
        bits in prop_oneof![Just(256u64), Just(512), Just(1024)],
    ) {
        let program = Random { shapes, choices };
        let inputs = program.inputs(&values);
        let expected = clear(&program, &inputs);
        prop_assume!(expected.is_ok());
        let world = world::World::new(bits);
        let run = ciphered(&program, &inputs, &world.key, world.opener(), Lines::Memory).unwrap();
        opened(&run, &expected.unwrap())?;
        let count = ciphered_cost(&program, &world.key).unwrap();
        // The greeting, and the comparison of keys, are not the program's.
        let greeting = (2 * dyad_mpc::wire::HEADER + 136 + 32) as u64;
        for (i, traffic) in run.traffic.iter().enumerate() {
            prop_assert_eq!(traffic.bytes_sent, count.bytes[i] + greeting, "C{}", i);
            prop_assert_eq!(traffic.messages_sent, count.messages[i] + 2, "C{}", i);
        }
        let waited = run.traffic.iter().map(|traffic| traffic.rounds).max();
        prop_assert_eq!(waited, Some(count.rounds + 2));
    }
}

/// Did both open this?
fn opened(run: &Finished, expected: &[Opened]) -> std::result::Result<(), TestCaseError> {
    for (i, (a, b)) in expected.iter().zip(&run.opened[0]).enumerate() {
        prop_assert_eq!(a, b, "tensor {}", i);
    }
    prop_assert_eq!(&run.opened[0], &run.opened[1]);
    Ok(())
}

/// Did both open this, at this cost?
fn same(
    run: &Finished,
    expected: &[Opened],
    count: &Count,
) -> std::result::Result<(), TestCaseError> {
    opened(run, expected)?;
    let greeting = (dyad_mpc::wire::HEADER + 136) as u64;
    for (party, traffic) in run.traffic.iter().enumerate() {
        prop_assert_eq!(traffic.bytes_sent, count.bytes[party] + greeting);
        prop_assert_eq!(traffic.messages_sent, count.messages[party] + 1);
        prop_assert_eq!(traffic.rounds, count.rounds + 1);
    }
    prop_assert_eq!(run.dealt, count.dealt);
    Ok(())
}
