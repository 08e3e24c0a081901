//! Bulk objects: whole or not there, and never believed when damaged.

use bytes::Bytes;
use dyad_node::store::{Bulk, StoreError};
use std::path::{Path, PathBuf};

const MIB: usize = 1 << 20;

async fn open(folder: &Path) -> Bulk {
    Bulk::open(&format!("file://{}", folder.display())).await.unwrap()
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + i / 251) as u8).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[tokio::test]
async fn put_and_get() {
    let folder = tempfile::tempdir().unwrap();
    let bulk = open(folder.path()).await;
    for length in [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 5] {
        let content = bytes(length);
        bulk.put("a/b", content.clone()).await.unwrap();
        assert_eq!(bulk.get("a/b").await.unwrap(), content);
        assert_eq!(bulk.head("a/b").await.unwrap(), Some(length as u64));
        let whole = bulk.get_range("a/b", 0..length as u64).await.unwrap();
        assert_eq!(whole, content);
    }
    let content = bytes(3 * MIB + 5);
    let object = bulk.open_object("a/b").await.unwrap();
    for range in [0..0, 5..6, MIB - 1..MIB + 1, MIB..2 * MIB, 10..3 * MIB + 5, 3 * MIB..3 * MIB + 5]
    {
        let got = object.read(range.start as u64..range.end as u64).await.unwrap();
        assert_eq!(got, content[range]);
    }
    let beyond = object.read(0..content.len() as u64 + 1).await.unwrap_err();
    assert!(matches!(beyond, StoreError::Missing { .. }), "{beyond}");
    assert_eq!(bulk.head("a/c").await.unwrap(), None);
    assert!(matches!(bulk.get("a/c").await.unwrap_err(), StoreError::Missing { .. }));
}

#[tokio::test]
async fn streams_in_pieces_of_any_size() {
    let folder = tempfile::tempdir().unwrap();
    let bulk = open(folder.path()).await;
    for (length, piece) in [(0, 1), (10, 3), (20 * MIB + 3, 700_001), (17 * MIB, 17 * MIB)] {
        let content = Bytes::from(bytes(length));
        let pieces: Vec<Result<Bytes, StoreError>> = (0..length)
            .step_by(piece)
            .map(|at| Ok(content.slice(at..(at + piece).min(length))))
            .collect();
        let stored = bulk.put_stream("s", tokio_stream::iter(pieces)).await.unwrap();
        assert_eq!(stored, length as u64);
        assert_eq!(bulk.get("s").await.unwrap(), content);
        // The same bytes whichever way they came.
        let streamed = std::fs::read(folder.path().join("s")).unwrap();
        bulk.put("s", content).await.unwrap();
        assert!(std::fs::read(folder.path().join("s")).unwrap() == streamed);
    }
}

#[tokio::test]
async fn an_interrupted_writer_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bulk = open(folder.path()).await;
    bulk.put("x", "old").await.unwrap();
    let broken = [Ok(Bytes::from(bytes(9 * MIB))), Err(StoreError::Missing { place: "p".into() })];
    let error = bulk.put_stream("x", tokio_stream::iter(broken)).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }));
    let mut writer = bulk.writer("x").await.unwrap();
    writer.write(bytes(9 * MIB)).await.unwrap();
    drop(writer);
    assert_eq!(bulk.get("x").await.unwrap(), "old");
    assert_eq!(bulk.list("").await.unwrap().len(), 1);
    drop(bulk);
    // What a killed one leaves is swept at the next start.
    std::fs::write(folder.path().join("x#1"), "half").unwrap();
    std::fs::create_dir(folder.path().join("y")).unwrap();
    std::fs::write(folder.path().join("y/z#23"), "half").unwrap();
    for _ in 0..100 {
        // The lock is let go of when the last background removal is done.
        if Bulk::open(&format!("file://{}", folder.path().display())).await.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(files(folder.path()), [folder.path().join(".lock"), folder.path().join("x")]);
}

