use super::{ONE, bad, encode, numeric, one, schema, table};
use dyad_data::{ColumnsFault, Error, FixedPoint, Labels, Limits, ReadOptions, Table};

#[test]
fn scalings() {
    let values = |scaling: &str| {
        let column = one(&format!("kind = \"numeric\"\nscaling = {scaling}"));
        encode(&column, "x\n-1\n0\n3\n").unwrap().values().to_vec()
    };
    assert_eq!(values("\"none\""), [-ONE, 0, 3 * ONE]);
    assert_eq!(values("{ min-max = { min = -1, max = 3 } }"), [0, ONE / 4, ONE]);
    assert_eq!(values("{ standard = { mean = 1, deviation = 2 } }"), [-ONE, -ONE / 2, ONE]);
}

#[test]
fn one_hot_in_the_declared_order() {
    let columns = one("kind = \"categorical\"\ncategories = [\"red\", \"green\", \"blue\"]");
    let encoded = encode(&columns, "x\nblue\nred\n").unwrap();
    let names: Vec<_> = encoded.features().iter().map(|feature| &*feature.name).collect();
    assert_eq!(names, ["x=red", "x=green", "x=blue"]);
    assert_eq!(encoded.row(0), [0, 0, ONE]);
    assert_eq!(encoded.row(1), [ONE, 0, 0]);
    assert_eq!(encoded.features()[2].column, "x");
}

const MIXED: &str = r#"
[[columns]]
name = "id"
kind = "identifier"
[[columns]]
name = "b"
kind = "categorical"
categories = ["u", "v"]
[[columns]]
name = "a"
kind = "numeric"
scaling = "none"
[[columns]]
name = "skip"
kind = "ignore"
[[columns]]
name = "y"
kind = "classes"
classes = ["no", "yes"]
"#;

#[test]
fn columns_come_in_the_schemas_order() {
    let encoded = encode(MIXED, "y,a,skip,id,b\nyes,2,!,k1,v\nno,-3,?,k2,u\n").unwrap();
    assert_eq!(encoded.values(), [0, ONE, 2 * ONE, ONE, 0, -3 * ONE]);
    assert_eq!(encoded.identifiers().unwrap(), ["k1", "k2"]);
    let labels = encoded.labels().unwrap();
    assert_eq!(labels.classes(), Some(&[1, 0][..]));
    assert_eq!(labels.histogram(), [("no", 1), ("yes", 1)]);
    assert_eq!(labels.matrix(FixedPoint::default()), (vec![0, ONE, ONE, 0], 2));
    assert_eq!(schema(MIXED).feature_names(), ["b=u", "b=v", "a"]);

    let second = encoded.select(&[1]).unwrap();
    assert_eq!((second.rows(), second.row(0)), (1, &[ONE, 0, -3 * ONE][..]));
    assert_eq!(second.identifiers().unwrap(), ["k2"]);
    assert_eq!(second.labels().unwrap().classes(), Some(&[0][..]));
    assert_eq!(second.rows_of_table(), [1]);
    assert!(encoded.select(&[2]).is_err());
}

#[test]
fn columns_must_be_those_of_the_schema() {
    let fault = |csv: &str| match encode(MIXED, csv) {
        Err(Error::Columns { file, fault }) if file == "a.csv" => fault,
        other => panic!("{other:?}"),
    };
    let absent = fault("id,a,skip\n1,2,3\n");
    assert_eq!(absent, ColumnsFault::Absent(vec!["b".into(), "y".into()]));
    assert!(absent.to_string().starts_with("the schema's columns `b`, `y` are not there"));
    let undeclared = fault("id,a,skip,b,y,z\n1,2,3,u,no,6\n");
    assert_eq!(undeclared, ColumnsFault::Undeclared(vec!["z".into()]));
    assert!(undeclared.to_string().starts_with("column `z` is not in the schema"));
}

