//! The whole system, in process and as processes; with and without faults.

#![allow(missing_docs, clippy::unwrap_used)]

use dyad_local::{Parameters, World};
use dyad_protos::Role;
use dyad_protos::job::{Opening, Randomness};
use dyad_protos::upload::Mode;
use dyad_tests::Processes;
use dyad_tests::endure::{Endured, endure};
use dyad_tests::faults::{Fault, When, drawn};
use dyad_tests::scenario::{Scenario, play};
use std::time::{Duration, Instant};

/// Tests of this file run one after the other: each has a machine's worth of services.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn in_process_each_sealed() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::start(folder.path(), Parameters::InsecureDemo).await.unwrap();
    let mut scenario = Scenario::new().unwrap();
    scenario.training.momentum = 0.5;
    play(&mut world, folder.path(), &scenario).await.unwrap();
    world.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_joint_packed() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let mut services = Processes::start(folder.path()).await.unwrap();
    let mut scenario = Scenario {
        mode: Mode::Packed,
        opening: Opening::Joint,
        owners: 2,
        ..Scenario::new().unwrap()
    };
    scenario.training.momentum = 0.25;
    play(&mut services, folder.path(), &scenario).await.unwrap();
}

/// Each service is killed once in the middle of the training.
#[tokio::test(flavor = "multi_thread")]
async fn processes_killed_while_training() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let mut services = Processes::start(folder.path()).await.unwrap();
    let kill = |who, step| Fault::killed(who, When::Step(step), 100);
    let mut scenario = Scenario::new().unwrap();
    scenario.training.epochs = 8;
    scenario.faults = vec![kill(Role::C1, 15), kill(Role::C0, 60), kill(Role::Kgc, 120)];
    let outcome = play(&mut services, folder.path(), &scenario).await.unwrap();
    for (after, lost) in &outcome.resumed {
        println!("training again {after:.1?} after the kill, {lost} steps lost");
    }
    assert!(outcome.status.attempts > 1);
}

/// And at every other moment.
#[tokio::test(flavor = "multi_thread")]
async fn processes_killed_around_the_training() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let mut services = Processes::start(folder.path()).await.unwrap();
    let fault = |who, when| Fault::killed(who, when, 150);
    let scenario = Scenario {
        opening: Opening::Joint,
        owners: 2,
        faults: vec![
            fault(Role::C0, When::Uploading(30)),
            fault(Role::C1, When::Uploading(30)),
            fault(Role::C1, When::Approved(10)),
            fault(Role::C0, When::Approved(50)),
            fault(Role::C0, When::Sealing(0)),
            fault(Role::C1, When::Sealing(0)),
        ],
        ..Scenario::new().unwrap()
    };
    play(&mut services, folder.path(), &scenario).await.unwrap();
}

/// Each of the two is killed, and stands still, while the master key goes from one to the other.
#[tokio::test(flavor = "multi_thread")]
async fn processes_killed_during_the_hand_over() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let mut faults = Vec::new();
    for after in [0, 10, 20, 30] {
        faults.push(Fault::killed(Role::C0, When::HandOver(after), 0));
        faults.push(Fault::killed(Role::Kgc, When::HandOver(after / 2), 20));
    }
    let mut services = Processes::start_through(folder.path(), &faults).await.unwrap();
    // C0 has it; the key centre has not.
    let key = |role| services.store(role).join("keys/master.key").exists();
    assert!(key(Role::C0));
    let by = Instant::now() + Duration::from_secs(20);
    while key(Role::Kgc) {
        assert!(Instant::now() < by, "the key centre still has the master key");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut scenario = Scenario { mode: Mode::Packed, owners: 2, ..Scenario::new().unwrap() };
    scenario.training.epochs = 1;
    play(&mut services, folder.path(), &scenario).await.unwrap();
}

/// Faults at random, hundreds of times: `DYAD_SOAK` says how often, `DYAD_SEED` where to begin. All
/// seeds that fail are told at the end, each with what was planned, said and logged.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "hours"]
async fn soak() {
    let number = |name: &str, default| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (first, count) = (number("DYAD_SEED", 1), number("DYAD_SOAK", 300));
    let mut failed = Vec::new();
    for seed in first..first + count {
        if let Err(error) = through(drawn(seed, 80), &format!("seed {seed}")).await {
            println!("seed {seed} FAILED: {error:#}");
            failed.push(seed);
        }
    }
    println!("{count} plans, {} failed", failed.len());
    assert!(failed.is_empty(), "seeds {failed:?}");
}

/// Goes through a plan; how long its faults last chooses release, mode and randomness.
async fn through(plan: Vec<Fault>, name: &str) -> anyhow::Result<()> {
    let start = Instant::now();
    for fault in &plan {
        println!("{name}: {fault}");
    }
    let down: u64 = plan.iter().map(|fault| fault.down).sum();
    let opening = if down.is_multiple_of(2) { Opening::Joint } else { Opening::Each };
    let mode = if (down / 2).is_multiple_of(8) { Mode::Packed } else { Mode::Sealed };
    let pairwise = (down / 16).is_multiple_of(8);
    let randomness = if pairwise { Randomness::Pairwise } else { Randomness::Dealer };
    let scenario = Scenario {
        opening,
        mode,
        randomness,
        owners: 2,
        faults: plan,
        limit: Duration::from_mins(20),
        ..Scenario::new()?
    };
    let folder = tempfile::tempdir()?;
    let mut services = Processes::start_through(folder.path(), &scenario.faults).await?;
    let ended = endure(&mut services, folder.path(), &scenario).await;
    match ended {
        Ok(Endured { jobs, attempts, refusals, spared, .. }) => {
            let seconds = start.elapsed().as_secs_f64();
            println!("{name}: the model in {seconds:.1} s, {jobs} jobs, {attempts} attempts");
            for refusal in refusals {
                println!("{name}: refused: {refusal}");
            }
            for fault in spared {
                println!("{name}: it did not come to this: {fault}");
            }
            Ok(())
        }
        Err(error) => {
            for role in [Role::Kgc, Role::C0, Role::C1] {
                println!("{name}, {role}:\n{}", services.log(role)?);
            }
            Err(error)
        }
    }
}
