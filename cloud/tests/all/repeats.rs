//! C1's calls, repeated; attempts whose place another has taken. The test speaks in C1's place.

use crate::ONE;
use crate::common::{Scene, cloud, eventually};
use dyad_cloud::attempt::name;
use dyad_mpc::prg::Attempt;
use dyad_protos::consent::{APPROVED, approval};
use dyad_protos::wire::cloud::v1::ApproveRequest;
use dyad_protos::wire::peer::v1::{AttemptReply, AttemptRequest, StartRequest, TransformPart};
use dyad_protos::{Hex, Role};
use dyad_tests::scenario::Scenario;

/// Threads of C0 that work at this job, and those that they have made.
fn threads(job: &[u8; 32]) -> usize {
    let name = format!("c0-{}", &Hex(*job).to_string()[..8]);
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|comm| comm.trim() == name).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_answered_the_same_and_an_old_attempt_ends_at_once() {
    let _one = ONE.lock().await;
    if !std::path::Path::new("/proc/self/task").exists() {
        println!("SKIPPED: attempts that end at once: threads are not listed here");
        return;
    }
    let mut scene = Scene::new().await;
    let prepared = scene.propose(&Scenario::new().unwrap()).await;
    let job = prepared.job.digest();
    scene.world.stop(Role::C1).await.unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    for i in 0..2 {
        let member = scene.owner(i);
        let message = approval(&job, now + 3600);
        let approve = ApproveRequest {
            job: job.to_vec().into(),
            expires: now + 3600,
            signature: member.sign.sign(APPROVED, &message).0.to_vec().into(),
        };
        cloud(&member, Role::C0).approve(approve).await.unwrap();
    }
    let mut c0 = scene.c1();
    let begin = |nonce: u8| AttemptRequest {
        job: job.to_vec().into(),
        nonce: vec![nonce; 16].into(),
        checkpoints: vec![],
        release: String::new(),
    };
    let start = |reply: &AttemptReply, nonce: u8| {
        let nonces = [reply.nonce[..].try_into().unwrap(), [nonce; 16]];
        StartRequest { attempt: name(&Attempt { job, nonces }).to_vec().into() }
    };

    let first = c0.attempt(begin(1)).await.unwrap().into_inner();
    assert_eq!(c0.attempt(begin(1)).await.unwrap().into_inner(), first);
    let old = start(&first, 1);
    for _ in 0..2 {
        c0.start(old.clone()).await.unwrap();
    }
    assert_eq!(c0.attempt(begin(1)).await.unwrap().into_inner(), first);
    // It waits for C1, with its inputs: for a minute, if nobody told it otherwise.
    eventually("its thread runs", || threads(&job) > 0).await;
    let second = c0.attempt(begin(2)).await.unwrap().into_inner();
    assert_ne!(second.nonce, first.nonce);
    eventually("the old one is gone", || threads(&job) == 0).await;
    let standing = c0.standing(old.clone()).await.unwrap().into_inner();
    assert_eq!(standing.state, "unknown");
    for _ in 0..2 {
        let refused = c0.start(old.clone()).await.unwrap_err();
        assert!(refused.message().contains("knows no such attempt"), "{refused:?}");
        let refused = c0.attempt(begin(1)).await.unwrap_err();
        assert!(refused.message().contains("knows the attempt with this nonce no more"));
    }
    // The newer one is there, also after a chunk that is none.
    let nonces = [second.nonce[..].try_into().unwrap(), [2; 16]];
    let part = TransformPart {
        attempt: name(&Attempt { job, nonces }).to_vec().into(),
        upload: vec![0; 32].into(),
        chunk: 0,
        ciphertexts: vec![].into(),
    };
    let refused = c0.transform(tokio_stream::iter([part])).await.unwrap_err();
    assert!(refused.message().contains("no upload of this job"), "{refused:?}");
    c0.start(start(&second, 2)).await.unwrap();
    let [at_c0, _] = {
        scene.world.run(Role::C1).await.unwrap();
        scene.statuses(&prepared).await
    };
    assert_eq!(at_c0.attempts, 2);
    scene.world.end().await.unwrap();
}
