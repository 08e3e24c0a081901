//! What an owner is told: of approvals that come too late, of uploads that a cloud has lost, of a
//! model that is not the one the others got; and what one owner can take of a cloud.

use crate::ONE;
use crate::common::{CLOUDS, Scene, cloud, ledger};
use dyad_client::job::State;
use dyad_client::model::Compared;
use dyad_client::upload::{Own, Request};
use dyad_client::{Access, Client, Home};
use dyad_cloud::sending::PLACES_OF_ONE;
use dyad_data::ReadOptions;
use dyad_net::contexts;
use dyad_net::seal::{SealPublic, seal};
use dyad_protos::codec::{read_all, write_each};
use dyad_protos::job::{Engine, Opening, Randomness};
use dyad_protos::upload::Mode;
use dyad_protos::wire::cloud::v1::{AnswerPart, Chunk, JobRequest};
use dyad_protos::{Hex, Name, Role};
use dyad_tests::scenario::Scenario;
use num_bigint::BigUint;
use std::path::Path;
use std::time::Duration;
use tonic::Code;

const ACCESS: Access<'static> = Access { passphrase: None, insecure_demo: true };

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_owner_has_few_streams_and_keeps_nobody_up() {
    let _one = ONE.lock().await;
    let scene = Scene::new().await;
    let mut by_zero = cloud(&scene.owner(0), Role::C1);
    let mut unread = Vec::new();
    for _ in 0..PLACES_OF_ONE {
        let (sender, silent) = tokio::sync::mpsc::channel::<Chunk>(1);
        let silent = tokio_stream::wrappers::ReceiverStream::new(silent);
        unread.push((by_zero.send(silent).await.unwrap(), sender));
    }
    let refused = by_zero.send(tokio_stream::pending()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(refused.message().contains("as many as one owner may"), "{refused:?}");
    // Another owner is not kept waiting.
    let (_, file) = scene.study.files.iter().find(|(owner, _)| *owner == 1).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let shorter = scene.path().join("shorter.csv");
    let lines: Vec<_> = text.lines().collect();
    std::fs::write(&shorter, lines[..lines.len() - 1].join("\n")).unwrap();
    let (options, mode) = (ReadOptions::default(), Mode::Sealed);
    let request = Request { study: &scene.study.name, file: &shorter, mode, options };
    let uploading = scene.study.owners[1].upload(&request, &|_, _, _| {});
    tokio::time::timeout(Duration::from_mins(1), uploading).await.expect("in time").unwrap();
    // Places come back when the streams end.
    drop(unread);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while by_zero.send(tokio_stream::empty()).await.is_err() {
        assert!(std::time::Instant::now() < until, "no place comes back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    scene.world.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_told_what_is_true() {
    let _one = ONE.lock().await;
    let mut scene = Scene::new().await;
    let scenario = Scenario::new().unwrap();
    let hour = Duration::from_hours(1);

    // An approval that comes when the author has called the job off.
    let prepared = scene.propose(&scenario).await;
    let job = prepared.job.digest();
    let [zero, one] = [&scene.study.owners[0], &scene.study.owners[1]];
    let reviewed = one.review(&prepared.study, &job).await.unwrap();
    zero.cancel(&prepared.study, &job).await.unwrap();
    let late = one.approve(&reviewed, hour).await.unwrap_err().to_string();
    assert!(late.contains("the job is cancelled at c0"), "{late}");
    assert!(one.approval(&job).unwrap().unwrap().revoked, "it is not kept as given");

    // One that comes when the job has run with another.
    let prepared = scene.propose(&scenario).await;
    let job = prepared.job.digest();
    let reviewed = one.review(&prepared.study, &job).await.unwrap();
    scene.approve(&prepared).await;
    let given = one.approval(&job).unwrap().unwrap();
    scene.until_state(&prepared, State::Released).await;
    let late = one.approve(&reviewed, 2 * hour).await.unwrap_err().to_string();
    assert!(late.contains("too late and was not kept"), "{late}");
    let kept = one.approval(&job).unwrap().unwrap();
    assert_eq!((kept.expires, kept.revoked), (given.expires, false));

    // A copy of the keys, and of nothing else that is known of uploads.
    let upload = zero.uploads().unwrap()[0].clone();
    let elsewhere = scene.path().join("elsewhere");
    for folder in ["member", "studies"] {
        copy(&scene.path().join("owner-0").join(folder), &elsewhere.join(folder));
    }
    let there = Client::open(Home::at(&elsewhere), &ACCESS).unwrap();
    assert!(there.uploads().unwrap().is_empty());
    let digits = Hex(upload.digest()).to_string();
    assert!(there.upload_named("none").await.is_err());
    assert!(one.upload_named(&digits).await.is_err(), "another owner's");
    let own = there.upload_named(&digits[..8]).await.unwrap();
    assert_eq!(own, Own { file: None, ..Own::of(&upload) });
    there.withdraw_own(&own).await.unwrap();
    for role in CLOUDS {
        let left = scene.path().join(role.as_str()).join("bulk/uploads").join(&digits);
        assert!(!left.exists(), "{role}");
    }
    // Here, where it was made, nobody knows yet: it is said, by whoever needs it, and can be mended.
    let lost = dyad_tests::scenario::propose(&scene.study, &scenario).await.unwrap_err();
    let lost = format!("{lost:#}");
    assert!(lost.contains(&format!("c0 and c1 had signed for upload {}", &digits[..8])), "{lost}");
    assert!(lost.contains("dyad withdraw") && lost.contains("upload the file anew"), "{lost}");
    let (options, mode) = (ReadOptions::default(), Mode::Sealed);
    let request = Request { study: &scene.study.name, file: &upload.file, mode, options };
    let again = zero.upload(&request, &|_, _, _| {}).await.unwrap_err().to_string();
    assert!(again.contains("had signed for upload"), "{again}");
    zero.withdraw(&upload).await.unwrap();
    zero.upload(&request, &|_, _, _| {}).await.unwrap();

    // One cloud alone has lost an upload of another owner: the error says which.
    let upload = one.uploads().unwrap()[0].clone();
    scene.world.stop(Role::C1).await.unwrap();
    let db = ledger(scene.path(), Role::C1).await;
    let mut tx = db.begin().await.unwrap();
    let back =
        "UPDATE uploads SET state = 'open', received = NULL, receipt = NULL WHERE digest = $1";
    dyad_node::store::sql(back).bind(&upload.digest()[..]).execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    db.close().await;
    scene.world.run(Role::C1).await.unwrap();
    let half = dyad_tests::scenario::propose(&scene.study, &scenario).await.unwrap_err();
    let half = format!("{half:#}");
    let digits = &Hex(upload.digest()).to_string()[..8];
    let words = format!("upload {digits} of owner-1 is not whole at c1");
    assert!(half.contains(&words), "{half}");

    // With data of one owner alone the other has no approval to take back.
    let zero = &scene.study.owners[0];
    let full = scene.path().join("full.csv");
    scene.study.sample.table.write_csv(std::fs::File::create(&full).unwrap(), "").unwrap();
    let request = Request { file: &full, ..request };
    let whole = zero.upload(&request, &|_, _, _| {}).await.unwrap();
    let proposal = dyad_client::job::Proposal {
        study: &scene.study.name,
        training: dyad_client::job::Described::Short(&scenario.training),
        engine: Engine::Share,
        randomness: Randomness::Dealer,
        opening: Opening::Each,
        recipients: vec![],
        may_predict: vec![],
        uploads: vec![whole.digest()],
        leave_out: false,
        test_share: 0.2,
        split: 1,
        checkpoint: None,
    };
    let prepared = zero.prepare(&proposal).await.unwrap();
    zero.propose(&prepared).await.unwrap();
    let one = &scene.study.owners[1];
    let none = one.revoke(&prepared.study, &prepared.job.digest()).await.unwrap_err().to_string();
    assert!(none.contains("owner-1 has no data in this job"), "{none}");
    assert!(!scene.audit(Role::C0).await.contains("approval revoked"));
    scene.world.end().await.unwrap();
}

/// Owner 1 gives owner 0 another answer than it owes: well formed, and off by one.
async fn lie(scene: &Scene, prepared: &dyad_client::job::Prepared) {
    let (liar, job) = (scene.owner(1), prepared.job.digest());
    let names: [Name; 2] = ["owner-0", "owner-1"].map(|name| name.parse().unwrap());
    let mut at_c1 = cloud(&liar, Role::C1);
    let mut parts =
        at_c1.collect(JobRequest { job: job.to_vec().into() }).await.unwrap().into_inner();
    let mut lied = Vec::new();
    let n = dyad_bcp::PublicParams::from_bytes(&liar.params).unwrap().n().clone();
    let victim = SealPublic(prepared.study.study.member(&names[0]).unwrap().seal.0);
    while let Some(part) = parts.message().await.unwrap() {
        if part.owner != "owner-1" {
            continue;
        }
        // What it sealed to itself is the right answer.
        let context = contexts::partial(&job, &names[1], &names[1], part.index);
        let right = liar.seal.open(&context, &part.content).unwrap();
        let mut partials: Vec<Vec<u8>> =
            read_all(&right).unwrap().into_iter().map(<[u8]>::to_vec).collect();
        if part.index == 0 {
            // P (1 + N): the plaintext is one less.
            let square = &n * &n;
            let width = square.to_bytes_be().len();
            let at = partials[0].len() - width;
            let wrong = BigUint::from_bytes_be(&partials[0][at..]) * (&n + 1_u32) % &square;
            let wrong = wrong.to_bytes_be();
            partials[0][at..].fill(0);
            let end = partials[0].len();
            partials[0][end - wrong.len()..].copy_from_slice(&wrong);
        }
        let context = contexts::partial(&job, &names[1], &names[0], part.index);
        let sealed = seal(&victim, &context, &write_each(partials.iter())).unwrap();
        lied.push(AnswerPart {
            job: job.to_vec().into(),
            recipient: "owner-0".to_owned(),
            index: part.index,
            parts: part.parts,
            sealed: sealed.into(),
        });
    }
    at_c1.answer(tokio_stream::iter(lied)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_see_that_they_were_given_different_models() {
    let _one = ONE.lock().await;
    let scene = Scene::new().await;
    let scenario = Scenario { opening: Opening::Joint, ..Scenario::new().unwrap() };
    let prepared = scene.propose(&scenario).await;
    let (job, study) = (prepared.job.digest(), &prepared.study);
    let [zero, one] = [&scene.study.owners[0], &scene.study.owners[1]];
    // Owner 1 watches from before anybody has approved: it answers as soon as it may.
    let approving = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        scene.approve(&prepared).await;
        scene.until_state(&prepared, State::Sealed).await;
        zero.answer(study, &job).await.unwrap();
    };
    let watching =
        tokio::time::timeout(Duration::from_mins(2), one.watch(study, &job, true, |_| ()));
    let (watched, ()) = tokio::join!(watching, approving);
    assert_eq!(watched.expect("it answers").unwrap().state, State::Released);

    let names = |of: &Compared| {
        let names =
            |names: &[Name]| names.iter().map(Name::to_string).collect::<Vec<_>>().join(" ");
        [names(&of.same), names(&of.different), names(&of.awaited)]
    };
    let model = zero.fetch(study, &job).await.unwrap();
    assert_eq!(names(&zero.compare(study, &model).await.unwrap()), ["", "", "owner-1"]);
    let other = one.fetch(study, &job).await.unwrap();
    assert_eq!(names(&one.compare(study, &other).await.unwrap()), ["owner-0", "", ""]);
    assert_eq!(names(&zero.compare(study, &model).await.unwrap()), ["owner-1", "", ""]);

    // The lie opens as well as the truth does.
    lie(&scene, &prepared).await;
    let wrong = zero.fetch(study, &job).await.unwrap();
    assert_ne!(wrong.layers, other.layers);
    assert_eq!(names(&zero.compare(study, &wrong).await.unwrap()), ["", "owner-1", ""]);
    assert_eq!(names(&one.compare(study, &other).await.unwrap()), ["", "owner-0", ""]);

    // One cloud alone cannot hide it, nor make it up.
    let folder = scene.path().to_owned();
    let mut world = scene.world;
    for text in ["UPDATE comparisons SET sealed = CAST(owner AS BLOB)", "DELETE FROM comparisons"] {
        world.stop(Role::C1).await.unwrap();
        let db = ledger(&folder, Role::C1).await;
        let mut tx = db.begin().await.unwrap();
        dyad_node::store::sql(text).execute(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        db.close().await;
        world.run(Role::C1).await.unwrap();
        assert_eq!(names(&one.compare(study, &other).await.unwrap()), ["", "owner-0", ""]);
    }

    // Mended: everybody answers anew.
    one.answer(study, &job).await.unwrap();
    let right = zero.fetch(study, &job).await.unwrap();
    assert_eq!(names(&zero.compare(study, &right).await.unwrap()), ["owner-1", "", ""]);
    assert_eq!(names(&one.compare(study, &other).await.unwrap()), ["owner-0", "", ""]);
    world.end().await.unwrap();
}
