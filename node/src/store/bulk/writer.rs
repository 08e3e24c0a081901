//! Writing an object piece by piece.

use super::seal::Sealer;
use super::{Bulk, hashed, key};
use crate::store::error::{Result, StoreError};
use bytes::{Bytes, BytesMut};
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::task::JoinHandle;

/// Pieces are gathered to parts of this size; object stores take none below 5 MiB but the last.
const PART: usize = 8 << 20;

/// An object on its way. One part is gathered while the one before is written, and [`write`] waits
/// for the disk: memory stays below three parts and a piece. Dropped, it leaves nothing.
///
/// [`write`]: Self::write
#[derive(Debug)]
pub struct Writer {
    bulk: Bulk,
    key: String,
    upload: Box<dyn MultipartUpload>,
    /// Absent only while another thread hashes, and after an error.
    sealer: Option<Sealer>,
    part: BytesMut,
    pending: Option<JoinHandle<object_store::Result<()>>>,
}

impl Writer {
    pub(super) async fn begin(bulk: Bulk, key: &str) -> Result<Self> {
        let path = key::checked(key)?;
        let upload = bulk.inner.store.put_multipart(&path).await;
        let upload = upload.map_err(|e| bulk.fault(key, e))?;
        Ok(Self {
            key: key.to_owned(),
            upload,
            sealer: Some(Sealer::new(key)),
            part: BytesMut::new(),
            pending: None,
            bulk,
        })
    }

    fn broken(&self) -> StoreError {
        let why = "an earlier piece of it failed".to_owned();
        StoreError::Conflict { place: self.bulk.named(&self.key), why }
    }

    /// Adds a piece. After an error there is nothing but to drop the writer.
    pub async fn write(&mut self, piece: impl Into<Bytes>) -> Result<()> {
        let sealer = self.sealer.take().ok_or_else(|| self.broken())?;
        let (sealer, mut piece) = hashed(sealer, piece.into()).await?;
        while self.part.len() + piece.len() >= PART {
            let now = piece.split_to(PART - self.part.len());
            self.part.extend_from_slice(&now);
            let full = self.part.split().freeze();
            self.send(full).await?;
        }
        self.part.extend_from_slice(&piece);
        self.sealer = Some(sealer);
        Ok(())
    }

    async fn send(&mut self, part: Bytes) -> Result<()> {
        self.settle().await?;
        // A task, so that it goes on while the next part is gathered.
        self.pending = Some(tokio::spawn(self.upload.put_part(PutPayload::from(part))));
        Ok(())
    }

    async fn settle(&mut self) -> Result<()> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        match pending.await {
            Ok(done) => done.map_err(|e| self.bulk.fault(&self.key, e)),
            Err(error) => {
                let place = self.bulk.named(&self.key);
                Err(StoreError::Io { place, source: std::io::Error::other(error) })
            }
        }
    }

    /// Ends the object: from now on it is there, and on disk. Its length.
    pub async fn finish(mut self) -> Result<u64> {
        let sealer = self.sealer.take().ok_or_else(|| self.broken())?;
        let length = sealer.length();
        let mut last = self.part.split();
        last.extend_from_slice(&sealer.finish());
        self.send(last.freeze()).await?;
        self.settle().await?;
        self.upload.complete().await.map_err(|e| self.bulk.fault(&self.key, e))?;
        Ok(length)
    }
}
