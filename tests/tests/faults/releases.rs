//! Another release at one of the three, whose program differs: told in words, and waited out.

use crate::common::{ONE, approved, at_step, ends_well, some_seconds, until};
use dyad_protos::Role;
use dyad_protos::upload::Mode;
use dyad_tests::scenario::{join, propose, upload_all};
use dyad_tests::{Manner, Processes, program};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of a release that would go through the rows in another order. What it shuffles them by
/// begins with a label, which is changed where it stands in the program.
fn of_another_release(folder: &Path, name: &str) -> PathBuf {
    let (program, other) = (program(name).unwrap(), folder.join(format!("other-{name}")));
    std::fs::copy(&program, &other).unwrap();
    let mut command = Command::new("sed");
    command.args(["-i", "s#dyad-learn/shuffle/1#dyad-learn/shuffle/2#g"]).arg(&other);
    assert!(command.env("LC_ALL", "C").status().unwrap().success());
    let same = Command::new("cmp").arg("-s").arg(&program).arg(&other).status().unwrap();
    assert_eq!(same.code(), Some(1), "{name} has no such label");
    other
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_another_release() {
    const TOLD: &str = "install the same release everywhere";
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut services = Processes::start(path).await.unwrap();
    let study = join(&services, path, 2).await.unwrap();
    upload_all(&study, Mode::Sealed).await.unwrap();
    let all = [(Role::C0, "cloud0"), (Role::Kgc, "kgc")];
    let all = all.map(|(role, name)| (role, of_another_release(path, name)));
    let prepared = approved(&study, &some_seconds(6)).await;
    for ((role, other), from) in all.into_iter().zip([15, 40]) {
        at_step(&study, &prepared, from).await;
        services.manner(role, Manner::default().shell(&format!("exec {} \"$@\"", other.display())));
        crate::common::restart(&mut services, role).await;
        if role == Role::Kgc {
            // It is asked when an attempt begins.
            crate::common::restart(&mut services, Role::C1).await;
        }
        let [_, waits] =
            until(&study, &prepared, "a reason", |[_, c1]| c1.reason.contains(TOLD)).await;
        println!("{role}: {}", waits.reason);
        assert!(!waits.state.is_over());
        if role != Role::Kgc {
            // Nor is anything begun with it.
            let error = propose(&study, &some_seconds(1)).await.unwrap_err().to_string();
            assert!(error.contains(TOLD) && error.starts_with(role.as_str()), "{error}");
        }
        services.manner(role, Manner::default());
        crate::common::restart(&mut services, role).await;
    }
    ends_well(&study, &prepared).await;
}
