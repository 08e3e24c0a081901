//! Released models: fetched, opened together, kept in files, used on own rows.

mod answer;
mod bodies;
mod compare;
mod fetch;
mod file;
mod parts;
mod score;

pub use compare::Compared;
pub use file::{Layer, Model, VERSION};
pub use score::{Prediction, Scored, score, score_table};
