//! Stores that are put back to an older copy, on one side. Either the very bits, or a reason in
//! words; and no attempt has the nonces of another, so that no mask comes twice.

use crate::common::{ONE, approved, at_step, ends_well, some_seconds, standing, until};
use dyad_client::job::State;
use dyad_cloud::ledger::MIGRATIONS;
use dyad_node::store::{Db, sql};
use dyad_protos::Role;
use dyad_protos::job::Opening;
use dyad_protos::upload::Mode;
use dyad_tests::machine::copy_all;
use dyad_tests::scenario::{join, upload_all};
use dyad_tests::{Processes, Services as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A copy of a service's store, made while it is down.
async fn copied(services: &mut Processes, role: Role, to: &Path) -> PathBuf {
    services.kill(role).await.unwrap();
    let copy = to.join(format!("yesterday-{role}"));
    drop(std::fs::remove_dir_all(&copy));
    copy_all(&services.store(role), &copy).unwrap();
    services.run(role).await.unwrap();
    copy
}

/// The copy in place of what there is; gives what there was.
async fn set_back(services: &mut Processes, role: Role, copy: &Path) -> PathBuf {
    services.kill(role).await.unwrap();
    let (store, lost) = (services.store(role), copy.with_extension("lost"));
    drop(std::fs::remove_dir_all(&lost));
    std::fs::rename(&store, &lost).unwrap();
    copy_all(copy, &store).unwrap();
    services.run(role).await.unwrap();
    lost
}

type Nonces = (Vec<u8>, Vec<u8>);

/// Nonces of all attempts that a cloud's store knows. The store is copied first: opening it is
/// for one process at a time.
async fn attempts(store: &Path) -> BTreeSet<Nonces> {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    copy_all(store, &copy).unwrap();
    drop(std::fs::remove_file(copy.join("ledger.db.lock")));
    let url = format!("sqlite://{}/ledger.db", copy.display());
    let db = Db::open(&url, &[MIGRATIONS]).await.unwrap();
    let mut tx = db.snapshot().await.unwrap();
    let rows = sql("SELECT nonce_0, nonce_1 FROM attempts").all(&mut tx).await.unwrap();
    let nonces = rows.iter().map(|row| (row.get("nonce_0").unwrap(), row.get("nonce_1").unwrap()));
    let nonces = nonces.collect();
    tx.rollback().await;
    db.close().await;
    nonces
}

/// In the middle of the training, each of the three in turn.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_training() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut services = Processes::start(path).await.unwrap();
    let study = join(&services, path, 2).await.unwrap();
    upload_all(&study, Mode::Packed).await.unwrap();
    let prepared = approved(&study, &some_seconds(14)).await;
    // What clouds knew of attempts and lost, and what they know at the end.
    let mut lost = Vec::new();
    let mut from = 5;
    for role in [Role::C1, Role::C0, Role::Kgc] {
        at_step(&study, &prepared, from).await;
        let copy = copied(&mut services, role, path).await;
        at_step(&study, &prepared, from + 30).await;
        // One more attempt, of which the copy knows nothing.
        let other = if role == Role::C1 { Role::C0 } else { Role::C1 };
        crate::common::restart(&mut services, other).await;
        at_step(&study, &prepared, from + 60).await;
        let was = set_back(&mut services, role, &copy).await;
        if role != Role::Kgc {
            let (before, then) = (attempts(&copy).await, attempts(&was).await);
            lost.push((role, then.difference(&before).cloned().collect::<BTreeSet<_>>()));
        }
        from += 90;
    }
    let status = ends_well(&study, &prepared).await;
    println!("{} attempts", status.attempts);
    for role in [Role::C0, Role::C1] {
        services.kill(role).await.unwrap();
        let known = attempts(&services.store(role)).await;
        for (of, lost) in lost.iter().filter(|(of, _)| *of == role) {
            assert!(!lost.is_empty(), "{of} lost no attempt: nothing is shown");
            assert!(known.is_disjoint(lost), "{of} began an attempt twice");
        }
        let mut all: Vec<_> = known.into_iter().collect();
        all.extend(lost.iter().filter(|(of, _)| *of == role).flat_map(|(_, lost)| lost.clone()));
        let own = |(zero, one): &Nonces| if role == Role::C0 { zero } else { one }.clone();
        let distinct: BTreeSet<_> = all.iter().map(own).collect();
        assert_eq!(distinct.len(), all.len(), "{role} drew a nonce twice");
    }
}

