//! Enrolment and renewal.
//!
//! A token is good for one set of keys: asked again with the same, it gives the same certificate.
//! Requests are compared by what they say; the certificate request's own signature is another each
//! time it is made.

use crate::error::{Cause, Result, refusal, refuse};
use crate::office::Office;
use crate::parties::{self, Party};
use crate::tokens::{self, TokenState};
use dyad_net::authority::Validity;
use dyad_net::identity::{Fingerprint, Identity, Role};
use dyad_net::member::token_id;
use dyad_net::tls::check_address;
use dyad_net::{Error as NetError, Peer};
use dyad_node::store::{StoreError, Tx, sql};
use dyad_protos::wire::kgc::v1::{EnrolReply, EnrolRequest, RenewReply};
use dyad_protos::{Hex, PROTOCOL, digest};
use std::time::Duration;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

/// A certificate that was made this lately is given again instead of a new one: whoever asks had
/// not got the answer.
const JUST_NOW: Duration = Duration::from_mins(10);

/// A certificate request, DER, is never longer.
const REQUEST: usize = 4096;

/// The longest address, a host's longest name and a port.
const ADDRESS: usize = 253 + 6;

/// What a request asks for.
struct Wanted {
    token: [u8; 32],
    key: Fingerprint,
    sign: [u8; 32],
    seal: [u8; 32],
    address: String,
    request: Vec<u8>,
}

impl Wanted {
    fn read(request: EnrolRequest) -> Result<Self> {
        if request.version != PROTOCOL {
            let theirs = request.version;
            let text = format!(
                "this key centre speaks version {PROTOCOL} of the protocol, the party {theirs}: \
                 install the same release on both"
            );
            return refuse(Cause::Version, text);
        }
        let unknown = |_| refusal(Cause::Token, UNKNOWN);
        let Hex(secret) = request.token.parse().map_err(unknown)?;
        let key = key_of(&request.request)?;
        let bytes = |field: &[u8], what| {
            <[u8; 32]>::try_from(field)
                .map_err(|_| refusal(Cause::Message, format!("{what} of {} bytes", field.len())))
        };
        if request.address.len() > ADDRESS || request.address.chars().any(char::is_control) {
            return refuse(Cause::Message, "an address is host:port");
        }
        if !request.address.is_empty() {
            let unreachable = |error: NetError| {
                let text = format!("{error}: set the key `address` to where others reach it");
                refusal(Cause::Message, text)
            };
            check_address(&request.address).map_err(unreachable)?;
        }
        Ok(Self {
            token: token_id(&secret),
            key,
            sign: bytes(&request.sign, "a signing key")?,
            seal: bytes(&request.seal, "a sealing key")?,
            address: request.address,
            request: request.request.to_vec(),
        })
    }

    fn digest(&self) -> [u8; 32] {
        let parts = [&self.key.bytes()[..], &self.sign, &self.seal, self.address.as_bytes()];
        digest("enrolment", &parts)
    }
}

const UNKNOWN: &str = "this token is not known here: ask the key centre's people for one";

/// The key of a certificate request, whose signature is not looked at here.
fn key_of(request: &[u8]) -> Result<Fingerprint> {
    let wrong = |_| refusal(Cause::Request, "the certificate request cannot be read: enrol again");
    if request.len() > REQUEST {
        return refuse(Cause::Request, format!("a certificate request of {} bytes", request.len()));
    }
    let (_, request) = X509CertificationRequest::from_der(request).map_err(wrong)?;
    Ok(Fingerprint::of(request.certification_request_info.subject_pki.raw))
}

/// An authority's refusal of a certificate request.
fn refused(error: NetError) -> crate::Error {
    match error {
        NetError::Request(_) => refusal(Cause::Request, error.to_string()),
        other => other.into(),
    }
}

