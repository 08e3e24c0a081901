//! How much of a cloud one owner may take in one study: uploads, bytes, open jobs. Each refusal names
//! the limit, how much is taken, and what to do.
//!
//! Bytes are counted when an upload is announced, by what its manifest says it can have at most; a
//! chunk that is larger than that is refused when it comes. So nothing need be counted while data
//! stream in, and an owner hears at once that an upload does not fit.

use crate::house::House;
use crate::ledger::{UploadRow, UploadState};
use crate::packed::layout;
use crate::refusal::{Cause, Refusal, refuse};
use crate::trust::Frozen;
use dyad_net::identity::Role;
use dyad_net::seal::OVERHEAD;
use dyad_protos::limits::PSEUDONYM;
use dyad_protos::upload::Mode;
use dyad_protos::wire::cloud::v1::{BeginRequest, Chunk};
use dyad_protos::{Document, Job, Manifest, Name};
use serde::{Deserialize, Serialize};

/// What is refused beyond, and how long is kept what recipients do not fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Uploads of one owner in one study, those withdrawn not counted.
    pub uploads: u32,
    /// Bytes of these, at most.
    pub bytes: u64,
    /// Jobs that one owner has proposed in one study and that are not trained yet.
    pub jobs: u32,
    /// Days, of those that the cloud runs, that a model waits: for recipients who do not fetch it,
    /// owners who do not answer, or the other cloud.
    pub retention_days: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { uploads: 100, bytes: 256 << 30, jobs: 20, retention_days: 30 }
    }
}

impl Limits {
    /// Is the time over of what has waited since then? Both in seconds that the cloud has run.
    pub(crate) const fn is_due(&self, since: u64, ran: u64) -> bool {
        ran.saturating_sub(since) >= self.retention_days.saturating_mul(86_400)
    }
}

/// What an upload's chunks are made of: the same for all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Values of a row.
    width: u64,
    value_bits: u32,
}

/// What the sealed part of a chunk can have at most, in bytes.
fn most_sealed(house: &House, value_bits: u32, mode: Mode, values: u64) -> Result<u64, Refusal> {
    // Two numbers below N^2, with ids and lengths.
    let ciphertext = 4 * (house.params.size().bits() as u64).div_ceil(8) + 256;
    let content = match (mode, house.role()) {
        (Mode::Sealed, Role::C0) => 2 * ciphertext,
        (Mode::Sealed, _) => 8 * values,
        (Mode::Packed, _) => {
            let slots = layout(&house.params, value_bits)?.slots() as u64;
            values.div_ceil(slots) * ciphertext
        }
    };
    Ok(content + OVERHEAD as u64 + 64)
}

/// What all of an upload can have at most.
fn most(house: &House, study: &Frozen, manifest: &Manifest) -> Result<u64, Refusal> {
    let places = manifest.places(&study.study);
    let width = places.map_err(|what| Refusal::new(Cause::Data, what))?.width() as u64;
    let chunks = u64::from(manifest.chunks());
    let last = manifest.rows_of(manifest.chunks().saturating_sub(1));
    let rows = [manifest.chunk_rows.min(manifest.rows), last.end - last.start];
    let bits = study.study.draft.value_bits;
    let [full, last] = rows.map(|rows| most_sealed(house, bits, manifest.mode, rows * width));
    let sealed = full?.saturating_mul(chunks.saturating_sub(1)).saturating_add(last?);
    Ok(sealed.saturating_add(manifest.rows.saturating_mul(PSEUDONYM as u64)))
}

impl House {
    /// Is there room for an upload that is announced? What else is wrong with it is not looked at.
    pub async fn room_for_upload(
        &self,
        owner: &Name,
        fingerprint: &[u8; 32],
        request: &BeginRequest,
    ) -> Result<(), Refusal> {
        let manifest = Document::<Manifest>::read(&request.manifest)?;
        let study = self.meet(&request.study, &request.study_signature).await?;
        study.is_member(owner, fingerprint)?;
        if self.ledger.upload_of(owner.as_str(), &manifest.id.0).await?.is_some() {
            return Ok(());
        }
        let name = &study.study.draft.name;
        let mut taken = self.ledger.uploads(&study.study.digest()).await?;
        taken.retain(|row| row.manifest.owner == *owner && row.state != UploadState::Withdrawn);
        if taken.len() as u64 >= u64::from(self.limits.uploads) {
            let what = format!(
                "{owner} has {} uploads in study {name} at {}, and {} are allowed \
                 (limits.uploads): withdraw one, or ask who runs it",
                taken.len(),
                self.me.identity,
                self.limits.uploads
            );
            return refuse(Cause::Limit, what);
        }
        let mut bytes = 0_u64;
        for row in &taken {
            bytes = bytes.saturating_add(most(self, &study, &row.manifest)?);
        }
        let needed = most(self, &study, &manifest)?;
        if bytes.saturating_add(needed) > self.limits.bytes {
            let what = format!(
                "this upload may need {needed} bytes; {owner} has {bytes} of {} in study {name} at \
                 {} (limits.bytes): withdraw another, or ask who runs it",
                self.limits.bytes, self.me.identity
            );
            return refuse(Cause::Limit, what);
        }
        Ok(())
    }

    /// What chunks of an upload are held against.
    pub(crate) async fn shape_of(&self, row: &UploadRow) -> Result<Shape, Refusal> {
        let study = self.study(&row.manifest.study.0).await?;
        let places = row.manifest.places(&study.study);
        let width = places.map_err(|what| Refusal::new(Cause::Data, what))?.width() as u64;
        Ok(Shape { width, value_bits: study.study.draft.value_bits })
    }

    /// A chunk has no more bytes than its values need.
    pub(crate) fn chunk_fits(
        &self,
        row: &UploadRow,
        shape: Shape,
        chunk: &Chunk,
    ) -> Result<(), Refusal> {
        if chunk.index >= row.manifest.chunks() {
            // There is none such: told where chunks are stored.
            return Ok(());
        }
        let rows = row.manifest.rows_of(chunk.index);
        let values = rows.end.saturating_sub(rows.start).saturating_mul(shape.width);
        let most = most_sealed(self, shape.value_bits, row.manifest.mode, values)?;
        if chunk.sealed.len() as u64 <= most {
            return Ok(());
        }
        let what = format!(
            "chunk {} has {} bytes where its values need {most} at most",
            chunk.index,
            chunk.sealed.len()
        );
        refuse(Cause::Limit, what)
    }

    /// Is there room for one more job of this author?
    pub(crate) async fn room_for_job(&self, study: &Frozen, job: &Job) -> Result<(), Refusal> {
        let jobs = self.ledger.jobs(&study.study.digest()).await?;
        // Each that counts its author can cancel.
        let open =
            |row: &&crate::ledger::JobRow| row.job.author == job.author && row.state.is_open();
        let open = jobs.iter().filter(open).count();
        if (open as u64) < u64::from(self.limits.jobs) {
            return Ok(());
        }
        let what = format!(
            "{} has {open} jobs in study {} at {} that are not trained yet, and {} are allowed \
             (limits.jobs): wait for one, or cancel it",
            job.author, study.study.draft.name, self.me.identity, self.limits.jobs
        );
        refuse(Cause::Limit, what)
    }
}
