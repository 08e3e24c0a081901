//! What a certificate says.

use crate::authority::Serial;
use crate::error::{Error, Result};
use crate::identity::{Fingerprint, Identity};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::time::ASN1Time;

/// What a party's certificate says. Nothing is verified here but its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) identity: Identity,
    /// Of its key.
    pub(crate) fingerprint: Fingerprint,
    pub(crate) serial: Serial,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Facts {
    /// Reads a certificate: one DNS name, and the same name for its subject.
    pub(crate) fn of(der: &[u8]) -> Result<Self> {
        let malformed = |found: &str| Error::malformed("a party's certificate", found);
        let certificate = parse(der)?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| malformed("its names cannot be read"))?
            .ok_or_else(|| malformed("it has no name"))?;
        let [GeneralName::DNSName(name)] = names.value.general_names[..] else {
            return Err(malformed("it must have one DNS name and no other"));
        };
        let mut subjects = certificate.subject().iter_common_name();
        let subject = subjects.next().and_then(|subject| subject.as_str().ok());
        if subject != Some(name) || subjects.next().is_some() {
            return Err(malformed("its subject and its DNS name differ"));
        }
        Ok(Self {
            identity: Identity::from_dns_name(name)?,
            fingerprint: Fingerprint::of(certificate.public_key().raw),
            serial: Serial::from_der(certificate.raw_serial())?,
            not_before: time(certificate.validity().not_before),
            not_after: time(certificate.validity().not_after),
        })
    }
}

/// Parses all of it.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(Error::malformed("a certificate", "bytes after its end")),
        Err(error) => Err(Error::malformed("a certificate", error)),
    }
}

/// A certificate's time. Those before 1970 are 1970.
pub(crate) fn time(time: ASN1Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}