impl Office {
    /// Certifies whoever has a token.
    pub(crate) async fn enrol(&self, request: EnrolRequest) -> Result<EnrolReply> {
        let wanted = Wanted::read(request)?;
        let (now, asked) = (self.now(), wanted.digest());
        let mut tx = self.db.begin().await?;
        let Some(token) = tokens::find(&mut tx, &wanted.token).await? else {
            return refuse(Cause::Token, UNKNOWN);
        };
        let identity = token.identity.clone();
        if let Some((before, certificate)) = &token.used {
            if *before != asked {
                let text = format!(
                    "this token of {identity} was used before, with other keys: if that was not \
                     you, tell the key centre's people at once; else ask for a new one"
                );
                return refuse(Cause::TokenReplayed, text);
            }
            // Whoever was revoked since does not come back with the old token.
            if parties::by_key(&mut tx, &wanted.key).await?.is_none() {
                let text = format!("{identity} is enrolled no more: ask for a new token");
                return refuse(Cause::Revoked, text);
            }
            return self.welcome(&mut tx, &identity, certificate.clone()).await;
        }
        match token.state(now) {
            TokenState::Open => {}
            TokenState::Expired => {
                let text = format!("the time of this token of {identity} is over: ask for another");
                return refuse(Cause::TokenExpired, text);
            }
            _ => {
                let text = format!("this token of {identity} was taken back: ask for another");
                return refuse(Cause::Token, text);
            }
        }
        if (identity.role == Role::Owner) != wanted.address.is_empty() {
            let text = "a service names the address it is reached by, an owner has none";
            return refuse(Cause::Message, text);
        }
        let party = Party {
            identity: identity.clone(),
            fingerprint: wanted.key,
            sign: wanted.sign,
            seal: wanted.seal,
            address: wanted.address.clone(),
        };
        // Good for what is signed and sealed to, or it would fail others later.
        let seal = dyad_net::seal::SealPublic(party.seal);
        let context = dyad_net::seal::SealContext::new("is this a key?");
        if dyad_net::seal::seal(&seal, &context, &[]).is_err() {
            return refuse(Cause::Request, "this is no sealing key: enrol again with new keys");
        }
        tokens::free(&mut tx, &identity).await?;
        self.place(&mut tx, &party).await?;
        let validity = Validity::lasting(self.config.certificates_last());
        let issued =
            self.keys.authority.issue(&wanted.request, &identity, validity).map_err(refused)?;
        parties::insert_certificate(&mut tx, &party.fingerprint, &issued, now).await?;
        tokens::mark_used(&mut tx, &token.id, &asked, &issued.der, now).await?;
        let who = identity.to_string();
        self.note(&mut tx, &who, "enrol", party.fingerprint.bytes(), &party.address).await?;
        let reply = self.welcome(&mut tx, &identity, issued.der).await?;
        tx.commit().await?;
        tracing::info!(party = %identity, key = %party.fingerprint, "enrolled");
        Ok(reply)
    }

    /// Finds a place for a party among the others: its own, if it comes again with the same keys
    /// because its certificate has ended.
    async fn place(&self, tx: &mut Tx, party: &Party) -> Result<()> {
        let identity = &party.identity;
        if let Some(there) = parties::by_name(tx, identity).await? {
            if (there.fingerprint, there.sign, there.seal)
                != (party.fingerprint, party.sign, party.seal)
            {
                let text = format!(
                    "{identity} is enrolled with other keys: take another name, or have the old \
                     one revoked: kgc revoke {} {}",
                    identity.role, identity.name
                );
                return refuse(Cause::Taken, text);
            }
            sql("UPDATE parties SET address = $1 WHERE fingerprint = $2")
                .bind(&party.address)
                .bind(party.fingerprint.bytes())
                .execute(tx)
                .await?;
            return Ok(());
        }
        let taken = || {
            let text = "one of these keys is, or was, somebody else's: enrol again with new keys";
            refuse(Cause::Taken, text)
        };
        if parties::has_key(tx, party).await? {
            return taken();
        }
        match parties::insert(tx, party, self.now()).await {
            Err(crate::Error::Store(StoreError::Conflict { .. })) => taken(),
            other => other,
        }
    }

    async fn welcome(
        &self,
        tx: &mut Tx,
        identity: &Identity,
        certificate: Vec<u8>,
    ) -> Result<EnrolReply> {
        Ok(EnrolReply {
            certificate: certificate.into(),
            root: self.keys.root.der().to_vec().into(),
            kgc_sign: self.keys.sign.public().0.to_vec().into(),
            params: self.keys.params.to_bytes().into(),
            role: identity.role.to_string(),
            name: identity.name.to_string(),
            services: parties::services(tx).await?,
        })
    }

    /// A certificate for the same party and the same key, with a later end.
    pub(crate) async fn renew(&self, peer: &Peer, request: &[u8]) -> Result<RenewReply> {
        if key_of(request)? != peer.fingerprint {
            let text = "a certificate is renewed for the key it has: for another key enrol again";
            return refuse(Cause::Request, text);
        }
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let party = self.caller(&mut tx, peer).await?;
        let newest = sql("SELECT der, issued FROM certificates \
                          WHERE party = $1 AND revoked IS NULL ORDER BY issued DESC LIMIT 1")
        .bind(party.fingerprint.bytes())
        .optional(&mut tx)
        .await?;
        if let Some(row) = newest {
            let (der, issued): (Vec<u8>, dyad_node::Time) = (row.get("der")?, row.get("issued")?);
            if now.since(issued) < JUST_NOW && now >= issued {
                return Ok(RenewReply { certificate: der.into() });
            }
        }
        let validity = Validity::lasting(self.config.certificates_last());
        let issued =
            self.keys.authority.issue(request, &party.identity, validity).map_err(refused)?;
        parties::insert_certificate(&mut tx, &party.fingerprint, &issued, now).await?;
        let who = party.identity.to_string();
        self.note(&mut tx, &who, "renew", issued.serial.bytes(), "").await?;
        tx.commit().await?;
        Ok(RenewReply { certificate: issued.der.into() })
    }
}
