//! A party that the key centre has enrolled: its keys, its certificate, what it knows of the
//! others.
//!
//! Keys are made and stored before they are shown to anybody, so that enrolling can be repeated:
//! the same token with the same keys gives the same answer. A token is trusted because whoever
//! hands it over is; it names the root certificate, so nothing else need be configured.

use crate::authority::RootCertificate;
use crate::credentials::{Credentials, TlsKey};
use crate::error::{Error, Result};
use crate::identity::{Fingerprint, Identity, Name, Role};
use crate::keyfile::{read_locked, write_locked, write_secret};
use crate::retry;
use crate::seal::SealSecret;
use crate::sign::{SignPublic, SignSecret};
use crate::tls::{Expect, RevocationList, Tls, anonymous_channel};
use base64ct::{Base64UrlUnpadded, Encoding};
use dyad_protos::limits::MESSAGE;
use dyad_protos::wire::kgc::v1::enrolment_client::EnrolmentClient;
use dyad_protos::wire::kgc::v1::registry_client::RegistryClient;
use dyad_protos::wire::kgc::v1::{
    EnrolReply, EnrolRequest, RenewRequest, RevocationsRequest, Service as WireService,
};
use dyad_protos::{Hex, PROTOCOL, digest};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use tonic::transport::Channel;
use zeroize::Zeroizing;

/// What a token begins with, as text.
const TOKEN: &str = "dyad1-";

/// The right to be enrolled once.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The key centre, host:port.
    pub address: String,
    /// Its name.
    pub kgc: Name,
    /// Of its root certificate.
    pub root: Fingerprint,
    secret: Zeroizing<[u8; 32]>,
}

impl Token {
    /// Draws one.
    pub fn new(address: &str, kgc: Name, root: Fingerprint) -> Result<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        crate::random::fill(&mut secret[..])?;
        Ok(Self { address: address.to_owned(), kgc, root, secret })
    }

    /// What the key centre knows it by.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        token_id(&self.secret)
    }

    /// What is shown to the key centre, over a connection that was checked.
    #[must_use]
    pub fn secret(&self) -> Zeroizing<String> {
        Zeroizing::new(Hex(*self.secret).to_string())
    }
}

/// What the key centre knows a token by, from what it is shown.
#[must_use]
pub fn token_id(secret: &[u8; 32]) -> [u8; 32] {
    digest("token", &[secret])
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{} {} {}", self.address, self.kgc, self.root);
        let bytes = [&self.secret[..], text.as_bytes()].concat();
        write!(f, "{TOKEN}{}", Base64UrlUnpadded::encode_string(&bytes))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} {}, redacted)", self.kgc, self.address)
    }
}

impl FromStr for Token {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::malformed("a token", "copy all of it, from dyad1- to the end");
        let coded = text.trim().strip_prefix(TOKEN).ok_or_else(wrong)?;
        let bytes = Base64UrlUnpadded::decode_vec(coded).map_err(|_| wrong())?;
        let (secret, text) = bytes.split_first_chunk().ok_or_else(wrong)?;
        let text = std::str::from_utf8(text).map_err(|_| wrong())?;
        let [address, kgc, root] = text.split(' ').collect::<Vec<_>>()[..] else {
            return Err(wrong());
        };
        let secret = Zeroizing::new(*secret);
        Ok(Self { address: address.to_owned(), kgc: kgc.parse()?, root: root.parse()?, secret })
    }
}

/// A service that the key centre has enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Who it is.
    pub identity: Identity,
    /// Where it is reached.
    pub address: String,
    /// Of its TLS key.
    pub fingerprint: Fingerprint,
}

impl Service {
    fn read(service: &WireService) -> Result<Self> {
        let identity = Identity::new(service.role.parse()?, service.name.parse()?);
        let Hex(fingerprint) = Hex::try_from(&service.fingerprint[..])?;
        let fingerprint = Fingerprint::from_bytes(fingerprint);
        Ok(Self { identity, address: service.address.clone(), fingerprint })
    }
}

/// An enrolled party.
#[derive(Clone)]
pub struct Member {
    /// Who it is.
    pub identity: Identity,
    /// Its certificate, and all connections.
    pub tls: Tls,
    /// The key centre's certificate.
    pub root: RootCertificate,
    /// What it signs with.
    pub sign: Arc<SignSecret>,
    /// What is sealed to it.
    pub seal: Arc<SealSecret>,
    /// What the key centre signs with.
    pub kgc_sign: SignPublic,
    /// The parameters of the cryptosystem, as they are written.
    pub params: Vec<u8>,
    /// The key centre.
    pub kgc: Service,
    dir: PathBuf,
    /// Certificates are renewed for the same key.
    tls_key: Arc<Zeroizing<String>>,
    services: Arc<RwLock<Vec<Service>>>,
}

