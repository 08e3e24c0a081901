//! What is sent, as it is sent: written before the first byte of it leaves, so that going on after
//! a break sends the very same bytes. A seed or a blind drawn anew would give other shares.
//!
//! ```text
//! c0, c1   SLOTS chunks each, chunk i in slot i mod SLOTS: pseudonyms, then the sealed part
//! index    "dyad spool 1\n", bytes of a slot for C0 and C1; per chunk: lengths and digests for both
//! ```
//!
//! A chunk's entry in the index is written behind its bytes, and before anything of it is sent: what
//! has no entry was never sent and is made anew. A slot is written over only when both clouds have
//! stored the chunk that was in it; so the folder stays small however large the upload is. The
//! newest chunks stay in memory besides, and are sent from there. After a
//! crash slots may lack what the index knows: chunks of another run are held against their digests.
//! Nothing here is readable for anybody but the clouds, each its own part.

use crate::error::{Error, Result, request};
use crate::home::{self, owner_only};
use bytes::Bytes;
use dyad_protos::upload::chunk_digest;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const HEAD: &[u8] = b"dyad spool 1\n";
const HEADER: usize = HEAD.len() + 2 * 8;
const INDEX: &str = "index";
const PARTS: [&str; 2] = ["c0", "c1"];
/// Chunks that are kept: made, and not known to be stored by both clouds.
pub(crate) const SLOTS: u32 = 32;
/// Chunks that stay in memory.
const RECENT: usize = 8;
/// Bytes of a chunk in the index: for each cloud pseudonyms, part, digest.
const ENTRY: usize = 2 * (4 + 4 + 32);

/// A chunk, sealed.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    /// Of its rows.
    pub(crate) pseudonyms: Bytes,
    /// For C0 and C1.
    pub(crate) parts: [Bytes; 2],
    digests: [[u8; 32]; 2],
}

impl Sealed {
    /// A chunk of an upload.
    #[must_use]
    pub(crate) fn new(
        upload: &[u8; 32],
        index: u32,
        pseudonyms: Vec<u8>,
        parts: [Vec<u8>; 2],
    ) -> Self {
        let digest = |part: &Vec<u8>| chunk_digest(upload, index, &pseudonyms, part);
        let digests = [digest(&parts[0]), digest(&parts[1])];
        Self { pseudonyms: pseudonyms.into(), parts: parts.map(Bytes::from), digests }
    }
}

/// Where a chunk for one cloud is, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Half {
    pseudonyms: u32,
    part: u32,
    digest: [u8; 32],
}

impl Half {
    const fn bytes(&self) -> u64 {
        self.pseudonyms as u64 + self.part as u64
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (pseudonyms, rest) = bytes.split_first_chunk()?;
        let (part, digest) = rest.split_first_chunk()?;
        Some(Self {
            pseudonyms: u32::from_le_bytes(*pseudonyms),
            part: u32::from_le_bytes(*part),
            digest: digest.try_into().ok()?,
        })
    }
}

/// The spool of one upload.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    upload: [u8; 32],
    state: Mutex<State>,
    /// Chunks before this one were made by another run of this program.
    doubted: u32,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes of a slot, once the first chunk is there.
    slots: Option<[u64; 2]>,
    entries: Vec<[Half; 2]>,
    /// The newest ones.
    recent: VecDeque<Sealed>,
}

impl Spool {
    /// Opens one, or begins it.
    pub(crate) fn open(folder: &Path, upload: &[u8; 32]) -> Result<Self> {
        home::make_folder(folder)?;
        let path = folder.join(INDEX);
        let state = match home::read(&path)? {
            Some(index) if index.len() >= HEADER => {
                State::read(&index).ok_or_else(|| Error::damaged(&path, "it cannot be read"))?
            }
            _ => State::default(),
        };
        let doubted = state.entries.len() as u32;
        Ok(Self { folder: folder.to_owned(), upload: *upload, state: Mutex::new(state), doubted })
    }

    fn with<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many chunks were made: the next has this number.
    pub(crate) fn made(&self) -> u32 {
        self.with(|state| state.entries.len() as u32)
    }

    /// Digests of all chunks that were made, as a cloud is sent them.
    pub(crate) fn digests(&self, cloud: usize) -> Vec<[u8; 32]> {
        self.with(|state| state.entries.iter().map(|entry| entry[cloud].digest).collect())
    }

    /// The first chunk that is still here.
    pub(crate) fn first(&self) -> u32 {
        self.made().saturating_sub(SLOTS)
    }

