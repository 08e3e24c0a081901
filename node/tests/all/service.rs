//! The one main, as a process: help, version, exit codes, signals, log, endpoint.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The example, which `cargo test` builds beside the tests.
fn hello() -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/hello");
    assert!(path.exists(), "{} is not built: cargo test -p dyad-node", path.display());
    let mut command = Command::new(path);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(args: &[&str]) -> Output {
    hello().args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn version_and_help() {
    let version = run(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(text(&version.stdout), "hello 0.1.0 (protocol 1)\n");
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert_eq!(
        text(&help.stdout),
        "\
Greets

Usage: hello [OPTIONS] <COMMAND>

Commands:
  serve    Greet, then wait until told to stop
  stuck    Do not heed the wish to stop
  config   Print the configuration as a file
  fail     Fail
  misused  Find the usage wrong
  broken   Run into a mistake of the program
  help     Print this message or the help of the given subcommand(s)

Options:
      --config <FILE>           Read the configuration from this TOML file
      --set <KEY.PATH=VALUE>    Set a key of the configuration, over file and environment; repeatable
      --log <FORMAT>            How to write the log, to standard error: text or json
      --log-filter <FILTER>     What to log: a level, or levels by module as info,dyad_net=debug
      --admin-listen <ADDRESS>  Serve /healthz, /readyz and /metrics here, e.g. 127.0.0.1:9090
  -h, --help                    Print help
  -V, --version                 Print version

Examples:
  hello serve --set greeting=moin    greet in northern manner
  hello config > hello.toml          begin a configuration

Configuration: defaults, then --config FILE, then the environment, then flags.
  Key log_filter of the file is DYAD_HELLO__LOG_FILTER in the environment, and
  --set log_filter=... here. Unknown keys are refused.

Exit codes: 0 done; 1 failed; 2 usage or configuration.
SIGTERM or SIGINT: ends in good order; the second one: ends at once.
"
    );
}

#[test]
fn exit_codes_and_errors() {
    for (args, code, expected) in [
        (
            &["fail"][..],
            1,
            "error: cannot greet\nbecause: the voice is gone\nwhat to do: drink some tea\n",
        ),
        (&["misused"], 2, "error: nobody to greet\nwhat to do: see --help\n"),
        (
            &["serve", "--set", "limits.gests=2"],
            2,
            "error: configuration: key `limits.gests` (--set limits.gests): unknown; did you \
             mean `limits.guests`?\nwhat to do: see --help\n",
        ),
        (
            &["serve", "--set", "hunter2"],
            2,
            "error: --set wants KEY.PATH=VALUE; there is no = in it\nwhat to do: see --help\n",
        ),
        (
            &["serve", "--log-filter", "a=b=c"],
            2,
            "error: key `log_filter`: error parsing level filter: expected one of \"off\", \
             \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5\nwhat to do: see \
             --help\n",
        ),
    ] {
        let output = run(args);
        assert_eq!(text(&output.stderr), expected);
        assert_eq!(output.status.code(), Some(code), "{args:?}");
    }
    for args in [&["serve", "--no-such-flag"][..], &["dance"], &[]] {
        assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    }
    let broken = run(&["broken"]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(text(&broken.stderr).contains("error: a mistake of the program\nbecause: "));
}

#[test]
fn configuration_from_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hello.toml");
    let sample = run(&["config"]);
    assert_eq!(sample.status.code(), Some(0));
    std::fs::write(&file, &sample.stdout).unwrap();
    let mut again = hello();
    again.arg("config").arg("--config").arg(&file);
    let plain = again.output().unwrap();
    assert_eq!(plain.stdout, sample.stdout);
    again.env("DYAD_HELLO__GREETING", "moin").env("DYAD_HELLO__PASSPHRASE", "hunter2");
    let output = again.args(["--set", "limits.guests=5"]).output().unwrap();
    let shown = text(&output.stdout);
    assert!(shown.contains("greeting = \"moin\"") && shown.contains("guests = 5"), "{shown}");
    assert!(!shown.contains("hunter2") && !text(&output.stderr).contains("hunter2"));
    again.env("DYAD_HELLO__GREETINX", "hunter2");
    let output = again.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(&output.stderr),
        "error: configuration: key `greetinx` (environment variable DYAD_HELLO__GREETINX): \
         unknown; did you mean `greeting`?\nwhat to do: see --help\n"
    );
}

/// A running service; killed at the latest when dropped.
struct Running {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn start(args: &[&str], first_line: &str) -> Running {
    let mut child = hello().args(args).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, first_line);
    Running { child, out }
}

impl Running {
    fn signal(&self, name: &str) {
        // A shell has it built in, whatever else the machine lacks.
        let command = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// Waits for its end: exit code, standard output, standard error.
    fn end(mut self) -> (Option<i32>, String, String) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code(), out, err)
    }
}

#[test]
fn the_first_signal_ends_in_good_order() {
    for name in ["TERM", "INT"] {
        let running = start(&["serve"], "hello to 3 guests\n");
        running.signal(name);
        let (code, out, err) = running.end();
        assert_eq!((code, &*out), (Some(0), "bye\n"), "{err}");
        assert!(err.contains("hello 0.1.0 (protocol 1) starts"), "{err}");
        assert!(err.contains("configuration=\"defaults\""), "{err}");
        assert!(err.contains(&format!("SIG{name}: stopping")), "{err}");
    }
}

#[test]
fn the_second_signal_ends_at_once() {
    let mut running = start(&["stuck"], "stuck\n");
    let mut log = BufReader::new(running.child.stderr.take().unwrap());
    running.signal("TERM");
    // Two signals in one moment count as one.
    until(&mut log, "SIGTERM: stopping");
    assert!(running.child.try_wait().unwrap().is_none());
    running.signal("TERM");
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "error: SIGTERM again: ended at once\n");
    assert_eq!(running.child.wait().unwrap().code(), Some(1));
}

/// Reads lines up to one with `text` in it.
fn until(log: &mut impl BufRead, text: &str) -> String {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "no line with {text}");
    }
    line
}

#[test]
fn the_log_as_json() {
    let running = start(&["serve", "--log", "json"], "hello to 3 guests\n");
    running.signal("TERM");
    let (_, _, err) = running.end();
    let first = err.lines().next().unwrap();
    assert!(first.starts_with("{\"timestamp\":") && first.ends_with('}'), "{first}");
    assert!(first.contains("\"message\":\"hello 0.1.0 (protocol 1) starts\""), "{first}");
}

#[test]
fn the_endpoint_is_there_when_asked_for() {
    let args = ["serve", "--admin-listen", "127.0.0.1:0"];
    let mut running = start(&args, "hello to 3 guests\n");
    let mut log = BufReader::new(running.child.stderr.take().unwrap());
    let line = until(&mut log, "admin endpoint");
    let address = line.trim().rsplit('=').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("voice: ready\n"), "{answer}");
    // A second one finds the port taken.
    let taken = run(&["serve", "--admin-listen", address]);
    assert_eq!(taken.status.code(), Some(1));
    let told = text(&taken.stderr);
    assert!(told.contains(&format!("error: the admin endpoint cannot listen on {address}\n")));
    assert!(told.ends_with("what to do: choose another admin_listen, or end what listens there\n"));
}
