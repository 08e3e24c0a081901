//! The engine of the paper: between operations every value is a BCP ciphertext under the unified key
//! at the main cloud, C1. The auxiliary cloud, C0, holds the key that opens everything, is shown
//! nothing but blinded values, and keeps nothing beyond what is masked.
//!
//! Li et al., "Securely outsourcing machine learning with multiple users", section 4.1. Where the paper
//! does not say how (ReLU, and whatever is not linear), transfers compare and gate; no key centre is
//! needed while it runs.
//!
//! ```text
//! mask       C1 sends [X + 2^b + R], packed; C0 opens it                           half a round
//! product    [XY] = Enc_0(X~ Y~) + Enc_0(-X~) S + R Enc_0(-Y~) + R S               half a round
//! act        mask, comparisons and gates by transfers, C0 encrypts its part        see [`act`]
//! input      ring shares x_0 + x_1 by one comparison, which tells whether they wrap:
//!            x + 2^63 = x_0' + x_1 - 2^64 [x_0' + x_1 >= 2^64], x_0' = x_0 + 2^63
//!            ciphertexts by one opening, which makes ring shares of them
//! ```
//!
//! Who learns what: C0 sees x + 2^b + R for |x| <= 2^b and R uniform of b + 1 + 80 bits or more:
//! within 2^-80 of the same for every x; what it sees of values beyond their bound, `range` says.
//! Every ciphertext that C1 sends has been multiplied by a fresh encryption of zero, whose exponent
//! is drawn from [1, N²/2): otherwise C0, who can take logarithms, would read blinds off it. C1
//! sees ciphertexts and, from transfers, uniform words. Semi-honest, and as long as the clouds do
//! not side with each other.
//!
//! Exact: plaintexts are the integers of the clear engine, so every bit is that of
//! [`Clear`](crate::Clear). (Two uniform shares modulo 2^256 of a number of 64 bits sum to 2^256 more
//! than it but with probability 2^-190; that is the one thing that could be wrong.)
//!
//! - `secret`: tensors of ciphertexts; `veil`: masked ones; `int`: integers of a few words
//! - `cost`: bytes as formulas; `count`: a whole program by them
//! - `range`: values that leave their bounds; `intake`: uploaded ciphertexts
//! - `keep`: what outlives a run: checkpoints, the released model
//! - `moves`: what is said; `product`, `act`: what is made of it; `engine`: the trait

mod act;
mod cost;
mod count;
mod engine;
mod int;
mod intake;
mod keep;
mod moves;
mod product;
mod range;
mod secret;
mod veil;

pub use cost::{Bytes, Costs};
pub use count::Counting;
pub use keep::{Kept, Release};
pub use secret::Secret;
pub use veil::{Table as CipherRows, Veil};

use crate::contract::Contract;
use crate::error::{Error, Op, Result};
use crate::line::Line;
use crate::link::{Link, Traffic};
use crate::prg::{Attempt, Party as Side};
use crate::tensor::Meta;
use crate::transfer::Transfers;
use dyad_bcp::{Ciphertext, Fresh, Plaintext, Pool, PublicKey};
use range::MOST_BLINDED;
use secret::{Ground, VALUE_BITS};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What C0 can do and nobody else. It is handed in: who may hold a master key is not this crate's
/// business.
pub trait Opener: Send {
    /// Opens ciphertexts under the unified key; refuses what does not lie in the group.
    fn open(&self, ciphertexts: &[Ciphertext]) -> dyad_bcp::Result<Vec<Plaintext>>;
    /// Randomness for so many encryptions under the unified key.
    fn fresh(&self, count: usize) -> dyad_bcp::Result<Vec<Fresh>>;
}

/// An input of a run.
enum Given {
    /// A cloud's share, modulo 2^64.
    Share(Vec<u64>),
    /// At C1, a ciphertext for each entry; at C0 nothing, but that it is so.
    Ciphertexts(Vec<Ciphertext>),
    /// As an earlier attempt kept it.
    Kept(Kept),
}

/// One of the two clouds.
pub struct Cipher {
    ground: Arc<Ground>,
    line: Line,
    transfers: Option<Transfers>,
    /// C0's.
    opener: Option<Box<dyn Opener>>,
    pool: Pool,
    /// Values blinded so far, in earlier attempts too.
    blinded: u64,
    inputs: HashMap<String, (Meta, Given)>,
}

/// |z| <= 2^this for all values of a tensor: beyond 2^63 no run goes.
fn bound_of(meta: Meta) -> u8 {
    meta.bound.min(VALUE_BITS as u8)
}

impl Cipher {
    /// C0, which opens.
    pub fn zero(
        key: &PublicKey,
        attempt: &Attempt,
        link: Box<dyn Link>,
        opener: Box<dyn Opener>,
    ) -> Result<Self> {
        Self::new(Side::Zero, key, attempt, link, Some(opener))
    }

