//! A folder as a store of objects: what the library of object stores leaves to us.

use crate::store::error::{Result, StoreError};
use crate::store::lock::Lock;
use object_store::local::LocalFileSystem;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Makes the folder, locks it, and removes what writers that died have left in it.
pub(super) fn open(root: &Path) -> Result<(LocalFileSystem, Lock)> {
    let fault = |e| StoreError::io(root.display(), e);
    DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(fault)?;
    let lock = Lock::take(&root.join(".lock"))?;
    let swept = sweep(root).map_err(fault)?;
    if swept > 0 {
        tracing::info!(place = %root.display(), swept, "removed what an interrupted writer left");
    }
    let store = LocalFileSystem::new_with_prefix(root)
        .map_err(|e| StoreError::io(root.display(), std::io::Error::other(e)))?
        .with_fsync(true)
        .with_automatic_cleanup(true);
    Ok((store, lock))
}

/// `name#1` is where `name` is written before it is renamed; no key has a `#`.
fn sweep(folder: &Path) -> std::io::Result<usize> {
    let mut swept = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            swept += sweep(&entry.path())?;
        } else if kind.is_file() && is_left_over(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn is_left_over(name: &str) -> bool {
    name.split_once('#').is_some_and(|(_, n)| n.bytes().all(|b| b.is_ascii_digit()))
}

/// Makes a deletion last. Emptied folders are deleted too: the first one still there is synced.
pub(super) fn sync_folder_of(root: &Path, key: &str) -> Result<()> {
    let mut folder = root.join(key);
    while folder.pop() && folder.starts_with(root) {
        match File::open(&folder) {
            Ok(open) => {
                return open.sync_all().map_err(|e| StoreError::io(folder.display(), e));
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(StoreError::io(folder.display(), e)),
        }
    }
    Ok(())
}
