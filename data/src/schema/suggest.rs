//! A proposal for a schema, made from one file. It shows something of that file's records, and says
//! so.

use super::column::{
    Categorical, Classes, Column, Identifier, Ignored, MissingCategory, MissingNumber, Numeric,
    Outside, Scaling,
};
use super::{Draft, Schema};
use crate::Result;
use crate::table::{Cell, Table};
use std::collections::BTreeSet;

/// More different texts than this are not taken for categories.
const MOST_CATEGORIES: usize = 64;
/// Texts that often mean that a cell is missing.
const USUAL_MARKERS: [&str; 6] = ["", "?", "NA", "N/A", "NaN", "null"];
/// Names that labels often have.
const USUAL_LABELS: [&str; 6] = ["label", "class", "target", "outcome", "diagnosis", "y"];

/// A schema that nobody has looked at yet, with what there is to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    draft: Draft,
    notes: Vec<String>,
}

impl Proposal {
    /// What was guessed from the file, in sentences.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The draft, marked as a proposal.
    #[must_use]
    pub fn draft(&self) -> &Draft {
        &self.draft
    }

    /// The proposal in TOML, with its notes in front. It is not read as a schema until `proposal =
    /// true` is deleted.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::from(
            "# A PROPOSAL, made from the records of one file: its ranges, categories and classes\n\
             # show something of them. Replace them by what is publicly known or agreed on, check\n\
             # every line, then delete `proposal = true`.\n#\n",
        );
        for note in &self.notes {
            text.push_str("# - ");
            text.push_str(note);
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.draft.to_toml());
        text
    }

    /// Takes the proposal as it is: for public data, in demonstrations and tests.
    pub fn accept(self) -> Result<Schema> {
        Schema::new(Draft { proposal: false, ..self.draft })
    }
}

impl Schema {
    /// Proposes a schema for a table. The column called `label` is the label; if nothing is named,
    /// a column of a usual name.
    #[must_use]
    pub fn suggest(table: &Table, label: Option<&str>) -> Proposal {
        let mut notes = Vec::new();
        let usual = |name: &&str| USUAL_LABELS.contains(&name.to_ascii_lowercase().as_str());
        let label = label.or_else(|| {
            let found = table.names().find(usual)?;
            notes.push(format!("`{found}` is taken for the label because of its name"));
            Some(found)
        });
        let mut markers = BTreeSet::new();
        let mut columns: Vec<Column> = Vec::new();
        let (mut identified, mut nan) = (false, false);
        for (at, name) in table.names().enumerate() {
            let seen = Seen::new(table, at);
            markers.extend(seen.markers.iter().copied());
            nan |= seen.nan;
            let is_label = label == Some(name);
            let column = seen.column(name, is_label, !identified, table.rows(), &mut notes);
            identified |= matches!(column, Column::Identifier(_));
            columns.push(column);
        }
        if !markers.is_empty() {
            let list: Vec<String> = markers.iter().map(|marker| format!("{marker:?}")).collect();
            notes.push(format!("{} taken for markers of missing cells", list.join(", ")));
        }
        if nan {
            notes.push("NaN taken for a missing cell".to_owned());
        }
        let mut draft = Draft::of(columns);
        draft.proposal = true;
        draft.missing_markers = markers.into_iter().map(str::to_owned).collect();
        draft.nan_is_missing = nan;
        Proposal { draft, notes }
    }
}

/// What a column holds.
struct Seen {
    markers: BTreeSet<&'static str>,
    missing: usize,
    /// The least and the greatest, if all cells are numbers.
    numbers: Option<[f64; 2]>,
    /// Is there a number that is NaN?
    nan: bool,
    /// The different texts.
    names: BTreeSet<String>,
    /// Could it be an identifier? Text or whole numbers, as many as rows.
    identifies: bool,
}

