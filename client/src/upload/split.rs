//! A chunk's values in two parts, of which neither cloud's says anything.
//!
//! ```text
//! sealed   a seed of 32 bytes for each chunk; c0: Enc_pk(seed); c1: x - PRG(seed) mod 2^64, words
//!          little-endian
//! packed   u = x + 2^{l-1}, R uniform below 2^{l+sigma}; c0: Enc_pk(R), c1: Enc_pk(u - R + 2^{l+sigma}),
//!          both packed in slots
//! ```
//!
//! Ciphertexts are under the owner's own key of the study. Each part is then sealed to its cloud.

use crate::client::random;
use crate::error::{Error, Result, request};
use dyad_bcp::packing::{STATISTICAL_BITS, Slot, SlotLayout};
use dyad_bcp::{Ciphertext, Plaintext, PublicKey};
use dyad_mpc::prg::Seed;
use dyad_protos::codec::write_each;
use dyad_protos::limits::{CHUNK_VALUES, CIPHERTEXTS};
use dyad_protos::upload::Mode;

/// Splits chunks of one upload.
pub(crate) struct Splitter {
    key: PublicKey,
    mode: Mode,
    layout: SlotLayout,
}

/// A cloud's part of a chunk. Words are not copied to be bytes.
pub(crate) enum Part {
    /// Ciphertexts.
    Bytes(Vec<u8>),
    /// Masked values, little-endian.
    Words(Vec<u64>),
}

impl Part {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Words(words) => bytemuck::cast_slice(words),
        }
    }
}

/// What hides one chunk: made for many at a time, because encryption in batches is cheap.
pub(crate) struct Cover {
    seed: Seed,
    /// C0's part.
    ciphertext: Vec<u8>,
}

impl Splitter {
    /// Under the owner's key, for values of so many bits.
    pub(crate) fn new(key: PublicKey, mode: Mode, value_bits: u32) -> Result<Self> {
        let layout = SlotLayout::new(key.params(), value_bits as usize, STATISTICAL_BITS)?;
        Ok(Self { key, mode, layout })
    }

    /// Rows of a chunk, for rows of so many values.
    pub(crate) fn chunk_rows(&self, width: usize) -> Result<usize> {
        let values = match self.mode {
            Mode::Sealed => CHUNK_VALUES,
            Mode::Packed => (CIPHERTEXTS * self.layout.slots()).min(CHUNK_VALUES),
        };
        match values / width.max(1) {
            0 => request(format!(
                "a row becomes {width} values, where {values} may be in one chunk: upload its \
                 columns in several files"
            )),
            rows => Ok(rows),
        }
    }

    /// What hides so many chunks. Nothing for packed uploads, where each value has a blind.
    pub(crate) fn covers(&self, chunks: usize) -> Result<Vec<Option<Cover>>> {
        if self.mode == Mode::Packed {
            return Ok((0..chunks).map(|_| None).collect());
        }
        let seeds: Vec<Seed> =
            (0..chunks).map(|_| random().map(Seed::from_bytes)).collect::<Result<_>>()?;
        let plaintexts =
            seeds.iter().map(|seed| Plaintext::from_bytes(self.key.params(), seed.as_bytes()));
        let ciphertexts = self.key.encrypt_many(&plaintexts.collect::<Result<Vec<_>, _>>()?)?;
        let cover = |(seed, ciphertext)| Some(Cover { seed, ciphertext: written(&[ciphertext]) });
        Ok(seeds.into_iter().zip(ciphertexts).map(cover).collect())
    }

    /// The parts of C0 and C1.
    pub(crate) fn split(&self, values: &[i64], cover: Option<Cover>) -> Result<[Part; 2]> {
        match cover {
            Some(Cover { seed, ciphertext }) => {
                Ok([Part::Bytes(ciphertext), Part::Words(masked(values, &seed))])
            }
            None => self.packed(values),
        }
    }

    fn packed(&self, values: &[i64]) -> Result<[Part; 2]> {
        let layout = &self.layout;
        let u = layout.offset(values)?;
        let r = u.iter().map(|_| layout.blind()).collect::<dyad_bcp::Result<Vec<_>>>()?;
        let top = layout.blind_bound();
        let mut m_1 = Vec::with_capacity(u.len());
        for (u, r) in u.iter().zip(&r) {
            // R is below the bound that is added.
            let m = u.plus(&top).minus(r);
            m_1.push(m.ok_or(dyad_bcp::Error::Packing("a blind exceeds its bound"))?);
        }
        let part = |slots: &[Slot]| {
            let ciphertexts = self.key.encrypt_many(&layout.pack(slots)?)?;
            Ok::<_, Error>(Part::Bytes(written(&ciphertexts)))
        };
        Ok([part(&r)?, part(&m_1)?])
    }
}

