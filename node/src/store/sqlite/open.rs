//! Opening a database: the file and its mode, the lock, the checks, the migrations.

use super::Inner;
use super::fault::{is_idle, migrated, sorted};
use crate::store::db::Migrations;
use crate::store::error::{Result, StoreError};
use crate::store::lock::Lock;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Row as _, SqlSafeStr as _, SqliteConnection, SqlitePool};
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// "Dyad" in ASCII, in the file's header: what is not ours is not touched.
const APPLICATION: i64 = 0x4479_6164;
/// Pages are checked at start up to this size: about a second on a slow disk.
const CHECKED_BYTES: u64 = 256 << 20;
const READERS: u32 = 4;
/// How long SQLite itself waits for a lock, which only foreign tools can hold.
const BUSY: Duration = Duration::from_secs(5);
/// How long to wait for the transaction before.
const TURN: Duration = Duration::from_secs(30);

/// What every service's store has.
const OWN: Migrations = Migrations {
    name: "node",
    sqlite: &[("0001_node", include_str!("../../../migrations/sqlite/0001_node.sql"))],
};

/// Where a database is.
pub(in crate::store) enum At {
    Memory,
    File(PathBuf),
}

/// What follows `sqlite:` in a URL.
pub(in crate::store) fn at(rest: &str) -> Result<At> {
    if rest == ":memory:" {
        return Ok(At::Memory);
    }
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() || path.ends_with('/') || path.contains(['?', '%']) {
        return Err(StoreError::Unsupported {
            what: format!("sqlite:{rest}"),
            instead: "sqlite:///folder/file.db (no parameters, no %) and sqlite::memory:",
        });
    }
    Ok(At::File(path.into()))
}

/// The connections.
#[derive(Debug)]
pub(in crate::store) struct Pools {
    writer: SqlitePool,
    readers: SqlitePool,
    place: Arc<str>,
    /// Let go of after the connections are closed.
    lock: Mutex<Option<Lock>>,
}

impl Pools {
    pub(in crate::store) async fn open(at: At, parts: &[Migrations]) -> Result<Self> {
        let (place, lock, options) = match &at {
            At::Memory => {
                let options = SqliteConnectOptions::new().in_memory(true);
                (Arc::from("memory"), None, options)
            }
            At::File(file) => {
                let lock = prepare(file)?;
                let options = SqliteConnectOptions::new()
                    .filename(file)
                    .journal_mode(SqliteJournalMode::Wal)
                    // Also the last commit survives a loss of power.
                    .synchronous(SqliteSynchronous::Full);
                (Arc::from(file.display().to_string()), Some(lock), options)
            }
        };
        let options = options
            .foreign_keys(true)
            .busy_timeout(BUSY)
            // A damaged schema can do nothing; what was deleted is overwritten.
            .pragma("trusted_schema", "OFF")
            .pragma("secure_delete", "ON");
        let pool = SqlitePoolOptions::new().acquire_timeout(TURN).after_release(|connection, _| {
            Box::pin(async move {
                match sqlx::query("ROLLBACK").execute(connection).await {
                    Ok(_) => Ok(true),
                    // The usual case: it was committed, or SQLite has rolled back by itself.
                    Err(error) => Ok(is_idle(&error)),
                }
            })
        });
        // A connection in memory is the database itself: never let go of.
        let writer = pool.clone().max_connections(1).idle_timeout(None).max_lifetime(None);
        let writer = writer.connect_with(options.clone());
        let writer = writer.await.map_err(|e| sorted(&place, e))?;
        let mut connection = writer.acquire().await.map_err(|e| sorted(&place, e))?;
        if let At::File(file) = &at {
            check(&mut connection, file, &place).await?;
        }
        migrate(&mut connection, parts, &place).await?;
        drop(connection);
        let readers = match at {
            At::Memory => writer.clone(),
            At::File(_) => {
                let options = options.pragma("query_only", "ON");
                pool.max_connections(READERS).connect_lazy_with(options)
            }
        };
        Ok(Self { writer, readers, place, lock: Mutex::new(lock) })
    }

    /// For reading alone, beside the service that has it open, or without one: no lock is taken and
    /// nothing is made or changed.
    pub(in crate::store) async fn open_to_read(at: At) -> Result<Self> {
        let At::File(file) = at else {
            return Err(StoreError::Unsupported {
                what: "reading a store in memory from outside".to_owned(),
                instead: "sqlite:///folder/file.db",
            });
        };
        let place: Arc<str> = Arc::from(file.display().to_string());
        if !file.exists() {
            return Err(StoreError::Missing { place: place.to_string() });
        }
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(false)
            .busy_timeout(BUSY)
            .pragma("trusted_schema", "OFF")
            .pragma("query_only", "ON");
        let pool = SqlitePoolOptions::new().acquire_timeout(TURN).max_connections(1);
        let pool = pool.connect_with(options).await.map_err(|e| sorted(&place, e))?;
        let mut connection = pool.acquire().await.map_err(|e| sorted(&place, e))?;
        let application = number(&mut connection, "PRAGMA application_id").await;
        if application.map_err(|e| sorted(&place, e))? != APPLICATION {
            let whose = "another program".to_owned();
            return Err(StoreError::Foreign { place: place.to_string(), whose });
        }
        drop(connection);
        Ok(Self { writer: pool.clone(), readers: pool, place, lock: Mutex::new(None) })
    }

    pub(in crate::store) async fn begin(&self) -> Result<Inner> {
        self.begun(&self.writer, "BEGIN IMMEDIATE").await
    }

