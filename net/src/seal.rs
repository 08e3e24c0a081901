//! Sealing to one recipient: HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
//! ChaCha20-Poly1305. Every message has its own encapsulation.
//!
//! Anybody can seal; a seal says nothing about its sender. What it is about is in its context,
//! which both sides must have the same, byte for byte.

use crate::error::{Error, Result};
use crate::identity::{read_hex, write_hex};
use crate::random;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::UnwrapErr;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand::rngs::SysRng;
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// Bytes that sealing adds: the encapsulated key and the tag.
pub const OVERHEAD: usize = ENCAPSULATED + 16;

const ENCAPSULATED: usize = 32;

/// The longest context, in bytes as encoded: HPKE's own limit is 64 KiB.
pub const MAX_CONTEXT: usize = 32 << 10;

type Secret = <X25519HkdfSha256 as Kem>::PrivateKey;
type Public = <X25519HkdfSha256 as Kem>::PublicKey;

/// What a sealed message is about. Encoded as `dyad/1`, the label, then name and value of every
/// field in the order given, each with its length (4 bytes, little-endian) before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealContext(Vec<u8>);

impl SealContext {
    /// For this purpose.
    #[must_use]
    pub fn new(label: &'static str) -> Self {
        Self(Vec::new()).push(b"dyad/1").push(label.as_bytes())
    }

    /// With a field.
    #[must_use]
    pub fn with(self, field: &'static str, bytes: impl AsRef<[u8]>) -> Self {
        self.push(field.as_bytes()).push(bytes.as_ref())
    }

    /// As it is bound.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn push(mut self, bytes: &[u8]) -> Self {
        self.0.extend((bytes.len() as u32).to_le_bytes());
        self.0.extend(bytes);
        self
    }
}

/// The key that opens.
pub struct SealSecret(Secret);

impl SealSecret {
    /// A new one.
    pub fn generate() -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        random::fill(seed.as_mut_slice())?;
        Ok(Self(X25519HkdfSha256::derive_keypair(seed.as_slice()).0))
    }

    /// From its bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self> {
        Secret::from_bytes(bytes).map(Self).map_err(|_| Error::Key)
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        self.0.write_exact(bytes.as_mut_slice());
        bytes
    }

    /// The key that others seal to.
    #[must_use]
    pub fn public(&self) -> SealPublic {
        let mut bytes = [0; 32];
        X25519HkdfSha256::sk_to_pk(&self.0).write_exact(&mut bytes);
        SealPublic(bytes)
    }

    /// Opens. Whatever is wrong, the error is the same.
    pub fn open(&self, context: &SealContext, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let (encapsulated, sealed) = sealed.split_at_checked(ENCAPSULATED).ok_or(Error::Sealed)?;
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated)
            .map_err(|_| Error::Sealed)?;
        let info = info(context).ok_or(Error::Sealed)?;
        hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.0,
            &encapsulated,
            info,
        )
        .and_then(|mut opener| opener.open(sealed, &[]))
        .map(Zeroizing::new)
        .map_err(|_| Error::Sealed)
    }
}

impl fmt::Debug for SealSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealSecret(of {})", self.public())
    }
}

/// The key that seals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealPublic(pub [u8; 32]);

impl SealPublic {
    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for SealPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for SealPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealPublic({self})")
    }
}

impl FromStr for SealPublic {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(Self(read_hex("a sealing key", text)?))
    }
}

/// Seals. Fails only for a key that is none, or a context that is too long.
///
/// # Panics
/// When the system's generator fails.
pub fn seal(to: &SealPublic, context: &SealContext, plaintext: &[u8]) -> Result<Vec<u8>> {
    let to = Public::from_bytes(&to.0).map_err(|_| Error::Key)?;
    let info = info(context).ok_or(Error::Key)?;
    let mut random = UnwrapErr(SysRng);
    let (encapsulated, mut sealer) = hpke::setup_sender_with_rng::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(&OpModeS::Base, &to, info, &mut random)
    .map_err(|_| Error::Key)?;
    let sealed = sealer.seal(plaintext, &[]).map_err(|_| Error::Key)?;
    let mut out = Vec::with_capacity(OVERHEAD + plaintext.len());
    out.extend(encapsulated.to_bytes());
    out.extend(sealed);
    Ok(out)
}

/// The context, if it is not too long.
fn info(context: &SealContext) -> Option<&[u8]> {
    (context.0.len() <= MAX_CONTEXT).then_some(&context.0)
}