/// x - PRG(seed).
fn masked(values: &[i64], seed: &Seed) -> Vec<u64> {
    let mut words = seed.share(values.len());
    for (word, x) in words.iter_mut().zip(values) {
        *word = (*x as u64).wrapping_sub(*word).to_le();
    }
    words
}

fn written(ciphertexts: &[Ciphertext]) -> Vec<u8> {
    write_each(ciphertexts.iter().map(Ciphertext::to_bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use dyad_bcp::{KeySize, PublicParams, RawCiphertext, SecretKey};
    use dyad_protos::codec::read_all;
    use num_bigint::BigUint;

    /// Parameters of 2048 bits whose factors nobody here needs.
    pub(crate) fn params() -> PublicParams {
        let text = include_str!("../../testdata/parameters.json");
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        let number = |field: &str| {
            BigUint::parse_bytes(json[field].as_str().unwrap().as_bytes(), 16).unwrap()
        };
        PublicParams::new(KeySize::Bits2048, number("n"), number("g")).unwrap()
    }

    pub(crate) fn opened(secret: &SecretKey, part: &[u8]) -> Vec<Plaintext> {
        let raw = read_all(part).unwrap().into_iter();
        let raw = raw.map(|bytes| RawCiphertext::from_bytes(secret.params(), bytes).unwrap());
        let admitted = secret.public().admit_many(raw.collect()).unwrap();
        secret.decrypt_many(&admitted).unwrap()
    }

    const VALUES: [i64; 6] = [0, 1, -1, 511, -512, 77];

    #[test]
    fn sealed_parts_add_up() {
        let secret = SecretKey::generate(&params()).unwrap();
        let splitter = Splitter::new(secret.public().clone(), Mode::Sealed, 10).unwrap();
        assert_eq!(splitter.chunk_rows(784).unwrap(), 334);
        assert!(splitter.chunk_rows(CHUNK_VALUES + 1).is_err());
        let mut seen = Vec::new();
        for cover in splitter.covers(9).unwrap() {
            let [c0, c1] = splitter.split(&VALUES, cover).unwrap();
            let seed = opened(&secret, c0.bytes())[0].to_bytes(32).unwrap();
            let share = Seed::from_bytes(seed[..].try_into().unwrap()).share(VALUES.len());
            let words = c1.bytes().as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
            let sum = words.zip(share).map(|(x, y)| x.wrapping_add(y) as i64);
            assert!(sum.eq(VALUES));
            seen.push(seed.to_vec());
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 9, "each chunk has a seed of its own");
    }

    #[test]
    fn chunks_have_as_many_values_as_clouds_want() {
        let key = SecretKey::generate(&params()).unwrap();
        for (mode, bits) in [(Mode::Sealed, 10), (Mode::Packed, 10), (Mode::Packed, 62)] {
            let splitter = Splitter::new(key.public().clone(), mode, bits).unwrap();
            let most = splitter.chunk_rows(1).unwrap();
            for width in [1, 2, 31, 784, most / 2, most / 2 + 1, most - 1, most] {
                let values = (splitter.chunk_rows(width).unwrap() * width) as u64;
                assert!(values >= mode.least_values(), "{mode:?}, {width}: {values}");
            }
        }
    }

    #[test]
    fn packed_parts_add_up() {
        let secret = SecretKey::generate(&params()).unwrap();
        let splitter = Splitter::new(secret.public().clone(), Mode::Packed, 10).unwrap();
        let layout = &splitter.layout;
        let values: Vec<i64> = VALUES.into_iter().cycle().take(layout.slots() + 3).collect();
        let [cover] = &mut splitter.covers(1).unwrap()[..] else { unreachable!() };
        let parts = splitter.split(&values, cover.take()).unwrap();
        let [m_0, m_1] =
            parts.map(|part| layout.unpack(&opened(&secret, part.bytes()), values.len()).unwrap());
        let offset = layout.blind_bound().low_u64().wrapping_add(1 << 9);
        let sum = m_0.iter().zip(&m_1).map(|(m_0, m_1)| {
            m_0.low_u64().wrapping_add(m_1.low_u64()).wrapping_sub(offset) as i64
        });
        assert!(sum.eq(values));
        // What does not fit is refused, not cut.
        assert!(splitter.split(&[512], None).is_err());
        assert!(splitter.chunk_rows(1).unwrap() * 2 <= CHUNK_VALUES);
    }
}
