//! Who gets in, and who does not.
#![allow(clippy::unwrap_used)]

use crate::common;

use common::{WEEK, World, name};
use dyad_kgc::{Cause, TokenState};
use dyad_net::TlsKey;
use dyad_net::identity::Role;
use dyad_net::member::{Member, Token};
use dyad_net::seal::SealSecret;
use dyad_net::sign::SignSecret;
use dyad_net::tls::{Expect, anonymous_channel};
use dyad_protos::PROTOCOL;
use dyad_protos::wire::kgc::v1::enrolment_client::EnrolmentClient;
use dyad_protos::wire::kgc::v1::registry_client::RegistryClient;
use dyad_protos::wire::kgc::v1::{EnrolRequest, RenewRequest, StudiesRequest};
use std::time::Duration;
use tonic::Code;
use tonic::transport::Channel;

struct Keys {
    tls: TlsKey,
    sign: SignSecret,
    seal: SealSecret,
}

impl Keys {
    fn new() -> Self {
        Self {
            tls: TlsKey::generate().unwrap(),
            sign: SignSecret::generate().unwrap(),
            seal: SealSecret::generate().unwrap(),
        }
    }

    fn request(&self, token: &Token) -> EnrolRequest {
        EnrolRequest {
            version: PROTOCOL,
            token: token.secret().to_string(),
            request: self.tls.csr().unwrap().into(),
            sign: self.sign.public().0.to_vec().into(),
            seal: self.seal.public().0.to_vec().into(),
            address: String::new(),
        }
    }
}

