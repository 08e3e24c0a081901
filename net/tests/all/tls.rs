//! Nobody gets in who should not, over real sockets.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common;

use common::{Anybody, House, Running, call, call_path, eventually, past};
use dyad_net::retry::{Fault, classify, explain};
use dyad_net::tls::causes;
use dyad_net::{
    ClientAuth, Error, Expect, Identity, Role, Standing, TlsKey, Validity, anonymous_channel,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Code;

fn c1() -> Identity {
    "c1 main".parse().unwrap()
}

#[tokio::test]
async fn the_peer_is_known_on_both_sides() {
    let house = House::new();
    let server = Running::start(&house.tls("c1 main"), ClientAuth::Required).await;
    let client = house.tls("owner north");
    for expect in [Expect::identity(c1()), Expect::role(Role::C1)] {
        let channel = client.channel(&server.address.to_string(), expect).unwrap();
        let status = call(&channel).await;
        assert_eq!((status.code(), status.message()), (Code::Aborted, "owner north"));
    }
    let channel =
        client.channel(&format!("https://{}", server.address), Expect::role(Role::C1)).unwrap();
    let status = call_path(&channel, "/test.Who/Cloud").await;
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("expected a certificate of c0 or c1"), "{status:?}");
    assert_eq!(server.causes(), [causes::ROLE]);
    server.stop().await;
}

#[tokio::test]
async fn whoever_is_not_expected_is_refused_by_the_client() {
    let house = House::new();
    let tls = house.tls("c1 main");
    let server = Running::start(&tls, ClientAuth::Required).await;
    let address = server.address.to_string();
    let client = house.tls("owner north");
    let other = TlsKey::generate().unwrap().fingerprint();
    let cases = [
        (Expect::role(Role::C0), causes::ROLE, "expected any c0, found c1 main"),
        (
            Expect::identity("c1 other".parse().unwrap()),
            causes::IDENTITY,
            "expected c1 other, found c1 main",
        ),
        (Expect::identity(c1()).pinned(other), causes::PIN, "with the key"),
    ];
    for (expect, cause, says) in cases {
        let status = call(&client.channel(&address, expect).unwrap()).await;
        assert_eq!(classify(&status), Fault::Permanent, "{status:?}");
        let told = explain(&status);
        assert!(told.contains(cause) && told.contains(says) && told.contains(&address), "{told}");
    }
    let pinned = Expect::identity(c1()).pinned(tls.fingerprint());
    assert_eq!(call(&client.channel(&address, pinned).unwrap()).await.code(), Code::Aborted);
    server.stop().await;
}

#[tokio::test]
async fn servers_of_others_are_refused() {
    let (house, other) = (House::new(), House::new());
    let client = house.tls("owner north");
    let foreign = Running::start(&other.tls("c1 main"), ClientAuth::Required).await;
    let old = house.tls_of(house.issue("c1 main", past()).0, None);
    let old = Running::start(&old, ClientAuth::Required).await;
    for (server, cause) in [(&foreign, causes::AUTHORITY), (&old, causes::EXPIRED)] {
        let channel = client.channel(&server.address.to_string(), Expect::role(Role::C1)).unwrap();
        let status = call(&channel).await;
        let told = explain(&status);
        assert!(told.contains(cause), "{told}");
        assert_eq!(classify(&status), Fault::Permanent);
    }
    let nobody = client.channel("127.0.0.1:9", Expect::role(Role::C1)).unwrap();
    let status = call(&nobody).await;
    assert_eq!(classify(&status), Fault::Transient, "{status:?}");
    assert!(explain(&status).contains("cannot reach 127.0.0.1:9"), "{}", explain(&status));
    for wrong in ["", "host", "http://host:1", "host:0", "host:x", "a@host:1", "host:1/path"] {
        let refused = client.channel(wrong, Expect::role(Role::C1));
        assert!(matches!(refused, Err(Error::Address(_))), "{wrong}");
    }
}

#[tokio::test]
async fn clients_of_others_are_refused() {
    let (house, other) = (House::new(), House::new());
    let server = Running::start(&house.tls("c1 main"), ClientAuth::Required).await;
    let address = server.address.to_string();
    let expired = house.tls_of(house.issue("owner north", past()).0, None);
    // Trusts the right root, but shows a certificate of the other.
    let (foreign, _) = other.issue("owner north", Validity::days(1));
    let foreign = dyad_net::Tls::new(foreign, other.authority.root(), None).unwrap();
    let channel = expired.channel(&address, Expect::role(Role::C1)).unwrap();
    let status = call(&channel).await;
    assert_eq!(classify(&status), Fault::Permanent, "{status:?}");
    assert!(explain(&status).contains("expired"), "{}", explain(&status));
    assert_eq!(server.causes(), [causes::EXPIRED]);
    let channel = foreign.channel(&address, Expect::role(Role::C1)).unwrap();
    assert_eq!(classify(&call(&channel).await), Fault::Permanent);
    server.stop().await;
}

