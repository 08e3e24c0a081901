//! The key centre's certificate authority.
//!
//! Whoever calls [`Authority::issue`] decides on the identity; the request supplies a public key
//! and the proof that its sender has the private one, and nothing else.

use crate::error::{Error, Result};
use crate::facts::{self, Facts};
use crate::identity::{Fingerprint, Identity, Name, read_hex, write_hex};
use crate::{pem, random};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams,
    CertificateSigningRequestParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, RevokedCertParams,
    SanType, SerialNumber,
};
use rustls::pki_types::{CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};
use zeroize::{Zeroize, Zeroizing};

const DAY: Duration = Duration::from_hours(24);

/// How long a root certificate lasts.
const ROOT_DAYS: u64 = 20 * 365;

/// How far a peer's clock may be behind the authority's when it first sees a certificate.
const SKEW: Duration = Duration::from_mins(5);

/// From when until when a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From.
    pub not_before: SystemTime,
    /// Until.
    pub not_after: SystemTime,
}

impl Validity {
    /// From now, or a little before for clocks that are behind, for so many days.
    #[must_use]
    pub fn days(days: u64) -> Self {
        Self::lasting(DAY * u32::try_from(days).unwrap_or(u32::MAX))
    }

    /// From now, or a little before for clocks that are behind, for so long.
    #[must_use]
    pub fn lasting(time: Duration) -> Self {
        let now = SystemTime::now();
        Self { not_before: now - SKEW, not_after: now + time }
    }
}

/// A certificate's serial number: 16 random bytes, the first bit clear and the next set, so that it
/// has the same length in every encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial([u8; 16]);

impl Serial {
    fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        random::fill(&mut bytes)?;
        bytes[0] = (bytes[0] & 0x3f) | 0x40;
        Ok(Self(bytes))
    }

    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(crate) fn from_der(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map(Self).map_err(|_| {
            Error::malformed("a serial number", format!("{} bytes instead of 16", bytes.len()))
        })
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl FromStr for Serial {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(Self(read_hex("a serial number", text)?))
    }
}

/// The certificate that all others are verified against.
#[derive(Clone, PartialEq, Eq)]
pub struct RootCertificate(Vec<u8>);

impl RootCertificate {
    /// Checks that it is a certificate of an authority, signed by itself.
    pub fn from_der(der: Vec<u8>) -> Result<Self> {
        let root = facts::parse(&der)?;
        let authority = root.basic_constraints().ok().flatten().is_some_and(|basic| basic.value.ca);
        if !authority || root.verify_signature(None).is_err() {
            return Err(Error::malformed("a root certificate", "not one signed by itself"));
        }
        Ok(Self(der))
    }

    /// From PEM.
    pub fn from_pem(text: &str) -> Result<Self> {
        let blocks = pem::read("a root certificate", text)?;
        match (<[Vec<u8>; 1]>::try_from(blocks.certificates), &blocks.keys[..]) {
            (Ok([der]), []) => Self::from_der(der),
            _ => Err(Error::malformed("a root certificate", "expected one certificate alone")),
        }
    }

    /// As PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let mut out = String::new();
        pem::write(&mut out, "CERTIFICATE", &self.0);
        out
    }

    /// As DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// SHA-256 of the certificate: what people compare before they enrol.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }

    /// Until when it is good.
    pub fn not_after(&self) -> Result<SystemTime> {
        Ok(facts::time(facts::parse(&self.0)?.validity().not_after))
    }
}

impl fmt::Debug for RootCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootCertificate({})", self.fingerprint())
    }
}

/// A certificate just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub der: Vec<u8>,
    /// Its number: what it is revoked by.
    pub serial: Serial,
    /// Until when it is good.
    pub not_after: SystemTime,
}

/// The authority's own key and certificate.
pub struct Authority {
    key: KeyPair,
    root: RootCertificate,
}

