//! Uploads: announced, sent in chunks, finished with a receipt; withdrawn.
//!
//! What comes stays sealed to this cloud until a job needs it. A chunk counts once its object and
//! its row in the ledger are durable; a client goes on behind the last that does.

use crate::align::{Alignment, Brought, Pseudonym};
use crate::house::House;
use crate::ledger::{UploadRow, UploadState, Withdrawn};
use crate::page::{Filling, Page};
use crate::refusal::{Cause, Refusal, refuse};
use crate::trust::Frozen;
use bytes::Bytes;
use dyad_net::identity::Role;
use dyad_node::audit::Entry;
use dyad_node::series;
use dyad_protos::limits::{PSEUDONYM, UPLOADS};
use dyad_protos::upload::{RECEIVED, WITHDRAWN, chunk_digest, received_digest};
use dyad_protos::wire::cloud::v1::{
    BeginRequest, Chunk, Lack, MatchReply, UploadReply, UploadSummary,
};
use dyad_protos::{Document, Hex, Manifest, Name};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Where a chunk is kept.
#[must_use]
pub fn object(upload: &[u8; 32], index: u32) -> String {
    format!("uploads/{}/{index:08}", Hex(*upload))
}

/// All of an upload.
fn folder(upload: &[u8; 32]) -> String {
    format!("uploads/{}", Hex(*upload))
}

/// A chunk as it is kept.
pub struct Kept {
    /// Of its rows.
    pub pseudonyms: Vec<Pseudonym>,
    /// Sealed to this cloud.
    pub sealed: Bytes,
}

impl House {
    /// Announces an upload.
    pub async fn begin_upload(
        &self,
        owner: &Name,
        fingerprint: &[u8; 32],
        request: &BeginRequest,
    ) -> Result<UploadReply, Refusal> {
        let manifest = Document::<Manifest>::read(&request.manifest)?;
        if manifest.owner != *owner {
            let what = format!("{owner} announces an upload of {}", manifest.owner);
            return refuse(Cause::Stranger, what);
        }
        let study = self.meet(&request.study, &request.study_signature).await?;
        study.is_member(owner, fingerprint)?;
        if manifest.study.0 != study.study.digest() {
            return refuse(Cause::Changed, "the upload is for another study than the one shown");
        }
        study.manifest(&manifest, &request.signature)?;
        match self.ledger.upload_of(owner.as_str(), &manifest.id.0).await? {
            Some(known) if known != manifest.digest() => {
                let what = format!("upload id {} was announced with another manifest", manifest.id);
                return refuse(Cause::Changed, what);
            }
            Some(_) => {}
            None => {
                let digest = manifest.digest();
                let deed = self.deed(owner.as_str(), "upload announced", &digest);
                self.ledger.open_upload(&manifest, &request.signature, &deed).await?;
            }
        }
        self.upload_reply(&manifest.digest()).await
    }

    /// How far one has come.
    pub async fn upload_reply(&self, digest: &[u8; 32]) -> Result<UploadReply, Refusal> {
        let row = self.upload(digest).await?;
        let stored = self.ledger.stored(digest).await?;
        let (received, receipt) = row.received.unzip();
        Ok(UploadReply {
            stored,
            chunks: row.manifest.chunks(),
            digest: received.map(|digest| digest.to_vec()).unwrap_or_default().into(),
            signature: receipt.map(|receipt| receipt.to_vec()).unwrap_or_default().into(),
            withdrawn: row.state == UploadState::Withdrawn,
        })
    }

    /// An upload that there is.
    pub async fn upload(&self, digest: &[u8; 32]) -> Result<UploadRow, Refusal> {
        let row = self.ledger.upload(digest).await?;
        row.ok_or_else(|| Refusal::new(Cause::Unknown, "there is no such upload"))
    }

    /// One of this owner's.
    pub async fn upload_by(&self, owner: &Name, digest: &[u8; 32]) -> Result<UploadRow, Refusal> {
        let row = self.upload(digest).await?;
        if row.manifest.owner == *owner {
            return Ok(row);
        }
        refuse(Cause::Stranger, "this upload is another owner's")
    }

