use super::{encoded, file, histogram, table, unknown};
use dyad_data::schema::{Column, MissingNumber, Numeric, Scaling};
use dyad_data::{Error, Limits, ReadOptions, Schema, Table};

#[test]
fn adult() {
    let Some(train) = table("uci/adult-train.csv.gz") else { return };
    let Some(test) = table("uci/adult-test.csv.gz") else { return };
    let missing = ["workclass", "occupation", "native_country"];
    assert_eq!(missing.map(|column| unknown(&train, column)), [1836, 1843, 583]);
    assert_eq!(missing.map(|column| unknown(&test, column)), [963, 966, 274]);
    let encoded = encoded(&train, "income");
    assert_eq!(histogram(&encoded), [("<=50K", 24720), (">50K", 7841)]);
    // Six numbers; 8, 16, 7, 14, 6, 5, 2 and 41 categories; three indicators.
    assert_eq!((encoded.rows(), encoded.width()), (32561, 6 + 99 + 3));
    // The test part encodes by the schema of the training part.
    let schema = Schema::suggest(&train, Some("income")).accept().unwrap();
    let encoded = schema.encode(&test, &Limits::default()).unwrap();
    assert_eq!(histogram(&encoded), [("<=50K", 12435), (">50K", 3846)]);
}

#[test]
fn credit_approval() {
    let Some(table) = table("uci/credit-approval.csv") else { return };
    let cells: usize = table.names().map(|column| unknown(&table, column)).sum();
    assert_eq!(cells, 67);
    assert_eq!(histogram(&encoded(&table, "A16")), [("+", 307), ("-", 383)]);
    // The same with every column dropping rows: 37 of them hold a `?`.
    let mut draft = Schema::suggest(&table, Some("A16")).draft().clone();
    draft.proposal = false;
    for column in &mut draft.columns {
        match column {
            Column::Numeric(column) => column.missing = MissingNumber::DropRow,
            Column::Categorical(column) => {
                column.missing = dyad_data::schema::MissingCategory::DropRow;
            }
            _ => {}
        }
    }
    let encoded = Schema::new(draft).unwrap().encode(&table, &Limits::default()).unwrap();
    assert_eq!((encoded.rows(), encoded.dropped_rows().len()), (653, 37));
    // And without a marker, every `?` in a column of numbers is a bad cell, 12 in A2 and 13 in A14.
    let numbers: Vec<&str> = vec!["A2", "A14"];
    let schema = Schema::new(dyad_data::schema::Draft::of(
        numbers.iter().map(|name| Column::Numeric(Numeric::new(name, Scaling::None))).collect(),
    ))
    .unwrap();
    let columns: Vec<usize> = numbers.iter().map(|name| table.find(name).unwrap()).collect();
    let table = table.select_columns(&columns).unwrap();
    let Err(Error::Cells(report)) = schema.encode(&table, &Limits::default()) else {
        panic!("not refused");
    };
    assert_eq!((report.total(), report.cells().len()), (25, 20));
}

#[test]
fn breast_cancer() {
    let Some(diagnostic) = table("uci/breast-cancer-wisconsin-diagnostic.csv") else { return };
    let encoded_diagnostic = encoded(&diagnostic, "diagnosis");
    assert_eq!(histogram(&encoded_diagnostic), [("B", 357), ("M", 212)]);
    assert_eq!((encoded_diagnostic.rows(), encoded_diagnostic.width()), (569, 30));
    assert_eq!(encoded_diagnostic.identifiers().unwrap().len(), 569);
    // What ships with the project is the same.
    let shipped = dyad_data::breast_cancer().unwrap().table;
    assert!(shipped.same_records(&diagnostic, "id"));

    let Some(original) = table("uci/breast-cancer-wisconsin-original.csv") else { return };
    assert_eq!((original.rows(), unknown(&original, "bare_nuclei")), (699, 16));
    // Its id occurs more than once, so it is taken for a number and not for an identifier.
    assert_eq!(histogram(&encoded(&original, "class")), [("2", 458), ("4", 241)]);
}

#[test]
fn digits() {
    let Some(path) = file("digits/digits.csv") else { return };
    let table = Table::read(path, &ReadOptions::default()).unwrap();
    let shipped = dyad_data::digits().unwrap();
    let numbered = |table: &Table| table.with_row_numbers("row").unwrap();
    assert!(numbered(&table).same_records(&numbered(&shipped.table), "row"));
}

#[test]
fn pima_where_zero_means_missing() {
    let Some(table) = table("uci/pima-indians-diabetes.csv") else { return };
    assert_eq!(histogram(&encoded(&table, "outcome")), [("0", 500), ("1", 268)]);
    let mut draft = Schema::suggest(&table, Some("outcome")).draft().clone();
    draft.proposal = false;
    for column in &mut draft.columns {
        if let Column::Numeric(column) = column
            && ["glucose", "blood_pressure", "skin_thickness", "insulin", "bmi"]
                .contains(&column.name.as_str())
        {
            // One column writes its zeros as 0.0; markers are texts.
            column.missing_markers = vec!["0".into(), "0.0".into()];
            column.missing = MissingNumber::Indicator(0.0);
        }
    }
    let encoded = Schema::new(draft).unwrap().encode(&table, &Limits::default()).unwrap();
    let indicated = |name: &str| {
        let at = encoded.features().iter().position(|feature| feature.name == name).unwrap();
        (0..encoded.rows()).filter(|row| encoded.row(*row)[at] != 0).count()
    };
    let missing = ["glucose", "blood_pressure", "skin_thickness", "insulin", "bmi"];
    let counts = missing.map(|name| indicated(&format!("{name}:missing")));
    assert_eq!(counts, [5, 35, 227, 374, 11]);
}

#[test]
fn others() {
    for (name, label, rows, width, counts) in [
        ("uci/ionosphere.csv", "class", 351, 34, &[("b", 126), ("g", 225)][..]),
        (
            "uci/nursery.csv.gz",
            "class",
            12960,
            // 3, 5, 4, 4, 3, 2, 3 and 3 categories.
            27,
            &[
                ("not_recom", 4320),
                ("priority", 4266),
                ("recommend", 2),
                ("spec_prior", 4044),
                ("very_recom", 328),
            ],
        ),
        (
            "uci/car-evaluation.csv",
            "class",
            1728,
            // 4, 4, 4, 3, 3 and 3 categories.
            21,
            &[("acc", 384), ("good", 69), ("unacc", 1210), ("vgood", 65)],
        ),
        ("uci/mushroom.csv.gz", "class", 8124, 117, &[("e", 4208), ("p", 3916)]),
        (
            "uci/iris.csv",
            "class",
            150,
            4,
            &[("Iris-setosa", 50), ("Iris-versicolor", 50), ("Iris-virginica", 50)],
        ),
        (
            "uci/credit-card-default.csv.gz",
            "default_payment_next_month",
            30000,
            23,
            &[("0", 23364), ("1", 6636)],
        ),
    ] {
        let Some(table) = table(name) else { continue };
        let encoded = encoded(&table, label);
        assert_eq!((encoded.rows(), encoded.width()), (rows, width), "{name}");
        assert_eq!(histogram(&encoded), counts, "{name}");
    }
}

#[test]
fn mushrooms_whose_stalk_is_unknown() {
    let Some(table) = table("uci/mushroom.csv.gz") else { return };
    assert_eq!(unknown(&table, "stalk_root"), 2480);
}
