//! A key centre is made whole or not at all.
#![allow(clippy::unwrap_used)]

use crate::common;

use common::name;
use dyad_kgc::{Config, Init};
use dyad_node::Context;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn config(store: &Path) -> Config {
    Config { store: store.to_owned(), listen: "127.0.0.1:0".into(), ..Config::default() }
}

#[tokio::test]
async fn made_once_and_readable_by_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir.path().join("kgc"));
    let made = dyad_kgc::init(&config, &Init::demo(name("centre"))).unwrap();
    assert_eq!(made.bits, 2048);
    let keys = config.store.join("keys");
    assert_eq!(fs::metadata(&config.store).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&keys).unwrap() {
        let about = entry.unwrap().metadata().unwrap();
        assert_eq!(about.permissions().mode() & 0o777, 0o600);
    }
    let again = dyad_kgc::init(&config, &Init::demo(name("other"))).unwrap_err().to_string();
    assert!(again.contains("already") && again.contains("left as it is"), "{again}");
    let odd = Init { bits: 1024, ..Init::new(name("centre")) };
    let elsewhere = Config { store: dir.path().join("other"), ..config.clone() };
    assert!(dyad_kgc::init(&elsewhere, &odd).unwrap_err().to_string().contains("1024"));
    assert!(!elsewhere.store.join("keys").exists());

    // What a killed one has left is cleared away.
    fs::create_dir(elsewhere.store.join("keys.unfinished")).unwrap();
    fs::write(elsewhere.store.join("keys.unfinished/master.key"), "half").unwrap();
    dyad_kgc::init(&elsewhere, &Init::demo(name("other"))).unwrap();
    assert!(!elsewhere.store.join("keys.unfinished").exists());

    // The demo's master key is public: it is served by those alone who say that they know.
    let refused = dyad_kgc::serve(config.clone(), Context::detached(), None).await.unwrap_err();
    assert!(refused.to_string().contains("insecure_demo"), "{refused}");
    // Before it listens: where it could not, that is not what it says.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let there = Config { listen: taken.local_addr().unwrap().to_string(), ..config };
    let refused = dyad_kgc::serve(there, Context::detached(), None).await.unwrap_err();
    assert!(refused.to_string().contains("insecure_demo"), "{refused}");
    let empty = Config { store: dir.path().join("empty"), ..self::config(dir.path()) };
    let refused = dyad_kgc::serve(empty, Context::detached(), None).await.unwrap_err();
    assert!(refused.to_string().contains("kgc init"), "{refused}");
}

#[tokio::test]
async fn keys_are_locked_by_a_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    let passphrase = dyad_node::config::Secret::new("correct horse".into());
    let open = config(&dir.path().join("kgc"));
    let locked = Config { passphrase, ..open.clone() };
    dyad_kgc::init(&locked, &Init::demo(name("centre"))).unwrap();
    assert_eq!(dyad_kgc::status(&locked).await.unwrap().name, "centre");
    let refused = dyad_kgc::status(&open).await.unwrap_err().to_string();
    assert!(refused.contains("passphrase"), "{refused}");
}

/// `kgc init`, killed at ever later moments; then either all is there or nothing is.
#[test]
fn killed_at_any_moment() {
    for millis in [0, 5, 20, 50, 100, 150, 200, 300, 400, 600] {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("kgc");
        let command = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_kgc"));
            command.args(["--set", &format!("store={}", store.display())]);
            command.stdout(Stdio::null()).stderr(Stdio::piped());
            command
        };
        let init = || {
            let mut init = command();
            init.args(["init", "--name", "centre", "--insecure-demo"]);
            init
        };
        let mut first = init().spawn().unwrap();
        std::thread::sleep(Duration::from_millis(millis));
        first.kill().unwrap();
        first.wait().unwrap();
        let whole = store.join("keys").exists();
        let second = init().output().unwrap();
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert_eq!(second.status.success(), !whole, "{millis} ms: {said}");
        assert!(!whole || said.contains("already"), "{said}");
        let status = command().arg("status").output().unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    }
}
