//! The ledger's database: what is refused, what lasts, what is told apart.

use dyad_node::store::{Db, Migrations, Result, StoreError, Tx, scoped, sql};
use std::path::Path;

const PART: Migrations = Migrations {
    name: "test",
    sqlite: &[(
        "0001_word",
        "CREATE TABLE word (id BIGINT NOT NULL PRIMARY KEY, text TEXT NOT NULL UNIQUE, bytes BLOB)",
    )],
};

fn url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("store/test.db").display())
}

async fn open(folder: &Path) -> Db {
    Db::open(&url(folder), &[PART]).await.unwrap()
}

async fn insert(tx: &mut Tx, id: i64, text: &str) -> Result<u64> {
    sql("INSERT INTO word (id, text) VALUES ($1, $2)").bind(id).bind(text).execute(tx).await
}

async fn words(db: &Db) -> Vec<String> {
    db.read(|tx| {
        scoped(async move {
            let rows = sql("SELECT text FROM word ORDER BY id").all(tx).await?;
            rows.iter().map(|row| row.get("text")).collect::<Result<_>>()
        })
    })
    .await
    .unwrap()
}

#[derive(Debug, thiserror::Error)]
enum Mine {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no")]
    No,
}

/// As a gRPC handler uses it: in a future that is sent to another thread, over borrowed values.
async fn handler(db: &Db, texts: &[String], no: bool) -> std::result::Result<usize, Mine> {
    let count = texts.len();
    db.transaction(|tx| {
        scoped(async move {
            for (id, text) in texts.iter().enumerate() {
                insert(tx, id as i64, text).await?;
            }
            if no { Err(Mine::No) } else { Ok(count) }
        })
    })
    .await
}

#[tokio::test]
async fn a_transaction_is_kept_or_undone_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    for url in [url(folder.path()), "sqlite::memory:".to_owned()] {
        let db = Db::open(&url, &[PART]).await.unwrap();
        let texts = vec!["a".to_owned(), "b".to_owned()];
        let (there, sent) = (db.clone(), texts.clone());
        let task = tokio::spawn(async move { handler(&there, &sent, true).await });
        assert!(matches!(task.await.unwrap(), Err(Mine::No)));
        assert!(words(&db).await.is_empty());
        let boxed: std::pin::Pin<Box<dyn Future<Output = _> + Send + '_>> =
            Box::pin(handler(&db, &texts, false));
        assert_eq!(boxed.await.unwrap(), 2);
        assert_eq!(words(&db).await, texts);
        // Dropped without commit.
        let mut tx = db.begin().await.unwrap();
        insert(&mut tx, 9, "z").await.unwrap();
        drop(tx);
        assert_eq!(words(&db).await, texts);
    }
}

