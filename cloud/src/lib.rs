//! What the two clouds share: intake, ledger, jobs, checkpoints, release.
//!
//! ```text
//! owners ──upload──▶ intake ──▶ align ──▶ inputs ─┐
//! owners ──propose, approve──▶ jobs ──▶ attempt ──▶ run ──▶ release ──▶ owners
//! ```
//!
//! - [`sending`]: what owners send, taken from their lines; [`intake`]: kept sealed as it came; [`align`]: how their rows fit together
//! - [`jobs`]: proposals and approvals; [`trust`]: what is believed, and why
//! - [`run`]: an attempt at a job; [`inputs`]: a cloud's share of the data
//! - [`release`]: the model, given to those whom the job names, who [`compare`] it
//! - [`quota`]: how much one owner may take; [`busy`]: how much at a time; [`tidy`]: what goes when
//!   nobody needs it any more
//! - [`ledger`]: what must not be forgotten

pub mod agree;
pub mod align;
pub mod answer;
pub mod attempt;
pub mod busy;
mod centre;
pub mod codec;
pub mod compare;
pub mod house;
pub mod inputs;
pub mod intake;
pub mod jobs;
pub mod ledger;
pub mod packed;
pub mod page;
pub mod progress;
pub mod quota;
pub mod refusal;
pub mod release;
pub mod run;
pub mod sending;
pub mod serve;
mod service;
pub mod sized;
pub mod tidy;
pub mod trust;
