//! The commands that the quick start and the README show, run as they stand there.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use dyad_tests::program;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(workspace().join(name)).unwrap()
}

/// Blocks of code that follow this marker, or all of a language.
fn blocks(text: &str, marker: Option<&str>, language: &str) -> Vec<String> {
    let (mut found, mut inside, mut marked) = (Vec::new(), None, false);
    for line in text.lines() {
        match (&mut inside, line.trim_end()) {
            (None, line) if line.starts_with("```") => {
                inside = Some((line == format!("```{language}") && marked, String::new()));
            }
            (Some((wanted, block)), "```") => {
                if *wanted {
                    found.push(std::mem::take(block));
                }
                (inside, marked) = (None, marker.is_none());
            }
            (Some((_, block)), line) => writeln!(block, "{line}").unwrap(),
            (None, "") => {}
            (None, line) => marked = marker.is_none_or(|marker| line == marker),
        }
    }
    found
}

fn said(output: &Output) -> String {
    let part = String::from_utf8_lossy;
    format!("{}{}", part(&output.stdout), part(&output.stderr))
}

#[test]
fn blocks_are_found() {
    let text =
        "<!-- run -->\n```sh\none\n```\nor\n```sh\ntwo\n```\n<!-- run -->\n\n```sh\n3\n```\n";
    assert_eq!(blocks(text, Some("<!-- run -->"), "sh"), ["one\n", "3\n"]);
    assert_eq!(blocks(text, None, "sh").len(), 3);
}

/// Where a port that the page names is taken, another stands for it, and it is said.
fn with_free_ports(script: String) -> String {
    let ports = [7300, 7310, 7311];
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    if ports.into_iter().all(free) {
        return script;
    }
    let others: Vec<_> =
        ports.iter().map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
    ports.into_iter().zip(others).fold(script, |script, (port, other)| {
        let other = other.local_addr().unwrap().port();
        println!("port {port} stands for {other} here: it or a neighbour is in use");
        script.replace(&format!(":{port}"), &format!(":{other}"))
    })
}

#[test]
fn the_quick_start_runs() {
    let page = read("docs/quick-start.md");
    let run = blocks(&page, Some("<!-- run -->"), "sh");
    assert!(run.len() >= 9, "{} blocks", run.len());
    let folder = tempfile::tempdir().unwrap();
    let programs = program("kgc").unwrap().parent().unwrap().to_owned();
    // The first block is run like the others; what it builds is there, or this test says so.
    for name in ["cloud0", "cloud1", "dyad"] {
        program(name).unwrap();
    }
    let built = blocks(&page, Some("<!-- build -->"), "sh").concat();
    for package in built.lines().next().unwrap().split(" -p ").skip(1) {
        let manifest = format!("{}/Cargo.toml", package.trim().trim_start_matches("dyad-"));
        assert!(read(&manifest).contains(&format!("name = \"{}\"", package.trim())), "{package}");
    }
    assert!(built.contains("target/release:$PATH"), "{built}");

    // Whatever fails ends it, and the services with it.
    let mut script =
        "set -euo pipefail\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n".to_owned();
    for block in &run {
        script.push_str(block);
    }
    let script = with_free_ports(script);
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = Command::new("timeout")
        .args(["150", "bash", "-c", &script])
        .env("PATH", path)
        .env_remove("DYAD_HOME")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = said(&output);
    println!("{said}");
    let log = |name: &str| {
        let path = folder.path().join("dyad-demo").join(name);
        std::fs::read_to_string(path).unwrap_or_default()
    };
    assert!(
        output.status.success(),
        "{}\nkgc: {}\nc0: {}\nc1: {}",
        output.status,
        log("kgc.log"),
        log("c0.log"),
        log("c1.log")
    );
    // What the page says that is printed.
    for block in blocks(&page, None, "text") {
        for line in block.lines().filter(|line| line.trim() != "...") {
            assert!(said.contains(line), "the page shows `{line}`, which was not printed");
        }
    }
    // Whoever signs sees how many rows of each owner matched: north once, south twice.
    assert!(said.matches("north: 60 of 60 rows").count() >= 3, "an owner signs without seeing it");
    // `Both have the same bits`
    let digest = |name: &str| {
        let text = std::fs::read_to_string(folder.path().join("dyad-demo").join(name)).unwrap();
        let (_, rest) = text.split_once("\"digest\":\"").expect("a digest");
        rest[..64].to_owned()
    };
    assert_eq!(digest("north.json"), digest("south.json"));
    assert_ne!(digest("north.json"), digest("joint.json"));
    for name in ["north.json", "joint.json"] {
        assert!(said.contains(&format!("digest     {}", digest(name))), "{name}: no such line");
    }
}