/// To before an upload: who holds the copy says that it lacks it, and the owner uploads anew.
#[tokio::test(flavor = "multi_thread")]
async fn to_before_an_upload() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut services = Processes::start(path).await.unwrap();
    let study = join(&services, path, 2).await.unwrap();
    for role in [Role::C0, Role::C1] {
        let copy = copied(&mut services, role, path).await;
        upload_all(&study, Mode::Sealed).await.unwrap();
        set_back(&mut services, role, &copy).await;
        let error =
            dyad_tests::scenario::propose(&study, &some_seconds(1)).await.unwrap_err().to_string();
        println!("{role}: {error}");
        // Nothing is begun with an upload that one of them lacks.
        assert!(error.contains("upload"), "{error}");
        for owner in &study.owners {
            for upload in owner.uploads().unwrap() {
                if upload.state == dyad_client::upload::State::Finished {
                    owner.withdraw(&upload).await.unwrap();
                }
            }
        }
    }
    upload_all(&study, Mode::Sealed).await.unwrap();
    let prepared = approved(&study, &some_seconds(1)).await;
    ends_well(&study, &prepared).await;
}

/// One cloud to before the model was trained, the other not: it is said, and nothing is released of
/// two halves that do not belong together.
#[tokio::test(flavor = "multi_thread")]
async fn to_before_the_model() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut services = Processes::start(path).await.unwrap();
    let study = join(&services, path, 2).await.unwrap();
    upload_all(&study, Mode::Sealed).await.unwrap();
    for role in [Role::C0, Role::C1] {
        let prepared = approved(&study, &some_seconds(3)).await;
        at_step(&study, &prepared, 5).await;
        let copy = copied(&mut services, role, path).await;
        let released = |both: &[_; 2]| {
            both.iter().all(|status: &dyad_client::job::Status| status.state == State::Released)
        };
        until(&study, &prepared, "the release", released).await;
        set_back(&mut services, role, &copy).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let now = standing(&study, &prepared).await.unwrap();
        let fetched = study.owners[0].fetch(&prepared.study, &prepared.job.digest()).await;
        println!(
            "{role}: {:?}, {:?}",
            now.each_ref().map(|s| (s.state, &s.reason)),
            fetched.is_ok()
        );
        let Err(error) = fetched else {
            // Then it is the right one.
            ends_well(&study, &prepared).await;
            continue;
        };
        println!("{role}: {error}");
        // Both say that the other is elsewhere.
        match role {
            Role::C0 => assert!(error.to_string().contains("set back"), "{error}"),
            _ => assert!(now[1].reason.contains("at C0 the job is released"), "{now:?}"),
        }
    }
    // And what is proposed anew is trained.
    let prepared = approved(&study, &some_seconds(1)).await;
    ends_well(&study, &prepared).await;
}

/// C0 to before it signed what is to be opened jointly: nobody is told to answer.
#[tokio::test(flavor = "multi_thread")]
async fn to_before_c0_signed() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut services = Processes::start(path).await.unwrap();
    let study = join(&services, path, 2).await.unwrap();
    upload_all(&study, Mode::Sealed).await.unwrap();
    let mut scenario = some_seconds(2);
    scenario.opening = Opening::Joint;
    let prepared = approved(&study, &scenario).await;
    at_step(&study, &prepared, 5).await;
    let copy = copied(&mut services, Role::C0, path).await;
    until(&study, &prepared, "the seal", |[_, c1]| c1.state == State::Sealed).await;
    set_back(&mut services, Role::C0, &copy).await;
    let answered = study.owners[0].answer(&prepared.study, &prepared.job.digest()).await;
    let error = answered.unwrap_err().to_string();
    println!("{error}");
    assert!(error.contains("set back") && error.contains("propose a new job"), "{error}");
}
