use super::{one, schema};
use dyad_data::schema::{Column, Draft, Identifier, MissingNumber, Numeric, Scaling};
use dyad_data::{Error, Schema, SchemaFault};
use proptest::prelude::*;

fn fault(columns: &str) -> SchemaFault {
    match Schema::from_toml(&format!("version = 1\n{columns}")) {
        Err(Error::Schema { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

fn numeric(more: &str) -> String {
    one(&format!("kind = \"numeric\"\n{more}"))
}

#[test]
fn what_contradicts_itself_is_refused() {
    let none = "scaling = \"none\"\n";
    let min_max = |min: &str, max: &str| {
        numeric(&format!("scaling = {{ min-max = {{ min = {min}, max = {max} }} }}"))
    };
    let is_range = |columns: &str| matches!(fault(columns), SchemaFault::Range(_));
    assert!(is_range(&min_max("1", "1")));
    assert!(is_range(&min_max("2", "1")));
    assert!(is_range(&min_max("nan", "1")));
    assert!(is_range(&min_max("0", "inf")));
    assert!(is_range(&min_max("-1.7e308", "1.7e308")));
    assert!(is_range(&format!("{}range = [0, 1]", min_max("0", "1"))));
    assert!(is_range(&numeric(&format!("{none}range = [1, 0]"))));
    assert!(is_range(&numeric(&format!("{none}outside = \"clamp\""))));
    assert!(is_range(&numeric("scaling = { standard = { mean = 0, deviation = 0 } }")));
    assert!(is_range(&numeric("scaling = { standard = { mean = inf, deviation = 1 } }")));

    assert_eq!(fault(&format!("{}missing = {{ fill = 2 }}", min_max("0", "1"))), SchemaFault::Fill);
    assert_eq!(fault(&numeric(&format!("{none}missing = {{ fill = nan }}"))), SchemaFault::Fill);
    assert_eq!(
        fault(&numeric(&format!("{none}missing = {{ indicator = 1e300 }}"))),
        SchemaFault::Fill
    );

    let names = |columns: &str| matches!(fault(columns), SchemaFault::Names(_));
    assert!(names(&one("kind = \"categorical\"\ncategories = []")));
    assert!(names(&one("kind = \"categorical\"\ncategories = [\"a\", \"a\"]")));
    assert!(names(&one("kind = \"classes\"\nclasses = [\"a\"]")));
    assert!(names(&one("kind = \"classes\"\nclasses = [\"a\", \"?\"]\nmissing_markers = [\"?\"]")));
    // They are shown to owners who are asked to agree.
    for forged in ["a\\u001b[2J", "a\\n", "\\u202eno\\u202c", "a\\u2028b"] {
        assert!(names(&one(&format!("kind = \"classes\"\nclasses = [\"b\", \"{forged}\"]"))));
        assert!(names(&one(&format!("kind = \"categorical\"\ncategories = [\"{forged}\"]"))));
        let column = format!("[[columns]]\nname = \"{forged}\"\nkind = \"ignore\"");
        assert!(matches!(fault(&column), SchemaFault::Shape(_)), "{forged}");
    }
    let marked = "missing_markers = [\"a\"]\n".to_owned();
    assert!(names(&(marked + &one("kind = \"categorical\"\ncategories = [\"a\"]"))));
    let fill = one("kind = \"categorical\"\ncategories = [\"a\"]\nmissing = { fill = \"b\" }");
    assert_eq!(fault(&fill), SchemaFault::Fill);

    let shape = |columns: &str| matches!(fault(columns), SchemaFault::Shape(_));
    assert!(shape("columns = []"));
    assert!(shape(&one("kind = \"ignore\"\ncount = 0")));
    assert!(shape(&one("kind = \"ignore\"\ncount = 4294967295")));
    assert!(shape("[[columns]]\nname = \"\"\nkind = \"ignore\""));
    assert!(shape("[[columns]]\nname = \"a\\u001b[2J\"\nkind = \"ignore\""));
    let two = |kind: &str| format!("{0}[[columns]]\nname = \"z\"\n{kind}\n", one(kind));
    assert!(shape(&two("kind = \"identifier\"")));
    assert!(shape(&two("kind = \"classes\"\nclasses = [\"a\", \"b\"]")));
    assert!(shape(&one("kind = \"target\"\ncount = 2\nscaling = \"none\"")));
    let target = one("kind = \"target\"\nscaling = \"none\"\nmissing = { fill = 1 }");
    assert!(matches!(fault(&target), SchemaFault::Policy(_)));

    let again = format!("{0}{0}", one("kind = \"ignore\""));
    assert_eq!(fault(&again), SchemaFault::Duplicate("x".into()));
    let group = format!(
        "{}[[columns]]\nname = \"x1\"\nkind = \"ignore\"",
        one("kind = \"ignore\"\ncount = 2")
    );
    assert_eq!(fault(&group), SchemaFault::Duplicate("x1".into()));
    let feature = format!(
        "{}[[columns]]\nname = \"x=a\"\nkind = \"numeric\"\n{none}",
        one("kind = \"categorical\"\ncategories = [\"a\"]")
    );
    assert_eq!(fault(&feature), SchemaFault::Duplicate("x=a".into()));

    let bits = |f: u32, l: u32| {
        fault(&format!("fraction_bits = {f}\nvalue_bits = {l}\n{}", one("kind = \"ignore\"")))
    };
    assert_eq!(bits(63, 64), SchemaFault::FixedPoint { fraction_bits: 63, value_bits: 64 });
    assert_eq!(bits(8, 9), SchemaFault::FixedPoint { fraction_bits: 8, value_bits: 9 });
    assert!(matches!(
        fault(&numeric(&format!("{none}fraction_bits = 70"))),
        SchemaFault::FixedPoint { .. }
    ));
}

#[test]
fn errors_name_the_column() {
    let error = Schema::from_toml(&format!(
        "version = 1\n{}",
        numeric("scaling = { min-max = { min = 1, max = 0 } }")
    ));
    assert_eq!(
        error.unwrap_err().to_string(),
        "schema, column `x`: the least value must be below the greatest, both finite"
    );
}

#[test]
fn unknown_words_are_refused() {
    let column = |declared: &str| format!("version = 1\n{}", one(declared));
    let number = |more: &str| column(&format!("kind = \"numeric\"\n{more}"));
    for text in [
        format!("more = 1\n{}", column("kind = \"ignore\"")),
        column("kind = \"ignore\"\nscaling = \"none\""),
        column("kind = \"identifier\"\ncount = 2"),
        column("kind = \"numbers\"\nscaling = \"none\""),
        number(""),
        number("scaling = \"minmax\""),
        number("scaling = { min-max = { min = 0, max = 1, mean = 2 } }"),
        number("scaling = \"none\"\nmissing = \"fill\""),
        number("scaling = \"none\"\ncategories = [\"a\"]"),
        column("kind = \"classes\"\nclasses = [\"a\", \"b\"]\nmissing = { fill = \"a\" }"),
        "version = \"1\"\ncolumns = []".into(),
        "columns = []".into(),
        "version = 1".into(),
        "version = ".into(),
    ] {
        let error = Schema::from_toml(&text);
        assert!(
            matches!(error, Err(Error::SchemaText { language: "TOML", .. })),
            "{text}\n{error:?}"
        );
    }
    let error = Schema::from_json(
        "{\"version\": 1, \"columns\": [{\"name\": \"x\", \"kind\": \"ignore\", \"a\": 1}]}",
    );
    assert!(error.unwrap_err().to_string().contains("unknown field `a`"));
}

#[test]
fn other_versions_and_proposals_are_refused() {
    let column = one("kind = \"ignore\"");
    let read =
        |head: &str| Schema::from_toml(&format!("{head}\n{column}")).unwrap_err().to_string();
    assert_eq!(
        read("version = 2"),
        "schema: version 2, this release speaks 1; use the release it was written for"
    );
    assert!(read("version = 1\nproposal = true").contains("delete `proposal = true`"));
}

#[test]
fn digests_differ_with_everything_that_matters() {
    let text = one("kind = \"categorical\"\ncategories = [\"a\", \"b\"]");
    let digest = |text: &str| schema(text).digest();
    assert_eq!(digest(&text), digest(&format!("# a remark\n{text}")));
    assert_ne!(digest(&text), digest(&text.replace("[\"a\", \"b\"]", "[\"b\", \"a\"]")));
    assert_ne!(digest(&text), digest(&format!("fraction_bits = 15\n{text}")));
    assert_ne!(digest(&text), digest(&format!("missing_markers = [\"?\"]\n{text}")));
    // Pinned: owners of different releases must agree.
    let range = numeric("scaling = { min-max = { min = -1e-3, max = 0.1 } }");
    assert_eq!(digest(&text)[..4], [0x45, 0x00, 0x13, 0x91]);
    assert_eq!(digest(&range)[..4], [0x74, 0x2f, 0x68, 0x5b]);
}

fn any_column() -> impl Strategy<Value = Column> {
    let scaling = prop_oneof![
        Just(Scaling::None),
        (-1e6f64..0.0, 1e-3f64..1e6).prop_map(|(min, max)| Scaling::MinMax { min, max }),
        (-1e6f64..1e6, 1e-3f64..1e6)
            .prop_map(|(mean, deviation)| Scaling::Standard { mean, deviation }),
    ];
    let missing = prop_oneof![
        Just(MissingNumber::Refuse),
        Just(MissingNumber::DropRow),
        Just(MissingNumber::Fill(0.0)),
        Just(MissingNumber::Indicator(0.0)),
    ];
    let numeric = (
        "[a-zé \"=.#]{1,8}",
        scaling,
        missing,
        prop::option::of(0u32..30),
        prop::option::of(1u32..4),
    );
    prop_oneof![
        numeric.prop_map(|(name, scaling, missing, fraction_bits, count)| {
            let numeric = Numeric::new(&name, scaling);
            Column::Numeric(Numeric { missing, fraction_bits, count, ..numeric })
        }),
        "[a-z]{1,4}".prop_map(|name| Column::Identifier(Identifier { name })),
    ]
}

proptest! {
    #[test]
    fn written_and_read_again(
        columns in prop::collection::vec(any_column(), 1..5),
        marker in "[ -~]{0,3}",
    ) {
        let mut draft = Draft::of(columns);
        draft.missing_markers = vec![marker];
        let Ok(schema) = Schema::new(draft) else { return Ok(()) };
        prop_assert_eq!(&Schema::from_toml(&schema.to_toml()).unwrap(), &schema);
        prop_assert_eq!(&Schema::from_json(&schema.to_json(true)).unwrap(), &schema);
        let again = Schema::from_json(&schema.to_json(false)).unwrap();
        prop_assert_eq!(again.digest(), schema.digest());
    }

    #[test]
    fn any_text(text in "[ -~\n]{0,80}") {
        let _read = Schema::from_toml(&text);
        let _read = Schema::from_json(&text);
    }
}
