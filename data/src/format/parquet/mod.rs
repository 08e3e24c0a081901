//! Parquet, as far as tables of numbers and text need it: flat columns, pages plain or by
//! dictionary, uncompressed or Snappy.
//!
//! The parsing is crate parquet's. It believes some of what a file declares, so [`footer`] looks at
//! the metadata and [`pages`] at every page's header first; and what makes it panic all the same
//! becomes an error here.

mod column;
mod footer;
mod pages;
mod thrift;

use super::csv::check_names;
use super::{ReadOptions, within};
use crate::report::Collector;
use crate::source::Input;
use crate::{FormatFault, Limits, Result, Table};
use ::parquet::basic::{ConvertedType, LogicalType, Type};
use ::parquet::file::metadata::ParquetMetaData;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::schema::types::ColumnDescriptor;
use bytes::Bytes;
use column::Builder;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

const MAGIC: &[u8] = b"PAR1";

pub(crate) fn read(mut input: Input<'_>, options: &ReadOptions) -> Result<Table> {
    let bytes = Bytes::from(input.rest()?);
    if !bytes.starts_with(MAGIC) {
        let found = super::idx::hex(&bytes[..bytes.len().min(MAGIC.len())]);
        return Err(input.fault(FormatFault::Magic { expected: "50 41 52 31", found }));
    }
    footer::check(&bytes).map_err(|fault| input.fault(fault))?;
    let read = AssertUnwindSafe(|| parse(&bytes, &input, &options.limits));
    catch_unwind(read).unwrap_or_else(|_| {
        let message = "the parser stopped at something it does not expect".to_owned();
        Err(input.fault(FormatFault::Reader(message)))
    })
}

fn parse(bytes: &Bytes, input: &Input<'_>, limits: &Limits) -> Result<Table> {
    let failed = |error: ::parquet::errors::ParquetError| {
        input.fault(FormatFault::Reader(error.to_string()))
    };
    let reader = SerializedFileReader::new(bytes.clone()).map_err(failed)?;
    let about = reader.metadata();
    let rows = rows(about, input)?;
    let columns = about.file_metadata().schema_descr().columns();
    within(input, limits, rows as u64, columns.len() as u64)?;
    let names: Vec<String> = columns.iter().map(|column| column.name().to_owned()).collect();
    check_names(&names, input)?;
    let mut builders = Vec::with_capacity(columns.len());
    for column in columns {
        builders.push(builder(column, input, limits).map_err(|fault| input.fault(fault))?);
    }
    pages::check(bytes, about, limits.bytes).map_err(|fault| match fault {
        pages::Refusal::Limit => input.limit("bytes unpacked", limits.bytes),
        pages::Refusal::Fault(fault) => input.fault(fault),
    })?;
    let mut bad = Collector::new(limits.bad_cells);
    let mut blocks = Vec::with_capacity(names.len());
    let mut room = limits.bytes;
    for (at, (name, mut builder)) in names.into_iter().zip(builders).enumerate() {
        builder.room = room;
        for group in 0..about.num_row_groups() {
            let group = reader.get_row_group(group).map_err(failed)?;
            let cells = group.get_column_reader(at).map_err(failed)?;
            let rows = group.metadata().num_rows() as usize;
            builder.fill(cells, rows).map_err(failed)?;
            if builder.full {
                return Err(input.limit("bytes of text", limits.bytes.min(u32::MAX.into())));
            }
        }
        room = builder.room;
        if builder.rows() != rows {
            let fault = FormatFault::Header(format!(
                "column `{name}` holds {} cells of {rows} rows",
                builder.rows()
            ));
            return Err(input.fault(fault));
        }
        let (block, column_bad) = builder.finish();
        bad.merge(column_bad);
        blocks.push((name, block));
    }
    bad.finish()?;
    Ok(Table::of_columns(input.file(), rows, blocks))
}

/// The number of records, which the file and its parts must agree on.
fn rows(about: &ParquetMetaData, input: &Input<'_>) -> Result<usize> {
    let declared = about.file_metadata().num_rows();
    let counted = about
        .row_groups()
        .iter()
        .try_fold(0i64, |sum, group| sum.checked_add(group.num_rows()))
        .filter(|_| about.row_groups().iter().all(|group| group.num_rows() >= 0));
    match usize::try_from(declared) {
        Ok(rows) if counted == Some(declared) => Ok(rows),
        _ => {
            let message = "the row groups do not add up to the rows declared".to_owned();
            Err(input.fault(FormatFault::Header(message)))
        }
    }
}

/// Where a column's cells go, if it is of a kind that is read.
fn builder(
    column: &ColumnDescriptor,
    input: &Input<'_>,
    limits: &Limits,
) -> Result<Builder, FormatFault> {
    let refused = |what: &str| {
        let name = column.path().string();
        let message = format!("column `{name}` holds {what}; write it as numbers or text");
        Err(FormatFault::Unsupported(message))
    };
    if column.max_rep_level() > 0 || column.path().parts().len() != 1 || column.max_def_level() > 1
    {
        return refused("lists or records");
    }
    let whole = match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Integer(kind)), _) => Some(kind.is_signed),
        (
            None,
            ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64,
        ) => Some(false),
        (
            None,
            ConvertedType::INT_8
            | ConvertedType::INT_16
            | ConvertedType::INT_32
            | ConvertedType::INT_64,
        ) => Some(true),
        (Some(LogicalType::String | LogicalType::Enum | LogicalType::Json), _)
        | (
            None,
            ConvertedType::NONE | ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON,
        ) => None,
        (logical, converted) => {
            let kind = logical.map_or(format!("{converted:?}"), |logical| format!("{logical:?}"));
            return refused(&format!("the type {kind}"));
        }
    };
    let absent = column.max_def_level() == 1;
    match (column.physical_type(), whole) {
        (Type::INT96, _) => refused("time stamps"),
        (Type::FIXED_LEN_BYTE_ARRAY, _) => refused("byte strings of fixed length"),
        (kind, whole) => {
            let of = (Arc::clone(input.file()), column.name().into());
            Ok(Builder::new((kind, whole == Some(false), absent), of, limits.bad_cells))
        }
    }
}
