//! Uploads: a file is checked, then becomes chunks that are split, sealed, spooled and sent to both
//! clouds, while further ones are made; both clouds sign for all of it.
//!
//! Done twice, nothing is done twice: an upload that broke off goes on with the very same bytes, as
//! long as the file is the same; one that is finished gives its receipts again.

mod make;
mod record;
mod send;
mod source;
mod split;
mod spool;

pub use record::{State, Upload};
pub use send::Receipt;
#[cfg(test)]
pub(crate) use source::tests;
pub use source::{Pseudonym, Source, pseudonym};

use crate::client::{Client, random, timed};
use crate::error::{Doing, Error, Result, request};
use crate::home;
use crate::study::{Frozen, key_of};
use dyad_data::{ReadOptions, Table};
use dyad_protos::upload::{ANNOUNCED, Mode, VERSION, WITHDRAWN};
use dyad_protos::wire::cloud::v1::WithdrawRequest;
use dyad_protos::{Document, Hex, Manifest, Name};
use make::Maker;
use record::{SPOOL, all, folder, known};
use send::Sending;
use split::Splitter;
use spool::Spool;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The file is read.
    Reading,
    /// Every cell is held against the schema; bytes of encoded data.
    Checking,
    /// Chunks are split, sealed and sent; bytes of encoded data that both clouds have stored.
    Sending,
}

/// Hears how far it is: what is done, bytes, of how many.
pub type Progress<'a> = &'a (dyn Fn(Phase, u64, u64) + Sync);

/// An upload of this owner, wherever it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Its digest.
    pub digest: [u8; 32],
    /// Its study's.
    pub study: [u8; 32],
    /// Its rows.
    pub rows: u64,
    /// The file it was made from, if that was done from this home folder.
    pub file: Option<PathBuf>,
}

impl Own {
    /// One that the home folder knows.
    #[must_use]
    pub fn of(upload: &Upload) -> Self {
        Self { file: Some(upload.file.clone()), ..Self::listed(&upload.manifest) }
    }

    fn listed(manifest: &Document<Manifest>) -> Self {
        let (digest, study, rows) = (manifest.digest(), manifest.study.0, manifest.rows);
        Self { digest, study, rows, file: None }
    }
}

/// What is to be uploaded.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The study.
    pub study: &'a Name,
    /// The file.
    pub file: &'a Path,
    /// How it is split.
    pub mode: Mode,
    /// How the file is read.
    pub options: ReadOptions,
}

impl Client {
    /// What an owner knows a file by. Keyed, since clouds and members see it: without the key nobody
    /// can try what a file may have held.
    fn digest_of(&self, path: &Path) -> Result<[u8; 32]> {
        let key = self.me.sign.to_bytes();
        Ok(dyad_protos::digest("file of an upload", &[&key[..], &source::digest_of(path)?]))
    }

    /// A table as a study sees it: what [`upload`](Self::upload) would send of it. To run a job in
    /// the clear, on data of one's own.
    pub async fn source(&self, study: &Frozen, table: &Table) -> Result<Source> {
        let key = self.pseudonym_key(&study.study.draft.name).await?;
        Source::of(table, &study.study.draft, &study.schema, &key)
    }

    /// Uploads of this owner, as the home folder knows them.
    pub fn uploads(&self) -> Result<Vec<Upload>> {
        all(&self.home)
    }

    /// The upload whose digest begins so: as the home folder knows it, or else as the clouds list
    /// it, in any study that was joined with the keys that are here.
    pub fn upload_named<'a>(&'a self, digits: &'a str) -> Doing<'a, Own> {
        Box::pin(async move {
            let mut found: Vec<_> = self.uploads()?.iter().map(Own::of).collect();
            let begins =
                |own: &Own| !digits.is_empty() && Hex(own.digest).to_string().starts_with(digits);
            found.retain(begins);
            if found.is_empty() {
                self.refresh().await?;
                for name in self.pinned_studies()? {
                    let Ok(study) = self.frozen_study(&name).await else { continue };
                    let there = self.uploads_at(&study).await?;
                    let own = there.manifests().filter(|manifest| manifest.owner == *self.name());
                    found.extend(own.map(Own::listed).filter(begins));
                }
            }
            match &found[..] {
                [own] => Ok(own.clone()),
                [] => request(format!(
                    "no upload of {} begins with `{digits}`, here or at the clouds; see `dyad \
                     uploads`, and `dyad uploads --all --study STUDY` for what the clouds have",
                    self.name()
                )),
                _ => {
                    request(format!("more than one upload begins with `{digits}`; give more of it"))
                }
            }
        })
    }

