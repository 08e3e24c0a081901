//! Any bytes at all: an error or a table, never a panic, never much memory.

use super::gzip::packed;
use super::testdata;
use dyad_data::{Limits, ReadOptions, Schema, Table};
use proptest::prelude::*;

/// Reads bytes, and if they are a table looks at all of it.
fn survives(name: &str, bytes: &[u8]) {
    let limits =
        Limits { bytes: 1 << 20, rows: 1 << 12, columns: 1 << 12, cells: 1 << 16, bad_cells: 5 };
    let options = ReadOptions { limits, ..ReadOptions::default() };
    match Table::from_bytes(name, bytes, &options) {
        Err(error) => assert!(error.to_string().contains(name), "{error}"),
        Ok(table) => {
            for row in 0..table.rows() {
                for column in 0..table.width() {
                    let cell = table.cell(row, column);
                    let _number = cell.number();
                    let _text = cell.text();
                }
            }
            if let Ok(schema) = Schema::suggest(&table, None).accept() {
                let _encoded = schema.encode(&table, &limits);
            }
        }
    }
}

/// Lawful files of every format.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let csv = b"id,x,\"y\"\r\n1,\"a,b\",0.5\r\n2,\"say \"\"no\"\"\",?\r\n3,,-1e3\r\n".to_vec();
    let idx = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2][..], &[9; 8]].concat();
    vec![
        ("a.csv.gz", packed(&csv)),
        ("a.csv", csv),
        ("a.idx.gz", packed(&idx)),
        ("a.idx", idx),
        ("a.npy", testdata("fortran-f8.npy")),
        ("a.npy", testdata("bool.npy")),
        ("a.npy", testdata("version-2.npy")),
        ("a.parquet", testdata("plain.parquet")),
        ("a.parquet", testdata("dictionary-snappy.parquet")),
        ("a.parquet", testdata("pages-v2.parquet")),
    ]
}

/// Bytes that break parsers more often than others.
fn nasty() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(0x7f), Just(0x80), Just(b'"'), Just(b'\n')]
}

/// A second's worth; PROPTEST_CASES makes it more.
fn many() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: 8 * config.cases, ..config }
}

proptest! {
    #![proptest_config(many())]

    #[test]
    fn changed_bytes(
        seed in 0usize..10,
        changes in prop::collection::vec((any::<prop::sample::Index>(), nasty()), 1..6),
    ) {
        let (name, mut bytes) = seeds().swap_remove(seed);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        survives(name, &bytes);
    }

    #[test]
    fn pieces_cut_out_doubled_and_swapped(
        seed in 0usize..10,
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
    ) {
        let (name, bytes) = seeds().swap_remove(seed);
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        let (from, to) = (from.min(to), from.max(to));
        let piece = bytes[from..to].to_vec();
        let cut = [&bytes[..from], &bytes[to..]].concat();
        survives(name, &cut);
        let at = at.index(cut.len() + 1);
        survives(name, &[&cut[..at], &piece[..], &cut[at..]].concat());
        survives(name, &[&bytes[..to], &piece[..], &bytes[to..]].concat());
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(nasty(), 0..200)) {
        for name in ["a.csv", "a.idx", "a.npy", "a.parquet"] {
            survives(name, &bytes);
            survives(name, &packed(&bytes));
        }
        // Behind a lawful beginning.
        survives("a.npy", &[b"\x93NUMPY\x01\x00", &bytes[..]].concat());
        survives("a.idx", &[&[0, 0, 8, 2][..], &bytes].concat());
        survives("a.parquet", &[b"PAR1", &bytes[..], b"PAR1"].concat());
    }
}
