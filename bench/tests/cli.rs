//! The command as a user meets it.

use std::process::{Command, Output, Stdio};

fn dyad_bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dyad-bench")).args(arguments).output().expect("it starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn the_list_names_every_figure_once() {
    let output = dyad_bench(&["--list"]);
    assert!(output.status.success());
    let text = stdout(&output);
    let names: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(names.len(), once.len());
    for name in [
        "bcp.modexp",
        "bcp.modexp.portable",
        "bcp.encrypt",
        "bcp.decrypt.user",
        "bcp.decrypt.master",
        "bcp.partial",
        "bcp.paragen",
        "mpc.matmul",
        "mpc.matmul.backends",
        "mpc.matmul.shapes",
    ] {
        assert!(names.contains(&name), "{name} is missing");
    }
}

#[test]
fn an_unknown_name_is_refused_and_says_where_to_look() {
    let output = dyad_bench(&["bcp.modexp", "bcp.nothing"]);
    assert!(!output.status.success());
    assert!(stdout(&output).is_empty());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("`bcp.nothing`") && message.contains("--list"), "{message}");
}

#[test]
fn json_lines_stand_alone_on_standard_output() {
    let output = dyad_bench(&["bcp.encrypt", "--json"]);
    assert!(output.status.success());
    let text = stdout(&output);
    assert_eq!(text.lines().count(), 2, "one line per size: {text}");
    for line in text.lines() {
        let figure: serde_json::Value = serde_json::from_str(line).expect("an object");
        assert_eq!(figure["bench"], "bcp.encrypt");
        assert!(figure["params"].is_string() && figure["unit"].is_string(), "{line}");
        assert!(figure["baseline"].as_str().is_some_and(|b| b.starts_with("num-bigint")), "{line}");
        let positive = |key: &str| figure[key].as_f64().is_some_and(|x| x > 0.0);
        assert!(positive("value") && positive("ratio"), "{line}");
    }
}

#[test]
fn the_list_is_json_where_json_is_asked_for() {
    let output = dyad_bench(&["bcp.decrypt", "--list", "--json"]);
    assert!(output.status.success());
    let names: Vec<_> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an object"))
        .inspect(|line| assert!(line["about"].is_string()))
        .map(|line| line["bench"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(names, ["bcp.decrypt.user", "bcp.decrypt.master"]);
    let output = dyad_bench(&["--list", "nothing"]);
    assert!(!output.status.success() && output.stdout.is_empty());
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dyad-bench"))
        .arg("--list")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_full_disk_is_an_error_and_no_panic() {
    // There is one on Linux alone.
    let Ok(full) = std::fs::File::options().write(true).open("/dev/full") else { return };
    let mut command = Command::new(env!("CARGO_BIN_EXE_dyad-bench"));
    let output = command.arg("--list").stdout(full).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("dyad-bench: ") && !said.contains("panicked"), "{said}");
}
