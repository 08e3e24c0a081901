//! What can go wrong, sorted by whose fault it is.

use crate::{Backend, KeyId, ParamsId};

/// An error of this crate. Errors about a batch name the place in it.
///
/// Where the reason of a refusal would tell an attacker something ([`Error::Undecryptable`],
/// [`Error::BadProof`]) there is one error for all reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Public parameters or a master key that this crate will not work with.
    #[error("unacceptable parameters: {0}; get them anew from the key generation centre")]
    Params(ParamsFault),
    /// Bytes that are not the encoding of what was expected.
    #[error("cannot decode {what}: {fault}; have it sent again")]
    Encoding {
        /// What was being decoded.
        what: &'static str,
        /// What is wrong with the bytes.
        fault: EncodingFault,
    },
    /// Something made under other public parameters.
    #[error(
        "item {index} belongs to parameters {found}, not to {expected}; use those of its study"
    )]
    OtherParams {
        /// Place in the batch.
        index: usize,
        /// Parameters in use.
        expected: ParamsId,
        /// Parameters of the item.
        found: ParamsId,
    },
    /// A ciphertext under another key than the one it was used with.
    #[error("item {index} is under key {found}, not under {expected}; transform it or use its key")]
    OtherKey {
        /// Place in the batch.
        index: usize,
        /// Key in use.
        expected: KeyId,
        /// Key of the item.
        found: KeyId,
    },
    /// A group element that is zero, not below N², or not invertible; a key that hides nothing or
    /// cannot lie in G.
    #[error("item {index} is not a residue modulo N² fit for use; refuse it and its sender")]
    NotAResidue {
        /// Place in the batch.
        index: usize,
    },
    /// Decryption gave nothing. The reason is withheld on purpose.
    #[error("item {index} does not decrypt under this key; refuse it")]
    Undecryptable {
        /// Place in the batch.
        index: usize,
    },
    /// A proof of knowledge that does not hold for this key, study and owner.
    #[error("the proof does not hold for this key, study and owner; have the owner enrol again")]
    BadProof,
    /// A plaintext or scalar outside its range.
    #[error("item {index} is out of range: {limit}")]
    OutOfRange {
        /// Place in the batch.
        index: usize,
        /// The range.
        limit: &'static str,
    },
    /// Batches that should have one length have several.
    #[error("{found} items where {expected} were expected")]
    Length {
        /// Length needed.
        expected: usize,
        /// Length given.
        found: usize,
    },
    /// A backend that this processor has no instructions for.
    #[error("this processor cannot run the backend {0:?}; take one of Backend::available()")]
    Backend(Backend),
    /// A unified key or joint decryption whose members do not fit.
    #[error("members of the unified key: {0}")]
    Members(&'static str),
    /// A slot layout that does not fit a plaintext.
    #[error("packing: {0}")]
    Packing(&'static str),
    /// The search was cancelled by its caller.
    #[error("parameter generation was cancelled; start it again")]
    Cancelled,
    /// The operating system gave no randomness. Nothing was made.
    #[error("the operating system's random generator failed; try again")]
    Randomness,
}

/// Why parameters were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsFault {
    /// N has another length than declared, or a length that is not allowed.
    #[error("N must have exactly 2048, 3072 or 4096 bits, as declared")]
    Size,
    /// N is even.
    #[error("N is even")]
    Even,
    /// N has a small prime factor, is a square, or its factors are p and 2p + 1.
    #[error("N is not a product of two safe primes fit for use")]
    Modulus,
    /// The primes of N are so close to each other that Fermat's method finds them.
    #[error("the primes of N are too close to each other, and who knows N can factor it")]
    ClosePrimes,
    /// g is not a square of large order.
    #[error("g does not generate the group")]
    Generator,
    /// The master key's primes do not belong to N or are not safe primes.
    #[error("the primes of the master key do not fit N")]
    Primes,
}

/// Why bytes were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodingFault {
    /// Another number of bytes than the encoding has.
    #[error("{found} bytes where the encoding has {expected}")]
    Length {
        /// Bytes an encoding of this kind and size has.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The encoding of something else.
    #[error("the bytes encode something else")]
    Kind,
    /// A version this release does not speak.
    #[error("encoding version {found}, this release speaks {expected}")]
    Version {
        /// Version of this release.
        expected: u8,
        /// Version of the bytes.
        found: u8,
    },
    /// A key size that is not allowed, or not that of the parameters in use.
    #[error("a modulus of {0} bits is not allowed here")]
    Size(u16),
    /// A number that is not below its bound.
    #[error("a number is outside its range")]
    Range,
}

/// Shorthand of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
