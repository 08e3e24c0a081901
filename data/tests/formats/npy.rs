use super::{cells, fault, read, testdata};
use dyad_data::{Cell, Error, FormatFault, Reason};

/// 10 row + column, as the script beside the files has it.
fn assert_grid(name: &str, cell: impl Fn(u32) -> Cell<'static>) {
    let table = read(name, &testdata(name)).unwrap();
    assert_eq!(table.names().collect::<Vec<_>>(), ["x0", "x1", "x2", "x3"], "{name}");
    let expected: Vec<Vec<Cell<'_>>> =
        (0..3).map(|row| (0..4).map(|column| cell(10 * row + column)).collect()).collect();
    assert_eq!(cells(&table), expected, "{name}");
}

#[test]
fn what_numpy_writes() {
    let float = |x: u32| Cell::Float(x.into());
    let signed = |x: u32| Cell::Signed(x.into());
    let unsigned = |x: u32| Cell::Unsigned(x.into());
    for name in [
        "c-f4.npy",
        "c-f8.npy",
        "big-endian-f8.npy",
        "fortran-f8.npy",
        "version-2.npy",
        "version-3.npy",
    ] {
        assert_grid(name, float);
    }
    for name in ["c-i1.npy", "c-i2.npy", "c-i4.npy", "c-i8.npy", "big-endian-i2.npy"] {
        assert_grid(name, signed);
    }
    for name in ["c-u1.npy", "c-u2.npy", "c-u4.npy", "c-u8.npy", "fortran-u1.npy"] {
        assert_grid(name, unsigned);
    }
    assert_grid("bool.npy", |x| Cell::Bool(x % 2 == 1));
    let table = read("one-dimension.npy", &testdata("one-dimension.npy")).unwrap();
    assert_eq!(table.names().collect::<Vec<_>>(), ["x"]);
    assert_eq!(cells(&table), [[Cell::Signed(-1)], [Cell::Signed(0)], [Cell::Signed(7)]]);
}

#[test]
fn what_is_not_read_is_named() {
    let said = |name: &str| fault(name, &testdata(name)).to_string();
    assert!(said("three-dimensions.npy").contains("3 dimensions; reshape"));
    assert!(said("text.npy").contains("another kind of number, or text"));
    assert!(said("records.npy").contains("an array of records"));
}

fn npy(header: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(body);
    bytes
}

#[test]
fn headers_are_strict() {
    let lawful = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1), }";
    assert_eq!(read("a.npy", &npy(lawful, &[1, 2])).unwrap().rows(), 2);
    for header in [
        "",
        "{}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1)",
        "{'descr': '|u1', 'fortran_order': False}",
        "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (2, 1)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1), 'more': 1}",
        "{'descr': '|u1', 'fortran_order': 0, 'shape': (2, 1)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, -1)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999999,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1)} import os",
        "{'descr': '=f8', 'fortran_order': False, 'shape': (2, 1)}",
        "{'descr': '|f8', 'fortran_order': False, 'shape': (2, 1)}",
        "{'descr': u1, 'fortran_order': False, 'shape': (2, 1)}",
    ] {
        let found = fault("a.npy", &npy(header, &[1, 2]));
        assert!(matches!(found, FormatFault::Header(_)), "{header}: {found:?}");
    }
    for header in [
        "{'descr': '<c16', 'fortran_order': False, 'shape': (2, 1)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (2, 1)}",
        "{'descr': 'é1', 'fortran_order': False, 'shape': (2, 1)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': ()}",
    ] {
        let found = fault("a.npy", &npy(header, &[1, 2]));
        assert!(matches!(found, FormatFault::Unsupported(_)), "{header}: {found:?}");
    }
}

#[test]
fn damaged_files() {
    assert!(matches!(fault("a.npy", b"\x93NUMPX\x01\x00"), FormatFault::Magic { .. }));
    assert!(matches!(fault("a.npy", b"\x93NUMPY\x04\x00"), FormatFault::Unsupported(_)));
    let long = b"\x93NUMPY\x02\x00\xff\xff\xff\xff";
    assert!(matches!(fault("a.npy", long), FormatFault::Header(_)));
    let whole = testdata("c-f8.npy");
    for length in 0..whole.len() {
        assert!(
            matches!(fault("a.npy", &whole[..length]), FormatFault::Truncated { .. }),
            "{length}"
        );
    }
    let more = [&whole[..], &[0]].concat();
    assert_eq!(fault("a.npy", &more), FormatFault::Trailing(96));
    let huge = "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967295, 4294967295)}";
    assert!(matches!(read("a.npy", &npy(huge, &[])), Err(Error::Limit { .. })));
    let header = "{'descr': '<f8', 'fortran_order': True, 'shape': (1000000, 100)}";
    assert_eq!(
        fault("a.npy", &npy(header, &[0; 8])),
        FormatFault::Truncated { expected: 800_000_000, found: 8 }
    );
}

#[test]
fn a_bool_is_0_or_1() {
    let header = "{'descr': '|b1', 'fortran_order': False, 'shape': (2, 2)}";
    let Err(Error::Cells(report)) = read("a.npy", &npy(header, &[0, 1, 2, 1])) else {
        panic!("not refused");
    };
    assert_eq!(report.cells()[0].reason, Reason::NotABool);
    assert_eq!(
        report.to_string(),
        "a.npy, row 2, column `x0`: neither true nor false; the file is damaged"
    );
}
