//! A model is for those whom the job names, and what is released is signed once, by both clouds.

use crate::common::{ONE, channel, cloud, member, refused};
use dyad_client::job::State;
use dyad_cloud::ledger::MIGRATIONS;
use dyad_local::{Parameters, World};
use dyad_net::member::Member;
use dyad_node::store::{Db, StoreError, sql};
use dyad_protos::Role;
use dyad_protos::job::Opening;
use dyad_protos::upload::Mode;
use dyad_protos::wire::cloud::v1::JobRequest;
use dyad_protos::wire::peer::v1::auxiliary_client::AuxiliaryClient;
use dyad_protos::wire::peer::v1::{Checkpoint, SealRequest, SignRequest};
use dyad_tests::scenario::{Scenario, approve_all, join, propose, upload_all, watch_to_the_end};
use std::path::Path;
use std::time::{Duration, Instant};
use tonic::Code;

/// A cloud's ledger while the cloud is down.
async fn ledger(folder: &Path, role: Role) -> Db {
    let file = folder.join(role.as_str()).join("ledger.db");
    let url = format!("sqlite://{}", file.display());
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        // What it had begun may go on for a moment after it has stopped.
        match Db::open(&url, &[MIGRATIONS]).await {
            Err(StoreError::InUse { .. }) if Instant::now() < patience => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other => return other.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn for_recipients_alone_and_signed_once() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut world = World::start(path, Parameters::InsecureDemo).await.unwrap();
    let study = join(&world, path, 2).await.unwrap();
    upload_all(&study, Mode::Sealed).await.unwrap();
    let (zero, one) = (member(path, "owner-0"), member(path, "owner-1"));
    zero.refresh().await.unwrap();
    one.refresh().await.unwrap();
    for opening in [Opening::Each, Opening::Joint] {
        let mut scenario = Scenario { opening, ..Scenario::new().unwrap() };
        scenario.training.epochs = 1;
        scenario.recipients = vec![zero.identity.name.clone()];
        let prepared = propose(&study, &scenario).await.unwrap();
        approve_all(&study, &prepared).await.unwrap();
        let status = watch_to_the_end(&study, &prepared).await.unwrap();
        assert_eq!(status.state, State::Released, "{}", status.reason);
        let (frozen, job) = (&prepared.study, prepared.job.digest());
        let model = study.owners[0].fetch(frozen, &job).await.unwrap();

        // A member, and even an owner of data, but no recipient.
        let error = study.owners[1].fetch(frozen, &job).await.unwrap_err().to_string();
        assert!(error.contains("owner-1 is no recipient"), "{error}");
        let asked = || JobRequest { job: job.to_vec().into() };
        for role in [Role::C0, Role::C1] {
            let share = cloud(&one, role).share(asked()).await.map(|_| ());
            refused(share, Code::PermissionDenied, "owner-1 is no recipient");
        }
        let collected = cloud(&one, Role::C1).collect(asked()).await.map(|_| ());
        refused(collected, Code::PermissionDenied, "owner-1 is no recipient");
        // Each way of release has its calls, and no other.
        let other = match opening {
            Opening::Each => cloud(&zero, Role::C1).collect(asked()).await.map(|_| ()),
            Opening::Joint => cloud(&zero, Role::C0).share(asked()).await.map(|_| ()),
        };
        refused(other, Code::FailedPrecondition, "this model is");
        // Answers are awaited no more, or never were.
        if opening == Opening::Each {
            let heads = cloud(&zero, Role::C1).heads(asked()).await.map(|_| ());
            refused(heads, Code::FailedPrecondition, "no answer is needed");
        }

        // C1 itself, with its keys, cannot have C0 sign another release of this job.
        world.stop(Role::C1).await.unwrap();
        let db = ledger(path, Role::C1).await;
        let mut tx = db.begin().await.unwrap();
        let query = "SELECT nonce_0, nonce_1, step FROM checkpoints WHERE job = $1 ORDER BY step";
        let rows = sql(query).bind(&job[..]).all(&mut tx).await.unwrap();
        let (n_0, n_1): (Vec<u8>, Vec<u8>) = {
            let last = rows.last().unwrap();
            (last.get("nonce_0").unwrap(), last.get("nonce_1").unwrap())
        };
        let step: i64 = rows.last().unwrap().get("step").unwrap();
        let named = Checkpoint { nonces: vec![n_0.into(), n_1.into()], step: step as u64 };
        let c1 = Member::load(&path.join("c1/keys"), None).unwrap();
        c1.refresh().await.unwrap();
        let mut c0 = AuxiliaryClient::new(channel(&c1, Role::C0));
        let sign = |release: &[u8; 32], model: &Checkpoint| SignRequest {
            job: job.to_vec().into(),
            model: Some(model.clone()),
            release: release.to_vec().into(),
        };
        // The same again is the same again.
        let signed = c0.sign(sign(&model.release.0, &named)).await.unwrap().into_inner();
        let over = "at C0 the job is released";
        refused(c0.sign(sign(&[9; 32], &named)).await, Code::FailedPrecondition, over);
        let older = Checkpoint { step: named.step - 1, ..named.clone() };
        let again = c0.sign(sign(&model.release.0, &older)).await.unwrap().into_inner();
        assert_eq!(again.signature, signed.signature, "of the release, whatever model is named");
        let seal = SealRequest { job: job.to_vec().into(), model: Some(older) };
        let words = match opening {
            Opening::Each => "released to each recipient",
            Opening::Joint => over,
        };
        refused(c0.seal(seal).await.map(|_| ()), Code::FailedPrecondition, words);
        // Nor does an owner get it, or another with C1's role in mind.
        let mut by_owner = AuxiliaryClient::new(channel(&zero, Role::C0));
        let asked = by_owner.sign(sign(&[9; 32], &named)).await;
        refused(asked, Code::PermissionDenied, "for the role c1");

        // A release that C0 did not sign is none for owners.
        let right: Vec<u8> = {
            let query = "SELECT release_peer_signature FROM jobs WHERE digest = $1";
            let row = sql(query).bind(&job[..]).one(&mut tx).await.unwrap();
            row.get("release_peer_signature").unwrap()
        };
        let mut wrong = right.clone();
        wrong[7] ^= 1;
        let change = "UPDATE jobs SET release_signature = $1 WHERE digest = $2";
        sql(change).bind(wrong).bind(&job[..]).execute(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        db.close().await;
        world.run(Role::C1).await.unwrap();
        let error = study.owners[0].fetch(frozen, &job).await.unwrap_err().to_string();
        println!("{opening:?}: {error}");
        assert!(error.contains("sign"), "{error}");
    }
    world.end().await.unwrap();
}
