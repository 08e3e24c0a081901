//! Keys of objects: few characters, so that a key is the same on every kind of store and never a
//! way out of a folder.

use crate::store::error::{Result, StoreError};
use object_store::path::Path;

/// Longest key, and longest part of it: file systems take no more than 255 bytes.
const LIMIT: usize = 512;
const PART_LIMIT: usize = 200;

pub(super) fn checked(key: &str) -> Result<Path> {
    let refused = |why| Err(StoreError::Key { key: key.to_owned(), why });
    if key.len() > LIMIT {
        return refused("longer than 512 bytes");
    }
    for part in key.split('/') {
        if part.is_empty() {
            return refused("an empty part");
        }
        if part.starts_with('.') {
            return refused("a part that begins with a dot");
        }
        if part.len() > PART_LIMIT {
            return refused("a part longer than 200 bytes");
        }
    }
    if !key.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-')) {
        return refused("a character that is not allowed");
    }
    Path::parse(key).or_else(|_| refused("not a path"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for good in ["a", "up/0a-f_3/chunk.1", "a.b/c..d"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        let long = "a/".repeat(256) + "a";
        let part = "a".repeat(201);
        for bad in
            ["", "/a", "a/", "a//b", "..", "a/../b", ".lock", "A", "a b", "a#1", "ä", &long, &part]
        {
            assert!(matches!(checked(bad), Err(StoreError::Key { .. })), "{bad}");
        }
    }
}
