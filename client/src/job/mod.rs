//! Jobs: what is trained on which uploads, proposed by one owner, approved by all, watched.

mod consent;
mod estimate;
mod propose;
mod status;
mod training;
mod watch;

pub use consent::{Approval, Reviewed, VALID};
pub use estimate::{Estimate, Line, Speed, estimate};
pub use propose::{Described, Finished, Matched, Prepared, Proposal};
pub use status::{State, Status};
pub(crate) use training::signed;
pub use training::{Model, Training};

use crate::error::Result;
use crate::study::Frozen;

/// What a job trains, as all parties derive it from its text.
pub fn plan(job: &dyad_protos::Job, study: &Frozen) -> Result<dyad_learn::Plan> {
    Ok(signed(job, &study.study.draft)?.plan().clone())
}
