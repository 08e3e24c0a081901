//! Two-party computation on additive shares in Z_{2^64}.
//!
//! What stands so far is what the engines will be made of: seeds and the streams drawn from them
//! ([`prg`]), and the links over which the two clouds talk ([`link`]).

mod bits;
pub mod correlations;
mod cost;
mod dealer;
pub mod engine;
mod error;
pub mod functions;
pub mod link;
pub mod matrix;
mod party;
pub mod prg;
mod session;
pub mod tensor;
pub mod together;
pub mod wire;

pub use cost::{Cost, Count};
pub use dealer::Dealer;
pub use engine::clear::{Clear, Opened};
pub use error::{Error, Op, Result, Who};
pub use party::{Contract, LIMIT, MaskedRows, Party};
pub use session::{Bit, Masked, Of, Rounding, Session, Shared, Shift, Table};
