//! The BCP cryptosystem of Bresson, Catalano and Pointcheval (A Simple Public-Key Cryptosystem with
//! a Double Trapdoor Decryption Mechanism and Its Applications, ASIACRYPT 2003), as Li et al. use
//! it (Securely outsourcing machine learning with multiple users): additively homomorphic, with a
//! key per owner, unified keys that nobody can open alone, and a master key that opens everything.
//!
//! ```text
//! N = pq, p = 2p' + 1, q = 2q' + 1 safe primes;  G = <g> of order N p'q' in Z*_{N²};  public: N, g
//! KeyGen   h = g^sk
//! Enc      (A, B) = (g^r, h^r (1 + mN)),  r random in [1, N²/2)
//! uDec     m = L(B A^{-sk}),  L(u) = (u - 1) / N
//! mDec     m = log B - log A log h / log g mod N
//! ```
//!
//! # An example
//!
//! ```no_run
//! use dyad_bcp::{KeySize, ParaGen, Plaintext, ProofContext, SecretKey};
//!
//! let (params, master) = ParaGen::new(KeySize::default()).run()?;      // key generation centre
//!
//! let secret = SecretKey::generate(&params)?;                          // owner
//! let context = ProofContext { study: b"heart", owner: b"Northside" };
//! let claim = secret.prove(&context)?;
//!
//! let key = claim.verify(&context)?;                                   // everybody
//! let forty = key.encrypt(&Plaintext::from_u64(&params, 40))?;
//! let two = key.encrypt(&Plaintext::from_u64(&params, 2))?;
//! let sum = key.add(&forty, &two)?;
//!
//! assert_eq!(secret.decrypt(&sum)?, Plaintext::from_u64(&params, 42)); // owner
//! let known = master.know(&key)?;                                      // holder of msk
//! assert_eq!(master.decrypt(&known, &sum)?, Plaintext::from_u64(&params, 42));
//! # Ok::<(), dyad_bcp::Error>(())
//! ```
//!
//! Calls on batches (`encrypt_many`, `decrypt_many`, ...) are the interface meant for work: they
//! keep all cores and all vector lanes busy. The single calls are batches of one and cost as much
//! as eight.
//!
//! # Who holds what
//!
//! | party | holds | can |
//! | --- | --- | --- |
//! | key generation centre | [`MasterKey`] until hand-over | read everything, issue keys |
//! | auxiliary cloud C0 | [`MasterKey`] | read every ciphertext it gets to see, under every key |
//! | main cloud C1 | [`PublicKey`]s, [`Ciphertext`]s | add, scale, re-randomise; read nothing |
//! | owner | its [`SecretKey`] | read what is under its own key; give its part of an opening |
//!
//! # What the types say
//!
//! | unchecked | check | checked |
//! | --- | --- | --- |
//! | [`ClaimedKey`] | [`ClaimedKey::verify`]: proof, for this study and owner | [`PublicKey`] |
//! | [`UnprovedKey`] | [`UnprovedKey::assume_certified`]: from a registry | [`PublicKey`] |
//! | [`RawCiphertext`] | [`PublicKey::admit_many`]: key, 0 < A, B < N², units | [`Ciphertext`] |
//! | [`PublicKey`] | [`MasterKey::know`]: h lies in G | [`master::KnownKey`] |
//!
//! A ciphertext remembers its key; using it with another is [`Error::OtherKey`]. Everything encoded
//! is versioned and of fixed length, and a decoder consumes every byte.
//!
//! # What is not promised
//!
//! - **Only IND-CPA.** Ciphertexts are malleable by design. Nothing shows that a plaintext is
//!   well-formed or who encrypted it; seal and sign what is sent.
//! - **The master key opens everything.** Its holder reads any ciphertext under any key, past and
//!   future. Keep ciphertexts from it that it must not read; in Dyad C0 sees nothing but shares and
//!   blinded values.
//! - **No result of a decryption goes back to whoever chose the ciphertext.** The checks here stop
//!   the known ways to factor N with chosen ciphertexts; a decryption oracle still decrypts.
//! - **Partial decryptions are not proved.** A dishonest owner can spoil a joint decryption unseen.
//! - **Constant time** is kept for exponents, plaintexts, primes and table look-ups, on processors
//!   whose integer and IFMA multiplications take the same time for all operands. Moduli's sizes,
//!   batch sizes and declared bounds of scalars show. Parameter generation shows how many
//!   candidates it took, and its sieve shows the primes to whoever shares its cache. `num-bigint`,
//!   which is not constant time, only sees public numbers, but for what a caller gives in it or
//!   asks for in it: [`MasterKey::new`], [`PublicParams::pow_many`], [`Plaintext::from_biguint`]
//!   and [`Plaintext::to_biguint`]. Secrets have `from_bytes` and `to_bytes` for that.
//! - **Wiped memory** means the buffers of this crate, when they are freed: `tests/wiped.rs` keeps
//!   and searches them. Registers, the stack, swapped pages, a [`num_bigint::BigUint`] that a
//!   caller passes in or gets from [`Plaintext::to_biguint`], and vectors of [`packing::Slot`] that
//!   a caller lets grow are not covered.

mod arith;
mod ciphertext;
mod codec;
mod decrypt;
mod encrypt;
mod error;
mod fresh;
mod id;
mod keys;
pub mod master;
pub mod matrix;
pub mod packing;
mod paragen;
mod params;
mod plaintext;
mod primes;
mod proof;
mod random;
#[cfg(test)]
mod ranges;
mod unified;

pub use arith::Backend;
pub use ciphertext::{Ciphertext, Head, RawCiphertext};
pub use error::{EncodingFault, Error, ParamsFault, Result};
pub use fresh::{Fresh, Pool};
pub use id::{KeyId, ParamsId};
pub use keys::{PublicKey, SecretKey, UnprovedKey};
pub use master::MasterKey;
pub use paragen::{ParaGen, Progress};
pub use params::{KeySize, PublicParams};
pub use plaintext::Plaintext;
pub use primes::fermat_many;
pub use proof::{ClaimedKey, ProofContext};
pub use unified::{Partial, UnifiedKey};
