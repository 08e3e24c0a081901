use super::table;
use dyad_data::schema::{Column, MissingCategory, MissingNumber, Scaling};
use dyad_data::{Limits, ReadOptions, Schema, Table};

const CSV: &str = "\
patient_id,age,colour,note,bmi,outcome
k1,30,red,one,20.5,no
k2,61,blue,two words,?,yes
k3,44,,three,31.25,yes
";

#[test]
fn a_proposal_says_that_it_is_one() {
    let proposal = Schema::suggest(&table(CSV), None);
    let text = proposal.to_toml();
    assert!(text.starts_with("# A PROPOSAL, made from the records of one file"), "{text}");
    for said in [
        "`outcome` is taken for the label because of its name",
        "`patient_id`: taken for the identifier",
        "`bmi`: 1 of 3 cells seem to be missing",
        "`age`: range from this file's own extremes",
        "\"\", \"?\" taken for markers",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    let refused = Schema::from_toml(&text).unwrap_err().to_string();
    assert!(refused.contains("still a proposal"), "{refused}");
    let looked_at = text.replace("proposal = true\n", "");
    assert_eq!(Schema::from_toml(&looked_at).unwrap(), proposal.accept().unwrap());
}

#[test]
fn it_fits_the_file_it_was_made_from() {
    let table = table(CSV);
    let schema = Schema::suggest(&table, None).accept().unwrap();
    let columns: Vec<&Column> = schema.columns().map(|(_, column)| column).collect();
    assert!(matches!(columns[0], Column::Identifier(_)));
    match columns[1] {
        Column::Numeric(age) => assert_eq!(age.scaling, Scaling::MinMax { min: 30.0, max: 61.0 }),
        other => panic!("{other:?}"),
    }
    match columns[2] {
        Column::Categorical(colour) => {
            assert_eq!(colour.categories, ["blue", "red"]);
            assert_eq!(colour.missing, MissingCategory::Indicator);
        }
        other => panic!("{other:?}"),
    }
    match columns[4] {
        Column::Numeric(bmi) => {
            assert_eq!(bmi.scaling, Scaling::MinMax { min: 20.0, max: 32.0 });
            assert_eq!(bmi.missing, MissingNumber::Indicator(20.0));
        }
        other => panic!("{other:?}"),
    }
    let encoded = schema.encode(&table, &Limits::default()).unwrap();
    assert_eq!(encoded.labels().unwrap().histogram(), [("no", 1), ("yes", 2)]);
}

#[test]
fn the_label_can_be_named() {
    let schema = Schema::suggest(&table(CSV), Some("age")).accept().unwrap();
    let label = schema.columns().find(|(_, column)| column.is_label()).unwrap().0;
    assert_eq!(label, "age");
}

#[test]
fn ranges_hold_what_they_were_made_from() {
    for (cells, [min, max]) in [
        ("0\n16", [0.0, 16.0]),
        ("17.99\n2501", [17.0, 2600.0]),
        ("-0.123\n0.1184", [-0.13, 0.12]),
        ("5\n5", [4.0, 6.0]),
        ("0\n0", [-1.0, 1.0]),
        ("-1e300\n1e300", [-1e300, 1e300]),
    ] {
        let proposal = Schema::suggest(&table(&format!("v\n{cells}\n")), None);
        match &proposal.draft().columns[0] {
            Column::Numeric(numeric) => assert_eq!(numeric.bounds(), Some([min, max]), "{cells}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn nan_is_taken_for_missing_and_said() {
    let path = format!("{}/testdata/not-finite.npy", env!("CARGO_MANIFEST_DIR"));
    let table = Table::read(path, &ReadOptions::default()).unwrap().select_rows(&[0]).unwrap();
    let proposal = Schema::suggest(&table, None);
    assert!(proposal.draft().nan_is_missing);
    assert!(proposal.notes().iter().any(|note| note.contains("NaN")), "{:?}", proposal.notes());
}
