//! Clocks that are hours or months off.
//!
//! It is the real programs whose clock is wrong, TLS included ([`WrongClock`]).

use crate::common::{ONE, approved, ends_well, some_seconds};
use dyad_client::{Access, Client, Home};
use dyad_protos::Role;
use dyad_protos::upload::Mode;
use dyad_tests::machine::WrongClock;
use dyad_tests::scenario::{approve_all, join, propose, upload_all};
use dyad_tests::{Manner, Processes, Services as _};
use std::time::Duration;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

struct Clocks {
    wrong: WrongClock,
}

impl Clocks {
    /// Starts a service again, with a clock that is so many seconds ahead.
    async fn set(&self, services: &mut Processes, role: Role, ahead: i64) {
        services.kill(role).await.unwrap();
        services.manner(role, Manner::default().variables(&self.wrong.variables(ahead)));
        services.run(role).await.unwrap();
    }

    async fn right(services: &mut Processes, role: Role) {
        services.manner(role, Manner::default());
        crate::common::restart(services, role).await;
    }
}

fn speaks_of_clocks(error: &anyhow::Error) {
    let said = format!("{error:#}");
    println!("{said}");
    assert!(said.contains("clock"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_speak_of_clocks_and_then_all_is_well() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let Some(wrong) = WrongClock::make(path).unwrap() else {
        println!(
            "SKIPPED: clocks that are wrong: no C compiler makes a library to load before libc"
        );
        return;
    };
    let clocks = Clocks { wrong };
    let mut services = Processes::start(path).await.unwrap();
    let mut study = join(&services, path, 2).await.unwrap();
    let owners = std::mem::take(&mut study.owners);
    study.owners = owners.into_iter().map(|owner| owner.patient(Duration::from_secs(1))).collect();

    // A cloud for which no certificate is good yet, or any more.
    for role in [Role::C0, Role::C1] {
        for ahead in [-6 * HOUR, 100 * DAY] {
            clocks.set(&mut services, role, ahead).await;
            println!("{role}, {ahead} s ahead:");
            speaks_of_clocks(&upload_all(&study, Mode::Sealed).await.unwrap_err());
        }
        Clocks::right(&mut services, role).await;
    }
    upload_all(&study, Mode::Sealed).await.unwrap();

    // One that is ahead by more than approvals last, and by less than certificates do.
    let prepared = propose(&study, &some_seconds(2)).await.unwrap();
    for role in [Role::C0, Role::C1] {
        clocks.set(&mut services, role, 8 * DAY).await;
        println!("{role}, eight days ahead:");
        speaks_of_clocks(&approve_all(&study, &prepared).await.unwrap_err());
        Clocks::right(&mut services, role).await;
    }

    // A key centre from the future: what it certifies is not good yet.
    clocks.set(&mut services, Role::Kgc, 6 * HOUR).await;
    let token = services.token(Role::Owner, "late").await;
    if let Ok(token) = token {
        let access = Access { passphrase: None, insecure_demo: true };
        let late = Client::enrol(Home::at(path.join("late")), &token, &access).await;
        println!("the key centre, six hours ahead:");
        // To itself what it has certified is good.
        let answered = match late {
            Ok(late) => late.studies().await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = answered {
            speaks_of_clocks(&error.into());
        }
    }
    Clocks::right(&mut services, Role::Kgc).await;

    approve_all(&study, &prepared).await.unwrap();
    ends_well(&study, &prepared).await;
    let again = approved(&study, &some_seconds(1)).await;
    ends_well(&study, &again).await;
}