impl Authority {
    /// A new one.
    pub fn create(name: &Name) -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let Validity { not_before, not_after } = Validity::days(ROOT_DAYS);
        let mut params = blank(not_before, not_after)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, format!("{name} authority of Dyad"));
        let root = params.self_signed(&key).map_err(failed)?;
        Ok(Self { key, root: RootCertificate::from_der(root.der().to_vec())? })
    }

    /// Certificate and secret key, as PEM.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut out = Zeroizing::new(self.root.to_pem());
        pem::write(&mut out, "PRIVATE KEY", self.key.serialized_der());
        out
    }

    /// What [`to_pem`](Self::to_pem) wrote.
    pub fn from_pem(text: &str) -> Result<Self> {
        let malformed = |found: &str| Error::malformed("an authority's key file", found);
        let blocks = pem::read("an authority's key file", text)?;
        let (Ok([der]), [key]) = (<[Vec<u8>; 1]>::try_from(blocks.certificates), &blocks.keys[..])
        else {
            return Err(malformed("expected one certificate and one private key"));
        };
        let key = key_pair(key)?;
        let root = RootCertificate::from_der(der)?;
        if facts::parse(root.der())?.public_key().subject_public_key.data != key.public_key_raw() {
            return Err(malformed("its certificate is of another key"));
        }
        Ok(Self { key, root })
    }

    /// Its certificate.
    #[must_use]
    pub fn root(&self) -> RootCertificate {
        self.root.clone()
    }

    /// A certificate for the key of a request, under an identity of the caller's choice.
    pub fn issue(&self, csr_der: &[u8], identity: &Identity, validity: Validity) -> Result<Issued> {
        let csr = CertificateSigningRequestDer::from(csr_der);
        let request = CertificateSigningRequestParams::from_der(&csr)
            .map_err(|error| Error::Request(error.to_string()))?;
        if *request.public_key.algorithm() != PKCS_ECDSA_P256_SHA256 {
            return Err(Error::Request("its key is not of the curve P-256".to_owned()));
        }
        let serial = Serial::random()?;
        let name = identity.dns_name();
        let mut params = blank(validity.not_before, validity.not_after)?;
        params.serial_number = Some(SerialNumber::from_slice(serial.bytes()));
        params.distinguished_name.push(DnType::CommonName, name.as_str());
        let name = name.as_str().try_into().map_err(failed)?;
        params.subject_alt_names = vec![SanType::DnsName(name)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let issued = params.signed_by(&request.public_key, &self.issuer()?).map_err(failed)?;
        let der = issued.der().to_vec();
        let Facts { not_after, .. } = Facts::of(&der)?;
        Ok(Issued { der, serial, not_after })
    }

    /// A revocation list. Its number must rise from list to list: parties refuse an older one.
    pub fn crl(
        &self,
        revoked: &[(Serial, SystemTime)],
        number: u64,
        valid_for: Duration,
    ) -> Result<Vec<u8>> {
        let now = SystemTime::now();
        let revoked = revoked.iter().map(|(serial, when)| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial.bytes()),
            revocation_time: (*when).into(),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: (now - SKEW).into(),
            next_update: (now + valid_for).into(),
            crl_number: SerialNumber::from_slice(&positive(number)),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer()?).map_err(failed)?;
        Ok(list.der().to_vec())
    }

    fn issuer(&self) -> Result<Issuer<'static, &KeyPair>> {
        Issuer::from_ca_cert_der(&self.root.der().into(), &self.key).map_err(failed)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// Parameters with times and nothing else.
fn blank(not_before: SystemTime, not_after: SystemTime) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(vec![]).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    params.not_before = not_before.into();
    params.not_after = not_after.into();
    params.serial_number = Some(SerialNumber::from_slice(Serial::random()?.bytes()));
    Ok(params)
}

/// A number as the bytes of an ASN.1 integer that is not negative.
fn positive(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
    let sign = if bytes[start] >= 0x80 { &[0][..] } else { &[] };
    [sign, &bytes[start..]].concat()
}

/// A P-256 key from PKCS#8.
pub(crate) fn key_pair(der: &Zeroizing<Vec<u8>>) -> Result<KeyPair> {
    let der = PrivatePkcs8KeyDer::from(der.as_slice());
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)
        .map_err(|_| Error::malformed("a private key", "expected PKCS#8 of the curve P-256"))
}

#[allow(clippy::needless_pass_by_value)] // What map_err wants.
pub(crate) fn failed(error: rcgen::Error) -> Error {
    Error::Certificate(error.to_string())
}