    /// The next chunk. Both clouds must have stored all that were made [`SLOTS`] before it.
    pub(crate) fn push(&self, chunk: Sealed) -> Result<()> {
        let half = |cloud: usize| Half {
            pseudonyms: chunk.pseudonyms.len() as u32,
            part: chunk.parts[cloud].len() as u32,
            digest: chunk.digests[cloud],
        };
        let entry = [half(0), half(1)];
        let (number, slots) = self.with(|state| (state.entries.len() as u32, state.slots));
        // The first chunk is the longest.
        let slots = slots.unwrap_or_else(|| entry.map(|half| half.bytes().next_multiple_of(4096)));
        if entry.iter().zip(slots).any(|(half, slot)| half.bytes() > slot) {
            return request("a chunk is longer than the first one: withdraw the upload");
        }
        for cloud in 0..2 {
            let mut file = self.part(cloud, true)?;
            let at = u64::from(number % SLOTS) * slots[cloud];
            let written = file
                .seek(SeekFrom::Start(at))
                .and_then(|_| file.write_all(&chunk.pseudonyms))
                .and_then(|()| file.write_all(&chunk.parts[cloud]));
            written.map_err(|error| Error::file(&self.folder.join(PARTS[cloud]), error))?;
        }
        self.note(number, slots, &entry)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.slots = Some(slots);
        state.entries.push(entry);
        if state.recent.len() == RECENT {
            state.recent.pop_front();
        }
        state.recent.push_back(chunk);
        Ok(())
    }

    /// A chunk's entry. An entry that a crash cut short is written over.
    fn note(&self, number: u32, slots: [u64; 2], entry: &[Half; 2]) -> Result<()> {
        let path = self.folder.join(INDEX);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        owner_only(&mut options);
        let mut bytes = Vec::with_capacity(HEADER + ENTRY);
        let at = match number {
            0 => {
                bytes.extend_from_slice(HEAD);
                bytes.extend(slots.iter().flat_map(|slot| slot.to_le_bytes()));
                0
            }
            number => HEADER as u64 + u64::from(number) * ENTRY as u64,
        };
        for half in entry {
            bytes.extend(half.pseudonyms.to_le_bytes());
            bytes.extend(half.part.to_le_bytes());
            bytes.extend(half.digest);
        }
        let written = options.open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&bytes)
        });
        written.map_err(|error| Error::file(&path, error))
    }

    /// A chunk as a cloud is sent it: pseudonyms, and its part.
    pub(crate) fn chunk(&self, cloud: usize, index: u32) -> Result<(Bytes, Bytes)> {
        let recent = self.with(|state| {
            let from_end = state.entries.len().checked_sub(index as usize)?;
            let chunk = state.recent.get(state.recent.len().checked_sub(from_end)?)?;
            Some((chunk.pseudonyms.clone(), chunk.parts[cloud].clone()))
        });
        if let Some(recent) = recent {
            return Ok(recent);
        }
        let found = self
            .with(|state| Some((state.slots?[cloud], state.entries.get(index as usize)?[cloud])));
        let path = self.folder.join(PARTS[cloud]);
        let lost = |what: &str| {
            let what = format!("{what}; withdraw the upload and upload the file anew");
            Error::damaged(&path, what)
        };
        let Some((slot, half)) = found.filter(|_| index >= self.first()) else {
            return Err(lost("a chunk is asked for that is not here any more"));
        };
        let mut file = self.part(cloud, false)?;
        let mut pseudonyms = vec![0; half.pseudonyms as usize];
        let mut part = vec![0; half.part as usize];
        let read = file
            .seek(SeekFrom::Start(u64::from(index % SLOTS) * slot))
            .and_then(|_| file.read_exact(&mut pseudonyms))
            .and_then(|()| file.read_exact(&mut part));
        read.map_err(|error| Error::file(&path, error))?;
        let doubted = index < self.doubted;
        if doubted && chunk_digest(&self.upload, index, &pseudonyms, &part) != half.digest {
            return Err(lost("a crash has left less of it than was written"));
        }
        Ok((pseudonyms.into(), part.into()))
    }

    fn part(&self, cloud: usize, write: bool) -> Result<File> {
        let path = self.folder.join(PARTS[cloud]);
        let mut options = OpenOptions::new();
        options.read(!write).write(write).create(write).truncate(false);
        owner_only(&mut options);
        options.open(&path).map_err(|error| Error::file(&path, error))
    }
}

