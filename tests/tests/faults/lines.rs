//! Lines that are cut, held up or slow, and peers that stand still.

use crate::common::{ONE, approved, at_step, ends_well, some_seconds, until};
use dyad_client::job::{State, Status};
use dyad_protos::Role;
use dyad_protos::job::Opening;
use dyad_protos::upload::Mode;
use dyad_tests::faults::{Fault, What, When};
use dyad_tests::scenario::{approve_all, join, play, propose, upload_all};
use dyad_tests::{Manner, Processes, Services as _, Weather};
use std::time::{Duration, Instant};

/// Shorter than the services' patience: whoever is called is called again, and the attempt goes on.
#[tokio::test(flavor = "multi_thread")]
async fn bad_for_a_moment() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let mut services = Processes::start_behind_lines(folder.path()).await.unwrap();
    let mut scenario = some_seconds(8);
    let line = |who, weather, when| Fault::line(who, weather, when, 1200);
    scenario.faults = vec![
        line(Role::C0, Weather::Cut, When::Uploading(20)),
        line(Role::C1, Weather::Held, When::Uploading(20)),
        line(Role::C0, Weather::Cut, When::Step(10)),
        line(Role::Kgc, Weather::Cut, When::Step(40)),
        line(Role::C0, Weather::Held, When::Step(70)),
        line(Role::Kgc, Weather::Held, When::Step(90)),
        line(Role::C0, Weather::Slow(100_000), When::Step(110)),
        line(Role::Kgc, Weather::Slow(100_000), When::Step(130)),
        line(Role::C1, Weather::Cut, When::Step(150)),
        Fault { what: What::Paused, ..line(Role::C0, Weather::Fair, When::Step(160)) },
    ];
    let outcome = play(&mut services, folder.path(), &scenario).await.unwrap();
    println!("{} attempts; {:?}", outcome.status.attempts, outcome.reasons);
    assert_eq!(outcome.status.attempts, 1, "{:?}", outcome.reasons);
}

/// Longer than it: attempts end, others begin, and C1 says what it waits for.
#[tokio::test(flavor = "multi_thread")]
async fn bad_for_longer_than_anybody_waits() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let mut services = Processes::start_behind_lines(folder.path()).await.unwrap();
    for role in [Role::C0, Role::C1] {
        services.manner(role, Manner::default().set("patience", "3"));
    }
    services.manner(Role::Kgc, Manner::default().set("limits.wait_seconds", "3"));
    for role in [Role::Kgc, Role::C0, Role::C1] {
        crate::common::restart(&mut services, role).await;
    }
    let mut scenario = some_seconds(8);
    (scenario.opening, scenario.mode) = (Opening::Joint, Mode::Packed);
    let line = |who, weather, when| Fault::line(who, weather, when, 6500);
    scenario.faults = vec![
        line(Role::C0, Weather::Cut, When::Step(20)),
        line(Role::C0, Weather::Held, When::Step(60)),
        line(Role::Kgc, Weather::Held, When::Step(100)),
    ];
    let outcome = play(&mut services, folder.path(), &scenario).await.unwrap();
    println!("{} attempts; {:#?}", outcome.status.attempts, outcome.reasons);
    assert!(outcome.status.attempts > 2);
    let said = |words: &str| outcome.reasons.iter().any(|reason| reason.contains(words));
    assert!(said("cannot reach") || said("within"), "{:#?}", outcome.reasons);
}

/// Owners are told whom they do not reach; what they have approved goes on when they do.
#[tokio::test(flavor = "multi_thread")]
async fn owners_are_told() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let services = Processes::start_behind_lines(folder.path()).await.unwrap();
    let mut study = join(&services, folder.path(), 2).await.unwrap();
    let impatient = |study: &mut dyad_tests::scenario::Study, patience| {
        let owners = std::mem::take(&mut study.owners);
        study.owners = owners.into_iter().map(|owner| owner.patient(patience)).collect();
    };
    impatient(&mut study, Duration::from_secs(1));
    for role in [Role::C0, Role::C1] {
        let line = services.line(role).unwrap();
        line.set(Weather::Cut);
        let start = Instant::now();
        let error = upload_all(&study, Mode::Sealed).await.unwrap_err().to_string();
        println!("{role} cut off: {error}");
        let address = line.address().to_string();
        assert!(error.contains(role.as_str()) && error.contains(&address), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20));
        line.set(Weather::Fair);
    }
    upload_all(&study, Mode::Sealed).await.unwrap();
    services.line(Role::Kgc).unwrap().set(Weather::Cut);
    // What the key centre is not needed for goes on without it.
    upload_all(&study, Mode::Sealed).await.unwrap();
    let prepared = approved(&study, &some_seconds(2)).await;
    let [_, waiting] = until(&study, &prepared, "a reason", |[_, c1]| !c1.reason.is_empty()).await;
    println!("the key centre cut off: {}", waiting.reason);
    assert!(waiting.reason.contains("kgc"), "{}", waiting.reason);
    services.line(Role::Kgc).unwrap().set(Weather::Fair);
    at_step(&study, &prepared, 1).await;
    let status = ends_well(&study, &prepared).await;
    assert_eq!(status.state, State::Released);
}

/// Packed uploads take longer to be transformed than the dealer waits for C1: it is asked after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_transformation_that_outlasts_the_dealers_patience() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let mut services = Processes::start_behind_lines(folder.path()).await.unwrap();
    services.manner(Role::Kgc, Manner::default().set("limits.connect_seconds", "1"));
    crate::common::restart(&mut services, Role::Kgc).await;
    let study = join(&services, folder.path(), 1).await.unwrap();
    upload_all(&study, Mode::Packed).await.unwrap();
    let mut scenario = some_seconds(1);
    scenario.mode = Mode::Packed;
    let prepared = propose(&study, &scenario).await.unwrap();
    services.line(Role::C0).unwrap().set(Weather::Slow(400_000));
    let start = Instant::now();
    approve_all(&study, &prepared).await.unwrap();
    let begun = |[_, c1]: &[Status; 2]| c1.step > 0 || c1.state.is_over();
    until(&study, &prepared, "a step", begun).await;
    let took = start.elapsed();
    services.line(Role::C0).unwrap().set(Weather::Fair);
    println!("the first step after {took:.1?}");
    assert!(took > Duration::from_secs(2), "{took:?}: nothing is shown");
    assert_eq!(ends_well(&study, &prepared).await.attempts, 1);
}
