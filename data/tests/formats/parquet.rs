use super::{cells, fault, read, testdata};
use dyad_data::Cell::{Bool, Float, Missing, Signed, Text, Unsigned};
use dyad_data::{Error, FormatFault, Limits, ReadOptions, Table};

#[test]
fn what_arrow_writes() {
    for name in ["plain.parquet", "dictionary-snappy.parquet", "pages-v2.parquet"] {
        let table = read(name, &testdata(name)).unwrap();
        let names: Vec<_> = table.names().collect();
        assert_eq!(names, ["id", "whole", "small", "huge", "real", "short", "flag", "colour"]);
        let cells = cells(&table);
        let column = |at: usize| cells.iter().map(|row| row[at]).collect::<Vec<_>>();
        assert_eq!(column(0), ["p0", "p1", "p2", "p3", "p4", "p5"].map(Text), "{name}");
        let whole = [Signed(1), Signed(-2), Signed(3), Missing, Signed(5), Signed(6)];
        assert_eq!(column(1), whole, "{name}");
        assert_eq!(column(2), [1, 2, 3, 4, 5, 255].map(Unsigned), "{name}");
        assert_eq!(column(3), [0, 1, 2, 3, 4, u64::MAX].map(Unsigned), "{name}");
        let real = [Float(0.5), Missing, Float(-1.25), Float(1e9), Float(0.0), Float(2.0)];
        assert_eq!(column(4), real, "{name}");
        assert_eq!(column(5), [0.5, 1.5, 2.5, 3.5, 4.5, 5.5].map(Float), "{name}");
        let flag = [Bool(true), Bool(false), Missing, Bool(true), Bool(true), Bool(false)];
        assert_eq!(column(6), flag, "{name}");
        let colour = [Text("red"), Text("green"), Missing, Text("red"), Text("blue"), Text("red")];
        assert_eq!(column(7), colour, "{name}");
    }
}

#[test]
fn what_is_not_read_is_named() {
    let said = |name: &str| match fault(name, &testdata(name)) {
        FormatFault::Unsupported(message) => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        said("gzip.parquet"),
        "column `whole` is compressed by GZIP(GzipLevel(6)); write the file with Snappy or none"
    );
    assert!(said("zstd.parquet").contains("compressed by ZSTD"));
    assert!(said("delta.parquet").contains("encoding number 5"));
    assert!(said("list.parquet").contains("lists or records; write columns"));
    assert!(said("time.parquet").contains("Timestamp"));
}

#[test]
fn damaged_files() {
    assert!(matches!(fault("a.parquet", b"PAR0"), FormatFault::Magic { .. }));
    assert!(matches!(fault("a.parquet", b"PAR1"), FormatFault::Header(_)));
    assert!(matches!(fault("a.parquet", b"PAR1\xff\xff\xff\xffPAR1"), FormatFault::Header(_)));
    assert!(matches!(fault("a.parquet", b""), FormatFault::Magic { .. }));
    let whole = testdata("dictionary-snappy.parquet");
    for length in 4..whole.len() {
        assert!(read("a.parquet", &whole[..length]).is_err(), "{length}");
    }
}

