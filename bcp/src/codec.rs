//! Fixed-length, versioned encodings.
//!
//! Every encoding is `kind (1 byte), version (1 byte), bits of N (2 bytes), body`; numbers are
//! big-endian in as many bytes as their bound needs, and the length of the whole follows from kind
//! and size. A decoder refuses any other length: there are no trailing bytes and no second way to
//! write the same thing.

use crate::arith::limbs::{self, SecretLimbs};
use crate::{EncodingFault, Error, KeySize, Result};
use num_bigint::BigUint;
use zeroize::Zeroizing;

/// Version of all encodings of this release.
pub(crate) const VERSION: u8 = 1;

/// What the bytes are: the first byte of an encoding.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Params = 1,
    ClaimedKey = 2,
    PublicKey = 3,
    Ciphertext = 4,
    SecretKey = 5,
    MasterKey = 6,
    Partial = 7,
    Head = 8,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Params => "public parameters",
            Self::ClaimedKey => "a claimed key",
            Self::PublicKey => "a public key",
            Self::Ciphertext => "a ciphertext",
            Self::SecretKey => "a secret key",
            Self::MasterKey => "a master key",
            Self::Partial => "a partial decryption",
            Self::Head => "a ciphertext's head",
        }
    }
}

/// Bytes of kind, version and size.
const HEAD_LEN: usize = 4;
/// Bytes of the id of parameters or of a key.
pub(crate) const ID_LEN: usize = 32;

/// Bytes of a number below 2^bits.
pub(crate) const fn bytes_for(bits: usize) -> usize {
    bits.div_ceil(8)
}

/// Writes an encoding. The buffer has its final length from the start: if it grew, secrets would
/// stay behind in the old one.
pub(crate) struct Writer {
    bytes: Zeroizing<Vec<u8>>,
    at: usize,
}

impl Writer {
    pub(crate) fn new(kind: Kind, size: KeySize, body_len: usize) -> Self {
        let [high, low] = (size.bits() as u16).to_be_bytes();
        let bytes = Zeroizing::new(vec![0; HEAD_LEN + body_len]);
        Self { bytes, at: 0 }.bytes(&[kind as u8, VERSION, high, low])
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.next(bytes.len()).copy_from_slice(bytes);
        self
    }

    fn next(&mut self, len: usize) -> &mut [u8] {
        let from = self.at;
        self.at += len;
        &mut self.bytes[from..self.at]
    }

    /// A public number below 2^bits.
    pub(crate) fn public(self, x: &BigUint, bits: usize) -> Self {
        let limbs = limbs::from_public(x, limbs::limbs_for(bits));
        self.secret(&limbs, bits)
    }

    /// A secret number below 2^bits.
    pub(crate) fn secret(mut self, x: &[u64], bits: usize) -> Self {
        for (i, byte) in self.next(bytes_for(bits)).iter_mut().rev().enumerate() {
            *byte = (x.get(i / 8).copied().unwrap_or(0) >> (8 * (i % 8))) as u8;
        }
        self
    }

    pub(crate) fn finish(self) -> Zeroizing<Vec<u8>> {
        assert_eq!(self.at, self.bytes.len(), "an encoding shorter than it should be");
        self.bytes
    }
}

/// Reads an encoding whose kind and length have been checked.
pub(crate) struct Reader<'a> {
    kind: Kind,
    size: KeySize,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks kind and version, that the size is one that `size_of` knows, and that the body has
    /// exactly the bytes `body_len` says.
    pub(crate) fn new(
        kind: Kind,
        bytes: &'a [u8],
        size_of: impl Fn(usize) -> Option<KeySize>,
        body_len: impl Fn(KeySize) -> usize,
    ) -> Result<Self> {
        let fail = |fault| Error::Encoding { what: kind.name(), fault };
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD_LEN>() else {
            return Err(fail(EncodingFault::Length { expected: HEAD_LEN, found: bytes.len() }));
        };
        if head[0] != kind as u8 {
            return Err(fail(EncodingFault::Kind));
        }
        if head[1] != VERSION {
            return Err(fail(EncodingFault::Version { expected: VERSION, found: head[1] }));
        }
        let bits = u16::from_be_bytes([head[2], head[3]]);
        let size = size_of(bits.into()).ok_or_else(|| fail(EncodingFault::Size(bits)))?;
        let expected = HEAD_LEN + body_len(size);
        if bytes.len() != expected {
            return Err(fail(EncodingFault::Length { expected, found: bytes.len() }));
        }
        Ok(Self { kind, size, rest })
    }

    /// As [`Reader::new`], for what belongs to parameters in use: its size must be theirs.
    pub(crate) fn of_size(
        kind: Kind,
        size: KeySize,
        bytes: &'a [u8],
        body_len: impl Fn(KeySize) -> usize,
    ) -> Result<Self> {
        Self::new(kind, bytes, |bits| (bits == size.bits()).then_some(size), body_len)
    }

    pub(crate) fn size(&self) -> KeySize {
        self.size
    }

    /// The error for a number outside its range.
    pub(crate) fn out_of_range(&self) -> Error {
        Error::Encoding { what: self.kind.name(), fault: EncodingFault::Range }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let fault = EncodingFault::Length { expected: n, found: self.rest.len() };
        let (taken, rest) = self
            .rest
            .split_at_checked(n)
            .ok_or(Error::Encoding { what: self.kind.name(), fault })?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A public number below 2^bits.
    pub(crate) fn public(&mut self, bits: usize) -> Result<BigUint> {
        Ok(limbs::to_public(&self.secret(bits)?))
    }

    /// A secret number below 2^bits.
    pub(crate) fn secret(&mut self, bits: usize) -> Result<SecretLimbs> {
        let bytes = self.take(bytes_for(bits))?;
        let mut x = Zeroizing::new(vec![0u64; limbs::limbs_for(bits)]);
        for (i, byte) in bytes.iter().rev().enumerate() {
            x[i / 8] |= u64::from(*byte) << (8 * (i % 8));
        }
        // A second encoding of the same number must not exist: the bits beyond are zero.
        if !bits.is_multiple_of(8) && bytes[0] >> (bits % 8) != 0 {
            return Err(self.out_of_range());
        }
        Ok(x)
    }
}
