//! What a schema must hold to.

use super::column::{
    Categorical, Column, MissingCategory, MissingNumber, Numeric, Outside, Scaling,
};
use super::{Draft, VERSION};
use crate::error::SchemaFault;
use crate::fixed::FixedPoint;
use crate::names::misleads;
use crate::{Error, Result};
use std::collections::HashSet;

/// Columns and features: more than any table here has, and few enough to be listed.
const MOST: u64 = 1 << 20;

pub(super) fn check(draft: &Draft) -> Result<()> {
    whole(draft).map_err(|fault| Error::Schema { column: None, fault })?;
    for column in &draft.columns {
        one(draft, column)
            .map_err(|fault| Error::Schema { column: Some(column.stem().to_owned()), fault })?;
    }
    names(draft).map_err(|fault| Error::Schema { column: None, fault })
}

fn whole(draft: &Draft) -> Result<(), SchemaFault> {
    if draft.version != VERSION {
        return Err(SchemaFault::Version(draft.version));
    }
    if draft.proposal {
        return Err(SchemaFault::Proposal);
    }
    if draft.columns.is_empty() {
        return Err(SchemaFault::Shape("no columns are declared"));
    }
    let is_identifier = |column: &&Column| matches!(column, Column::Identifier(_));
    if draft.columns.iter().filter(is_identifier).count() > 1 {
        return Err(SchemaFault::Shape("more than one identifier; make one column of them"));
    }
    if draft.columns.iter().filter(|column| column.is_label()).count() > 1 {
        return Err(SchemaFault::Shape("more than one label; ignore all but one"));
    }
    fixed_point(draft.fraction_bits, draft.value_bits).map(|_| ())
}

fn fixed_point(fraction_bits: u32, value_bits: u32) -> Result<FixedPoint, SchemaFault> {
    FixedPoint::new(fraction_bits, value_bits)
        .ok_or(SchemaFault::FixedPoint { fraction_bits, value_bits })
}

fn one(draft: &Draft, column: &Column) -> Result<(), SchemaFault> {
    if column.count() == Some(0) {
        return Err(SchemaFault::Shape("a group of no columns"));
    }
    match column {
        Column::Identifier(_) | Column::Ignore(_) => Ok(()),
        Column::Numeric(column) => numeric(draft, column),
        Column::Categorical(column) => categorical(draft, column),
        Column::Classes(column) => {
            distinct(&column.classes)?;
            unmarked(&column.classes, &draft.missing_markers)?;
            unmarked(&column.classes, &column.missing_markers)?;
            if column.classes.len() < 2 {
                return Err(SchemaFault::Names("fewer than two classes"));
            }
            Ok(())
        }
        Column::Target(column) => {
            if column.count.is_some() {
                return Err(SchemaFault::Shape("a label is one column"));
            }
            if matches!(column.missing, MissingNumber::Fill(_) | MissingNumber::Indicator(_)) {
                let what = "a missing label can be refused, or its row dropped; it is not made up";
                return Err(SchemaFault::Policy(what));
            }
            numeric(draft, column)
        }
    }
}

fn numeric(draft: &Draft, column: &Numeric) -> Result<(), SchemaFault> {
    let fixed = fixed_point(column.fraction_bits.unwrap_or(draft.fraction_bits), draft.value_bits)?;
    match column.scaling {
        Scaling::MinMax { .. } if column.range.is_some() => {
            let what = "scaling by minimum and maximum declares the range; delete `range`";
            return Err(SchemaFault::Range(what));
        }
        Scaling::None | Scaling::MinMax { .. } => {}
        Scaling::Standard { mean, deviation } => {
            // Not `<=`: NaN is refused too.
            if !(mean.is_finite() && deviation.is_finite() && deviation > 0.0) {
                let what = "mean and deviation must be finite, the deviation above zero";
                return Err(SchemaFault::Range(what));
            }
        }
    }
    match column.bounds() {
        Some([min, max]) if !(min < max && min.is_finite() && (max - min).is_finite()) => {
            return Err(SchemaFault::Range(
                "the least value must be below the greatest, both finite",
            ));
        }
        None if column.outside == Outside::Clamp => {
            return Err(SchemaFault::Range("clamping needs a range; declare one"));
        }
        _ => {}
    }
    if let MissingNumber::Fill(value) | MissingNumber::Indicator(value) = column.missing {
        let inside = column.bounds().is_none_or(|[min, max]| (min..=max).contains(&value));
        if !inside || fixed.encode(column.scaling.apply(value)).is_err() {
            return Err(SchemaFault::Fill);
        }
    }
    Ok(())
}

fn categorical(draft: &Draft, column: &Categorical) -> Result<(), SchemaFault> {
    distinct(&column.categories)?;
    unmarked(&column.categories, &draft.missing_markers)?;
    unmarked(&column.categories, &column.missing_markers)?;
    match &column.missing {
        MissingCategory::Fill(value) if !column.categories.contains(value) => {
            Err(SchemaFault::Fill)
        }
        _ => Ok(()),
    }
}

fn distinct(names: &[String]) -> Result<(), SchemaFault> {
    let mut seen = HashSet::new();
    if names.is_empty() {
        return Err(SchemaFault::Names("the list of names is empty"));
    }
    if names.iter().any(|name| misleads(name)) {
        return Err(SchemaFault::Names("a name in the list has control characters"));
    }
    if names.iter().all(|name| seen.insert(name)) {
        Ok(())
    } else {
        Err(SchemaFault::Names("a name is in the list twice"))
    }
}

fn unmarked(names: &[String], markers: &[String]) -> Result<(), SchemaFault> {
    if names.iter().any(|name| markers.contains(name)) {
        return Err(SchemaFault::Names("a name in the list is also a marker of missing cells"));
    }
    Ok(())
}

/// Every column and every feature has a name of its own.
fn names(draft: &Draft) -> Result<(), SchemaFault> {
    let size = |column: &Column| {
        let each = match column {
            Column::Categorical(column) => column.categories.len() as u64 + 1,
            _ => 2,
        };
        each.saturating_mul(column.count().unwrap_or(1).into())
    };
    // Counted before they are written out.
    if draft.columns.iter().map(size).fold(0, u64::saturating_add) > MOST {
        return Err(SchemaFault::Shape("more than a million columns and features"));
    }
    let (mut columns, mut features) = (HashSet::new(), HashSet::new());
    for column in &draft.columns {
        for name in column.names() {
            if name.is_empty() || misleads(&name) {
                return Err(SchemaFault::Shape(
                    "a column's name is empty or has control characters",
                ));
            }
            for feature in column.features(&name) {
                if !features.insert(feature.clone()) {
                    return Err(SchemaFault::Duplicate(feature));
                }
            }
            if !columns.insert(name.clone()) {
                return Err(SchemaFault::Duplicate(name));
            }
        }
    }
    Ok(())
}
