//! The hash that names a program: signed jobs carry it, so it changes only on purpose.
#![allow(clippy::unwrap_used)]

mod common;

use common::Small;
use dyad_mpc::engine::Engine;
use dyad_mpc::functions::softmax;
use dyad_mpc::tensor::{Meta, View};
use dyad_mpc::together::{Program, cost};
use dyad_mpc::{Result, Session};
use std::fmt::Write;

/// Many public words, all kinds of operands.
struct Wide;

impl Program for Wide {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let values: Vec<i64> = (-5000..5000).collect();
        let x = e.public(Meta::new(1000, 10, 13, 20), &values)?;
        let factors: Vec<i64> = (0..10_000).map(|i| i % 7).collect();
        let y = e.weigh(&x, &factors)?;
        let rows: Vec<u32> = (0..400).rev().collect();
        let y = e.view(&y, &View::Rows(&rows))?;
        e.step(7)?;
        let y = softmax(e, &y, 13)?;
        Ok(vec![e.open_one(&y)?])
    }
}

fn trace(program: &impl Program) -> String {
    let (_, trace) = cost(program).unwrap();
    trace.iter().fold(String::new(), |mut all, byte| {
        write!(all, "{byte:02x}").unwrap();
        all
    })
}

#[test]
fn traces_are_what_they_were() {
    assert_eq!(
        trace(&Small::default()),
        "7d8ebaa6f9ac186fdf2de336acafcaa531238df15d20e71ada0dd996ba5c1eb8"
    );
    assert_eq!(trace(&Wide), "42095531c7be3124ac63c73a4499de01b5aa9eefddfac7e32661697060c39dbd");
}
