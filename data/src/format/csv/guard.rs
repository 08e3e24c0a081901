//! Rules of RFC 4180 that the parser behind does not enforce: it takes a file that ends inside a
//! quoted cell, and passes over empty lines.

use crate::FormatFault;
use crate::source::Snag;
use std::io::{self, Read};

const LONE_RETURN: &str = "a carriage return alone; end lines with LF or CRLF";

/// Passes bytes through and stops at the first that breaks a rule.
pub(super) struct Guard<R> {
    inner: R,
    separator: u8,
    state: State,
    /// Where we are, both counted from 1.
    line: u64,
    cell: u64,
    /// Cells a line may have: the parser keeps where each ends until the line is over.
    columns: u32,
    /// Where the quoted cell we are in begins.
    opened: u64,
    /// Nothing but line ends since the last record.
    empty: bool,
    blank: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte of a cell.
    Start,
    /// In a cell without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote that ends the cell, unless another follows.
    Closed,
    /// Behind a carriage return.
    Return,
}

impl<R: Read> Guard<R> {
    pub(super) fn new(inner: R, separator: u8, columns: u32) -> Self {
        let (line, cell, opened) = (1, 1, 1);
        let (state, empty, blank) = (State::Start, true, None);
        Self { inner, separator, state, line, cell, columns, opened, empty, blank }
    }

    /// The first empty line, if there was one. Only at the end of a file does it come this far.
    pub(super) fn blank(&self) -> Option<u64> {
        self.blank
    }

    fn step(&mut self, byte: u8) -> Result<(), Snag> {
        if !matches!(byte, b'\r' | b'\n') {
            if let Some(line) = self.blank {
                return Err(text(line, 1, "an empty line between records; remove it").into());
            }
            self.empty = false;
        }
        self.state = match (self.state, byte) {
            (State::Start, b'"') => {
                self.opened = self.line;
                State::Quoted
            }
            (State::Quoted, b'"') => State::Closed,
            (State::Quoted, b'\n') => {
                self.line += 1;
                State::Quoted
            }
            (State::Quoted, _) | (State::Closed, b'"') => State::Quoted,
            (_, b'\n') => {
                if self.empty {
                    self.blank.get_or_insert(self.line);
                }
                (self.line, self.cell, self.empty) = (self.line + 1, 1, true);
                State::Start
            }
            (State::Return, _) => return Err(self.here(LONE_RETURN).into()),
            (_, b'\r') => State::Return,
            (_, byte) if byte == self.separator => {
                self.cell += 1;
                if self.cell > self.columns.into() {
                    return Err(Snag::Limit("columns", self.columns.into()));
                }
                State::Start
            }
            (State::Closed, _) => {
                let what = "text behind a closing quote; double quotes inside a cell";
                return Err(self.here(what).into());
            }
            (_, b'"') => {
                let what =
                    "a quote inside a cell without quotes; put the cell in quotes and double it";
                return Err(self.here(what).into());
            }
            _ => State::Plain,
        };
        Ok(())
    }

    fn end(&self) -> Result<(), Snag> {
        match self.state {
            State::Quoted => Err(text(
                self.opened,
                self.cell,
                "the file ends inside the quotes opened here; it is cut off or lacks the closing quote",
            )
            .into()),
            State::Return => Err(self.here(LONE_RETURN).into()),
            _ => Ok(()),
        }
    }

    fn here(&self, what: &'static str) -> FormatFault {
        text(self.line, self.cell, what)
    }
}

pub(super) fn text(line: u64, cell: u64, what: &'static str) -> FormatFault {
    FormatFault::Text { line, cell, what }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let checked = match n {
            0 if buffer.is_empty() => Ok(()),
            0 => self.end(),
            _ => buffer[..n].iter().try_for_each(|byte| self.step(*byte)),
        };
        checked.map_err(io::Error::other)?;
        Ok(n)
    }
}
