//! The master key goes to C0, once, whatever is killed.
#![allow(clippy::unwrap_used)]

use crate::common;

use common::{World, name, params};
use dyad_bcp::MasterKey;
use dyad_kgc::Cause;
use dyad_net::contexts;
use dyad_net::identity::Role;
use dyad_net::member::Member;
use dyad_protos::master_key_digest;
use dyad_protos::wire::kgc::v1::{HandOverDoneRequest, HandOverReply, HandOverRequest};
use tonic::{Response, Status};

async fn asked(member: &Member) -> Result<Response<HandOverReply>, Status> {
    member.registry().unwrap().hand_over(HandOverRequest {}).await
}

async fn done(
    member: &Member,
    digest: [u8; 32],
) -> Result<Response<dyad_protos::wire::kgc::v1::HandOverDoneReply>, Status> {
    let request = HandOverDoneRequest { digest: digest.to_vec().into() };
    member.registry().unwrap().hand_over_done(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_and_for_all() {
    let mut world = World::start().await;
    let [c0, c1] = world.clouds().await;
    let north = world.enrol(Role::Owner, "north").await;
    world.refused(Cause::Role, asked(&c1).await);
    world.refused(Cause::Role, asked(&north).await);
    world.refused(Cause::HandOver, done(&c0, [0; 32]).await);

    let first = asked(&c0).await.unwrap().into_inner();
    assert_eq!(first.params, c0.params);
    let context = contexts::master_key(&name("centre"), &name("zero"));
    let opened = c0.seal.open(&context, &first.sealed).unwrap();
    MasterKey::from_bytes(&params(&c0), &opened).unwrap();
    assert!(c1.seal.open(&context, &first.sealed).is_err());
    // Until it has arrived it can be had again: the same.
    assert_eq!(asked(&c0).await.unwrap().into_inner(), first);
    world.restart().await;
    assert_eq!(asked(&c0).await.unwrap().into_inner(), first);

    world.refused(Cause::HandOver, done(&c0, [0; 32]).await);
    world.refused(Cause::Role, done(&c1, master_key_digest(&opened)).await);
    let keys = world.config.store.join("keys");
    assert!(keys.join("master.key").exists());
    let status = dyad_kgc::status(&world.config).await.unwrap();
    assert!(status.master_key.contains("not acknowledged"), "{}", status.master_key);

    done(&c0, master_key_digest(&opened)).await.unwrap();
    assert!(!keys.join("master.key").exists() && !keys.join("master.sealed").exists());
    done(&c0, master_key_digest(&opened)).await.unwrap();
    let said = world.refused(Cause::HandOver, asked(&c0).await);
    assert!(said.contains("C0 alone has it"), "{said}");
    let status = dyad_kgc::status(&world.config).await.unwrap();
    assert!(status.master_key.contains("destroyed"), "{}", status.master_key);

    // A kill after the row was written and before the file was destroyed.
    world.stop().await;
    dyad_net::keyfile::write_secret(keys.join("master.key"), &opened).unwrap();
    world.go_on().await;
    world.refused(Cause::HandOver, asked(&c0).await);
    assert!(!keys.join("master.key").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_c0_does_not_get_what_the_first_may_have() {
    let world = World::start().await;
    let c0 = world.enrol(Role::C0, "zero").await;
    asked(&c0).await.unwrap();
    dyad_kgc::revoke(&world.config, Role::C0, &name("zero")).await.unwrap();
    assert!(asked(&c0).await.is_err());
    let other = world.enrol(Role::C0, "other").await;
    let said = world.refused(Cause::HandOver, asked(&other).await);
    assert!(said.contains("another C0"), "{said}");
    world.refused(Cause::HandOver, done(&other, [0; 32]).await);
}
