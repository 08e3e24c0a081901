//! The bytes of a file: opened, gzip taken off, never more than allowed.

use crate::{Error, Format, FormatFault, Limits, Result};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

/// DEFLATE makes at most 1032 bytes of one: no length beyond that needs to be believed.
const MOST_PER_PACKED_BYTE: u64 = 1032;
/// Memory asked for at once on the word of a header, where the file is long enough for it to be
/// true.
const MOST_AT_ONCE: u64 = 64 << 20;

/// The unpacked bytes of one file, and who to blame.
pub(crate) struct Input<'a> {
    file: Arc<str>,
    format: Format,
    reader: Box<dyn Read + 'a>,
    /// Bytes left to read, or an upper bound of them if they are packed.
    left: u64,
    limit: u64,
    packed: bool,
}

/// An error on its way through [`io::Error`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Snag {
    #[error("limit of {0}")]
    Limit(&'static str, u64),
    #[error(transparent)]
    Fault(#[from] FormatFault),
}

impl<'a> Input<'a> {
    pub(crate) fn open(path: &Path, format: Format, limits: &Limits) -> Result<Self> {
        let file = path.display().to_string();
        let failed = |source| Error::Io { file: file.clone(), source };
        let opened = File::open(path).map_err(failed)?;
        let about = opened.metadata().map_err(failed)?;
        if !about.is_file() {
            return Err(failed(io::Error::other("not a regular file")));
        }
        Self::new(&file, opened, about.len(), format, limits)
    }

    pub(crate) fn from_bytes(
        name: &str,
        bytes: &'a [u8],
        format: Format,
        limits: &Limits,
    ) -> Result<Self> {
        Self::new(name, bytes, bytes.len() as u64, format, limits)
    }

    fn new(
        name: &str,
        mut reader: impl Read + 'a,
        length: u64,
        format: Format,
        limits: &Limits,
    ) -> Result<Self> {
        let file: Arc<str> = name.into();
        let mut start = Vec::new();
        reader
            .by_ref()
            .take(2)
            .read_to_end(&mut start)
            .map_err(|source| Error::Io { file: name.to_owned(), source })?;
        let packed = start == [0x1f, 0x8b];
        let whole = Cursor::new(start).chain(reader);
        let (reader, limit) = (Box::new(io::empty()), limits.bytes);
        let mut input = Self { file, format, reader, left: length, limit, packed };
        if packed {
            input.left = length.saturating_mul(MOST_PER_PACKED_BYTE);
            let inner = MultiGzDecoder::new(BufReader::with_capacity(1 << 16, whole));
            input.reader = Box::new(Unpacked { inner, limit: limits.bytes, done: 0 });
        } else if length > limits.bytes {
            return Err(input.limit("bytes", limits.bytes));
        } else {
            input.reader = Box::new(whole.take(length));
        }
        Ok(input)
    }

    pub(crate) fn file(&self) -> &Arc<str> {
        &self.file
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn fault(&self, fault: FormatFault) -> Error {
        Error::Format { file: self.file.to_string(), format: self.format, fault }
    }

    pub(crate) fn limit(&self, what: &'static str, limit: u64) -> Error {
        Error::Limit { file: self.file.to_string(), what, limit }
    }

    /// What an error of the reader says.
    pub(crate) fn blame(&self, error: io::Error) -> Error {
        match error.downcast::<Snag>() {
            Ok(Snag::Limit(what, limit)) => self.limit(what, limit),
            Ok(Snag::Fault(fault)) => self.fault(fault),
            Err(source) => Error::Io { file: self.file.to_string(), source },
        }
    }

    /// The next N bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.vec(N as u64)?;
        let found = bytes.len() as u64;
        bytes
            .try_into()
            .map_err(|_| self.fault(FormatFault::Truncated { expected: N as u64, found }))
    }

    /// The next so many bytes. What is declared is compared with the file's length before memory is
    /// asked for.
    pub(crate) fn vec(&mut self, declared: u64) -> Result<Vec<u8>> {
        if declared > self.limit {
            return Err(self.limit("bytes", self.limit));
        }
        if declared > self.left {
            let fault = FormatFault::Truncated { expected: declared, found: self.left };
            return Err(self.fault(fault));
        }
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(declared.min(MOST_AT_ONCE) as usize)
            .map_err(|_| self.limit("bytes in memory", declared))?;
        let read = self.reader.by_ref().take(declared).read_to_end(&mut bytes);
        read.map_err(|error| self.blame(error))?;
        self.left -= bytes.len() as u64;
        match bytes.len() as u64 {
            found if found < declared => {
                Err(self.fault(FormatFault::Truncated { expected: declared, found }))
            }
            _ => Ok(bytes),
        }
    }

    /// The rest of the file, which must have exactly the declared length.
    pub(crate) fn body(mut self, declared: u64) -> Result<Vec<u8>> {
        if !self.packed && declared < self.left {
            return Err(self.fault(FormatFault::Trailing(declared)));
        }
        let bytes = self.vec(declared)?;
        let mut more = [0];
        match self.reader.read(&mut more) {
            Ok(0) => Ok(bytes),
            Ok(_) => Err(self.fault(FormatFault::Trailing(declared))),
            Err(error) => Err(self.blame(error)),
        }
    }

    /// The rest of the file, however long.
    #[cfg(feature = "parquet")]
    pub(crate) fn rest(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.reader.read_to_end(&mut bytes);
        read.map_err(|error| self.blame(error))?;
        Ok(bytes)
    }

    /// The reader itself, for a format that is read as it comes.
    pub(crate) fn take_reader(&mut self) -> Box<dyn Read + 'a> {
        std::mem::replace(&mut self.reader, Box::new(io::empty()))
    }
}

/// Gzip taken off, with its errors named and a bound on what comes out.
struct Unpacked<R> {
    inner: MultiGzDecoder<R>,
    limit: u64,
    done: u64,
}

impl<R: io::BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                io::Error::other(Snag::Fault(FormatFault::Gzip("cut off")))
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                io::Error::other(Snag::Fault(FormatFault::Gzip("damaged")))
            }
            _ => error,
        })?;
        self.done += n as u64;
        if self.done > self.limit {
            return Err(io::Error::other(Snag::Limit("bytes unpacked", self.limit)));
        }
        Ok(n)
    }
}
