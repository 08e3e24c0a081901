//! The home folder: the owner's keys, the studies it is in, what it uploaded and approved of.
//!
//! ```text
//! member/                     certificate and keys
//! studies/NAME/               draft.toml, key, claim, study.toml, study.sig
//! uploads/DIGEST/             manifest.toml, state.json, spool/
//! jobs/DIGEST/                job.toml, state.json
//! models/DIGEST.json
//! ```
//!
//! All of it is for its owner alone (0700 and 0600); every file is written whole or not at all.

use crate::error::{Error, Result};
use dyad_net::keyfile;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The folder.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

impl Home {
    /// At this place. Nothing is made yet.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The usual place: `DYAD_HOME`, or `.dyad` in the user's own folder.
    pub fn usual() -> Result<Self> {
        if let Some(folder) = std::env::var_os("DYAD_HOME").filter(|folder| !folder.is_empty()) {
            return Ok(Self(folder.into()));
        }
        match std::env::home_dir() {
            Some(folder) => Ok(Self(folder.join(".dyad"))),
            None => Err(Error::Request(
                "this user has no folder of its own; say --home FOLDER or set DYAD_HOME".into(),
            )),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Certificate and keys.
    #[must_use]
    pub fn member(&self) -> PathBuf {
        self.0.join("member")
    }

    pub(crate) fn study(&self, name: &dyad_protos::Name) -> PathBuf {
        self.0.join("studies").join(name.as_str())
    }

    pub(crate) fn studies(&self) -> Result<Vec<String>> {
        names(&self.0.join("studies"))
    }

    pub(crate) fn uploads(&self) -> PathBuf {
        self.0.join("uploads")
    }

    pub(crate) fn jobs(&self) -> PathBuf {
        self.0.join("jobs")
    }

    /// Where a job's model is put if nothing else is said.
    #[must_use]
    pub fn model(&self, job: &[u8; 32]) -> PathBuf {
        self.0.join("models").join(format!("{}.json", dyad_protos::Hex(*job)))
    }

    /// Keeps other commands from doing the same at the same time, until it is dropped.
    pub(crate) fn lock(&self, what: &str) -> Result<Lock> {
        make_folder(&self.0)?;
        let path = self.0.join(format!("{what}.lock"));
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        owner_only(&mut options);
        let file = options.open(&path).map_err(|error| Error::file(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::NotYet(format!(
                "another command works on {what} in {}; wait until it has ended",
                self.0.display()
            ))),
            Err(TryLockError::Error(error)) => Err(Error::file(&path, error)),
        }
    }
}

/// See [`Home::lock`].
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

#[cfg(unix)]
pub(crate) fn owner_only(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
pub(crate) fn owner_only(_: &mut OpenOptions) {}

/// Makes a folder for its owner alone, and those it lies in.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| Error::file(path, error))
}

/// Names of what lies in a folder, in order; none if there is no such folder.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file(folder, error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::file(folder, error))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// Writes a file for its owner alone: whole, or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    Ok(keyfile::write_secret(path, bytes)?)
}

/// Reads a file; nothing if it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(path, error)),
    }
}

/// Writes JSON.
pub(crate) fn write_json(path: &Path, content: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec_pretty(content).map_err(|error| Error::damaged(path, error))?;
    write(path, &text)
}

/// Reads JSON; nothing if it is not there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(text) = read(path)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| Error::damaged(path, error))
}

/// Removes a folder with all that is in it; it need not be there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file(path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_command_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        let lock = home.lock("uploads").unwrap();
        assert!(matches!(home.lock("uploads"), Err(Error::NotYet(_))));
        drop(lock);
        home.lock("uploads").unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn files_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").join("b.json");
        write_json(&path, &[1, 2]).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(read_json::<Vec<u8>>(&path).unwrap().unwrap(), [1, 2]);
        assert!(read_json::<u8>(&path).is_err());
    }
}
