//! Bulk objects by key: shares, checkpoints, sealed chunks.
//!
//! An object is there whole and on disk, or it is not there: it is written beside its place, synced
//! and renamed. What is read back is checked against hashes at its end (see [`seal`]) before a byte
//! of it is given out.

mod key;
mod local;
mod object;
mod seal;
mod writer;

pub use object::{Listed, Object};
pub use writer::Writer;

use super::error::{Result, StoreError};
use super::lock::Lock;
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use seal::{Sealer, Tail};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_stream::{Stream, StreamExt};

/// Hashing less than this is not worth another thread.
const INLINE: usize = 64 << 10;

/// An open store of objects. Clones share it.
#[derive(Clone, Debug)]
pub struct Bulk {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Box<dyn ObjectStore>,
    place: String,
    /// The folder, if it is one.
    root: Option<PathBuf>,
    _lock: Option<Lock>,
}

impl Bulk {
    /// Opens `file:///folder` (made if absent, for its owner alone) and sweeps away what writers
    /// that died have left. Refused if another process has it open.
    pub async fn open(url: &str) -> Result<Self> {
        let Some(path) = url.strip_prefix("file://") else {
            let what = if url.starts_with("s3://") {
                "an S3 store of objects"
            } else {
                // The URL itself is not shown: it may hold a password.
                "a store of objects with this URL"
            };
            return Err(StoreError::Unsupported {
                what: what.to_owned(),
                instead: "file:///folder",
            });
        };
        if path.is_empty() || path.contains(['?', '%', '#']) {
            return Err(StoreError::Unsupported {
                what: url.to_owned(),
                instead: "file:///folder (no parameters, no %)",
            });
        }
        let root = PathBuf::from(path);
        let (store, lock) = blocking(move || local::open(&root)).await?;
        let inner = Inner {
            store: Box::new(store),
            place: path.to_owned(),
            root: Some(path.into()),
            _lock: Some(lock),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.inner.place
    }

    /// Stores `bytes` under `key`, in place of what was there; on disk when this returns.
    pub async fn put(&self, key: &str, bytes: impl Into<Bytes>) -> Result<()> {
        self.put_joined(key, [bytes.into()]).await
    }

    /// Stores several pieces as one object, without joining them in memory first.
    pub async fn put_joined<const N: usize>(&self, key: &str, pieces: [Bytes; N]) -> Result<()> {
        let path = key::checked(key)?;
        let mut sealer = Sealer::new(key);
        for piece in &pieces {
            sealer = hashed(sealer, piece.clone()).await?.0;
        }
        let payload = pieces.into_iter().chain([sealer.finish()]).collect::<PutPayload>();
        self.inner.store.put(&path, payload).await.map_err(|e| self.fault(key, e))?;
        Ok(())
    }

    /// Stores what `stream` yields under `key`, holding a few parts in memory at most. An error of
    /// the stream is passed on, and nothing is stored. The length stored.
    pub async fn put_stream<S, B, E>(&self, key: &str, stream: S) -> std::result::Result<u64, E>
    where
        S: Stream<Item = std::result::Result<B, E>> + Send,
        B: Into<Bytes>,
        E: From<StoreError>,
    {
        let mut writer = self.writer(key).await?;
        let mut stream = std::pin::pin!(stream);
        while let Some(bytes) = stream.next().await {
            writer.write(bytes?).await?;
        }
        Ok(writer.finish().await?)
    }

    /// Begins an object that is written piece by piece. It is there only after
    /// [`finish`](Writer::finish).
    pub async fn writer(&self, key: &str) -> Result<Writer> {
        Writer::begin(self.clone(), key).await
    }

    /// A whole object, in memory.
    pub async fn get(&self, key: &str) -> Result<Bytes> {
        let path = key::checked(key)?;
        let got = self.inner.store.get(&path).await.map_err(|e| self.fault(key, e))?;
        let bytes = got.bytes().await.map_err(|e| self.fault(key, e))?;
        let (key, place, small) = (key.to_owned(), self.named(key), bytes.len() < INLINE);
        let check = move || {
            let (payload, tail) = Tail::split(&bytes)
                .and_then(|(payload, tail)| Ok((payload, Tail::read(&key, tail, payload as u64)?)))
                .map_err(|why| StoreError::corrupt(&place, why))?;
            let payload = bytes.slice(..payload);
            tail.check(&payload, 0).map_err(|why| StoreError::corrupt(&place, why))?;
            Ok(payload)
        };
        if small { check() } else { blocking(check).await }
    }

    /// Bytes `range` of an object: what [`open_object`](Self::open_object) and
    /// [`read`](Object::read) give, for a single range.
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.open_object(key).await?.read(range).await
    }

