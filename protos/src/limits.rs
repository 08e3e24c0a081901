//! What is refused for its size: the same numbers on both sides.

/// A message of a call that is no stream, in bytes.
pub const MESSAGE: usize = 4 << 20;
/// A message of a stream of chunks or ciphertexts, in bytes.
pub const STREAM_MESSAGE: usize = 8 << 20;
/// A document (study, job, manifest), in bytes.
pub const DOCUMENT: usize = 1 << 20;
/// The version of a release, as a job names it.
pub const RELEASE: usize = 64;
/// Values in one chunk of an upload.
pub const CHUNK_VALUES: usize = 1 << 18;
/// Chunks of an upload that may be of any size. Of more than these each but the last has values
/// enough: [`Mode::least_values`](crate::upload::Mode::least_values).
pub const FREE_CHUNKS: u32 = 64;
/// Members of a study.
pub const MEMBERS: usize = 64;
/// Columns of a study's schema.
pub const COLUMNS: usize = 1 << 16;
/// Encoded features of a row.
pub const WIDTH: usize = 1 << 20;
/// Rows of an upload and of a job.
pub const ROWS: u64 = 1 << 28;
/// Uploads of a job.
pub const UPLOADS: usize = 1 << 10;
/// A pseudonym of a row, in bytes.
pub const PSEUDONYM: usize = 16;
/// What a recipient tells another of its model, sealed, in bytes.
pub const CHECK: usize = 256;
/// Ciphertexts in one message.
pub const CIPHERTEXTS: usize = 1 << 10;
/// Uploads or jobs in a page of a list.
pub const PAGE: usize = 100;
/// Bytes of a page: with the largest single entry it is still a message.
pub const PAGE_BYTES: usize = 2 << 20;
/// Approvals that are taken back in one message: ends of the last ones that an owner has given.
pub const APPROVALS: usize = 256;
/// Words of a share of a model in one message.
pub const SHARE_WORDS: usize = 1 << 16;
/// Parts of a model, or of an owner's answer.
pub const PARTS: u32 = 1 << 16;
