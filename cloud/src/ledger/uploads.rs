//! Uploads in the ledger.

use super::{Ledger, Result, damaged, optional};
use crate::refusal::{Cause, refuse};
use dyad_node::audit::{Entry, append};
use dyad_node::store::{Row, sql};
use dyad_protos::{Document, Job, Manifest};

/// How far an upload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadState {
    /// Chunks are awaited.
    Open,
    /// All are there.
    Complete,
    /// The owner took it back: its data are gone.
    Withdrawn,
}

impl UploadState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Withdrawn => "withdrawn",
        }
    }

    fn read(text: &str) -> Result<Self> {
        let states = [Self::Open, Self::Complete, Self::Withdrawn];
        states.into_iter().find(|state| state.as_str() == text).ok_or_else(|| damaged("upload"))
    }
}

/// What became of a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// It is withdrawn now.
    Now,
    /// It had been before.
    Before,
    /// A job that has begun uses it.
    InUse,
}

/// An upload.
#[derive(Clone, Debug)]
pub struct UploadRow {
    /// What the owner signed.
    pub manifest: Document<Manifest>,
    /// How far it has come.
    pub state: UploadState,
    /// When complete: digest of what was received, and this cloud's signature.
    pub received: Option<([u8; 32], [u8; 64])>,
}

impl UploadRow {
    fn read(row: &Row) -> Result<Self> {
        let manifest: Vec<u8> = row.get("manifest")?;
        let received = optional(row, "received")?;
        let receipt = optional(row, "receipt")?;
        Ok(Self {
            manifest: Document::read(&manifest)?,
            state: UploadState::read(&row.get::<String>("state")?)?,
            received: received.zip(receipt),
        })
    }
}

impl Ledger {
    /// One upload.
    pub async fn upload(&self, digest: &[u8; 32]) -> Result<Option<UploadRow>> {
        let row =
            self.first(sql("SELECT * FROM uploads WHERE digest = $1").bind(&digest[..])).await?;
        row.as_ref().map(UploadRow::read).transpose()
    }

    /// The uploads of a study, of all owners.
    pub async fn uploads(&self, study: &[u8; 32]) -> Result<Vec<UploadRow>> {
        let rows = self
            .all(
                sql("SELECT * FROM uploads WHERE study = $1 ORDER BY owner, digest")
                    .bind(&study[..]),
            )
            .await?;
        rows.iter().map(UploadRow::read).collect()
    }

