//! What can be wrong with a document or a message.

/// Result of reading one.
pub type Result<T> = std::result::Result<T, Error>;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that is none.
    #[error(
        "`{0}` is no name: small letters, digits and hyphens, at most 40, a letter at the beginning"
    )]
    Name(String),
    /// A role that there is not.
    #[error("`{0}` is no role: kgc, c0, c1 or owner")]
    Role(String),
    /// Not hexadecimal digits, or not as many as there should be.
    #[error("{bytes} bytes in hexadecimal digits are expected, not `{got}`")]
    Hex {
        /// How many bytes.
        bytes: usize,
        /// What is there, the beginning.
        got: String,
    },
    /// No document of this kind.
    #[error("this is no {kind} as this release knows it: {what}")]
    Text {
        /// Study, job, upload.
        kind: &'static str,
        /// What the parser says.
        what: String,
    },
    /// Of another version.
    #[error("the {kind} has version {theirs}; this release reads {ours}")]
    Version {
        /// Study, job, upload.
        kind: &'static str,
        /// Its version.
        theirs: u32,
        /// What is read here.
        ours: u32,
    },
    /// A document that contradicts itself or a limit.
    #[error("{kind}: {what}")]
    Content {
        /// Study, job, upload.
        kind: &'static str,
        /// What is wrong.
        what: String,
    },
    /// A field of a message.
    #[error("message field `{field}`: {what}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong.
        what: &'static str,
    },
}