    /// Uploads a file, or goes on with it.
    pub async fn upload(&self, wanted: &Request<'_>, progress: Progress<'_>) -> Result<Upload> {
        self.upload_as(wanted, None, progress).await
    }

    /// The same with the rows numbered from 1, in a column of this name: identifiers for records
    /// that have none.
    pub async fn upload_numbered(
        &self,
        wanted: &Request<'_>,
        column: &str,
        progress: Progress<'_>,
    ) -> Result<Upload> {
        self.upload_as(wanted, Some(column), progress).await
    }

    fn upload_as<'a>(
        &'a self,
        wanted: &'a Request<'a>,
        number_rows: Option<&'a str>,
        progress: Progress<'a>,
    ) -> Doing<'a, Upload> {
        Box::pin(async move {
            self.refresh().await?;
            let study = self.frozen_study(wanted.study).await?;
            let _lock = self.home.lock("uploads")?;
            progress(Phase::Reading, 0, 0);
            let path = wanted.file;
            let path = path.canonicalize().map_err(|error| Error::file(path, error))?;
            let file = tokio::task::block_in_place(|| self.digest_of(&path))?;
            let known = known(&self.home, &study.study.digest(), &path, &file, wanted.mode)?;
            if let Some(upload) = &known
                && upload.state == State::Finished
            {
                // Finished it is as long as both clouds say so too.
                let there = self.uploads_at(&study).await?;
                self.none_is_lost(&study, &there, &[upload.digest()])?;
                return Ok(upload.clone());
            }
            let key = self.pseudonym_key(wanted.study).await?;
            let (upload, maker) = tokio::task::block_in_place(|| {
                let table = Table::read(&path, &wanted.options)?;
                let table = match number_rows {
                    Some(column) => table.with_row_numbers(column)?,
                    None => table,
                };
                let mut source = Source::of(&table, &study.study.draft, &study.schema, &key)?;
                drop(table);
                let upload = match known {
                    Some(upload) => upload,
                    None => {
                        self.announced(wanted, &study, &mut source, (&path, &file), progress)?
                    }
                };
                // It may have been written to while it was read.
                if self.digest_of(&path)? != file {
                    return request(format!(
                        "{} changed while it was read; run the command again when it is complete",
                        path.display()
                    ));
                }
                let maker = self.maker(&study, &upload, source)?;
                Ok((upload, maker))
            })?;
            self.send(&study, upload, maker, progress).await
        })
    }

    /// A new upload, stored before anybody hears of it. All of its cells are good.
    fn announced(
        &self,
        wanted: &Request<'_>,
        study: &Frozen,
        source: &mut Source,
        (path, file): (&Path, &[u8; 32]),
        progress: Progress<'_>,
    ) -> Result<Upload> {
        let width = source.places.width();
        let total = 8 * (source.len() * width) as u64;
        source.check(&|rows| progress(Phase::Checking, 8 * (rows * width) as u64, total))?;
        let splitter = self.splitter(study, wanted.mode)?;
        let manifest = Document::write(&Manifest {
            version: VERSION,
            id: Hex(random()?),
            study: Hex(study.study.digest()),
            owner: self.name().clone(),
            mode: wanted.mode,
            columns: source.columns.clone(),
            rows: source.len() as u64,
            chunk_rows: splitter.chunk_rows(width)?.min(source.len()) as u64,
            file: Hex(*file),
        })?;
        manifest.places(&study.study).map_err(Error::Request)?;
        let upload = Upload {
            study: wanted.study.clone(),
            file: path.to_owned(),
            state: State::Sending,
            receipts: [None, None],
            dropped: source.dropped as u64,
            signature: Hex(self.me.sign.sign(ANNOUNCED, &manifest.digest()).0),
            manifest,
        };
        upload.store(&self.home)?;
        Ok(upload)
    }

    fn splitter(&self, study: &Frozen, mode: Mode) -> Result<Splitter> {
        let draft = &study.study.draft;
        let secret = key_of(self, &draft.name)?;
        Splitter::new(secret.public().clone(), mode, draft.value_bits)
    }

    fn maker(&self, study: &Frozen, upload: &Upload, source: Source) -> Result<Maker> {
        let manifest = &upload.manifest;
        if source.columns != manifest.columns || source.len() as u64 != manifest.rows {
            return request(format!(
                "{} is read in another way than when its upload began: say the same options, or \
                 run `dyad withdraw {}` and upload it anew",
                upload.file.display(),
                &Hex(upload.digest()).to_string()[..8],
            ));
        }
        let folder = folder(&self.home, &upload.digest()).join(SPOOL);
        Ok(Maker {
            source,
            splitter: self.splitter(study, manifest.mode)?,
            manifest: manifest.clone(),
            study: study.study.clone(),
            spool: Arc::new(Spool::open(&folder, &upload.digest())?),
            stored: Arc::default(),
        })
    }

    /// Sends an upload while it is made.
    async fn send(
        &self,
        study: &Frozen,
        mut upload: Upload,
        maker: Maker,
        progress: Progress<'_>,
    ) -> Result<Upload> {
        let [c0, c1] = self.clouds(&study.study)?;
        let (spool, stored) = (Arc::clone(&maker.spool), Arc::clone(&maker.stored));
        let (sender, made) = watch::channel(spool.made());
        let width = maker.source.places.width() as u64;
        let manifest = upload.manifest.clone();
        let total = 8 * manifest.rows * width;
        let told = |chunks: u32| {
            let rows = (u64::from(chunks) * manifest.chunk_rows).min(manifest.rows);
            progress(Phase::Sending, 8 * rows * width, total);
        };
        let sending = Sending {
            study,
            manifest: &manifest,
            signature: &upload.signature.0,
            spool: &spool,
            stored: &stored,
            made: &made,
            progress: &told,
        };
        // Before anything is made anew: does either have what is not known here?
        tokio::try_join!(sending.get_to_know(&c0), sending.get_to_know(&c1))?;
        let making = tokio::task::spawn_blocking(move || maker.run(&sender));
        let receipts = tokio::try_join!(sending.to(&c0), sending.to(&c1));
        stored.close();
        let making = making.await.map_err(|error| Error::NotYet(error.to_string()))?;
        // What cannot be made cannot be sent: the reason says more.
        making?;
        let (zero, one) = receipts?;
        upload.receipts = [Some(zero), Some(one)];
        upload.state = State::Finished;
        upload.store(&self.home)?;
        home::remove(&folder(&self.home, &upload.digest()).join(SPOOL))?;
        Ok(upload)
    }

    /// Takes an upload back: both clouds delete what they have of it.
    pub fn withdraw<'a>(&'a self, upload: &'a Upload) -> Doing<'a, ()> {
        Box::pin(async move { self.withdraw_own(&Own::of(upload)).await })
    }

    /// The same; it need not have been made from this home folder.
    pub fn withdraw_own<'a>(&'a self, upload: &'a Own) -> Doing<'a, ()> {
        Box::pin(async move {
            self.refresh().await?;
            let _lock = self.home.lock("uploads")?;
            let study = self.study_of(&upload.study)?;
            let message = upload.digest;
            let signature = self.me.sign.sign(WITHDRAWN, &message);
            let request = WithdrawRequest {
                upload: message.to_vec().into(),
                signature: signature.0.to_vec().into(),
            };
            let [c0, c1] = self.clouds(&study.study)?;
            let withdraw = |cloud: crate::client::Cloud| {
                let request = request.clone();
                async move {
                    let reply = cloud.ask("to delete an upload", |mut cloud| {
                        let request = timed(request.clone());
                        async move { cloud.withdraw(request).await }
                    });
                    match reply.await {
                        // An upload that never got there need not be deleted.
                        Err(error) if error.is_unknown() => Ok(()),
                        other => other.map(drop),
                    }
                }
            };
            tokio::try_join!(withdraw(c0), withdraw(c1))?;
            if let Some(known) = self.uploads()?.into_iter().find(|known| known.digest() == message)
            {
                Upload { state: State::Withdrawn, ..known }.store(&self.home)?;
            }
            home::remove(&folder(&self.home, &message).join(SPOOL))
        })
    }
}
