use super::{ONE, bad, column, encode, one, schema, table};
use dyad_data::{Error, Limits, ReadOptions, Table};

fn numeric(more: &str) -> String {
    let markers = "missing_markers = [\"\", \"?\"]\n";
    format!(
        "{markers}{}{more}\n",
        one("kind = \"numeric\"\nscaling = { min-max = { min = 0, max = 4 } }")
    )
}

fn categorical(more: &str) -> String {
    let markers = "missing_markers = [\"?\"]\n";
    format!("{markers}{}{more}\n", one("kind = \"categorical\"\ncategories = [\"a\", \"b\"]"))
}

#[test]
fn refuse_is_the_default() {
    let refused = |column: &str| {
        (1, column.to_owned(), "missing, which the schema does not allow here".to_owned())
    };
    assert_eq!(bad(&numeric(""), "x\n?\n1\n"), [refused("x")]);
    assert_eq!(bad(&numeric("missing = \"refuse\""), "x\n\"\"\n1\n"), [refused("x")]);
    assert_eq!(bad(&categorical(""), "x\n?\n"), [refused("x")]);
    // Without a marker nothing is missing.
    let unmarked = one("kind = \"numeric\"\nscaling = \"none\"");
    assert_eq!(bad(&unmarked, "x\n?\n")[0].2, "not a number");
}

#[test]
fn fill() {
    let encoded = encode(&numeric("missing = { fill = 3 }"), "x\n?\n1\n").unwrap();
    assert_eq!(encoded.values(), [ONE / 4 * 3, ONE / 4]);
    let encoded = encode(&categorical("missing = { fill = \"b\" }"), "x\n?\na\n").unwrap();
    assert_eq!(encoded.values(), [0, ONE, ONE, 0]);
}

#[test]
fn indicator() {
    let encoded = encode(&numeric("missing = { indicator = 2 }"), "x\n?\n1\n").unwrap();
    assert_eq!(encoded.features()[1].name, "x:missing");
    assert_eq!(encoded.values(), [ONE / 2, ONE, ONE / 4, 0]);
    let encoded = encode(&categorical("missing = \"indicator\""), "x\n?\na\n").unwrap();
    assert_eq!(encoded.features()[2].name, "x:missing");
    assert_eq!(encoded.values(), [0, 0, ONE, ONE, 0, 0]);
}

#[test]
fn drop_row() {
    let columns = numeric("missing = \"drop-row\"")
        + &column("y", "kind = \"classes\"\nclasses = [\"n\", \"j\"]\nmissing = \"drop-row\"");
    let encoded = encode(&columns, "x,y\n1,j\n?,n\n2,?\n3,n\n").unwrap();
    assert_eq!(encoded.values(), [ONE / 4, ONE / 4 * 3]);
    assert_eq!(encoded.rows_of_table(), [0, 3]);
    assert_eq!(encoded.dropped_rows(), [1, 2]);
    assert_eq!(encoded.labels().unwrap().classes(), Some(&[1, 0][..]));
    // Reports name the file's rows, not those left.
    assert_eq!(bad(&columns, "x,y\n?,j\n9,j\n")[0].0, 2);
    let nothing = encode(&columns, "x,y\n?,j\n1,?\n");
    assert!(matches!(nothing, Err(Error::NothingLeft { .. })));
}

#[test]
fn markers_of_one_column() {
    let columns = one(
        "kind = \"numeric\"\nscaling = \"none\"\nmissing_markers = [\"0\"]\nmissing = { fill = 5 }",
    ) + "[[columns]]\nname = \"z\"\nkind = \"numeric\"\nscaling = \"none\"\n";
    assert_eq!(encode(&columns, "x,z\n0,0\n1,1\n").unwrap().values(), [5 * ONE, 0, ONE, ONE]);
}

#[test]
fn nan_is_missing_only_if_declared() {
    let path = format!("{}/testdata/not-finite.npy", env!("CARGO_MANIFEST_DIR"));
    let table = Table::read(path, &ReadOptions::default()).unwrap().select_rows(&[0]).unwrap();
    let columns = super::numeric("x", "\"none\"", "count = 2\nmissing = { fill = 7 }");
    assert!(schema(&columns).encode(&table, &Limits::default()).is_err());
    let declared = schema(&format!("nan_is_missing = true\n{columns}"));
    let encoded = declared.encode(&table, &Limits::default()).unwrap();
    assert_eq!(encoded.values(), [ONE, 7 * ONE]);
}

#[test]
fn nothing_in_parquet_is_missing() {
    let path = format!("{}/testdata/plain.parquet", env!("CARGO_MANIFEST_DIR"));
    let table = Table::read(path, &ReadOptions::default()).unwrap();
    let columns = [1, 7].map(|column| table.select_columns(&[column]).unwrap());
    let whole = super::numeric("whole", "\"none\"", "missing = { indicator = 0 }");
    let encoded = schema(&whole).encode(&columns[0], &Limits::default()).unwrap();
    assert_eq!(encoded.row(3), [0, ONE]);
    assert_eq!(encoded.row(1), [-2 * ONE, 0]);
    let names = "categories = [\"red\", \"green\", \"blue\"]\nmissing = \"drop-row\"";
    let colour = column("colour", &format!("kind = \"categorical\"\n{names}"));
    let encoded = schema(&colour).encode(&columns[1], &Limits::default()).unwrap();
    assert_eq!((encoded.rows(), encoded.dropped_rows()), (5, &[2][..]));
}

#[test]
fn a_missing_identifier_is_refused() {
    let columns = "missing_markers = [\"?\"]\n[[columns]]\nname = \"x\"\nkind = \"identifier\"\n";
    assert_eq!(bad(columns, "x\n?\nk\n")[0].0, 1);
    assert_eq!(table("x\nk\n").rows(), 1);
}
