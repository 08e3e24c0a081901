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
//! twice, and two messages under one key give their difference away.

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

use crate::error::{Op, Result};
use crate::line::Line;
use products::Asks;

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
        let (begun, asks) = Sender::begin();
        let theirs = line.swap(op, &asks, asks.len())?;
        let (receiver, answer) = Receiver::begin(&theirs).map_err(|got| line.bad(op, got))?;
        let theirs = line.swap(op, &answer, answer.len())?;
        let sender = begun.finish(&asks, &theirs).map_err(|got| line.bad(op, got))?;
        Ok(Self { sender, receiver })
    }

    /// Rows both ways, in one round: those in which this cloud sends, and those in which it
    /// receives.
    pub(crate) fn rows(&mut self, line: &mut Line, op: Op, asks: &Asks) -> Result<[Rows; 2]> {
        let (message, received) = self.receiver.ask(&asks.mine);
        let asked = line.swap(op, &message, extend::asks(asks.theirs))?;
        Ok([self.sender.answer(&asked, asks.theirs), received])
    }
}
