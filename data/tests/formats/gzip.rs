use super::{fault, read, texts};
use dyad_data::{Error, FormatFault, Limits, ReadOptions, Table};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

pub(crate) fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn is_taken_off_whatever_the_name() {
    let gz = packed(b"x,y\n1,2\n");
    for name in ["a.csv", "a.csv.gz", "A.CSV.GZ"] {
        assert_eq!(texts(&read(name, &gz).unwrap()), [["1", "2"]]);
    }
    // Files behind one another are one text, as gzip has it.
    let two = [packed(b"x,y\n1,2\n"), packed(b"3,4\n")].concat();
    assert_eq!(texts(&read("a.csv.gz", &two).unwrap()), [["1", "2"], ["3", "4"]]);
    // Once is enough.
    let twice = packed(&gz);
    assert!(read("a.csv.gz", &twice).is_err());
}

#[test]
fn cut_off_or_damaged() {
    let gz = packed("x,y\n1,2\n".repeat(50).as_bytes());
    for length in 2..gz.len() {
        let found = fault("a.csv.gz", &gz[..length]);
        assert_eq!(found, FormatFault::Gzip("cut off"), "{length}");
    }
    for at in [2, 12, gz.len() - 8, gz.len() - 1] {
        let mut damaged = gz.clone();
        damaged[at] ^= 0x5a;
        assert!(matches!(fault("a.csv.gz", &damaged), FormatFault::Gzip(_)), "{at}");
    }
    let trailing = [&gz[..], b"more"].concat();
    assert!(matches!(fault("a.csv.gz", &trailing), FormatFault::Gzip(_)));
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let mut text = b"x\n".to_vec();
    text.resize(64 << 20, b'1');
    let bomb = packed(&text);
    assert!(bomb.len() < 80_000);
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    let options = ReadOptions { limits, ..ReadOptions::default() };
    let refused = Table::from_bytes("bomb.csv.gz", &bomb, &options).unwrap_err();
    assert!(matches!(refused, Error::Limit { limit: 1_048_576, .. }), "{refused}");
    assert_eq!(
        refused.to_string(),
        "bomb.csv.gz: more than 1048576 bytes unpacked; if the file is meant to be that large, \
         raise this limit"
    );
}

#[test]
fn a_header_inside_gzip_is_not_believed() {
    // 2^31 pixels declared, behind them a few bytes.
    let mut idx = vec![0, 0, 8, 2, 0, 1, 0, 0, 0, 0, 128, 0];
    idx.extend([1, 2, 3]);
    let limits = Limits { cells: u64::MAX, bytes: u64::MAX, ..Limits::default() };
    let options = ReadOptions { limits, ..ReadOptions::default() };
    let gz = packed(&idx);
    match Table::from_bytes("a.idx.gz", &gz, &options) {
        Err(Error::Format { fault: FormatFault::Truncated { expected, found }, .. }) => {
            assert_eq!(expected, 1 << 31);
            assert!(found <= 1032 * gz.len() as u64);
        }
        other => panic!("{other:?}"),
    }
}
