//! Correlations in a file: an offline phase before the online one.
//!
//! ```text
//! "dyad correlations" (17)  version (1)  used (1)  complete (1)
//! job (32)  nonces (32)  program (32)  check values of the seeds (32)
//! then frames, each with its length before it (4, little-endian) and the first bytes of its
//! SHA-256 behind (8)
//! ```
//!
//! No line stands between dealer and C1 here that would see a bit change on its way or on a disk,
//! and one that did would make all results wrong: so frames have a check.
//!
//! What a file holds masks one run and no other, so it is used once, and what says so is written
//! durably before its first byte is read: a mark in the file, and at each cloud an empty file named
//! by the attempt, which is made and never found there. C1's lies beside the correlations, C0's
//! where [`Party::offline`](crate::Party::offline) says. So a copy of the file is refused beside
//! the first, and elsewhere C0 refuses the attempt. What no mark forbids: that both clouds lose or
//! roll back theirs, and a copy used by a C1 whose C0 was told to keep marks in another place.

use super::{Correlations, Sink, told};
use crate::contract::{Contract, beginning, same_trace};
use crate::error::{Error, Op, Result, Who};
use crate::files::{create_private, folder, sync_folder};
use crate::link::MAX_FRAME;
use crate::prg::{Attempt, Party as Side};
use crate::wire::{self, Header, Kind, VERSION, piece_words, pieces};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const NAME: &[u8; 17] = b"dyad correlations";
const USED_AT: u64 = NAME.len() as u64 + 1;
const COMPLETE_AT: u64 = USED_AT + 1;
const HEAD: usize = SEEDS_AT + 32;
const PROGRAM_AT: usize = NAME.len() + 3 + 32 + 32;
const SEEDS_AT: usize = PROGRAM_AT + 32;

/// Writes a file.
pub struct FileSink {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
}

fn head(Contract { attempt, program, seeds: [seed_0, seed_1] }: &Contract) -> Vec<u8> {
    let [nonce_0, nonce_1] = &attempt.nonces;
    let flags = [VERSION as u8, 0, 0];
    [&NAME[..], &flags, &attempt.job, nonce_0, nonce_1, program, seed_0, seed_1].concat()
}

/// What stands behind a frame.
fn check(frame: &[u8]) -> [u8; 8] {
    let digest = Sha256::digest(frame);
    std::array::from_fn(|i| digest[i])
}

fn wrong(path: &Path, what: impl Into<String>) -> Error {
    Error::Correlations { path: path.display().to_string(), what: what.into() }
}

/// Makes a file in `place` that says that a cloud used this attempt, durably, or finds it there.
pub(crate) fn mark_used(place: &Path, attempt: &Attempt, side: Side) -> Result<()> {
    // The nonces name the attempt; beginnings of both are enough to tell any two apart.
    let [nonce_0, nonce_1] = attempt.nonces.map(|nonce| beginning(&nonce));
    let path = place.join(format!("attempt-{nonce_0}{nonce_1}.used-by-{side}"));
    let made = create_private(&path).and_then(|mark| {
        mark.sync_all()?;
        // Its name, too, must survive.
        sync_folder(place)
    });
    made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            let what =
                "this attempt has been used already, and masks are used once: start a new one";
            wrong(&path, what)
        }
        _ => wrong(&path, error.to_string()),
    })
}

impl FileSink {
    /// A new file, readable by its owner alone; refuses to write over another.
    pub fn create(path: &Path, contract: &Contract) -> Result<Self> {
        let file = create_private(path).map_err(|error| wrong(path, error.to_string()))?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(&head(contract)).map_err(|error| wrong(path, error.to_string()))?;
        Ok(Self { path: path.to_owned(), file, bytes: 0 })
    }
}

impl Sink for FileSink {
    /// The file's head says it all.
    fn greet(&mut self, _: &Contract) -> Result<()> {
        Ok(())
    }

    fn step(&mut self, _: Op) -> Result<()> {
        Ok(())
    }

    fn put(&mut self, _: Op, frame: Bytes) -> Result<()> {
        self.bytes += frame.len() as u64;
        self.file
            .write_all(&(frame.len() as u32).to_le_bytes())
            .and_then(|()| self.file.write_all(&frame))
            .and_then(|()| self.file.write_all(&check(&frame)))
            .map_err(|error| wrong(&self.path, error.to_string()))
    }

    fn agree(&mut self, op: Op, trace: [u8; 32]) -> Result<()> {
        let (header, words) = told(op, &trace);
        self.put(op, header.frame(&words))
    }