    /// Stores chunks that follow those that are stored; repeated ones must be the same. Gives how
    /// many are stored then.
    pub async fn store(
        self: &Arc<Self>,
        row: &UploadRow,
        chunks: Vec<Chunk>,
    ) -> Result<u32, Refusal> {
        match row.state {
            UploadState::Open => {}
            UploadState::Complete => return Ok(row.manifest.chunks()),
            UploadState::Withdrawn => return refuse(Cause::State, "this upload was withdrawn"),
        }
        let upload = row.manifest.digest();
        let first = self.ledger.stored(&upload).await?;
        let (mut next, mut digests, mut writing) = (first, Vec::new(), JoinSet::new());
        for chunk in chunks {
            let rows = row.manifest.rows_of(chunk.index);
            let expected = rows.end.saturating_sub(rows.start) as usize * PSEUDONYM;
            if chunk.index >= row.manifest.chunks() || chunk.pseudonyms.len() != expected {
                let what = format!("chunk {} is not one of this upload", chunk.index);
                return refuse(Cause::Message, what);
            }
            let digest = chunk_digest(&upload, chunk.index, &chunk.pseudonyms, &chunk.sealed);
            if chunk.index < first {
                if self.ledger.chunk(&upload, chunk.index).await? != Some(digest) {
                    let what = format!("chunk {} was sent before, and was another", chunk.index);
                    return refuse(Cause::Changed, what);
                }
                continue;
            }
            if chunk.index != next {
                let what = format!("chunk {} comes where {next} is awaited", chunk.index);
                return refuse(Cause::Message, what);
            }
            next += 1;
            digests.push(digest);
            let house = Arc::clone(self);
            writing.spawn(async move {
                let pieces = [chunk.pseudonyms, chunk.sealed];
                house.bulk.put_joined(&object(&upload, chunk.index), pieces).await
            });
        }
        while let Some(written) = writing.join_next().await {
            let written = written.map_err(|error| Refusal::new(Cause::Own, error.to_string()))?;
            written?;
        }
        self.ledger.store_chunks(&upload, first, &digests).await?;
        Ok(next)
    }

    /// All chunks are there: a receipt.
    pub async fn finish_upload(&self, row: &UploadRow) -> Result<UploadReply, Refusal> {
        let upload = row.manifest.digest();
        let chunks = self.ledger.chunks(&upload).await?;
        if row.state == UploadState::Open {
            if chunks.len() as u32 != row.manifest.chunks() {
                let what =
                    format!("{} of {} chunks are there", chunks.len(), row.manifest.chunks());
                return refuse(Cause::State, what);
            }
            let received = received_digest(&upload, self.role().as_str(), &chunks);
            let receipt = self.me.sign.sign(RECEIVED, &received);
            let deed = self.deed(row.manifest.owner.as_str(), "upload received", &received);
            self.ledger.complete_upload(&upload, &received, &receipt.0, &deed).await?;
        }
        self.upload_reply(&upload).await
    }

    /// The owner takes it back: all of it is deleted.
    pub async fn withdraw(&self, row: &UploadRow, signature: &[u8]) -> Result<(), Refusal> {
        let upload = row.manifest.digest();
        let study = self.study(&row.manifest.study.0).await?;
        study.signed_by(&row.manifest.owner, WITHDRAWN, &upload, signature)?;
        let owner = row.manifest.owner.as_str();
        let withdrawn = self.deed(owner, "upload withdrawn", &upload);
        let detail = "an upload was withdrawn";
        let cancelled = Entry { detail, ..self.deed(owner, "job cancelled", &[]) };
        let study = &row.manifest.study.0;
        let taken = self.ledger.withdraw_upload(study, &upload, [&withdrawn, &cancelled]).await?;
        if taken == Withdrawn::InUse {
            let what = "a job that has begun uses this upload: wait for its end";
            return refuse(Cause::State, what);
        }
        // Also when it had been withdrawn before: what was left then goes now.
        self.bulk.delete_prefix(&folder(&upload)).await?;
        Ok(())
    }

    /// Deletes what a withdrawal, or a job, that was cut short has left.
    pub async fn sweep(&self) -> Result<(), Refusal> {
        for upload in self.ledger.withdrawn().await? {
            self.bulk.delete_prefix(&folder(&upload)).await?;
        }
        self.sweep_jobs().await
    }

