//! The harness: one scenario, run in memory, in process over loopback, and as processes; with
//! faults.
//!
//! - [`Services`]: key centre and clouds, in this process ([`dyad_local::World`]) or as processes
//!   of their own ([`Processes`]), which can be killed
//! - [`Line`]: a line to a service, which can be cut, held up, slowed down and tapped
//! - [`transcript`]: what came over tapped lines, decrypted with the keys of the connections
//! - [`scenario`]: owners enrol, upload, approve, watch, fetch; whatever dies meanwhile, the model
//!   at the end has the bits of the clear run
//! - [`faults`]: who dies when, as data; also drawn at random from a seed
//! - [`command`]: the owners' command, given and killed
//! - [`machine`]: disks that are full, clocks that are wrong, stores that are copied
//! - [`endure`]: a scenario through any plan of faults, to the right model, by way of nothing but
//!   refusals that the book knows

pub mod command;
pub mod endure;
pub mod faults;
mod line;
pub mod machine;
mod processes;
pub mod scenario;
mod services;
pub mod transcript;

pub use line::{Heard, Line, Way, Weather};
pub use processes::{Manner, Processes, program};
pub use services::{Services, Tapped};
