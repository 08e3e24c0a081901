//! What every service is made of: one main, configuration, store, telemetry.
//!
//! - [`service_main`] runs a [`Service`]: arguments, [configuration](config), log, signals, and the
//!   [`admin`] endpoint; it hands over a [`Context`]
//! - [`store`]: the ledger's database and bulk objects
//! - [`audit`]: who did what to which hash, when; [`lease`]: who works on what
//! - [`series`]: the names of all metrics; [`clock`]: time that tests own
//! - [`Advise`], [`Usage`]: errors that say what to do
//!
//! Several services may run in one process: give each a [`Context`] and await its library's serve
//! function; only `service_main` touches what a process has once.

pub mod admin;
pub mod audit;
mod audited;
pub mod clock;
pub mod config;
mod context;
mod health;
pub mod lease;
mod meters;
pub mod series;
mod service;
pub mod store;
mod trouble;
mod witness;

pub use audited::{AuditArgs, audit_command, print_audit};
pub use clock::{Clock, ManualClock, SystemClock, Time};
pub use context::{Context, Serving, Stop};
pub use health::Health;
pub use meters::{LineMeters, Metrics, Waiting};
pub use service::{Service, command_line, service_main, version_line};
pub use trouble::{Advise, Usage, told};
pub use witness::{WRITTEN, Witness};
