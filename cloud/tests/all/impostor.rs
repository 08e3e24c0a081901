//! A second certificate in C1's name, which the key centre should never have given: the frozen study
//! names the key of the first.

use crate::ONE;
use crate::common::{Scene, eventually, files};
use dyad_client::job::State;
use dyad_cloud::attempt::{link_of_clouds, name};
use dyad_mpc::link::Link;
use dyad_mpc::prg::Attempt;
use dyad_net::identity::Identity;
use dyad_net::{Authority, Credentials, Expect, Tls, TlsKey, Validity, dial};
use dyad_protos::wire::peer::v1::auxiliary_client::AuxiliaryClient;
use dyad_protos::wire::peer::v1::{
    AttemptRequest, Checkpoint, GiveUpRequest, SealRequest, SignRequest, StartRequest,
    TransformPart,
};
use dyad_protos::{Hex, Role};
use dyad_tests::scenario::Scenario;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tonic::{Code, Status};

/// A certificate of the same name, from the key centre's own authority.
fn impostor(scene: &Scene) -> Tls {
    let pem = std::fs::read_to_string(scene.path().join("kgc/keys/authority.pem")).unwrap();
    let authority = Authority::from_pem(&pem).unwrap();
    let key = TlsKey::generate().unwrap();
    let identity: Identity = "c1 c1".parse().unwrap();
    let issued = authority.issue(&key.csr().unwrap(), &identity, Validity::days(1)).unwrap();
    let credentials = Credentials::issued(issued.der, &authority.root(), key).unwrap();
    Tls::new(credentials, authority.root(), None).unwrap()
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
    assert!(status.message().contains("another key than the study was frozen with"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_certificate_of_c1_is_refused_everywhere() {
    let _one = ONE.lock().await;
    let scene = Scene::new().await;
    let mut scenario = Scenario::new().unwrap();
    scenario.training.epochs = 100;
    let prepared = scene.propose(&scenario).await;
    let job = prepared.job.digest();
    scene.approve(&prepared).await;
    scene.until(&prepared, |status| status.step >= 2 * scenario.checkpoint).await;
    // The attempt that runs, by the name of a checkpoint: N0-N1-STEP.
    let newest = files(&scene.bulk(Role::C0, &job)).pop().unwrap();
    let newest = newest.file_name().unwrap().to_str().unwrap().to_owned();
    let [zero, one, _] = newest.split('-').collect::<Vec<_>>()[..] else { panic!("{newest}") };
    let nonces = [zero, one].map(|digits| digits.parse::<Hex<16>>().unwrap().0);
    let attempt = Attempt { job, nonces };
    let named = name(&attempt);

    let tls = impostor(&scene);
    let address = scene.owner(0).service(Role::C0).unwrap().address;
    let expect = Expect::role(Role::C0);
    let mut c0 = AuxiliaryClient::new(tls.channel(&address, expect.clone()).unwrap());
    let model = || Checkpoint { nonces: nonces.map(|n| n.to_vec().into()).into(), step: 1 };
    let job_bytes = bytes::Bytes::from(job.to_vec());
    let begin = AttemptRequest {
        job: job_bytes.clone(),
        nonce: vec![1; 16].into(),
        checkpoints: vec![],
        release: String::new(),
    };
    refused(c0.attempt(begin).await);
    let start = StartRequest { attempt: named.to_vec().into() };
    refused(c0.start(start.clone()).await);
    refused(c0.standing(start).await);
    let part = TransformPart {
        attempt: named.to_vec().into(),
        upload: vec![0; 32].into(),
        chunk: 0,
        ciphertexts: vec![].into(),
    };
    refused(c0.transform(tokio_stream::iter([part])).await);
    let seal = SealRequest { job: job_bytes.clone(), model: Some(model()) };
    refused(c0.seal(seal).await.map(|_| ()));
    let sign =
        SignRequest { job: job_bytes.clone(), release: vec![1; 32].into(), model: Some(model()) };
    refused(c0.sign(sign).await);
    refused(c0.give_up(GiveUpRequest { job: job_bytes, reason: "so there".into() }).await);
    // The links: of the clouds, and of the dealer.
    for (role, address, expect, session) in [
        (Role::C0, address, expect, link_of_clouds(&attempt)),
        (
            Role::Kgc,
            scene.owner(0).kgc.address.clone(),
            Expect::role(Role::Kgc),
            dyad_cloud::attempt::link_of_dealer(&attempt),
        ),
    ] {
        let line = tls.line(&address, expect).unwrap();
        let here = Handle::current();
        let came = tokio::task::spawn_blocking(move || {
            let mut link = dial(&here, line, session);
            link.recv(Instant::now() + Duration::from_secs(5))
        });
        assert!(came.await.unwrap().is_err());
        assert!(scene.counted(role, "dyad_refusals_total", "cause=\"pin\"") > 0, "{role}");
    }

    // Counted and written down, each; and the job goes on as if nothing had been.
    assert_eq!(scene.counted(Role::C0, "dyad_refusals_total", "cause=\"changed\""), 7);
    let calls = ["Attempt", "Start", "Standing", "Transform", "Seal", "Sign", "GiveUp"];
    tokio::time::sleep(Duration::from_millis(300)).await;
    let table = scene.audit(Role::C0).await;
    for call in calls {
        let line = table.lines().find(|line| {
            line.contains("c1 c1") && line.contains(&format!("{call}: C1 comes with another key"))
        });
        assert!(line.is_some(), "{call} is not in:\n{table}");
    }
    assert!(table.contains("is pinned"), "{table}");
    let before = scene.statuses(&prepared).await[1].step;
    scene.until(&prepared, |status| status.step > before).await;

    // Called off in the middle: nothing of it stays at either cloud.
    scene.study.owners[0].cancel(&prepared.study, &job).await.unwrap();
    for role in crate::common::CLOUDS {
        eventually("nothing of it is left", || !scene.bulk(role, &job).exists()).await;
    }
    // Nor does it come again.
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (role, status) in crate::common::CLOUDS.into_iter().zip(scene.statuses(&prepared).await) {
        assert_eq!(status.state, State::Cancelled);
        assert!(!scene.bulk(role, &job).exists());
    }
    scene.world.end().await.unwrap();
}