    /// A page of the uploads of a study, as its members may see them, and after which digest the
    /// next one begins.
    pub async fn summaries(
        &self,
        study: &[u8; 32],
        page: &Page,
    ) -> Result<(Vec<UploadSummary>, Bytes), Refusal> {
        let mut uploads = Filling::of(page);
        for row in self.ledger.uploads_after(study, &page.after, page.limit + 1).await? {
            let upload = row.manifest.digest();
            let digest = row.received.map(|(digest, _)| digest.to_vec()).unwrap_or_default();
            let summary = UploadSummary {
                upload: upload.to_vec().into(),
                manifest: row.manifest.text().to_vec().into(),
                stored: self.ledger.stored(&upload).await?,
                chunks: row.manifest.chunks(),
                digest: digest.into(),
            };
            if !uploads.takes(upload, summary) {
                break;
            }
        }
        Ok(uploads.full())
    }

    /// A chunk of an upload, as it was sent.
    pub async fn chunk(&self, manifest: &Document<Manifest>, index: u32) -> Result<Kept, Refusal> {
        let mut bytes = self.bulk.get(&object(&manifest.digest(), index)).await?;
        let rows = manifest.rows_of(index);
        let length = (rows.end - rows.start) as usize * PSEUDONYM;
        if bytes.len() < length {
            return refuse(Cause::Own, "a stored chunk is too short: restore the store");
        }
        let pseudonyms = bytes.split_to(length).as_chunks().0.to_vec();
        Ok(Kept { pseudonyms, sealed: bytes })
    }

    /// What an upload brings to a job.
    pub async fn brought(&self, study: &Frozen, row: &UploadRow) -> Result<Brought, Refusal> {
        let manifest = &row.manifest;
        if row.state != UploadState::Complete {
            let what = format!("an upload of {} is not complete, or withdrawn", manifest.owner);
            return refuse(Cause::State, what);
        }
        if manifest.study.0 != study.study.digest() {
            return refuse(Cause::Data, "an upload is of another study");
        }
        let places = manifest.places(&study.study);
        let places = places.map_err(|what| Refusal::new(Cause::Data, what))?;
        let mut rows = Vec::new();
        for index in 0..manifest.chunks() {
            let key = object(&manifest.digest(), index);
            let range = manifest.rows_of(index);
            let length = (range.end - range.start) * PSEUDONYM as u64;
            let bytes = self.bulk.get_range(&key, 0..length).await?;
            rows.extend_from_slice(bytes.as_chunks().0);
        }
        Ok(Brought { owner: manifest.owner.clone(), places, rows })
    }

    /// How uploads fit together.
    pub async fn align(&self, study: &Frozen, uploads: &[[u8; 32]]) -> Result<Alignment, Refusal> {
        let distinct: std::collections::BTreeSet<_> = uploads.iter().collect();
        if uploads.len() > UPLOADS || distinct.len() != uploads.len() {
            let what = format!("1 to {UPLOADS} uploads are matched at a time, each named once");
            return refuse(Cause::Limit, what);
        }
        self.context.metrics.counter(series::MATCHINGS, &[]).increment(1);
        let mut brought = Vec::new();
        for upload in uploads {
            brought.push(self.brought(study, &self.upload(upload).await?).await?);
        }
        let aligned = tokio::task::block_in_place(|| Alignment::of(&brought, &study.columns));
        aligned.map_err(|misfit| Refusal::new(Cause::Data, misfit.to_string()))
    }

    /// The same, as owners are told.
    pub async fn match_rows(
        &self,
        study: &Frozen,
        uploads: &[[u8; 32]],
    ) -> Result<MatchReply, Refusal> {
        let aligned = self.align(study, uploads).await?;
        let lacks = aligned.owners.iter().map(|(owner, (rows, unmatched))| Lack {
            owner: owner.to_string(),
            rows: *rows,
            unmatched: *unmatched,
        });
        Ok(MatchReply {
            complete: aligned.rows.len() as u64,
            incomplete: aligned.incomplete,
            lacks: lacks.collect(),
            rows: aligned.digest().to_vec().into(),
        })
    }

    /// Which receipt of a job's upload is this cloud's.
    #[must_use]
    pub fn receipt_of(&self, upload: &dyad_protos::job::Upload) -> [u8; 32] {
        if self.role() == Role::C0 { upload.c0.0 } else { upload.c1.0 }
    }
}