/// One line of the README.
fn run_line(line: &str, folder: &Path) {
    let run = |name: &str, arguments: &[&str]| {
        let output = Command::new(program(name).unwrap())
            .args(arguments)
            .current_dir(folder)
            .output()
            .unwrap();
        let said = said(&output);
        assert!(output.status.success(), "{line}: {said}");
        said
    };
    let arguments: Vec<_> = line.split_whitespace().collect();
    match arguments[..] {
        ["cargo", "run", "--release"] => {
            let said = run("dyad-local", &[]);
            let same = said
                .lines()
                .any(|line| line.contains("weights identical") && line.trim_end().ends_with("yes"));
            assert!(same, "{said}");
        }
        ["cargo", "run", "--release", "--", ref rest @ ..] => {
            let said = run("dyad-local", rest);
            assert!(said.contains("weights identical"), "{said}");
        }
        ["cargo", "run", "--release", "--bin", "dyad-bench", "--", "--list"] => {
            assert!(run("dyad-bench", &["--list"]).contains("train.mlp"));
        }
        ["cargo", "run", "--release", "--bin", "dyad-bench", "--", ref names @ ..] => {
            // Measuring takes minutes: that there are such figures is looked at.
            let list = run("dyad-bench", &["--list"]);
            for name in names {
                assert!(list.lines().any(|line| line.trim_start().starts_with(name)), "{name}");
            }
        }
        // This very run is one of it, or `.ci/run` runs it.
        ["cargo", "test", "--release", "--workspace"] => {}
        _ => panic!("README.md shows `{line}`, which no test runs"),
    }
}

#[test]
fn the_readmes_commands_run() {
    let folder = tempfile::tempdir().unwrap();
    for (name, from) in [("a.csv", 0_u32), ("b.csv", 60)] {
        let mut text = "x,z,y\n".to_owned();
        for i in from..from + 60 {
            let (x, z) = (i * 37 % 100, i * 53 % 90);
            writeln!(text, "{x},{z},{}", if x + z > 90 { "yes" } else { "no" }).unwrap();
        }
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let page = read("README.md");
    let mut count = 0;
    for block in blocks(&page, None, "sh") {
        for line in block.lines().filter(|line| !line.is_empty()) {
            println!("{line}");
            run_line(line, folder.path());
            count += 1;
        }
    }
    assert!(count >= 5, "{count} commands");
}

/// What the maps point to is there: files and folders, and in a file the names beside it.
#[test]
fn maps_point_to_what_is_there() {
    let root = workspace();
    let (mut paths, mut names) = (0, 0);
    let mut absent = Vec::new();
    for map in ["docs/paper-map.md", "docs/threat-model.md", "docs/security.md"] {
        let text = read(map);
        for line in text.lines() {
            // Parts between back quotes are every second one.
            let parts: Vec<&str> = line.split('`').collect();
            let mut file: Option<&str> = None;
            for (i, quoted) in parts.iter().enumerate().skip(1).step_by(2) {
                let is_path = quoted.contains('/')
                    && quoted.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
                // Folders of stores are no folders of the project.
                let first = quoted.split('/').next().unwrap_or_default();
                let ours = quoted.ends_with('/') && root.join(first).exists();
                let is_source = Path::new(quoted).extension().is_some_and(|end| end == "rs");
                if is_path && (is_source || ours) {
                    paths += 1;
                    if !root.join(quoted).exists() {
                        absent.push(format!("{map}: {quoted}"));
                    }
                    file = is_source.then_some(*quoted);
                    continue;
                }
                // `file` (`name`, `Type::name`)
                let before = parts[i - 1];
                if !matches!(before, " (" | ", ") {
                    file = None;
                }
                let is_name = quoted.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
                if let (Some(file), true) = (file, is_name && !quoted.is_empty()) {
                    names += 1;
                    let source = std::fs::read_to_string(root.join(file)).unwrap_or_default();
                    let name = quoted.rsplit(':').next().unwrap_or_default();
                    if !source.contains(name) {
                        absent.push(format!("{map}: {quoted} in {file}"));
                    }
                }
            }
        }
    }
    assert!(paths > 200 && names > 100, "{paths} paths, {names} names: the maps are read wrongly");
    assert!(absent.is_empty(), "not there:\n{}", absent.join("\n"));
}
