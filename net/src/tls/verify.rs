//! A client's check of a server's certificate.

use super::client::{Expect, Who};
use super::state::{RevocationList, roots};
use super::{causes, provider};
use crate::authority::RootCertificate;
use crate::error::{Error, Refused, Result};
use crate::facts::Facts;
use crate::identity::Fingerprint;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};
use std::sync::{Arc, OnceLock};

/// Which root.
#[derive(Debug)]
enum Root {
    /// This one.
    Known(Arc<WebPkiServerVerifier>),
    /// The one with this fingerprint, which the server must send; it is left here.
    Announced(Fingerprint, Arc<OnceLock<RootCertificate>>),
}

/// Verifies the chain, as everybody does, and then whom it names.
#[derive(Debug)]
pub(super) struct Verifier {
    root: Root,
    expect: Expect,
    address: String,
    schemes: rustls::crypto::WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Against a root.
    pub(super) fn new(
        root: &RootCertificate,
        revoked: Option<&RevocationList>,
        expect: Expect,
        address: &str,
    ) -> Result<Self> {
        Ok(Self::of(Root::Known(standard(root, revoked)?), expect, address))
    }

    /// Against a root of which only the fingerprint is known.
    pub(super) fn announced(
        fingerprint: Fingerprint,
        found: Arc<OnceLock<RootCertificate>>,
        expect: Expect,
        address: &str,
    ) -> Self {
        Self::of(Root::Announced(fingerprint, found), expect, address)
    }

    fn of(root: Root, expect: Expect, address: &str) -> Self {
        let schemes = provider().signature_verification_algorithms;
        Self { root, expect, address: address.to_owned(), schemes }
    }

    fn refused(&self, cause: &'static str, found: String, remedy: &'static str) -> Refused {
        Refused {
            cause,
            role: Some(self.expect.role_of()),
            address: self.address.clone(),
            expected: self.expect.to_string(),
            found,
            remedy,
        }
    }

    fn verify(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Refused> {
        let facts = Facts::of(own).map_err(|error| {
            self.refused(
                causes::CERTIFICATE,
                error.to_string(),
                "is this the address of a service of Dyad?",
            )
        })?;
        let standard = match &self.root {
            Root::Known(standard) => standard.clone(),
            Root::Announced(fingerprint, found) => {
                let root = self.announced_root(*fingerprint, others)?;
                let standard = standard(&root, None).map_err(|error| self.broken(&error))?;
                // Only once the chain has been verified is it taken.
                self.chain(&standard, &facts, own, others, now)?;
                drop(found.set(root));
                standard
            }
        };
        self.chain(&standard, &facts, own, others, now)?;
        self.person(&facts)
    }

    fn announced_root(
        &self,
        fingerprint: Fingerprint,
        others: &[CertificateDer<'_>],
    ) -> Result<RootCertificate, Refused> {
        let last = others.last().map_or(&[][..], |last| last);
        if Fingerprint::of(last) != fingerprint {
            let found = format!(
                "a root with the fingerprint {} where {fingerprint} was given",
                Fingerprint::of(last)
            );
            let remedy = "compare the fingerprint with the key centre's people, by telephone";
            return Err(self.refused(causes::AUTHORITY, found, remedy));
        }
        RootCertificate::from_der(last.to_vec()).map_err(|error| self.broken(&error))
    }

    fn broken(&self, error: &Error) -> Refused {
        self.refused(causes::CERTIFICATE, error.to_string(), "ask the key centre")
    }

    /// The chain, times and revocation. The name is the certificate's own; it is compared after.
    fn chain(
        &self,
        standard: &WebPkiServerVerifier,
        facts: &Facts,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Refused> {
        let name = ServerName::try_from(facts.identity.dns_name())
            .map_err(|error| self.broken(&Error::malformed("a DNS name", error)))?;
        let verified = standard.verify_server_cert(own, others, &name, &[], now);
        verified.map(drop).map_err(|error| {
            let (cause, remedy) = meaning(&error);
            self.refused(cause, format!("the certificate of {}: {error}", facts.identity), remedy)
        })
    }

    /// Is it who it should be, with the key it should have?
    fn person(&self, facts: &Facts) -> Result<(), Refused> {
        let found = &facts.identity;
        let address = "is the address right?";
        if found.role != self.expect.role_of() {
            return Err(self.refused(causes::ROLE, found.to_string(), address));
        }
        if let Who::Identity(identity) = &self.expect.who
            && identity != found
        {
            return Err(self.refused(causes::IDENTITY, found.to_string(), address));
        }
        match self.expect.pin {
            Some(pin) if pin != facts.fingerprint => Err(self.refused(
                causes::PIN,
                format!("{found} with the key {}", facts.fingerprint),
                "if its operator confirms a new key, pin that one and agree on the study anew",
            )),
            _ => Ok(()),
        }
    }
}

fn standard(
    root: &RootCertificate,
    revoked: Option<&RevocationList>,
) -> Result<Arc<WebPkiServerVerifier>> {
    let mut builder = WebPkiServerVerifier::builder_with_provider(roots(root)?, provider());
    if let Some(list) = revoked {
        builder = builder.with_crls([list.der()]);
    }
    builder.build().map_err(|error| Error::Certificate(error.to_string()))
}

/// What a failed verification means.
pub(super) fn meaning(error: &rustls::Error) -> (&'static str, &'static str) {
    use CertificateError as Bad;
    match error {
        rustls::Error::NoCertificatesPresented => {
            (causes::NO_CERTIFICATE, "it must enrol, and connect with the certificate")
        }
        rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => (
            causes::EXPIRED,
            "it must be renewed; if it should be good, check the clocks of both machines",
        ),
        rustls::Error::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => {
            (causes::NOT_YET, "check the clocks of both machines")
        }
        rustls::Error::InvalidCertificate(Bad::Revoked) => {
            (causes::REVOKED, "its holder must ask the key centre why, and enrol again")
        }
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => {
            (causes::AUTHORITY, "both ends must be enrolled with the same key centre")
        }
        rustls::Error::InvalidCertificate(_) => (causes::CERTIFICATE, "it must enrol again"),
        _ => (causes::HANDSHAKE, "both ends must run compatible releases of Dyad"),
    }
}

/// The refusal inside an error of the handshake.
pub(super) fn refused_in(error: &std::io::Error) -> Option<Refused> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
            inner.downcast_ref::<Refused>().cloned()
        }
        _ => None,
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, now)
            .map(|()| ServerCertVerified::assertion())
            .map_err(|refused| CertificateError::Other(OtherError(Arc::new(refused))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.schemes)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.schemes)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.supported_schemes()
    }
}
