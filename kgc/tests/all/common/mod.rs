//! A key centre with the demo set in a temporary folder, serving on the loopback, and parties that
//! are enrolled with it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use dyad_bcp::{ProofContext, PublicParams, SecretKey};
use dyad_kgc::{CAUSE, Cause, Config, Init};
use dyad_net::identity::{Name, Role};
use dyad_net::member::{Member, Token};
use dyad_node::store::{Db, Migrations};
use dyad_node::{Clock, Context, ManualClock, SystemClock, audit};
use dyad_protos::study::{self, Column, Draft, Label, Study};
use dyad_protos::wire::kgc::v1::{CreateStudyRequest, JoinStudyRequest, StudyReply};
use dyad_protos::{Document, Hex};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::{Code, Response, Status};

pub const WEEK: Duration = Duration::from_hours(7 * 24);

pub struct World {
    pub dir: TempDir,
    pub config: Config,
    pub clock: ManualClock,
    pub context: Context,
    task: Option<JoinHandle<anyhow::Result<()>>>,
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl World {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("kgc");
        let config = Config { store, insecure_demo: true, ..Config::default() };
        Self::start_with(dir, config).await
    }

    pub async fn start_with(dir: TempDir, mut config: Config) -> Self {
        dyad_kgc::init(&config, &Init::demo(name("centre"))).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        config.listen = listener.local_addr().unwrap().to_string();
        let clock = ManualClock::new(SystemClock.now());
        let context = Context::detached().with_clock(clock.clone());
        let mut world = Self { dir, config, clock, context, task: None };
        world.serve(listener);
        world
    }

    fn serve(&mut self, listener: TcpListener) {
        let (config, context) = (self.config.clone(), self.context.clone());
        self.task = Some(tokio::spawn(dyad_kgc::serve(config, context, Some(listener))));
    }

    pub async fn stop(&mut self) {
        self.context.stop.stop();
        if let Some(task) = self.task.take() {
            task.await.unwrap().unwrap();
        }
    }

    /// Stopped and started again at the same address.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.go_on().await;
    }

    pub async fn go_on(&mut self) {
        self.context = Context::detached().with_clock(self.clock.clone());
        let listener = TcpListener::bind(&self.config.listen).await.unwrap();
        self.serve(listener);
    }

    pub async fn token(&self, role: Role, who: &str) -> Token {
        dyad_kgc::token(&self.config, role, &name(who), WEEK).await.unwrap()
    }

    pub fn home(&self, who: &str) -> PathBuf {
        self.dir.path().join(who)
    }

    pub async fn enrol(&self, role: Role, who: &str) -> Member {
        let token = self.token(role, who).await.to_string();
        let address = (role != Role::Owner).then_some("127.0.0.1:1");
        Member::enrol(&self.home(who), &token, address, None).await.unwrap()
    }

    pub async fn clouds(&self) -> [Member; 2] {
        [self.enrol(Role::C0, "zero").await, self.enrol(Role::C1, "one").await]
    }

    /// How often something was refused for this cause.
    pub fn refusals(&self, cause: Cause) -> u64 {
        self.counted("dyad_refusals_total", &format!("cause=\"{}\"", cause.as_str()))
    }

    /// What a counter with this label stands at.
    pub fn counted(&self, counter: &str, label: &str) -> u64 {
        let text = self.context.metrics.render();
        let line = text.lines().find(|l| l.starts_with(counter) && l.contains(label));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    }

    /// Who did what, once it is stopped; the chain holds.
    pub async fn audit(&self) -> Vec<(String, String)> {
        const TABLES: Migrations = Migrations {
            name: "kgc",
            sqlite: &[("0001_centre", include_str!("../../../migrations/sqlite/0001_centre.sql"))],
        };
        let url = format!("sqlite://{}", self.config.store.join("kgc.db").display());
        let db = Db::open(&url, &[TABLES]).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        audit::verify(&mut tx, None).await.unwrap();
        let rows = audit::read(&mut tx, 0, 1000).await.unwrap();
        tx.rollback().await;
        db.close().await;
        rows.into_iter().map(|row| (row.who, row.what)).collect()
    }

    /// Refused for this cause, and counted; gives what was said.
    pub fn refused<T: std::fmt::Debug>(
        &self,
        cause: Cause,
        answer: Result<Response<T>, Status>,
    ) -> String {
        let status = answer.expect_err("it should be refused");
        let told = status.metadata().get(CAUSE).and_then(|value| value.to_str().ok());
        assert_eq!(told, Some(cause.as_str()), "{status:?}");
        assert_ne!(status.code(), Code::Internal);
        assert!(self.refusals(cause) > 0, "{cause:?} is not counted");
        status.message().to_owned()
    }
}

/// A study of two features and two classes.
pub fn draft(study: &str, members: &[&str]) -> Document<Draft> {
    Document::write(&Draft {
        version: study::VERSION,
        name: name(study),
        members: members.iter().map(|member| name(member)).collect(),
        fraction_bits: 8,
        value_bits: 10,
        schema: "a and b, and yes or no".into(),
        columns: ["a", "b"].map(|name| Column { name: name.into(), width: 1 }).into(),
        label: Label { name: "y".into(), classes: vec!["no".into(), "yes".into()] },
    })
    .unwrap()
}

pub fn params(member: &Member) -> PublicParams {
    PublicParams::from_bytes(&member.params).unwrap()
}

/// A key with its proof for a study.
pub fn claim(member: &Member, study: &StudyReply) -> Vec<u8> {
    let draft = Document::<Draft>::read(&study.draft).unwrap();
    let context = study::proof_context(&Hex::try_from(&study.id[..]).unwrap(), &draft);
    let secret = SecretKey::generate(&params(member)).unwrap();
    let owner = member.identity.name.as_str().as_bytes();
    secret.prove(&ProofContext { study: &context, owner }).unwrap().to_bytes()
}

pub fn joining(member: &Member, study: &StudyReply) -> JoinStudyRequest {
    let draft = Document::<Draft>::read(&study.draft).unwrap();
    JoinStudyRequest {
        name: study.name.clone(),
        claim: claim(member, study).into(),
        draft: draft.digest().to_vec().into(),
    }
}

pub async fn create(by: &Member, draft: &Document<Draft>) -> Result<Response<StudyReply>, Status> {
    let request = CreateStudyRequest { draft: draft.text().to_vec().into() };
    by.registry().unwrap().create_study(request).await
}

pub async fn join(
    member: &Member,
    request: JoinStudyRequest,
) -> Result<Response<StudyReply>, Status> {
    member.registry().unwrap().join_study(request).await
}

/// A study that all have joined.
pub async fn frozen(study: &str, members: &[&Member]) -> Document<Study> {
    let names: Vec<_> = members.iter().map(|member| member.identity.name.as_str()).collect();
    let mut reply = create(members[0], &draft(study, &names)).await.unwrap().into_inner();
    for member in members {
        let request = joining(member, &reply);
        reply = join(member, request).await.unwrap().into_inner();
    }
    Document::read(&reply.text).unwrap()
}