#[tokio::test]
async fn without_a_certificate_only_where_that_is_allowed() {
    let house = House::new();
    let root = house.authority.root();
    let tls = house.tls("kgc centre");
    let strict = Running::start(&tls, ClientAuth::Required).await;
    let strict_address = strict.address.to_string();
    let (channel, found) =
        anonymous_channel(&strict_address, root.fingerprint(), Expect::role(Role::Kgc))
            .await
            .unwrap();
    assert_eq!(found, root);
    let status = call(&channel).await;
    assert!(explain(&status).contains(causes::NO_CERTIFICATE), "{status:?}");
    assert!(strict.causes().contains(&causes::NO_CERTIFICATE));

    let open = Running::start(&tls, ClientAuth::Optional).await;
    let open_address = open.address.to_string();
    let (channel, _) =
        anonymous_channel(&open_address, root.fingerprint(), Expect::role(Role::Kgc))
            .await
            .unwrap();
    let status = call(&channel).await;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("enrol"), "{status:?}");
    assert_eq!(open.causes(), [causes::NO_CERTIFICATE]);
    let named = house.tls("owner north").channel(&open_address, Expect::role(Role::Kgc)).unwrap();
    assert_eq!(call(&named).await.message(), "owner north");
    // One that is shown must be good, even here.
    let expired = house.tls_of(house.issue("owner north", past()).0, None);
    let channel = expired.channel(&open_address, Expect::role(Role::Kgc)).unwrap();
    assert!(explain(&call(&channel).await).contains(causes::EXPIRED));

    let wrong = House::new().authority.root().fingerprint();
    let refused = anonymous_channel(&open_address, wrong, Expect::role(Role::Kgc)).await;
    let told = refused.unwrap_err().to_string();
    assert!(told.contains(causes::AUTHORITY) && told.contains("compare"), "{told}");
    let refused =
        anonymous_channel(&open_address, root.fingerprint(), Expect::role(Role::C0)).await;
    assert!(refused.unwrap_err().to_string().contains("expected any c0, found kgc centre"));
}

#[tokio::test]
async fn revoked_certificates_are_refused_on_new_and_living_connections() {
    let house = House::new();
    let tls = house.tls("c1 main");
    let server = Running::start(&tls, ClientAuth::Required).await;
    let address = server.address.to_string();
    let (credentials, issued) = house.issue("owner north", Validity::days(9));
    let client = house.tls_of(credentials, None);
    let other = house.tls("owner south").channel(&address, Expect::role(Role::C1)).unwrap();
    let living = client.channel(&address, Expect::role(Role::C1)).unwrap();
    assert_eq!(call(&living).await.code(), Code::Aborted);
    assert_eq!(call(&other).await.code(), Code::Aborted);

    tls.replace_crl(house.crl(7, &[issued.serial])).unwrap();
    let status = call(&living).await;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("revoked"), "{status:?}");
    let new = client.channel(&address, Expect::role(Role::C1)).unwrap();
    let status = call(&new).await;
    assert!(explain(&status).contains(causes::REVOKED), "{}", explain(&status));
    assert_eq!(server.causes(), [causes::REVOKED, causes::REVOKED]);
    assert_eq!(call(&other).await.code(), Code::Aborted);

    // Older, of another authority, nonsense: the one in use stays.
    for bad in [house.crl(6, &[]), House::new().crl(8, &[]), vec![1, 2, 3]] {
        assert!(matches!(tls.replace_crl(bad), Err(Error::RevocationList(_))));
    }
    assert_eq!(call(&living).await.code(), Code::Unauthenticated);
    // A higher number may take a certificate off again.
    tls.replace_crl(house.crl(8, &[])).unwrap();
    assert_eq!(call(&living).await.code(), Code::Aborted);
}

#[tokio::test]
async fn clients_honour_the_list_too() {
    let house = House::new();
    let (credentials, issued) = house.issue("c1 main", Validity::days(9));
    let server = Running::start(&house.tls_of(credentials, None), ClientAuth::Required).await;
    let (mine, _) = house.issue("owner north", Validity::days(9));
    let client = house.tls_of(mine, Some(house.crl(300, &[issued.serial])));
    let channel = client.channel(&server.address.to_string(), Expect::role(Role::C1)).unwrap();
    let told = explain(&call(&channel).await);
    assert!(told.contains(causes::REVOKED), "{told}");
}

