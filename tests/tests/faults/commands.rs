//! The owner's command, killed at any time, then given again.

use crate::common::{ONE, approved, ends_well, some_seconds};
use dyad_client::upload::State;
use dyad_client::{Access, Client, Home};
use dyad_data::{ReadOptions, Sample, Schema, Table};
use dyad_protos::job::Opening;
use dyad_protos::upload::Mode;
use dyad_protos::{Hex, Role};
use dyad_tests::scenario::{Study, agree, join, upload_all};
use dyad_tests::{Processes, Services, Way, Weather, command};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

/// `dyad` for this owner.
fn dyad(home: &Path, arguments: &[&str]) -> Command {
    command::dyad(home, arguments).unwrap()
}

async fn to_the_end(home: &Path, arguments: &[&str]) -> String {
    let output: Output = dyad(home, arguments).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "dyad {}: {said}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// Whether it had ended by itself.
async fn killed(child: Child) -> bool {
    command::killed(child).await.unwrap()
}

async fn killed_after(home: &Path, arguments: &[&str], millis: u64) -> bool {
    command::killed_after(home, arguments, millis).await.unwrap()
}

const COLUMNS: usize = 40;
const ROWS: usize = 50_000;

/// A table that takes several chunks, and its schema.
fn large(folder: &Path) -> (PathBuf, Sample) {
    let (mut text, mut schema) = ("id".to_owned(), "version = 1\n".to_owned());
    schema.push_str("\n[[columns]]\nname = \"id\"\nkind = \"identifier\"\n");
    for column in 0..COLUMNS {
        write!(text, ",x{column}").unwrap();
        write!(
            schema,
            "\n[[columns]]\nname = \"x{column}\"\nkind = \"numeric\"\nscaling = {{ min-max = {{ min = \
             0, max = 256 }} }}\n"
        )
        .unwrap();
    }
    text.push_str(",y\n");
    schema
        .push_str("\n[[columns]]\nname = \"y\"\nkind = \"classes\"\nclasses = [\"no\", \"yes\"]\n");
    for row in 0..ROWS {
        write!(text, "r{row}").unwrap();
        for column in 0..COLUMNS {
            write!(text, ",{}", (row * 31 + column * 17 + row / 7 * column) % 256).unwrap();
        }
        text.push_str(if row * 31 % 256 > 128 { ",yes\n" } else { ",no\n" });
    }
    let file = folder.join("large.csv");
    std::fs::write(&file, text).unwrap();
    let table = Table::read(&file, &ReadOptions::default()).unwrap();
    let schema = Schema::from_toml(&schema).unwrap();
    (file, Sample { table, schema })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_behind_what_was_acknowledged() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let services = Processes::start_behind_lines(path).await.unwrap();
    let (file, sample) = large(path);
    let schema = sample.schema.draft().to_toml();
    let (owners, name) = agree(&services, path, 1, &schema).await.unwrap();
    let study = Study { owners, name, files: vec![(0, file.clone())], sample };
    let home = path.join("owner-0");
    let upload = ["upload", file.to_str().unwrap(), "--study", "study"];
    let line = services.line(Role::C1).unwrap();
    line.set(Weather::Slow(12 << 20));
    // Words of 8 bytes, chunks of at most 2 MiB.
    let total = 8 * (ROWS * (COLUMNS + 1)) as u64;
    let chunk = 2 << 20;
    let mut sent = Vec::new();
    for part in [3, 2] {
        let before = line.passed(Way::ToService);
        let child = dyad(&home, &upload).spawn().unwrap();
        while line.passed(Way::ToService) - before < part * chunk {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!killed(child).await, "it ended before it was killed");
        sent.push(line.passed(Way::ToService) - before);
        let uploads =
            Client::open(Home::at(&home), &Access { passphrase: None, insecure_demo: true })
                .unwrap()
                .uploads()
                .unwrap();
        assert_eq!(uploads.len(), 1, "it goes on with the one that it began");
        assert_eq!(uploads[0].state, State::Sending);
    }
    let before = line.passed(Way::ToService);
    to_the_end(&home, &upload).await;
    let last = line.passed(Way::ToService) - before;
    println!("{total} bytes of shares; sent {sent:?}, then {last}");
    // Not again what was acknowledged: of each run at most two chunks were still on their way.
    let all = sent.iter().sum::<u64>() + last;
    assert!(all >= total && all < total + 2 * 2 * chunk + (1 << 20), "{all} of {total}");
    // Once more: nothing is sent again.
    let before = line.passed(Way::ToService);
    to_the_end(&home, &upload).await;
    assert!(line.passed(Way::ToService) - before < 1 << 16);
    line.set(Weather::Fair);
    // And what both clouds have is what was in the file.
    let mut scenario = some_seconds(1);
    scenario.training.batch = 512;
    scenario.training.rate = Some(0.5);
    let prepared = approved(&study, &scenario).await;
    ends_well(&study, &prepared).await;
}

/// A terminal to type in, and questions that go to a file; then questions that nobody answers.
async fn what_nobody_sees_is_not_agreed_to(home: &Path, job: &str) {
    // It runs a command in a terminal of its own.
    if Command::new("script").arg("--version").output().await.is_err() {
        println!("SKIPPED: questions in a terminal: there is no `script` to make one");
        return;
    }
    let (program, said) = (dyad_tests::program("dyad").unwrap(), home.join("said"));
    let approve = format!(
        "{} --home {} --insecure-demo job approve {job}",
        program.display(),
        home.display()
    );
    let told = format!("{approve} 2> {}", said.display());
    for (line, words) in [(&told, &["say --yes"][..]), (&approve, &["[y/N]", "nothing was done"])] {
        let mut command = Command::new("script");
        command.args(["-qec", line, "/dev/null"]).stdin(Stdio::null());
        let output = command.output().await.unwrap();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text += &std::fs::read_to_string(&said).unwrap();
        assert!(!output.status.success(), "{text}");
        assert!(words.iter().all(|words| text.contains(words)), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proposing_and_approving() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let services = Processes::start(path).await.unwrap();
    let study = join(&services, path, 2).await.unwrap();
    upload_all(&study, Mode::Sealed).await.unwrap();
    let homes = [path.join("owner-0"), path.join("owner-1")];
    let proposing = ["job", "propose", "--study", "study", "--model", "mlp:8", "--epochs", "1"];
    let moments = [20, 40, 80, 160, 320];
    let mut in_time = 0;
    for millis in moments {
        in_time += u32::from(!killed_after(&homes[0], &proposing, millis).await);
    }
    // What came of those is a job or nothing, and in nobody's way.
    let listed = to_the_end(&homes[0], &["job", "list"]).await;
    println!("{listed}");
    let prepared = dyad_tests::scenario::propose(&study, &some_seconds(1)).await.unwrap();
    let job = Hex(prepared.job.digest()).to_string();
    what_nobody_sees_is_not_agreed_to(&homes[0], &job).await;
    let [zero, one] = study.owners[0].job(&prepared.study, &prepared.job.digest()).await.unwrap();
    assert_eq!([zero.awaited.len(), one.awaited.len()], [2, 2]);
    let approving = ["job", "approve", &job];
    for home in &homes {
        for millis in moments {
            in_time += u32::from(!killed_after(home, &approving, millis).await);
        }
    }
    assert!(in_time > 0, "it was never killed in time");
    for home in &homes {
        // The job may have begun with what was sent before a kill: then that is said.
        let output = dyad(home, &approving).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let stands = said.contains("began with the approvals that stood then");
        assert!(output.status.success() || stands, "{said}");
    }
    ends_well(&study, &prepared).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_answering_and_fetching() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let services = Processes::start(path).await.unwrap();
    let study = join(&services, path, 2).await.unwrap();
    upload_all(&study, Mode::Sealed).await.unwrap();
    let mut scenario = some_seconds(2);
    scenario.opening = Opening::Joint;
    let prepared = approved(&study, &scenario).await;
    let job = Hex(prepared.job.digest()).to_string();
    let homes = [path.join("owner-0"), path.join("owner-1")];
    let watch = ["job", "watch", &job, "--answer"];
    // In the training, at the answer and after it.
    for millis in [30, 100, 200, 400, 600, 800, 1000, 1200] {
        for home in &homes {
            killed_after(home, &watch, millis).await;
        }
    }
    let (zero, one) = tokio::join!(to_the_end(&homes[0], &watch), to_the_end(&homes[1], &watch));
    assert!(zero.contains("released") && one.contains("released"), "{zero}{one}");
    // Fetching, at ever later moments: the file is whole or not there.
    let mut partly = 0;
    let (out, right) = (path.join("out.json"), path.join("right.json"));
    let fetch = |out: &Path| {
        ["model", "fetch", &job, "--out", out.to_str().unwrap()].map(str::to_owned).to_vec()
    };
    let right_arguments = fetch(&right);
    to_the_end(&homes[0], &right_arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let right = std::fs::read(&right).unwrap();
    let arguments = fetch(&out);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    for millis in (0..400).step_by(25) {
        drop(std::fs::remove_file(&out));
        killed_after(&homes[0], &arguments, millis).await;
        match std::fs::read(&out) {
            Ok(there) => assert!(there == right, "half a model after {millis} ms"),
            Err(_) => partly += 1,
        }
    }
    assert!(partly > 0, "it was never killed in time");
    to_the_end(&homes[0], &arguments).await;
    assert_eq!(std::fs::read(&out).unwrap(), right);
    ends_well(&study, &prepared).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enrolling() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut services = Processes::start(path).await.unwrap();
    let mut before_its_end = 0;
    for (i, millis) in [0, 4, 8, 12, 16, 24, 32, 48, 64, 96].into_iter().enumerate() {
        // The owner's command, or the key centre.
        for who in [Role::Owner, Role::Kgc] {
            let name = format!("{who}-{i}").replace("kgc", "centre");
            let home = path.join(&name);
            let token = services.token(Role::Owner, &name).await.unwrap();
            let enrol = ["enroll", "--token", &token];
            if who == Role::Owner {
                before_its_end += u32::from(!killed_after(&home, &enrol, millis).await);
            } else {
                let child = dyad(&home, &enrol).spawn().unwrap();
                tokio::time::sleep(Duration::from_millis(millis)).await;
                services.kill(Role::Kgc).await.unwrap();
                services.run(Role::Kgc).await.unwrap();
                // It may have come through, or say that the key centre went away.
                let output = child.wait_with_output().await.unwrap();
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success() || said.starts_with("dyad: "), "{said}");
            }
            // The same token, the same command.
            to_the_end(&home, &enrol).await;
            let access = Access { passphrase: None, insecure_demo: true };
            let client = Client::open(Home::at(&home), &access).unwrap();
            assert_eq!(client.name().as_str(), name);
            client.studies().await.unwrap();
        }
    }
    assert!(before_its_end > 0, "it was never killed in time");
}

/// The owner's own disk: what is made is not half made.
#[tokio::test(flavor = "multi_thread")]
async fn a_spool_that_may_not_grow() {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let services = Processes::start(path).await.unwrap();
    let study = join(&services, path, 1).await.unwrap();
    let home = path.join("owner-0");
    for (_, file) in &study.files {
        let upload = ["upload", file.to_str().unwrap(), "--study", "study"];
        let plain = dyad(&home, &upload);
        let plain = plain.as_std();
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""]);
        command.arg(plain.get_program()).args(plain.get_args());
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        println!("{said}");
        assert!(!output.status.success() && said.contains("the disk is not full"), "{said}");
        to_the_end(&home, &upload).await;
    }
    let prepared = approved(&study, &some_seconds(1)).await;
    ends_well(&study, &prepared).await;
}
