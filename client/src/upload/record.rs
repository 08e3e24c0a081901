//! What the home folder knows of this owner's uploads.

use super::send::Receipt;
use crate::error::{Error, Result, request};
use crate::home::{self, Home};
use dyad_protos::upload::Mode;
use dyad_protos::{Document, Hex, Manifest, Name};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const MANIFEST: &str = "manifest.toml";
const STATE: &str = "state.json";
pub(super) const SPOOL: &str = "spool";

/// How far an upload of this owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is being sent.
    Sending,
    /// Both clouds have it.
    Finished,
    /// It was taken back.
    Withdrawn,
}

/// An upload of this owner.
#[derive(Clone, Debug)]
pub struct Upload {
    /// What it is; its digest is the upload's name.
    pub manifest: Document<Manifest>,
    /// The study's name.
    pub study: Name,
    /// The file it was made from.
    pub file: PathBuf,
    /// How far it is.
    pub state: State,
    /// Of C0 and C1, as far as they are there.
    pub receipts: [Option<Receipt>; 2],
    /// Rows of the file that were left out because a cell is missing.
    pub dropped: u64,
    pub(super) signature: Hex<64>,
}

/// As it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    study: Name,
    file: PathBuf,
    state: State,
    c0: Option<Receipt>,
    c1: Option<Receipt>,
    dropped: u64,
    signature: Hex<64>,
}

impl Upload {
    pub(super) fn store(&self, home: &Home) -> Result<()> {
        let folder = folder(home, &self.manifest.digest());
        let [c0, c1] = self.receipts.clone();
        let stored = Stored {
            study: self.study.clone(),
            file: self.file.clone(),
            state: self.state,
            c0,
            c1,
            dropped: self.dropped,
            signature: self.signature,
        };
        home::write(&folder.join(MANIFEST), self.manifest.text())?;
        home::write_json(&folder.join(STATE), &stored)
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.manifest.digest()
    }
}

pub(super) fn folder(home: &Home, digest: &[u8; 32]) -> PathBuf {
    home.uploads().join(Hex(*digest).to_string())
}

/// Those of a home folder.
pub(super) fn all(home: &Home) -> Result<Vec<Upload>> {
    let mut uploads = Vec::new();
    for name in home::names(&home.uploads())? {
        let folder = home.uploads().join(name);
        let Some(stored) = home::read_json::<Stored>(&folder.join(STATE))? else { continue };
        let path = folder.join(MANIFEST);
        let Some(text) = home::read(&path)? else { continue };
        let manifest = Document::read(&text).map_err(|error| Error::damaged(&path, error))?;
        uploads.push(Upload {
            manifest,
            study: stored.study,
            file: stored.file,
            state: stored.state,
            receipts: [stored.c0, stored.c1],
            dropped: stored.dropped,
            signature: stored.signature,
        });
    }
    Ok(uploads)
}

/// The upload that this one repeats. One that broke off is gone on with only if its file is what it
/// was then: otherwise chunks of two files would be mixed.
pub(super) fn known(
    home: &Home,
    study: &[u8; 32],
    path: &Path,
    file: &[u8; 32],
    mode: Mode,
) -> Result<Option<Upload>> {
    let here = all(home)?
        .into_iter()
        .filter(|upload| upload.manifest.study.0 == *study && upload.state != State::Withdrawn);
    let mut same = None;
    for upload in here {
        if upload.manifest.file.0 == *file && upload.manifest.mode == mode {
            same = Some(upload);
        } else if upload.file == path && upload.state == State::Sending {
            let digest = Hex(upload.digest());
            return request(format!(
                "{} has changed, or is to be split in another way, since its upload {digest} began \
                 and broke off: going on would mix two files. Run `dyad withdraw {}` first, then \
                 upload it anew",
                path.display(),
                &digest.to_string()[..8],
            ));
        }
    }
    Ok(same)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dyad_protos::upload::VERSION;

    const STUDY: [u8; 32] = [2; 32];

    fn upload(home: &Home, file: u8, state: State) -> Upload {
        let manifest = Document::write(&Manifest {
            version: VERSION,
            id: Hex([file; 16]),
            study: Hex(STUDY),
            owner: "north".parse().unwrap(),
            mode: Mode::Sealed,
            columns: vec!["age".into()],
            rows: 1,
            chunk_rows: 1,
            file: Hex([file; 32]),
        })
        .unwrap();
        let upload = Upload {
            manifest,
            study: "heart".parse().unwrap(),
            file: "/a.csv".into(),
            state,
            receipts: [None, None],
            dropped: 0,
            signature: Hex([0; 64]),
        };
        upload.store(home).unwrap();
        upload
    }

    fn known_as(home: &Home, file: u8, path: &str) -> Result<Option<Upload>> {
        known(home, &STUDY, Path::new(path), &[file; 32], Mode::Sealed)
    }

    #[test]
    fn an_upload_goes_on_only_with_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        assert!(known_as(&home, 1, "/a.csv").unwrap().is_none());
        let first = upload(&home, 1, State::Sending);
        // The same content, wherever it lies.
        for path in ["/a.csv", "/b.csv"] {
            assert_eq!(known_as(&home, 1, path).unwrap().unwrap().digest(), first.digest());
        }
        // Another file at another place is another upload; at the same place it is refused.
        assert!(known_as(&home, 2, "/b.csv").unwrap().is_none());
        let error = known_as(&home, 2, "/a.csv").unwrap_err().to_string();
        assert!(error.contains("has changed") && error.contains("dyad withdraw"), "{error}");
        let packed = known(&home, &STUDY, Path::new("/a.csv"), &[1; 32], Mode::Packed);
        assert!(packed.is_err());
        // Of another study it is none.
        assert!(
            known(&home, &[3; 32], Path::new("/a.csv"), &[1; 32], Mode::Sealed).unwrap().is_none()
        );
    }

    #[test]
    fn what_is_over_is_not_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        upload(&home, 1, State::Withdrawn);
        let finished = upload(&home, 2, State::Finished);
        assert!(known_as(&home, 1, "/a.csv").unwrap().is_none());
        assert_eq!(known_as(&home, 2, "/a.csv").unwrap().unwrap().digest(), finished.digest());
        assert!(known_as(&home, 3, "/a.csv").unwrap().is_none());
    }
}
