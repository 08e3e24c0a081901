//! C1's shares of a job's data.

use crate::blind::blind;
use crate::peer::C0;
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
use dyad_protos::wire::peer::v1::TransformPart;
use tokio::sync::mpsc;
use tokio::task::block_in_place;
use tokio_stream::wrappers::ReceiverStream;

/// Puts C1's shares of all uploads together; has C0 open what is packed, blinded.
pub(crate) async fn gather(
    house: &House,
    c0: &C0,
    attempt: [u8; 32],
    case: &Case,
    training: &Signed,
    (rows, aligned): &(Vec<UploadRow>, Alignment),
) -> Result<Vec<Input>, Refusal> {
    blinds_suffice(house, case, rows)?;
    let mut gather = training.gather();
    for (at, row) in rows.iter().enumerate() {
        let places = row.manifest.places(&case.study.study);
        let places = places.map_err(|what| Refusal::new(Cause::Data, what))?;
        let shares = match row.manifest.mode {
            Mode::Sealed => sealed(house, row, &places).await?,
            Mode::Packed => packed(house, c0, attempt, case, row, &places).await?,
        };
        block_in_place(|| place(&mut gather, &places, aligned, at, &shares));
    }
    Ok(gather.inputs())
}

/// Statistical distances add up over all values that are blinded.
fn blinds_suffice(house: &House, case: &Case, rows: &[UploadRow]) -> Result<(), Refusal> {
    let mut blinded = 0_u64;
    for row in rows.iter().filter(|row| row.manifest.mode == Mode::Packed) {
        let places = row.manifest.places(&case.study.study);
        let places = places.map_err(|what| Refusal::new(Cause::Data, what))?;
        blinded = blinded.saturating_add(row.manifest.rows.saturating_mul(places.width() as u64));
    }
    let layout = layout(&house.params, case.study.study.draft.value_bits)?;
    // Two blinds hide each value: the owner's and C1's.
    if layout.allows(blinded.saturating_mul(2)) {
        return Ok(());
    }
    refuse(Cause::Limit, "too many packed values for their blinds: upload them sealed")
}

/// They are C1's share as they came.
async fn sealed(house: &House, row: &UploadRow, places: &Places) -> Result<Vec<u64>, Refusal> {
    let mut shares = Vec::new();
    for index in 0..row.manifest.chunks() {
        let bytes = house.opened_chunk(row, index).await?;
        let (words, rest) = bytes.as_chunks();
        if !rest.is_empty() || words.len() != values(row, places, index) {
            let what = format!("a chunk that {} uploaded has another size", row.manifest.owner);
            return refuse(Cause::Data, what);
        }
        shares.extend(words.iter().map(|word| u64::from_le_bytes(*word)));
    }
    Ok(shares)
}

/// Blinds each chunk, sends it to C0, and keeps what takes the blinds off.
async fn packed(
    house: &House,
    c0: &C0,
    attempt: [u8; 32],
    case: &Case,
    row: &UploadRow,
    places: &Places,
) -> Result<Vec<u64>, Refusal> {
    let layout = layout(&house.params, case.study.study.draft.value_bits)?;
    let owner = &case.study.keys[&row.manifest.owner];
    let (sender, receiver) = mpsc::channel(2);
    let blinding = async {
        let mut shares = Vec::new();
        for chunk in 0..row.manifest.chunks() {
            let bytes = house.opened_chunk(row, chunk).await?;
            let count = values(row, places, chunk);
            let blinded = block_in_place(|| {
                let m_1 = codec::read(owner, &bytes, count.div_ceil(layout.slots()))?;
                Ok::<_, Refusal>(blind(owner, &layout, &m_1, count)?)
            })?;
            shares.extend(blinded.shares);
            let part = TransformPart {
                attempt: attempt.to_vec().into(),
                upload: row.manifest.digest().to_vec().into(),
                chunk,
                ciphertexts: codec::write(&blinded.ciphertexts).into(),
            };
            // C0 refused: it says why itself.
            if sender.send(part).await.is_err() {
                break;
            }
        }
        drop(sender);
        Ok::<_, Refusal>(shares)
    };
    let (shares, sent) = tokio::join!(blinding, c0.transform(ReceiverStream::new(receiver)));
    sent?;
    shares
}
