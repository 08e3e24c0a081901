//! All parties in one process: what `dyad-local` runs, and what tests start from.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod twin;
mod world;

pub use world::{Parameters, Place, World};
