//! For tests: the keys of all connections of this process, so that what went over the wire can be
//! read. Not there without the feature `testkit`, and nothing unless a test asks for it.

use crate::identity::Identity;
use rustls::KeyLog;
use std::sync::{Arc, OnceLock};

type Logs = Box<dyn Fn(Option<&Identity>) -> Arc<dyn KeyLog> + Send + Sync>;

static LOGS: OnceLock<Logs> = OnceLock::new();

/// Hands the keys of all new connections of this process to the log of whoever is at this end;
/// nobody is known of one that enrols. Once: the first one stays.
pub fn insecure_log_keys(
    logs: impl Fn(Option<&Identity>) -> Arc<dyn KeyLog> + Send + Sync + 'static,
) {
    drop(LOGS.set(Box::new(logs)));
}

/// Where this party's keys go, if a test asked for them.
pub(super) fn log_of(identity: Option<&Identity>) -> Option<Arc<dyn KeyLog>> {
    LOGS.get().map(|logs| logs(identity))
}
