use super::{cells, fault, read, texts};
use dyad_data::{
    Cell, CsvOptions, Error, FormatFault, Header, Limits, ReadOptions, Reason, Report, Table,
};
use proptest::prelude::*;

fn with(bytes: &[u8], csv: CsvOptions) -> Result<Table, Error> {
    Table::from_bytes("a.csv", bytes, &ReadOptions { csv, ..ReadOptions::default() })
}

fn report(bytes: &[u8]) -> Report {
    match read("a.csv", bytes) {
        Err(Error::Cells(report)) => report,
        other => panic!("{other:?}"),
    }
}

fn text_fault(bytes: &str) -> (u64, u64, &'static str) {
    match fault("a.csv", bytes.as_bytes()) {
        FormatFault::Text { line, cell, what } => (line, cell, what),
        other => panic!("{other:?}"),
    }
}

#[test]
fn lawful_text() {
    let expected = [["1", "b c"], ["", "2"]];
    for text in [
        "x,y\n1,b c\n,2\n",
        "x,y\n1,b c\n,2",
        "x,y\r\n1,b c\r\n,2\r\n",
        "\u{feff}x,y\n1,b c\n,2\n",
        "\u{feff}\"x\",\"y\"\n\"1\",\"b c\"\n\"\",\"2\"\n",
        "x,y\n1,b c\n,2\n\n\r\n",
    ] {
        let table = read("a.csv", text.as_bytes()).unwrap();
        assert_eq!(table.names().collect::<Vec<_>>(), ["x", "y"], "{text:?}");
        assert_eq!(texts(&table), expected, "{text:?}");
        assert_eq!(cells(&table)[1][0], Cell::Text(""));
    }
}

#[test]
fn quotes_hold_separators_quotes_and_lines() {
    let table =
        read("a.csv", b"x,y\n\"a,b\",\"say \"\"no\"\"\"\n\"two\nlines\",\"\"\nz,1\n").unwrap();
    assert_eq!(texts(&table), [["a,b", "say \"no\""], ["two\nlines", ""], ["z", "1"]]);
}

#[test]
fn options() {
    let table = with(b"x;y\n1,5;2\n", CsvOptions { separator: b';', ..CsvOptions::default() });
    assert_eq!(texts(&table.unwrap()), [["1,5", "2"]]);

    let header = Header::Declared(vec!["p".into(), "q".into()]);
    let table = with(b"x,y\n1,2\n", CsvOptions { header, ..CsvOptions::default() }).unwrap();
    assert_eq!(table.names().collect::<Vec<_>>(), ["p", "q"]);
    assert_eq!(texts(&table), [["x", "y"], ["1", "2"]]);

    assert_eq!(texts(&read("a.csv", b"x, y\n1, 2\t\n").unwrap()), [["1", " 2\t"]]);
    let table =
        with(b"x, y\n1, 2\t\n", CsvOptions { trim: true, ..CsvOptions::default() }).unwrap();
    assert_eq!(texts(&table), [["1", "2"]]);
    assert_eq!(table.find("y"), Some(1));

    for separator in [b'"', b'\n', b'\r', 0, 0xe4] {
        let csv = CsvOptions { separator, ..CsvOptions::default() };
        assert!(matches!(with(b"x,y\n1,2\n", csv), Err(Error::Misuse(_))), "{separator}");
    }
}

#[test]
fn ragged_rows_are_all_reported_with_their_lines() {
    let report = report(b"x,y\n1,2\n\"a\nb\",3\n4\n5,6\n7,8,9\n");
    let places: Vec<_> = report.cells().iter().map(|cell| (cell.row, cell.line)).collect();
    assert_eq!(places, [(3, Some(5)), (5, Some(7))]);
    assert_eq!(report.cells()[0].reason, Reason::Ragged { expected: 2, found: 1 });
    assert_eq!(report.cells()[1].reason, Reason::Ragged { expected: 2, found: 3 });
    assert_eq!(
        report.to_string().lines().nth(1),
        Some(
            "  a.csv, row 3 (line 5): the row has 1 cells where the header has 2; look for a \
             missing or stray separator or quote"
        )
    );
}

#[test]
fn bad_bytes_are_reported_cell_by_cell() {
    let report = report(b"x,y\n1,\xff\n\0,2\n3,4\n");
    let found: Vec<_> = report.cells().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "a.csv, row 1 (line 2), column `y`: not UTF-8; save the file as UTF-8",
            "a.csv, row 2 (line 3), column `x`: holds a NUL character; the file is damaged or no \
             text file",
        ]
    );
}

#[test]
fn reports_list_as_many_as_asked_for_and_count_the_rest() {
    let mut text = String::from("x,y\n");
    text.extend(std::iter::repeat_n("1\n", 100));
    let limits = Limits { bad_cells: 3, ..Limits::default() };
    let options = ReadOptions { limits, ..ReadOptions::default() };
    let Err(Error::Cells(report)) = Table::from_bytes("a.csv", text.as_bytes(), &options) else {
        panic!("not refused");
    };
    assert_eq!((report.cells().len(), report.total()), (3, 100));
    let shown = report.to_string();
    assert!(shown.starts_with("100 bad cells\n  a.csv, row 1 (line 2)"), "{shown}");
    assert!(shown.ends_with("\n  and 97 more"), "{shown}");
}

