//! Thrift's compact encoding, as far as it takes to find numbers in a header and its end. Every
//! call gives nothing if the bytes are not of that encoding, or nested deeper than headers are.

/// Structs and lists within one another: a file's metadata has about ten.
const DEEPEST: u32 = 24;

/// The kinds of Thrift's fields, as far as passing over them goes.
#[derive(Clone, Copy)]
pub(super) enum Field {
    /// true or false: nothing follows.
    Flag,
    Byte,
    /// 16, 32 or 64 bits, of variable length.
    Number,
    Double,
    Binary,
    List,
    Struct,
}

/// Bytes still to read.
pub(super) struct Thrift<'a>(&'a [u8]);

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn skip(&mut self, count: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut x = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            x |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(x);
            }
        }
        None
    }

    /// Zigzag: 0, -1, 1, -2, ...
    pub(super) fn number(&mut self) -> Option<i64> {
        let x = self.unsigned()?;
        Some((x >> 1) as i64 ^ -((x & 1) as i64))
    }

    pub(super) fn number_to(&mut self, to: &mut i64) -> Option<()> {
        *to = self.number()?;
        Some(())
    }

    /// Calls `each` for the fields of a struct; it must read or pass over each.
    pub(super) fn fields(
        &mut self,
        depth: u32,
        each: &mut dyn FnMut(&mut Self, i64, Field) -> Option<()>,
    ) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        let mut id = 0i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            id = match head >> 4 {
                0 => self.number()?,
                step => id.checked_add(step.into())?,
            };
            let field = field_kind(head & 0x0f)?;
            each(self, id, field)?;
        }
    }

    pub(super) fn pass(&mut self, field: Field, depth: u32) -> Option<()> {
        match field {
            Field::Flag => Some(()),
            Field::Byte => self.skip(1),
            Field::Number => self.number().map(|_| ()),
            Field::Double => self.skip(8),
            Field::Binary => {
                let length = self.unsigned()?;
                self.skip(length)
            }
            Field::Struct => {
                self.fields(depth, &mut |thrift, _, field| thrift.pass(field, depth + 1))
            }
            Field::List => self.list(depth, &mut |thrift, field| thrift.pass(field, depth + 1)),
        }
    }

    /// Calls `each` for the members of a list; it must read or pass over each.
    pub(super) fn list(
        &mut self,
        depth: u32,
        each: &mut dyn FnMut(&mut Self, Field) -> Option<()>,
    ) -> Option<()> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.unsigned()? } else { (head >> 4).into() };
        if depth > DEEPEST || count > self.0.len() as u64 {
            return None;
        }
        if count == 0 {
            return Some(());
        }
        let field = match field_kind(head & 0x0f)? {
            // In a list, flags are bytes.
            Field::Flag => Field::Byte,
            field => field,
        };
        (0..count).try_for_each(|_| each(self, field))
    }
}

fn field_kind(code: u8) -> Option<Field> {
    Some(match code {
        1 | 2 => Field::Flag,
        3 => Field::Byte,
        4..=6 => Field::Number,
        7 => Field::Double,
        8 => Field::Binary,
        9 | 10 => Field::List,
        12 => Field::Struct,
        _ => return None,
    })
}
