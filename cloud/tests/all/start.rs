//! What a cloud refuses at its start, and what the documentation says of its tables.

use crate::ONE;
use crate::common::{CLOUDS, Scene};
use dyad_cloud::ledger::MIGRATIONS;
use dyad_cloud::quota::Limits;
use dyad_cloud::serve::Config;
use dyad_node::store::{Db, sql};
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn keys_that_cannot_be_meant_are_refused_by_name() {
    Config::default().check().unwrap();
    let limits = |change: &dyn Fn(&mut Limits)| {
        let mut config = Config::default();
        change(&mut config.limits);
        config
    };
    for (key, config) in [
        ("folder", Config { folder: "".into(), ..Config::default() }),
        ("patience", Config { patience: 0, ..Config::default() }),
        ("refresh", Config { refresh: 0, ..Config::default() }),
        ("threads", Config { threads: 1 << 20, ..Config::default() }),
        ("limits.uploads", limits(&|limits| limits.uploads = 0)),
        ("limits.bytes", limits(&|limits| limits.bytes = 0)),
        ("limits.jobs", limits(&|limits| limits.jobs = 0)),
        ("limits.retention_days", limits(&|limits| limits.retention_days = 0)),
        ("limits.retention_days", limits(&|limits| limits.retention_days = u64::MAX)),
    ] {
        assert_eq!(config.check().unwrap_err().key, key);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_does_not_start_with_what_it_cannot_use() {
    let _one = ONE.lock().await;
    let mut scene = Scene::new().await;
    for role in CLOUDS {
        scene.world.stop(role).await.unwrap();
        // Nor with a revocation list that cannot be read: it would believe who was revoked.
        let list = scene.path().join(role.as_str()).join("keys/revoked.crl");
        let good = std::fs::read(&list).unwrap();
        std::fs::write(&list, &good[..good.len() / 2]).unwrap();
        scene.world.run(role).await.unwrap();
        let why = ended(&mut scene).await;
        assert!(why.contains("revoked.crl: it cannot be read"), "{why}");
        std::fs::write(&list, &good).unwrap();

        scene.world.cloud(role).unwrap().limits.retention_days = 0;
        scene.world.run(role).await.unwrap();
        let why = ended(&mut scene).await;
        assert!(why.contains("key `limits.retention_days`"), "{why}");
        scene.world.cloud(role).unwrap().limits.retention_days = 1;
        scene.world.run(role).await.unwrap();
    }
    scene.world.end().await.unwrap();
}

/// Why a service has ended by itself.
async fn ended(scene: &mut Scene) -> String {
    for _ in 0..200 {
        if let Err(error) = scene.world.check().await {
            return format!("{error:#}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it runs")
}

#[tokio::test]
async fn the_documentation_names_every_table() {
    let db = Db::open("sqlite::memory:", &[MIGRATIONS]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let rows = sql("SELECT name FROM sqlite_master WHERE type = 'table'").all(&mut tx).await;
    let there = rows.unwrap().into_iter().map(|row| row.get("name").unwrap());
    // Those of the store itself, and of every service, stand elsewhere.
    let there: BTreeSet<String> = there
        .filter(|name: &String| {
            !name.starts_with("migrations_") && name != "lease" && name != "audit"
        })
        .collect();
    let text = include_str!("../../../docs/services.md");
    let row = text.lines().find(|line| line.contains("`ledger.db` of each cloud |")).unwrap();
    let named = row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2);
    let named: BTreeSet<String> = named.map(str::to_owned).collect();
    assert_eq!(named, there);
}
