//! Who gets no connection, at services that are processes: what they log and count.

use crate::common::{ONE, member, refusals};
use dyad_net::member::Member;
use dyad_net::retry::{Fault, classify, explain};
use dyad_net::tls::causes;
use dyad_net::{
    Authority, Credentials, Expect, Identity, Tls, TlsKey, Validity, anonymous_channel,
};
use dyad_protos::Role;
use dyad_protos::upload::Mode;
use dyad_protos::wire::cloud::v1::cloud_client::CloudClient;
use dyad_protos::wire::cloud::v1::{JobRequest, UploadsRequest};
use dyad_protos::wire::kgc::v1::RevocationsRequest;
use dyad_protos::wire::kgc::v1::registry_client::RegistryClient;
use dyad_protos::wire::peer::v1::StartRequest;
use dyad_protos::wire::peer::v1::auxiliary_client::AuxiliaryClient;
use dyad_tests::scenario::{join, upload_all};
use dyad_tests::{Manner, Processes, Services as _};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, SystemTime};
use tonic::transport::Channel;
use tonic::{Code, Status};

const ALL: [Role; 3] = [Role::Kgc, Role::C0, Role::C1];

/// A call that everybody who is let in may make, or is refused by the service itself.
async fn call(role: Role, channel: Channel) -> Status {
    match role {
        Role::Kgc => {
            let called = RegistryClient::new(channel).revocations(RevocationsRequest {}).await;
            called.map_or_else(|status| status, |_| Status::ok("let in"))
        }
        _ => {
            CloudClient::new(channel).job(JobRequest { job: vec![1; 32].into() }).await.unwrap_err()
        }
    }
}