async fn channel(token: &Token) -> Channel {
    let expect = Expect::role(Role::Kgc);
    anonymous_channel(&token.address, token.root, expect).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_good_for_one_set_of_keys() {
    let world = World::start().await;
    let token = world.token(Role::Owner, "north").await;
    let mut client = EnrolmentClient::new(channel(&token).await);
    let keys = Keys::new();
    let first = client.enrol(keys.request(&token)).await.unwrap().into_inner();
    // The request's own signature is another each time.
    assert_ne!(keys.tls.csr().unwrap(), keys.tls.csr().unwrap());
    let again = client.enrol(keys.request(&token)).await.unwrap().into_inner();
    assert_eq!(first, again);
    assert_eq!((first.role.as_str(), first.name.as_str()), ("owner", "north"));
    let said = world.refused(Cause::TokenReplayed, client.enrol(Keys::new().request(&token)).await);
    assert!(said.contains("north"), "{said}");
    let other_seal =
        EnrolRequest { seal: Keys::new().request(&token).seal, ..keys.request(&token) };
    world.refused(Cause::TokenReplayed, client.enrol(other_seal).await);
    let listed = dyad_kgc::tokens(&world.config).await.unwrap();
    assert_eq!(listed[0].state, TokenState::Used);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_tokens_and_requests() {
    let world = World::start().await;
    let token = world.token(Role::Owner, "north").await;
    let mut client = EnrolmentClient::new(channel(&token).await);
    let keys = Keys::new();
    let good = keys.request(&token);

    let with = |change: &dyn Fn(&mut EnrolRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    for wrong in ["", "zz", &"00".repeat(32), &"0".repeat(63)] {
        let request = with(&|request| request.token = wrong.to_owned());
        world.refused(Cause::Token, client.enrol(request).await);
    }
    let newer = with(&|request| request.version += 1);
    let said = world.refused(Cause::Version, client.enrol(newer).await);
    assert!(said.contains("version 1") && said.contains('2'), "{said}");

    let none = with(&|request| request.request = b"no request"[..].into());
    world.refused(Cause::Request, client.enrol(none).await);
    let large = with(&|request| request.request = vec![0; 1 << 16].into());
    world.refused(Cause::Request, client.enrol(large).await);
    let forged = with(&|request| {
        // Another key than the one that signed it.
        let mut bytes = request.request.to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        request.request = bytes.into();
    });
    world.refused(Cause::Request, client.enrol(forged).await);
    let short = with(&|request| request.sign = vec![1; 31].into());
    world.refused(Cause::Message, client.enrol(short).await);
    let zero = with(&|request| request.seal = vec![0; 32].into());
    world.refused(Cause::Request, client.enrol(zero).await);
    let address = with(&|request| request.address = "here:1".into());
    world.refused(Cause::Message, client.enrol(address).await);

    // A newer token for the same name takes the older one back.
    let newer = world.token(Role::Owner, "north").await;
    world.refused(Cause::Token, client.enrol(good).await);
    world.clock.advance(WEEK);
    world.refused(Cause::TokenExpired, client.enrol(keys.request(&newer)).await);
    let states: Vec<_> = dyad_kgc::tokens(&world.config).await.unwrap();
    let states: Vec<_> = states.iter().map(|line| line.state).collect();
    assert!(states.contains(&TokenState::Revoked) && states.contains(&TokenState::Expired));
    let listed = format!("{:?}", dyad_kgc::tokens(&world.config).await.unwrap());
    assert!(!listed.contains(&*newer.secret()), "a token's secret is not listed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_keys_are_one_partys() {
    let world = World::start().await;
    let north = world.enrol(Role::Owner, "north").await;
    // Another set of keys under the same name.
    let token = world.token(Role::Owner, "north").await;
    let mut client = EnrolmentClient::new(channel(&token).await);
    let said = world.refused(Cause::Taken, client.enrol(Keys::new().request(&token)).await);
    assert!(said.contains("kgc revoke owner north"), "{said}");
    // The same keys again, as after the certificate has ended.
    let home = world.home("north");
    std::fs::remove_file(home.join("member.bin")).unwrap();
    let again = Member::enrol(&home, &token.to_string(), None, None).await.unwrap();
    assert_eq!(again.tls.fingerprint(), north.tls.fingerprint());
    // Somebody else's key.
    let token = world.token(Role::Owner, "south").await;
    let mut request = Keys::new().request(&token);
    request.sign = north.sign.public().0.to_vec().into();
    world.refused(Cause::Taken, client.enrol(request).await);
    // One C0, one C1.
    world.enrol(Role::C0, "zero").await;
    let second = dyad_kgc::token(&world.config, Role::C0, &name("other"), WEEK).await;
    assert!(second.unwrap_err().to_string().contains("kgc revoke c0 zero"));
    let second = dyad_kgc::token(&world.config, Role::Kgc, &name("other"), WEEK).await;
    assert!(second.unwrap_err().to_string().contains("one kgc"));
    let long = dyad_kgc::token(&world.config, Role::Owner, &name("x"), 100 * WEEK).await;
    assert!(long.unwrap_err().to_string().contains("limits.token_days"));
    // The same name in another role is another party.
    world.enrol(Role::Owner, "zero-owner").await;
    world.enrol(Role::C1, "one").await;
    north.refresh().await.unwrap();
    assert_eq!(north.services().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_renewed_for_their_key_alone() {
    let world = World::start().await;
    let north = world.enrol(Role::Owner, "north").await;
    let before = north.tls.not_after();
    let request = RenewRequest { request: TlsKey::generate().unwrap().csr().unwrap().into() };
    world.refused(Cause::Request, north.registry().unwrap().renew(request).await);
    // Asked again at once, it is the one that was just made.
    north.renew().await.unwrap();
    assert_eq!(north.tls.not_after(), before);
    world.clock.advance(Duration::from_hours(1));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    north.renew().await.unwrap();
    assert!(north.tls.not_after() > before);
    north.refresh().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_is_for_the_enrolled() {
    let mut world = World::start().await;
    let token = world.token(Role::Owner, "north").await;
    let channel = channel(&token).await;
    let nobody = RegistryClient::new(channel).studies(StudiesRequest {}).await;
    assert_eq!(nobody.unwrap_err().code(), Code::Unauthenticated);

    let home = world.home("north");
    let north = Member::enrol(&home, &token.to_string(), None, None).await.unwrap();
    let mut registry = north.registry().unwrap();
    registry.studies(StudiesRequest {}).await.unwrap();
    let revoked = dyad_kgc::revoke(&world.config, Role::Owner, &name("north")).await.unwrap();
    assert_eq!(revoked, 1);
    // At once, also on the connection that was there before.
    registry.studies(StudiesRequest {}).await.unwrap_err();
    let new = north.registry().unwrap().studies(StudiesRequest {}).await;
    new.unwrap_err();
    // The old token brings nobody back.
    std::fs::remove_file(home.join("member.bin")).unwrap();
    assert!(Member::enrol(&home, &token.to_string(), None, None).await.is_err());
    // Nor do the old keys with a new one.
    let token = world.token(Role::Owner, "north").await;
    let old_keys = Member::enrol(&home, &token.to_string(), None, None).await;
    assert!(old_keys.err().unwrap().to_string().contains("new keys"));
    std::fs::remove_dir_all(&home).unwrap();
    Member::enrol(&home, &token.to_string(), None, None).await.unwrap();
    // While it is stopped the store is asked.
    world.stop().await;
    let status = dyad_kgc::status(&world.config).await.unwrap();
    assert_eq!((status.parties.len(), status.revocations), (1, 2));
    assert!(status.insecure_demo && status.to_string().contains("INSECURE"));
    assert_eq!(dyad_kgc::revoke(&world.config, Role::Owner, &name("north")).await.unwrap(), 1);
    let gone = dyad_kgc::revoke(&world.config, Role::Owner, &name("north")).await;
    assert!(gone.unwrap_err().to_string().contains("not enrolled"));
}
