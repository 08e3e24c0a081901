//! Keys in one file that a passphrase locks: whoever loses the key of a study can open no joint
//! release again, and nobody else in the study can either.

use crate::error::{Error, Result, request};
use crate::home::{self, Home};
use base64ct::{Base64, Encoding};
use dyad_net::keyfile::{lock, unlock, write_secret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use zeroize::{Zeroize, Zeroizing};

/// Of the format.
const VERSION: u32 = 1;
/// What is not worth keeping: it can be made again.
fn is_left_out(path: &Path) -> bool {
    // A study may have any of these names.
    path == Path::new("models") || path.starts_with("uploads") && path.ends_with("spool")
}

#[derive(Serialize, Deserialize)]
struct Archive {
    version: u32,
    /// Path in the home folder, and content in Base64.
    files: BTreeMap<String, String>,
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.files.values_mut().for_each(Zeroize::zeroize);
    }
}

/// Writes keys, studies and receipts of a home folder into one file. Keys that are locked stay so
/// within. Gives how many files it has.
pub fn backup(home: &Home, to: &Path, passphrase: &str) -> Result<usize> {
    if passphrase.is_empty() {
        return request("a backup needs a passphrase: without one whoever finds it has the keys");
    }
    if !home.member().exists() {
        return request(format!("{} has no keys yet", home.path().display()));
    }
    let mut archive = Archive { version: VERSION, files: BTreeMap::new() };
    gather(home.path(), Path::new(""), &mut archive.files)?;
    let text = serde_json::to_vec(&archive).map_err(|error| Error::damaged(to, error))?;
    let text = Zeroizing::new(text);
    write_secret(to, &lock(passphrase, &text)?)?;
    Ok(archive.files.len())
}

fn gather(root: &Path, below: &Path, files: &mut BTreeMap<String, String>) -> Result<()> {
    let folder = root.join(below);
    for name in home::names(&folder)? {
        let path = folder.join(&name);
        let is_lock = path.extension().is_some_and(|extension| extension == "lock");
        let below = below.join(&name);
        if is_left_out(&below) || is_lock {
            continue;
        }
        if path.is_dir() {
            gather(root, &below, files)?;
        } else {
            let bytes = fs::read(&path).map_err(|error| Error::file(&path, error))?;
            let bytes = Zeroizing::new(bytes);
            let below = below.to_string_lossy().into_owned();
            files.insert(below, Base64::encode_string(&bytes));
        }
    }
    Ok(())
}

/// Brings a backup back into a home folder that has no keys. Gives how many files it had.
pub fn restore(home: &Home, from: &Path, passphrase: &str) -> Result<usize> {
    if home.member().exists() {
        return request(format!(
            "{} has keys already, which would be lost: restore into another folder (--home), or \
             move this one away",
            home.path().display()
        ));
    }
    let locked = fs::read(from).map_err(|error| Error::file(from, error))?;
    let text = unlock(passphrase, &locked)?;
    let archive: Archive =
        serde_json::from_slice(&text).map_err(|error| Error::damaged(from, error))?;
    if archive.version != VERSION {
        return Err(Error::damaged(from, "it was written by another release"));
    }
    let mut contents = Vec::new();
    for (below, content) in &archive.files {
        // A path that leads out of the folder is none of ours.
        let below = PathBuf::from(below);
        let inside = below.components().all(|part| matches!(part, Component::Normal(_)));
        let bytes = Base64::decode_vec(content).map(Zeroizing::new);
        match bytes {
            Ok(bytes) if inside => contents.push((below, bytes)),
            _ => return Err(Error::damaged(from, "a file in it cannot be read")),
        }
    }
    // Whole, or not at all: keys appear last.
    let member = Path::new("member");
    let (last, first): (Vec<_>, Vec<_>) =
        contents.iter().partition(|(below, _)| below.starts_with(member));
    for (below, bytes) in first {
        home::write(&home.path().join(below), bytes)?;
    }
    let aside = home.path().join("member.restoring");
    home::remove(&aside)?;
    for (below, bytes) in last {
        let below = below.strip_prefix(member).unwrap_or(below);
        home::write(&aside.join(below), bytes)?;
    }
    fs::rename(&aside, home.member()).map_err(|error| Error::file(&aside, error))?;
    Ok(archive.files.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let (home, other) = (Home::at(folder.path().join("a")), Home::at(folder.path().join("b")));
        let file = folder.path().join("backup");
        assert!(backup(&home, &file, "x").is_err());
        let write = |name: &str, bytes: &[u8]| home::write(&home.path().join(name), bytes).unwrap();
        write("member/sign.key", &[0, 255, 7]);
        write("studies/heart/key", b"k");
        write("uploads/ab/state.json", b"{}");
        write("uploads/ab/spool/c1", &[1; 1000]);
        assert!(backup(&home, &file, "").is_err());
        assert_eq!(backup(&home, &file, "open sesame").unwrap(), 3);
        assert!(restore(&home, &file, "open sesame").is_err());
        assert!(restore(&other, &file, "open says me").is_err());
        assert_eq!(restore(&other, &file, "open sesame").unwrap(), 3);
        let read = |name: &str| home::read(&other.path().join(name)).unwrap();
        assert_eq!(read("member/sign.key").unwrap(), [0, 255, 7]);
        assert_eq!(read("studies/heart/key").unwrap(), b"k");
        assert!(read("uploads/ab/spool/c1").is_none());
        // A study may be called like a folder that is left out.
        write("models/ab.json", b"{}");
        write("studies/models/key", b"m");
        write("studies/spool/key", b"s");
        write("studies/uploads/spool/key", b"u");
        assert_eq!(backup(&home, &file, "open sesame").unwrap(), 6);
        let third = Home::at(folder.path().join("c"));
        assert_eq!(restore(&third, &file, "open sesame").unwrap(), 6);
        for (study, key) in [("models", b"m"), ("spool", b"s"), ("uploads/spool", b"u")] {
            let kept = home::read(&third.path().join("studies").join(study).join("key")).unwrap();
            assert_eq!(kept.unwrap(), key, "{study}");
        }
        assert!(home::read(&third.path().join("models/ab.json")).unwrap().is_none());
        let text = fs::read(&file).unwrap();
        assert!(!text.windows(7).any(|seven| seven == b"studies"));
    }
}
