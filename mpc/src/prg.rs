//! Pseudo-random streams: AES-128 in counter mode under a key derived from a seed, one stream per
//! label.
//!
//! ```text
//! seed    = HKDF-SHA256(secret, info = domain, job, nonce_0, nonce_1, party)    32 bytes, one per
//!                                                                       attempt and party
//! of_job  = HKDF-SHA256(secret, info = domain, job, purpose)  32 bytes, for the dealer's inputs
//! key     = HKDF-SHA256(seed, info = "key")                                     16 bytes
//! check   = HKDF-SHA256(seed, info = "check")       16 bytes, public: says which seed it is of
//! block i = AES_key( stream (1 byte), operation (3), step (8), i (4) )          big-endian
//! ```
//!
//! A label never comes twice under one seed, so no block does: a stream is at most 2^32 words long
//! and refuses to be longer. Two 128-bit nonces, one drawn by each cloud when an attempt starts,
//! make the seed of an attempt new whatever store was rolled back.
//!
//! Who learns what: whoever has a seed has all its streams. The dealer has both clouds' seeds, each
//! cloud its own.

use aes::Aes128;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherSeek};
use ctr::Ctr32BE;
use hkdf::Hkdf;
use rayon::prelude::*;
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// One of the two clouds in a computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// The auxiliary cloud, C0: all it is dealt follows from its seed.
    Zero,
    /// The main cloud, C1: it is dealt corrections as well.
    One,
}

impl Party {
    /// The other one.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Zero => Self::One,
            Self::One => Self::Zero,
        }
    }

    /// 0 or 1.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "C{}", self.index())
    }
}

/// Names an attempt at a job: drawn anew by each cloud whenever it starts one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Hash of the signed job.
    pub job: [u8; 32],
    /// Drawn by C0 and by C1.
    pub nonces: [[u8; 16]; 2],
}

/// 32 secret bytes from which a party's streams follow. Wiped when dropped, not printable.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// The seed of one party in one attempt, from the dealer's secret for the job.
    #[must_use]
    pub fn derive(secret: &[u8; 32], attempt: &Attempt, party: Party) -> Self {
        let [nonce_0, nonce_1] = &attempt.nonces;
        let party = [party.index() as u8];
        let info = [b"dyad-mpc seed v1", &attempt.job[..], nonce_0, nonce_1, &party];
        let mut seed = Zeroizing::new([0; 32]);
        expand(secret, &info, &mut seed[..]);
        Self(seed)
    }

    /// A seed for something else that the dealer draws for a job, the same in all its attempts.
    #[must_use]
    pub fn of_job(secret: &[u8; 32], job: &[u8; 32], purpose: &str) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        expand(secret, &[b"dyad-mpc job v1", job, purpose.as_bytes()], &mut seed[..]);
        Self(seed)
    }

    /// A seed as it was sent.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A seed whose masks of tensors are all this number.
    #[cfg(test)]
    pub(crate) fn choosing(mask: u64) -> Self {
        let mut seed = [0xc5; 32];
        seed[24..].copy_from_slice(&mask.to_be_bytes());
        Self::from_bytes(seed)
    }

    #[cfg(test)]
    fn chosen(&self) -> Option<u64> {
        let (mark, mask) = self.0.split_last_chunk()?;
        (mark == [0xc5; 24]).then_some(u64::from_be_bytes(*mask))
    }

    /// Tells this seed from others and nothing else of it: to make sure that two hold the same.
    #[must_use]
    pub fn check(&self) -> [u8; 16] {
        let mut check = [0; 16];
        expand(&self.0[..], &[b"dyad-mpc check v1"], &mut check);
        check
    }

    /// A seed that breaks one stream of each operation: its words come again after `period`, and
    /// with period 0 all are 0. Clouds and dealer agree on it, so results stay right: only what is
    /// opened shows it.
    #[cfg(test)]
    pub(crate) fn repeating(party: Party, stream: Stream, period: u32) -> Self {
        let mut seed = [0xc6; 32];
        (seed[26], seed[27]) = (party.index() as u8, stream as u8);
        seed[28..].copy_from_slice(&period.to_be_bytes());
        Self::from_bytes(seed)
    }

    #[cfg(test)]
    fn repeats(&self) -> Option<(u8, usize)> {
        let ([mark @ .., _, stream], period) = self.0.split_last_chunk::<4>()? else {
            return None;
        };
        (mark == [0xc6; 26]).then_some((*stream, u32::from_be_bytes(*period) as usize))
    }

    /// The first of two shares of so many words; the other is what they are, less this. A seed
    /// serves one such split and nothing else.
    #[must_use]
    pub fn share(&self, words: usize) -> Vec<u64> {
        let mut share = vec![0; words];
        let label = Label { step: 0, operation: 0, stream: Stream::Share };
        Prg::new(self).fill(label, 0, &mut share);
        share
    }

    /// To send it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(redacted)")
    }
}

