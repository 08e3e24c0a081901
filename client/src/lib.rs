//! The owners' library: enrol, share, upload, approve, fetch.
//!
//! ```text
//! Client::enrol ── create_study, join_study ── upload ── prepare, propose ── review, approve
//!               ── watch (answer) ── fetch ── model::score
//! ```
//!
//! What an owner's program believes: nothing but what it has checked. The key centre's signature on
//! a frozen study, and from then on the keys that stand in it; the clouds' signatures on receipts
//! and releases; on jobs nobody's word, but its own look at both clouds' answers.
//!
//! Every call can be repeated, and a repeat does nothing twice: what must be the same again (keys,
//! claims, chunks) is stored in the home folder before it is sent.
#![forbid(unsafe_code)]
// Futures warn by themselves.
#![allow(clippy::must_use_candidate)]

mod backup;
mod client;
mod error;
mod home;
pub mod job;
pub mod model;
pub mod study;
pub mod upload;

pub use backup::{backup, restore};
pub use client::{Access, Client, PATIENCE};
pub use error::{Doing, Error, Result};
pub use home::Home;