    /// So many of them that were not withdrawn, after this digest, in the order of digests.
    pub async fn uploads_after(
        &self,
        study: &[u8; 32],
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<UploadRow>> {
        let page = sql("SELECT * FROM uploads WHERE study = $1 AND digest > $2 \
                        AND state <> 'withdrawn' ORDER BY digest LIMIT $3");
        let rows = self.all(page.bind(&study[..]).bind(after).bind(limit as i64)).await?;
        rows.iter().map(UploadRow::read).collect()
    }

    /// The upload of this owner with this id, whatever its manifest says.
    pub async fn upload_of(&self, owner: &str, id: &[u8; 16]) -> Result<Option<[u8; 32]>> {
        let row = self
            .first(
                sql("SELECT digest FROM uploads WHERE owner = $1 AND id = $2")
                    .bind(owner)
                    .bind(&id[..]),
            )
            .await?;
        row.as_ref().map(|row| Ok(row.get("digest")?)).transpose()
    }

    /// A new upload. Does nothing if it is there.
    pub async fn open_upload(
        &self,
        manifest: &Document<Manifest>,
        signature: &[u8],
        deed: &Entry<'_>,
    ) -> Result<()> {
        self.run_as(
            sql("INSERT INTO uploads (digest, study, owner, id, manifest, signature, state) \
             VALUES ($1, $2, $3, $4, $5, $6, 'open') ON CONFLICT (digest) DO NOTHING")
            .bind(&manifest.digest()[..])
            .bind(&manifest.study.0[..])
            .bind(manifest.owner.as_str())
            .bind(&manifest.id.0[..])
            .bind(manifest.text())
            .bind(signature),
            deed,
        )
        .await
        .map(drop)
    }

    /// Digests of the chunks that are stored, in order, from the first on.
    pub async fn chunks(&self, upload: &[u8; 32]) -> Result<Vec<[u8; 32]>> {
        let rows = self
            .all(
                sql("SELECT digest FROM chunks WHERE upload = $1 ORDER BY place").bind(&upload[..]),
            )
            .await?;
        rows.iter().map(|row| Ok(row.get("digest")?)).collect()
    }

    /// How many chunks are stored, the first so many. Looks at the last one alone.
    pub async fn stored(&self, upload: &[u8; 32]) -> Result<u32> {
        let row = self
            .first(
                sql("SELECT COALESCE(MAX(place) + 1, 0) AS stored FROM chunks WHERE upload = $1")
                    .bind(&upload[..]),
            )
            .await?;
        row.map_or(Ok(0), |row| Ok(row.get::<i64>("stored")? as u32))
    }

    /// Digest of one chunk that is stored.
    pub async fn chunk(&self, upload: &[u8; 32], place: u32) -> Result<Option<[u8; 32]>> {
        let row = self
            .first(
                sql("SELECT digest FROM chunks WHERE upload = $1 AND place = $2")
                    .bind(&upload[..])
                    .bind(i64::from(place)),
            )
            .await?;
        row.map(|row| Ok(row.get("digest")?)).transpose()
    }

    /// Chunks that are safely in the object store, `first` and those that follow.
    pub async fn store_chunks(
        &self,
        upload: &[u8; 32],
        first: u32,
        digests: &[[u8; 32]],
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let state = sql("SELECT state FROM uploads WHERE digest = $1").bind(&upload[..]);
        if state.one(&mut tx).await?.get::<String>("state")? != UploadState::Open.as_str() {
            return refuse(Cause::State, "this upload was finished or withdrawn meanwhile");
        }
        for (place, digest) in (first..).zip(digests) {
            sql("INSERT INTO chunks (upload, place, digest) VALUES ($1, $2, $3) \
                 ON CONFLICT (upload, place) DO NOTHING")
            .bind(&upload[..])
            .bind(i64::from(place))
            .bind(&digest[..])
            .execute(&mut tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// All chunks are there.
    pub async fn complete_upload(
        &self,
        upload: &[u8; 32],
        received: &[u8; 32],
        receipt: &[u8; 64],
        deed: &Entry<'_>,
    ) -> Result<()> {
        self.run_as(
            sql("UPDATE uploads SET state = 'complete', received = $2, receipt = $3 \
             WHERE digest = $1 AND state = 'open'")
            .bind(&upload[..])
            .bind(&received[..])
            .bind(&receipt[..]),
            deed,
        )
        .await
        .map(drop)
    }

    /// The owner takes it back: jobs that use it and have not begun are cancelled, looked for in the
    /// same transaction, so that none is proposed in between. The deeds: of the upload, and of each
    /// job that is called off, but for its hash.
    pub async fn withdraw_upload(
        &self,
        study: &[u8; 32],
        upload: &[u8; 32],
        [withdrawn, cancelled]: [&Entry<'_>; 2],
    ) -> Result<Withdrawn> {
        let mut tx = self.db.begin().await?;
        let state = sql("SELECT state FROM uploads WHERE digest = $1").bind(&upload[..]);
        let state: String = state.one(&mut tx).await?.get("state")?;
        if state == UploadState::Withdrawn.as_str() {
            return Ok(Withdrawn::Before);
        }
        let rows = sql("SELECT digest, state, text FROM jobs WHERE study = $1 \
                        AND state IN ('proposed', 'approved', 'running', 'trained')")
        .bind(&study[..])
        .all(&mut tx)
        .await?;
        let mut early = Vec::new();
        for row in &rows {
            let text: Vec<u8> = row.get("text")?;
            let job = Document::<Job>::read(&text)?;
            if !job.uploads.iter().any(|used| used.manifest.0 == *upload) {
                continue;
            }
            if matches!(row.get::<String>("state")?.as_str(), "running" | "trained") {
                return Ok(Withdrawn::InUse);
            }
            early.push(job.digest());
        }
        append(&mut tx, withdrawn).await?;
        for job in &early {
            sql("UPDATE jobs SET state = 'cancelled', reason = 'an upload was withdrawn' \
                 WHERE digest = $1")
            .bind(&job[..])
            .execute(&mut tx)
            .await?;
            append(&mut tx, &Entry { hash: job, ..*cancelled }).await?;
        }
        sql("UPDATE uploads SET state = 'withdrawn' WHERE digest = $1")
            .bind(&upload[..])
            .execute(&mut tx)
            .await?;
        sql("DELETE FROM chunks WHERE upload = $1").bind(&upload[..]).execute(&mut tx).await?;
        tx.commit().await?;
        Ok(Withdrawn::Now)
    }

    /// Uploads that were taken back.
    pub async fn withdrawn(&self) -> Result<Vec<[u8; 32]>> {
        let rows = self.all(sql("SELECT digest FROM uploads WHERE state = 'withdrawn'")).await?;
        rows.iter().map(|row| Ok(row.get("digest")?)).collect()
    }
}