/// HKDF with an empty salt: the input is uniform already.
fn expand(secret: &[u8], info: &[&[u8]], out: &mut [u8]) {
    let hkdf = Hkdf::<Sha256>::new(None, secret);
    // Expand safety: it fails only for more than 255 hashes of output; ours is at most one.
    hkdf.expand_multi_info(info, out).unwrap_or_else(|_| unreachable!("at most 32 bytes"));
}

/// What a stream is for. Two uses in one operation draw from two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Stream {
    /// Masks of tensors.
    Mask = 1,
    /// A share of a value whose other share is sent as a correction.
    Share = 2,
    /// Masks of bits.
    Bits = 3,
    /// Masks of the rows of a table.
    Rows = 4,
}

/// Names one stream of a seed: the operation of a step, and what the stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// Step of the program, or block of training rows.
    pub step: u64,
    /// Operation within the step; below 2^24.
    pub operation: u32,
    /// Use.
    pub stream: Stream,
}

impl Label {
    /// Operations per step.
    pub const OPERATIONS: u32 = 1 << 24;

    fn block(self) -> [u8; 16] {
        assert!(self.operation < Self::OPERATIONS, "a step has at most 2^24 operations");
        let mut block = [0; 16];
        block[..4].copy_from_slice(&self.operation.to_be_bytes());
        block[0] = self.stream as u8;
        block[4..12].copy_from_slice(&self.step.to_be_bytes());
        block
    }
}

/// Draws the streams of one seed.
pub struct Prg {
    cipher: Aes128,
    /// Tests choose masks: random ones do not show what goes wrong once in 2^62.
    #[cfg(test)]
    chosen: Option<u64>,
    /// Which stream is broken, and when its words come again.
    #[cfg(test)]
    repeats: Option<(u8, usize)>,
}

/// Words in a stream, which sessions see to: half of what the cipher's 32-bit counter of 16-byte blocks reaches.
pub(crate) const STREAM_WORDS: u64 = 1 << 32;

impl Prg {
    /// Of this seed.
    #[must_use]
    pub fn new(seed: &Seed) -> Self {
        let mut key = Zeroizing::new([0; 16]);
        expand(seed.as_bytes(), &[b"dyad-mpc key v1"], &mut key[..]);
        Self {
            cipher: Aes128::new((&*key).into()),
            #[cfg(test)]
            chosen: seed.chosen(),
            #[cfg(test)]
            repeats: seed.repeats(),
        }
    }

    /// The same words as [`words`](Self::words), drawn on all cores where there are many.
    pub fn fill(&self, label: Label, first: u64, out: &mut [u64]) {
        const AT_A_TIME: usize = 1 << 14;
        if out.len() <= 2 * AT_A_TIME {
            return self.words(label, first, out);
        }
        out.par_chunks_mut(AT_A_TIME).enumerate().for_each(|(i, out)| {
            self.words(label, first + (i * AT_A_TIME) as u64, out);
        });
    }

