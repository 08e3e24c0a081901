//! CSV after RFC 4180: UTF-8, a header in the file or declared, quotes doubled, line ends LF or
//! CRLF. A byte order mark is passed over.

mod guard;

use super::{CsvOptions, Header, ReadOptions, within};
use crate::names::misleads;
use crate::report::{BadCell, Collector, Reason};
use crate::source::Input;
use crate::table::block::{Block, TextBlock};
use crate::{Error, FormatFault, Result, Table};
use ::csv::{ByteRecord, Reader, ReaderBuilder};
use guard::Guard;
use std::collections::HashSet;
use std::io::{Cursor, Read};
use std::sync::Arc;

const BUFFER: usize = 1 << 16;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(crate) fn read(mut input: Input<'_>, options: &ReadOptions) -> Result<Table> {
    let csv = &options.csv;
    if !csv.separator.is_ascii() || matches!(csv.separator, b'"' | b'\r' | b'\n' | 0) {
        return Err(Error::Misuse(
            "the separator of CSV is one ASCII character other than quote, line end and NUL",
        ));
    }
    let text = marks_removed(&mut input)?;
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(csv.separator)
        .buffer_capacity(BUFFER)
        .from_reader(Guard::new(text, csv.separator, options.limits.columns));
    let mut record = ByteRecord::new();
    let header = match &csv.header {
        Header::Declared(names) => names.clone(),
        Header::FirstLine => {
            if !next(&mut reader, &mut record, &input)? {
                return Err(input.fault(FormatFault::NoRows));
            }
            names_of(&record, csv, &input, options.limits.columns)?
        }
    };
    check_names(&header, &input)?;
    within(&input, &options.limits, 1, header.len() as u64)?;
    let table = records(&mut reader, &input, header, options)?;
    if let (Some(line), 1) = (reader.get_ref().blank(), table.width()) {
        let what = "an empty line at the end; remove it, or write an empty cell as \"\"";
        return Err(input.fault(guard::text(line, 1, what)));
    }
    Ok(table)
}

fn records<R: Read>(
    reader: &mut Reader<Guard<R>>,
    input: &Input<'_>,
    header: Vec<String>,
    options: &ReadOptions,
) -> Result<Table> {
    let limits = &options.limits;
    let mut bad = Collector::new(limits.bad_cells);
    let mut block = TextBlock::new(header.len());
    let mut record = ByteRecord::new();
    let mut rows = 0;
    while next(reader, &mut record, input)? {
        rows += 1;
        within(input, limits, rows as u64, header.len() as u64)?;
        let line = record.position().map_or(0, |at| u32::try_from(at.line()).unwrap_or(u32::MAX));
        let bad_cell = |column: Option<&str>, reason| BadCell {
            file: Arc::clone(input.file()),
            row: rows,
            line: Some(line),
            column: column.map(Arc::from),
            reason,
        };
        if record.len() != header.len() {
            let reason = Reason::Ragged { expected: header.len(), found: record.len() };
            bad.push(|| bad_cell(None, reason));
            continue;
        }
        block.push_line(line);
        for (bytes, name) in record.iter().zip(&header) {
            let text = cell(bytes, &options.csv).unwrap_or_else(|reason| {
                bad.push(|| bad_cell(Some(name), reason));
                ""
            });
            if !block.push(text) {
                return Err(input.limit("bytes of text", u32::MAX.into()));
            }
        }
    }
    bad.finish()?;
    if rows == 0 {
        return Err(input.fault(FormatFault::NoRows));
    }
    block.shrink();
    Ok(Table::new(input.file(), header, rows, Block::Text(block)))
}

/// The text without its byte order mark. Marks of other encodings are refused by name.
fn marks_removed<'a>(input: &mut Input<'a>) -> Result<Box<dyn Read + 'a>> {
    let mut reader = input.take_reader();
    let mut start = Vec::new();
    let read = reader.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut start);
    read.map_err(|error| input.blame(error))?;
    if start == BYTE_ORDER_MARK {
        return Ok(reader);
    }
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        let message = "it is in UTF-16; save it as UTF-8".to_owned();
        return Err(input.fault(FormatFault::Unsupported(message)));
    }
    Ok(Box::new(Cursor::new(start).chain(reader)))
}

fn next<R: Read>(
    reader: &mut Reader<Guard<R>>,
    record: &mut ByteRecord,
    input: &Input<'_>,
) -> Result<bool> {
    reader.read_byte_record(record).map_err(|error| match error.into_kind() {
        ::csv::ErrorKind::Io(error) => input.blame(error),
        other => input.fault(FormatFault::Reader(format!("{other:?}"))),
    })
}

/// A cell's text.
fn cell<'a>(bytes: &'a [u8], options: &CsvOptions) -> Result<&'a str, Reason> {
    let text = std::str::from_utf8(bytes).map_err(|_| Reason::NotUtf8)?;
    if bytes.contains(&0) {
        return Err(Reason::Nul);
    }
    Ok(if options.trim { text.trim_matches([' ', '\t']) } else { text })
}

fn names_of(
    record: &ByteRecord,
    options: &CsvOptions,
    input: &Input<'_>,
    most: u32,
) -> Result<Vec<String>> {
    if record.len() > most as usize {
        return Err(input.limit("columns", most.into()));
    }
    let name = |(i, bytes)| {
        let refused = |_| {
            let what = "is not UTF-8 text";
            input.fault(FormatFault::ColumnName { number: i + 1, what })
        };
        cell(bytes, options).map(str::to_owned).map_err(refused)
    };
    record.iter().enumerate().map(name).collect()
}

/// Names must tell columns apart, and must not upset a terminal when they are shown.
pub(crate) fn check_names(names: &[String], input: &Input<'_>) -> Result<()> {
    let mut seen = HashSet::new();
    for (i, name) in names.iter().enumerate() {
        let what = match name {
            _ if name.is_empty() => "is empty",
            _ if misleads(name) => "has control characters",
            _ if !seen.insert(name) => "occurs twice",
            _ => continue,
        };
        return Err(input.fault(FormatFault::ColumnName { number: i + 1, what }));
    }
    Ok(())
}
