//! One process per store.

use super::error::{Result, StoreError};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held while a store is open. The operating system lets go of it when the process ends, however it
/// ends, so there is nothing to clean up after a kill.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock file `path`, or says who has it.
    pub(super) fn take(path: &Path) -> Result<Self> {
        let place = path.display();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|e| StoreError::io(&place, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut by = String::new();
                // Only to name it: whatever it says, the lock is taken.
                let by = match file.read_to_string(&mut by) {
                    Ok(_) if !by.trim().is_empty() => by.trim().to_owned(),
                    _ => "another process".to_owned(),
                };
                return Err(StoreError::InUse { place: place.to_string(), by });
            }
            Err(TryLockError::Error(e)) => return Err(StoreError::io(&place, e)),
        }
        let name = format!("process {}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(name.as_bytes()))
            .map_err(|e| StoreError::io(&place, e))?;
        Ok(Self { _file: file })
    }
}
