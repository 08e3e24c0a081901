//! A look at the header of every page before it is unpacked: sizes that the bytes cannot have,
//! dictionaries longer than their page and encodings whose parser trusts lengths are refused. The
//! headers are in Thrift's compact encoding.

use super::thrift::{Field, Thrift};
use crate::FormatFault;
use ::parquet::basic::Compression;
use ::parquet::basic::Type;
use ::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};

/// Snappy makes at most 64 bytes of three, with a few for its own header.
const MOST_PER_SNAPPY_BYTE: u64 = 22;
const SNAPPY_HEADER: u64 = 64;

/// PLAIN, PLAIN_DICTIONARY, RLE, RLE_DICTIONARY.
const ENCODINGS: [i64; 4] = [0, 2, 3, 8];
const DATA_PAGE: i64 = 0;
const DICTIONARY_PAGE: i64 = 2;
const DATA_PAGE_V2: i64 = 3;

pub(super) enum Refusal {
    Fault(FormatFault),
    Limit,
}

/// Looks at every page of every column; at most `limit` bytes may come out of them.
pub(super) fn check(bytes: &[u8], about: &ParquetMetaData, limit: u64) -> Result<(), Refusal> {
    let mut unpacked = 0u64;
    for chunk in about.row_groups().iter().flat_map(RowGroupMetaData::columns) {
        let mut pages = Thrift::new(chunk_bytes(bytes, chunk).map_err(Refusal::Fault)?);
        while !pages.is_empty() {
            let header = page_header(&mut pages).ok_or_else(|| damaged("a page header"))?;
            unpacked = unpacked.saturating_add(header.checked(chunk).map_err(Refusal::Fault)?);
            if unpacked > limit {
                return Err(Refusal::Limit);
            }
            pages.skip(header.packed as u64).ok_or_else(|| damaged("a page's length"))?;
        }
    }
    Ok(())
}

fn damaged(what: &str) -> Refusal {
    Refusal::Fault(FormatFault::Header(format!("{what} is not as it should be")))
}

/// The bytes of a column in a row group.
fn chunk_bytes<'a>(bytes: &'a [u8], chunk: &ColumnChunkMetaData) -> Result<&'a [u8], FormatFault> {
    match chunk.compression() {
        Compression::UNCOMPRESSED | Compression::SNAPPY => {}
        other => {
            return Err(FormatFault::Unsupported(format!(
                "column `{}` is compressed by {other:?}; write the file with Snappy or none",
                chunk.column_path().string()
            )));
        }
    }
    let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    let range = usize::try_from(start).ok().zip(usize::try_from(chunk.compressed_size()).ok());
    range
        .and_then(|(start, length)| bytes.get(start..start.checked_add(length)?))
        .filter(|_| chunk.num_values() >= 0)
        .ok_or_else(|| {
            let column = chunk.column_path().string();
            FormatFault::Header(format!("column `{column}` lies outside the file"))
        })
}

/// What a page says of itself; -1 where it says nothing.
struct PageHeader {
    kind: i64,
    unpacked: i64,
    packed: i64,
    values: i64,
    encoding: i64,
}

impl PageHeader {
    /// The bytes that the page takes unpacked, if that can be.
    fn checked(&self, chunk: &ColumnChunkMetaData) -> Result<u64, FormatFault> {
        let fault = |what: &str| {
            let column = chunk.column_path().string();
            Err(FormatFault::Header(format!("a page of column `{column}` {what}")))
        };
        let (Ok(packed), Ok(unpacked), Ok(values)) =
            (u64::try_from(self.packed), u64::try_from(self.unpacked), u64::try_from(self.values))
        else {
            return fault("does not say how long it is");
        };
        let most = match chunk.compression() {
            Compression::SNAPPY => {
                packed.saturating_mul(MOST_PER_SNAPPY_BYTE).saturating_add(SNAPPY_HEADER)
            }
            _ => packed,
        };
        if unpacked > most {
            return fault("declares more bytes than its own can hold");
        }
        if !ENCODINGS.contains(&self.encoding) {
            return Err(FormatFault::Unsupported(format!(
                "column `{}` uses encoding number {} of Parquet; write it plain or by dictionary",
                chunk.column_path().string(),
                self.encoding
            )));
        }
        let least = match chunk.column_type() {
            Type::INT64 | Type::DOUBLE => 8,
            Type::BOOLEAN => 1,
            _ => 4,
        };
        if self.kind == DICTIONARY_PAGE && values.saturating_mul(least) > unpacked {
            return fault("declares more dictionary entries than it holds");
        }
        Ok(unpacked)
    }
}

/// Reads to the end of a page header.
fn page_header(thrift: &mut Thrift<'_>) -> Option<PageHeader> {
    let (mut kind, mut unpacked, mut packed) = (-1, -1, -1);
    // Number of values and encoding, as the headers of a data page, a dictionary and a data page of
    // version 2 have them.
    let mut inner = [(-1, -1); 3];
    thrift.fields(0, &mut |thrift, id, field| {
        let (inner, encoding_at) = match (id, field) {
            (1, Field::Number) => return thrift.number_to(&mut kind),
            (2, Field::Number) => return thrift.number_to(&mut unpacked),
            (3, Field::Number) => return thrift.number_to(&mut packed),
            (5, Field::Struct) => (&mut inner[0], 2),
            (7, Field::Struct) => (&mut inner[1], 2),
            (8, Field::Struct) => (&mut inner[2], 4),
            (_, field) => return thrift.pass(field, 1),
        };
        thrift.fields(1, &mut |thrift, id, field| match (id, field) {
            (1, Field::Number) => thrift.number_to(&mut inner.0),
            (id, Field::Number) if id == encoding_at => thrift.number_to(&mut inner.1),
            (_, field) => thrift.pass(field, 2),
        })
    })?;
    let (values, encoding) = match kind {
        DATA_PAGE => inner[0],
        DICTIONARY_PAGE => inner[1],
        DATA_PAGE_V2 => inner[2],
        _ => return None,
    };
    Some(PageHeader { kind, unpacked, packed, values, encoding })
}
