//! A cloud's share of a job's inputs, put together from what owners uploaded.

use crate::align::Alignment;
use crate::house::House;
use crate::ledger::UploadRow;
use crate::refusal::{Cause, Refusal};
use dyad_learn::signed::Gather;
use dyad_net::contexts;
use dyad_protos::upload::Places;
use zeroize::Zeroizing;

impl House {
    /// What an owner sealed to this cloud in one chunk.
    pub async fn opened_chunk(
        &self,
        row: &UploadRow,
        index: u32,
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let manifest = &row.manifest;
        let kept = self.chunk(manifest, index).await?;
        let context = contexts::chunk(self.role(), &manifest.digest(), &manifest.owner, index);
        let opened = self.me.seal.open(&context, &kept.sealed);
        opened.map_err(|_| {
            let what = format!("a chunk that {} uploaded cannot be opened", manifest.owner);
            Refusal::new(Cause::Data, what)
        })
    }
}

/// Values in a chunk.
#[must_use]
pub fn values(row: &UploadRow, places: &Places, index: u32) -> usize {
    let rows = row.manifest.rows_of(index);
    (rows.end - rows.start) as usize * places.width()
}

/// Puts an upload's shares where its rows and columns belong.
pub fn place(
    gather: &mut Gather<'_>,
    places: &Places,
    aligned: &Alignment,
    upload: usize,
    shares: &[u64],
) {
    let rows = aligned.places[upload].iter().zip(shares.chunks_exact(places.width()));
    for (row, values) in rows {
        if let Some(row) = row {
            gather.put(*row, &places.features, values);
        }
    }
}