    /// C1, which holds the ciphertexts.
    pub fn one(key: &PublicKey, attempt: &Attempt, link: Box<dyn Link>) -> Result<Self> {
        Self::new(Side::One, key, attempt, link, None)
    }

    fn new(
        side: Side,
        key: &PublicKey,
        attempt: &Attempt,
        link: Box<dyn Link>,
        opener: Option<Box<dyn Opener>>,
    ) -> Result<Self> {
        let ground = Ground::new(key, side == Side::One);
        if ground.slots == 0 {
            let source = dyad_bcp::Error::Packing("a blinded value needs a modulus of 147 bits");
            return Err(Error::Ciphertexts { op: BEFORE, source });
        }
        Ok(Self {
            ground: Arc::new(ground),
            line: Line::new(side, attempt, link),
            transfers: None,
            opener,
            pool: Pool::new(key),
            blinded: 0,
            inputs: HashMap::new(),
        })
    }

    /// Waits for the other at most this long at a time.
    #[must_use]
    pub fn waiting(mut self, limit: Duration) -> Self {
        self.line = self.line.waiting(limit);
        self
    }

    /// Goes on counting from what earlier attempts at the job blinded: each blind gives away at most
    /// 2^-80, and 2^40 of them are all that may be spent on one job's values.
    #[must_use]
    pub fn having_blinded(mut self, values: u64) -> Self {
        self.blinded = values;
        self
    }

    /// How many values have been blinded, with those of earlier attempts.
    #[must_use]
    pub const fn blinded(&self) -> u64 {
        self.blinded
    }

    /// Takes so many more blinds, if there are so many left.
    fn blind(&mut self, op: Op, values: usize) -> Result<()> {
        let after = self.blinded.saturating_add(values as u64);
        if after > MOST_BLINDED {
            let (who, blinded) = (self.line.who().clone(), self.blinded);
            return Err(Error::Blinds { who, op, blinded, more: values as u64 });
        }
        self.blinded = after;
        Ok(())
    }

    /// Gives this cloud's share of an input.
    pub fn give(&mut self, name: &str, meta: Meta, share: Vec<u64>) {
        self.inputs.insert(name.to_owned(), (meta, Given::Share(share)));
    }

    /// Gives an input that was uploaded encrypted: at C1 a ciphertext under the unified key for each
    /// entry, at C0 none.
    pub fn give_encrypted(&mut self, name: &str, meta: Meta, ciphertexts: Vec<Ciphertext>) {
        self.inputs.insert(name.to_owned(), (meta, Given::Ciphertexts(ciphertexts)));
    }

    /// Makes randomness for so many ciphertexts in advance.
    pub fn stock(&mut self, count: usize) -> Result<()> {
        let missing = count.saturating_sub(self.pool.len());
        let fresh = self.made(missing).map_err(Self::failed(BEFORE))?;
        self.pool.put(fresh).map_err(Self::failed(BEFORE))
    }

    /// What went over the link to the other cloud.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.line.traffic()
    }

    /// Compares version, engine, job, attempt, program and unified key with the other cloud. A
    /// contract that names a dealer's seeds is refused: nothing is dealt here.
    pub fn greet(&mut self, contract: &Contract) -> Result<()> {
        contract.check_pairwise(self.line.who())?;
        self.line.greet_on_ciphertexts(contract)?;
        let id = self.ground.key.id();
        let ours = crate::wire::all_words(id.as_bytes());
        let theirs = self.line.swap(BEFORE, &ours, ours.len())?;
        if theirs == ours {
            return Ok(());
        }
        let hex = |words: &[u64]| format!("{:016x}", words.first().map_or(0, |w| w.swap_bytes()));
        Err(Error::Different {
            who: self.line.who().clone(),
            step: 0,
            peer: self.line.peer(),
            what: "their unified keys differ: both take that of the study's owners",
            theirs: hex(&theirs).into(),
            ours: hex(&ours).into(),
        })
    }

    fn opener(&self) -> Result<&dyn Opener> {
        self.opener.as_deref().ok_or_else(|| unreachable!("C0 opens"))
    }

    fn made(&self, count: usize) -> dyad_bcp::Result<Vec<Fresh>> {
        match &self.opener {
            Some(opener) => opener.fresh(count),
            None => self.ground.key.fresh_many(count),
        }
    }

    /// Randomness from the store, and what is missing there made now.
    fn fresh(&mut self, op: Op, count: usize) -> Result<Vec<Fresh>> {
        let missing = count.saturating_sub(self.pool.len());
        let made = self.made(missing).map_err(Self::failed(op))?;
        self.pool.put(made).map_err(Self::failed(op))?;
        self.pool.take(count).map_err(Self::failed(op))
    }
}

const BEFORE: Op = Op { step: 0, number: 0, name: "beginning" };
