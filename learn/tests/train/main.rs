//! Trainings on real rows: on shares bit for bit as in the clear, and about as good as in floating
//! point.
//!
//! The digits come with the project. UCI's tables and MNIST are looked for in the folder that
//! `DYAD_DATA` names, else in `../shared/data` beside the project; where they are not there, the
//! tests say so and skip. MNIST takes minutes, so it runs only when asked for:
//!
//! ```text
//! cargo test --release -p dyad-learn --test train -- --ignored --nocapture
//! ```
#![allow(clippy::unwrap_used, clippy::panic)]

mod checkpoints;
mod cipher;
mod digits;
mod killed;
mod metrics;
mod mnist;
mod numbers;
mod pairwise;
mod rows;
mod uci;
#[path = "../../../mpc/tests/common/world.rs"]
mod world;
