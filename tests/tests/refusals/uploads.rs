//! Uploads that are not what they were announced as.

use crate::common::{ONE, cloud, member, now, refused};
use dyad_client::job::State;
use dyad_client::upload::Request;
use dyad_data::ReadOptions;
use dyad_local::{Parameters, World};
use dyad_net::member::Member;
use dyad_protos::consent::{APPROVED, approval};
use dyad_protos::upload::{ANNOUNCED, Mode, VERSION};
use dyad_protos::wire::cloud::v1::{ApproveRequest, BeginRequest, Chunk, Stored, UploadRequest};
use dyad_protos::wire::kgc::v1::StudyRequest;
use dyad_protos::{Document, Hex, Manifest, Role};
use dyad_tests::scenario::{Scenario, approve_all, join, propose, upload_all, watch_to_the_end};
use tonic::{Code, Status};

/// Sends chunks, and hears what is stored in the end.
async fn send(by: &Member, role: Role, chunks: Vec<Chunk>) -> Result<Option<Stored>, Status> {
    let sent = cloud(by, role).send(tokio_stream::iter(chunks)).await?;
    let (mut stored, mut acknowledged) = (None, sent.into_inner());
    while let Some(next) = acknowledged.message().await? {
        stored = Some(next);
    }
    Ok(stored)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_altered_is_refused() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let world = World::start(path, Parameters::InsecureDemo).await.unwrap();
    let study = join(&world, path, 2).await.unwrap();
    let (zero, one) = (member(path, "owner-0"), member(path, "owner-1"));
    zero.refresh().await.unwrap();
    one.refresh().await.unwrap();
    let frozen = study.owners[0].frozen_study(&study.name).await.unwrap();
    let asked = StudyRequest { name: study.name.to_string() };
    let reply = zero.registry().unwrap().study(asked).await.unwrap().into_inner();
    let columns = frozen.study.draft.columns.iter().map(|column| column.name.clone());
    let columns = columns.chain([frozen.study.draft.label.name.clone()]).collect();
    let manifest = Document::write(&Manifest {
        version: VERSION,
        id: Hex([5; 16]),
        study: Hex(frozen.study.digest()),
        owner: zero.identity.name.clone(),
        mode: Mode::Sealed,
        columns,
        rows: 80,
        chunk_rows: 40,
        file: Hex([6; 32]),
    })
    .unwrap();
    let digest = manifest.digest();
    let chunk = |index: u32, content: u8| Chunk {
        upload: digest.to_vec().into(),
        index,
        pseudonyms: (0..40 * 16)
            .map(|i| (i / 16) as u8 + 40 * index as u8)
            .collect::<Vec<_>>()
            .into(),
        sealed: vec![content; 2000].into(),
    };
    for role in [Role::C0, Role::C1] {
        let begin = BeginRequest {
            manifest: manifest.text().to_vec().into(),
            signature: zero.sign.sign(ANNOUNCED, &digest).0.to_vec().into(),
            study: reply.text.clone(),
            study_signature: reply.signature.clone(),
        };
        cloud(&zero, role).begin(begin).await.unwrap();
        // Another's; not the first one; of another size; none of this upload.
        let sent = send(&one, role, vec![chunk(0, 1)]).await;
        refused(sent, Code::PermissionDenied, "another owner's");
        let sent = send(&zero, role, vec![chunk(1, 1)]).await;
        refused(sent, Code::InvalidArgument, "comes where 0 is awaited");
        let mut short = chunk(0, 1);
        short.pseudonyms = short.pseudonyms.slice(16..);
        let sent = send(&zero, role, vec![short]).await;
        refused(sent, Code::InvalidArgument, "not one of this upload");
        let sent = send(&zero, role, vec![chunk(2, 1)]).await;
        refused(sent, Code::InvalidArgument, "not one of this upload");
        let mut nobodys = chunk(0, 1);
        nobodys.upload = vec![3; 32].into();
        refused(send(&zero, role, vec![nobodys]).await, Code::NotFound, "no such upload");
        // One that is stored stays what it is.
        assert_eq!(send(&zero, role, vec![chunk(0, 1)]).await.unwrap().unwrap().stored, 1);
        assert_eq!(send(&zero, role, vec![chunk(0, 1)]).await.unwrap().unwrap().stored, 1);
        let sent = send(&zero, role, vec![chunk(0, 2)]).await;
        refused(sent, Code::AlreadyExists, "was sent before, and was another");
        let finish = || UploadRequest { upload: digest.to_vec().into() };
        let asked = cloud(&zero, role).finish(finish()).await;
        refused(asked, Code::FailedPrecondition, "1 of 2 chunks are there");
        send(&zero, role, vec![chunk(1, 1)]).await.unwrap();
        cloud(&zero, role).finish(finish()).await.unwrap();
    }
    // Nobody sealed this: it is found when a job needs it, which fails and names whose it is.
    let mut scenario = Scenario::new().unwrap();
    scenario.training.epochs = 1;
    let prepared = propose(&study, &scenario).await.unwrap();
    // The owner's own program does not approve of what it did not upload.
    let error = approve_all(&study, &prepared).await.unwrap_err().to_string();
    assert!(error.contains("Do not approve it"), "{error}");
    let (job, expires) = (prepared.job.digest(), now() + 600);
    for role in [Role::C0, Role::C1] {
        let approve = ApproveRequest {
            job: job.to_vec().into(),
            expires,
            signature: zero.sign.sign(APPROVED, &approval(&job, expires)).0.to_vec().into(),
        };
        cloud(&zero, role).approve(approve).await.unwrap();
    }
    let watching = tokio::time::timeout(
        std::time::Duration::from_secs(30),
        watch_to_the_end(&study, &prepared),
    );
    let status = match watching.await.expect("it ends") {
        Ok(status) => (status.state, status.reason),
        Err(error) => (State::Failed, error.to_string()),
    };
    println!("{status:?}");
    assert_eq!(status.0, State::Failed);
    assert!(status.1.contains("owner-0"), "{}", status.1);

    // What an owner sends and a cloud gets otherwise shows in the receipt, before it counts.
    upload_all(&study, Mode::Sealed).await.unwrap();

    // Cells that two owners bring: it is said whose, and how many.
    let (_, file) = study.files.iter().find(|(owner, _)| *owner == 0).unwrap();
    let rows = std::fs::read_to_string(file).unwrap().lines().count() - 1;
    let request =
        Request { study: &study.name, file, mode: Mode::Sealed, options: ReadOptions::default() };
    study.owners[1].upload(&request, &|_, _, _| {}).await.unwrap();
    let error = propose(&study, &scenario).await.unwrap_err().to_string();
    println!("{error}");
    assert!(error.contains("owner-0 and owner-1 both have column"), "{error}");
    assert!(error.contains(&format!("in {rows} rows")), "{rows}: {error}");
    world.end().await.unwrap();
}
