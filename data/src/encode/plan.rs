//! Which column of the file becomes what.

use super::rule::Rule;
use super::{Element, Feature, Labels, unmatched};
use crate::error::ColumnsFault;
use crate::report::{Collector, Reason};
use crate::schema::{Column, Schema};
use crate::table::block::{Block, DenseBlock, NumberKind};
use crate::table::{Cell, Table};
use crate::{Limits, Result};
use std::collections::HashMap;

/// A schema laid over a table's columns.
pub(super) struct Plan<'s, T> {
    pub(super) features: Vec<Feature>,
    pub(super) columns: Vec<Planned>,
    schema: &'s Schema,
    /// One for each declaration of the schema; a group shares it.
    rules: Vec<Option<Rule<T>>>,
    /// For columns of bytes: what each byte becomes.
    bytes: Vec<Option<Vec<Result<T, Reason>>>>,
    label: Option<Planned>,
    identifier: Option<usize>,
    /// Columns whose missing cells drop the row.
    dropping: Vec<Planned>,
}

/// A column that is encoded.
#[derive(Clone, Copy)]
pub(super) struct Planned {
    /// Its place in the table.
    pub(super) at: usize,
    /// Its declaration.
    rule: usize,
    /// Its features.
    first: usize,
    count: usize,
}

impl<'s, T: Element> Plan<'s, T> {
    pub(super) fn new(schema: &'s Schema, table: &Table) -> Result<Self> {
        let declared = &schema.draft().columns;
        let mut plan = Self {
            features: Vec::new(),
            columns: Vec::new(),
            schema,
            rules: declared.iter().map(|column| Rule::new(schema, column)).collect(),
            bytes: declared.iter().map(|_| None).collect(),
            label: None,
            identifier: None,
            dropping: Vec::new(),
        };
        let mut places: HashMap<&str, usize> = table.names().zip(0..).collect();
        let mut absent = Vec::new();
        for (rule, column) in declared.iter().enumerate() {
            for name in column.names() {
                match places.remove(name.as_str()) {
                    Some(at) => plan.add(table, at, rule, column, &name),
                    None => absent.push(name),
                }
            }
        }
        if !absent.is_empty() {
            return Err(unmatched(table, ColumnsFault::Absent(absent)));
        }
        if !places.is_empty() {
            let undeclared = table.names().filter(|name| places.contains_key(name));
            let undeclared = undeclared.map(str::to_owned).collect();
            return Err(unmatched(table, ColumnsFault::Undeclared(undeclared)));
        }
        Ok(plan)
    }

    fn add(&mut self, table: &Table, at: usize, rule: usize, column: &Column, name: &str) {
        let features = column.features(name);
        let planned = Planned { at, rule, first: self.features.len(), count: features.len() };
        match column {
            Column::Ignore(_) => return,
            Column::Identifier(_) => return self.identifier = Some(at),
            Column::Classes(_) | Column::Target(_) => self.label = Some(planned),
            Column::Numeric(_) | Column::Categorical(_) => {
                self.columns.push(planned);
                self.note_bytes(table, planned);
            }
        }
        if column.drops_rows() {
            self.dropping.push(planned);
        }
        let fixed = self.schema.fixed_point(column);
        let feature = |feature| Feature { name: feature, column: name.to_owned(), fixed };
        self.features.extend(features.into_iter().map(feature));
    }

    /// Encodes every byte once, if that is all the column can hold.
    fn note_bytes(&mut self, table: &Table, column: Planned) {
        if let (Some(_), 1, Some(rule), None) = (
            bytes_of(table, column.at),
            column.count,
            &self.rules[column.rule],
            &self.bytes[column.rule],
        ) {
            let encode = |byte: u8| {
                let mut to = [T::default()];
                rule.features(Cell::Unsigned(byte.into()), &mut to).map(|()| to[0])
            };
            self.bytes[column.rule] = Some((0..=u8::MAX).map(encode).collect());
        }
    }

    /// The rows that stay and the rows that are dropped.
    pub(super) fn rows(
        &self,
        table: &Table,
        rows: impl Iterator<Item = u32>,
    ) -> (Vec<u32>, Vec<u32>) {
        let missing = |row: u32, column: &Planned| {
            let cell = table.cell(row as usize, column.at);
            self.rules[column.rule].as_ref().is_some_and(|rule| rule.is_missing(cell))
        };
        rows.partition(|row| !self.dropping.iter().any(|column| missing(*row, column)))
    }

