//! Another release at one of the three, whose program differs: told in words, and waited out.

use crate::common::{ONE, approved, at_step, ends_well, some_seconds, until};
use dyad_protos::Role;
use dyad_protos::upload::Mode;
use dyad_tests::scenario::{join, propose, upload_all};
use dyad_tests::{Manner, Processes, program};
use std::path::{Path, PathBuf};

/// What every program of this release shuffles rows by.
const SHUFFLE: &[u8] = b"dyad-learn/shuffle/1";

/// A program of a release that would go through the rows in another order.
fn of_another_release(folder: &Path, name: &str) -> PathBuf {
    let mut bytes = std::fs::read(program(name).unwrap()).unwrap();
    let places: Vec<_> =
        (0..bytes.len() - SHUFFLE.len()).filter(|at| bytes[*at..].starts_with(SHUFFLE)).collect();
    assert!(!places.is_empty(), "{name} has no such label");
    for at in places {
        bytes[at + SHUFFLE.len() - 1] = b'2';
    }
    let other = folder.join(format!("other-{name}"));
    std::fs::write(&other, bytes).unwrap();
    std::fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
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
    let prepared = approved(&study, &some_seconds(12)).await;
    for (role, name, from) in
        [(Role::C0, "cloud0", 20), (Role::C1, "cloud1", 60), (Role::Kgc, "kgc", 100)]
    {
        at_step(&study, &prepared, from).await;
        let other = of_another_release(path, name);
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