#[test]
fn limits() {
    let whole = testdata("plain.parquet");
    let refused = |limits: Limits| {
        let options = ReadOptions { limits, ..ReadOptions::default() };
        match Table::from_bytes("a.parquet", &whole, &options) {
            Err(Error::Limit { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    };
    let all = Limits::default();
    assert_eq!(refused(Limits { rows: 5, ..all }), "rows");
    assert_eq!(refused(Limits { columns: 7, ..all }), "columns");
    assert_eq!(refused(Limits { cells: 47, ..all }), "cells");
    assert_eq!(refused(Limits { bytes: whole.len() as u64 - 1, ..all }), "bytes");
}

/// Page headers that claim more than their bytes: found in the file and changed there.
#[test]
fn pages_that_lie() {
    let whole = testdata("dictionary-snappy.parquet");
    // The first page: a dictionary (type 2) of six names. Fields: 15 = next field, i32; zigzag
    // numbers; 4c = dictionary's header.
    assert_eq!(&whole[4..6], [0x15, 0x04]);
    let header = whole[4..40].windows(3).position(|w| w[0] == 0x4c && w[1] == 0x15).unwrap() + 4;
    assert_eq!(whole[header + 2], 8, "four names in the first row group");
    let mut lying = whole.clone();
    lying[header + 2] = 126;
    let found = fault("a.parquet", &lying).to_string();
    assert!(found.contains("declares more dictionary entries than it holds"), "{found}");
    let mut lying = whole.clone();
    // The second field of the first page is its unpacked size; odd numbers are negative.
    assert_eq!(lying[6], 0x15);
    lying[7] = 1;
    let found = fault("a.parquet", &lying).to_string();
    assert!(found.contains("does not say how long it is"), "{found}");
    let mut lying = testdata("plain.parquet");
    assert_eq!(lying[6], 0x15);
    lying[7] += 2;
    let found = fault("a.parquet", &lying).to_string();
    assert!(found.contains("declares more bytes than its own can hold"), "{found}");
}

/// A number of Thrift's compact encoding.
fn varint(mut x: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while x > 0x7f {
        bytes.push(x as u8 | 0x80);
        x >>= 7;
    }
    bytes.push(x as u8);
    bytes
}

/// A file of one column within groups within groups: the parser would follow them until its stack
/// is used up, which nothing can catch.
#[test]
fn columns_nested_without_end() {
    for depth in [1, 100, 100_000] {
        // A group: repetition (field 3) required, name (4) "g", one child (5).
        let group = [0x35, 0, 0x18, 1, b'g', 0x15, 2, 0];
        // The column: type (1) int32, repetition, name "c".
        let column = [0x15, 2, 0x25, 0, 0x18, 1, b'c', 0];
        // Version (1), schema (2): a list of structs; rows (3); row groups (4), none.
        let mut metadata = vec![0x15, 2, 0x19, 0xfc];
        metadata.extend(varint(depth + 1));
        metadata.extend(group.repeat(depth as usize));
        metadata.extend(column);
        metadata.extend([0x16, 0, 0x19, 0x0c, 0]);
        let length = (metadata.len() as u32).to_le_bytes();
        let file = [&b"PAR1"[..], &metadata, &length, b"PAR1"].concat();
        let expected = match depth {
            1 => FormatFault::NoRows,
            _ => FormatFault::Unsupported(
                "it holds lists or records; write columns of numbers or text".into(),
            ),
        };
        assert_eq!(fault("a.parquet", &file), expected);
    }
}

/// A page of a few bytes repeats a long text of its dictionary as often as it likes.
#[test]
fn a_dictionary_that_becomes_much_text() {
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use std::sync::Arc;
    let rows = 1 << 12;
    let names = ["a", "b", "c"].map(|name| format!("required binary {name} (UTF8);")).concat();
    let schema = Arc::new(parse_message_type(&format!("message m {{ {names} }}")).unwrap());
    let mut file = Vec::new();
    let about = Arc::new(WriterProperties::default());
    let mut writer = SerializedFileWriter::new(&mut file, schema, about).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let text = vec![ByteArray::from(vec![b'a'; 1 << 10]); rows];
    while let Some(mut column) = group.next_column().unwrap() {
        column.typed::<ByteArrayType>().write_batch(&text, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    assert!(file.len() < 1 << 14, "{} bytes", file.len());
    let read = |bytes| {
        let limits = Limits { bytes, ..Limits::default() };
        let options = ReadOptions { limits, ..ReadOptions::default() };
        Table::from_bytes("a.parquet", &file, &options)
    };
    // Four MiB a column.
    assert_eq!(read(12 << 20).unwrap().rows(), rows);
    for bytes in [(12 << 20) - 1, 5 << 20, 1 << 20] {
        match read(bytes) {
            Err(Error::Limit { what, limit, .. }) => {
                assert_eq!((what, limit), ("bytes of text", bytes));
            }
            other => panic!("{other:?}"),
        }
    }
}
