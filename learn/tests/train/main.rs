//! Trainings on real rows: on shares bit for bit as in the clear, and about as good as in floating
//! point.
#![allow(clippy::unwrap_used)]

mod digits;
mod rows;
