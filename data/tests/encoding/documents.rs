//! docs/data.md says nothing that does not hold.

use dyad_data::{Limits, ReadOptions, Schema, Table, TrainTest};

const PAGE: &str = include_str!("../../../docs/data.md");

/// The blocks of code in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_schema_encodes_the_example() {
    let [schema] = blocks("toml")[..] else { panic!("one schema is expected") };
    let schema = Schema::from_toml(schema).unwrap();
    let [csv] = blocks("csv")[..] else { panic!("one file is expected") };
    let table = Table::from_bytes("north.csv", csv.as_bytes(), &ReadOptions::default()).unwrap();
    let encoded = schema.encode(&table, &Limits::default()).unwrap();
    assert_eq!(encoded.rows(), 3);
    assert_eq!(encoded.dropped_rows(), [3]);
    for feature in schema.feature_names() {
        assert!(PAGE.contains(&format!("`{feature}`")), "the page does not name {feature}");
    }
    let said: Vec<i64> = PAGE
        .lines()
        .find(|line| line.starts_with("| `A7`"))
        .unwrap()
        .split('|')
        .filter_map(|cell| cell.trim().parse().ok())
        .collect();
    assert_eq!(encoded.row(0), said);
    // In JSON too.
    assert_eq!(Schema::from_json(&schema.to_json(true)).unwrap(), schema);
}

#[test]
fn the_split_is_the_one_described() {
    let line = PAGE.lines().find(|line| line.starts_with("Of 10 rows with seed 1")).unwrap();
    let test = TrainTest::by_seed(10, 3, 1).unwrap().test;
    assert!(line.contains(&format!("{test:?}")), "{line} {test:?}");
}