    /// Writes a column's features of some rows.
    pub(super) fn encode(
        &self,
        table: &Table,
        column: &Planned,
        rows: &[u32],
        values: &mut [T],
        mut bad: impl FnMut(u32, Reason),
    ) {
        let Planned { at, rule, first, count } = *column;
        let lines = rows.iter().zip(values.chunks_exact_mut(self.features.len()));
        if let (Some((block, in_block)), Some(bytes)) = (bytes_of(table, at), &self.bytes[rule]) {
            for (row, values) in lines {
                let byte = block.byte(table.row_of_file(*row as usize), in_block);
                match &bytes[usize::from(byte)] {
                    Ok(value) => values[first] = *value,
                    Err(reason) => bad(*row, reason.clone()),
                }
            }
        } else if let Some(rule) = &self.rules[rule] {
            // In text the same number often comes again: it is not read again.
            let mut last: Option<(&str, T)> = None;
            for (row, values) in lines {
                let cell = table.cell(*row as usize, at);
                if let (Cell::Text(text), 1) = (cell, count) {
                    match last {
                        Some((known, value)) if known == text => values[first] = value,
                        _ => match rule.features(cell, &mut values[first..=first]) {
                            Ok(()) => last = Some((text, values[first])),
                            Err(reason) => bad(*row, reason),
                        },
                    }
                    continue;
                }
                if let Err(reason) = rule.features(cell, &mut values[first..first + count]) {
                    bad(*row, reason);
                }
            }
        }
    }

    /// The labels, where the schema has one.
    pub(super) fn labels(
        &self,
        table: &Table,
        rows: &[u32],
        limits: &Limits,
        bad: &mut Collector,
    ) -> Option<Labels<T>> {
        let Planned { at, rule, .. } = self.label?;
        let declared = self.schema.draft().columns.get(rule)?;
        let rule = self.rules[rule].as_ref()?;
        let mut found = Collector::new(limits.bad_cells);
        let column = declared.stem().to_owned();
        let mut refuse = |row: u32, reason| {
            found.push(|| table.bad_cell(row as usize, at, reason));
        };
        let labels = if let Column::Classes(classes) = declared {
            let class = |row: &u32| {
                rule.class(table.cell(*row as usize, at)).unwrap_or_else(|reason| {
                    refuse(*row, reason);
                    0
                })
            };
            let numbers = rows.iter().map(class).collect();
            Labels::Classes { column, names: classes.classes.clone(), numbers }
        } else {
            let value = |row: &u32| {
                let mut to = [T::default()];
                if let Err(reason) = rule.features(table.cell(*row as usize, at), &mut to) {
                    refuse(*row, reason);
                }
                to[0]
            };
            let values = rows.iter().map(value).collect();
            Labels::Numbers { column, fixed: self.schema.fixed_point(declared), values }
        };
        bad.merge(found);
        Some(labels)
    }

    /// The rows' identifiers, where the schema has one. Each occurs once.
    pub(super) fn identifiers(
        &self,
        table: &Table,
        rows: &[u32],
        limits: &Limits,
        bad: &mut Collector,
    ) -> Option<Vec<String>> {
        let at = self.identifier?;
        let markers = &self.schema.draft().missing_markers;
        let mut found = Collector::new(limits.bad_cells);
        let mut first_seen = HashMap::new();
        let mut identifiers = Vec::with_capacity(rows.len());
        for row in rows {
            let refused = match identifier(table.cell(*row as usize, at), markers) {
                Err(reason) => reason,
                Ok(identifier) => {
                    identifiers.push(identifier.clone());
                    match first_seen.insert(identifier, *row) {
                        None => continue,
                        Some(first) => Reason::DuplicateIdentifier {
                            first: table.row_of_file(first as usize) + 1,
                        },
                    }
                }
            };
            found.push(|| table.bad_cell(*row as usize, at, refused));
        }
        bad.merge(found);
        Some(identifiers)
    }
}

fn identifier(cell: Cell<'_>, markers: &[String]) -> Result<String, Reason> {
    match cell {
        Cell::Missing => Err(Reason::Missing),
        Cell::Text("") => Err(Reason::Empty),
        Cell::Text(text) if markers.iter().any(|marker| marker == text) => Err(Reason::Missing),
        Cell::Text(_) | Cell::Signed(_) | Cell::Unsigned(_) => Ok(cell.text().into_owned()),
        Cell::Bool(_) | Cell::Float(_) => Err(Reason::NotAnIdentifier),
    }
}

/// The block of a column of single bytes, none of them absent, and its place there.
fn bytes_of(table: &Table, at: usize) -> Option<(&DenseBlock, usize)> {
    match table.block(at) {
        (Block::Dense(block), column) if block.kind == NumberKind::U8 && block.absent.is_none() => {
            Some((block, column))
        }
        _ => None,
    }
}
