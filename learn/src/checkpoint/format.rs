//! The bytes of a checkpoint.
//!
//! ```text
//! magic, version, job, nonces, party, step,
//! tensors: (name, rows, columns, scale, bound, count, words) ...
//! SHA-256 of all before it
//! ```
//!
//! Numbers are little-endian.

use super::{Checkpoint, Holder};
use dyad_mpc::prg::{Attempt, Party};
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::Input;
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"dyadckpt";
/// Of the format.
pub const VERSION: u32 = 3;
/// A tensor's name is no longer; nor are more tensors believed than this.
const MOST: usize = 1 << 16;

impl Checkpoint {
    /// As it is written.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.attempt.job);
        out.extend_from_slice(self.attempt.nonces.as_flattened());
        out.push(match self.holder {
            Holder::Cloud(party) => party.index() as u8,
            Holder::Clear => 2,
            Holder::Ciphertexts(party) => 3 + party.index() as u8,
        });
        out.extend_from_slice(&self.step.to_le_bytes());
        out.extend_from_slice(&(self.tensors.len() as u64).to_le_bytes());
        for Input { name, meta, words } in &self.tensors {
            out.extend_from_slice(&(name.len() as u64).to_le_bytes());
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&(meta.shape.rows as u64).to_le_bytes());
            out.extend_from_slice(&(meta.shape.cols as u64).to_le_bytes());
            out.extend_from_slice(&[meta.scale, meta.bound]);
            out.extend_from_slice(&(words.len() as u64).to_le_bytes());
            out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
        let digest = Sha256::digest(&out);
        out.extend_from_slice(&digest);
        out
    }

    /// As it was written: what it is made of, or what is wrong with it. Whether it is the one that
    /// is wanted, [`expect`](Self::expect) says.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        let mut rest = Rest(bytes);
        if rest.take::<8>()? != *MAGIC {
            return Err(Fault::Damaged("it is no checkpoint"));
        }
        // The version before the digest: another version may have another one.
        let version = u32::from_le_bytes(rest.take()?);
        if version != VERSION {
            return Err(Fault::Version(version));
        }
        let Some((body, digest)) = bytes.split_last_chunk::<32>() else { return Err(SHORT) };
        if Sha256::digest(body)[..] != digest[..] {
            return Err(Fault::Damaged("it was cut short or altered"));
        }
        let behind = bytes.len() - rest.0.len();
        rest = Rest(body.get(behind..).ok_or(SHORT)?);
        let job = rest.take()?;
        let nonces = [rest.take()?, rest.take()?];
        let holder = match rest.take::<1>()? {
            [0] => Holder::Cloud(Party::Zero),
            [1] => Holder::Cloud(Party::One),
            [2] => Holder::Clear,
            [3] => Holder::Ciphertexts(Party::Zero),
            [4] => Holder::Ciphertexts(Party::One),
            _ => return Err(Fault::Damaged("it names no party")),
        };
        let step = u64::from_le_bytes(rest.take()?);
        let count = rest.size()?;
        if count > MOST {
            return Err(Fault::Damaged("it has too many tensors"));
        }
        let mut tensors = Vec::new();
        for _ in 0..count {
            let length = rest.size()?;
            if length > MOST {
                return Err(Fault::Damaged("a name is too long"));
            }
            let name = rest.slice(length)?;
            let name =
                str::from_utf8(name).map_err(|_| Fault::Damaged("a name is not readable"))?;
            let (rows, cols) = (rest.size()?, rest.size()?);
            let [scale, bound] = rest.take()?;
            rows.checked_mul(cols).ok_or(SHORT)?;
            let len = rest.size()?.checked_mul(8).ok_or(SHORT)?;
            let words = rest.slice(len)?.as_chunks::<8>().0;
            let words = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
            tensors.push(Input::new(name, Meta::new(rows, cols, scale, bound), words));
        }
        if !rest.0.is_empty() {
            return Err(Fault::Damaged("it is too long"));
        }
        Ok(Self { attempt: Attempt { job, nonces }, holder, step, tensors })
    }
}

/// Why bytes are no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Of another release.
    #[error("it has version {0}, this release reads {VERSION}")]
    Version(u32),
    /// Not a checkpoint, or cut short, or altered: in what way.
    #[error("{0}")]
    Damaged(&'static str),
}

const SHORT: Fault = Fault::Damaged("it is too short");

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn slice(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (slice, rest) = self.0.split_at_checked(len).ok_or(SHORT)?;
        self.0 = rest;
        Ok(slice)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn size(&mut self) -> Result<usize, Fault> {
        usize::try_from(u64::from_le_bytes(self.take()?)).map_err(|_| SHORT)
    }
}