impl State {
    fn read(index: &[u8]) -> Option<Self> {
        let rest = index.strip_prefix(HEAD)?;
        let (slot_0, rest) = rest.split_first_chunk()?;
        let (slot_1, rest) = rest.split_first_chunk()?;
        // What is left at the end is an entry that was cut short.
        let (entries, _) = rest.as_chunks::<ENTRY>();
        let entry = |entry: &[u8; ENTRY]| {
            let (zero, one) = entry.split_at(ENTRY / 2);
            Some([Half::read(zero)?, Half::read(one)?])
        };
        Some(Self {
            slots: Some([u64::from_le_bytes(*slot_0), u64::from_le_bytes(*slot_1)]),
            entries: entries.iter().map(entry).collect::<Option<_>>()?,
            recent: VecDeque::new(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    const UPLOAD: [u8; 32] = [5; 32];

    fn chunk(index: u32) -> Sealed {
        let parts = [vec![index as u8; 7], vec![!index as u8; 5000 - index as usize]];
        Sealed::new(&UPLOAD, index, vec![index as u8; 32], parts)
    }

    fn holds(spool: &Spool, index: u32) {
        let Sealed { pseudonyms, parts, digests } = chunk(index);
        for (cloud, part) in parts.into_iter().enumerate() {
            assert_eq!(spool.chunk(cloud, index).unwrap(), (pseudonyms.clone(), part), "{index}");
            assert_eq!(spool.digests(cloud)[index as usize], digests[cloud]);
        }
    }

    fn bytes(folder: &Path) -> u64 {
        let files = fs::read_dir(folder).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    }

    #[test]
    fn the_same_bytes_after_a_break() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), &UPLOAD).unwrap();
        (0..5).for_each(|index| spool.push(chunk(index)).unwrap());
        (0..5).for_each(|index| holds(&spool, index));
        // Another run of the program.
        let spool = Spool::open(folder.path(), &UPLOAD).unwrap();
        assert_eq!((spool.made(), spool.first()), (5, 0));
        (0..5).for_each(|index| holds(&spool, index));
        spool.push(chunk(5)).unwrap();
        holds(&spool, 5);
    }

    #[test]
    fn the_folder_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), &UPLOAD).unwrap();
        (0..SLOTS).for_each(|index| spool.push(chunk(index)).unwrap());
        let full = bytes(folder.path());
        (SLOTS..4 * SLOTS).for_each(|index| spool.push(chunk(index)).unwrap());
        let more = u64::from(3 * SLOTS) * ENTRY as u64;
        assert_eq!(bytes(folder.path()), full + more);
        assert_eq!(spool.first(), 3 * SLOTS);
        assert!(spool.chunk(0, 3 * SLOTS - 1).is_err());
        (3 * SLOTS..4 * SLOTS).for_each(|index| holds(&spool, index));
        assert_eq!(spool.digests(1).len() as u32, 4 * SLOTS);
    }

    #[test]
    fn an_entry_that_was_cut_short_was_never_sent() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), &UPLOAD).unwrap();
        (0..3).for_each(|index| spool.push(chunk(index)).unwrap());
        let index = folder.path().join(INDEX);
        let whole = fs::read(&index).unwrap();
        for cut in [0, 5, HEADER, HEADER + 2 * ENTRY + 1, HEADER + 3 * ENTRY - 1] {
            fs::write(&index, &whole[..cut]).unwrap();
            let spool = Spool::open(folder.path(), &UPLOAD).unwrap();
            let made = cut.saturating_sub(HEADER) / ENTRY;
            assert_eq!(spool.made() as usize, made);
            (made as u32..3).for_each(|index| spool.push(chunk(index)).unwrap());
            (0..3).for_each(|index| holds(&spool, index));
            assert_eq!(fs::read(&index).unwrap(), whole);
        }
    }

    #[test]
    fn what_a_crash_has_lost_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), &UPLOAD).unwrap();
        (0..3).for_each(|index| spool.push(chunk(index)).unwrap());
        let path = folder.path().join(PARTS[1]);
        let mut part = fs::read(&path).unwrap();
        part[8192 + 40] ^= 1;
        fs::write(&path, part).unwrap();
        let spool = Spool::open(folder.path(), &UPLOAD).unwrap();
        let good: Vec<_> = (0..3).map(|index| spool.chunk(1, index).is_ok()).collect();
        assert_eq!(good, [true, false, true]);
        assert!(matches!(spool.chunk(1, 1), Err(Error::Damaged { .. })));
        holds(&spool, 0);
    }
}
