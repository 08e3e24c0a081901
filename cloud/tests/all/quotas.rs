//! What one owner may take, up to the limit and no further; messages that are too large.

use crate::ONE;
use crate::common::{CLOUDS, Scene, cloud};
use dyad_client::job::State;
use dyad_client::upload::Request;
use dyad_data::ReadOptions;
use dyad_protos::consent::PROPOSED;
use dyad_protos::limits::MESSAGE;
use dyad_protos::upload::Mode;
use dyad_protos::wire::cloud::v1::{BeginRequest, Chunk, MatchRequest, ProposeRequest};
use dyad_protos::wire::kgc::v1::StudyRequest;
use dyad_protos::{Document, Hex, Job, Role};
use dyad_tests::scenario::Scenario;
use tonic::Code;

async fn restart(scene: &mut Scene, role: Role, change: impl Fn(&mut dyad_cloud::quota::Limits)) {
    scene.world.stop(role).await.unwrap();
    change(&mut scene.world.cloud(role).unwrap().limits);
    scene.world.run(role).await.unwrap();
}

/// Uploads the first file of owner 0 once more, without so many of its last rows: an upload of its
/// own.
async fn upload(scene: &Scene, without: usize) -> Result<(), String> {
    let (owner, file) = &scene.study.files[0];
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let file = scene.path().join(format!("without-{without}.csv"));
    std::fs::write(&file, lines[..lines.len() - without].join("\n")).unwrap();
    let options = ReadOptions::default();
    let request = Request { study: &scene.study.name, file: &file, mode: Mode::Sealed, options };
    let done = scene.study.owners[*owner].upload(&request, &|_, _, _| {}).await;
    done.map(drop).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_has_so_much_room_and_no_more() {
    let _one = ONE.lock().await;
    let mut scene = Scene::new().await;
    let owner = scene.study.files[0].0;
    assert_eq!(owner, 0);
    let own = scene.study.owners[0].uploads().unwrap();
    let has = own.len() as u32;

    // One more is allowed, and not two.
    for role in CLOUDS {
        restart(&mut scene, role, |limits| limits.uploads = has + 1).await;
    }
    upload(&scene, 1).await.unwrap();
    let refused = upload(&scene, 2).await.unwrap_err();
    // Both are asked at once, and whichever refuses first is heard.
    let full = |role: &Role| {
        refused.contains(&format!("owner-0 has {} uploads in study study at {role}", has + 1))
    };
    let by = CLOUDS.into_iter().find(full).expect(&refused);
    assert!(refused.contains("(limits.uploads)"), "{refused}");
    assert_eq!(scene.counted(by, "dyad_refusals_total", "cause=\"limit\""), 1);
    // Withdrawn ones do not count.
    let mut withdrawn = 0;
    for newer in scene.study.owners[0].uploads().unwrap() {
        if own.iter().all(|o| o.digest() != newer.digest()) {
            // The one that was refused is nothing yet where it was.
            withdrawn += u32::from(scene.study.owners[0].withdraw(&newer).await.is_ok());
        }
    }
    assert!(withdrawn > 0);
    upload(&scene, 3).await.unwrap();

    // Bytes, at C1: what is there fits, one more of its size does not.
    let kept = scene.path().join("c1/bulk/uploads");
    let bytes: u64 = crate::common::files(&kept).iter().map(|f| f.metadata().unwrap().len()).sum();
    restart(&mut scene, Role::C0, |limits| limits.uploads = 100).await;
    restart(&mut scene, Role::C1, |limits| {
        limits.uploads = 100;
        limits.bytes = bytes;
    })
    .await;
    let mut room = 0;
    let refused = loop {
        match upload(&scene, 4 + room).await {
            Ok(()) => room += 1,
            Err(refused) => break refused,
        }
        assert!(room < 10, "it never ends");
    };
    assert!(refused.contains("(limits.bytes)") && refused.contains("at c1 c1"), "{refused}");

    // Jobs that are not over.
    for role in CLOUDS {
        restart(&mut scene, role, |limits| limits.jobs = 1).await;
    }
    for upload in scene.study.owners[0].uploads().unwrap() {
        if own.iter().all(|o| o.digest() != upload.digest()) {
            // Those that were refused at one cloud are nothing yet: they go as well.
            drop(scene.study.owners[0].withdraw(&upload).await);
        }
    }
    let scenario = Scenario::new().unwrap();
    let first = scene.propose(&scenario).await;
    let second = dyad_tests::scenario::propose(&scene.study, &scenario).await.unwrap_err();
    let second = format!("{second:#}");
    assert!(second.contains("owner-0 has 1 jobs") && second.contains("(limits.jobs)"), "{second}");
    // That is said before all that takes long is looked at, its program among it.
    let job = Job { id: Hex([7; 16]), program: Hex([0; 32]), ..first.job.content().clone() };
    let job = Document::write(&job).unwrap();
    let zero = scene.owner(0);
    let asked = StudyRequest { name: first.study.study.draft.name.to_string() };
    let frozen = zero.registry().unwrap().study(asked).await.unwrap().into_inner();
    let propose = ProposeRequest {
        job: job.text().to_vec().into(),
        signature: zero.sign.sign(PROPOSED, &job.digest()).0.to_vec().into(),
        study: frozen.text,
        study_signature: frozen.signature,
    };
    for role in CLOUDS {
        let refused = cloud(&zero, role).propose(propose.clone()).await.unwrap_err();
        assert!(refused.message().contains("(limits.jobs)"), "{refused:?}");
    }
    // Many matchings at a time are not begun, and are told as passing.
    let uploads = first.uploads.iter().map(|upload| upload.manifest.digest().to_vec().into());
    let study = first.study.study.digest().to_vec().into();
    let request = MatchRequest { study, uploads: uploads.collect() };
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let cloud = cloud(&zero, Role::C1);
        for _ in 0..25 {
            let (mut cloud, request) = (cloud.clone(), request.clone());
            asking.spawn(async move { cloud.r#match(request).await });
        }
    }
    let mut busy = 0;
    while let Some(answer) = asking.join_next().await {
        if let Err(status) = answer.unwrap() {
            assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
            assert!(status.message().contains("busy, try again"), "{status:?}");
            busy += 1;
        }
    }
    assert!((1..100).contains(&busy), "{busy}");
    assert_eq!(scene.counted(Role::C1, "dyad_refusals_total", "cause=\"busy\""), busy);

    let job = first.job.digest();
    scene.study.owners[0].cancel(&first.study, &job).await.unwrap();
    scene.until_state(&first, State::Cancelled).await;
    scene.propose(&scenario).await;
    scene.world.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_take_no_larger_messages_than_they_need() {
    let _one = ONE.lock().await;
    let scene = Scene::new().await;
    let mut by_zero = cloud(&scene.owner(0), Role::C1).max_encoding_message_size(64 << 20);
    let request = |bytes: usize| BeginRequest {
        manifest: vec![b'#'; bytes].into(),
        signature: vec![].into(),
        study: vec![].into(),
        study_signature: vec![].into(),
    };
    let status = by_zero.begin(request(MESSAGE + 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    let status = by_zero.begin(request(MESSAGE - 100)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    // A chunk may be larger than that, but not than its values need.
    let upload = scene.study.owners[0].uploads().unwrap()[0].digest();
    let chunk = Chunk {
        upload: upload.to_vec().into(),
        index: 0,
        pseudonyms: vec![].into(),
        sealed: vec![0; MESSAGE + 1].into(),
    };
    let mut answers = by_zero.send(tokio_stream::iter([chunk])).await.unwrap().into_inner();
    let status = answers.message().await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert!(status.message().contains("where its values need"), "{status:?}");
    scene.world.end().await.unwrap();
}
