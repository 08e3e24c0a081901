//! What the two clouds share: intake, ledger, jobs, checkpoints, release.
//!
//! ```text
//! owners ──upload──▶ intake ──▶ align ──▶ inputs ─┐
//! owners ──propose, approve──▶ jobs ──▶ attempt ──▶ run ──▶ release ──▶ owners
//! ```
//!
//! - [`intake`]: what owners upload, sealed as it came; [`align`]: how their rows fit together
//! - [`jobs`]: proposals and approvals; [`trust`]: what is believed, and why
//! - [`run`]: an attempt at a job; [`inputs`]: a cloud's share of the data
//! - [`release`]: the model, given to those whom the job names
//! - [`quota`]: how much one owner may take; [`busy`]: how much at a time; [`tidy`]: what goes when nobody needs it any more
//! - [`ledger`]: what must not be forgotten

pub mod agree;
pub mod align;
pub mod answer;
pub mod attempt;
pub mod busy;
pub mod codec;
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
pub mod serve;
mod service;
pub mod sized;
pub mod tidy;
pub mod trust;
