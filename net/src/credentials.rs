//! A party's own certificate and key.

use crate::authority::{RootCertificate, failed, key_pair};
use crate::error::{Error, Result};
use crate::facts::{self, Facts};
use crate::identity::{Fingerprint, Identity};
use crate::{keyfile, pem};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};
use zeroize::{Zeroize, Zeroizing};

const DAY: Duration = Duration::from_hours(24);

/// A certificate ends soon when so much is left of it, or a third of its whole time if that is less.
pub const SOON: Duration = Duration::from_hours(14 * 24);

/// How long a certificate that ends then is still good, in words.
#[must_use]
pub fn good_for(not_after: SystemTime) -> String {
    not_after.duration_since(SystemTime::now()).map_or_else(
        |_| "expired".to_owned(),
        |left| format!("good for {} days", left.as_secs() / DAY.as_secs()),
    )
}

/// A P-256 key for TLS.
pub struct TlsKey(KeyPair);

impl TlsKey {
    /// A new one.
    pub fn generate() -> Result<Self> {
        Ok(Self(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?))
    }

    /// A certificate request, DER, signed by the key. It names nobody: the authority decides.
    pub fn csr(&self) -> Result<Vec<u8>> {
        let mut params = CertificateParams::new(vec![]).map_err(failed)?;
        params.distinguished_name = DistinguishedName::new();
        Ok(params.serialize_request(&self.0).map_err(failed)?.der().to_vec())
    }

    /// Of its public part.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0.subject_public_key_info())
    }

    /// As PEM: to keep it until the certificate has come.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(512));
        pem::write(&mut out, "PRIVATE KEY", self.0.serialized_der());
        out
    }

    /// What [`to_pem`](Self::to_pem) wrote.
    pub fn from_pem(text: &str) -> Result<Self> {
        let blocks = pem::read("a private key", text)?;
        match (&blocks.certificates[..], &blocks.keys[..]) {
            ([], [key]) => Ok(Self(key_pair(key)?)),
            _ => Err(Error::malformed("a private key", "expected one key alone")),
        }
    }

    /// As PKCS#8.
    pub(crate) fn der(&self) -> &[u8] {
        self.0.serialized_der()
    }
}

impl fmt::Debug for TlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsKey({})", self.fingerprint())
    }
}

impl Drop for TlsKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// How a certificate stands at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It lasts.
    Good,
    /// It ends in so many whole days: renew it.
    Soon(u64),
    /// It has ended.
    Expired,
    /// It has not begun: a clock is wrong.
    NotYet,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => write!(f, "good"),
            Self::Soon(0) => write!(f, "ends within a day: renew it now"),
            Self::Soon(days) => write!(f, "ends in {days} days: renew it"),
            Self::Expired => write!(f, "has expired: renew it, or enrol again"),
            Self::NotYet => write!(f, "is not valid yet: check this machine's clock"),
        }
    }
}

/// A chain of certificates, the party's own first and the root last, and the party's key.
#[derive(Debug)]
pub struct Credentials {
    chain: Vec<Vec<u8>>,
    key: TlsKey,
    facts: Facts,
}

impl Credentials {
    /// Puts them together, if they belong together.
    pub fn new(chain: Vec<Vec<u8>>, key: TlsKey) -> Result<Self> {
        let [own, root] = &chain[..] else {
            return Err(Error::Mismatch(format!(
                "expected a party's certificate and its root, found {} certificates",
                chain.len()
            )));
        };
        let facts = Facts::of(own)?;
        if facts.fingerprint != key.fingerprint() {
            return Err(Error::Mismatch("it is of another key".to_owned()));
        }
        let root = RootCertificate::from_der(root.clone())?;
        let root = facts::parse(root.der())?;
        if facts::parse(own)?.verify_signature(Some(root.public_key())).is_err() {
            return Err(Error::Mismatch("its root has not signed it".to_owned()));
        }
        Ok(Self { chain, key, facts })
    }

    /// A certificate just issued, with its root.
    pub fn issued(der: Vec<u8>, root: &RootCertificate, key: TlsKey) -> Result<Self> {
        Self::new(vec![der, root.der().to_vec()], key)
    }

    /// All of it as PEM.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(4096));
        for certificate in &self.chain {
            pem::write(&mut out, "CERTIFICATE", certificate);
        }
        pem::write(&mut out, "PRIVATE KEY", self.key.der());
        out
    }

    /// What [`to_pem`](Self::to_pem) wrote.
    pub fn from_pem(text: &str) -> Result<Self> {
        let blocks = pem::read("a party's credentials", text)?;
        let [key] = &blocks.keys[..] else {
            return Err(Error::malformed("a party's credentials", "expected one private key"));
        };
        Self::new(blocks.certificates, TlsKey(key_pair(key)?))
    }

    /// Writes a file of mode 0600, whole or not at all.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        keyfile::write_secret(path, self.to_pem().as_bytes())
    }

    /// Reads a file, if nobody else may.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let bytes = keyfile::read_secret(path)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Error::malformed("a party's credentials", "not text"))?;
        Self::from_pem(text)
    }

    /// Who this is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.facts.identity
    }

    /// Of its key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.facts.fingerprint
    }

    /// The certificate's number.
    #[must_use]
    pub fn serial(&self) -> crate::Serial {
        self.facts.serial
    }

    /// Until when the certificate is good.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.facts.not_after
    }

    /// How it stands.
    #[must_use]
    pub fn check_time(&self, now: SystemTime) -> Standing {
        let Facts { not_before, not_after, .. } = self.facts;
        if now < not_before {
            return Standing::NotYet;
        }
        match not_after.duration_since(now) {
            Err(_) => Standing::Expired,
            Ok(left) => {
                let whole = not_after.duration_since(not_before).unwrap_or_default();
                if left < SOON.min(whole / 3) {
                    Standing::Soon(left.as_secs() / DAY.as_secs())
                } else {
                    Standing::Good
                }
            }
        }
    }

    /// The certificates: one's own, and the root.
    #[must_use]
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// The key: to renew the certificate with.
    #[must_use]
    pub fn key(&self) -> &TlsKey {
        &self.key
    }

    pub(crate) fn root(&self) -> &[u8] {
        self.chain.last().map_or(&[], Vec::as_slice)
    }
}
