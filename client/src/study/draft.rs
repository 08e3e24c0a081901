//! From a schema to the draft of a study: what its columns amount to.
//!
//! ```text
//! f   bits behind the point: the schema's, or 8 if it names none
//! l   the fewest bits in which every declared bound fits: |round(v 2^f)| < 2^{l-1}, l >= f + 2
//! ```
//!
//! Fewer bits make packed uploads smaller and leave the training more room.

use crate::error::{Error, Result, request};
use dyad_data::Schema;
use dyad_data::schema::{self, MissingCategory, MissingNumber, Numeric};
use dyad_protos::study::{Column, Draft, Label, VERSION};
use dyad_protos::{Document, Name};

/// f, unless the schema names it: pixels, measurements and categories need no more.
pub const FRACTION_BITS: u32 = 8;
/// l, at most.
const MOST_BITS: u32 = 62;

/// What is to be agreed on.
#[derive(Clone, Debug)]
pub struct Proposed<'a> {
    /// Name of the study.
    pub name: &'a str,
    /// The schema, TOML.
    pub schema: &'a str,
    /// Those who take part.
    pub members: &'a [Name],
    /// Which column is the label, to be sure: the schema says it.
    pub label: Option<&'a str>,
}

/// Makes the draft that members will read.
pub fn draft(proposed: &Proposed<'_>) -> Result<Document<Draft>> {
    let mut table: toml::Table = toml::from_str(proposed.schema)
        .map_err(|error| Error::Request(format!("schema: {}", error.message())))?;
    let declares_bits = table.contains_key("value_bits");
    // Before it is read: its own default might not fit its value_bits.
    table.entry("fraction_bits").or_insert(i64::from(FRACTION_BITS).into());
    let text = toml::to_string(&table).map_err(|error| Error::Request(error.to_string()))?;
    let schema = Schema::from_toml(&text)?;
    let declared = declares_bits.then_some(schema.draft().value_bits);
    let value_bits = value_bits(&schema, declared)?;
    let schema = Schema::new(schema::Draft { value_bits, ..schema.draft().clone() })?;
    let (columns, label) = amounts_to(&schema)?;
    if let Some(expected) = proposed.label.filter(|expected| *expected != label.name) {
        return request(format!(
            "the schema's label is `{}`, not `{expected}`: declare one column of it as classes or \
             target, and no other",
            label.name
        ));
    }
    let content = Draft {
        version: VERSION,
        name: proposed.name.parse()?,
        members: proposed.members.to_vec(),
        fraction_bits: schema.draft().fraction_bits,
        value_bits,
        schema: schema.to_toml(),
        columns,
        label,
    };
    Ok(Document::write(&content)?)
}

/// Holds a draft against its own schema: nobody joins a study whose columns mean something else
/// than they say.
pub fn check(draft: &Document<Draft>) -> Result<Schema> {
    if Document::write(draft.content())?.digest() != draft.digest() {
        return request(format!(
            "the draft of study {} is not written as this release writes it; have it created by \
             the same release",
            draft.name
        ));
    }
    let schema = Schema::from_toml(&draft.schema)?;
    let same = |what: &str, same: bool| {
        if same {
            return Ok(());
        }
        request(format!(
            "study {}: its {what} are not what its schema amounts to; do not join, and ask its \
             author",
            draft.name
        ))
    };
    let (f, l) = (schema.draft().fraction_bits, schema.draft().value_bits);
    same("numbers", (f, l) == (draft.fraction_bits, draft.value_bits))?;
    value_bits(&schema, Some(l))?;
    let (columns, label) = amounts_to(&schema)?;
    same("columns", columns == draft.columns)?;
    same("labels", label == draft.label)?;
    Ok(schema)
}

