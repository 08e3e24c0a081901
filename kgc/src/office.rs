//! Keys, database and clock: all that the key centre's decisions are made with. Who asks, and over
//! what, is not known here.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::keys::Keys;
use dyad_node::audit::{self, Entry};
use dyad_node::clock::{Clock, Time};
use dyad_node::store::{Db, Migrations, Tx};
use std::sync::Arc;
use tokio::sync::Mutex;

/// The tables of this crate.
pub(crate) const MIGRATIONS: Migrations = Migrations {
    name: "kgc",
    sqlite: &[("0001_centre", include_str!("../migrations/sqlite/0001_centre.sql"))],
};

/// A key centre's state, opened.
pub(crate) struct Office {
    pub(crate) config: Config,
    pub(crate) keys: Keys,
    pub(crate) db: Db,
    clock: Arc<dyn Clock>,
    /// Secrets are drawn and destroyed one at a time, with the rows that say so.
    pub(crate) secrets: Mutex<()>,
}

impl Office {
    /// Opens what `init` made.
    pub(crate) async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self> {
        config.check().map_err(Error::Broken)?;
        let keys = Keys::load(&config.keys(), &config.passphrase)?;
        let url = config
            .database_url()
            .map_err(|source| Error::File { path: config.database(), source })?;
        let db = Db::open(&url, &[MIGRATIONS]).await?;
        let office = Self { config: config.clone(), keys, db, clock, secrets: Mutex::new(()) };
        office.destroy_what_is_over().await?;
        Ok(office)
    }

    /// What a kill left undestroyed though its row says that it is over.
    async fn destroy_what_is_over(&self) -> Result<()> {
        let mut tx = self.db.begin().await?;
        self.finish_hand_over(&mut tx).await?;
        self.finish_jobs(&mut tx).await?;
        tx.rollback().await;
        Ok(())
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Seconds since 1970.
    pub(crate) fn seconds(&self) -> u64 {
        u64::try_from(self.now().millis() / 1000).unwrap_or(0)
    }

    /// Writes down who did what, with what was done.
    pub(crate) async fn note(
        &self,
        tx: &mut Tx,
        who: &str,
        what: &str,
        hash: &[u8],
        detail: &str,
    ) -> Result<()> {
        let at = self.now();
        audit::append(tx, &Entry { who, what, hash, at, detail }).await?;
        Ok(())
    }
}

/// Bytes as hexadecimal digits, the first so many.
pub(crate) fn beginning(bytes: &[u8], count: usize) -> String {
    bytes.iter().take(count).map(|byte| dyad_protos::Hex([*byte]).to_string()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dyad_node::store::sql;
    use std::collections::BTreeSet;

    #[tokio::test]
    async fn the_documentation_names_every_table() {
        let db = Db::open("sqlite::memory:", &[MIGRATIONS]).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let rows = sql("SELECT name FROM sqlite_master WHERE type = 'table'").all(&mut tx).await;
        let there = rows.unwrap().into_iter().map(|row| row.get("name").unwrap()).filter(
            |name: &String| !name.starts_with("migrations_") && name != "lease" && name != "audit",
        );
        let text = include_str!("../../docs/services.md");
        let row = text.lines().find(|line| line.contains("| `kgc.db` |")).unwrap();
        let named = row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2);
        let named: BTreeSet<String> = named.map(str::to_owned).collect();
        assert_eq!(named, there.collect::<BTreeSet<String>>());
    }
}
