//! A table as CSV, so that the pieces of a split can be handed out as files.

use super::{Cell, Table};
use crate::{Error, Result};
use std::io::Write;

impl Table {
    /// Writes the table as CSV with a header. Missing cells are written as the marker, which should
    /// be one the schema declares; text that equals the marker is then missing too.
    pub fn write_csv(&self, to: impl Write, missing: &str) -> Result<()> {
        let failed = |error: csv::Error| Error::Io {
            file: self.file().to_owned(),
            source: std::io::Error::other(error),
        };
        let mut writer = csv::WriterBuilder::new().from_writer(to);
        writer.write_record(self.names()).map_err(failed)?;
        for row in 0..self.rows {
            for column in 0..self.width() {
                let cell = self.cell(row, column);
                let text = if cell == Cell::Missing { missing.into() } else { cell.text() };
                writer.write_field(&*text).map_err(failed)?;
            }
            writer.write_record(None::<&[u8]>).map_err(failed)?;
        }
        writer.flush().map_err(|source| Error::Io { file: self.file().to_owned(), source })
    }
}