/// Columns with the features they become, and the label.
fn amounts_to(schema: &Schema) -> Result<(Vec<Column>, Label)> {
    let (mut columns, mut label, mut identifier) = (Vec::new(), None, false);
    for (name, column) in schema.columns() {
        let width = match column {
            schema::Column::Ignore(_) => continue,
            schema::Column::Identifier(_) => {
                identifier = true;
                continue;
            }
            schema::Column::Classes(classes) => {
                label = Some(Label { name, classes: classes.classes.clone() });
                continue;
            }
            schema::Column::Target(target) => {
                one_scale(schema, &name, target)?;
                label = Some(Label { name, classes: Vec::new() });
                continue;
            }
            schema::Column::Numeric(number) => {
                one_scale(schema, &name, number)?;
                1 + usize::from(matches!(number.missing, MissingNumber::Indicator(_)))
            }
            schema::Column::Categorical(names) => {
                let indicator = names.missing == MissingCategory::Indicator;
                names.categories.len() + usize::from(indicator)
            }
        };
        columns.push(Column { name, width });
    }
    if !identifier {
        return request(
            "the schema has no identifier: rows of different owners are matched by it; declare a \
             column of kind = \"identifier\"",
        );
    }
    let Some(label) = label else {
        return request(
            "the schema has no label; declare a column of kind = \"classes\" or \"target\"",
        );
    };
    Ok((columns, label))
}

/// All numbers of a study have one scale.
fn one_scale(schema: &Schema, name: &str, column: &Numeric) -> Result<()> {
    let all = schema.draft().fraction_bits;
    match column.fraction_bits {
        Some(own) if own != all => request(format!(
            "column `{name}` has {own} bits behind the point, the study {all}: a study has one \
             scale for all; delete fraction_bits of the column and choose another scaling"
        )),
        _ => Ok(()),
    }
}

/// The fewest bits that hold all declared bounds.
fn value_bits(schema: &Schema, declared: Option<u32>) -> Result<u32> {
    let f = schema.draft().fraction_bits;
    // A one fits, for indicators and categories.
    let mut most = f + 2;
    let mut unbounded = None;
    for column in &schema.draft().columns {
        let (schema::Column::Numeric(number) | schema::Column::Target(number)) = column else {
            continue;
        };
        match bits(number, f) {
            Some(bits) => most = most.max(bits),
            None => unbounded = Some(column.stem()),
        }
    }
    let remedy = "declare a range, a scaling that makes numbers smaller, or fewer fraction_bits";
    if most > MOST_BITS {
        return request(format!(
            "the schema's numbers need {most} bits with {f} behind the point, {MOST_BITS} may be; \
             {remedy}"
        ));
    }
    match (unbounded, declared) {
        (None, Some(declared)) if declared >= most => Ok(most),
        (_, Some(declared)) if declared < most || declared > MOST_BITS => request(format!(
            "the schema says value_bits = {declared}; its numbers need {most}, and at most \
             {MOST_BITS} may be; {remedy}"
        )),
        (Some(_), Some(declared)) => Ok(declared),
        (Some(column), None) => request(format!(
            "nothing bounds column `{column}`: declare a range = [least, greatest] for it, scaling \
             by min-max, or value_bits for all columns"
        )),
        (None, _) => Ok(most),
    }
}

