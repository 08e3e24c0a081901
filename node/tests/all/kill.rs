//! A process killed in the middle of writing, and one that runs out of space: what it said was
//! kept is kept, and nothing half-written is believed.
//!
//! Each test starts this very program again as the child; the child is a test that is ignored.

use dyad_node::store::{Bulk, Db, Migrations, Result, StoreError, scoped, sql};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const FOLDER: &str = "DYAD_NODE_TEST_FOLDER";
/// Rows of a transaction.
const ROWS: i64 = 20;
const PART: Migrations = Migrations {
    name: "kill",
    sqlite: &[(
        "0001_item",
        "CREATE TABLE item (n BIGINT NOT NULL, row BIGINT NOT NULL, PRIMARY KEY (n, row))",
    )],
};

fn folder() -> PathBuf {
    std::env::var_os(FOLDER).unwrap().into()
}

async fn open(folder: &Path) -> (Db, Bulk) {
    let db = format!("sqlite://{}/ledger.db", folder.display());
    let bulk = format!("file://{}/bulk", folder.display());
    (Db::open(&db, &[PART]).await.unwrap(), Bulk::open(&bulk).await.unwrap())
}

/// The content of object n: several blocks, and more than a part.
fn content(n: i64) -> Vec<u8> {
    let length = if n % 4 == 0 { 9 << 20 } else { (1 << 20) + n as usize };
    vec![n as u8; length]
}

async fn item(db: &Db, n: i64) -> Result<()> {
    db.transaction(|tx| {
        scoped(async move {
            for row in 0..ROWS {
                let insert = sql("INSERT INTO item (n, row) VALUES ($1, $2)");
                insert.bind(n).bind(row).execute(tx).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Which items the ledger has, each with all of its rows.
async fn items(db: &Db) -> Vec<i64> {
    db.read(|tx| {
        scoped(async move {
            let rows = sql("SELECT n, COUNT(*) AS rows FROM item GROUP BY n ORDER BY n");
            let mut found = Vec::new();
            for row in rows.all(tx).await? {
                assert_eq!(row.get::<i64>("rows")?, ROWS);
                found.push(row.get("n")?);
            }
            Ok::<_, StoreError>(found)
        })
    })
    .await
    .unwrap()
}

/// This program again, running test `name` alone.
fn child(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("kill::{name}"), "--ignored", "--nocapture"])
        .env(FOLDER, folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

#[tokio::test]
#[ignore = "the child of the test below"]
async fn child_writes_until_killed() {
    let (db, bulk) = open(&folder()).await;
    let from = items(&db).await.last().copied().unwrap_or(0) + 1;
    for n in from.. {
        let key = format!("items/{n}");
        if n % 2 == 0 {
            bulk.put(&key, content(n)).await.unwrap();
        } else {
            let mut writer = bulk.writer(&key).await.unwrap();
            for piece in content(n).chunks(300_000) {
                writer.write(piece.to_vec()).await.unwrap();
            }
            writer.finish().await.unwrap();
        }
        item(&db, n).await.unwrap();
        println!("kept {n}");
    }
}

#[tokio::test]
async fn what_was_kept_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = 0;
    // Moments spread over the writing of an item, and beyond; not random, so that a failure can be
    // met again.
    for round in 0..12_u64 {
        let mut child = child("child_writes_until_killed", folder.path()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.find_map(|line| line.unwrap().strip_prefix("kept ")?.parse().ok());
        kept = first.unwrap();
        std::thread::sleep(Duration::from_millis(round * 7));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            if let Some(n) = line.unwrap().strip_prefix("kept ") {
                kept = n.parse().unwrap();
            }
        }
        let (db, bulk) = open(folder.path()).await;
        let there = items(&db).await;
        // All that was said to be kept, and at most the one that was not said any more.
        let last = *there.last().unwrap();
        assert_eq!(there, (1..=last).collect::<Vec<_>>());
        assert!(last == kept || last == kept + 1, "{last} {kept}");
        let listed = bulk.list("").await.unwrap();
        assert!(listed.len() as i64 >= last && listed.len() as i64 <= last + 1);
        // The latest ones are read in full; the object of the unfinished item, too, is whole.
        for n in (1..=listed.len() as i64).rev().take(3) {
            assert!(bulk.get(&format!("items/{n}")).await.unwrap() == content(n), "{n}");
        }
        db.close().await;
    }
    assert!(kept >= 12);
}

#[tokio::test]
#[ignore = "the child of the test below"]
async fn child_with_a_small_disk() {
    let (db, bulk) = open(&folder()).await;
    bulk.put("small", content(1)).await.unwrap();
    for error in [
        bulk.put("large", content(4)).await.unwrap_err(),
        async {
            let mut writer = bulk.writer("large").await?;
            writer.write(content(4)).await?;
            writer.finish().await
        }
        .await
        .unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
    }
    assert_eq!(bulk.head("large").await.unwrap(), None);
    assert_eq!(bulk.get("small").await.unwrap(), content(1));
    // The ledger reaches the limit as well, says so, and stays whole.
    let mut n = 0;
    let error = loop {
        n += 1;
        if let Err(error) = item(&db, n).await {
            break error;
        }
    };
    assert!(matches!(error, StoreError::Full { .. } | StoreError::Io { .. }), "{error}");
    assert_eq!(items(&db).await, (1..n).collect::<Vec<_>>());
    println!("as it should be");
}

/// A limit on the size of files stands for a small disk.
#[tokio::test]
async fn a_small_disk_is_told_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let plain = child("child_with_a_small_disk", folder.path());
    let mut command = Command::new("sh");
    // In blocks of 512 bytes. The signal that would end the process at the limit is ignored.
    command.args(["-c", "trap '' XFSZ; ulimit -f 8000; exec \"$0\" \"$@\""]);
    command.arg(plain.get_program()).args(plain.get_args()).env(FOLDER, folder.path());
    let started = Instant::now();
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("as it should be"), "{:?}: {said}{wrong}", started.elapsed());
    let (db, bulk) = open(folder.path()).await;
    assert!(!items(&db).await.is_empty());
    assert_eq!(bulk.list("").await.unwrap().len(), 1);
}
