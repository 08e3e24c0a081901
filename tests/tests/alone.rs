//! The two clouds alone: once a job is approved, no key centre runs. Either engine, the very bits of
//! the clear run, also when a cloud is killed in the middle of a step.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use dyad_client::job::State;
use dyad_protos::Role;
use dyad_protos::job::{Engine, Opening, Randomness};
use dyad_tests::scenario::{
    Scenario, approve_all, join, propose, the_same_model, upload_all, watch_to_the_end,
};
use dyad_tests::{Processes, Services};
use std::time::Duration;

/// One after the other: each has a machine's worth of services.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn scenario(engine: Engine, opening: Opening) -> Scenario {
    let mut scenario = Scenario {
        engine,
        randomness: Randomness::Pairwise,
        opening,
        owners: 2,
        checkpoint: 2,
        ..Scenario::new().unwrap()
    };
    scenario.training.epochs = 1;
    scenario.training.batch = 64;
    scenario.training.momentum = 0.5;
    scenario
}

/// From the approval on there is no key centre; each cloud is killed once while this step, or the
/// one behind it, is under way.
async fn played(scenario: &Scenario, kills: [(Role, u64); 2]) {
    let folder = tempfile::tempdir().unwrap();
    let mut services = Processes::start(folder.path()).await.unwrap();
    let study = join(&services, folder.path(), scenario.owners).await.unwrap();
    upload_all(&study, scenario.mode).await.unwrap();
    let prepared = propose(&study, scenario).await.unwrap();
    approve_all(&study, &prepared).await.unwrap();
    services.kill(Role::Kgc).await.unwrap();
    let job = prepared.job.digest();
    let reaping = async {
        for (who, step) in kills {
            while !study.owners[0]
                .job(&prepared.study, &job)
                .await
                .is_ok_and(|[_, status]| status.step >= step)
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            services.kill(who).await.unwrap();
            services.run(who).await.unwrap();
        }
    };
    let playing = async { tokio::join!(watch_to_the_end(&study, &prepared), reaping) };
    let (status, ()) = tokio::time::timeout(Duration::from_mins(4), playing).await.unwrap();
    let status = status.unwrap();
    assert!(status.attempts > 1, "nobody was killed in the middle: {status:?}");
    services.run(Role::Kgc).await.unwrap();
    the_same_model(&study, &prepared, &status).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_shares() {
    let _one = ONE.lock().await;
    played(&scenario(Engine::Share, Opening::Each), [(Role::C0, 2), (Role::C1, 5)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_ciphertexts() {
    let _one = ONE.lock().await;
    played(&scenario(Engine::Cipher, Opening::Joint), [(Role::C0, 3), (Role::C1, 3)]).await;
}

/// On shares such a job gives a model that is worth nothing; here its values would show, so it ends.
#[tokio::test(flavor = "multi_thread")]
async fn on_ciphertexts_a_job_that_diverges_ends_and_says_so() {
    let _one = ONE.lock().await;
    let mut scenario = scenario(Engine::Cipher, Opening::Joint);
    scenario.training.rate = Some(64.0);
    let folder = tempfile::tempdir().unwrap();
    let services = Processes::start(folder.path()).await.unwrap();
    let study = join(&services, folder.path(), scenario.owners).await.unwrap();
    upload_all(&study, scenario.mode).await.unwrap();
    let prepared = propose(&study, &scenario).await.unwrap();
    approve_all(&study, &prepared).await.unwrap();
    let watching = watch_to_the_end(&study, &prepared);
    let status = tokio::time::timeout(Duration::from_mins(4), watching).await.unwrap().unwrap();
    assert_eq!(status.state, State::Failed, "{status:?}");
    assert!(status.reason.contains("a smaller rate"), "{}", status.reason);
    assert_eq!(status.attempts, 1, "it was tried again");
}