#[tokio::test]
async fn certificates_that_end_while_connected_are_refused() {
    let house = House::new();
    let server = Running::start(&house.tls("c1 main"), ClientAuth::Required).await;
    let (credentials, issued) =
        house.issue("owner north", Validity::lasting(Duration::from_secs(3)));
    let client = house.tls_of(credentials, None);
    let channel = client.channel(&server.address.to_string(), Expect::role(Role::C1)).unwrap();
    assert_eq!(call(&channel).await.code(), Code::Aborted);
    let left = issued.not_after.duration_since(SystemTime::now()).unwrap_or_default();
    tokio::time::sleep(left + Duration::from_millis(100)).await;
    let status = call(&channel).await;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("expired"), "{status:?}");
    assert_eq!(server.causes(), [causes::EXPIRED]);
}

#[tokio::test]
async fn certificates_are_renewed_without_a_restart() {
    let house = House::new();
    let (old, _) = house.issue("c1 main", Validity::lasting(Duration::from_secs(2)));
    let ends = old.not_after();
    let tls = house.tls_of(old, None);
    let server = Running::start(&tls, ClientAuth::Required).await;
    let address = server.address.to_string();
    let client = house.tls("owner north");
    let living = client.channel(&address, Expect::role(Role::C1)).unwrap();
    assert_eq!(call(&living).await.code(), Code::Aborted);
    let late = ends.duration_since(SystemTime::now()).unwrap_or_default();
    // webpki counts whole seconds.
    tokio::time::sleep(late + Duration::from_millis(1100)).await;
    let new = client.channel(&address, Expect::role(Role::C1)).unwrap();
    assert!(explain(&call(&new).await).contains(causes::EXPIRED));

    tls.replace_credentials(house.issue("c1 main", Validity::days(9)).0).unwrap();
    assert!(tls.not_after() > ends);
    assert_eq!(call(&new).await.code(), Code::Aborted);
    assert_eq!(call(&living).await.code(), Code::Aborted);
    let other = tls.replace_credentials(house.issue("c1 else", Validity::days(9)).0);
    assert!(matches!(other, Err(Error::Mismatch(_))));
    let foreign = tls.replace_credentials(House::new().issue("c1 main", Validity::days(9)).0);
    assert!(matches!(foreign, Err(Error::Mismatch(_))));
}

#[tokio::test]
async fn nonsense_and_silence_hurt_nobody() {
    let house = House::new();
    let server = Running::start(&house.tls("c1 main"), ClientAuth::Required).await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    let mut rude = TcpStream::connect(server.address).await.unwrap();
    rude.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = vec![];
    // What TLS says about it, and the end.
    rude.read_to_end(&mut answer).await.unwrap();
    eventually(|| server.causes() == [causes::HANDSHAKE]).await;
    let channel =
        house.tls("owner north").channel(&server.address.to_string(), Expect::role(Role::C1));
    assert_eq!(call(&channel.unwrap()).await.code(), Code::Aborted);
    drop(silent);
    server.stop().await;
}

#[tokio::test]
async fn the_server_itself_refuses_another_authority() {
    let (house, other) = (House::new(), House::new());
    let server = Running::start(&house.tls("c1 main"), ClientAuth::Optional).await;
    let (foreign, _) = other.issue("owner north", Validity::days(1));
    let chain = foreign.chain().iter().cloned().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::from_pem_slice(foreign.key().to_pem().as_bytes()).unwrap();
    let config = rustls::ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_client_auth_cert(chain, key)
        .unwrap();
    let name = ServerName::try_from("dyad.internal").unwrap();
    let socket = TcpStream::connect(server.address).await.unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    let told = stream.read(&mut [0; 64]).await.unwrap_err().to_string();
    assert!(told.contains("fatal alert"), "{told}");
    eventually(|| server.causes() == [causes::AUTHORITY]).await;
    server.stop().await;
}

#[test]
fn standing() {
    let house = House::new();
    let (credentials, issued) = house.issue("owner north", Validity::days(90));
    let day = Duration::from_hours(24);
    assert_eq!(credentials.not_after(), issued.not_after);
    let at = |before: Duration| credentials.check_time(issued.not_after - before);
    assert_eq!(at(20 * day), Standing::Good);
    assert_eq!(at(3 * day + day / 2), Standing::Soon(3));
    assert_eq!(credentials.check_time(issued.not_after + day), Standing::Expired);
    assert_eq!(at(92 * day), Standing::NotYet);
}
