//! A look at the file's metadata before the parser sees it: the parser follows nested columns
//! without end, and a file can nest them until the stack is used up. Only flat files go through.

use super::thrift::{Field, Thrift};
use crate::FormatFault;

const MAGIC: &[u8] = b"PAR1";
/// The length of the metadata and the magic number, at the end.
const TAIL: usize = 8;

/// Refuses a file whose columns are not flat, or whose metadata is not what Thrift writes.
pub(super) fn check(bytes: &[u8]) -> Result<(), FormatFault> {
    let metadata = metadata(bytes).ok_or_else(|| {
        FormatFault::Header("the metadata at its end is not there or cut off".to_owned())
    })?;
    match is_flat(&mut Thrift::new(metadata)) {
        Some(true) => Ok(()),
        Some(false) => Err(FormatFault::Unsupported(
            "it holds lists or records; write columns of numbers or text".to_owned(),
        )),
        None => Err(FormatFault::Header("the metadata at its end is damaged".to_owned())),
    }
}

fn metadata(bytes: &[u8]) -> Option<&[u8]> {
    let (before, tail) = bytes.split_at_checked(bytes.len().checked_sub(TAIL)?)?;
    let (length, magic) = tail.split_first_chunk::<4>()?;
    let start = before.len().checked_sub(u32::from_le_bytes(*length) as usize)?;
    if magic == MAGIC { before.get(start..) } else { None }
}

/// Reads all of the metadata. The second field is the schema: a tree, written from its root, each
/// node with the number of its children. In a flat file only the root has some.
fn is_flat(thrift: &mut Thrift<'_>) -> Option<bool> {
    let mut parents = 0;
    thrift.fields(0, &mut |thrift, id, field| match (id, field) {
        (2, Field::List) => thrift.list(1, &mut |thrift, _| {
            let mut children = 0;
            thrift.fields(2, &mut |thrift, id, field| match (id, field) {
                (5, Field::Number) => thrift.number_to(&mut children),
                (_, field) => thrift.pass(field, 3),
            })?;
            parents += u32::from(children != 0);
            Some(())
        }),
        (_, field) => thrift.pass(field, 1),
    })?;
    Some(parents <= 1)
}
