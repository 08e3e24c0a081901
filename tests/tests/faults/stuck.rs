//! What is stuck keeps nothing else up.

use crate::common::{ONE, ends_well, some_seconds, until};
use dyad_client::job::State;
use dyad_protos::upload::Mode;
use dyad_protos::{Hex, Role};
use dyad_tests::scenario::{Study, approve_all, found, join, propose, upload_all};
use dyad_tests::{Processes, Services as _, command};
use std::time::Duration;

/// A job runs once something is dealt to it, and not before: until then owners may change their
/// minds, and an approval that ends meanwhile is asked for again, not the end of the job.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_for_which_the_key_centre_is_away() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut services = Processes::start(path).await.unwrap();
    let study = join(&services, path, 2).await.unwrap();
    upload_all(&study, Mode::Sealed).await.unwrap();
    let prepared = propose(&study, &some_seconds(1)).await.unwrap();
    let (frozen, job) = (&prepared.study, prepared.job.digest());
    services.kill(Role::Kgc).await.unwrap();

    approve_all(&study, &prepared).await.unwrap();
    let tried = until(&study, &prepared, "an attempt", |[_, c1]| c1.reason.contains("kgc")).await;
    assert_eq!(tried.map(|status| status.state), [State::Approved; 2]);
    study.owners[1].revoke(frozen, &job).await.unwrap();
    let all =
        |state| move |both: &[dyad_client::job::Status; 2]| both.iter().all(|s| s.state == state);
    until(&study, &prepared, "the revocation", all(State::Proposed)).await;

    let reviewed = study.owners[1].review(frozen, &job).await.unwrap();
    study.owners[1].approve(&reviewed, Duration::from_secs(4)).await.unwrap();
    until(&study, &prepared, "the approval's end", all(State::Proposed)).await;
    services.run(Role::Kgc).await.unwrap();
    approve_all(&study, &prepared).await.unwrap();
    ends_well(&study, &prepared).await;
}

/// C1 has other keys than a study was frozen with: that one is stuck for ever, with its jobs.
/// Others are driven, and owners find them.
#[tokio::test(flavor = "multi_thread")]
async fn a_study_of_keys_that_are_lost() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut services = Processes::start(path).await.unwrap();
    let old = join(&services, path, 2).await.unwrap();
    upload_all(&old, Mode::Sealed).await.unwrap();
    let mut stuck = Vec::new();
    for _ in 0..3 {
        stuck.push(propose(&old, &some_seconds(1)).await.unwrap().job.digest());
    }
    let first = *stuck.iter().min().unwrap();

    services.kill(Role::C1).await.unwrap();
    services.call(Role::Kgc, &["revoke", "c1", "c1"]).await.unwrap();
    std::fs::remove_dir_all(services.store(Role::C1).join("keys")).unwrap();
    let token = services.token(Role::C1, "c1").await.unwrap();
    services.call(Role::C1, &["enrol", "--token", &token]).await.unwrap();
    services.run(Role::C1).await.unwrap();
    // C0 hears of it within its `refresh`.
    tokio::time::sleep(Duration::from_secs(2)).await;

    let name = "study-two".parse().unwrap();
    let schema = old.sample.schema.draft().to_toml();
    found(&old.owners, &name, &schema).await.unwrap();
    let new = Study { name, ..old };
    upload_all(&new, Mode::Sealed).await.unwrap();
    // C1 looks at jobs in the order of their digests: one that comes behind one that is stuck.
    let mut behind = None;
    for _ in 0..10 {
        let prepared = propose(&new, &some_seconds(1)).await.unwrap();
        if prepared.job.digest() > first {
            behind = Some(prepared);
            break;
        }
        new.owners[0].cancel(&prepared.study, &prepared.job.digest()).await.unwrap();
    }
    let prepared = behind.unwrap();
    approve_all(&new, &prepared).await.unwrap();
    ends_well(&new, &prepared).await;

    // Owners look at all their studies, in the order of the names.
    let digits = Hex(prepared.job.digest()).to_string();
    let (_, found) = new.owners[0].job_named(&digits).await.unwrap();
    assert_eq!(found, prepared.job.digest());
    let error = new.owners[0].job_named(&Hex(first).to_string()).await.unwrap_err().to_string();
    assert!(error.contains("a new study may be needed"), "{error}");
    let listed = command::dyad(&path.join("owner-0"), &["job", "list"]).unwrap();
    let listed = { listed }.output().await.unwrap();
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    assert!(text.contains(&digits[..8]) && text.contains("study-two"), "{text}");
    assert!(text.contains("not looked at: study study was frozen with"), "{text}");
}
