//! Reading ranges of an object.

use super::seal::{BLOCK, Tail, payload_of};
use super::{Bulk, blocking, key};
use crate::store::error::{Result, StoreError};
use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use std::ops::Range;
use std::sync::Arc;

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// The length of its payload, as the size of the file has it; `None` if no object has that
    /// size. Nothing is checked before it is read.
    pub len: Option<u64>,
}

impl Listed {
    pub(super) fn new(key: String, size: u64) -> Self {
        Self { key, len: payload_of(size) }
    }
}

/// An object whose end was read and checked. Objects are best written once: one that is replaced
/// while it is open no longer matches what was read of it.
#[derive(Clone, Debug)]
pub struct Object {
    bulk: Bulk,
    key: String,
    path: Path,
    tail: Arc<Tail>,
}

impl Object {
    pub(super) async fn open(bulk: Bulk, key: &str) -> Result<Self> {
        let path = key::checked(key)?;
        let place = bulk.named(key);
        let store = &bulk.inner.store;
        let size = store.head(&path).await.map_err(|e| bulk.fault(key, e))?.size;
        let Some(length) = payload_of(size) else {
            return Err(StoreError::corrupt(place, "its size is that of no object"));
        };
        let tail = store.get_range(&path, length..size).await.map_err(|e| bulk.fault(key, e))?;
        let tail = Tail::read(key, &tail, length).map_err(|why| StoreError::corrupt(place, why))?;
        let tail = Arc::new(tail);
        Ok(Self { key: key.to_owned(), path, tail, bulk })
    }

    /// The length of its payload.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a length of content, not a container")]
    pub fn len(&self) -> u64 {
        self.tail.length()
    }

    /// Bytes `range` of the payload, checked. In memory are these and up to two blocks of 1 MiB.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let length = self.len();
        let place = self.bulk.named(&self.key);
        if range.start > range.end || range.end > length {
            let place = format!("{place}: bytes {range:?} of {length}");
            return Err(StoreError::Missing { place });
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let block = BLOCK as u64;
        let from = range.start / block * block;
        let to = range.end.div_ceil(block).saturating_mul(block).min(length);
        let blocks = self.bulk.inner.store.get_range(&self.path, from..to).await;
        let blocks = blocks.map_err(|e| self.bulk.fault(&self.key, e))?;
        if blocks.len() as u64 != to - from {
            return Err(StoreError::corrupt(place, "it was cut short while it was read"));
        }
        let tail = Arc::clone(&self.tail);
        blocking(move || {
            tail.check(&blocks, (from / block) as usize)
                .map_err(|why| StoreError::corrupt(place, why))?;
            Ok(blocks.slice((range.start - from) as usize..(range.end - from) as usize))
        })
        .await
    }
}