#[test]
fn quoting_is_strict() {
    let (line, cell, what) = text_fault("x,y\n1,2\n3,\"cut off\n4,5\n");
    assert_eq!((line, cell), (3, 2));
    assert!(what.contains("ends inside the quotes"), "{what}");
    assert_eq!(text_fault("x,y\n1,5\" pipe\n").0, 2);
    assert_eq!(text_fault("x,y\n\"1\"0,2\n").0, 2);
    assert_eq!(text_fault("x,y\n\"1\" ,2\n").1, 1);
    assert_eq!(text_fault("x,y\n \"1\",2\n").1, 1);
    assert_eq!(text_fault("x,y\n\"\"\"").0, 2);
}

#[test]
fn lines_are_strict() {
    assert!(text_fault("x,y\r1,2\r").2.contains("carriage return"));
    assert!(text_fault("x,y\n1,2\r").2.contains("carriage return"));
    assert_eq!(text_fault("x,y\n1,2\n\n\n3,4\n").0, 3);
    assert_eq!(text_fault("x,y\n\n1,2\n").0, 2);
    assert_eq!(text_fault("\nx,y\n1,2\n").0, 1);
    // In a file of one column an empty line could be a record.
    assert_eq!(text_fault("x\n1\n\n").0, 3);
    assert_eq!(texts(&read("a.csv", b"x\n1\n\"\"\n").unwrap()), [["1"], [""]]);
}

#[test]
fn headers_are_strict() {
    let name = |bytes: &[u8]| match fault("a.csv", bytes) {
        FormatFault::ColumnName { number, what } => (number, what),
        other => panic!("{other:?}"),
    };
    assert_eq!(name(b"x,x\n1,2\n"), (2, "occurs twice"));
    assert_eq!(name(b"x,\n1,2\n"), (2, "is empty"));
    assert_eq!(name(b"\xff,y\n1,2\n"), (1, "is not UTF-8 text"));
    assert_eq!(name(b"x,\"a\nb\"\n1,2\n"), (2, "has control characters"));
    assert_eq!(fault("a.csv", b""), FormatFault::NoRows);
    assert_eq!(fault("a.csv", b"x,y\n"), FormatFault::NoRows);
    assert!(matches!(fault("a.csv", b"\xff\xfex\0"), FormatFault::Unsupported(_)));
    assert!(matches!(fault("a.csv", b"\xfe\xff\0x"), FormatFault::Unsupported(_)));
}

#[test]
fn a_million_columns() {
    let text = vec![b','; 1_000_000];
    let refused = read("a.csv", &text).unwrap_err();
    assert!(matches!(refused, Error::Limit { what: "columns", limit: 65536, .. }), "{refused}");
    let names: Vec<String> = (0..1_000_000).map(|i| format!("c{i}")).collect();
    let wide = format!("{}\n{}0\n", names.join(","), "0,".repeat(999_999));
    let limits = Limits { columns: 1 << 20, ..Limits::default() };
    let options = ReadOptions { limits, ..ReadOptions::default() };
    let table = Table::from_bytes("a.csv", wide.as_bytes(), &options).unwrap();
    assert_eq!((table.rows(), table.width()), (1, 1_000_000));
}

#[test]
fn limits() {
    let text = b"x,y\n1,2\n3,4\n5,6\n";
    let refused = |limits: Limits| {
        let options = ReadOptions { limits, ..ReadOptions::default() };
        match Table::from_bytes("a.csv", text, &options) {
            Err(Error::Limit { what, limit, .. }) => (what, limit),
            other => panic!("{other:?}"),
        }
    };
    let all = Limits::default();
    assert_eq!(refused(Limits { rows: 2, ..all }), ("rows", 2));
    assert_eq!(refused(Limits { columns: 1, ..all }), ("columns", 1));
    assert_eq!(refused(Limits { cells: 5, ..all }), ("cells", 5));
    assert_eq!(refused(Limits { bytes: 15, ..all }), ("bytes", 15));
    let exact = Limits { rows: 3, columns: 2, cells: 6, bytes: 16, ..all };
    let options = ReadOptions { limits: exact, ..ReadOptions::default() };
    assert_eq!(Table::from_bytes("a.csv", text, &options).unwrap().rows(), 3);
}

#[test]
fn writing_and_reading_again() {
    let table = read("a.csv", b"id,\"a,b\"\n1,\"x\"\"y\"\n2,\"two\nlines\"\n3,\n").unwrap();
    let mut written = Vec::new();
    table.write_csv(&mut written, "?").unwrap();
    let again = read("b.csv", &written).unwrap();
    assert!(table.same_records(&again, "id"));
    assert_eq!(texts(&table), texts(&again));
}

proptest! {
    /// Whatever text stands in the cells, it comes back; the writer is another's.
    #[test]
    fn any_cells(
        rows in prop::collection::vec(prop::collection::vec("[a-c,\"\n\r é]{0,5}", 3), 1..8),
    ) {
        let mut writer = ::csv::WriterBuilder::new().from_writer(Vec::new());
        writer.write_record(["x", "y", "z"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let written = writer.into_inner().unwrap();
        let table = read("a.csv", &written).unwrap();
        prop_assert_eq!(texts(&table), rows);
    }
}

/// A parser keeps where each cell of a record ends: eight bytes for a comma. So a line is refused
/// while it is read, not when it is over.
#[test]
fn a_line_of_commas() {
    let limits = Limits { columns: 8, ..Limits::default() };
    let options = ReadOptions { limits, ..ReadOptions::default() };
    let line = |commas: usize| ["a,b\n1,2\n", &",".repeat(commas), "\n"].concat();
    let read = |commas| Table::from_bytes("a.csv", line(commas).as_bytes(), &options).unwrap_err();
    assert!(matches!(read(7), Error::Cells(_)), "{}", read(7));
    for commas in [8, 1_000_000] {
        assert!(matches!(read(commas), Error::Limit { what: "columns", limit: 8, .. }));
    }
}
