//! The names of everything that is counted. All of them carry the label `service`.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Jobs, by label `state`.
pub const JOBS: &str = "dyad_jobs";
/// Training steps done, by label `kind`.
pub const STEPS: &str = "dyad_steps_total";
/// How long a step took, by label `kind`.
pub const STEP_SECONDS: &str = "dyad_step_seconds";
/// Bytes over lines to other parties, by labels `peer` and `direction` (`sent`, `received`).
pub const BYTES: &str = "dyad_bytes_total";
/// How many things wait for the party of label `party`: c0, c1, kgc (and its dealer), owners.
pub const WAITING_FOR: &str = "dyad_waiting_for";
/// Requests refused, by label `cause`.
pub const REFUSALS: &str = "dyad_refusals_total";
/// Days left to the certificate of label `identity`.
pub const CERTIFICATE_DAYS: &str = "dyad_certificate_days_left";
/// Uploads, by label `state`.
pub const UPLOADS: &str = "dyad_uploads";
/// Bytes of payload uploaded, by label `mode`.
pub const UPLOADED_BYTES: &str = "dyad_uploaded_bytes_total";

/// How often rows of uploads were matched.
pub const MATCHINGS: &str = "dyad_matchings_total";

/// All of them.
pub const ALL: [&str; 10] = [
    JOBS,
    STEPS,
    STEP_SECONDS,
    BYTES,
    WAITING_FOR,
    REFUSALS,
    CERTIFICATE_DAYS,
    UPLOADS,
    UPLOADED_BYTES,
    MATCHINGS,
];

/// Describes them to the recorder in use; [`Metrics::new`](crate::Metrics::new) does it for its
/// own.
pub fn describe() {
    describe_gauge!(JOBS, "Jobs by state.");
    describe_counter!(STEPS, "Training steps done, by kind.");
    describe_histogram!(STEP_SECONDS, Unit::Seconds, "How long a step took, by kind.");
    describe_counter!(BYTES, Unit::Bytes, "Bytes over lines to peers, by direction.");
    describe_gauge!(WAITING_FOR, "How much waits for this party.");
    describe_counter!(REFUSALS, "Requests refused, by cause.");
    describe_gauge!(CERTIFICATE_DAYS, "Days until this certificate expires.");
    describe_gauge!(UPLOADS, "Uploads by state.");
    describe_counter!(UPLOADED_BYTES, Unit::Bytes, "Bytes of payload uploaded, by mode.");
    describe_counter!(MATCHINGS, "How often rows of uploads were matched.");
}
