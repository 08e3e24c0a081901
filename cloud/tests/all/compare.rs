//! What owners have told one cloud alone comes to the other.

use crate::ONE;
use crate::common::{CLOUDS, Scene, cloud};
use dyad_client::job::{Prepared, State, Status};
use dyad_protos::Role;
use dyad_protos::consent::{APPROVED, CANCELLED, REVOKED, approval, revocation};
use dyad_protos::upload::WITHDRAWN;
use dyad_protos::wire::cloud::v1::{ApproveRequest, RevokeRequest, WithdrawRequest};
use dyad_tests::scenario::Scenario;
use std::time::{Duration, Instant};
use tonic::Code;

/// The status at this cloud, once it is so.
async fn until(
    scene: &Scene,
    prepared: &Prepared,
    role: Role,
    so: impl Fn(&Status) -> bool,
) -> Status {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let [zero, one] = scene.statuses(prepared).await;
        let status = if role == Role::C0 { zero } else { one };
        if so(&status) {
            return status;
        }
        let Status { state, reason, awaited, .. } = &status;
        assert!(Instant::now() < until, "at {role}: {state}, {reason}, awaited {awaited:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_off_at_one_cloud_is_off_at_both() {
    let _one = ONE.lock().await;
    let mut scene = Scene::new().await;
    let member = scene.owner(0);
    // Called off while C0 is away.
    let prepared = scene.propose(&Scenario::new().unwrap()).await;
    let job = prepared.job.digest();
    scene.world.stop(Role::C0).await.unwrap();
    let cancel = RevokeRequest {
        job: job.to_vec().into(),
        signature: member.sign.sign(CANCELLED, &job).0.to_vec().into(),
        ends: vec![],
    };
    cloud(&member, Role::C1).cancel(cancel.clone()).await.unwrap();
    scene.world.run(Role::C0).await.unwrap();
    let status = until(&scene, &prepared, Role::C0, |at| at.state == State::Cancelled).await;
    assert!(status.reason.contains("c1 c1 says that it is cancelled"), "{}", status.reason);
    // The owner can say it again, to both.
    for role in CLOUDS {
        cloud(&member, role).cancel(cancel.clone()).await.unwrap();
    }
    assert!(scene.audit(Role::C0).await.contains("job ended"));

    // Called off at C0 alone.
    let prepared = scene.propose(&Scenario::new().unwrap()).await;
    let job = prepared.job.digest();
    let cancel = RevokeRequest {
        job: job.to_vec().into(),
        signature: member.sign.sign(CANCELLED, &job).0.to_vec().into(),
        ends: vec![],
    };
    cloud(&member, Role::C0).cancel(cancel).await.unwrap();
    until(&scene, &prepared, Role::C1, |at| at.state == State::Cancelled).await;

    // Data are withdrawn when C0 runs the job and C1 does not: C0 had begun an attempt, and C1 died.
    let prepared = scene.propose(&Scenario::new().unwrap()).await;
    let states = "UPDATE jobs SET state = 'running' WHERE state = 'proposed'";
    scene.world.stop(Role::C1).await.unwrap();
    scene.edit(Role::C0, states).await;
    let upload = prepared.uploads.iter().find(|upload| upload.manifest.owner.as_str() == "owner-0");
    let upload = upload.unwrap().manifest.digest();
    let withdraw = WithdrawRequest {
        upload: upload.to_vec().into(),
        signature: member.sign.sign(WITHDRAWN, &upload).0.to_vec().into(),
    };
    let refused = cloud(&member, Role::C0).withdraw(withdraw.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    scene.world.run(Role::C1).await.unwrap();
    cloud(&member, Role::C1).withdraw(withdraw.clone()).await.unwrap();
    let status = until(&scene, &prepared, Role::C0, |at| at.state == State::Cancelled).await;
    assert!(status.reason.contains("an upload was withdrawn"), "{}", status.reason);
    for role in CLOUDS {
        cloud(&member, role).withdraw(withdraw.clone()).await.unwrap();
    }
    scene.world.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_is_taken_back_at_one_cloud_counts_at_neither() {
    let _one = ONE.lock().await;
    let mut scene = Scene::new().await;
    let member = scene.owner(0);
    let prepared = scene.propose(&Scenario::new().unwrap()).await;
    let job = prepared.job.digest();
    // So that nothing begins.
    scene.world.stop(Role::Kgc).await.unwrap();
    scene.approve(&prepared).await;
    let ends = vec![scene.study.owners[0].approval(&job).unwrap().unwrap().expires];
    let revoke = RevokeRequest {
        job: job.to_vec().into(),
        signature: member.sign.sign(REVOKED, &revocation(&job, &ends)).0.to_vec().into(),
        ends,
    };
    // The message to C1 is lost.
    cloud(&member, Role::C0).revoke(revoke.clone()).await.unwrap();
    let is_awaited = |at: &Status| at.awaited.iter().any(|name| name.as_str() == "owner-0");
    until(&scene, &prepared, Role::C1, is_awaited).await;
    // Another approval counts, and what was taken back is not brought up against it.
    let expires = revoke.ends[0] + 60;
    let again = ApproveRequest {
        job: job.to_vec().into(),
        expires,
        signature: member.sign.sign(APPROVED, &approval(&job, expires)).0.to_vec().into(),
    };
    for role in CLOUDS {
        cloud(&member, role).approve(again.clone()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    for status in scene.statuses(&prepared).await {
        assert!(status.awaited.is_empty(), "{:?}", status.awaited);
    }

    // C0 has begun, C1 has not, and takes the second one back.
    scene.world.stop(Role::C1).await.unwrap();
    scene.edit(Role::C0, "UPDATE jobs SET state = 'running'").await;
    let ends = vec![revoke.ends[0], expires];
    let revoke = RevokeRequest {
        job: job.to_vec().into(),
        signature: member.sign.sign(REVOKED, &revocation(&job, &ends)).0.to_vec().into(),
        ends,
    };
    let refused = cloud(&member, Role::C0).revoke(revoke.clone()).await.unwrap_err();
    assert!(refused.message().contains("running already"), "{refused:?}");
    scene.world.run(Role::C1).await.unwrap();
    cloud(&member, Role::C1).revoke(revoke.clone()).await.unwrap();
    let status = until(&scene, &prepared, Role::C0, is_awaited).await;
    assert_eq!(status.state, State::Proposed);
    cloud(&member, Role::C0).revoke(revoke).await.unwrap();
    // Signed by somebody else it is worth nothing.
    assert!(scene.audit(Role::C0).await.contains("shown by c1 c1"));
    scene.world.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_is_late_does_not_count_once_it_was_taken_back() {
    let _one = ONE.lock().await;
    let scene = Scene::new().await;
    let member = scene.owner(0);
    let prepared = scene.propose(&Scenario::new().unwrap()).await;
    let job = prepared.job.digest();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    // Another end than the owner's program gives below.
    let expires = now + 7200;
    let late = ApproveRequest {
        job: job.to_vec().into(),
        expires,
        signature: member.sign.sign(APPROVED, &approval(&job, expires)).0.to_vec().into(),
    };
    let revoke = RevokeRequest {
        job: job.to_vec().into(),
        signature: member.sign.sign(REVOKED, &revocation(&job, &[expires])).0.to_vec().into(),
        ends: vec![expires],
    };
    for role in CLOUDS {
        let mut cloud = cloud(&member, role);
        // The signature is over the ends.
        let forged = RevokeRequest { ends: vec![expires + 1], ..revoke.clone() };
        let refused = cloud.revoke(forged).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
        cloud.revoke(revoke.clone()).await.unwrap();
        let refused = cloud.approve(late.clone()).await.unwrap_err();
        assert!(refused.message().contains("taken back"), "{refused:?}");
    }
    // The owner's program names what it has given.
    scene.approve(&prepared).await;
    let given = scene.study.owners[0].approval(&job).unwrap().unwrap();
    assert_eq!(given.given, [given.expires]);
    scene.world.end().await.unwrap();
}
