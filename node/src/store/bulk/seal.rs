//! What stands at the end of each object, so that a truncated, altered or misplaced one is never
//! believed, and a range of a large one can be checked without reading the rest:
//!
//! ```text
//! payload ‖ h_1 ‖ … ‖ h_n ‖ root ‖ length (8 bytes, little-endian) ‖ "dyadobj1"
//! h_i  = BLAKE3(block i)            blocks of 1 MiB, the last one shorter
//! root = SHA-256("dyad object 1" ‖ |key| ‖ key ‖ length ‖ h_1 ‖ … ‖ h_n)
//! ```
//!
//! This finds faults of disks and of people. It is no signature: whoever can write the store can
//! write hashes too.

use blake3::Hasher;
use bytes::Bytes;
use sha2::{Digest, Sha256};

pub(super) const BLOCK: usize = 1 << 20;
const LABEL: &[u8] = b"dyad object 1";
const MAGIC: &[u8; 8] = b"dyadobj1";
const HASH: usize = 32;
/// root, length, magic
const FIXED: usize = HASH + 8 + 8;

fn root(key: &str, length: u64, table: &[u8]) -> [u8; HASH] {
    let mut hash = Sha256::new();
    hash.update(LABEL);
    hash.update((key.len() as u64).to_le_bytes());
    hash.update(key);
    hash.update(length.to_le_bytes());
    hash.update(table);
    hash.finalize().into()
}

/// How much of an object of `size` bytes is payload; `None` if no payload makes that size.
///
/// With n blocks, size - 48 = length + 32n and (n-1) 2^20 < length <= n 2^20, so that
/// n = ⌈(size - 48) / (2^20 + 32)⌉.
pub(super) fn payload_of(size: u64) -> Option<u64> {
    let rest = size.checked_sub(FIXED as u64)?;
    let blocks = rest.div_ceil((BLOCK + HASH) as u64);
    let length = rest.checked_sub(blocks * HASH as u64)?;
    (length.div_ceil(BLOCK as u64) == blocks).then_some(length)
}

/// Hashes a payload as it passes.
#[derive(Debug)]
pub(super) struct Sealer {
    key: String,
    length: u64,
    block: Hasher,
    filled: usize,
    table: Vec<u8>,
}

impl Sealer {
    pub(super) fn new(key: &str) -> Self {
        Self { key: key.to_owned(), length: 0, block: Hasher::new(), filled: 0, table: Vec::new() }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.block.update(now);
            self.filled += now.len();
            if self.filled == BLOCK {
                self.close();
            }
            bytes = later;
        }
    }

    fn close(&mut self) {
        self.table.extend_from_slice(self.block.finalize().as_bytes());
        self.block.reset();
        self.filled = 0;
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// What goes behind the payload.
    pub(super) fn finish(mut self) -> Bytes {
        if self.filled > 0 {
            self.close();
        }
        let root = root(&self.key, self.length, &self.table);
        let mut tail = self.table;
        tail.extend_from_slice(&root);
        tail.extend_from_slice(&self.length.to_le_bytes());
        tail.extend_from_slice(MAGIC);
        tail.into()
    }
}

/// The end of an object, read and found consistent.
#[derive(Debug)]
pub(super) struct Tail {
    length: u64,
    table: Vec<u8>,
}

impl Tail {
    /// A whole object as length of the payload and tail.
    pub(super) fn split(object: &[u8]) -> Result<(usize, &[u8]), &'static str> {
        let payload = payload_of(object.len() as u64).ok_or("its size is that of no object")?;
        let payload = usize::try_from(payload).map_err(|_| "it does not fit into memory")?;
        let tail = object.get(payload..).ok_or("its size is that of no object")?;
        Ok((payload, tail))
    }

    /// Reads what stands behind `length` bytes of payload under `key`.
    pub(super) fn read(key: &str, tail: &[u8], length: u64) -> Result<Self, &'static str> {
        let (rest, magic) = tail.split_last_chunk::<8>().ok_or("it is cut short")?;
        let (rest, said) = rest.split_last_chunk::<8>().ok_or("it is cut short")?;
        let (table, said_root) = rest.split_last_chunk::<HASH>().ok_or("it is cut short")?;
        if magic != MAGIC {
            return Err("it does not end as objects do: cut short, or none of ours");
        }
        if u64::from_le_bytes(*said) != length {
            return Err("it is of another length than it says");
        }
        if *said_root != root(key, length, table) {
            return Err("its hashes do not match: altered, or stored under another key");
        }
        Ok(Self { length, table: table.to_vec() })
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Checks whole blocks, the first of which has number `first`.
    pub(super) fn check(&self, blocks: &[u8], first: usize) -> Result<(), String> {
        let hashes = self.table.chunks_exact(HASH).enumerate().skip(first);
        let mut checked = 0;
        for (block, (number, hash)) in blocks.chunks(BLOCK).zip(hashes) {
            if blake3::hash(block).as_bytes()[..] != *hash {
                return Err(format!("block {number} does not match its hash"));
            }
            checked += block.len();
        }
        if checked == blocks.len() { Ok(()) } else { Err("more blocks than hashes".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, 5 * BLOCK + 7] {
            let mut sealer = Sealer::new("k");
            sealer.update(&vec![7; length]);
            let size = (length + sealer.finish().len()) as u64;
            assert_eq!(payload_of(size), Some(length as u64));
        }
        assert_eq!(payload_of(47), None);
        // A block of hash without payload.
        assert_eq!(payload_of(48 + 32), None);
    }
}
