//! How a cell of one column is encoded.

use super::Element;
use crate::fixed::FixedPoint;
use crate::report::Reason;
use crate::schema::{Column, MissingCategory, MissingNumber, Numeric, Outside, Scaling, Schema};
use crate::table::Cell;
use std::collections::HashMap;

/// What a column's declaration says, ready for use.
pub(super) struct Rule<T> {
    markers: Vec<String>,
    nan_is_missing: bool,
    kind: Kind<T>,
}

enum Kind<T> {
    Number(Number<T>),
    /// The place of a category is that of its feature; a missing cell has one if the policy gives
    /// it one.
    OneHot {
        places: HashMap<String, usize>,
        one: T,
        missing: Option<usize>,
    },
    Class {
        places: HashMap<String, usize>,
    },
}

struct Number<T> {
    scaling: Scaling,
    bounds: Option<[f64; 2]>,
    outside: Outside,
    fixed: FixedPoint,
    /// What a missing cell becomes, if the policy says so.
    missing: Option<T>,
    /// The value of the further feature for a missing cell.
    flag: Option<T>,
}

impl<T: Element> Rule<T> {
    /// The rule of a column; nothing for those that are not encoded.
    pub(super) fn new(schema: &Schema, column: &Column) -> Option<Self> {
        let fixed = schema.fixed_point(column);
        let kind = match column {
            Column::Identifier(_) | Column::Ignore(_) => return None,
            Column::Numeric(column) | Column::Target(column) => {
                Kind::Number(Number::new(column, fixed))
            }
            Column::Categorical(column) => Kind::OneHot {
                places: places(&column.categories),
                one: one(fixed),
                missing: match &column.missing {
                    MissingCategory::Refuse | MissingCategory::DropRow => None,
                    MissingCategory::Fill(category) => {
                        column.categories.iter().position(|declared| declared == category)
                    }
                    MissingCategory::Indicator => Some(column.categories.len()),
                },
            },
            Column::Classes(column) => Kind::Class { places: places(&column.classes) },
        };
        let draft = schema.draft();
        let mut markers = draft.missing_markers.clone();
        markers.extend_from_slice(column.missing_markers());
        Some(Self { markers, nan_is_missing: draft.nan_is_missing, kind })
    }

    /// Does the schema take this cell for missing?
    pub(super) fn is_missing(&self, cell: Cell<'_>) -> bool {
        match cell {
            Cell::Missing => true,
            Cell::Float(x) if x.is_nan() && self.nan_is_missing => true,
            _ if self.markers.is_empty() => false,
            Cell::Text(text) => self.markers.iter().any(|marker| marker == text),
            _ => {
                let text = cell.text();
                self.markers.iter().any(|marker| *marker == text)
            }
        }
    }

    /// Writes a cell's features over zeros.
    pub(super) fn features(&self, cell: Cell<'_>, to: &mut [T]) -> Result<(), Reason> {
        match &self.kind {
            Kind::Number(number) if self.is_missing(cell) => {
                to[0] = number.missing.ok_or(Reason::Missing)?;
                if let Some(flag) = number.flag {
                    to[1] = flag;
                }
            }
            Kind::Number(number) => to[0] = number.encode(cell)?,
            Kind::OneHot { places, one, missing } => {
                let place = if self.is_missing(cell) {
                    missing.ok_or(Reason::Missing)?
                } else {
                    place(places, cell)?
                };
                to[place] = *one;
            }
            Kind::Class { .. } => {}
        }
        Ok(())
    }

    /// A class's number.
    pub(super) fn class(&self, cell: Cell<'_>) -> Result<u32, Reason> {
        match &self.kind {
            Kind::Class { places } if !self.is_missing(cell) => {
                place(places, cell).map(|place| place as u32)
            }
            _ => Err(Reason::Missing),
        }
    }
}

impl<T: Element> Number<T> {
    fn new(column: &Numeric, fixed: FixedPoint) -> Self {
        // The constant was encoded when the schema was checked: it fits.
        let constant = |value| T::encode(fixed, column.scaling.apply(value)).ok();
        let (missing, flag) = match column.missing {
            MissingNumber::Refuse | MissingNumber::DropRow => (None, None),
            MissingNumber::Fill(value) => (constant(value), None),
            MissingNumber::Indicator(value) => (constant(value), Some(one(fixed))),
        };
        let (scaling, bounds, outside) = (column.scaling, column.bounds(), column.outside);
        Self { scaling, bounds, outside, fixed, missing, flag }
    }

    fn encode(&self, cell: Cell<'_>) -> Result<T, Reason> {
        let mut x = cell.number()?;
        if let Some([min, max]) = self.bounds
            && !(min..=max).contains(&x)
        {
            match self.outside {
                Outside::Refuse => return Err(Reason::OutsideRange { min, max }),
                Outside::Clamp => x = x.clamp(min, max),
            }
        }
        T::encode(self.fixed, self.scaling.apply(x))
    }
}

/// A one fits: a schema leaves two bits above the point.
fn one<T: Element>(fixed: FixedPoint) -> T {
    T::encode(fixed, 1.0).unwrap_or_default()
}

fn places(names: &[String]) -> HashMap<String, usize> {
    names.iter().enumerate().map(|(place, name)| (name.clone(), place)).collect()
}

fn place(places: &HashMap<String, usize>, cell: Cell<'_>) -> Result<usize, Reason> {
    match cell {
        Cell::Float(x) if !x.is_finite() => return Err(Reason::NotFinite),
        _ => {}
    }
    let text = cell.text();
    match places.get(&*text) {
        Some(place) => Ok(*place),
        None if text.is_empty() => Err(Reason::Empty),
        None => Err(Reason::UnknownName { declared: places.len() }),
    }
}
