//! The service as a process, killed while the master key is handed over.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common;

use common::{WEEK, name, params};
use dyad_bcp::MasterKey;
use dyad_kgc::{CAUSE, Config, Init};
use dyad_net::contexts;
use dyad_net::identity::Role;
use dyad_net::member::Member;
use dyad_protos::master_key_digest;
use dyad_protos::wire::kgc::v1::{HandOverDoneRequest, HandOverReply, HandOverRequest};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tonic::{Code, Status};

struct Process(Child);

impl Process {
    fn start(config: &Config) -> Self {
        Self::heard(config, Stdio::null())
    }

    fn heard(config: &Config, stderr: Stdio) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kgc"));
        for (key, value) in [
            ("store", config.store.display().to_string()),
            ("listen", config.listen.clone()),
            ("insecure_demo", "true".into()),
        ] {
            command.args(["--set", &format!("{key}={value}")]);
        }
        command.arg("serve").stdout(Stdio::null()).stderr(stderr);
        Self(command.spawn().unwrap())
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn its_start_says_how_long_its_certificate_is_good() {
    let dir = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (store, certificate_days) = (dir.path().join("kgc"), 40);
    let listen = port.to_string();
    let config =
        Config { store, listen, certificate_days, insecure_demo: true, ..Config::default() };
    dyad_kgc::init(&config, &Init::demo(name("centre"))).unwrap();
    let mut process = Process::heard(&config, Stdio::piped());
    let said = BufReader::new(process.0.stderr.take().unwrap());
    let line = said.lines().map(Result::unwrap).find(|line| line.contains("serving")).unwrap();
    assert!(line.contains("certificate=good for 39 days"), "{line}");
    process.kill();
}

/// Asks until the service answers.
async fn asked(member: &Member) -> Result<HandOverReply, Status> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match member.registry().unwrap().hand_over(HandOverRequest {}).await {
            Ok(reply) => return Ok(reply.into_inner()),
            Err(status) if status.code() == Code::Unavailable && Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(status) => return Err(status),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handing_over_survives_it() {
    let dir = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let store = dir.path().join("kgc");
    let config =
        Config { store, listen: port.to_string(), insecure_demo: true, ..Config::default() };
    dyad_kgc::init(&config, &Init::demo(name("centre"))).unwrap();
    let mut process = Process::start(&config);
    let token = dyad_kgc::token(&config, Role::C0, &name("zero"), WEEK).await.unwrap().to_string();
    let home = dir.path().join("zero");
    let until = Instant::now() + Duration::from_secs(20);
    let c0 = loop {
        match Member::enrol(&home, &token, Some("127.0.0.1:1"), None).await {
            Ok(member) => break member,
            Err(_) if Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    let context = contexts::master_key(&name("centre"), &name("zero"));
    // Killed at ever later moments after it was asked.
    for millis in [0, 2, 5, 10, 20] {
        let asking = tokio::spawn({
            let mut registry = c0.registry().unwrap();
            async move { registry.hand_over(HandOverRequest {}).await }
        });
        tokio::time::sleep(Duration::from_millis(millis)).await;
        process.kill();
        drop(asking.await.unwrap());
        process = Process::start(&config);
        let reply = asked(&c0).await.unwrap();
        let opened = c0.seal.open(&context, &reply.sealed).unwrap();
        MasterKey::from_bytes(&params(&c0), &opened).unwrap();
    }
    let reply = asked(&c0).await.unwrap();
    let digest = master_key_digest(&c0.seal.open(&context, &reply.sealed).unwrap());
    let file = config.store.join("keys").join("master.key");
    for millis in [0, 2, 5, 10, 20] {
        let saying = tokio::spawn({
            let mut registry = c0.registry().unwrap();
            let request = HandOverDoneRequest { digest: digest.to_vec().into() };
            async move { registry.hand_over_done(request).await }
        });
        tokio::time::sleep(Duration::from_millis(millis)).await;
        process.kill();
        drop(saying.await.unwrap());
        process = Process::start(&config);
        // Either it was heard, and the key is gone, or it was not, and the key is there.
        match asked(&c0).await {
            Ok(_) => assert!(file.exists()),
            Err(status) => {
                assert_eq!(status.metadata().get(CAUSE).unwrap(), "hand_over", "{status:?}");
                assert!(!file.exists());
            }
        }
    }
    let request = HandOverDoneRequest { digest: digest.to_vec().into() };
    c0.registry().unwrap().hand_over_done(request).await.unwrap();
    assert!(!file.exists());
    asked(&c0).await.unwrap_err();
}
