//! Models trained on additive shares, bit for bit as in the clear.
//!
//! ```text
//! Job --check--> Plan --Training, on any engine--> Model --Rows::measure--> Scores
//! what, how      every scale    step by step                 only what the job opens
//!                and bound
//! ```
//!
//! Multi-layer perceptrons of any depth, and without hidden layers linear and logistic regression:
//! mini-batch descent with momentum, weight decay and a falling rate. The same program runs in the
//! clear, on shares, at the dealer and on shapes; [`plain`] does the same in floating point, and
//! [`compare`](compare::compare) sets them side by side.
//!
//! # An example
//!
//! ```
//! use dyad_learn::{Data, Job, compare::compare};
//! use dyad_mpc::together::Lines;
//!
//! // Is x above one half?
//! let job = Job { epochs: 4, ..Job::logistic(64, 1, 2, 16) };
//! let plan = job.check()?;
//! let features: Vec<i64> = (0..64).map(|i| i << 6).collect();
//! let classes: Vec<u32> = (0..64).map(|i| i / 32).collect();
//! let rows = Data::of_classes(&plan, features, &classes)?;
//! let comparison = compare(&plan, &rows, &rows, Some(Lines::Memory))?;
//! assert!(comparison.same);
//! println!("{comparison}");
//! # Ok::<(), dyad_learn::Error>(())
//! ```
//!
//! # Scales
//!
//! A tensor's scale is its bits behind the point. Weights stay where the product puts them that
//! they are made of: at the scale of their layer's input, plus that of the errors, plus the bits of
//! rate/batch. So a step never cuts weights, and masks them once. For 784-128-128-10, batch 128, a
//! rate of one half (2^-8 a row), pixels at 8 bits, activations and errors at 13:
//!
//! | tensor | bits behind the point |
//! | --- | --- |
//! | weights | 8 + 13 + 8 = 29, then 13 + 13 + 8 = 34 |
//! | sums | 8 + 29 = 37, then 13 + 34 = 47, cut to 13 by the ReLU |
//! | biases | 13 + 8 = 21, raised to the sums' |
//! | errors times weights | 13 + 34 = 47, cut to 13 behind the ReLU's bit |
//! | gradients | 8 + 13 = 21 and 26; 8 bits more by the rate are the weights' |
//!
//! [`Job::check`] holds all of them against 2^62, with the declared ranges; whether values stay in
//! their ranges only a run in the clear can tell, so every job is worth one on rows of the same
//! kind.
//!
//! # What is not promised
//!
//! - Trainings at high rates are chaotic: rounding, in fixed or in floating point, then decides
//!   where they end. On shares they end where the clear run does, always.
//! - Weights that start from a seed are public at the start; [`Start::Dealer`] keeps them from both
//!   clouds.

mod check;
pub mod checkpoint;
pub mod compare;
mod data;
mod error;
mod head;
mod job;
mod metrics;
mod mlp;
mod models;
pub mod plain;
mod plan;
mod public;
mod run;
pub mod signed;
pub mod together;
mod train;

pub use data::{Data, TEST};
pub use error::{Error, Result};
pub use job::{Job, Loss, Metric, Ranges, Rate, Scales, Schedule, Start, VERSION};
pub use metrics::{Area, Rows, Scores};
pub use mlp::{Model, Ready};
pub use plan::Plan;
pub use public::split;
pub use run::Run;
pub use signed::Signed;
pub use train::Training;
