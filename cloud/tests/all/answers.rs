//! Answers to a joint release: what can be seen to be wrong is refused at once; what only a recipient
//! sees can be mended by answering anew.

use crate::ONE;
use crate::common::{Scene, cloud, files};
use dyad_client::job::State;
use dyad_protos::Role;
use dyad_protos::job::Opening;
use dyad_protos::wire::cloud::v1::{AnswerPart, JobRequest};
use dyad_tests::scenario::Scenario;
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn a_spoilt_answer_is_refused_or_mended() {
    let _one = ONE.lock().await;
    let scene = Scene::new().await;
    let scenario = Scenario { opening: Opening::Joint, ..Scenario::new().unwrap() };
    let prepared = scene.propose(&scenario).await;
    let job = prepared.job.digest();
    scene.approve(&prepared).await;
    scene.until_state(&prepared, State::Sealed).await;
    let (member, [zero, one]) = (scene.owner(1), [&scene.study.owners[0], &scene.study.owners[1]]);
    let mut by_one = cloud(&member, Role::C1);
    // As many parts as there are of the heads.
    let mut heads = by_one.heads(JobRequest { job: job.to_vec().into() }).await.unwrap();
    let first = heads.get_mut().message().await.unwrap().unwrap();
    let parts = first.parts;
    let count = u32::from_le_bytes(first.content[..4].try_into().unwrap()) as usize;
    let part = |recipient: &str, index, parts, bytes: usize| AnswerPart {
        job: job.to_vec().into(),
        recipient: recipient.to_owned(),
        index,
        parts,
        sealed: vec![7; bytes].into(),
    };
    // About what a partial decryption of 2048 or 3072 bits has.
    let bits = dyad_bcp::PublicParams::from_bytes(&member.params).unwrap().size().bits();
    let right = 48 + 4 + count * (bits / 2 + 84);
    let at_c1 = scene.bulk(Role::C1, &job);
    let before = files(&at_c1);
    for (spoilt, words) in [
        (vec![], "an empty answer"),
        (vec![part("owner-0", 0, parts + 1, right)], "of 1 is awaited"),
        (vec![part("owner-0", 1, parts, right)], "part 1 of 1 where 0 of 1"),
        (vec![part("owner-0", 0, parts, 100)], "cannot have"),
        (vec![part("owner-0", 0, parts, 4 << 20)], "cannot have"),
        (vec![part("owner-0", 0, parts, right), part("owner-0", 1, parts, right)], "awaited"),
        (vec![part("owner-0", 0, parts, right), part("owner-1", 0, parts, right)], "awaited"),
    ] {
        let status = by_one.answer(tokio_stream::iter(spoilt)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains(words), "{words}: {}", status.message());
    }
    let stranger = vec![part("stranger", 0, parts, right)];
    let status = by_one.answer(tokio_stream::iter(stranger)).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    // Nothing of them stays, and nothing counts.
    assert_eq!(files(&at_c1), before);
    assert_eq!(scene.until_state(&prepared, State::Sealed).await.answers_awaited.len(), 2);

    // Of the right form and without sense: only the recipient sees it, after the release.
    zero.answer(&prepared.study, &job).await.unwrap();
    for recipient in ["owner-0", "owner-1"] {
        let garbage = vec![part(recipient, 0, parts, right)];
        by_one.answer(tokio_stream::iter(garbage)).await.unwrap();
    }
    scene.until_state(&prepared, State::Released).await;
    let failed = zero.fetch(&prepared.study, &job).await.unwrap_err().to_string();
    assert!(failed.contains("owner-1 must run `dyad model answer` again"), "{failed}");
    let before = files(&at_c1).len();
    one.answer(&prepared.study, &job).await.unwrap();
    assert_eq!(files(&at_c1).len(), before, "the spoilt one is gone");
    let models = [zero.fetch(&prepared.study, &job).await, one.fetch(&prepared.study, &job).await];
    let [ours, theirs] = models.map(Result::unwrap);
    assert_eq!(ours, theirs);
    assert!(scene.audit(Role::C1).await.contains("model answered anew"));
    scene.world.end().await.unwrap();
}
