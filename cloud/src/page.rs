//! Lists in pages: no answer is larger than a message may be, however many there are.

use crate::refusal::{Cause, Refusal, refuse};
use bytes::Bytes;
use dyad_protos::limits::{PAGE, PAGE_BYTES};
use dyad_protos::wire::Message;

/// Which page is asked for.
#[derive(Clone, Debug)]
pub struct Page {
    /// The digest that comes before it; empty for the first.
    pub after: Bytes,
    /// Entries, at most.
    pub limit: usize,
}

impl Page {
    /// As it was asked for.
    pub fn read(after: &Bytes, limit: u32) -> Result<Self, Refusal> {
        if !matches!(after.len(), 0 | 32) {
            return refuse(
                Cause::Message,
                "a page begins after a digest of 32 bytes, or after none",
            );
        }
        let limit = if limit == 0 { PAGE } else { PAGE.min(limit as usize) };
        Ok(Self { after: after.clone(), limit })
    }
}

/// A page that is being filled.
pub(crate) struct Filling<T> {
    limit: usize,
    bytes: usize,
    last: [u8; 32],
    entries: Vec<T>,
    more: bool,
}

impl<T: Message> Filling<T> {
    pub(crate) const fn of(page: &Page) -> Self {
        Self { limit: page.limit, bytes: 0, last: [0; 32], entries: Vec::new(), more: false }
    }

    /// One more; false if it is for the next page. The first has room, whatever its size.
    pub(crate) fn takes(&mut self, digest: [u8; 32], entry: T) -> bool {
        self.bytes += entry.encoded_len();
        let over = self.entries.len() >= self.limit || self.bytes > PAGE_BYTES;
        if over && !self.entries.is_empty() {
            self.more = true;
            return false;
        }
        self.last = digest;
        self.entries.push(entry);
        true
    }

    /// What it holds, and after which digest the next begins: empty, if this is the last.
    pub(crate) fn full(self) -> (Vec<T>, Bytes) {
        let next = if self.more { Bytes::copy_from_slice(&self.last) } else { Bytes::new() };
        (self.entries, next)
    }
}
