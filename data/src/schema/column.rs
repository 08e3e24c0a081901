//! What may be declared of a column.

use serde::{Deserialize, Serialize};

/// A column, or a group of columns of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Column {
    /// Names the row; text or whole numbers, each once. Not encoded.
    Identifier(Identifier),
    /// Not used, and said to be so.
    Ignore(Ignored),
    /// A number: one feature.
    Numeric(Numeric),
    /// One of several names: a feature for each, one-hot in the declared order.
    Categorical(Categorical),
    /// The label, as one of several names.
    Classes(Classes),
    /// The label, as a number.
    Target(Numeric),
}

/// Names the row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identifier {
    /// The column's name.
    pub name: String,
}

/// Not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ignored {
    /// The column's name, or what the names of a group begin with.
    pub name: String,
    /// For a group: how many columns, called by the name with 0, 1, 2, ... behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// A number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numeric {
    /// The column's name, or what the names of a group begin with.
    pub name: String,
    /// For a group: how many columns, called by the name with 0, 1, 2, ... behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// What is done to the number.
    pub scaling: Scaling,
    /// The least and the greatest value allowed. Scaling by minimum and maximum declares it
    /// already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// What is done with a number outside the range.
    #[serde(default)]
    pub outside: Outside,
    /// What is done when there is none. A constant is given in the column's own unit.
    #[serde(default)]
    pub missing: MissingNumber,
    /// Texts that mean that a cell is missing, in this column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_markers: Vec<String>,
    /// f of this column, if not the schema's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction_bits: Option<u32>,
}

/// One of several names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Categorical {
    /// The column's name, or what the names of a group begin with.
    pub name: String,
    /// For a group: how many columns, called by the name with 0, 1, 2, ... behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// The names, in the order of their features. Numbers are written in their shortest form: `2`,
    /// not `2.0`.
    pub categories: Vec<String>,
    /// What is done when there is none.
    #[serde(default)]
    pub missing: MissingCategory,
    /// Texts that mean that a cell is missing, in this column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_markers: Vec<String>,
}

/// The label, as one of several names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    /// The column's name.
    pub name: String,
    /// The classes, in the order of their numbers from 0.
    pub classes: Vec<String>,
    /// What is done when there is none.
    #[serde(default)]
    pub missing: MissingLabel,
    /// Texts that mean that a cell is missing, in this column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_markers: Vec<String>,
}

/// What is done to a number x before it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Scaling {
    /// x.
    None,
    /// (x - min) / (max - min): from 0 to 1.
    MinMax {
        /// The least value allowed.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// (x - mean) / deviation.
    Standard {
        /// The declared mean.
        mean: f64,
        /// The declared standard deviation.
        deviation: f64,
    },
}

/// What is done with a number outside the declared range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outside {
    /// It is a bad cell.
    #[default]
    Refuse,
    /// It becomes the nearer end of the range.
    Clamp,
}

/// What is done with a missing number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingNumber {
    /// It is a bad cell.
    #[default]
    Refuse,
    /// The row is left out.
    DropRow,
    /// It becomes this constant.
    Fill(f64),
    /// It becomes this constant, and a further feature says 1 for it and 0 for cells that are
    /// there.
    Indicator(f64),
}

/// What is done with a missing category.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingCategory {
    /// It is a bad cell.
    #[default]
    Refuse,
    /// The row is left out.
    DropRow,
    /// It becomes this category.
    Fill(String),
    /// It becomes none of the categories, and a further feature says 1 for it and 0 for cells that
    /// are there.
    Indicator,
}

/// What is done with a missing class: labels are not made up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingLabel {
    /// It is a bad cell.
    #[default]
    Refuse,
    /// The row is left out.
    DropRow,
}

impl Scaling {
    /// The scaled number.
    #[must_use]
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::None => x,
            Self::MinMax { min, max } => (x - min) / (max - min),
            Self::Standard { mean, deviation } => (x - mean) / deviation,
        }
    }
}