impl Seen {
    fn new(table: &Table, at: usize) -> Self {
        let mut markers = BTreeSet::new();
        let (mut missing, mut numeric, mut range) = (0, true, [f64::INFINITY, f64::NEG_INFINITY]);
        let (mut all, mut whole, mut nan) = (BTreeSet::new(), true, false);
        for row in 0..table.rows() {
            let cell = table.cell(row, at);
            let text = cell.text();
            let marker = USUAL_MARKERS.iter().find(|marker| **marker == text);
            if let (Cell::Text(_), Some(marker)) = (cell, marker) {
                markers.insert(*marker);
            }
            nan |= matches!(cell, Cell::Float(x) if x.is_nan());
            if cell == Cell::Missing || marker.is_some() {
                missing += 1;
                continue;
            }
            whole &= !matches!(cell, Cell::Float(_) | Cell::Bool(_)) && !text.contains('.');
            match cell.number() {
                Ok(x) => range = [range[0].min(x), range[1].max(x)],
                Err(_) => numeric = false,
            }
            if !all.contains(&*text) {
                all.insert(text.into_owned());
            }
        }
        let identifies = whole && missing == 0 && all.len() == table.rows();
        let numbers = (numeric && range[0] <= range[1]).then_some(range);
        Self { markers, missing, numbers, nan, names: all, identifies }
    }

    fn column(
        self,
        name: &str,
        is_label: bool,
        may_identify: bool,
        rows: usize,
        notes: &mut Vec<String>,
    ) -> Column {
        let few = !self.names.is_empty() && self.names.len() <= MOST_CATEGORIES;
        let named_id =
            name.eq_ignore_ascii_case("id") || name.to_ascii_lowercase().ends_with("_id");
        let mut note = |what: &str| notes.push(format!("`{name}`: {what}"));
        let (name, names) = (name.to_owned(), self.names.iter().cloned().collect());
        if self.missing > 0 {
            note(&format!("{} of {rows} cells seem to be missing", self.missing));
        }
        if is_label && few && self.names.len() > 1 {
            note("classes in the order of their text; every class the study has must be listed");
            let (missing, missing_markers) = Default::default();
            return Column::Classes(Classes { name, classes: names, missing, missing_markers });
        }
        if self.identifies && !is_label && may_identify && (named_id || self.numbers.is_none()) {
            note("taken for the identifier: all cells differ");
            return Column::Identifier(Identifier { name });
        }
        match self.numbers {
            Some([min, max]) => {
                let [min, max] = widened(min, max);
                note("range from this file's own extremes, rounded outward; declare what is known");
                let mut numeric = Numeric::new(&name, Scaling::MinMax { min, max });
                numeric.outside = Outside::Refuse;
                if self.missing > 0 && !is_label {
                    note("missing cells become the least value, with an indicator");
                    numeric.missing = MissingNumber::Indicator(min);
                }
                if is_label { Column::Target(numeric) } else { Column::Numeric(numeric) }
            }
            None if few => {
                note("categories from this file; every one the study has must be listed");
                let missing = match self.missing {
                    0 => MissingCategory::Refuse,
                    _ => MissingCategory::Indicator,
                };
                let (count, missing_markers) = Default::default();
                Column::Categorical(Categorical {
                    name,
                    count,
                    categories: names,
                    missing,
                    missing_markers,
                })
            }
            None => {
                note("neither numbers nor few different texts: not used");
                Column::Ignore(Ignored { name, count: None })
            }
        }
    }
}

/// A range of two digits around another, never empty.
fn widened(min: f64, max: f64) -> [f64; 2] {
    let rounded = |x: f64, up: bool| {
        if x == 0.0 {
            return 0.0;
        }
        let unit = 10f64.powi(x.abs().log10().floor() as i32 - 1);
        let digits = x / unit;
        let digits = if up { (digits - 1e-9).ceil() } else { (digits + 1e-9).floor() };
        // Through text, so that it is 0.3 and not 0.30000000000000004.
        format!("{:.0}e{}", digits, unit.log10().round()).parse().unwrap_or(x)
    };
    let (mut low, mut high) = (rounded(min, false).min(min), rounded(max, true).max(max));
    if low >= high {
        (low, high) = (min - 1.0, max + 1.0);
    }
    [low, high]
}