const KEY: &str = "tls.key";
const SIGN: &str = "sign.key";
const SEAL: &str = "seal.key";
/// Certificate, root, parameters: public, and whole when it is there at all.
const WELCOME: &str = "member.bin";
/// The revocation list as it was last fetched.
const CRL: &str = "revoked.crl";

/// What stands in [`WELCOME`]: length-prefixed fields.
struct Welcome {
    identity: Identity,
    certificate: Vec<u8>,
    root: Vec<u8>,
    kgc_sign: [u8; 32],
    params: Vec<u8>,
    kgc: (Name, String),
    services: Vec<Service>,
}

impl Member {
    /// Makes keys, stores them, and has them certified. `address`: where a service is reached by
    /// the others. Repeated, it goes on where it stopped, or gives what is there.
    pub async fn enrol(
        dir: &Path,
        token: &str,
        address: Option<&str>,
        passphrase: Option<&str>,
    ) -> Result<Self> {
        let token: Token = token.parse()?;
        if dir.join(WELCOME).exists() {
            let member = Self::load(dir, passphrase)?;
            if member.root.fingerprint() == token.root {
                return Ok(member);
            }
            let found = format!("{} is enrolled at another key centre already", dir.display());
            return Err(Error::malformed("an empty folder", found));
        }
        std::fs::create_dir_all(dir).map_err(|source| Error::file(dir, source))?;
        let keys = Keys::of(dir, passphrase)?;
        let expect = Expect::identity(Identity::new(Role::Kgc, token.kgc.clone()));
        let (channel, root) = anonymous_channel(&token.address, token.root, expect).await?;
        let request = EnrolRequest {
            version: PROTOCOL,
            token: token.secret().to_string(),
            request: keys.tls.csr()?.into(),
            sign: keys.sign.public().0.to_vec().into(),
            seal: keys.seal.public().0.to_vec().into(),
            address: address.unwrap_or_default().to_owned(),
        };
        let who = Identity::new(Role::Kgc, token.kgc.clone());
        let mut client = EnrolmentClient::new(channel)
            .max_decoding_message_size(MESSAGE)
            .max_encoding_message_size(MESSAGE);
        let reply = client.enrol(request).await.map_err(|status| failed(&who, &status))?;
        let welcome = Welcome::read_reply(&reply.into_inner(), &root, &token)?;
        write_secret(dir.join(WELCOME), &welcome.to_bytes())?;
        Self::load(dir, passphrase)
    }

    /// What was stored when it was enrolled.
    pub fn load(dir: &Path, passphrase: Option<&str>) -> Result<Self> {
        let bytes = crate::keyfile::read_secret(dir.join(WELCOME))?;
        let welcome = Welcome::from_bytes(&bytes)?;
        let keys = Keys::of(dir, passphrase)?;
        let root = RootCertificate::from_der(welcome.root)?;
        let tls_key = Arc::new(keys.tls.to_pem());
        let credentials = Credentials::issued(welcome.certificate, &root, keys.tls)?;
        if *credentials.identity() != welcome.identity {
            return Err(Error::Mismatch("it names somebody else".to_owned()));
        }
        // What was known last: a restart forgets no revocation.
        let crl = known_list(&dir.join(CRL), &root)?;
        let tls = Tls::new(credentials, root.clone(), crl)?;
        let (name, address) = welcome.kgc;
        let kgc = Service {
            identity: Identity::new(Role::Kgc, name),
            address,
            // The key centre's certificate is renewed with its key: its name is enough.
            fingerprint: root.fingerprint(),
        };
        Ok(Self {
            identity: welcome.identity,
            tls,
            root,
            sign: Arc::new(keys.sign),
            seal: Arc::new(keys.seal),
            kgc_sign: SignPublic(welcome.kgc_sign),
            params: welcome.params,
            kgc,
            dir: dir.to_owned(),
            tls_key,
            services: Arc::new(RwLock::new(welcome.services)),
        })
    }

    /// Where its files are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A connection to the key centre.
    pub fn kgc_channel(&self) -> Result<Channel> {
        self.tls.channel(&self.kgc.address, Expect::identity(self.kgc.identity.clone()))
    }

    /// The key centre's registry.
    pub fn registry(&self) -> Result<RegistryClient<Channel>> {
        let client = RegistryClient::new(self.kgc_channel()?);
        Ok(client.max_decoding_message_size(MESSAGE).max_encoding_message_size(MESSAGE))
    }

