//! Models trained on additive shares, bit for bit as in the clear.

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
mod public;
mod run;
pub mod together;
mod train;

pub use check::Plan;
pub use data::{Data, TEST};
pub use error::{Error, Result};
pub use job::{Job, Loss, Metric, Ranges, Rate, Scales, Schedule, Start, VERSION};
pub use metrics::{Area, Rows, Scores};
pub use mlp::{Model, Ready};
pub use run::Run;
pub use train::Training;
