//! C0's shares of a job's data.

use crate::open;
use dyad_bcp::MasterKey;
use dyad_cloud::align::Alignment;
use dyad_cloud::codec;
use dyad_cloud::house::House;
use dyad_cloud::inputs::{place, values};
use dyad_cloud::jobs::Case;
use dyad_cloud::ledger::UploadRow;
use dyad_cloud::packed::layout;
use dyad_cloud::refusal::{Cause, Refusal, refuse};
use dyad_learn::signed::Signed;
use dyad_mpc::together::Input;
use dyad_protos::upload::{Mode, Places};
use std::collections::HashMap;
use tokio::task::block_in_place;

/// What C1 had opened of packed uploads: shares by upload and chunk.
pub(crate) type Opened = HashMap<([u8; 32], u32), Vec<u64>>;

/// Puts C0's shares of all uploads together.
pub(crate) async fn gather(
    house: &House,
    master: &MasterKey,
    case: &Case,
    training: &Signed,
    (rows, aligned): &(Vec<UploadRow>, Alignment),
    opened: &mut Opened,
) -> Result<Vec<Input>, Refusal> {
    let mut gather = training.gather();
    for (at, row) in rows.iter().enumerate() {
        let places = places(case, row)?;
        let shares = match row.manifest.mode {
            Mode::Sealed => sealed(house, master, case, row, &places).await?,
            Mode::Packed => {
                let mut shares = Vec::new();
                for index in 0..row.manifest.chunks() {
                    let chunk = opened.remove(&(row.manifest.digest(), index));
                    let missing = || Refusal::new(Cause::State, "a packed chunk was not opened");
                    shares.extend(chunk.ok_or_else(missing)?);
                }
                shares
            }
        };
        block_in_place(|| place(&mut gather, &places, aligned, at, &shares));
    }
    Ok(gather.inputs())
}

fn places(case: &Case, row: &UploadRow) -> Result<Places, Refusal> {
    let places = row.manifest.places(&case.study.study);
    places.map_err(|what| Refusal::new(Cause::Data, what))
}

/// Expands the seeds of a sealed upload: opened all at once.
async fn sealed(
    house: &House,
    master: &MasterKey,
    case: &Case,
    row: &UploadRow,
    places: &Places,
) -> Result<Vec<u64>, Refusal> {
    let owner = &case.study.keys[&row.manifest.owner];
    let mut ciphertexts = Vec::new();
    for index in 0..row.manifest.chunks() {
        let bytes = house.opened_chunk(row, index).await?;
        ciphertexts.extend(block_in_place(|| codec::read(owner, &bytes, 1))?);
    }
    block_in_place(|| {
        let known = master.know(owner)?;
        // One opaque answer, whatever it is that does not open.
        let failed = |_| {
            let what = format!("an upload of {} does not open", row.manifest.owner);
            Refusal::new(Cause::Data, what)
        };
        let seeds = open::seeds(master, &known, &ciphertexts).map_err(failed)?;
        let expand =
            |(index, seed): (u32, dyad_mpc::prg::Seed)| seed.share(values(row, places, index));
        Ok((0..).zip(seeds).flat_map(expand).collect())
    })
}

/// Opens a packed chunk: the owner's part, which C0 has, and C1's blinded one.
pub(crate) async fn packed(
    house: &House,
    master: &MasterKey,
    case: &Case,
    row: &UploadRow,
    index: u32,
    blinded: &[u8],
) -> Result<Vec<u64>, Refusal> {
    if row.manifest.mode != Mode::Packed || index >= row.manifest.chunks() {
        return refuse(Cause::Message, "this is no chunk of a packed upload");
    }
    let places = places(case, row)?;
    let owner = &case.study.keys[&row.manifest.owner];
    let mine = house.opened_chunk(row, index).await?;
    block_in_place(|| {
        let value_bits = case.study.study.draft.value_bits;
        let layout = layout(&house.params, value_bits)?;
        let count = values(row, &places, index);
        let ciphertexts = count.div_ceil(layout.slots());
        let m_0 = codec::read(owner, &mine, ciphertexts)?;
        let blinded = codec::read(owner, blinded, ciphertexts)?;
        let known = master.know(owner)?;
        let opened = open::open(master, &known, &layout, value_bits, [&m_0, &blinded], count);
        opened.map_err(|_| {
            let what = format!("an upload of {} does not open", row.manifest.owner);
            Refusal::new(Cause::Data, what)
        })
    })
}
