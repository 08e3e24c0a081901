//! What this crate promises, tested through its public face.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;
mod keys;
mod limits;
mod link;
mod tls;