#[tokio::test]
async fn a_damaged_object_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let bulk = open(folder.path()).await;
    let content = bytes(2 * MIB + 100);
    bulk.put("x", content.clone()).await.unwrap();
    let file = folder.path().join("x");
    let whole = std::fs::read(&file).unwrap();
    let size = whole.len();
    // A flipped bit in each block, each hash, root, length, magic.
    for at in [0, MIB, size - 48 - 96 - 1, size - 48 - 96, size - 48, size - 16, size - 8, size - 1]
    {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        std::fs::write(&file, damaged).unwrap();
        let error = bulk.get("x").await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{at}: {error}");
        let range = bulk.get_range("x", 0..content.len() as u64).await.unwrap_err();
        assert!(matches!(range, StoreError::Corrupt { .. }), "{at}: {range}");
    }
    // A range is as good as the blocks it touches.
    let mut damaged = whole.clone();
    damaged[5] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    let object = bulk.open_object("x").await.unwrap();
    assert!(matches!(object.read(9..10).await.unwrap_err(), StoreError::Corrupt { .. }));
    let good = object.read(MIB as u64..MIB as u64 + 9).await.unwrap();
    assert_eq!(good, content[MIB..MIB + 9]);
    // Cut anywhere, extended, or filled with zeros as after a loss of power.
    for length in [0, 1, 47, 48, 100, MIB, MIB + 80, size / 2, size - 48, size - 1, size + 1] {
        let mut damaged = whole.clone();
        damaged.resize(length, 0);
        std::fs::write(&file, damaged).unwrap();
        let error = bulk.get("x").await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{length}: {error}");
        let error = bulk.head("x").await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{length}: {error}");
    }
    // Whole, but under another key.
    std::fs::write(folder.path().join("y"), &whole).unwrap();
    assert_eq!(
        bulk.get("y").await.unwrap_err().to_string(),
        format!(
            "{}/y: damaged, and not believed: its hashes do not match: altered, or stored under \
             another key; look after the disk, then restore a copy or repeat what wrote it",
            folder.path().display()
        )
    );
}

#[tokio::test]
async fn list_and_delete() {
    let folder = tempfile::tempdir().unwrap();
    let bulk = open(folder.path()).await;
    for key in ["up/1/a", "up/1/b", "up/10/a", "up/2", "z"] {
        bulk.put(key, key.as_bytes().to_vec()).await.unwrap();
    }
    let keys = async |prefix| -> Vec<String> {
        bulk.list(prefix).await.unwrap().into_iter().map(|listed| listed.key).collect()
    };
    assert_eq!(keys("").await, ["up/1/a", "up/1/b", "up/10/a", "up/2", "z"]);
    assert_eq!(keys("up/1").await, ["up/1/a", "up/1/b"]);
    assert_eq!(bulk.list("up/10").await.unwrap()[0].len, Some(7));
    assert!(keys("nothing").await.is_empty());
    assert!(bulk.delete("z").await.unwrap());
    assert!(!bulk.delete("z").await.unwrap());
    assert_eq!(bulk.delete_prefix("up/1").await.unwrap(), 2);
    assert_eq!(bulk.delete_prefix("up/1").await.unwrap(), 0);
    assert_eq!(keys("").await, ["up/10/a", "up/2"]);
    // Nor is anything left on the disk.
    assert!(!folder.path().join("up/1").exists());
    assert!(matches!(bulk.delete_prefix("").await.unwrap_err(), StoreError::Key { .. }));
    for key in ["../x", "/x", "A", "", ".lock"] {
        assert!(matches!(bulk.get(key).await.unwrap_err(), StoreError::Key { .. }), "{key}");
        assert!(matches!(bulk.put(key, "").await.unwrap_err(), StoreError::Key { .. }), "{key}");
    }
}

#[tokio::test]
async fn other_kinds_and_a_second_opener_are_refused() {
    for url in ["s3://bucket/hunter2", "https://hunter2@host", "file://", "file:///a?b"] {
        let error = Bulk::open(url).await.unwrap_err();
        assert!(matches!(error, StoreError::Unsupported { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path()).await;
    let error = Bulk::open(&format!("file://{}", folder.path().display())).await.unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}
