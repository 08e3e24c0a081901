//! Disks that are full.

use crate::common::{ONE, approved, at_step, ends_well, says, some_seconds};
use dyad_protos::Role;
use dyad_protos::upload::Mode;
use dyad_tests::scenario::{Study, join, upload_all};
use dyad_tests::{Manner, Processes};
use std::time::Duration;

const ALL: [Role; 3] = [Role::Kgc, Role::C0, Role::C1];

fn impatient(study: &mut Study) {
    let owners = std::mem::take(&mut study.owners);
    study.owners = owners.into_iter().map(|owner| owner.patient(Duration::from_secs(1))).collect();
}

#[tokio::test(flavor = "multi_thread")]
async fn full_while_uploading_and_training() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut services = Processes::start(path).await.unwrap();
    for role in ALL {
        if !services.on_a_disk(role).await.unwrap() {
            println!("SKIPPED: disks that are full: mounting a small one is not allowed here");
            return;
        }
    }
    let mut study = join(&services, path, 2).await.unwrap();
    impatient(&mut study);
    for role in &ALL[1..] {
        let ballast = services.fill(*role).unwrap();
        let error = upload_all(&study, Mode::Sealed).await.unwrap_err().to_string();
        println!("{role} full: {error}");
        assert!(error.contains("no space left") && error.contains("free space"), "{error}");
        std::fs::remove_file(ballast).unwrap();
    }
    upload_all(&study, Mode::Sealed).await.unwrap();
    let prepared = approved(&study, &some_seconds(12)).await;
    let mut from = 15;
    for role in &ALL {
        at_step(&study, &prepared, from).await;
        let said = services.log(*role).unwrap().len();
        let ballast = services.fill(*role).unwrap();
        if *role == Role::Kgc {
            // It writes when an attempt begins.
            crate::common::restart(&mut services, Role::C1).await;
        }
        says(&services, *role, said, "no space left").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        std::fs::remove_file(ballast).unwrap();
        from += 60;
    }
    let status = ends_well(&study, &prepared).await;
    println!("{} attempts", status.attempts);
    assert!(status.attempts > 1);
}

/// A limit on the size of files stands for a small disk, where none may be mounted.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_may_not_grow() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut services = Processes::start(path).await.unwrap();
    let mut study = join(&services, path, 2).await.unwrap();
    impatient(&mut study);
    for role in [Role::C0, Role::C1] {
        let store = services.store(role);
        let largest = ["ledger.db", "ledger.db-wal"]
            .map(|name| std::fs::metadata(store.join(name)).map_or(0, |file| file.len()));
        // In blocks of 512 bytes. The signal that would end the process at the limit is ignored.
        let blocks = largest[0].max(largest[1]) / 512 + 8;
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        services.manner(role, Manner::default().shell(&script));
        crate::common::restart(&mut services, role).await;
        let mut error = None;
        // Its ledger grows with each, until it may not.
        for _ in 0..200 {
            if let Err(refused) = upload_all(&study, Mode::Sealed).await {
                error = Some(refused.to_string());
                break;
            }
            for owner in &study.owners {
                for upload in owner.uploads().unwrap() {
                    if let Err(refused) = owner.withdraw(&upload).await {
                        error = Some(refused.to_string());
                    }
                }
            }
        }
        let error = error.expect("a limit that is reached");
        println!("{role} may write no more: {error}");
        // The database tells this limit as an error of the disk.
        assert!(error.contains("no space left") || error.contains("the disk"), "{error}");
        services.manner(role, Manner::default());
        crate::common::restart(&mut services, role).await;
    }
    for owner in &study.owners {
        for upload in owner.uploads().unwrap() {
            owner.withdraw(&upload).await.unwrap();
        }
    }
    upload_all(&study, Mode::Sealed).await.unwrap();
    let prepared = approved(&study, &some_seconds(1)).await;
    ends_well(&study, &prepared).await;
}
