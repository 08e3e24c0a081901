//! Parameters whose master key is public, where nobody said that they are wanted.

use crate::common::ONE;
use dyad_client::{Access, Client, Home};
use dyad_protos::Role;
use dyad_tests::{Manner, Processes, Services as _};

#[tokio::test(flavor = "multi_thread")]
async fn is_refused_by_everybody() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut services = Processes::start(path).await.unwrap();
    let token = services.token(Role::Owner, "north").await.unwrap();
    let home = || Home::at(path.join("north"));
    let mut access = Access { passphrase: None, insecure_demo: false };
    let refused =
        |what: String| assert!(what.contains("public") && what.contains("demo"), "{what}");
    let error = Client::enrol(home(), &token, &access).await.unwrap_err().to_string();
    assert!(error.contains("insecure-demo") && error.contains("published"), "{error}");
    let error = Client::open(home(), &access).unwrap_err().to_string();
    assert!(error.contains("insecure-demo") && error.contains("published"), "{error}");
    access.insecure_demo = true;
    Client::open(home(), &access).unwrap();
    for role in [Role::C1, Role::C0, Role::Kgc] {
        services.kill(role).await.unwrap();
        services.manner(role, Manner::default().set("insecure_demo", "false"));
        let before = services.log(role).unwrap().len();
        if services.run(role).await.is_ok() {
            // It listens before it looks, and then does not serve.
            for _ in 0..100 {
                if services.log(role).unwrap()[before..].contains("error: ") {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
        let said = services.log(role).unwrap().split_off(before);
        println!("{role}: {said}");
        assert!(!said.contains(" serving "), "{said}");
        refused(said);
    }
}
