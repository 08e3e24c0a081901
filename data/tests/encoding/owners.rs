use super::{column, numeric, schema, table};
use dyad_data::{Error, JoinFault, Limits, Part, Partition, Table, breast_cancer, rejoin};

fn pieces(table: &Table, partition: &Partition) -> Vec<Table> {
    partition.tables(table).unwrap().into_iter().map(|(_, piece)| piece).collect()
}

#[test]
fn every_split_rejoins() {
    let sample = breast_cancer().unwrap();
    let (table, schema) = (&sample.table, &sample.schema);
    let whole = schema.encode(table, &Limits::default()).unwrap();
    for owners in [1, 2, 3, 5] {
        for partition in [
            Partition::by_rows(table, "id", owners, 7).unwrap(),
            Partition::by_columns(table, "id", owners, 7).unwrap(),
            Partition::mixed(table, "id", owners, 7).unwrap(),
        ] {
            let pieces = pieces(table, &partition);
            for (part, piece) in partition.parts().iter().zip(&pieces) {
                assert!(part.owner < owners);
                assert_eq!(piece.names().next(), Some("id"));
                assert_eq!(
                    (piece.rows(), piece.width()),
                    (part.rows.len(), part.columns.len() + 1)
                );
            }
            let joined = rejoin(&pieces, "id").unwrap();
            assert!(joined.same_records(table, "id"));
            assert!(table.same_records(&joined, "id"));
            // What is encoded is the same, row by row.
            let encoded = schema.encode(&joined, &Limits::default()).unwrap();
            let names = whole.identifiers().unwrap();
            for (row, name) in encoded.identifiers().unwrap().iter().enumerate() {
                let at = names.iter().position(|other| other == name).unwrap();
                assert_eq!(encoded.row(row), whole.row(at));
            }
        }
    }
}

#[test]
fn a_mix_is_one() {
    let table = breast_cancer().unwrap().table;
    let partition = Partition::mixed(&table, "id", 3, 1).unwrap();
    let parts = partition.parts();
    assert!(parts.iter().any(|part| part.columns.len() == 31), "a block by rows");
    assert!(parts.iter().any(|part| part.columns.len() < 31), "a block by columns");
    for owner in 0..3 {
        assert!(parts.iter().filter(|part| part.owner == owner).count() > 1);
    }
    assert_ne!(partition, Partition::mixed(&table, "id", 3, 2).unwrap());
    assert_eq!(partition, Partition::mixed(&table, "id", 3, 1).unwrap());
}

#[test]
fn pieces_can_be_handed_out_as_files() {
    let sample = breast_cancer().unwrap();
    let partition = Partition::mixed(&sample.table, "id", 3, 9).unwrap();
    let mut files = Vec::new();
    for (owner, piece) in partition.tables(&sample.table).unwrap() {
        let mut csv = Vec::new();
        piece.write_csv(&mut csv, "?").unwrap();
        let read = Table::from_bytes(
            &format!("owner{owner}.csv"),
            &csv,
            &dyad_data::ReadOptions::default(),
        )
        .unwrap();
        // Each encodes with the schema restricted to its columns.
        let names: Vec<&str> = read.names().collect();
        let own = sample.schema.restrict(&names).unwrap();
        assert_eq!(own.encode(&read, &Limits::default()).unwrap().rows(), piece.rows());
        files.push(read);
    }
    assert!(rejoin(&files, "id").unwrap().same_records(&sample.table, "id"));
}

#[test]
fn a_changed_cell_is_seen() {
    let one = table("id,a,b\nk,1,2\nl,3,4\n");
    assert!(one.same_records(&table("b,id,a\n4,l,3\n2,k,1\n"), "id"));
    for other in [
        "id,a,b\nk,1,2\nl,3,5\n",
        "id,a,b\nk,1,2\n",
        "id,a,c\nk,1,2\nl,3,4\n",
        "id,a\nk,1\nl,3\n",
        "id,a,b\nk,1,2\nm,3,4\n",
    ] {
        assert!(!one.same_records(&table(other), "id"), "{other}");
        assert!(!table(other).same_records(&one, "id"), "{other}");
    }
}

#[test]
fn joins_that_do_not_fit() {
    let join = |pieces: &[Table]| match rejoin(pieces, "id") {
        Err(Error::Join { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    let a = table("id,x\nk,1\nl,2\n");
    assert_eq!(join(&[]), JoinFault::Nothing);
    assert_eq!(join(&[a.clone(), table("x\n1\n")]), JoinFault::NoIdentifier);
    assert_eq!(join(&[a.clone(), table("id,x\nm,1\nl,2\n")]), JoinFault::Overlap { row: 2 });
    assert_eq!(join(&[table("id,x\nk,1\nk,1\n")]), JoinFault::Overlap { row: 2 });
    // What nobody has is missing.
    let joined = rejoin(&[a, table("id,y\nl,3\nm,4\n")], "id").unwrap();
    assert_eq!((joined.rows(), joined.width()), (3, 3));
    assert_eq!(joined.cell(0, 2), dyad_data::Cell::Missing);
    let columns = column("id", "kind = \"identifier\"")
        + &numeric("x", "\"none\"", "")
        + &numeric("y", "\"none\"", "missing = \"drop-row\"");
    let error = schema(&columns).encode(&joined, &Limits::default()).unwrap_err().to_string();
    assert!(error.contains("row 3, column `x`: missing"), "{error}");
}

#[test]
fn partitions_that_do_not_fit() {
    let table = table("id,x,y\nk,1,2\nl,3,4\n");
    let part = |rows: &[u32], columns: &[usize]| Part {
        owner: 0,
        rows: rows.into(),
        columns: columns.into(),
    };
    let refused = |parts: Vec<Part>| Partition::new(&table, "id", parts).unwrap_err().to_string();
    assert_eq!(refused(vec![part(&[0, 1], &[1])]), "split: a cell is in no part");
    assert_eq!(
        refused(vec![part(&[0, 1], &[1, 2]), part(&[1], &[2])]),
        "split: a cell is in two parts"
    );
    assert!(refused(vec![part(&[0, 1], &[0, 1, 2])]).contains("cannot have"));
    assert!(refused(vec![part(&[0, 2], &[1, 2])]).contains("cannot have"));
    assert!(Partition::by_rows(&table, "id", 3, 0).is_err());
    assert!(Partition::by_columns(&table, "id", 0, 0).is_err());
    assert!(Partition::by_columns(&table, "nobody", 1, 0).is_err());
    let numbered = table.with_row_numbers("row").unwrap().select_rows(&[1]).unwrap();
    assert_eq!(numbered.cell(0, 3), dyad_data::Cell::Unsigned(2));
}
