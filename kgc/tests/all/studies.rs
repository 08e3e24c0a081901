//! Studies: drafted, joined, frozen.
#![allow(clippy::unwrap_used)]

use crate::common;

use common::{World, claim, create, draft, frozen, join, joining, name};
use dyad_kgc::Cause;
use dyad_net::identity::Role;
use dyad_net::sign::Signature;
use dyad_protos::Document;
use dyad_protos::study::{FROZEN, Study};
use dyad_protos::wire::kgc::v1::{
    CreateStudyRequest, JoinStudyRequest, StudiesRequest, StudyRequest,
};
use std::time::{Duration, Instant};

fn named(study: &str) -> StudyRequest {
    StudyRequest { name: study.into() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_members_freeze_it_together() {
    let world = World::start().await;
    let north = world.enrol(Role::Owner, "north").await;
    let heart = draft("heart", &["north", "south"]);
    // Everybody must be there before anybody is asked.
    let said = world.refused(Cause::Study, create(&north, &heart).await);
    assert!(said.contains("owner south, c0, c1"), "{said}");
    let south = world.enrol(Role::Owner, "south").await;
    let stranger = world.enrol(Role::Owner, "stranger").await;
    let [c0, _c1] = world.clouds().await;
    world.refused(Cause::Stranger, create(&stranger, &heart).await);
    let request = CreateStudyRequest { draft: b"version = 1"[..].into() };
    world.refused(Cause::Message, north.registry().unwrap().create_study(request).await);
    world.refused(Cause::Role, create(&c0, &heart).await);

    let open = create(&north, &heart).await.unwrap().into_inner();
    assert_eq!(open.awaited, ["north", "south"]);
    assert!(open.text.is_empty());
    assert_eq!(create(&south, &heart).await.unwrap().into_inner(), open);
    let mut other = heart.content().clone();
    other.schema.push('!');
    let other = Document::write(&other).unwrap();
    world.refused(Cause::Taken, create(&south, &other).await);

    let mine = north.registry().unwrap().pseudonym_key(named("heart")).await;
    world.refused(Cause::Study, mine);
    let good = joining(&north, &open);
    world.refused(Cause::Stranger, join(&stranger, good.clone()).await);
    world.refused(Cause::Role, join(&c0, good.clone()).await);
    let unread = JoinStudyRequest { draft: other.digest().to_vec().into(), ..good.clone() };
    world.refused(Cause::Draft, join(&north, unread).await);
    // Another's proof, and one for another study.
    world.refused(Cause::Proof, join(&south, good.clone()).await);
    let mut elsewhere = open.clone();
    elsewhere.id = vec![7; 16].into();
    let request = JoinStudyRequest { claim: claim(&north, &elsewhere).into(), ..good.clone() };
    world.refused(Cause::Proof, join(&north, request).await);
    let request = JoinStudyRequest { claim: vec![1; 9].into(), ..good.clone() };
    world.refused(Cause::Proof, join(&north, request).await);

    let joined = join(&north, good.clone()).await.unwrap().into_inner();
    assert_eq!(
        (&joined.joined[..], &joined.awaited[..]),
        (&["north".into()][..], &["south".into()][..])
    );
    assert_eq!(join(&north, good.clone()).await.unwrap().into_inner(), joined);
    let another = JoinStudyRequest { claim: claim(&north, &open).into(), ..good.clone() };
    world.refused(Cause::Taken, join(&north, another).await);

    let last = joining(&south, &open);
    let whole = join(&south, last.clone()).await.unwrap().into_inner();
    assert!(whole.awaited.is_empty());
    let study = Document::<Study>::read(&whole.text).unwrap();
    let signature = Signature(whole.signature[..].try_into().unwrap());
    north.kgc_sign.verify(FROZEN, study.text(), &signature).unwrap();
    assert_eq!(study.draft, *heart.content());
    let member = study.member(&name("north")).unwrap();
    assert_eq!(member.fingerprint.0, *north.tls.fingerprint().bytes());
    assert_eq!(member.seal.0, north.seal.public().0);
    assert_eq!(study.c0.sign.0, c0.sign.public().0);
    // The same for ever, whoever asks.
    assert_eq!(join(&south, last).await.unwrap().into_inner(), whole);
    let asked = north.registry().unwrap().study(named("heart")).await.unwrap().into_inner();
    assert_eq!(asked, whole);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_alone_see_it_and_have_its_key() {
    let mut world = World::start().await;
    let north = world.enrol(Role::Owner, "north").await;
    let south = world.enrol(Role::Owner, "south").await;
    let stranger = world.enrol(Role::Owner, "stranger").await;
    let [c0, c1] = world.clouds().await;
    frozen("heart", &[&north, &south]).await;
    frozen("lung", &[&north]).await;
    let key = async |member: &dyad_net::member::Member, study: &str| {
        member.registry().unwrap().pseudonym_key(named(study)).await
    };
    let heart = key(&north, "heart").await.unwrap().into_inner().key;
    assert_eq!(heart.len(), 32);
    assert_eq!(key(&south, "heart").await.unwrap().into_inner().key, heart);
    assert_ne!(key(&north, "lung").await.unwrap().into_inner().key, heart);
    for cloud in [&c0, &c1] {
        world.refused(Cause::Role, key(cloud, "heart").await);
        world.refused(Cause::Role, cloud.registry().unwrap().study(named("heart")).await);
    }
    world.refused(Cause::Stranger, key(&south, "lung").await);
    world.refused(Cause::Stranger, key(&stranger, "heart").await);
    let other = stranger.registry().unwrap().study(named("heart")).await;
    // Whether there is one is none of a stranger's business.
    let said = world.refused(Cause::Stranger, other);
    let none =
        world.refused(Cause::Stranger, stranger.registry().unwrap().study(named("none")).await);
    assert_eq!(said.replace("heart", "none"), none);
    let long = stranger.registry().unwrap().study(named(&"x".repeat(1 << 20))).await;
    assert!(world.refused(Cause::Message, long).len() < 2100);
    let all = async |member: &dyad_net::member::Member| {
        let reply = member.registry().unwrap().studies(StudiesRequest {}).await.unwrap();
        reply.into_inner().studies.into_iter().map(|study| study.name).collect::<Vec<_>>()
    };
    assert_eq!(all(&north).await, ["heart", "lung"]);
    assert_eq!(all(&south).await, ["heart"]);
    assert!(all(&stranger).await.is_empty());
    world.restart().await;
    assert_eq!(key(&north, "heart").await.unwrap().into_inner().key, heart);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_who_was_enrolled_anew_spoils_an_open_study() {
    let world = World::start().await;
    let north = world.enrol(Role::Owner, "north").await;
    let south = world.enrol(Role::Owner, "south").await;
    world.clouds().await;
    let open = create(&north, &draft("heart", &["north", "south"])).await.unwrap().into_inner();
    join(&north, joining(&north, &open)).await.unwrap();
    dyad_kgc::revoke(&world.config, Role::Owner, &name("north")).await.unwrap();
    std::fs::remove_dir_all(world.home("north")).unwrap();
    world.enrol(Role::Owner, "north").await;
    let said = world.refused(Cause::Study, join(&south, joining(&south, &open)).await);
    assert!(said.contains("a new study is needed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_nobody_joined_is_replaced_by_its_author_or_goes_with_time() {
    let mut world = World::start().await;
    world.clouds().await;
    let north = world.enrol(Role::Owner, "north").await;
    let south = world.enrol(Role::Owner, "south").await;
    let heart = draft("heart", &["north", "south"]);
    let mut better = heart.content().clone();
    better.schema = "thought better of".into();
    let better = Document::write(&better).unwrap();
    let open = create(&north, &heart).await.unwrap().into_inner();
    // Its author has joined, which binds nobody else; another member may not replace it.
    join(&north, joining(&north, &open)).await.unwrap();
    world.refused(Cause::Taken, create(&south, &better).await);
    let again = create(&north, &better).await.unwrap().into_inner();
    assert_ne!(again.id, open.id);
    assert_eq!((again.joined.len(), again.draft.to_vec()), (0, better.text().to_vec()));
    // What was proved for the old one is nothing to the new one.
    world.refused(Cause::Draft, join(&north, joining(&north, &open)).await);
    // Once another has joined, it stays.
    join(&south, joining(&south, &again)).await.unwrap();
    world.refused(Cause::Taken, create(&north, &heart).await);
    // A frozen one stays for ever, an open one its time.
    frozen("lung", &[&north, &south]).await;
    world.clock.advance(Duration::from_hours(89 * 24));
    world.restart().await;
    let status = dyad_kgc::status(&world.config).await.unwrap();
    assert_eq!((status.studies_open, status.studies_frozen), (1, 1));
    world.clock.advance(Duration::from_hours(24));
    world.restart().await;
    // It listens a moment before it looks.
    let until = Instant::now() + Duration::from_secs(10);
    while dyad_kgc::status(&world.config).await.unwrap().studies_open > 0 {
        assert!(Instant::now() < until, "the draft is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(dyad_kgc::status(&world.config).await.unwrap().studies_frozen, 1);
    world.stop().await;
    let deleted = world.audit().await.into_iter().filter(|(_, what)| what == "delete draft");
    let who: Vec<_> = deleted.map(|(who, _)| who).collect();
    assert_eq!(who, ["owner north", "kgc"]);
}
