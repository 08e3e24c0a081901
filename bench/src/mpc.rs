//! Figures of the engine: both clouds and the dealer on this machine, over loopback sockets.

use crate::figure::Figure;
use crate::measure::median;
use crate::{Bench, Done, Show};
use dyad_mpc::engine::Engine;
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{Input, Lines, Program, shared};
use dyad_mpc::{Result, Session, Shift};

pub(crate) const BENCHES: &[Bench] = &[Bench {
    name: "mpc.relu",
    about: "ReLU of 10^6 elements with truncation by 13 bits: both clouds and the dealer",
    run: relu,
}];

/// Times a figure is taken.
const RUNS: usize = 7;

struct Relu {
    elements: usize,
}

impl Relu {
    const META: fn(usize) -> Meta = |elements| Meta::new(1, elements, 26, 50);
}

impl Program for Relu {
    fn run<E: Engine>(&self, session: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let z = session.input("z", Self::META(self.elements))?;
        session.relu(&[(&z, Shift::nearest(13))])?;
        Ok(vec![])
    }
}

fn relu(show: Show<'_>) -> Done {
    let elements = 1_000_000;
    let meta = Relu::META(elements);
    let words =
        (0..elements as u64).map(|i| ((i.wrapping_mul(0x9e37_79b9_7f4a_7c15)) as i64 >> 14) as u64);
    let inputs = [Input::new("z", meta, words.collect())];
    let mut seconds = Vec::new();
    let mut last = None;
    for _ in 0..RUNS {
        let run = shared(&Relu { elements }, &inputs, Lines::Tcp)?;
        seconds.push(run.seconds);
        last = Some(run);
    }
    let Some(run) = last else { return Ok(()) };
    show(Figure {
        bench: "mpc.relu",
        params: format!("{elements} elements, s = 13"),
        value: median(&mut seconds),
        unit: "s",
        rounds: Some(run.traffic[0].rounds),
        bytes_sent: Some(run.traffic[0].bytes_sent),
        bytes_dealt: Some(run.dealt),
        ..Figure::default()
    })?;
    Ok(())
}
