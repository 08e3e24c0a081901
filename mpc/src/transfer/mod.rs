//! Oblivious transfer between the two clouds: the sender has two secrets for each bit of the
//! receiver's, the receiver learns the one its bit chooses and nothing of the other, the sender
//! learns nothing of the bits.
//!
//! ```text
//! base      128 transfers on ristretto255, anew in each attempt, never stored           [`base`]
//! trees     K of them make 2^K seeds, all of which the receiver has and all but that of Δ_g the
//!           sender                                                                       [`tree`]
//! extend    any number of rows: t at the receiver, q = t ^ x Δ at the sender, x its bit [`extend`]
//! keys      H(q, i) and H(q ^ Δ, i) at the sender, of which H(t, i) = that of x is the
//!           receiver's                                                                   [`hash`]
//! forms     random, chosen, correlated, one of 16: what is made of the keys             [`forms`]
//! ```
//!
//! Who learns what: semi-honest. The sender sees the receiver's bits under streams that it does not
//! have (that of the one seed it lacks in each tree), so uniform words. The receiver sees messages
//! under keys H(t ^ Δ, i) with Δ unknown: uniform words, H being correlation robust.
//! A simulator draws both at random.
//!
//! What is not promised: a receiver that sends inconsistent rows (another x in each tree) can learn
//! bits of Δ. The consistency checks that forbid it (Keller, Orsini, Scholl, CRYPTO 2015; Roy,
//! CRYPTO 2022) cost little, but nothing else here withstands a cloud that deviates, and
//! results could be spoiled all the same: they are left out, as is said here.
//!
//! Transfers begin anew in each attempt: a store that is rolled back would have the same rows come
//! twice, and two messages under one key give their difference away. Job, attempt and who sends
//! stand in all their hashes ([`Context`]) and in what names each frame, so that what was said in
//! another attempt, or by oneself, leads to no common key.
//!
//! Masks that a secret bit decides go through `subtle`, so that no branch is made of them; what is
//! drawn, chosen and shared is wiped when it is dropped.

mod base;
mod compare;
pub(crate) mod cost;
mod extend;
pub(crate) mod forms;
mod hash;
pub(crate) mod products;
mod tree;
pub(crate) mod words;

pub(crate) use base::fresh;
pub use compare::AT_ONCE;
pub(crate) use extend::asks;
pub use extend::{Begun, Receiver, Rows, Sender};
pub use forms::{send_chosen, take_chosen};

use crate::error::{Error, Op, Result};
use crate::line::Line;
use crate::prg::{Attempt, Party as Side};
use products::Asks;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

/// Secret words: wiped when dropped.
pub(crate) type Words = Zeroizing<Vec<u64>>;

/// So many zeros.
pub(crate) fn zeros(count: usize) -> Words {
    Zeroizing::new(vec![0; count])
}

/// Secret words of a known number, so that none is left behind where a vector grew.
pub(crate) fn gathered(count: usize, words: impl Iterator<Item = u64>) -> Words {
    let mut all = Zeroizing::new(Vec::with_capacity(count));
    all.extend(words.take(count));
    all
}

/// All ones for a secret 1, zero for 0; other bits do not count. Compilers do not see that it is
/// one of two.
pub(crate) fn mask(bit: u64) -> u64 {
    u64::conditional_select(&0, &u64::MAX, Choice::from((bit & 1) as u8))
}

/// What cannot be taken: a message of the other's, or what does not fit one's own rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another length.
    #[error("{got} words of {what}, where {due} are due")]
    Length {
        /// Words of what.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there should be.
        due: usize,
    },
    /// Not canonical, or zero.
    #[error("32 bytes that are no point of ristretto255")]
    NoPoint,
    /// Rows in which this end receives are not those it sends by.
    #[error("rows of the receiver's, where the sender's are due")]
    NotTheSenders,
}

/// Words of something, as many as are due.
pub(crate) const fn sized(
    what: &'static str,
    got: usize,
    due: usize,
) -> std::result::Result<(), Refused> {
    if got == due { Ok(()) } else { Err(Refused::Length { what, got, due }) }
}

/// Names the transfers of an attempt in one direction: in all their hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context([u8; 32]);

impl Context {
    /// Those in which this cloud has the secrets.
    #[must_use]
    pub fn new(attempt: &Attempt, sender: Side) -> Self {
        let Attempt { job, nonces: [nonce_0, nonce_1] } = attempt;
        let mut hash = Sha256::new();
        hash.update(b"dyad-mpc transfers v1");
        for part in [&job[..], nonce_0, nonce_1, &[sender.index() as u8]] {
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Words of the two messages that begin transfers, each way.
pub(crate) const BASE: [usize; 2] = [extend::ASKS, extend::ANSWER];

/// Words that are sent to ask for so many words of rows.
pub(crate) const fn asked(words: usize) -> usize {
    extend::asks(words)
}

/// Transfers in both directions, over one line.
pub struct Transfers {
    /// This cloud has the secrets.
    pub sender: Sender,
    /// This cloud has the bits.
    pub receiver: Receiver,
}

impl Transfers {
    /// Base transfers both ways: two rounds.
    pub fn begin(line: &mut Line, op: Op) -> Result<Self> {
        let context = |sender| Context::new(line.attempt(), sender);
        let [mine, peers] = [context(line.side()), context(line.side().peer())];
        let (begun, asks) = Sender::begin(&mine);
        let theirs = line.swap(op, &asks, asks.len())?;
        let (receiver, answer) =
            Receiver::begin(&peers, &theirs).map_err(|got| line.bad(op, &got))?;
        let theirs = line.swap(op, &answer, answer.len())?;
        let sender = begun.finish(&asks, &theirs).map_err(|got| line.bad(op, &got))?;
        Ok(Self { sender, receiver })
    }

    /// Rows both ways, in one round: those in which this cloud sends, and those in which it
    /// receives.
    pub(crate) fn rows(&mut self, line: &mut Line, op: Op, asks: &Asks) -> Result<[Rows; 2]> {
        let (message, received) = self.receiver.ask(&asks.mine);
        let asked = line.swap(op, &message, extend::asks(asks.theirs))?;
        let sent = self.sender.answer(&asked, asks.theirs);
        Ok([sent.map_err(|got| line.bad(op, &got))?, received])
    }
}

/// What this end asks for does not fit.
fn misfit(op: Op, what: impl Into<String>) -> Error {
    Error::Program { op, what: what.into() }
}
