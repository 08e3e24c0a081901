//! Lines whose other end says what a fuzzer likes, and a program with something of everything to
//! say over them.

use bytes::Bytes;
use dyad_mpc::engine::{Audience, Engine, Transpose};
use dyad_mpc::link::{Link, LinkError, memory};
use dyad_mpc::prg::{Attempt, Party as Side};
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::Program;
use dyad_mpc::{Error, Result, Session, Shift};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Every kind of message, on few numbers.
pub(crate) struct Small;

pub(crate) const X: Meta = Meta::new(2, 2, 10, 20);

impl Program for Small {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let x = e.input("x", X)?;
        let w = e.dealer_input("w", X)?;
        let table = e.prepare(x)?;
        let mut last = None;
        for step in 1..=2 {
            e.step(step)?;
            let x = e.rows(&table, &[1, 0])?;
            let w = e.mask_one(&w)?;
            let z = e.matmul(&x, &w, Transpose::None)?;
            last = e.relu(&[(&z, Shift::nearest(12))])?.pop();
            e.agree()?;
        }
        let Some((y, bit)) = last else { return Ok(vec![]) };
        let bits = e.number(&bit)?;
        let mut opened = e.open(&[&y], Audience::All)?;
        opened.extend(e.open(&[&bits], Audience::One(Side::One))?);
        Ok(opened)
    }
}

pub(crate) const ATTEMPT: Attempt = Attempt { job: [7; 32], nonces: [[1; 16], [2; 16]] };
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// What came in over a line.
pub(crate) type Record = Arc<Mutex<Vec<Bytes>>>;

type Received<T> = std::result::Result<T, LinkError>;

/// Gives frames as they are, one after the other; what is sent goes nowhere.
pub(crate) struct Replay(pub(crate) VecDeque<Bytes>);

impl Link for Replay {
    fn send(&mut self, _: Bytes) -> Received<()> {
        Ok(())
    }

    fn recv(&mut self, _: Instant) -> Received<Bytes> {
        self.0.pop_front().ok_or(LinkError::Closed)
    }
}

/// Takes note of what comes in.
pub(crate) struct Tap(pub(crate) memory::MemoryLink, pub(crate) Record);

impl Link for Tap {
    fn send(&mut self, frame: Bytes) -> Received<()> {
        self.0.send(frame)
    }

    fn recv(&mut self, by: Instant) -> Received<Bytes> {
        let frame = self.0.recv(by)?;
        self.1.lock().expect("nobody panics").push(frame.clone());
        Ok(frame)
    }
}

/// Frames as a socket gives them: their lengths before them.
pub(crate) fn stream(frames: &[Bytes]) -> Vec<u8> {
    let length = |frame: &Bytes| (frame.len() as u32).to_le_bytes();
    frames.iter().flat_map(|frame| [&length(frame)[..], frame].concat()).collect()
}

/// An error can be said, and is about the line or what came over it.
pub(crate) fn told(error: &Error) {
    assert!(!error.to_string().is_empty());
    let of_the_line = matches!(
        error,
        Error::Link { .. }
            | Error::Frame { .. }
            | Error::Different { .. }
            | Error::Correlations { .. }
    );
    assert!(of_the_line, "{error}");
}
