//! The BCP cryptosystem of Bresson, Catalano and Pointcheval (A Simple Public-Key Cryptosystem with a Double Trapdoor Decryption
//! Mechanism and Its Applications, ASIACRYPT 2003), as used by Li et al. (Securely outsourcing machine learning with
//! multiple users): additively homomorphic, with a key per owner, unified keys, and a master key that opens them all.

mod arith;
mod ciphertext;
mod codec;
mod decrypt;
mod encrypt;
mod error;
mod keys;
pub mod master;
pub mod packing;
mod paragen;
mod params;
mod plaintext;
mod primes;
mod proof;
mod random;
mod unified;

pub use arith::Backend;
pub use ciphertext::{Ciphertext, Head, RawCiphertext};
pub use error::{EncodingFault, Error, ParamsFault, Result};
pub use keys::{KeyId, PublicKey, SecretKey, UnprovedKey};
pub use master::MasterKey;
pub use paragen::{ParaGen, Progress};
pub use params::{KeySize, ParamsId, PublicParams};
pub use plaintext::Plaintext;
pub use proof::{ClaimedKey, ProofContext};
pub use unified::{Partial, UnifiedKey};
