use super::{cells, fault, read};
use dyad_data::{Cell, Error, FormatFault, Limits, ReadOptions, Table};

fn header(kind: u8, dimensions: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, dimensions.len() as u8];
    bytes.extend(dimensions.iter().flat_map(|size| size.to_be_bytes()));
    bytes
}

#[test]
fn images_and_labels() {
    let images = [header(8, &[2, 2, 2]), vec![0, 1, 2, 3, 252, 253, 254, 255]].concat();
    let table = read("a-images-idx3-ubyte", &images).unwrap();
    assert_eq!(table.names().collect::<Vec<_>>(), ["x0", "x1", "x2", "x3"]);
    assert_eq!(cells(&table)[0], [0, 1, 2, 3].map(Cell::Unsigned));
    assert_eq!(cells(&table)[1], [252, 253, 254, 255].map(Cell::Unsigned));

    let options = ReadOptions { column_name: Some("label".into()), ..ReadOptions::default() };
    let labels = [header(8, &[2]), vec![7, 9]].concat();
    let labels = Table::from_bytes("a-labels-idx1-ubyte", &labels, &options).unwrap();
    let both = table.beside(&labels).unwrap();
    assert_eq!((both.width(), both.cell(1, 4)), (5, Cell::Unsigned(9)));

    let short = [header(8, &[1]), vec![7]].concat();
    let short = Table::from_bytes("short-idx1-ubyte", &short, &options).unwrap();
    let error = table.beside(&short).unwrap_err().to_string();
    assert!(error.starts_with("short-idx1-ubyte: 1 rows beside 2;"), "{error}");
    assert!(table.beside(&table).unwrap_err().to_string().contains("column `x0`"));
}

#[test]
fn kinds_of_numbers_are_big_endian() {
    let one = |kind, bytes: &[u8]| {
        let table = read("a.idx", &[header(kind, &[1]), bytes.to_vec()].concat()).unwrap();
        format!("{:?}", table.cell(0, 0))
    };
    assert_eq!(one(0x09, &[0xff]), "Signed(-1)");
    assert_eq!(one(0x0b, &(-300i16).to_be_bytes()), "Signed(-300)");
    assert_eq!(one(0x0c, &70_000i32.to_be_bytes()), "Signed(70000)");
    assert_eq!(one(0x0d, &1.5f32.to_be_bytes()), "Float(1.5)");
    assert_eq!(one(0x0e, &(-2.5f64).to_be_bytes()), "Float(-2.5)");
}

#[test]
fn headers_that_lie() {
    let magic = fault("a.idx", b"PK\x03\x04");
    let said = magic.to_string();
    assert!(said.starts_with("it begins with 50 4b 03 04 instead of 00 00 and one of"), "{said}");
    assert!(matches!(fault("a.idx", &header(0x0a, &[1])), FormatFault::Magic { .. }));
    assert!(matches!(fault("a.idx", &[0, 0, 8, 0]), FormatFault::Header(_)));
    assert!(matches!(fault("a.idx", &[0, 0, 8, 200]), FormatFault::Header(_)));
    assert_eq!(fault("a.idx", &header(8, &[0, 3])), FormatFault::NoRows);
    assert_eq!(fault("a.idx", &header(8, &[3, 0])), FormatFault::NoRows);
    for length in 0..12 {
        let bytes = [header(8, &[2, 2]), vec![1, 2, 3, 4]].concat();
        assert!(matches!(fault("a.idx", &bytes[..length]), FormatFault::Truncated { .. }));
    }
    assert_eq!(
        fault("a.idx", &[header(8, &[2, 2]), vec![1, 2, 3]].concat()),
        FormatFault::Truncated { expected: 4, found: 3 }
    );
    assert_eq!(
        fault("a.idx", &[header(8, &[2, 2]), vec![1, 2, 3, 4, 5]].concat()),
        FormatFault::Trailing(4)
    );
}

#[test]
fn huge_dimensions_take_no_memory() {
    let huge = header(0x0e, &[u32::MAX, u32::MAX, u32::MAX, u32::MAX]);
    assert!(matches!(read("a.idx", &huge), Err(Error::Limit { .. })));
    // Nor with all limits off.
    let limits = Limits {
        bytes: u64::MAX,
        rows: u32::MAX,
        columns: u32::MAX,
        cells: u64::MAX,
        bad_cells: 1,
    };
    let options = ReadOptions { limits, ..ReadOptions::default() };
    let refused = Table::from_bytes("a.idx", &header(0x0e, &[1 << 31, 1 << 20]), &options);
    match refused {
        Err(Error::Format { fault: FormatFault::Truncated { expected, found: 0 }, .. }) => {
            assert_eq!(expected, 1 << 54);
        }
        other => panic!("{other:?}"),
    }
}
