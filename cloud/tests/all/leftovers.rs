//! What is left in the clouds' folders when a job is over or data were withdrawn.

use crate::ONE;
use crate::common::{CLOUDS, Scene, cloud, eventually, files};
use dyad_client::job::State;
use dyad_node::clock::{Clock as _, ManualClock, SystemClock};
use dyad_node::series;
use dyad_node::store::{Db, sql};
use dyad_protos::job::Opening;
use dyad_protos::wire::cloud::v1::JobRequest;
use dyad_protos::wire::peer::v1::AttemptRequest;
use dyad_protos::{Hex, Role};
use dyad_tests::scenario::Scenario;
use std::time::{Duration, Instant};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn a_released_model_stays_until_all_recipients_have_it() {
    let _one = ONE.lock().await;
    let mut scene = Scene::new().await;
    let prepared = scene.propose(&Scenario::new().unwrap()).await;
    let job = prepared.job.digest();
    scene.approve(&prepared).await;
    scene.until_state(&prepared, State::Released).await;
    // Of the checkpoints the last one stays: the model's share.
    for role in CLOUDS {
        let bulk = scene.bulk(role, &job);
        eventually("one checkpoint is left", || files(&bulk).len() == 1).await;
    }
    // Before they are started again, and count anew.
    every_series_is_written(&scene);

    // So does not what the ledger has forgotten: killed between two deletions, or before a row.
    for role in CLOUDS {
        scene.world.stop(role).await.unwrap();
        let bulk = scene.bulk(role, &job);
        let kept = files(&bulk).remove(0);
        let name = kept.file_name().unwrap().to_str().unwrap();
        let forgotten = format!("{}-{:012}", &name[..name.rfind('-').unwrap()], 1);
        std::fs::copy(&kept, bulk.join(forgotten)).unwrap();
        scene.world.run(role).await.unwrap();
        eventually("the forgotten one is gone", || files(&bulk) == [kept.clone()]).await;
        // Both clouds say which attempts there were.
        assert!(scene.audit(role).await.contains("attempt begun"), "{role}");
    }
    let [zero, one] = [&scene.study.owners[0], &scene.study.owners[1]];
    zero.fetch(&prepared.study, &job).await.unwrap();
    zero.fetched(&prepared.study, &job).await.unwrap();
    zero.fetched(&prepared.study, &job).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    // The other still gets it.
    one.fetch(&prepared.study, &job).await.unwrap();
    one.fetched(&prepared.study, &job).await.unwrap();
    for role in CLOUDS {
        let bulk = scene.bulk(role, &job);
        eventually("nothing of it is left", || !bulk.exists()).await;
        // The objects first, and then the rows and the line.
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let table = scene.audit(role).await;
            if table.contains("model fetched") && table.contains("job's data deleted") {
                break;
            }
            assert!(Instant::now() < until, "{table}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    eventually("it is marked", || true).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let refused = one.fetch(&prepared.study, &job).await.unwrap_err().to_string();
    assert!(refused.contains("all recipients have fetched this model"), "{refused}");

    // Whoever asks again, and however often, is answered the same from now on.
    let asked = || JobRequest { job: job.to_vec().into() };
    for role in CLOUDS {
        let mut by_one = cloud(&scene.owner(1), role);
        for _ in 0..2 {
            let refused = by_one.share(asked()).await.map(drop).unwrap_err();
            assert_eq!(refused.code(), Code::FailedPrecondition);
            assert!(refused.message().contains("all recipients have fetched"), "{refused:?}");
            assert_eq!(refused.metadata().get(dyad_protos::CAUSE).unwrap(), "over");
            by_one.fetched(asked()).await.unwrap();
        }
    }
    for _ in 0..2 {
        let begin = AttemptRequest {
            job: job.to_vec().into(),
            nonce: vec![1; 16].into(),
            checkpoints: vec![],
            release: String::new(),
        };
        let refused = scene.c1().attempt(begin).await.unwrap_err();
        assert!(refused.message().contains("at C0 the job is released"), "{refused:?}");
        assert_eq!(refused.metadata().get(dyad_protos::CAUSE).unwrap(), "over");
    }

    // Then data go as well, their rows too.
    for (owner, role) in [(0, Role::C0), (0, Role::C1)] {
        let folder = scene.path().join(role.as_str()).join("bulk/uploads");
        assert!(files(&folder).len() > 1, "{owner}");
    }
    let own = zero.uploads().unwrap();
    for upload in &own {
        zero.withdraw(upload).await.unwrap();
    }
    let gone: Vec<_> = own.iter().map(|upload| Hex(upload.digest()).to_string()).collect();
    for role in CLOUDS {
        let folder = scene.path().join(role.as_str()).join("bulk/uploads");
        let left = files(&folder);
        assert!(!left.is_empty(), "the other owner's data stay");
        assert!(gone.iter().all(|upload| !folder.join(upload).exists()), "{left:?}");
        let url = format!("sqlite://{}/{role}/ledger.db", scene.path().display());
        let db = Db::open_to_read(&url).await.unwrap();
        let mut tx = db.snapshot().await.unwrap();
        for upload in &own {
            let rows = sql("SELECT COUNT(*) AS n FROM chunks WHERE upload = $1");
            let row = rows.bind(&upload.digest()[..]).one(&mut tx).await.unwrap();
            assert_eq!(row.get::<i64>("n").unwrap(), 0);
        }
        tx.rollback().await;
        db.close().await;
    }
    scene.world.end().await.unwrap();
}

/// A job has run: whatever is declared has been counted by somebody.
fn every_series_is_written(scene: &Scene) {
    let all = [Role::Kgc, Role::C0, Role::C1];
    let written = all.map(|role| scene.world.context(role).unwrap().metrics.render());
    let has = |text: &str, name: &str| {
        text.lines().any(|line| !line.starts_with('#') && line.starts_with(name))
    };
    for name in series::ALL {
        assert!(written.iter().any(|text| has(text, name)), "{name} is written by nobody");
    }
    for (text, kind) in written.iter().zip(["dealt", "trained", "trained"]) {
        let steps = format!("{}{{", series::STEPS);
        let line = text.lines().find(|line| line.starts_with(&steps) && line.contains(kind));
        let count = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        assert!(count.is_some_and(|count| count > 1.0), "{kind}: {line:?}");
        for name in [series::STEP_SECONDS, series::BYTES, series::WAITING_FOR, series::REFUSALS] {
            assert!(has(text, name), "{name} is not written where {kind}");
        }
    }
    for text in &written[1..] {
        for name in [series::JOBS, series::UPLOADS, series::UPLOADED_BYTES] {
            assert!(has(text, name), "{name} is not written by a cloud");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joint_release_leaves_ciphertexts_alone() {
    let _one = ONE.lock().await;
    let mut scene = Scene::new().await;
    let scenario = Scenario { opening: Opening::Joint, ..Scenario::new().unwrap() };
    let prepared = scene.propose(&scenario).await;
    let job = prepared.job.digest();
    scene.approve(&prepared).await;
    scene.until_state(&prepared, State::Sealed).await;
    // Shares of the model are gone before anybody has answered.
    let (at_c0, at_c1) = (scene.bulk(Role::C0, &job), scene.bulk(Role::C1, &job));
    eventually("C0 keeps nothing", || !at_c0.exists()).await;
    eventually("C1 keeps the ciphertexts alone", || files(&at_c1) == [at_c1.join("model")]).await;
    // Restarted, C0 still answers for what it signed.
    scene.world.stop(Role::C0).await.unwrap();
    scene.world.run(Role::C0).await.unwrap();
    for owner in &scene.study.owners {
        owner.answer(&prepared.study, &job).await.unwrap();
    }
    scene.until_state(&prepared, State::Released).await;
    let models: Vec<_> = {
        let mut models = Vec::new();
        for owner in &scene.study.owners {
            models.push(owner.fetch(&prepared.study, &job).await.unwrap());
        }
        models
    };
    assert_eq!(models[0], models[1]);
    assert!(files(&at_c1).len() > 4);
    // A clock that is months ahead deletes nothing of what nobody has said that it has.
    let ahead = SystemClock.now().plus(Duration::from_hours(60 * 24));
    scene.world.stop(Role::C1).await.unwrap();
    scene.world.set_clock(Role::C1, ManualClock::new(ahead));
    scene.world.run(Role::C1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let later = scene.study.owners[0].fetch(&prepared.study, &job).await.unwrap();
    assert_eq!(later, models[0]);
    // Having run for as long, it does.
    scene.edit(Role::C1, "UPDATE ran SET seconds = seconds + 31 * 86400").await;
    eventually("nothing is left", || !at_c1.exists()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut c1 = cloud(&scene.owner(0), Role::C1);
    let refused = c1.heads(JobRequest { job: job.to_vec().into() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("or its time is over"), "{refused:?}");
    scene.world.end().await.unwrap();
}