#[tokio::test]
async fn values_come_back_as_they_went() {
    let db = Db::open("sqlite::memory:", &[]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    sql("CREATE TABLE v (i BIGINT, r DOUBLE PRECISION, t TEXT, b BLOB, n BIGINT)")
        .execute(&mut tx)
        .await
        .unwrap();
    sql("INSERT INTO v (i, r, t, b, n) VALUES ($1, $2, $3, $4, $5)")
        .bind(-5_i64)
        .bind(0.1)
        .bind("ä'\"; --")
        .bind([7; 32])
        .bind(None::<i64>)
        .execute(&mut tx)
        .await
        .unwrap();
    // $1 twice is the same value.
    let row = sql("SELECT i, r, t, b, n, $1 + $1 AS s FROM v").bind(21_u32).one(&mut tx).await;
    let row = row.unwrap();
    assert_eq!(row.get::<i64>("i").unwrap(), -5);
    assert_eq!(row.get::<f64>("r").unwrap().to_bits(), 0.1_f64.to_bits());
    assert_eq!(row.get::<String>("t").unwrap(), "ä'\"; --");
    assert_eq!(row.get::<[u8; 32]>("b").unwrap(), [7; 32]);
    assert_eq!(row.get::<Option<i64>>("n").unwrap(), None);
    assert_eq!(row.get::<u8>("s").unwrap(), 42);
    for wrong in [
        row.get::<u64>("i").unwrap_err(),
        row.get::<[u8; 16]>("b").unwrap_err(),
        row.get::<i64>("n").unwrap_err(),
        row.get::<bool>("i").unwrap_err(),
        row.get::<String>("b").unwrap_err(),
    ] {
        assert!(matches!(wrong, StoreError::Corrupt { .. }), "{wrong}");
    }
    let none = sql("SELECT i FROM v WHERE i = $1").bind(1_i64).one(&mut tx).await;
    assert!(matches!(none.unwrap_err(), StoreError::Missing { .. }));
    let wrong = sql("SELECT nothing FROM nowhere").all(&mut tx).await.unwrap_err();
    assert!(matches!(wrong, StoreError::Sql { .. }), "{wrong}");
}

#[tokio::test]
async fn conflicts_are_told_apart() {
    let db = Db::open("sqlite::memory:", &[PART]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    insert(&mut tx, 1, "a").await.unwrap();
    let error = insert(&mut tx, 2, "a").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "memory: refused: UNIQUE constraint failed: word.text; look at what is stored already"
    );
}

#[tokio::test]
async fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    db.transaction(|tx| scoped(insert(tx, 1, "a"))).await.unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.path().join("store")).unwrap() {
        let entry = entry.unwrap();
        names.push(entry.file_name().into_string().unwrap());
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{names:?}");
    }
    names.sort();
    assert_eq!(names, ["test.db", "test.db-shm", "test.db-wal", "test.db.lock"]);
    let mode = std::fs::metadata(folder.path().join("store")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    db.close().await;
    assert!(!folder.path().join("store/test.db-wal").exists());
}

#[tokio::test]
async fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    let error = Db::open(&url(folder.path()), &[PART]).await.unwrap_err();
    let lock = folder.path().join("store/test.db.lock");
    assert_eq!(
        error.to_string(),
        format!(
            "{}: in use by process {}; stop that process, or give this one a store of its own",
            lock.display(),
            std::process::id()
        )
    );
    db.close().await;
    open(folder.path()).await;
}

