//! Lists of byte strings in messages and objects: a count, then each with its length, 4 bytes
//! little-endian.

use crate::{Error, Result};

/// Writes byte strings, each with its length.
pub fn write_each(each: impl ExactSizeIterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
    let mut out = (each.len() as u32).to_le_bytes().to_vec();
    for bytes in each {
        let bytes = bytes.as_ref();
        out.extend((bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(bytes);
    }
    out
}

/// Reads byte strings, exactly so many.
pub fn read_each(bytes: &[u8], count: usize) -> Result<Vec<&[u8]>> {
    let (found, rest) = count_of(bytes)?;
    if found == count { strings(rest, count) } else { Err(WRONG) }
}

/// Reads byte strings, however many there are.
pub fn read_all(bytes: &[u8]) -> Result<Vec<&[u8]>> {
    let (count, rest) = count_of(bytes)?;
    strings(rest, count)
}

const WRONG: Error =
    Error::Field { field: "list", what: "cut short, too long, or not as many as there should be" };

fn count_of(bytes: &[u8]) -> Result<(usize, &[u8])> {
    let (count, rest) = bytes.split_first_chunk().ok_or(WRONG)?;
    Ok((u32::from_le_bytes(*count) as usize, rest))
}

fn strings(mut rest: &[u8], count: usize) -> Result<Vec<&[u8]>> {
    // Each takes four bytes at least: a count that is not so is not believed.
    if rest.len() / 4 < count {
        return Err(WRONG);
    }
    let mut each = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, bytes) = rest.split_first_chunk().ok_or(WRONG)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (one, others) = bytes.split_at_checked(length).ok_or(WRONG)?;
        each.push(one);
        rest = others;
    }
    if rest.is_empty() { Ok(each) } else { Err(WRONG) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_is_read() {
        let written = write_each([&b"ab"[..], b"", b"cde"].into_iter());
        assert_eq!(read_each(&written, 3).unwrap(), [&b"ab"[..], b"", b"cde"]);
        assert_eq!(read_all(&written).unwrap().len(), 3);
        assert!(read_each(&written, 2).is_err());
        for cut in 0..written.len() {
            assert!(read_each(&written[..cut], 3).is_err());
        }
        assert!(read_each(&[&written[..], b"x"].concat(), 3).is_err());
        assert!(read_each(&u32::MAX.to_le_bytes(), u32::MAX as usize).is_err());
    }
}
