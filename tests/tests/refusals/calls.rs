//! What clouds refuse, asked by owners' keys but not by an owner's program.

use crate::common::{ONE, channel, cloud, member, now, refusals, refused};
use dyad_local::{Parameters, World};
use dyad_net::member::Member;
use dyad_protos::consent::{APPROVED, CANCELLED, REVOKED, approval};
use dyad_protos::upload::{ANNOUNCED, Mode, WITHDRAWN};
use dyad_protos::wire::cloud::v1::{
    ApproveRequest, BeginRequest, JobRequest, ProposeRequest, RevokeRequest, UploadRequest,
    UploadsRequest, WithdrawRequest,
};
use dyad_protos::wire::kgc::v1::StudyRequest;
use dyad_protos::wire::peer::v1::AttemptRequest;
use dyad_protos::wire::peer::v1::auxiliary_client::AuxiliaryClient;
use dyad_protos::{Document, Hex, Job, Manifest, Role};
use dyad_tests::scenario::{Scenario, join, propose, upload_all};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn clouds_refuse_what_nobody_should_ask() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let world = World::start(path, Parameters::InsecureDemo).await.unwrap();
    let study = join(&world, path, 2).await.unwrap();
    upload_all(&study, Mode::Sealed).await.unwrap();
    let mut scenario = Scenario::new().unwrap();
    scenario.training.epochs = 200;
    let prepared = propose(&study, &scenario).await.unwrap();
    let job = prepared.job.digest();
    let frozen = &prepared.study;
    let token = world.token(Role::Owner, "stranger").await.unwrap();
    let stranger_home = path.join("stranger-home");
    dyad_net::install_provider();
    let stranger = Member::enrol(&stranger_home, &token, None, None).await.unwrap();
    let (zero, one) = (member(path, "owner-0"), member(path, "owner-1"));
    for at in [&zero, &one, &stranger] {
        at.refresh().await.unwrap();
    }
    let asked = StudyRequest { name: study.name.to_string() };
    let reply = zero.registry().unwrap().study(asked).await.unwrap().into_inner();
    let (text, signature) = (reply.text.to_vec(), reply.signature);
    assert_eq!(text, frozen.study.text());
    let upload = prepared.uploads.iter().find(|upload| upload.manifest.owner.as_str() == "owner-0");
    let upload = &upload.unwrap().manifest;

    for role in [Role::C0, Role::C1] {
        let (mut by_zero, mut by_one) = (cloud(&zero, role), cloud(&one, role));
        let mut by_stranger = cloud(&stranger, role);
        let manifest = |change: &dyn Fn(&mut Manifest)| {
            let mut manifest = upload.content().clone();
            manifest.id = Hex([9; 16]);
            change(&mut manifest);
            Document::write(&manifest).unwrap()
        };
        let begin = |manifest: &Document<Manifest>, by: &Member| BeginRequest {
            manifest: manifest.text().to_vec().into(),
            signature: by.sign.sign(ANNOUNCED, &manifest.digest()).0.to_vec().into(),
            study: text.clone().into(),
            study_signature: signature.clone(),
        };

        // An upload for a study one is not in, or in another's name, or signed by another.
        let foreign = manifest(&|manifest| manifest.owner = "stranger".parse().unwrap());
        let asked = by_stranger.begin(begin(&foreign, &stranger)).await;
        refused(asked, Code::PermissionDenied, "no member of study");
        let asked = by_one.begin(begin(&manifest(&|_| ()), &one)).await;
        refused(asked, Code::PermissionDenied, "announces an upload of owner-0");
        let asked = by_zero.begin(begin(&manifest(&|_| ()), &one)).await;
        refused(asked, Code::PermissionDenied, "no signature of owner-0");
        // A study that the key centre did not sign.
        let mut forged = begin(&manifest(&|_| ()), &zero);
        forged.study = [&text[..], b"# more\n"].concat().into();
        refused(
            by_zero.begin(forged).await,
            Code::PermissionDenied,
            "no signature of the key centre",
        );
        // A chunk for each row.
        let crumbs = manifest(&|manifest| (manifest.rows, manifest.chunk_rows) = (1 << 20, 1));
        let asked = by_zero.begin(begin(&crumbs, &zero)).await;
        refused(asked, Code::InvalidArgument, "1048576 chunks of");
        // Columns that the study does not have; another manifest under a known id.
        let odd = manifest(&|manifest| manifest.columns = vec!["shoe size".into()]);
        refused(by_zero.begin(begin(&odd, &zero)).await, Code::InvalidArgument, "`shoe size`");
        // What is quoted of it is bounded: it comes back, and is logged and kept.
        let long = manifest(&|manifest| manifest.columns = vec!["x".repeat(200_000)]);
        let status = by_zero.begin(begin(&long, &zero)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        let said = status.message().len();
        assert!(status.message().contains("xxx") && said <= 2_000, "{said} bytes");
        let other = manifest(&|manifest| {
            manifest.id = upload.id;
            manifest.rows += 1;
        });
        let asked = by_zero.begin(begin(&other, &zero)).await;
        refused(asked, Code::AlreadyExists, "announced with another manifest");

        // Another owner's data.
        let digest = upload.digest().to_vec();
        let asked = by_one.finish(UploadRequest { upload: digest.clone().into() }).await;
        refused(asked, Code::PermissionDenied, "another owner's");
        let withdraw = |by: &Member| WithdrawRequest {
            upload: digest.clone().into(),
            signature: by.sign.sign(WITHDRAWN, &upload.digest()).0.to_vec().into(),
        };
        refused(by_one.withdraw(withdraw(&one)).await, Code::PermissionDenied, "another owner's");
        refused(by_zero.withdraw(withdraw(&one)).await, Code::PermissionDenied, "no signature");
        let study_digest = frozen.study.digest().to_vec();
        let asked = by_stranger
            .uploads(UploadsRequest { study: study_digest.into(), ..Default::default() })
            .await;
        refused(asked, Code::PermissionDenied, "no member of study");
        let asked = by_stranger.job(JobRequest { job: job.to_vec().into() }).await;
        refused(asked, Code::PermissionDenied, "no member of study");

        // A used job id with another text; a job that was changed; one of another's name.
        let propose = |job: &Document<Job>, by: &Member| ProposeRequest {
            job: job.text().to_vec().into(),
            signature: by
                .sign
                .sign(dyad_protos::consent::PROPOSED, &job.digest())
                .0
                .to_vec()
                .into(),
            study: text.clone().into(),
            study_signature: signature.clone(),
        };
        let changed = |change: &dyn Fn(&mut Job)| {
            let mut job = prepared.job.content().clone();
            change(&mut job);
            Document::write(&job).unwrap()
        };
        let again = changed(&|job| job.checkpoint += 1);
        refused(by_zero.propose(propose(&again, &zero)).await, Code::AlreadyExists, "used before");
        let asked = by_one.propose(propose(&again, &one)).await;
        refused(asked, Code::PermissionDenied, "proposes a job of owner-0");
        let with = |change: &dyn Fn(&mut Job)| {
            changed(&|job| {
                job.id = Hex([7; 16]);
                change(job);
            })
        };
        // A release whose program differs.
        let asked = by_zero.propose(propose(&with(&|job| job.program = Hex([1; 32])), &zero)).await;
        refused(asked, Code::FailedPrecondition, "install the same release everywhere");
        // One whose name would write over what owners are shown when they are asked to agree.
        let named = with(&|job| job.release = "0.0.0-here".into());
        let mut forging = propose(&named, &zero);
        let text = String::from_utf8(named.text().to_vec()).unwrap();
        forging.job = text.replace("0.0.0-here", "0.0.0\\u001b[2J").into_bytes().into();
        let asked = by_zero.propose(forging).await;
        refused(asked, Code::InvalidArgument, "visible letters");
        // Rows that do not match, receipts that are not these, recipients that are nobody.
        let asked = by_zero.propose(propose(&with(&|job| job.rows_digest = Hex([1; 32])), &zero));
        refused(asked.await, Code::InvalidArgument, "rows match");
        let lacking = with(&|job| job.left_out = 3);
        let asked = by_zero.propose(propose(&lacking, &zero)).await;
        refused(asked, Code::InvalidArgument, "the job leaves 3 out");
        let receipts = with(&|job| {
            (job.uploads[0].c0, job.uploads[0].c1) = (Hex([1; 32]), Hex([1; 32]));
        });
        let asked = by_zero.propose(propose(&receipts, &zero)).await;
        refused(asked, Code::AlreadyExists, "upload it anew");
        let nobody = with(&|job| job.recipients = vec!["stranger".parse().unwrap()]);
        let asked = by_zero.propose(propose(&nobody, &zero)).await;
        refused(asked, Code::PermissionDenied, "stranger is no member");

        // Approvals: of the past, of another, by another.
        let approve = |by: &Member, expires: u64| ApproveRequest {
            job: job.to_vec().into(),
            expires,
            signature: by.sign.sign(APPROVED, &approval(&job, expires)).0.to_vec().into(),
        };
        let asked = by_zero.approve(approve(&zero, now() - 1)).await;
        refused(asked, Code::FailedPrecondition, "check the clock");
        let asked = by_zero.approve(approve(&one, now() + 60)).await;
        refused(asked, Code::PermissionDenied, "no signature of owner-0");
        let asked = by_stranger.approve(approve(&stranger, now() + 60)).await;
        refused(asked, Code::PermissionDenied, "no member of study");
        let mut moved = approve(&zero, now() + 60);
        moved.expires += 1;
        refused(by_zero.approve(moved).await, Code::PermissionDenied, "no signature of owner-0");

        // An approval that was taken back does not come back by being sent again.
        let given = approve(&zero, now() + 600);
        by_zero.approve(given.clone()).await.unwrap();
        by_zero.approve(given.clone()).await.unwrap();
        let revoke = |label, by: &Member| RevokeRequest {
            job: job.to_vec().into(),
            signature: by.sign.sign(label, &job).0.to_vec().into(),
            ends: vec![],
        };
        refused(
            by_zero.revoke(revoke(REVOKED, &one)).await,
            Code::PermissionDenied,
            "no signature",
        );
        by_zero.revoke(revoke(REVOKED, &zero)).await.unwrap();
        refused(by_zero.approve(given).await, Code::FailedPrecondition, "sign a new one");
        // Only the author cancels.
        let asked = by_one.cancel(revoke(CANCELLED, &one)).await;
        refused(asked, Code::PermissionDenied, "owner-0's to cancel");

        // The model before there is one; C0 is not asked for heads.
        let asked = by_zero.share(JobRequest { job: job.to_vec().into() }).await;
        refused(asked.map(|_| ()), Code::FailedPrecondition, "not released");
        let asked = by_zero.collect(JobRequest { job: job.to_vec().into() }).await;
        let (code, words) = match role {
            Role::C0 => (Code::NotFound, "C1 is to be asked"),
            _ => (Code::FailedPrecondition, "fetch the shares"),
        };
        refused(asked.map(|_| ()), code, words);
        assert!(by_zero.job(JobRequest { job: vec![0; 31].into() }).await.is_err());
    }

    // An owner is no C1.
    let mut auxiliary = AuxiliaryClient::new(channel(&zero, Role::C0));
    let request = AttemptRequest {
        job: job.to_vec().into(),
        nonce: vec![1; 16].into(),
        checkpoints: vec![],
        release: String::new(),
    };
    refused(auxiliary.attempt(request).await, Code::PermissionDenied, "for the role c1");

    // A job that one owner did not sign does not begin; signed, it does.
    let reviewed = study.owners[1].review(frozen, &job).await.unwrap();
    study.owners[1].approve(&reviewed, std::time::Duration::from_mins(10)).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let [at_c0, at_c1] = study.owners[0].job(frozen, &job).await.unwrap();
    for status in [at_c0, at_c1] {
        assert_eq!((status.attempts, status.awaited.len()), (0, 1), "{:?}", status.state);
    }
    let reviewed = study.owners[0].review(frozen, &job).await.unwrap();
    study.owners[0].approve(&reviewed, std::time::Duration::from_mins(10)).await.unwrap();
    for _ in 0..100 {
        let [_, status] = study.owners[0].job(frozen, &job).await.unwrap();
        if status.step > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    // It runs: approvals stay, data stay.
    let mut by_zero = cloud(&zero, Role::C1);
    let request = RevokeRequest {
        job: job.to_vec().into(),
        signature: zero.sign.sign(REVOKED, &job).0.to_vec().into(),
        ends: vec![],
    };
    refused(by_zero.revoke(request.clone()).await, Code::FailedPrecondition, "already");
    let withdraw = WithdrawRequest {
        upload: upload.digest().to_vec().into(),
        signature: zero.sign.sign(WITHDRAWN, &upload.digest()).0.to_vec().into(),
    };
    refused(by_zero.withdraw(withdraw.clone()).await, Code::FailedPrecondition, "has begun");
    // Cancelled at both, it ends; then data can be withdrawn, and are gone from both stores.
    study.owners[0].cancel(frozen, &job).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    for role in [Role::C0, Role::C1] {
        let mut by_zero = cloud(&zero, role);
        by_zero.withdraw(withdraw.clone()).await.unwrap();
        by_zero.withdraw(withdraw.clone()).await.unwrap();
        let kept = path.join(role.as_str()).join("bulk/uploads");
        let kept = kept.join(Hex(upload.digest()).to_string());
        let left = std::fs::read_dir(&kept).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{} still has files", kept.display());
    }
    // All of it was counted, by cause.
    for role in [Role::C0, Role::C1] {
        let counted = world.metrics(role).unwrap();
        for cause in ["stranger", "signature", "changed", "message", "release", "state", "data"] {
            assert!(refusals(&counted, cause) > 0, "{role} counted no {cause}:\n{counted}");
        }
    }
    world.end().await.unwrap();
}
