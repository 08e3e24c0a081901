//! What a machine, a network and an operator do to services that are processes: disks that are full,
//! lines that are cut or slow, clocks that are wrong, stores of yesterday, commands that are killed.
//! Each ends with an error that says so, or with the very bits of the clear run.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod clocks;
mod commands;
mod common;
mod disks;
mod lines;
mod releases;
mod set_back;
mod stuck;
