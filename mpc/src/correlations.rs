//! Where C1's share of what is dealt comes from, and where the dealer puts it: a link, or a file
//! that was written before.
//!
//! Over a link the dealer runs ahead only as far as C1 asks: C1 grants it steps ([`AHEAD`] at
//! first, then one for each step it begins). Where the program has all agree, the dealer sends the
//! hash of what it did among what it deals, and C1 its own the other way: C1 compares at once, the
//! dealer when it next listens, so that it need not stop running ahead. A file holds the dealer's.

mod file;
mod stream;

pub(crate) use file::mark_used;
pub use file::{FileSink, FileSource};
pub use stream::{LinkSink, LinkSource};

use crate::contract::Contract;
use crate::error::{Op, Result};
use crate::wire::{self, Header, Kind};
use bytes::Bytes;

/// Steps the dealer may be ahead of C1, if nobody says otherwise.
pub const AHEAD: u64 = 4;

/// Words of a trace.
const TRACE: usize = 4;

/// The header of the frame that tells a trace, and the trace in words.
fn told(op: Op, trace: &[u8; 32]) -> (Header, Vec<u64>) {
    (Header::new(Kind::Trace, op, 0, 0).piece(0, TRACE), wire::all_words(trace))
}

/// C1's source of what is dealt to it.
pub trait Correlations: Send {
    /// Makes sure that they are dealt for this attempt at this program.
    fn greet(&mut self, contract: &Contract) -> Result<()>;
    /// Were they dealt before the run, into a file?
    fn offline(&self) -> bool {
        false
    }
    /// C1 begins a step.
    fn step(&mut self, op: Op) -> Result<()>;
    /// What was dealt for an operation: exactly so many words, in pieces of [`PIECE`].
    ///
    /// [`PIECE`]: crate::wire::PIECE
    fn take(&mut self, op: Op, shape: u32, words: usize) -> Result<Vec<Bytes>>;
    /// Makes sure that the dealer did the same so far, and lets it make sure, too.
    fn agree(&mut self, op: Op, trace: [u8; 32]) -> Result<()>;
}

/// Where the dealer puts what it deals to C1.
pub trait Sink: Send {
    /// Makes sure that C1 runs this attempt at this program.
    fn greet(&mut self, contract: &Contract) -> Result<()>;
    /// The dealer is about to begin a step; waits until it may.
    fn step(&mut self, op: Op) -> Result<()>;
    /// Takes a frame of what is dealt for an operation.
    fn put(&mut self, op: Op, frame: Bytes) -> Result<()>;
    /// Tells C1 what was done so far, to be compared there; does not wait for its answer.
    fn agree(&mut self, op: Op, trace: [u8; 32]) -> Result<()>;
    /// Nothing more comes.
    fn finish(&mut self) -> Result<()>;
    /// Bytes taken so far, headers included.
    fn bytes(&self) -> u64;
}
