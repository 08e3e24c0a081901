//! A world with owners, and ways to look at it.

use dyad_client::Home;
use dyad_client::job::{Prepared, State, Status};
use dyad_cloud::ledger::MIGRATIONS;
use dyad_local::{Parameters, World};
use dyad_net::Expect;
use dyad_net::member::Member;
use dyad_node::store::{Db, StoreError, sql};
use dyad_node::{AuditArgs, print_audit};
use dyad_protos::Role;
use dyad_protos::upload::Mode;
use dyad_protos::wire::cloud::v1::cloud_client::CloudClient;
use dyad_protos::wire::peer::v1::auxiliary_client::AuxiliaryClient;
use dyad_tests::scenario::{Scenario, Study, approve_all, join, propose, upload_all};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tonic::transport::Channel;

pub(crate) const CLOUDS: [Role; 2] = [Role::C0, Role::C1];

/// Services, owners who have uploaded, and where it all is.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) study: Study,
    pub(crate) folder: TempDir,
}

/// The ledger of a cloud that was stopped.
pub(crate) async fn ledger(folder: &Path, role: Role) -> Db {
    let url = format!("sqlite://{}/{role}/ledger.db", folder.display());
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match Db::open(&url, &[MIGRATIONS]).await {
            // What it was doing when it was stopped lets go of it a moment later.
            Err(StoreError::InUse { .. }) if Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => return opened.unwrap(),
        }
    }
}

impl Scene {
    /// Two owners, sealed uploads.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = World::start(folder.path(), Parameters::InsecureDemo).await.unwrap();
        let study = join(&world, folder.path(), 2).await.unwrap();
        upload_all(&study, Mode::Sealed).await.unwrap();
        Self { world, study, folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A cloud's folder of this job; of uploads, if none is named.
    pub(crate) fn bulk(&self, role: Role, job: &[u8; 32]) -> PathBuf {
        let job = dyad_protos::Hex(*job).to_string();
        self.path().join(role.as_str()).join("bulk/jobs").join(job)
    }

    pub(crate) fn owner(&self, i: usize) -> Member {
        let home = Home::at(self.path().join(format!("owner-{i}")));
        Member::load(&home.member(), None).unwrap()
    }

    pub(crate) async fn propose(&self, scenario: &Scenario) -> Prepared {
        propose(&self.study, scenario).await.unwrap()
    }

    pub(crate) async fn approve(&self, prepared: &Prepared) {
        approve_all(&self.study, prepared).await.unwrap();
    }

    pub(crate) async fn statuses(&self, prepared: &Prepared) -> [Status; 2] {
        let job = prepared.job.digest();
        self.study.owners[0].job(&prepared.study, &job).await.unwrap()
    }

    /// C1's status, once it is so.
    pub(crate) async fn until(&self, prepared: &Prepared, so: impl Fn(&Status) -> bool) -> Status {
        let until = Instant::now() + Duration::from_mins(2);
        loop {
            let [_, status] = self.statuses(prepared).await;
            if so(&status) {
                return status;
            }
            let Status { state, reason, step, .. } = &status;
            assert!(Instant::now() < until, "the job is {state}, step {step}: {reason}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn until_state(&self, prepared: &Prepared, state: State) -> Status {
        self.until(prepared, |status| status.state == state).await
    }

    /// The audit table of a cloud that runs; its chain holds.
    pub(crate) async fn audit(&self, role: Role) -> String {
        let url = format!("sqlite://{}/{role}/ledger.db", self.path().display());
        let mut out = Vec::new();
        print_audit(&url, &AuditArgs::default(), &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Stops a cloud, changes its ledger behind its back, and starts it again.
    pub(crate) async fn edit(&mut self, role: Role, text: &'static str) {
        self.world.stop(role).await.unwrap();
        let db = ledger(self.path(), role).await;
        let mut tx = db.begin().await.unwrap();
        assert!(sql(text).execute(&mut tx).await.unwrap() > 0, "{text}");
        tx.commit().await.unwrap();
        db.close().await;
        self.world.run(role).await.unwrap();
    }

    /// Who C1 is: a test that has stopped it speaks in its place.
    pub(crate) fn c1(&self) -> AuxiliaryClient<Channel> {
        let member = Member::load(&self.path().join("c1/keys"), None).unwrap();
        let service = self.owner(0).service(Role::C0).unwrap();
        let channel = member.tls.channel(&service.address, Expect::role(Role::C0)).unwrap();
        AuxiliaryClient::new(channel)
    }

    /// What a counter with this label stands at.
    pub(crate) fn counted(&self, role: Role, counter: &str, label: &str) -> u64 {
        let text = self.world.context(role).unwrap().metrics.render();
        let line = text.lines().find(|line| line.starts_with(counter) && line.contains(label));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    }
}

pub(crate) fn channel(member: &Member, role: Role) -> Channel {
    let service = member.service(role).unwrap();
    member.tls.channel(&service.address, Expect::role(role)).unwrap()
}

pub(crate) fn cloud(member: &Member, role: Role) -> CloudClient<Channel> {
    CloudClient::new(channel(member, role))
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Once it is so.
pub(crate) async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < until, "it never came to pass: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
