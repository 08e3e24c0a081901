//! The command as a user meets it.
#![cfg(unix)]

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

fn dyad_local() -> Command {
    Command::new(env!("CARGO_BIN_EXE_dyad-local"))
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut child =
        dyad_local().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_full_disk_is_an_error_and_no_panic() {
    // There is one on Linux alone.
    let Ok(full) = File::options().write(true).open("/dev/full") else { return };
    let output = dyad_local().stdout(full).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("dyad-local: ") && !said.contains("panicked"), "{said}");
}

#[test]
fn arguments_it_does_not_know_are_refused() {
    for argument in [OsStr::new("extra"), OsStr::from_bytes(b"\xff")] {
        let output = dyad_local().arg(argument).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("error: ") && output.stdout.is_empty(), "{said}");
    }
}
