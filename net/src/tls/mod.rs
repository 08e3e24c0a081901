//! Mutual TLS 1.3 between identities of one authority.
//!
//! [`Tls`] holds what one party needs: its credentials, the root, the revocation list. All three
//! can be replaced while connections live, and new connections use the new ones. Sessions are not
//! resumed: every connection shows its certificates.
//!
//! What is verified of a peer: its chain up to the root, its times, that it is not revoked, its
//! identity, and its key's fingerprint if one is pinned. What is not: that the revocation list is
//! recent; it is used until it is replaced.

mod client;
mod home;
mod limits;
mod peer;
mod server;
mod state;
#[cfg(feature = "testkit")]
mod testkit;
mod verify;

pub use client::{Expect, Who, anonymous_channel, check_address};
pub use limits::Limits;
pub use peer::{Peer, peer};
pub use server::{CONNECTIONS, ClientAuth, GRACE, HANDSHAKES, serve, serve_within};
pub use state::{RevocationList, Tls};
#[cfg(feature = "testkit")]
pub use testkit::insecure_log_keys;

pub(crate) use client::Connector;
pub(crate) use home::{Executor, Home};

use rustls::crypto::{CryptoProvider, ring};
use std::sync::Arc;
use std::time::Duration;

/// What refusals are counted by.
pub mod causes {
    /// A client showed no certificate where one is needed.
    pub const NO_CERTIFICATE: &str = "no_certificate";
    /// A certificate has expired.
    pub const EXPIRED: &str = "expired";
    /// A certificate is not valid yet.
    pub const NOT_YET: &str = "not_yet_valid";
    /// A certificate was revoked.
    pub const REVOKED: &str = "revoked";
    /// A certificate is of another authority.
    pub const AUTHORITY: &str = "authority";
    /// A certificate cannot be read, or is not of this house's kind.
    pub const CERTIFICATE: &str = "certificate";
    /// The peer's role may not do this, or is not the one expected.
    pub const ROLE: &str = "role";
    /// The peer has another name than expected.
    pub const IDENTITY: &str = "identity";
    /// The peer's key is not the pinned one.
    pub const PIN: &str = "pin";
    /// The handshake failed otherwise: another version, not TLS at all.
    pub const HANDSHAKE: &str = "handshake";
    /// The handshake took too long.
    pub const TIMEOUT: &str = "handshake_timeout";

    /// Too many connections or handshakes of one party, of one address, or in all.
    pub const CROWD: &str = "crowd";
    /// No call came in time after the handshake.
    pub const SILENCE: &str = "silence";

    /// A revocation list that came cannot be read, is not the authority's, or is older than the one in
    /// use: that one stays.
    pub const LIST: &str = "revocation_list";

    /// Those of somebody who showed a certificate of this authority: worth a line in the audit
    /// table. What strangers do is counted and logged.
    pub const OF_PARTIES: [&str; 5] = [EXPIRED, REVOKED, ROLE, IDENTITY, PIN];

    /// All of them, so that counters can start at zero.
    pub const ALL: [&str; 14] = [
        NO_CERTIFICATE,
        EXPIRED,
        NOT_YET,
        REVOKED,
        AUTHORITY,
        CERTIFICATE,
        ROLE,
        IDENTITY,
        PIN,
        HANDSHAKE,
        TIMEOUT,
        CROWD,
        SILENCE,
        LIST,
    ];
}

/// How long connecting and its handshake may take.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// What a peer may send on one stream before it is taken.
pub const STREAM_WINDOW: u32 = 16 << 20;

/// What a peer may send on one connection before it is taken.
pub const CONNECTION_WINDOW: u32 = 64 << 20;

/// HTTP/2 frames up to this are taken: a link's frame comes in one piece, and is not copied.
pub(crate) const MAX_HTTP_FRAME: u32 = (1 << 20) + (1 << 16);

/// A silent connection is asked whether it still lives this often, and given up when no answer
/// comes for as long again.
pub const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// HTTP/2, and nothing else.
const ALPN: &[u8] = b"h2";

/// Makes ring the provider of cryptography for whoever asks for the default. May be called often.
pub fn install_provider() {
    // The only way to fail is that it is installed already.
    drop(ring::default_provider().install_default());
}

/// ring, with AES-128 first: the level of security of all else here, and the fastest.
fn provider() -> Arc<CryptoProvider> {
    use ring::cipher_suite::{
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            TLS13_AES_128_GCM_SHA256,
            TLS13_AES_256_GCM_SHA384,
            TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..ring::default_provider()
    })
}