fn metrics(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: dyad\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn issued(authority: &Authority, who: &Identity, validity: Validity, key: TlsKey) -> Credentials {
    let issued = authority.issue(&key.csr().unwrap(), who, validity).unwrap();
    Credentials::issued(issued.der, &authority.root(), key).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut services = Processes::start(path).await.unwrap();
    let mut admin = Vec::new();
    for role in ALL {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        services.manner(role, Manner::default().set("admin_listen", &free.to_string()));
        services.kill(role).await.unwrap();
        services.run(role).await.unwrap();
        admin.push(free);
    }
    let study = join(&services, path, 2).await.unwrap();
    upload_all(&study, Mode::Sealed).await.unwrap();
    let zero = member(path, "owner-0");
    zero.refresh().await.unwrap();
    let root = zero.root.clone();
    let address = |role: Role| match role {
        Role::Kgc => zero.kgc.address.clone(),
        role => zero.service(role).unwrap().address,
    };
    let pem =
        std::fs::read_to_string(services.store(Role::Kgc).join("keys/authority.pem")).unwrap();
    let authority = Authority::from_pem(&pem).unwrap();
    let other = Authority::create(&"other".parse().unwrap()).unwrap();
    let now = SystemTime::now();
    let hours = Duration::from_hours;
    let (past, future) = (
        Validity { not_before: now - hours(2), not_after: now - hours(1) },
        Validity { not_before: now + hours(1), not_after: now + hours(2) },
    );
    let north: Identity = "owner north".parse().unwrap();
    let fresh = || TlsKey::generate().unwrap();

    // A revoked one: enrolled, then taken back by the key centre's people.
    let token = services.token(Role::Owner, "gone").await.unwrap();
    let gone = Member::enrol(&path.join("gone"), &token, None, None).await.unwrap();
    services.call(Role::Kgc, &["revoke", "owner", "gone"]).await.unwrap();
    // Clouds ask once a second here.
    tokio::time::sleep(Duration::from_secs(3)).await;

    for (role, admin) in ALL.into_iter().zip(admin) {
        let said = services.log(role).unwrap().len();
        let before = metrics(admin);
        let to = address(role);
        let by = |tls: &Tls| tls.channel(&to, Expect::role(role)).unwrap();
        let told = async |channel: Channel, word: &str| {
            // A caller may hear that the line broke before it hears why, and calls again.
            for _ in 0..20 {
                let status = call(role, channel.clone()).await;
                let told = explain(&status);
                if told.contains(word) {
                    println!("{role}: {told}");
                    return;
                }
                let broken = classify(&status) == Fault::Transient;
                assert!(broken, "{role}: {word} is not in {told}");
            }
            panic!("{role}: nobody was told {word}");
        };
        // No certificate. The key centre has calls for those who are to be enrolled, and no other.
        let expect = Expect::role(role);
        let (channel, _) = anonymous_channel(&to, root.fingerprint(), expect).await.unwrap();
        told(channel, if role == Role::Kgc { "enrol" } else { causes::NO_CERTIFICATE }).await;
        for (validity, cause) in [(past, causes::EXPIRED), (future, causes::EXPIRED)] {
            let shown = issued(&authority, &north, validity, fresh());
            let tls = Tls::new(shown, root.clone(), None).unwrap();
            told(by(&tls), cause).await;
        }
        // Of another authority, shown to a server whose own is taken.
        let shown = issued(&other, &north, Validity::days(1), fresh());
        let tls = Tls::new(shown, other.root(), None).unwrap();
        told(by(&tls), causes::AUTHORITY).await;
        told(by(&gone.tls), causes::REVOKED).await;
        // The wrong role, name and key, as the caller sees it.
        let wrong = if role == Role::C0 { Role::C1 } else { Role::C0 };
        let channel = zero.tls.channel(&to, Expect::role(wrong)).unwrap();
        told(channel, causes::ROLE).await;
        let pin = fresh().fingerprint();
        let channel = zero.tls.channel(&to, Expect::role(role).pinned(pin)).unwrap();
        told(channel, causes::PIN).await;

        tokio::time::sleep(Duration::from_millis(200)).await;
        let (after, log) = (metrics(admin), services.log(role).unwrap().split_off(said));
        for cause in [causes::NO_CERTIFICATE, causes::EXPIRED, causes::NOT_YET, causes::REVOKED] {
            assert!(
                refusals(&after, cause) > refusals(&before, cause),
                "{role} did not count {cause}: {after}"
            );
            assert!(log.contains(cause), "{role} did not log {cause}: {log}");
        }
    }

    // A second certificate, which the key centre itself gives out, is not the pinned one.
    let twin = issued(&authority, &zero.identity, Validity::days(1), fresh());
    let twin = Tls::new(twin, root.clone(), None).unwrap();
    let frozen = study.owners[0].frozen_study(&study.name).await.unwrap();
    for role in [Role::C0, Role::C1] {
        let channel = twin.channel(&address(role), Expect::role(role)).unwrap();
        let study = frozen.study.digest().to_vec().into();
        let asked = UploadsRequest { study, ..Default::default() };
        let status = CloudClient::new(channel).uploads(asked).await.unwrap_err();
        assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
        assert!(status.message().contains("another key than study"), "{status:?}");
    }
    // Owners and C1 itself are no C1 for C0; nor is somebody who has C1's name and another key.
    let c1 = Member::load(&services.store(Role::C1).join("keys"), None).unwrap();
    let false_c1 = issued(&authority, &c1.identity, Validity::days(1), fresh());
    let false_c1 = Tls::new(false_c1, root, None).unwrap();
    let channel = zero.tls.channel(&address(Role::C0), Expect::role(Role::C0)).unwrap();
    let asked = StartRequest { attempt: vec![1; 32].into() };
    let status = AuxiliaryClient::new(channel).start(asked.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    let channel = false_c1.channel(&address(Role::C0), Expect::role(Role::C0)).unwrap();
    let status = AuxiliaryClient::new(channel).start(asked).await.unwrap_err();
    println!("{status:?}");
    assert!(!matches!(status.code(), Code::Ok | Code::Internal), "{status:?}");
}
