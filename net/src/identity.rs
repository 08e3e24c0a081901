//! Who somebody is.
//!
//! An identity is a role and a name. The key centre's authority puts it into a certificate as its
//! only DNS name, `<name>.<role>.dyad.internal`, so that it is verified like any server's name and
//! no host names are needed.

use crate::error::{Error, Result};
pub use dyad_protos::{Name, Role};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// The end of every identity's DNS name. Nobody can own it: `internal` is reserved.
const DOMAIN: &str = ".dyad.internal";

/// A party.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// What it is.
    pub role: Role,
    /// Which of them.
    pub name: Name,
}

impl Identity {
    /// A party.
    #[must_use]
    pub fn new(role: Role, name: Name) -> Self {
        Self { role, name }
    }

    /// The only DNS name in its certificate.
    #[must_use]
    pub fn dns_name(&self) -> String {
        format!("{}.{}{DOMAIN}", self.name, self.role)
    }

    /// The identity a certificate's DNS name stands for.
    pub fn from_dns_name(text: &str) -> Result<Self> {
        let malformed = || Error::malformed("an identity's DNS name", format!("{text:?}"));
        let (name, role) = text
            .strip_suffix(DOMAIN)
            .and_then(|rest| rest.split_once('.'))
            .ok_or_else(malformed)?;
        Ok(Self { role: role.parse()?, name: name.parse()? })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.name)
    }
}

impl FromStr for Identity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (role, name) = text
            .split_once(' ')
            .ok_or_else(|| Error::malformed("an identity", "expected a role and a name"))?;
        Ok(Self { role: role.parse()?, name: name.parse()? })
    }
}

/// SHA-256 of a key's `SubjectPublicKeyInfo`, which outlives the certificates made for the key. Of a
/// root certificate: of all of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of some DER.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(Self(read_hex("a fingerprint", text)?))
    }
}

/// Bytes as hex digits.
pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Hex digits, of either case, as just so many bytes.
pub(crate) fn read_hex<const N: usize>(what: &'static str, text: &str) -> Result<[u8; N]> {
    let malformed = || Error::malformed(what, format!("expected {} hex digits", 2 * N));
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(malformed());
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let digit = char::from(*digit).to_digit(16).ok_or_else(malformed)?;
            *byte = (*byte << 4) | digit as u8;
        }
    }
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for fine in ["a", "north", "site-7", "a0", &"a".repeat(40)] {
            assert_eq!(fine.parse::<Name>().unwrap().to_string(), fine);
        }
        for bad in ["", "7a", "-a", "a-", "North", "a_b", "a.b", "ä", " a", &"a".repeat(41)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn identities() {
        let north: Identity = "owner north".parse().unwrap();
        assert_eq!(north.to_string(), "owner north");
        assert_eq!(north.dns_name(), "north.owner.dyad.internal");
        assert_eq!(Identity::from_dns_name(&north.dns_name()).unwrap(), north);
        for bad in [
            "north.owner.dyad.internal.",
            "owner.dyad.internal",
            "a.b.owner.dyad.internal",
            "",
            "*",
        ] {
            assert!(Identity::from_dns_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn fingerprints() {
        let one = Fingerprint::of(b"x");
        assert_eq!(one.to_string().parse::<Fingerprint>().unwrap(), one);
        assert_eq!(one.to_string().to_uppercase().parse::<Fingerprint>().unwrap(), one);
        assert!("00".parse::<Fingerprint>().is_err());
        assert!("g0".repeat(32).parse::<Fingerprint>().is_err());
    }
}
