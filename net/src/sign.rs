//! Ed25519 signatures over `dyad/1/sign`, a label and a message, the first two each with its length
//! (4 bytes, little-endian) before it. A signature under one label is none under another.

use crate::error::{Error, Result};
use crate::identity::{read_hex, write_hex};
use crate::random;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// What is signed.
fn canonical(label: &'static str, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + label.len() + message.len());
    for part in [b"dyad/1/sign", label.as_bytes()] {
        out.extend((part.len() as u32).to_le_bytes());
        out.extend(part);
    }
    out.extend(message);
    out
}

/// The key that signs. It is wiped when dropped.
pub struct SignSecret(SigningKey);

impl SignSecret {
    /// A new one.
    pub fn generate() -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        random::fill(seed.as_mut_slice())?;
        Ok(Self::from_bytes(&seed))
    }

    /// From its bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The key that verifies.
    #[must_use]
    pub fn public(&self) -> SignPublic {
        SignPublic(self.0.verifying_key().to_bytes())
    }

    /// Signs.
    #[must_use]
    pub fn sign(&self, label: &'static str, message: &[u8]) -> Signature {
        Signature(self.0.sign(&canonical(label, message)).to_bytes())
    }
}

impl fmt::Debug for SignSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignSecret(of {})", self.public())
    }
}

/// The key that verifies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignPublic(pub [u8; 32]);

impl SignPublic {
    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Verifies, strictly: no small-order keys, one form of each signature alone.
    pub fn verify(&self, label: &'static str, message: &[u8], signature: &Signature) -> Result<()> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| Error::Signature)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(&canonical(label, message), &signature).map_err(|_| Error::Signature)
    }
}

impl fmt::Display for SignPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for SignPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignPublic({self})")
    }
}

impl FromStr for SignPublic {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(Self(read_hex("a signing key", text)?))
    }
}

/// A signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl FromStr for Signature {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(Self(read_hex("a signature", text)?))
    }
}