impl Numeric {
    /// A column of this name with this scaling, and everything else as it is by default.
    #[must_use]
    pub fn new(name: &str, scaling: Scaling) -> Self {
        Self {
            name: name.to_owned(),
            count: None,
            scaling,
            range: None,
            outside: Outside::Refuse,
            missing: MissingNumber::Refuse,
            missing_markers: Vec::new(),
            fraction_bits: None,
        }
    }

    /// The least and the greatest value allowed, if declared.
    #[must_use]
    pub fn bounds(&self) -> Option<[f64; 2]> {
        match self.scaling {
            Scaling::MinMax { min, max } => Some([min, max]),
            _ => self.range,
        }
    }
}

impl Column {
    /// The name, or what the names of a group begin with.
    #[must_use]
    pub fn stem(&self) -> &str {
        match self {
            Self::Identifier(column) => &column.name,
            Self::Ignore(column) => &column.name,
            Self::Numeric(column) | Self::Target(column) => &column.name,
            Self::Categorical(column) => &column.name,
            Self::Classes(column) => &column.name,
        }
    }

    /// How many columns, if it is a group.
    #[must_use]
    pub fn count(&self) -> Option<u32> {
        match self {
            Self::Identifier(_) | Self::Classes(_) => None,
            Self::Ignore(column) => column.count,
            Self::Numeric(column) | Self::Target(column) => column.count,
            Self::Categorical(column) => column.count,
        }
    }

    /// The names of the columns it declares.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let numbers = self.count().map_or(0..1, |count| 0..count);
        numbers.map(|i| match self.count() {
            None => self.stem().to_owned(),
            Some(_) => format!("{}{i}", self.stem()),
        })
    }

    /// Is it the label?
    #[must_use]
    pub fn is_label(&self) -> bool {
        matches!(self, Self::Classes(_) | Self::Target(_))
    }

    /// The features that a column of this kind and name becomes.
    pub(crate) fn features(&self, name: &str) -> Vec<String> {
        let indicator = || format!("{name}:missing");
        match self {
            Self::Numeric(column) => match column.missing {
                MissingNumber::Indicator(_) => vec![name.to_owned(), indicator()],
                _ => vec![name.to_owned()],
            },
            Self::Categorical(column) => {
                let one_hot = column.categories.iter().map(|category| format!("{name}={category}"));
                match column.missing {
                    MissingCategory::Indicator => one_hot.chain([indicator()]).collect(),
                    _ => one_hot.collect(),
                }
            }
            _ => Vec::new(),
        }
    }

    pub(crate) fn numeric(&self) -> Option<&Numeric> {
        match self {
            Self::Numeric(column) | Self::Target(column) => Some(column),
            _ => None,
        }
    }

    /// The texts that mean that a cell is missing, in this column alone.
    pub(crate) fn missing_markers(&self) -> &[String] {
        match self {
            Self::Identifier(_) | Self::Ignore(_) => &[],
            Self::Numeric(column) | Self::Target(column) => &column.missing_markers,
            Self::Categorical(column) => &column.missing_markers,
            Self::Classes(column) => &column.missing_markers,
        }
    }

    pub(crate) fn drops_rows(&self) -> bool {
        match self {
            Self::Identifier(_) | Self::Ignore(_) => false,
            Self::Numeric(column) | Self::Target(column) => {
                column.missing == MissingNumber::DropRow
            }
            Self::Categorical(column) => column.missing == MissingCategory::DropRow,
            Self::Classes(column) => column.missing == MissingLabel::DropRow,
        }
    }

    /// The same declaration for one column.
    pub(crate) fn renamed(&self, new: String) -> Self {
        let mut column = self.clone();
        match &mut column {
            Self::Identifier(Identifier { name }) | Self::Classes(Classes { name, .. }) => {
                *name = new;
            }
            Self::Ignore(Ignored { name, count })
            | Self::Numeric(Numeric { name, count, .. })
            | Self::Target(Numeric { name, count, .. })
            | Self::Categorical(Categorical { name, count, .. }) => (*name, *count) = (new, None),
        }
        column
    }
}
