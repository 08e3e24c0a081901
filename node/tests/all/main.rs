//! What this crate promises, tested through its public face.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod admin;
mod bulk;
mod config;
mod kill;
mod ledger;
mod service;
mod store;