#[tokio::test]
async fn what_another_release_or_service_wrote_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let url = url(folder.path());
    let (first, second) = (PART.sqlite[0], ("0002_more", "CREATE TABLE more (id BIGINT)"));
    let newer: &'static [_] = vec![first, second].leak();
    let changed: &'static [_] = vec![(first.0, "CREATE TABLE word (id BIGINT)")].leak();
    open(folder.path()).await.close().await;
    let attempt = async |name, sqlite| {
        let result = Db::open(&url, &[Migrations { name, sqlite }]).await;
        let result = match result {
            Ok(db) => {
                db.close().await;
                "opened".to_owned()
            }
            Err(error) => error.to_string(),
        };
        result.replace(&folder.path().display().to_string(), "")
    };
    assert_eq!(
        attempt("test", changed).await,
        "/store/test.db: not of this release: version 1 of part test is another than the one \
         known here; start the release that wrote it, or a newer one"
    );
    assert_eq!(
        attempt("other", newer).await,
        "/store/test.db: the store of a service with part test, which this one has not; give \
         each service a store of its own"
    );
    assert_eq!(attempt("test", newer).await, "opened");
    assert_eq!(
        attempt("test", PART.sqlite).await,
        "/store/test.db: not of this release: part test has version 2, this release knows 1; \
         start the release that wrote it, or a newer one"
    );
    // A refusal changes nothing.
    assert_eq!(attempt("test", newer).await, "opened");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let broken: &'static [_] =
        vec![PART.sqlite[0], ("0002_broken", "CREATE TABLE half (id BIGINT); SELECT nonsense")]
            .leak();
    let parts = [Migrations { name: "test", sqlite: broken }];
    let error = Db::open(&url(folder.path()), &parts).await.unwrap_err();
    assert!(matches!(error, StoreError::Sql { .. }), "{error}");
    let db = open(folder.path()).await;
    let mut tx = db.snapshot().await.unwrap();
    let half = sql("SELECT 1 AS one FROM sqlite_master WHERE name = 'half'");
    assert!(half.optional(&mut tx).await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_not_ours_or_damaged_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store/test.db");
    std::fs::create_dir(folder.path().join("store")).unwrap();
    std::fs::write(&file, [b'x'; 9000]).unwrap();
    let error = Db::open(&url(folder.path()), &[PART]).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    std::fs::remove_file(&file).unwrap();

    let db = open(folder.path()).await;
    let text = "y".repeat(50);
    db.transaction(|tx| {
        let text = &text;
        scoped(async move {
            for id in 0..2000 {
                insert(tx, id, &format!("{id} {text}")).await?;
            }
            Ok::<_, StoreError>(())
        })
    })
    .await
    .unwrap();
    db.close().await;
    // A page in the middle.
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xff);
    std::fs::write(&file, bytes).unwrap();
    let error = Db::open(&url(folder.path()), &[PART]).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_said_and_undone() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    let mut tx = db.begin().await.unwrap();
    let pages = sql("PRAGMA page_count").one(&mut tx).await.unwrap();
    let pages: i64 = pages.get("page_count").unwrap();
    assert!(pages < 60);
    // A limit of pages is SQLite's own way to have a small disk.
    sql("PRAGMA max_page_count = 60").one(&mut tx).await.unwrap();
    tx.rollback().await;
    let text = "z".repeat(8000);
    let filled = db
        .transaction(|tx| {
            let text = &text;
            scoped(async move {
                for id in 0..100 {
                    insert(tx, id, &format!("{id} {text}")).await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .await;
    let error = filled.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(
        error.to_string().ends_with(
            "no space left; nothing of this step was kept; free space or raise the quota, then \
             repeat"
        ),
        "{error}"
    );
    assert!(words(&db).await.is_empty());
    // SQLite has rolled back by itself: what follows must not stand alone, nor be committed.
    let mut tx = db.begin().await.unwrap();
    insert(&mut tx, 1, "before").await.unwrap();
    for id in 2.. {
        if insert(&mut tx, id, &format!("{id} {text}")).await.is_err() {
            break;
        }
    }
    let error = insert(&mut tx, 0, "after").await.unwrap_err();
    assert!(error.to_string().contains("an earlier statement of this transaction failed"));
    assert!(tx.commit().await.is_err());
    assert!(words(&db).await.is_empty());
    db.transaction(|tx| scoped(insert(tx, 1, "fits"))).await.unwrap();
    assert_eq!(words(&db).await, ["fits"]);
}

#[tokio::test]
async fn readers_neither_wait_nor_write() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    let mut tx = db.begin().await.unwrap();
    insert(&mut tx, 1, "a").await.unwrap();
    assert!(words(&db).await.is_empty());
    let mut reader = db.snapshot().await.unwrap();
    let error = insert(&mut reader, 2, "b").await.unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    tx.commit().await.unwrap();
    assert_eq!(words(&db).await, ["a"]);
    db.check().await.unwrap();
}

#[tokio::test]
async fn writers_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    let tasks: Vec<_> = (0..50)
        .map(|id| {
            let db = db.clone();
            tokio::spawn(async move {
                let text = format!("{id}");
                let text = &text;
                db.transaction(|tx| scoped(async move { insert(tx, id, text).await })).await
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), 1);
    }
    assert_eq!(words(&db).await.len(), 50);
}

#[tokio::test]
async fn other_kinds_are_refused_without_showing_the_url() {
    for (url, expected) in [
        (
            "postgres://user:hunter2@host/db",
            "a PostgreSQL store: not in this release; there is sqlite:///folder/file.db and \
             sqlite::memory:; change the URL",
        ),
        (
            "mysql://user:hunter2@host/db",
            "a store with this URL: not in this release; there is sqlite:///folder/file.db and \
             sqlite::memory:; change the URL",
        ),
        (
            "sqlite:///a.db?mode=ro",
            "sqlite:///a.db?mode=ro: not in this release; there is sqlite:///folder/file.db (no \
             parameters, no %) and sqlite::memory:; change the URL",
        ),
    ] {
        assert_eq!(Db::open(url, &[]).await.unwrap_err().to_string(), expected);
    }
}