    /// Marks the file complete, durably.
    fn finish(&mut self) -> Result<()> {
        let path = &self.path;
        let mark = |file: &mut BufWriter<File>| {
            file.flush()?;
            let file = file.get_mut();
            file.sync_all()?;
            file.seek(SeekFrom::Start(COMPLETE_AT))?;
            file.write_all(&[1])?;
            file.sync_all()
        };
        mark(&mut self.file).map_err(|error| wrong(path, error.to_string()))
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Reads a file, once.
#[derive(Debug)]
pub struct FileSource<R = BufReader<File>> {
    path: PathBuf,
    file: R,
    contract: Contract,
}

/// Is this the head of a file of this contract that nobody has read?
fn check_head(path: &Path, found: &[u8; HEAD], contract: &Contract) -> Result<()> {
    let expected = head(contract);
    let (used, complete) = (found[USED_AT as usize], found[COMPLETE_AT as usize]);
    if found[..NAME.len()] != expected[..NAME.len()] {
        return Err(wrong(path, "it is no such file"));
    }
    if found[NAME.len()] != expected[NAME.len()] {
        let theirs = found[NAME.len()];
        return Err(wrong(path, format!("it has version {theirs}, this is version {VERSION}")));
    }
    if found[PROGRAM_AT..SEEDS_AT] != expected[PROGRAM_AT..SEEDS_AT] {
        return Err(wrong(path, "it was dealt for another program: deal it with this release"));
    }
    if found[NAME.len() + 3..PROGRAM_AT] != expected[NAME.len() + 3..PROGRAM_AT] {
        return Err(wrong(path, "it was dealt for another job or another attempt"));
    }
    if found[SEEDS_AT..] != expected[SEEDS_AT..] {
        return Err(wrong(path, "it was dealt with other seeds: have seeds and file sent anew"));
    }
    if used != 0 {
        let what = "it has been read already, and masks are used once: start a new attempt";
        return Err(wrong(path, what));
    }
    if complete != 1 {
        return Err(wrong(path, "the dealer did not finish it: have it dealt anew"));
    }
    Ok(())
}

impl FileSource {
    /// Opens the file of this attempt and marks it used, durably, before anything is read.
    pub fn open(path: &Path, contract: &Contract) -> Result<Self> {
        let failed = |error: std::io::Error| wrong(path, error.to_string());
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        // One reader at a time: between reading the mark and setting it nobody else may.
        file.try_lock().map_err(|_| wrong(path, "it is being read by somebody else"))?;
        let mut found = [0; HEAD];
        file.read_exact(&mut found).map_err(|_| wrong(path, "it is too short to be one"))?;
        check_head(path, &found, contract)?;
        mark_used(folder(path), &contract.attempt, Side::One)?;
        file.seek(SeekFrom::Start(USED_AT)).map_err(failed)?;
        file.write_all(&[1]).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        file.seek(SeekFrom::Start(HEAD as u64)).map_err(failed)?;
        let file = BufReader::with_capacity(1 << 20, file);
        Ok(Self { path: path.to_owned(), file, contract: *contract })
    }
}

/// Without marks, so it can be read again and again: for tests of the decoding alone.
#[cfg(any(test, feature = "testkit"))]
impl FileSource<std::io::Cursor<Vec<u8>>> {
    /// A file's bytes.
    pub fn unmarked(bytes: Vec<u8>, contract: &Contract) -> Result<Self> {
        let path = PathBuf::from("(bytes)");
        let found = bytes.first_chunk().ok_or_else(|| wrong(&path, "it is too short to be one"))?;
        check_head(&path, found, contract)?;
        let mut file = std::io::Cursor::new(bytes);
        file.set_position(HEAD as u64);
        Ok(Self { path, file, contract: *contract })
    }
}

impl<R: Read> FileSource<R> {
    /// The next frame, which is this one.
    fn frame(&mut self, op: Op, expected: Header) -> Result<Bytes> {
        let mut length = [0; 4];
        self.file
            .read_exact(&mut length)
            .map_err(|_| wrong(&self.path, format!("it ends before {op}")))?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_FRAME {
            return Err(wrong(&self.path, "it is damaged"));
        }
        let mut frame = Vec::new();
        let read = (&mut self.file).take(length as u64).read_to_end(&mut frame);
        if !read.is_ok_and(|read| read == length) {
            return Err(wrong(&self.path, format!("it ends within {op}")));
        }
        let mut behind = [0; 8];
        self.file
            .read_exact(&mut behind)
            .map_err(|_| wrong(&self.path, format!("it ends within {op}")))?;
        if behind != check(&frame) {
            return Err(wrong(&self.path, format!("it is damaged at {op}: have it dealt anew")));
        }
        let opened = expected.open(&frame.into());
        opened.map_err(|got| wrong(&self.path, format!("it has {got} where {op} needs {expected}")))
    }
}

impl<R: Read + Send> Correlations for FileSource<R> {
    /// The file's head was compared with what it was opened for; this is what the run is.
    fn greet(&mut self, contract: &Contract) -> Result<()> {
        if *contract == self.contract {
            return Ok(());
        }
        Err(wrong(&self.path, "it was opened for another attempt, program or seed than this run's"))
    }

    fn offline(&self) -> bool {
        true
    }

    fn step(&mut self, _: Op) -> Result<()> {
        Ok(())
    }

    fn take(&mut self, op: Op, shape: u32, words: usize) -> Result<Vec<Bytes>> {
        let header = Header::new(Kind::Dealt, op, shape, 0);
        let one = |piece| self.frame(op, header.piece(piece, piece_words(words, piece)));
        (0..pieces(words)).map(one).collect()
    }

    fn agree(&mut self, op: Op, trace: [u8; 32]) -> Result<()> {
        let (header, mine) = told(op, &trace);
        let theirs = wire::all_words(&self.frame(op, header)?);
        same_trace(&Who::new("C1", &self.contract.attempt.job), op, "the dealer", &theirs, &mine)
    }
}
