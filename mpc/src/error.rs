//! What can go wrong in a run, and where it did.

use crate::link::LinkError;
use crate::prg::MaskReused;
use std::fmt;

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;

/// A place in a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Op {
    /// Step of the program.
    pub step: u64,
    /// Number of the operation within the step.
    pub number: u32,
    /// What it does.
    pub name: &'static str,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}, operation {} ({})", self.step, self.number, self.name)
    }
}

/// Who runs what: stands before every error of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// C0, C1, or the dealer.
    pub name: &'static str,
    /// First bytes of the job's hash.
    pub job: [u8; 4],
}

impl Who {
    pub(crate) fn new(name: &'static str, job: &[u8; 32]) -> Self {
        Self { name, job: std::array::from_fn(|i| job[i]) }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, job {:08x}", self.name, u32::from_be_bytes(self.job))
    }
}

impl Error {
    /// The peer sent something else than it should.
    pub(crate) fn frame(
        who: &Who,
        op: Op,
        peer: &'static str,
        got: String,
        expected: impl fmt::Display,
    ) -> Self {
        let expected = expected.to_string().into();
        Self::Frame { who: who.clone(), op, peer, got: got.into(), expected }
    }
}

/// What can go wrong in a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program puts together what does not fit: a mistake in the program, the same for all.
    #[error("{op}: {what}")]
    Program {
        /// Where.
        op: Op,
        /// What does not fit.
        what: String,
    },
    /// A value left its declared range. Only the clear engine can see it.
    #[error(
        "{op}: entry {index} is {value}, not below 2^{bound}: choose lower scales or a smaller rate"
    )]
    Overflow {
        /// Where.
        op: Op,
        /// Which entry, counted row by row.
        index: usize,
        /// What it is, in the ring or, where the ring was left, nearly.
        value: f64,
        /// What was declared.
        bound: u8,
    },
    /// A value left its declared range, and the clouds on ciphertexts stop before it shows.
    #[error(
        "{who}, {op}: a value is not below 2^{bound}, as the program declares: choose lower scales \
         or a smaller rate"
    )]
    Beyond {
        /// Who says so.
        who: Who,
        /// Where.
        op: Op,
        /// What was declared, of the widest tensor of those that were tested together.
        bound: u8,
    },
    /// More values would be blinded than blinds can hide all together.
    #[error(
        "{who}, {op}: {more} values to be blinded, after {blinded}: 2^40 for a job keep what all \
         blinds together give away below 2^-40; train fewer steps, or propose a new job"
    )]
    Blinds {
        /// Who says so.
        who: Who,
        /// Where.
        op: Op,
        /// So far, in earlier attempts too.
        blinded: u64,
        /// Now.
        more: u64,
    },
    /// An input that the job names was not given, or has another shape.
    #[error("{op}: input {name:?}: {what}")]
    Input {
        /// Where.
        op: Op,
        /// The input's name in the program.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// The peer, or the line to it, failed.
    #[error("{who}, {op}: {peer}: {source}")]
    Link {
        /// Who says so.
        who: Who,
        /// Where.
        op: Op,
        /// The other end.
        peer: &'static str,
        /// How it failed.
        source: LinkError,
    },
    /// The peer sent something else than the program has it send here.
    #[error(
        "{who}, {op}: {peer} sent {got}, expected {expected}: \
         the two do not run the same program, or the line was tampered with"
    )]
    Frame {
        /// Who says so.
        who: Who,
        /// Where.
        op: Op,
        /// The other end.
        peer: &'static str,
        /// What came.
        got: Box<str>,
        /// What should have come.
        expected: Box<str>,
    },
    /// The two ends run different programs, jobs or attempts.
    #[error("{who}, step {step}: {peer} runs {theirs}, this end {ours}: {what}")]
    Different {
        /// Who says so.
        who: Who,
        /// At which step.
        step: u64,
        /// The other end.
        peer: &'static str,
        /// What differs and what to do.
        what: &'static str,
        /// Its version or hash.
        theirs: Box<str>,
        /// Ours.
        ours: Box<str>,
    },
    /// The cryptosystem refused what this end asked of it.
    #[error("{op}: ciphertexts: {source}")]
    Ciphertexts {
        /// Where.
        op: Op,
        /// Why.
        source: dyad_bcp::Error,
    },
    /// A mask was about to be opened a second time.
    #[error(transparent)]
    MaskReused(#[from] MaskReused),
    /// A file of correlations cannot be used.
    #[error("correlations in {path}: {what}")]
    Correlations {
        /// The file.
        path: String,
        /// What is wrong with it, and what to do.
        what: String,
    },
}
