//! NPY, the format of one NumPy array, versions 1 to 3: magic, version, length of the header, the
//! header (a Python dict), the numbers. One dimension is one column; two are rows and columns, in C
//! or Fortran order.

mod header;

use super::idx::hex;
use super::{ReadOptions, numbered, within};
use crate::report::{BadCell, Collector, Reason};
use crate::source::Input;
use crate::table::block::{Block, DenseBlock, NumberKind};
use crate::{FormatFault, Result, Table};
use header::Header;
use std::sync::Arc;

const MAGIC: [u8; 6] = *b"\x93NUMPY";
/// NumPy itself refuses headers of more than 10000 bytes.
const LONGEST_HEADER: u32 = 10_000;

pub(crate) fn read(mut input: Input<'_>, options: &ReadOptions) -> Result<Table> {
    let magic: [u8; 6] = input.array()?;
    if magic != MAGIC {
        let expected = "93 4e 55 4d 50 59";
        return Err(input.fault(FormatFault::Magic { expected, found: hex(&magic) }));
    }
    let length = match input.array()? {
        [1, 0] => u32::from(u16::from_le_bytes(input.array()?)),
        [2 | 3, 0] => u32::from_le_bytes(input.array()?),
        [major, minor] => {
            let message = format!("version {major}.{minor} of the format; save it as 1.0 to 3.0");
            return Err(input.fault(FormatFault::Unsupported(message)));
        }
    };
    if length > LONGEST_HEADER {
        let message = format!("{length} bytes long where at most {LONGEST_HEADER} are read");
        return Err(input.fault(FormatFault::Header(message)));
    }
    let text = input.vec(length.into())?;
    let header = Header::parse(&text).map_err(|fault| input.fault(fault))?;
    within(&input, &options.limits, header.rows, header.columns)?;
    let file = Arc::clone(input.file());
    let count = header.rows * header.columns;
    let bytes = input.body(count.saturating_mul(header.kind.bytes() as u64))?;
    let (rows, columns) = (header.rows as usize, header.columns as usize);
    let (row_step, column_step) = if header.fortran { (1, rows) } else { (columns, 1) };
    let Header { kind, big_endian, .. } = header;
    let block = DenseBlock { bytes, kind, big_endian, row_step, column_step, absent: None };
    let names = numbered(options, columns, header.one_dimension);
    if kind == NumberKind::Bool {
        check_bools(&block, &file, rows, &names, options.limits.bad_cells)?;
    }
    Ok(Table::new(&file, names, rows, Block::Dense(block)))
}

fn check_bools(
    block: &DenseBlock,
    file: &Arc<str>,
    rows: usize,
    names: &[String],
    cap: usize,
) -> Result<()> {
    let mut bad = Collector::new(cap);
    for row in 0..rows {
        for (column, name) in names.iter().enumerate() {
            if block.byte(row, column) > 1 {
                bad.push(|| BadCell {
                    file: Arc::clone(file),
                    row: row + 1,
                    line: None,
                    column: Some(name.as_str().into()),
                    reason: Reason::NotABool,
                });
            }
        }
    }
    Ok(bad.finish()?)
}