/// Bits of the largest number that a column may have; nothing if it is not bounded.
fn bits(column: &Numeric, fraction_bits: u32) -> Option<u32> {
    let unit = f64::from(fraction_bits).exp2();
    let reach = column.bounds()?.map(|bound| (column.scaling.apply(bound) * unit).round().abs());
    let greatest = reach[0].max(reach[1]);
    // Beyond 2^64 it stops there, which is refused as well.
    Some(u64::BITS - (greatest as u64).leading_zeros() + 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HEAD: &str = "version = 1\n[[columns]]\nkind = \"identifier\"\nname = \"id\"\n\
                        [[columns]]\nkind = \"classes\"\nname = \"y\"\nclasses = [\"n\", \"y\"]\n";

    fn of(schema: &str) -> Result<Document<Draft>> {
        let members = ["north".parse().unwrap(), "south".parse().unwrap()];
        draft(&Proposed { name: "heart", schema, members: &members, label: Some("y") })
    }

    fn number(rest: &str) -> String {
        format!("{HEAD}[[columns]]\nkind = \"numeric\"\nname = \"x\"\n{rest}\n")
    }

    #[test]
    fn columns_and_widths() {
        let more = "[[columns]]\nkind = \"numeric\"\nname = \"p\"\ncount = 3\nscaling = { min-max = \
                    { min = 0, max = 16 } }\nmissing = { indicator = 0 }\n[[columns]]\nkind = \
                    \"categorical\"\nname = \"c\"\ncategories = [\"a\", \"b\"]\nmissing = \
                    \"indicator\"\n[[columns]]\nkind = \"ignore\"\nname = \"z\"\n";
        let draft = of(&format!("{HEAD}{more}")).unwrap();
        let widths: Vec<_> = draft.columns.iter().map(|c| (c.name.as_str(), c.width)).collect();
        assert_eq!(widths, [("p0", 2), ("p1", 2), ("p2", 2), ("c", 3)]);
        assert_eq!(draft.label.classes, ["n", "y"]);
        assert_eq!((draft.fraction_bits, draft.value_bits), (8, 10));
        let schema = check(&draft).unwrap();
        assert_eq!(schema.feature_names().len(), draft.width());
    }

    #[test]
    fn value_bits_are_the_fewest() {
        let bits = |rest: &str| of(&number(rest)).unwrap().value_bits;
        // 127 · 2^8 < 2^15, so 16 bits; 128 · 2^8 = 2^15 needs one more.
        assert_eq!(bits("scaling = \"none\"\nrange = [-100, 127]"), 16);
        assert_eq!(bits("scaling = \"none\"\nrange = [-128, 100]"), 17);
        assert_eq!(bits("scaling = { min-max = { min = -5, max = 900 } }"), 10);
        assert_eq!(
            bits("scaling = { standard = { mean = 0, deviation = 10 } }\nrange = [-40, 39]"),
            12
        );
        for (l, ok) in [(16, true), (17, true), (15, false)] {
            let text = number("scaling = \"none\"\nrange = [-100, 127]");
            let made = of(&text.replace("version = 1", &format!("version = 1\nvalue_bits = {l}")));
            assert_eq!(made.is_ok(), ok, "{l}");
            assert!(made.is_err() || made.unwrap().value_bits == 16);
        }
    }

    /// Encoding itself is the judge: what a study's bits hold is not refused, one more is.
    #[test]
    fn encoding_agrees() {
        let draft = of(&number("scaling = \"none\"\nrange = [-100, 127]")).unwrap();
        let fixed = |l| dyad_data::FixedPoint::new(8, l).unwrap();
        assert!(fixed(draft.value_bits).encode(127.0).is_ok());
        assert!(fixed(draft.value_bits - 1).encode(127.0).is_err());
    }

    #[test]
    fn what_is_missing_is_named() {
        let unbounded = of(&number("scaling = \"none\"")).unwrap_err().to_string();
        assert!(unbounded.contains("column `x`") && unbounded.contains("range"), "{unbounded}");
        let text =
            number("scaling = \"none\"").replace("version = 1", "version = 1\nvalue_bits = 20");
        assert_eq!(of(&text).unwrap().value_bits, 20);
        let scale = of(&number("scaling = \"none\"\nrange = [0, 1]\nfraction_bits = 4"));
        assert!(scale.unwrap_err().to_string().contains("one scale"));
        let no_id = number("scaling = \"none\"\nrange = [0, 1]").replace("identifier", "ignore");
        assert!(of(&no_id).unwrap_err().to_string().contains("no identifier"));
    }

    #[test]
    fn a_draft_that_does_not_fit_its_schema_is_not_joined() {
        let draft = of(&number("scaling = \"none\"\nrange = [0, 1]")).unwrap();
        let mut content = draft.content().clone();
        content.columns[0].width = 2;
        let error = check(&Document::write(&content).unwrap()).unwrap_err().to_string();
        assert!(error.contains("its columns are not"), "{error}");
        let mut content = draft.content().clone();
        content.value_bits += 1;
        assert!(check(&Document::write(&content).unwrap()).is_err());
    }
}