    /// Words `first ..` of the stream of this label.
    ///
    /// # Panics
    /// Beyond the end of the stream, 2^32 words.
    pub fn words(&self, label: Label, first: u64, out: &mut [u64]) {
        let end = first.checked_add(out.len() as u64);
        assert!(end.is_some_and(|end| end <= STREAM_WORDS), "a stream has 2^32 words");
        let block = label.block();
        let mut cipher =
            Ctr32BE::from_core(ctr::CtrCore::inner_iv_init(self.cipher.clone(), (&block).into()));
        cipher.seek(8 * first);
        #[cfg(test)]
        if let (Some(mask), Stream::Mask) = (self.chosen, label.stream) {
            return out.fill(mask);
        }
        #[cfg(test)]
        if let Some((_, period)) = self.repeats.filter(|(stream, _)| *stream == label.stream as u8)
        {
            let mut all = vec![0; period];
            cipher.seek(0u64);
            cipher.write_keystream(bytemuck::cast_slice_mut(&mut all));
            for (at, word) in (first as usize..).zip(out) {
                *word = if period == 0 { 0 } else { all[at % period] };
            }
            return;
        }
        cipher.write_keystream(bytemuck::cast_slice_mut(out));
        if cfg!(target_endian = "big") {
            for word in out {
                *word = u64::from_le(*word);
            }
        }
    }
}

impl fmt::Debug for Prg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prg(redacted)")
    }
}

/// Refuses to open twice under one label: the difference of two values under one mask is public. On
/// in release builds too.
///
/// Operations are opened in order, so it remembers the last one: nothing at it or before it is
/// opened again.
#[derive(Debug, Default)]
pub struct OpenOnce {
    last: Option<(u64, u32)>,
}

/// Something was about to be opened under a mask that has been used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "step {step}, operation {operation}: its masks may have been used already; start a new attempt"
)]
pub struct MaskReused {
    /// Step of the program.
    pub step: u64,
    /// Operation within the step.
    pub operation: u32,
}

