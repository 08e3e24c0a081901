//! The header of an NPY file: a Python dict with exactly the keys descr, fortran_order and shape.

use crate::FormatFault;
use crate::table::block::NumberKind;

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: NumberKind,
    pub(super) big_endian: bool,
    pub(super) fortran: bool,
    pub(super) rows: u64,
    pub(super) columns: u64,
    pub(super) one_dimension: bool,
}

impl Header {
    pub(super) fn parse(text: &[u8]) -> Result<Self, FormatFault> {
        let text = str::from_utf8(text).map_err(|_| unlike())?;
        let mut rest = Rest(text.strip_suffix('\n').unwrap_or(text));
        let (mut kind, mut fortran, mut shape) = (None, None, None);
        rest.expect("{")?;
        while !rest.accept("}") {
            match rest.string()? {
                "descr" if kind.is_none() => {
                    rest.expect(":")?;
                    kind = Some(number_kind(&mut rest)?);
                }
                "fortran_order" if fortran.is_none() => {
                    rest.expect(":")?;
                    fortran = Some(rest.accept("True") || !rest.expect("False")?);
                }
                "shape" if shape.is_none() => {
                    rest.expect(":")?;
                    shape = Some(rest.tuple()?);
                }
                _ => return Err(header("a key that does not belong there, or twice")),
            }
            if !rest.accept(",") {
                rest.expect("}")?;
                break;
            }
        }
        rest.end()?;
        let (Some((kind, big_endian)), Some(fortran), Some(shape)) = (kind, fortran, shape) else {
            return Err(header("descr, fortran_order or shape is not there"));
        };
        let (rows, columns, one_dimension) = match shape[..] {
            [rows] => (rows, 1, true),
            [rows, columns] => (rows, columns, false),
            _ => {
                let message = format!(
                    "an array of {} dimensions; reshape it to one row per record",
                    shape.len()
                );
                return Err(FormatFault::Unsupported(message));
            }
        };
        Ok(Self { kind, big_endian, fortran, rows, columns, one_dimension })
    }
}

/// `'<f8'`: order of bytes, kind, size.
fn number_kind(rest: &mut Rest<'_>) -> Result<(NumberKind, bool), FormatFault> {
    let refused = |what: &str| {
        let message = format!("an array of {what}; save it as f4, f8, integers or bool");
        Err(FormatFault::Unsupported(message))
    };
    if rest.peek("[") {
        return refused("records");
    }
    let text = rest.string()?;
    let kind = match text.get(1..).unwrap_or_default() {
        "b1" => NumberKind::Bool,
        "u1" => NumberKind::U8,
        "u2" => NumberKind::U16,
        "u4" => NumberKind::U32,
        "u8" => NumberKind::U64,
        "i1" => NumberKind::I8,
        "i2" => NumberKind::I16,
        "i4" => NumberKind::I32,
        "i8" => NumberKind::I64,
        "f4" => NumberKind::F32,
        "f8" => NumberKind::F64,
        "O" => return refused("Python objects"),
        _ => return refused("another kind of number, or text"),
    };
    match (text.as_bytes().first(), kind.bytes()) {
        (Some(b'|' | b'>'), 1) | (Some(b'<'), _) => Ok((kind, false)),
        (Some(b'>'), _) => Ok((kind, true)),
        _ => Err(header("descr does not say the order of bytes")),
    }
}

/// What is left to read.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn peek(&mut self, what: &str) -> bool {
        self.0 = self.0.trim_start_matches(' ');
        self.0.starts_with(what)
    }

    fn accept(&mut self, what: &str) -> bool {
        let there = self.peek(what);
        if there {
            self.0 = &self.0[what.len()..];
        }
        there
    }

    /// True, so that it can stand in a condition.
    fn expect(&mut self, what: &str) -> Result<bool, FormatFault> {
        if self.accept(what) { Ok(true) } else { Err(unlike()) }
    }

    /// A string without escapes, in quotes of either kind.
    fn string(&mut self) -> Result<&'a str, FormatFault> {
        let quote = if self.accept("'") {
            '\''
        } else {
            self.expect("\"")?;
            '"'
        };
        let (text, rest) = self.0.split_once(quote).ok_or_else(unlike)?;
        self.0 = rest;
        if text.contains('\\') { Err(unlike()) } else { Ok(text) }
    }

    /// `()`, `(3,)`, `(3, 4)`.
    fn tuple(&mut self) -> Result<Vec<u64>, FormatFault> {
        self.expect("(")?;
        let mut numbers = Vec::new();
        while !self.accept(")") {
            let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = self.0.split_at(digits);
            numbers.push(number.parse().map_err(|_| header("a dimension is no number"))?);
            self.0 = rest;
            if !self.accept(",") {
                // (3) is a number to Python, not a tuple.
                if numbers.len() == 1 {
                    return Err(unlike());
                }
                self.expect(")")?;
                break;
            }
        }
        Ok(numbers)
    }

    fn end(&mut self) -> Result<(), FormatFault> {
        self.peek("");
        if self.0.is_empty() { Ok(()) } else { Err(unlike()) }
    }
}

fn header(message: &str) -> FormatFault {
    FormatFault::Header(message.to_owned())
}

fn unlike() -> FormatFault {
    header("it is not the Python dict NumPy writes")
}
