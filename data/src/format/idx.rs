//! IDX, the format of MNIST: two zero bytes, the kind of number, the number of dimensions, each
//! dimension as 32 bits, then the numbers, the last dimension running fastest; everything
//! big-endian. A record is everything under one index of the first dimension.

use super::{ReadOptions, numbered, within};
use crate::source::Input;
use crate::table::block::{Block, DenseBlock, NumberKind};
use crate::{Format, FormatFault, Limits, Result, Table};
use std::path::Path;

/// More than images in colour over time need.
const MOST_DIMENSIONS: u8 = 8;

pub(crate) fn read(mut input: Input<'_>, options: &ReadOptions) -> Result<Table> {
    let [zero, also_zero, kind, dimensions] = input.array()?;
    let kind = match (zero, also_zero, kind) {
        (0, 0, 0x08) => NumberKind::U8,
        (0, 0, 0x09) => NumberKind::I8,
        (0, 0, 0x0b) => NumberKind::I16,
        (0, 0, 0x0c) => NumberKind::I32,
        (0, 0, 0x0d) => NumberKind::F32,
        (0, 0, 0x0e) => NumberKind::F64,
        _ => {
            let found = hex(&[zero, also_zero, kind, dimensions]);
            let expected = "00 00 and one of 08, 09, 0b, 0c, 0d, 0e";
            return Err(input.fault(FormatFault::Magic { expected, found }));
        }
    };
    if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
        let message = format!("{dimensions} dimensions where 1 to {MOST_DIMENSIONS} are read");
        return Err(input.fault(FormatFault::Header(message)));
    }
    let rows = u64::from(u32::from_be_bytes(input.array()?));
    let mut columns = 1u64;
    for _ in 1..dimensions {
        columns = columns.saturating_mul(u32::from_be_bytes(input.array()?).into());
    }
    within(&input, &options.limits, rows, columns)?;
    let file = input.file().clone();
    let bytes = input.body((rows * columns).saturating_mul(kind.bytes() as u64))?;
    let (row_step, column_step) = (columns as usize, 1);
    let block = DenseBlock { bytes, kind, big_endian: true, row_step, column_step, absent: None };
    let names = numbered(options, columns as usize, dimensions == 1);
    Ok(Table::new(&file, names, rows as usize, Block::Dense(block)))
}

impl Table {
    /// Images and their labels from two IDX files, as MNIST has them: columns `pixel0`, `pixel1`,
    /// ... and `label`.
    pub fn read_idx(
        images: impl AsRef<Path>,
        labels: impl AsRef<Path>,
        limits: &Limits,
    ) -> Result<Self> {
        let read = |path: &Path, name: &str| {
            let options = ReadOptions {
                format: Some(Format::Idx),
                limits: *limits,
                column_name: Some(name.to_owned()),
                ..ReadOptions::default()
            };
            Self::read(path, &options)
        };
        read(images.as_ref(), "pixel")?.beside(&read(labels.as_ref(), "label")?)
    }
}

/// Bytes as they are shown to people.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
