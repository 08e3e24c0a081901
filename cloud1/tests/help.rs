//! The command line, as a person meets it.

#![allow(missing_docs, clippy::unwrap_used)]

use std::process::Command;

fn cloud1(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_cloud1")).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn help_names_the_commands_and_how_it_is_configured() {
    let (code, out, _) = cloud1(&["--help"]);
    assert_eq!(code, Some(0));
    for word in
        ["enrol", "serve", "audit", "--config", "--set", "Examples:\n  cloud1 ", "Exit codes"]
    {
        assert!(out.contains(word), "{word} is not in:\n{out}");
    }
}

#[test]
fn version_names_the_protocol() {
    let (code, out, _) = cloud1(&["--version"]);
    assert_eq!((code, out.contains("(protocol 1)")), (Some(0), true), "{out}");
}

#[test]
fn unknown_keys_are_refused_by_name() {
    let (code, _, err) = cloud1(&["--set", "foldr=/tmp/x", "serve"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("foldr") && err.contains("folder"), "{err}");
}

#[test]
fn serving_without_enrolment_says_what_to_do() {
    let folder = format!("folder={}", std::env::temp_dir().join("dyad-none").display());
    let (code, _, err) = cloud1(&["--set", &folder, "serve"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("enrol first"), "{err}");
}

#[test]
fn the_key_that_help_shows_can_be_given() {
    let (_, out, _) = cloud1(&["--help"]);
    let (_, rest) = out.split_once("--set limits.").expect("a key is shown");
    let key = format!("limits.{}", rest.split('=').next().unwrap());
    let folder = format!("folder={}", std::env::temp_dir().join("dyad-none").display());
    let (code, _, err) = cloud1(&["--set", &folder, "--set", &format!("{key}=7"), "serve"]);
    assert_eq!(code, Some(1), "{key}: {err}");
    assert!(out.contains(&key.to_uppercase().replace('.', "__")), "{out}");
}

#[test]
fn intervals_of_nothing_are_refused_by_name() {
    for key in ["refresh", "patience"] {
        let (code, _, err) = cloud1(&["--set", &format!("{key}=0"), "serve"]);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(&format!("key `{key}`")), "{err}");
    }
    let (code, _, err) = cloud1(&["enrol", "--token", "dyad1-x"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("--set address=HOST:PORT"), "{err}");
}