#[test]
fn an_owner_of_some_columns() {
    let mine = schema(MIXED).restrict(&["a", "id"]).unwrap();
    let encoded = mine.encode(&table("id,a\nk,4\n"), &Limits::default()).unwrap();
    assert_eq!(encoded.values(), [4 * ONE]);
    assert!(encoded.labels().is_none());
    assert!(schema(MIXED).restrict(&["a", "q"]).unwrap_err().to_string().contains("column `q`"));
    // Labels alone.
    let labels = schema(MIXED).restrict(&["y", "id"]).unwrap();
    let encoded = labels.encode(&table("id,y\nk,yes\n"), &Limits::default()).unwrap();
    assert_eq!((encoded.width(), encoded.rows()), (0, 1));
    assert!(encoded.row(0).is_empty());
}

#[test]
fn bad_cells_are_all_found_in_order() {
    let found = bad(MIXED, "id,b,a,skip,y\nk1,w,1,,no\nk2,u,x,,maybe\nk1,v,,,yes\n,v,1e999,,no\n");
    let expected = [
        (1, "b", "not one of the 2 declared names"),
        (2, "a", "not a number"),
        (2, "y", "not one of the 2 declared names"),
        (3, "a", "empty"),
        (3, "id", "row 1 has the same identifier"),
        (4, "a", "not a finite number"),
        (4, "id", "empty"),
    ];
    let found: Vec<_> = found.iter().map(|(row, name, why)| (*row, &**name, &**why)).collect();
    assert_eq!(found, expected);
}

#[test]
fn no_value_is_shown() {
    let csv =
        "id,b,a,skip,y\nsecret1,secret2,secret3,,secret4\nsecret1,u,77777777777777777777,,no\n";
    let error = encode(MIXED, csv).unwrap_err();
    let encoded = encode(MIXED, "id,b,a,skip,y\nsecret1,u,4242,secret2,no\n").unwrap();
    for shown in [
        format!("{error} {error:?}"),
        format!("{:?} {encoded:?}", encoded.labels().unwrap()),
        format!("{:?}", table(csv)),
    ] {
        assert!(!shown.contains("secret") && !shown.contains("7777"), "{shown}");
        assert!(!shown.contains("4242"), "{shown}");
    }
}

#[test]
fn ranges() {
    let refuse = one("kind = \"numeric\"\nscaling = { min-max = { min = 0, max = 10 } }");
    assert_eq!(encode(&refuse, "x\n0\n10\n").unwrap().values(), [0, ONE]);
    let found = bad(&refuse, "x\n-0.001\n10.001\n5\n");
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].2, "outside the declared range 0 to 10");
    let clamp = format!("{refuse}outside = \"clamp\"\n");
    assert_eq!(encode(&clamp, "x\n-5\n99\n5\n").unwrap().values(), [0, ONE, ONE / 2]);
    let plain = one("kind = \"numeric\"\nscaling = \"none\"\nrange = [-1, 1]");
    assert_eq!(
        bad(&plain, "x\n0\n2\n"),
        [(2, "x".into(), "outside the declared range -1 to 1".into())]
    );
}

#[test]
fn scales() {
    let columns = format!(
        "fraction_bits = 8\nvalue_bits = 16\n{}fraction_bits = 2\n{}",
        one("kind = \"numeric\"\nscaling = \"none\""),
        "[[columns]]\nname = \"z\"\nkind = \"numeric\"\nscaling = \"none\"\n"
    );
    let encoded = encode(&columns, "x,z\n1.3,1.5\n").unwrap();
    assert_eq!(encoded.values(), [5, 384]);
    assert_eq!(encoded.features()[0].fixed, FixedPoint::new(2, 16).unwrap());
    assert_eq!(
        bad(&columns, "x,z\n1,128\n")[0].2,
        "does not fit in 16 bits with 8 behind the point"
    );
    let finer = schema(&columns).with_fraction_bits(10).unwrap();
    let encoded = finer.encode(&table("x,z\n1.3,1.5\n"), &Limits::default()).unwrap();
    assert_eq!(encoded.values(), [5, 1536]);
}

#[test]
fn plain_numbers_are_not_rounded() {
    let schema = schema(&one("kind = \"numeric\"\nscaling = { min-max = { min = 0, max = 3 } }"));
    let plain = schema.encode_plain(&table("x\n1\n"), &Limits::default()).unwrap();
    assert_eq!(plain.values(), [1.0 / 3.0]);
}