    pub(in crate::store) async fn snapshot(&self) -> Result<Inner> {
        self.begun(&self.readers, "BEGIN").await
    }

    async fn begun(&self, pool: &SqlitePool, begin: &'static str) -> Result<Inner> {
        let mut inner = pool.acquire().await.map_err(|e| sorted(&self.place, e))?;
        sqlx::query(begin).execute(&mut *inner).await.map_err(|e| sorted(&self.place, e))?;
        Ok(inner)
    }

    pub(in crate::store) fn place(&self) -> Arc<str> {
        Arc::clone(&self.place)
    }

    pub(in crate::store) fn place_str(&self) -> &str {
        &self.place
    }

    pub(in crate::store) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// The folder, the lock and the file, readable by its owner alone. SQLite gives the mode of the
/// database to the files it puts beside it.
fn prepare(file: &Path) -> Result<Lock> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|e| StoreError::io(folder.display(), e))?;
    }
    let mut lock = file.as_os_str().to_owned();
    lock.push(".lock");
    let lock = Lock::take(Path::new(&lock))?;
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)
        .map_err(|e| StoreError::io(file.display(), e))?;
    opened
        .set_permissions(Permissions::from_mode(0o600))
        .map_err(|e| StoreError::io(file.display(), e))?;
    Ok(lock)
}

async fn number(connection: &mut SqliteConnection, text: &'static str) -> sqlx::Result<i64> {
    sqlx::query(text).fetch_one(connection).await?.try_get(0)
}

/// Whether the file is ours, and whole.
async fn check(connection: &mut SqliteConnection, file: &Path, place: &str) -> Result<()> {
    let fault = |e| sorted(place, e);
    let application = number(connection, "PRAGMA application_id").await.map_err(fault)?;
    let tables = "SELECT COUNT(*) FROM sqlite_master";
    let tables = number(connection, tables).await.map_err(fault)?;
    match (application, tables) {
        (APPLICATION, _) => {}
        (0, 0) => {
            let mark = AssertSqlSafe(format!("PRAGMA application_id = {APPLICATION}"));
            sqlx::query(mark).execute(&mut *connection).await.map_err(fault)?;
        }
        _ => {
            let whose = "another program".to_owned();
            return Err(StoreError::Foreign { place: place.to_owned(), whose });
        }
    }
    let size = std::fs::metadata(file).map_err(|e| StoreError::io(place, e))?.len();
    if size > CHECKED_BYTES {
        tracing::info!(place, size, "too large to look at every page at start");
        return Ok(());
    }
    let row = sqlx::query("PRAGMA quick_check(1)").fetch_one(connection).await.map_err(fault)?;
    match row.try_get::<String, _>(0).map_err(fault)?.as_str() {
        "ok" => Ok(()),
        why => Err(StoreError::corrupt(place, why)),
    }
}

/// Looks at the versions of all parts before the first change, then applies what is missing.
async fn migrate(
    connection: &mut SqliteConnection,
    parts: &[Migrations],
    place: &str,
) -> Result<()> {
    let mut known = Vec::with_capacity(parts.len() + 1);
    for part in std::iter::once(&OWN).chain(parts) {
        known.push((part.name, steps(part, place)?));
    }
    let text = "SELECT substr(name, 12) AS part FROM sqlite_master \
                WHERE type = 'table' AND substr(name, 1, 11) = 'migrations_'";
    let rows = sqlx::query(text).fetch_all(&mut *connection).await.map_err(|e| sorted(place, e))?;
    for row in rows {
        let name: String = row.try_get("part").map_err(|e| sorted(place, e))?;
        let Some((_, steps)) = known.iter().find(|(known, _)| *known == name) else {
            let whose = format!("a service with part {name}, which this one has not");
            return Err(StoreError::Foreign { place: place.to_owned(), whose });
        };
        let text = AssertSqlSafe(format!("SELECT MAX(version) AS v FROM migrations_{name}"));
        let row = sqlx::query(text).fetch_one(&mut *connection).await;
        let there: Option<i64> =
            row.and_then(|row| row.try_get("v")).map_err(|e| sorted(place, e))?;
        let (there, here) =
            (there.unwrap_or(0), steps.iter().map(|step| step.version).max().unwrap_or(0));
        if there > here {
            return Err(StoreError::Release {
                place: place.to_owned(),
                why: format!("part {name} has version {there}, this release knows {here}"),
            });
        }
    }
    for (name, steps) in known {
        let mut migrator = Migrator::with_migrations(steps);
        migrator.dangerous_set_table_name(format!("migrations_{name}"));
        migrator
            .run_direct(None, &mut *connection, false)
            .await
            .map_err(|e| migrated(place, name, e))?;
    }
    Ok(())
}

/// A part's migrations as the library takes them.
fn steps(part: &Migrations, place: &str) -> Result<Vec<Migration>> {
    let wrong = |why: String| StoreError::Sql { place: place.to_owned(), source: why.into() };
    let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_');
    if part.name.is_empty() || !part.name.bytes().all(allowed) {
        return Err(wrong(format!("the name of part {:?}", part.name)));
    }
    let step = |&(name, text): &(&'static str, &'static str)| {
        let version = name.split('_').next().and_then(|digits| digits.parse().ok());
        let version = version.ok_or_else(|| wrong(format!("migration {name:?} has no version")))?;
        let kind = MigrationType::Simple;
        Ok(Migration::new(version, name.into(), kind, text.into_sql_str(), false))
    };
    part.sqlite.iter().map(step).collect()
}
