//! What can go wrong before, beside and in a training.

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The job's description does not hold together: its author's to mend.
    #[error("job, field `{field}`: {what}; {remedy}")]
    Job {
        /// The field, as it is written in the description.
        field: &'static str,
        /// What is wrong with it.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The rows do not fit the job.
    #[error("data: {0}")]
    Data(String),
    /// A checkpoint cannot be used or written.
    #[error(transparent)]
    Checkpoint(#[from] crate::checkpoint::Refused),
    /// The run itself.
    #[error(transparent)]
    Run(#[from] dyad_mpc::Error),
}
