//! Identities, mutual TLS, sealing, signing, and links over gRPC.
//!
//! - [`identity`]: who somebody is: a role and a name, and the fingerprint of a key
//! - [`authority`]: the key centre's certificate authority; [`credentials`]: a party's own
//!   certificate and key
//! - [`tls`]: serving and connecting under mutual TLS 1.3, with certificates that are renewed and a
//!   revocation list that is replaced while the service runs
//! - [`link`]: lines of frames between two parties, over gRPC, that survive broken connections
//! - [`seal`]: HPKE to one recipient; [`sign`]: Ed25519 signatures
//! - [`contexts`]: what is sealed for what
//! - [`member`]: a party that the key centre has enrolled: its keys, its certificate, what it knows
//! - [`keyfile`]: secrets in files; [`retry`]: what is worth a second try
//!
//! | kind of thing | private | public |
//! | --- | --- | --- |
//! | certificate | [`TlsKey`], P-256 | [`Fingerprint`] |
//! | sealing | [`SealSecret`](seal::SealSecret), X25519 | [`SealPublic`](seal::SealPublic) |
//! | signing | [`SignSecret`](sign::SignSecret), Ed25519 | [`SignPublic`](sign::SignPublic) |

#![forbid(unsafe_code)]

pub mod authority;
pub mod contexts;
pub mod credentials;
mod error;
mod facts;
pub mod identity;
pub mod keyfile;
pub mod link;
pub mod member;
mod pem;
mod random;
pub mod retry;
pub mod seal;
pub mod sign;
mod steer;
pub mod tls;

pub use authority::{Authority, Issued, RootCertificate, Serial, Validity};
pub use credentials::{Credentials, Standing, TlsKey};
pub use error::{Error, Refused, Result};
pub use identity::{Fingerprint, Identity, Name, Role};
pub use link::{GrpcLink, Line, LinkHub, dial};
pub use tls::{ClientAuth, Expect, Peer, Tls, anonymous_channel, install_provider, peer, serve};
