//! C1's shares of a job's data.

use crate::blind::blind;
use crate::peer::C0;
use dyad_bcp::packing::SlotLayout;
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
    let layout = layout(&house.params, case.study.study.draft.value_bits)?;
    let mut blinded = Vec::new();
    for row in rows.iter().filter(|row| row.manifest.mode == Mode::Packed) {
        let places = row.manifest.places(&case.study.study);
        let places = places.map_err(|what| Refusal::new(Cause::Data, what))?;
        blinded.push((row.manifest.rows, places.width() as u64));
    }
    enough(&layout, &blinded)
}

/// For so many rows of so many values each?
fn enough(layout: &SlotLayout, blinded: &[(u64, u64)]) -> Result<(), Refusal> {
    let values = blinded.iter().map(|(rows, width)| rows.saturating_mul(*width));
    let values = values.fold(0, u64::saturating_add);
    // Two blinds hide each value: the owner's and C1's.
    if layout.allows(values.saturating_mul(2)) {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dyad_bcp::PublicParams;
    use dyad_protos::limits::ROWS;

    /// 2^-80 for each of two blinds of a value, 2^-40 for a job: 2^39 values and no more.
    #[test]
    fn blinds_bound_what_is_packed() {
        let digits: String = include_str!("../../kgc/demo/params.hex").split_whitespace().collect();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
        let layout = layout(&PublicParams::from_bytes(&bytes).unwrap(), 17).unwrap();
        let half = 1 << 38;
        for fits in [&[][..], &[(1, 1)], &[(1 << 28, 1 << 11)], &[(half, 1), (1, half)]] {
            assert!(enough(&layout, fits).is_ok(), "{fits:?}");
        }
        // Together, at the limits of an upload, and beyond what 64 bits count.
        let most = [(ROWS, 1 << 20)];
        for beyond in [&[(half, 2), (1, 1)][..], &most, &[(u64::MAX, 3), (u64::MAX, 1)]] {
            let refused = enough(&layout, beyond).unwrap_err();
            assert_eq!(refused.cause, Cause::Limit);
            assert!(refused.what.contains("upload them sealed"), "{}", refused.what);
        }
    }
}
