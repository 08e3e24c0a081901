//! What the command says of itself, and how it refuses a wrong call.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};

fn dyad(args: &[&str], home: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dyad"))
        .args(args)
        .env("DYAD_HOME", home)
        .env_remove("DYAD_PASSPHRASE")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Every command there is.
const COMMANDS: [&[&str]; 30] = [
    &[],
    &["enroll"],
    &["study"],
    &["study", "create"],
    &["study", "join"],
    &["study", "show"],
    &["study", "list"],
    &["study", "suggest-schema"],
    &["upload"],
    &["uploads"],
    &["withdraw"],
    &["job"],
    &["job", "propose"],
    &["job", "estimate"],
    &["job", "approve"],
    &["job", "revoke"],
    &["job", "cancel"],
    &["job", "show"],
    &["job", "list"],
    &["job", "watch"],
    &["model"],
    &["model", "fetch"],
    &["model", "answer"],
    &["model", "compare"],
    &["model", "show"],
    &["model", "score"],
    &["key"],
    &["key", "backup"],
    &["key", "restore"],
    &["key", "show"],
];

/// All help is as it is written in `testdata/help.txt`. If it changed on purpose, `DYAD_PIN=1` writes
/// it anew.
#[test]
fn help_is_what_it_was() {
    let home = tempfile::tempdir().unwrap();
    let mut all = String::new();
    for command in COMMANDS {
        let args = [command, &["--help"]].concat();
        let output = dyad(&args, home.path());
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(output.stderr.is_empty());
        writeln!(all, "$ dyad {}\n{}", args.join(" "), text(&output.stdout)).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/help.txt");
    if std::env::var_os("DYAD_PIN").is_some() {
        std::fs::write(&path, &all).unwrap();
    }
    let pinned = std::fs::read_to_string(&path).unwrap_or_default();
    for (now, then) in all.lines().zip(pinned.lines()) {
        assert_eq!(now, then, "DYAD_PIN=1 writes the help anew");
    }
    assert_eq!(all.lines().count(), pinned.lines().count(), "DYAD_PIN=1 writes the help anew");
}

/// Whoever runs a command that begins at a person's first hour sees how.
#[test]
fn help_shows_examples() {
    let home = tempfile::tempdir().unwrap();
    for command in COMMANDS.iter().filter(|command| command.len() == 2) {
        if matches!(command, ["study" | "job", "list"]) {
            continue;
        }
        let help = text(&dyad(&[command, &["--help"][..]].concat(), home.path()).stdout);
        assert!(help.contains("Example"), "{command:?}");
    }
}

#[test]
fn wrong_calls_end_with_2() {
    let home = tempfile::tempdir().unwrap();
    for (args, words) in [
        (&[][..], "Usage: dyad"),
        (&["stdy"], "unrecognized subcommand 'stdy'"),
        (&["enroll"], "--token <TOKEN>"),
        (&["upload", "a.csv"], "--study <STUDY>"),
        (&["uploads", "--all"], "--study <STUDY>"),
        (&["job", "propose", "--study", "s", "--epochs", "x"], "invalid value 'x'"),
        (&["job", "propose", "--model", "mlp:3", "--train", "t"], "cannot be used with"),
        (&["job", "propose", "--release", "all"], "[possible values: each, joint]"),
        (&["model", "score", "a.csv"], "--model <MODEL>"),
        (&["key", "backup"], "<FILE>"),
        (&["study", "list", "--patience", "86401"], "86401 is not in"),
        (&["job", "approve", "--valid", "0"], "0 is not in 1..=366"),
        (&["job", "approve", "--valid", "99999999999999999"], "is not in 1..=366"),
    ] {
        let output = dyad(args, home.path());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty());
        let said = text(&output.stderr);
        assert!(said.contains(words), "{args:?}: {said}");
    }
}

#[test]
fn what_cannot_be_done_ends_with_1_and_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    for (args, words) in [
        (&["study", "list"][..], "dyad enroll --token"),
        (&["upload", "a.csv", "--study", "s"], "dyad enroll --token"),
        (&["enroll", "--token", "dyad1-x"], "a token"),
        (&["key", "backup", "b"], "set DYAD_PASSPHRASE"),
        (&["model", "show", "1f3a"], "dyad model fetch 1f3a"),
        (&["study", "suggest-schema", "none.csv"], "there is no file none.csv"),
    ] {
        let output = dyad(args, home.path());
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(output.stdout.is_empty());
        let said = text(&output.stderr);
        assert!(said.starts_with("dyad: ") && said.contains(words), "{args:?}: {said}");
        let json = dyad(&[args, &["--json"]].concat(), home.path());
        assert_eq!(json.status.code(), Some(1));
        let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert!(document["error"].as_str().unwrap().contains(words), "{document}");
    }
}

#[test]
fn a_schema_is_suggested_without_keys() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("a.csv");
    std::fs::write(&file, "id,age,ill\nA1,30,no\nB2,40,yes\nC3,50,no\n").unwrap();
    let args = ["study", "suggest-schema", file.to_str().unwrap(), "--label", "ill"];
    let output = dyad(&args, home.path());
    let schema = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(schema.contains("proposal = true") && schema.contains("classes"), "{schema}");
}
