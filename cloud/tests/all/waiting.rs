//! Jobs that wait for somebody who never comes hold nobody up.

use crate::ONE;
use crate::common::{CLOUDS, Scene, eventually};
use dyad_client::job::State;
use dyad_protos::Role;
use dyad_protos::job::Opening;
use dyad_tests::scenario::Scenario;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_nobody_answers_counts_no_more_and_ends() {
    let _one = ONE.lock().await;
    let mut scene = Scene::new().await;
    for role in CLOUDS {
        scene.world.stop(role).await.unwrap();
        scene.world.cloud(role).unwrap().limits.jobs = 1;
        scene.world.run(role).await.unwrap();
    }
    let scenario = Scenario { opening: Opening::Joint, ..Scenario::new().unwrap() };
    let sealed = scene.propose(&scenario).await;
    let job = sealed.job.digest();
    scene.approve(&sealed).await;
    scene.until_state(&sealed, State::Sealed).await;
    // It cannot be cancelled any more: it is not in the way of another.
    scene.study.owners[0].cancel(&sealed.study, &job).await.unwrap_err();
    let next = scene.propose(&scenario).await;

    // For as long as the cloud is told, and no longer.
    let at_c1 = scene.bulk(Role::C1, &job);
    assert!(at_c1.exists());
    scene.study.owners[0].answer(&sealed.study, &job).await.unwrap();
    // From when on it rests is written down within a second.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    scene.edit(Role::C1, "UPDATE ran SET seconds = seconds + 31 * 86400").await;
    let status = scene.until_state(&sealed, State::Failed).await;
    assert!(status.reason.contains("not all members answered within 30 days"), "{}", status.reason);
    eventually("nothing is left of it", || !at_c1.exists()).await;
    let late = scene.study.owners[1].answer(&sealed.study, &job).await.unwrap_err().to_string();
    assert!(late.contains("failed"), "{late}");
    assert_eq!(scene.statuses(&next).await[1].state, State::Proposed);
    scene.world.end().await.unwrap();
}