    /// The services that are known.
    #[must_use]
    pub fn services(&self) -> Vec<Service> {
        self.services.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one cloud of this role.
    pub fn service(&self, role: Role) -> Result<Service> {
        let found = self.services().into_iter().find(|service| service.identity.role == role);
        found.ok_or_else(|| {
            Error::malformed("known yet", format!("the key centre has not enrolled {role} so far"))
        })
    }

    /// Asks the key centre who there is, and which certificates are good no more.
    pub async fn refresh(&self) -> Result<()> {
        let reply = self.registry()?.revocations(RevocationsRequest {}).await;
        let reply = reply.map_err(|status| failed(&self.kgc.identity, &status))?.into_inner();
        let mut listed = Ok(());
        if !reply.crl.is_empty() {
            listed = self.tls.replace_crl(reply.crl.to_vec());
            match &listed {
                Ok(()) => write_secret(self.dir.join(CRL), &reply.crl)?,
                // The one before stays in use.
                Err(error) => self.tls.list_refused(error),
            }
        }
        let services = reply.services.iter().map(Service::read).collect::<Result<Vec<_>>>()?;
        *self.services.write().unwrap_or_else(PoisonError::into_inner) = services;
        self.rewrite(None)?;
        listed
    }

    /// A certificate with a later end, for the same key. New connections use it at once.
    pub async fn renew(&self) -> Result<()> {
        let keys = TlsKey::from_pem(&self.tls_key)?;
        let request = RenewRequest { request: keys.csr()?.into() };
        let reply = self.registry()?.renew(request).await;
        let reply = reply.map_err(|status| failed(&self.kgc.identity, &status))?.into_inner();
        let certificate = reply.certificate.to_vec();
        let credentials = Credentials::issued(certificate.clone(), &self.root, keys)?;
        self.rewrite(Some(certificate))?;
        self.tls.replace_credentials(credentials)
    }

    /// Stores what has changed.
    fn rewrite(&self, certificate: Option<Vec<u8>>) -> Result<()> {
        let path = self.dir.join(WELCOME);
        let bytes = crate::keyfile::read_secret(&path)?;
        let before = Welcome::from_bytes(&bytes)?;
        let certificate = certificate.unwrap_or_else(|| before.certificate.clone());
        let after = Welcome { certificate, services: self.services(), ..before };
        let after = after.to_bytes();
        if after == *bytes { Ok(()) } else { write_secret(path, &after) }
    }
}

/// The revocation list as it was last fetched, if it was. One that cannot be read is not passed over:
/// whoever was revoked would be believed again.
fn known_list(path: &Path, root: &RootCertificate) -> Result<Option<Vec<u8>>> {
    let unusable = |why: String| {
        let path = path.display();
        Error::RevocationList(format!("{path}: {why}; restore the file, or delete it"))
    };
    let list = match std::fs::read(path) {
        Ok(list) => list,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(error.to_string())),
    };
    match RevocationList::from_der(list.clone(), root) {
        Ok(_) => Ok(Some(list)),
        Err(Error::RevocationList(why)) => Err(unusable(why)),
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// A call that failed.
#[must_use]
pub fn failed(who: &Identity, status: &tonic::Status) -> Error {
    let (what, fault) = (retry::explain(status), retry::classify(status));
    Error::Call { who: who.clone(), what, fault }
}

/// The secret halves.
struct Keys {
    tls: TlsKey,
    sign: SignSecret,
    seal: SealSecret,
}

impl Keys {
    /// Those that are there, or new ones.
    fn of(dir: &Path, passphrase: Option<&str>) -> Result<Self> {
        let secret = |name: &str, make: &dyn Fn() -> Result<Zeroizing<Vec<u8>>>| {
            let path = dir.join(name);
            if !path.exists() {
                write_locked(&path, &make()?, passphrase)?;
            }
            read_locked(&path, passphrase)
        };
        let tls =
            secret(KEY, &|| Ok(Zeroizing::new(TlsKey::generate()?.to_pem().as_bytes().to_vec())))?;
        let sign =
            secret(SIGN, &|| Ok(Zeroizing::new(SignSecret::generate()?.to_bytes().to_vec())))?;
        let seal =
            secret(SEAL, &|| Ok(Zeroizing::new(SealSecret::generate()?.to_bytes().to_vec())))?;
        let whole = |bytes: &Zeroizing<Vec<u8>>, name: &'static str| {
            let bytes: &[u8] = bytes;
            let wrong = || Error::malformed("a key of 32 bytes", name);
            bytes.try_into().map(Zeroizing::<[u8; 32]>::new).map_err(|_| wrong())
        };
        let pem = std::str::from_utf8(&tls).map_err(|_| Error::malformed("a PEM text", KEY))?;
        Ok(Self {
            tls: TlsKey::from_pem(pem)?,
            sign: SignSecret::from_bytes(&*whole(&sign, SIGN)?),
            seal: SealSecret::from_bytes(&*whole(&seal, SEAL)?)?,
        })
    }
}

impl Welcome {
    fn read_reply(reply: &EnrolReply, root: &RootCertificate, token: &Token) -> Result<Self> {
        if reply.root != root.der() {
            return Err(Error::Mismatch("another root certificate than the token's".to_owned()));
        }
        let Hex(kgc_sign) = Hex::try_from(&reply.kgc_sign[..])?;
        Ok(Self {
            identity: Identity::new(reply.role.parse()?, reply.name.parse()?),
            certificate: reply.certificate.to_vec(),
            root: reply.root.to_vec(),
            kgc_sign,
            params: reply.params.to_vec(),
            kgc: (token.kgc.clone(), token.address.clone()),
            services: reply.services.iter().map(Service::read).collect::<Result<_>>()?,
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let (kgc, address) = &self.kgc;
        let mut fields: Vec<Vec<u8>> = vec![
            self.identity.to_string().into(),
            self.certificate.clone(),
            self.root.clone(),
            self.kgc_sign.to_vec(),
            self.params.clone(),
            kgc.to_string().into(),
            address.clone().into(),
        ];
        for Service { identity, address, fingerprint } in &self.services {
            let service = [identity.to_string(), address.clone(), fingerprint.to_string()];
            fields.extend(service.map(String::into_bytes));
        }
        let mut out = b"dyad member 1\n".to_vec();
        for field in fields {
            out.extend((field.len() as u32).to_le_bytes());
            out.extend(field);
        }
        out
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let wrong = || Error::malformed("an enrolment", "member.bin is damaged: enrol again");
        let mut rest = bytes.strip_prefix(b"dyad member 1\n").ok_or_else(wrong)?;
        let mut fields = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk() {
            let length = u32::from_le_bytes(*length) as usize;
            let (field, after) = after.split_at_checked(length).ok_or_else(wrong)?;
            fields.push(field);
            rest = after;
        }
        let text =
            |field: &[u8]| std::str::from_utf8(field).map(str::to_owned).map_err(|_| wrong());
        let [identity, certificate, root, kgc_sign, params, kgc, address, services @ ..] =
            &fields[..]
        else {
            return Err(wrong());
        };
        let service = |fields: &[&[u8]; 3]| {
            let [identity, address, fingerprint] = fields;
            Ok(Service {
                identity: text(identity)?.parse()?,
                address: text(address)?,
                fingerprint: text(fingerprint)?.parse()?,
            })
        };
        let (services, []) = services.as_chunks() else { return Err(wrong()) };
        Ok(Self {
            identity: text(identity)?.parse()?,
            certificate: certificate.to_vec(),
            root: root.to_vec(),
            kgc_sign: (*kgc_sign).try_into().map_err(|_| wrong())?,
            params: params.to_vec(),
            kgc: (text(kgc)?.parse()?, text(address)?),
            services: services.iter().map(service).collect::<Result<_>>()?,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let kgc: Name = "main".parse().unwrap();
        let token = Token::new("[::1]:4400", kgc, Fingerprint::of(b"root")).unwrap();
        let text = token.to_string();
        assert_eq!(text.parse::<Token>().unwrap(), token);
        assert_eq!(format!(" {text}\n").parse::<Token>().unwrap().id(), token.id());
        assert!(!format!("{token:?}").contains(&*token.secret()));
        for cut in [0, 5, 6, 20, text.len() - 30, text.len() - 1] {
            assert!(text[..cut].parse::<Token>().is_err(), "{cut}");
        }
    }

    #[test]
    fn what_is_stored_is_read() {
        let identity: Identity = "c1 azure".parse().unwrap();
        let service = Service {
            identity: "c0 blue".parse().unwrap(),
            address: "127.0.0.1:1".to_owned(),
            fingerprint: Fingerprint::of(b"x"),
        };
        let welcome = Welcome {
            identity,
            certificate: vec![1, 2],
            root: vec![],
            kgc_sign: [7; 32],
            params: vec![9; 1000],
            kgc: ("main".parse().unwrap(), "host:1".to_owned()),
            services: vec![service.clone()],
        };
        let bytes = welcome.to_bytes();
        let read = Welcome::from_bytes(&bytes).unwrap();
        assert_eq!((read.services, read.params), (vec![service], vec![9; 1000]));
        for cut in 0..bytes.len() {
            // Whole services may be missing; nothing else may.
            let read = Welcome::from_bytes(&bytes[..cut]);
            assert!(read.is_err() || read.unwrap().services.is_empty(), "{cut}");
        }
    }
}