#[test]
fn numeric_labels() {
    let target = one("kind = \"target\"\nscaling = \"none\"");
    let encoded = encode(&target, "x\n1.5\n-2\n").unwrap();
    let labels = encoded.labels().unwrap();
    assert_eq!(labels.matrix(FixedPoint::default()), (vec![98304, -131_072], 1));
    assert!(matches!(labels, Labels::Numbers { column, .. } if column == "x"));
    assert_eq!(bad(&target, "x\nz\n")[0].2, "not a number");
}

#[test]
fn groups_of_columns() {
    let group = "[[columns]]\nname = \"p\"\ncount = 3\nkind = \"numeric\"\nscaling = \"none\"\n";
    assert_eq!(encode(group, "p1,p0,p2\n1,0,2\n").unwrap().values(), [0, ONE, 2 * ONE]);
    assert!(encode(group, "p1,p0\n1,0\n").unwrap_err().to_string().contains("`p2`"));
    let two = schema(group).restrict(&["p2", "p0"]).unwrap();
    assert_eq!(two.feature_names(), ["p0", "p2"]);
}

#[test]
fn numbers_as_they_are_written() {
    let columns = one("kind = \"numeric\"\nscaling = \"none\"\nfraction_bits = 0");
    let lawful = "x\n1\n+1\n-1\n1e3\n.5e1\n5.\n9007199254740991\n";
    let values = [1, 1, -1, 1000, 5, 5, 9_007_199_254_740_991];
    assert_eq!(encode(&columns, lawful).unwrap().values(), values);
    for cell in ["1,5", "1 000", "1_000", " 1", "0x10", "one", "--1", "1e", "٣"] {
        let found = bad(&columns, &format!("x\n\"{cell}\"\n"));
        assert_eq!(found, [(1, "x".into(), "not a number".into())], "{cell}");
    }
    for cell in ["inf", "-Infinity", "NaN", "1e400"] {
        assert_eq!(bad(&columns, &format!("x\n{cell}\n"))[0].2, "not a finite number", "{cell}");
    }
    assert!(bad(&columns, "x\n9007199254740993\n")[0].2.contains("2^53"));
}

#[test]
fn numbers_from_arrays() {
    let file = |name: &str| format!("{}/testdata/{name}", env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| Table::read(file(name), &ReadOptions::default()).unwrap();
    let schema =
        schema("[[columns]]\nname = \"x\"\ncount = 2\nkind = \"numeric\"\nscaling = \"none\"\n");
    let Err(Error::Cells(report)) = schema.encode(&read("not-finite.npy"), &Limits::default())
    else {
        panic!("not refused");
    };
    assert_eq!(report.total(), 3);
    assert!(report.to_string().contains("not-finite.npy, row 1, column `x1`: not a finite number"));
    // A byte column, encoded by table, is encoded as the same numbers in other kinds are.
    let bytes = super::schema(&numeric("x", "{ min-max = { min = 0, max = 21 } }", "count = 4"));
    let bad = |name: &str| {
        let Err(Error::Cells(report)) = bytes.encode(&read(name), &Limits::default()) else {
            panic!("not refused");
        };
        report.cells().iter().map(|cell| (cell.row, cell.column.clone())).collect::<Vec<_>>()
    };
    assert_eq!(bad("c-u1.npy"), bad("c-f8.npy"));
    assert_eq!(bad("c-u1.npy").len(), 2);
    let wide =
        super::schema(&numeric("x", "{ standard = { mean = 7, deviation = 3 } }", "count = 4"));
    let values = |name: &str| wide.encode(&read(name), &Limits::default()).unwrap();
    assert_eq!(values("c-u1.npy"), values("fortran-f8.npy"));
}

#[test]
fn too_many_features_are_refused_before_memory_is_taken() {
    let names: Vec<String> = (0..5000).map(|i| format!("\"{i}\"")).collect();
    let columns = one(&format!("kind = \"categorical\"\ncategories = [{}]", names.join(",")));
    let limits = Limits { columns: 4999, ..Limits::default() };
    let refused = schema(&columns).encode(&table("x\n1\n"), &limits);
    assert!(matches!(refused, Err(Error::Limit { what: "features", .. })));
    let limits = Limits { cells: 9999, ..Limits::default() };
    let refused = schema(&columns).encode(&table("x\n1\n2\n"), &limits);
    assert!(matches!(refused, Err(Error::Limit { what: "encoded values", .. })));
}
