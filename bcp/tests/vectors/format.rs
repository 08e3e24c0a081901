//! Numbers, bytes and encodings as the file's "about" describes them, without the crate.

use num_bigint::BigUint;
use num_traits::One;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub(crate) fn text(x: &Value) -> &str {
    x.as_str().expect("a string")
}

pub(crate) fn list(x: &Value) -> &[Value] {
    x.as_array().expect("a list")
}

pub(crate) fn index(x: &Value) -> usize {
    x.as_u64().expect("an index") as usize
}

pub(crate) fn number(x: &Value) -> BigUint {
    BigUint::parse_bytes(text(x).as_bytes(), 16).expect("a hexadecimal number")
}

pub(crate) fn hex(x: &BigUint) -> String {
    x.to_str_radix(16)
}

pub(crate) fn hex_bytes(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

pub(crate) fn bytes(x: &Value) -> Vec<u8> {
    let digits = text(x);
    assert!(digits.len().is_multiple_of(2), "two digits a byte");
    let byte = |i: usize| u8::from_str_radix(&digits[i..i + 2], 16).expect("hexadecimal");
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// The stream of a set.
pub(crate) struct Stream<'a>(pub(crate) &'a str);

impl Stream<'_> {
    /// Below the bound.
    pub(crate) fn number(&self, label: &str, bound: &BigUint) -> BigUint {
        let block = |i: u32| {
            let hash = Sha256::new_with_prefix(b"dyad-bcp vectors v1\0");
            let hash = hash.chain_update(self.0).chain_update([0]).chain_update(label);
            hash.chain_update([0]).chain_update(i.to_be_bytes()).finalize()
        };
        let len = bound.bits().div_ceil(8) as usize + 16;
        let bytes: Vec<u8> = (0..).flat_map(block).take(len).collect();
        BigUint::from_bytes_be(&bytes) % bound
    }

    /// In [1, N²/2).
    pub(crate) fn exponent(&self, label: &str, n: &BigUint) -> BigUint {
        self.number(label, &(((n * n) >> 1u8) - 1u8)) + BigUint::one()
    }
}

/// An encoding in the making.
pub(crate) struct Encoding {
    bits: usize,
    bytes: Vec<u8>,
}

impl Encoding {
    pub(crate) fn new(kind: u8, bits: usize) -> Self {
        let [high, low] = (bits as u16).to_be_bytes();
        Self { bits, bytes: vec![kind, 1, high, low] }
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    /// A number of so many bits.
    pub(crate) fn number(mut self, x: &BigUint, bits: usize) -> Self {
        let (x, len) = (x.to_bytes_be(), bits.div_ceil(8));
        self.bytes.resize(self.bytes.len() + len - x.len(), 0);
        self.bytes(&x)
    }

    /// A residue modulo N².
    pub(crate) fn residue(self, x: &BigUint) -> Self {
        let bits = 2 * self.bits;
        self.number(x, bits)
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.bytes
    }
}

pub(crate) fn params_bytes(bits: usize, n: &BigUint, g: &BigUint) -> Vec<u8> {
    Encoding::new(1, bits).number(n, bits).residue(g).done()
}

pub(crate) fn params_id(bits: usize, n: &BigUint, g: &BigUint) -> Vec<u8> {
    let hash = Sha256::new_with_prefix(b"dyad-bcp params v1");
    hash.chain_update(params_bytes(bits, n, g)).finalize().to_vec()
}

pub(crate) fn key_id(bits: usize, params_id: &[u8], h: &BigUint) -> Vec<u8> {
    let hash = Sha256::new_with_prefix(b"dyad-bcp key v1").chain_update(params_id);
    hash.chain_update(Encoding::new(3, bits).residue(h).done()).finalize().to_vec()
}
