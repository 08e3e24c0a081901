//! A small program with every kind of message, and runs of it over lines that one may tamper with.
#![allow(dead_code, clippy::unwrap_used)]

use bytes::Bytes;
use dyad_mpc::engine::{Audience, Engine, Transpose};
use dyad_mpc::link::{Link, LinkError, memory};
use dyad_mpc::prg::{Attempt, Party as Side, Seed};
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{Ends, Input, Program, Setup};
use dyad_mpc::{Contract, Result, Session, Shift};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A table, a product, a ReLU, a comparison, an opening to one and one to both.
#[derive(Clone)]
pub(crate) struct Small {
    pub(crate) rows: usize,
    pub(crate) steps: u64,
    /// What a later release might do otherwise.
    pub(crate) shift: u8,
}

impl Default for Small {
    fn default() -> Self {
        Self { rows: 70, steps: 2, shift: 12 }
    }
}

pub(crate) const COLUMNS: usize = 3;

impl Small {
    pub(crate) fn inputs(&self, value: impl Fn(usize) -> i64) -> Vec<Input> {
        let x = (0..self.rows * COLUMNS).map(|i| value(i) as u64).collect();
        let w = (0..COLUMNS * 2).map(|i| value(i) as u64).collect();
        vec![Input::new("x", self.x(), x), Input::new("w", Self::w(), w)]
    }

    fn x(&self) -> Meta {
        Meta::new(self.rows, COLUMNS, 10, 20)
    }

    fn w() -> Meta {
        Meta::new(COLUMNS, 2, 10, 20)
    }
}

impl Program for Small {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let x = e.input("x", self.x())?;
        let w = e.input("w", Small::w())?;
        let table = e.prepare(x)?;
        let all: Vec<u32> = (0..self.rows as u32).collect();
        let mut last = None;
        for step in 1..=self.steps {
            e.step(step)?;
            let x = e.rows(&table, &all)?;
            let w = e.mask_one(&w)?;
            let z = e.matmul(&x, &w, Transpose::None)?;
            let (y, b) = e.relu(&[(&z, Shift::nearest(self.shift))])?.pop().unwrap();
            let bits = e.number(&b)?;
            e.agree()?;
            last = Some((y, bits));
        }
        let (y, bits) = last.unwrap();
        let mut opened = e.open(&[&y], Audience::All)?;
        opened.extend(e.open(&[&bits], Audience::One(Side::One))?);
        Ok(opened)
    }
}

/// What to do with a frame that comes in, by its number: give these frames instead.
pub(crate) type Meddle = Box<dyn FnMut(usize, Bytes) -> Vec<Bytes> + Send>;

/// Alters what is received.
pub(crate) struct Meddler {
    link: Box<dyn Link>,
    meddle: Meddle,
    seen: usize,
    waiting: Vec<Bytes>,
}

impl Meddler {
    pub(crate) fn boxed(link: Box<dyn Link>, meddle: Meddle) -> Box<dyn Link> {
        Box::new(Self { link, meddle, seen: 0, waiting: vec![] })
    }
}

impl Link for Meddler {
    fn send(&mut self, frame: Bytes) -> std::result::Result<(), LinkError> {
        self.link.send(frame)
    }

    fn recv(&mut self, by: Instant) -> std::result::Result<Bytes, LinkError> {
        loop {
            if !self.waiting.is_empty() {
                return Ok(self.waiting.remove(0));
            }
            let frame = self.link.recv(by)?;
            self.waiting = (self.meddle)(self.seen, frame);
            self.seen += 1;
        }
    }
}

/// What came in over a link, frame by frame.
pub(crate) type Record = Arc<Mutex<Vec<Bytes>>>;

/// Takes note of what is received.
pub(crate) fn recorded(link: Box<dyn Link>) -> (Box<dyn Link>, Record) {
    let record = Record::default();
    let notes = Arc::clone(&record);
    let meddle = Box::new(move |_, frame: Bytes| {
        notes.lock().unwrap().push(frame.clone());
        vec![frame]
    });
    (Meddler::boxed(link, meddle), record)
}

pub(crate) fn ends() -> Ends {
    let (a, b) = memory::pair();
    (Box::new(a), Box::new(b))
}

pub(crate) const ATTEMPT: Attempt = Attempt { job: [0xab; 32], nonces: [[1; 16], [2; 16]] };

/// A set-up whose masks are always the same.
pub(crate) fn setup(shares: [Vec<Input>; 2]) -> Setup {
    Setup {
        attempt: ATTEMPT,
        secret: [9; 32],
        shares,
        dealer_inputs: vec![],
        clouds: ends(),
        dealing: ends(),
        limit: Duration::from_secs(20),
    }
}

/// Under the seeds that follow from the set-up's secret.
pub(crate) fn contract_of(program: [u8; 32]) -> Contract {
    let [zero, one] = [Side::Zero, Side::One].map(|side| Seed::derive(&[9; 32], &ATTEMPT, side));
    Contract::new(ATTEMPT, program, [&zero, &one])
}
