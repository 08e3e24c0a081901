//! Two-party computation on additive shares in Z_{2^64}.
//!
//! What stands so far is what the engines will be made of: seeds and the streams drawn from them
//! ([`prg`]), the links over which the two clouds talk ([`link`]), and products of matrices
//! ([`matrix`]).

pub mod link;
pub mod matrix;
pub mod prg;
