//! Programs of many steps: the dealer is ahead, and done before the clouds are.
#![allow(clippy::unwrap_used)]

use dyad_mpc::engine::Engine;
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{Input, Lines, Program, clear, shared};
use dyad_mpc::{Result, Session, Shift};

struct Steps(u64);

impl Program for Steps {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let mut x = e.input("x", Meta::new(1, 100, 40, 61))?;
        for step in 1..=self.0 {
            e.step(step)?;
            x = e.truncate_one(&x, Shift::nearest(1))?;
        }
        Ok(vec![e.open_one(&x)?])
    }
}

#[test]
fn a_dealer_that_is_done_waits_for_c1() {
    let words: Vec<u64> = (0..100u64).map(|i| i.wrapping_mul(0x1234_5678_9abc)).collect();
    let inputs = [Input::new("x", Meta::new(1, 100, 40, 61), words)];
    for lines in [Lines::Memory, Lines::Tcp] {
        for steps in [1, 4, 5, 20] {
            let program = Steps(steps);
            let expected = clear(&program, &inputs).unwrap();
            let run = shared(&program, &inputs, lines).unwrap();
            assert_eq!(run.opened, [expected.clone(), expected], "{lines:?}, {steps} steps");
        }
    }
}