    /// Opens an object to read ranges of it; each range is checked by itself.
    pub async fn open_object(&self, key: &str) -> Result<Object> {
        Object::open(self.clone(), key).await
    }

    /// The length of an object, its end being checked; `None` if it is not there.
    pub async fn head(&self, key: &str) -> Result<Option<u64>> {
        match self.open_object(key).await {
            Ok(object) => Ok(Some(object.len())),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The objects whose key is `prefix` followed by `/` and more, by key; all, if it is empty.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let path = if prefix.is_empty() { None } else { Some(key::checked(prefix)?) };
        let mut found = Vec::new();
        let mut stream = self.inner.store.list(path.as_ref());
        while let Some(meta) = stream.next().await {
            let meta = match meta {
                Ok(meta) => meta,
                // Deleted since the folder was read.
                Err(object_store::Error::NotFound { .. }) => continue,
                Err(error) => return Err(self.fault(prefix, error)),
            };
            if key::checked(meta.location.as_ref()).is_ok() {
                found.push(Listed::new(meta.location.to_string(), meta.size));
            }
        }
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    /// Deletes an object; whether there was one. Gone from the disk's folder when this returns.
    pub async fn delete(&self, key: &str) -> Result<bool> {
        let path = key::checked(key)?;
        let there = match self.inner.store.delete(&path).await {
            Ok(()) => true,
            Err(object_store::Error::NotFound { .. }) => false,
            Err(error) => return Err(self.fault(key, error)),
        };
        if let Some(root) = &self.inner.root {
            let (root, key) = (root.clone(), key.to_owned());
            blocking(move || local::sync_folder_of(&root, &key)).await?;
        }
        Ok(there)
    }

    /// Deletes all objects that [`list`](Self::list) names; how many. An empty prefix is refused.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<u64> {
        key::checked(prefix)?;
        let mut count = 0;
        for listed in self.list(prefix).await? {
            count += u64::from(self.delete(&listed.key).await?);
        }
        Ok(count)
    }

    fn named(&self, key: &str) -> String {
        format!("{}/{key}", self.inner.place)
    }

    fn fault(&self, key: &str, error: object_store::Error) -> StoreError {
        let place = self.named(key);
        if matches!(error, object_store::Error::NotFound { .. }) {
            return StoreError::Missing { place };
        }
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<std::io::Error>() {
                // Its text is kept, and its kind, by which it is sorted.
                return StoreError::io(place, std::io::Error::new(io.kind(), io.to_string()));
            }
            cause = error.source();
        }
        StoreError::Io { place, source: std::io::Error::other(error) }
    }
}

/// Runs what waits for the disk or computes for long on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Io {
        place: "a background thread".to_owned(),
        source: std::io::Error::other(error),
    })?
}

/// Hashes `bytes`, on another thread if they are many.
async fn hashed(mut sealer: Sealer, bytes: Bytes) -> Result<(Sealer, Bytes)> {
    if bytes.len() < INLINE {
        sealer.update(&bytes);
        return Ok((sealer, bytes));
    }
    blocking(move || {
        sealer.update(&bytes);
        Ok((sealer, bytes))
    })
    .await
}
