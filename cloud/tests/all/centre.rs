//! What the key centre refuses for good ends a job; that it is away is waited out.

use crate::ONE;
use crate::common::{CLOUDS, Scene, eventually};
use dyad_client::job::State;
use dyad_node::series;
use dyad_protos::Role;
use dyad_tests::scenario::Scenario;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn its_silence_is_waited_out_and_its_refusal_is_final() {
    let _one = ONE.lock().await;
    let mut scene = Scene::new().await;
    let waits = scene.propose(&Scenario::new().unwrap()).await;
    let never = scene.propose(&Scenario::new().unwrap()).await;
    scene.world.stop(Role::Kgc).await.unwrap();
    scene.approve(&waits).await;
    let status = scene.until(&waits, |status| status.reason.contains("cannot reach")).await;
    assert!(matches!(status.state, State::Approved | State::Running), "{:?}", status.state);
    // Tried again and again; what the job says of its rows is looked at no more.
    let matchings = |scene: &Scene| CLOUDS.map(|role| scene.counted(role, series::MATCHINGS, ""));
    let before = matchings(&scene);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(matchings(&scene), before);
    assert!(before.iter().all(|count| *count > 0));
    scene.world.run(Role::Kgc).await.unwrap();
    scene.until_state(&waits, State::Released).await;
    // Both clouds say that it is over: its secret goes.
    let secrets = scene.path().join("kgc/jobs");
    eventually("the job's secret is destroyed", || {
        std::fs::read_dir(&secrets).unwrap().count() == 0
    })
    .await;

    scene.world.stop(Role::Kgc).await.unwrap();
    scene.approve(&never).await;
    let one = "owner-1".parse().unwrap();
    dyad_kgc::revoke(scene.world.kgc(), Role::Owner, &one).await.unwrap();
    scene.world.run(Role::Kgc).await.unwrap();
    let status = scene.until_state(&never, State::Failed).await;
    assert!(status.reason.contains("owner owner-1 is enrolled no more"), "{}", status.reason);
    let [at_c0, _] = scene.statuses(&never).await;
    assert_eq!(at_c0.state, State::Failed);
    assert!(at_c0.reason.contains("gave it up"), "{}", at_c0.reason);
    for role in CLOUDS {
        let job = never.job.digest();
        eventually("nothing of it is left", || !scene.bulk(role, &job).exists()).await;
    }
    scene.world.end().await.unwrap();
}