impl OpenOnce {
    /// Nothing opened yet, as at the start of an attempt.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of an opening, or refuses the second one.
    pub fn open(&mut self, step: u64, operation: u32) -> Result<(), MaskReused> {
        if self.last.is_some_and(|last| (step, operation) <= last) {
            return Err(MaskReused { step, operation });
        }
        self.last = Some((step, operation));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn attempt() -> Attempt {
        Attempt { job: [7; 32], nonces: [[1; 16], [2; 16]] }
    }

    fn words(prg: &Prg, label: Label, first: u64, count: usize) -> Vec<u64> {
        let mut out = vec![0; count];
        prg.words(label, first, &mut out);
        out
    }

    const LABEL: Label = Label { step: 3, operation: 5, stream: Stream::Mask };

    #[test]
    fn a_stream_is_the_same_wherever_one_starts_reading() {
        let prg = Prg::new(&Seed::derive(&[9; 32], &attempt(), Party::Zero));
        let whole = words(&prg, LABEL, 0, 2000);
        for (first, count) in [(0, 1), (1, 7), (511, 3), (512, 1025), (1999, 1)] {
            let part = words(&prg, LABEL, first as u64, count);
            assert_eq!(part, whole[first..first + count]);
        }
    }

    #[test]
    fn whatever_differs_gives_another_stream() {
        let seed = |secret: u8, change: &dyn Fn(&mut Attempt), party| {
            let mut attempt = attempt();
            change(&mut attempt);
            Seed::derive(&[secret; 32], &attempt, party)
        };
        let same = |_: &mut Attempt| ();
        let seeds = [
            seed(9, &same, Party::Zero),
            seed(8, &same, Party::Zero),
            seed(9, &same, Party::One),
            seed(9, &|a| a.job[31] ^= 1, Party::Zero),
            seed(9, &|a| a.nonces[0][15] ^= 1, Party::Zero),
            seed(9, &|a| a.nonces[1][0] ^= 1, Party::Zero),
            seed(9, &|a| a.nonces.swap(0, 1), Party::Zero),
        ];
        let labels = [
            LABEL,
            Label { step: 4, ..LABEL },
            Label { operation: 6, ..LABEL },
            Label { operation: 5 << 8, ..LABEL },
            Label { stream: Stream::Share, ..LABEL },
            Label { stream: Stream::Bits, ..LABEL },
        ];
        let all: HashSet<Vec<u64>> = seeds
            .iter()
            .flat_map(|seed| labels.map(|label| words(&Prg::new(seed), label, 0, 4)))
            .collect();
        assert_eq!(all.len(), seeds.len() * labels.len());
    }

    #[test]
    #[should_panic(expected = "2^32 words")]
    fn a_stream_ends_before_its_counter_wraps() {
        let prg = Prg::new(&Seed::from_bytes([1; 32]));
        words(&prg, LABEL, (1 << 32) - 1, 2);
    }

    #[test]
    fn the_last_word_of_a_stream_can_be_read() {
        let prg = Prg::new(&Seed::from_bytes([1; 32]));
        assert_ne!(words(&prg, LABEL, (1 << 32) - 2, 2), words(&prg, LABEL, 0, 2));
    }

    #[test]
    fn the_key_stream_is_aes_in_counter_mode() {
        // Block 0 and 1 of the label, computed with the block cipher itself.
        use aes::cipher::{BlockCipherEncrypt, KeyInit};
        let seed = Seed::from_bytes([5; 32]);
        let mut key = [0; 16];
        expand(seed.as_bytes(), &[b"dyad-mpc key v1"], &mut key);
        let cipher = Aes128::new(&key.into());
        let expected: Vec<u64> = (0..2u8)
            .flat_map(|i| {
                let mut block = LABEL.block();
                block[15] = i;
                let mut block = block.into();
                cipher.encrypt_block(&mut block);
                let (low, high) = block.split_at(8);
                [low, high].map(|half| u64::from_le_bytes(half.try_into().expect("8 bytes")))
            })
            .collect();
        assert_eq!(words(&Prg::new(&seed), LABEL, 0, 4), expected);
    }

    #[test]
    fn opening_twice_under_one_label_is_refused() {
        let mut once = OpenOnce::new();
        assert_eq!(once.open(3, 5), Ok(()));
        assert_eq!(once.open(4, 0), Ok(()));
        for (step, operation) in [(4, 0), (3, 6), (3, 5)] {
            assert_eq!(once.open(step, operation), Err(MaskReused { step, operation }));
        }
        assert_eq!(once.open(4, 1), Ok(()));
    }

    #[test]
    fn many_words_are_the_same_words() {
        let prg = Prg::new(&Seed::from_bytes([3; 32]));
        let mut many = vec![0; 100_003];
        prg.fill(LABEL, 5, &mut many);
        assert_eq!(many, words(&prg, LABEL, 5, 100_003));
    }

    #[test]
    fn a_check_value_names_its_seed() {
        let checks: HashSet<_> = (0..9).map(|i| Seed::from_bytes([i; 32]).check()).collect();
        assert_eq!(checks.len(), 9);
        let seed = Seed::from_bytes([1; 32]);
        assert_eq!(seed.check(), seed.clone().check());
        let mut key = [0; 16];
        expand(seed.as_bytes(), &[b"dyad-mpc key v1"], &mut key);
        assert_ne!(seed.check(), key);
    }

    #[test]
    fn secrets_do_not_print() {
        let seed = Seed::from_bytes([0xab; 32]);
        let text = format!("{seed:?} {:?}", Prg::new(&seed));
        assert_eq!(text, "Seed(redacted) Prg(redacted)");
    }
}
