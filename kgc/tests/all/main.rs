//! What this crate promises, tested through its public face.
#![allow(missing_docs, clippy::unwrap_used)]

mod attempts;
mod common;
mod enrolment;
mod hand_over;
mod init;
mod killed;
mod lists;
mod studies;
