//! Clocks that are hours or months off.
//!
//! A library that is loaded before all others answers for the machine's clock: a page of C, compiled
//! here. So it is the real programs whose clock is wrong, TLS included.

use crate::common::{ONE, approved, ends_well, some_seconds};
use dyad_client::{Access, Client, Home};
use dyad_protos::Role;
use dyad_protos::upload::Mode;
use dyad_tests::scenario::{approve_all, join, propose, upload_all};
use dyad_tests::{Manner, Processes, Services as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SKEW: &str = "DYAD_TEST_SKEW";
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    static long skew;
    if (!real) {
        const char *text = getenv("DYAD_TEST_SKEW");
        skew = text ? atol(text) : 0;
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    }
    int result = real(id, at);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        at->tv_sec += skew;
    return result;
}

time_t time(time_t *out) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (out) *out = at.tv_sec;
    return at.tv_sec;
}
"#;

/// The library; none where there is no compiler for it.
fn shim(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("skew.c"), folder.join("skew.so"));
    std::fs::write(&source, SHIM).unwrap();
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
    let made = command.status().is_ok_and(|status| status.success());
    if !made {
        println!(
            "SKIPPED: clocks that are wrong: no C compiler makes a library to load before libc"
        );
    }
    made.then_some(library)
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

struct Clocks {
    library: PathBuf,
}

impl Clocks {
    /// Starts a service again, with a clock that is so many seconds ahead.
    async fn set(&self, services: &mut Processes, role: Role, ahead: i64) {
        services.kill(role).await.unwrap();
        let manner = Manner::default()
            .variable("LD_PRELOAD", &self.library.display().to_string())
            .variable(SKEW, &ahead.to_string());
        services.manner(role, manner);
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
    let Some(library) = shim(path) else { return };
    let clocks = Clocks { library };
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
