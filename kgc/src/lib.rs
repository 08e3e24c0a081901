//! The key generation centre: the one party that all others trust and that none of them may be.
//!
//! - [`init`] makes parameters, master key, certificate authority and the keys it signs with
//! - [`token`] invites a party; with it the party is enrolled: its keys are certified
//! - [`serve`] answers: enrolment for everybody, the registry for those who are enrolled
//!
//! | secret | for | gone |
//! | --- | --- | --- |
//! | master key | C0, sealed, once | when C0 says that it has it |
//! | root of pseudonyms | each study's members, a key derived from it; never a cloud | never |
//! | secret of a job | the dealer; each cloud a seed derived from it | when both clouds end the job |
//! | authority, signing key | nobody | never |
//!
//! What it learns: who takes part in what, jobs' descriptions and how far they are. No data: what
//! clouds send the dealer are credits for further steps. What it could do, if it sided with a cloud:
//! read everything. See the threat model.
//!
//! All that it must not forget is in files and one database, one transaction for each change, so
//! that it may be killed at any time.

#![forbid(unsafe_code)]

mod admin;
mod asked;
mod attempts;
mod config;
mod dealer;
mod demo;
mod enrol;
mod error;
mod hand_over;
mod init;
mod keys;
mod office;
mod parties;
mod rpc;
mod serve;
mod status;
mod studies;
mod tokens;

pub use admin::{revoke, status, token, tokens};
pub use config::{Config, DOCS, Limits};
pub use demo::{BANNER, is_demo};
pub use error::{CAUSE, Cause, Error, Result};
pub use init::{Init, Made, init, is_insecure_demo};
pub use serve::serve;
pub use status::{PartyLine, Status};
pub use tokens::{TokenLine, TokenState};
