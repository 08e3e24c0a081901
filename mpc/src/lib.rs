//! Two-party computation on additive shares in Z_{2^64}, with correlated randomness dealt by a
//! third party, exact to the bit.
//!
//! A [`Program`](together::Program) is written once against a [`Session`]; the engine behind it
//! decides what happens: [`Clear`], [`Party`], [`Dealer`], [`Cost`].
//!
//! - [`session`](Session): tensors with shape, scale and bound, and the operations on them
//! - [`engine`]: what engines do for a session, and the engine in the clear
//! - [`cipher`]: the engine of the two clouds without a key centre, on ciphertexts
//! - `party`: the engine of the two clouds; `dealer`: the engine of the key centre; `bits`: the
//!   comparison that truncation, ReLU and the like are made of
//! - [`correlations`]: what the dealer deals, over a link or in a file
//! - `pairwise`: what the dealer deals, made by the two clouds alone; [`transfer`]: the oblivious
//!   transfers it is made of, and comparison of private integers
//! - [`matrix`]: products of matrices; [`prg`]: streams of random words; [`link`]: lines between
//!   parties; [`wire`]: their frames
//! - [`files`]: files that are nobody else's; [`together`]: all three parties in one process

mod bits;
pub mod cipher;
mod contract;
pub mod correlations;
mod cost;
mod dealer;
pub mod engine;
mod error;
pub mod files;
pub mod functions;
mod line;
pub mod link;
pub mod matrix;
mod pairwise;
mod party;
pub mod prg;
mod ring;
mod session;
pub mod tensor;
pub mod together;
pub mod transfer;
pub mod wire;

#[cfg(test)]
mod tests;

pub use cipher::Cipher;
pub use contract::Contract;
pub use cost::{Ciphertexts, Cost, Count, LISTED};
pub use dealer::Dealer;
pub use engine::clear::{Clear, Opened};
pub use error::{Error, Op, Result, Who};
pub use line::Line;
pub use party::{LIMIT, MaskedRows, Party};
pub use session::{Bit, Masked, Of, Rounding, Session, Shared, Shift, Table};
