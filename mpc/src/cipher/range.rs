//! How far values can lie from nought, and what is done about one that leaves its bound.
//!
//! ```text
//! bound b    what the program declares: |z| < 2^b, or the run is worth nothing
//! reach ρ    what follows from what was tested: |z| <= 2^ρ whatever the values; ρ is public
//! masks      R of max(b + 81, ρ + 65) bits, at most 144; then |x| <= 2^b is tested, if ρ > b
//! others     R of 144 bits; the test, if ρ > 80
//! test       all of A - r mod 2^64 in [0, w), for A at C0 and r at C1:
//!            [A - w < r] ^ [A < r] ^ [A < w] of each, and whether all are 1 is opened, nothing else
//! ```
//!
//! A value within its bound is hidden by 80 bits at least, and one that has left it by 144 - ρ: 64,
//! but for products of such as are declared far below what their factors reach, and never below 42.
//! As factors are tested before they are multiplied, ρ cannot run away, and a job that diverges ends
//! at the next mask with an error that says so. Inputs are tested as they enter.
//!
//! Numbers modulo 2^64 tell values apart only if ρ <= 62. From beyond, A and r are first compared
//! without their low 40 bits.
//!
//! Who learns what: both clouds, whether some entry of the tensor has left its bound; not which, nor
//! how many: shares of the bits are put through a linear function that C1 draws, and one comparison
//! of two such numbers of 64 bits is opened.

use super::Cipher;
use super::int::{add, neg, power};
use super::moves::Words;
use super::secret::Secret;
use crate::error::{Error, Op, Result};
use crate::prg::{Label, Prg, Seed, Stream};
use dyad_bcp::matrix::Int;
use rand::TryRng;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use zeroize::Zeroizing;

/// What a blind exceeds a value within its bound by.
pub(super) const SIGMA: usize = 80;
/// What a mask exceeds a value by that has left its bound.
pub(super) const MARGIN: usize = 64;
/// Bits of the longest blind a slot has room for.
pub(super) const BLIND_BITS: usize = 144;
/// Beyond 2^this no value is blinded.
pub(super) const MOST_REACH: u8 = 102;
/// Values blinded in all attempts at a job: 2^-80 for each are 2^-40 together.
pub(super) const MOST_BLINDED: u64 = 1 << 40;
/// Numbers modulo 2^64 tell values of so many bits apart.
const TOLD_APART: u8 = 62;
/// Bits left out of the first comparison otherwise.
const COARSE: u8 = 40;

/// |z| <= 2^reach for all entries of a tensor and of its copies.
#[derive(Clone)]
pub(super) struct Reach(Arc<AtomicU8>);

impl Reach {
    pub(super) fn new(bits: u8) -> Self {
        Self(Arc::new(AtomicU8::new(bits)))
    }

    pub(super) fn bits(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    /// It was tested.
    pub(super) fn lower(&self, bits: u8) {
        self.0.fetch_min(bits, Ordering::Relaxed);
    }

    /// Of a sum of |k| z each.
    pub(super) fn of_sum(terms: impl Iterator<Item = (u64, u8)>) -> u8 {
        let sum = terms.fold(0u128, |sum, (k, reach)| {
            let fits = u32::from(reach) < u128::from(k).leading_zeros();
            sum.saturating_add(if fits { u128::from(k) << reach } else { u128::MAX })
        });
        (u128::BITS - sum.saturating_sub(1).leading_zeros()) as u8
    }

    /// Of public numbers.
    pub(super) fn of_words(words: &[u64]) -> u8 {
        let most = words.iter().map(|x| (*x as i64).unsigned_abs()).max().unwrap_or(0);
        Self::of_sum(std::iter::once((most, 0)))
    }

    /// Of a product of matrices.
    pub(super) fn of_product(x: u8, y: u8, terms: usize) -> u8 {
        x.saturating_add(y).saturating_add(crate::tensor::bits_of_sum(terms))
    }
}

/// What stands before a value that C0 opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// C0 may read it.
    Nothing,
    /// A mask, which products raise ciphertexts to: as short as may be.
    Mask,
    /// The longest blind.
    Blind,
}

/// A tensor to be revealed to C0.
pub(super) struct Reveal<'a> {
    pub(super) x: &'a Secret,
    /// Added to each entry first.
    pub(super) add: u64,
    /// |x + add| <= 2^bound, the program says.
    pub(super) bound: u8,
    pub(super) behind: Behind,
}

impl Reveal<'_> {
    /// |x + add| <= 2^this, whatever the program says.
    fn reach(&self) -> u8 {
        let added = (self.add as i64).unsigned_abs();
        Reach::of_sum([(1, self.x.reach.bits()), (added, 0)].into_iter())
    }

    /// Bits of R: none if there is no R.
    pub(super) fn blind_bits(&self) -> usize {
        let mask =
            (usize::from(self.bound) + 1 + SIGMA).max(usize::from(self.reach()) + 1 + MARGIN);
        match self.behind {
            Behind::Nothing => 0,
            Behind::Mask => mask.min(BLIND_BITS),
            Behind::Blind => BLIND_BITS,
        }
    }

    /// What C0 opens is below this, if C1 sent what it should.
    pub(super) fn limit(&self) -> Int {
        let top = if self.bound <= TOLD_APART && self.behind == Behind::Nothing {
            self.bound
        } else {
            self.bound.max(self.reach().min(MOST_REACH + 1))
        };
        let values = power(usize::from(top) + 1);
        match self.behind {
            Behind::Nothing => values,
            _ => add(&values, &power(self.blind_bits())),
        }
    }

    /// Must it be tested?
    pub(super) fn untested(&self) -> bool {
        match self.behind {
            Behind::Nothing => false,
            Behind::Mask => self.reach() > self.bound,
            Behind::Blind => usize::from(self.reach()) > BLIND_BITS - MARGIN,
        }
    }

    /// Is the program such that its blinds can hide it?
    pub(super) fn check(&self, op: Op) -> Result<()> {
        let reach = self.reach();
        if self.behind == Behind::Nothing || reach <= MOST_REACH {
            return Ok(());
        }
        let what = format!(
            "values declared below 2^{} that follow from factors up to 2^{reach}, more than a blind \
             hides: mask them, or declare less of the factors",
            self.bound
        );
        Err(Error::Program { op, what })
    }
}

/// Is any of these not below the limit? One verdict on all; x may be anything of 255 bits.
pub(super) fn any_beyond(ints: &[Int], limit: &Int) -> bool {
    let negative = |x: &Int| add(limit, &neg(&add(x, &power(0))))[3] >> 63;
    ints.iter().fold(0, |any, x| any | negative(x)) != 0
}

/// Bytes of the system's generator.
pub(super) fn drawn(op: Op, count: usize) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; count]);
    let none = |_| Error::Ciphertexts { op, source: dyad_bcp::Error::Randomness };
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(none)?;
    Ok(bytes)
}

/// Whether A - r modulo 2^64 is below `width`, entry by entry.
pub(super) struct Window {
    /// A at C0, r at C1.
    pub(super) words: Words,
    pub(super) width: u64,
}

/// What has to be asked about x = a - r - 2^bound with |x| <= 2^reach.
fn windows(reach: u8, bound: u8, ints: &[Int]) -> Vec<Window> {
    let cut = |bits: u8| {
        let word = |x: &Int| if bits == 0 { x[0] } else { x[0] >> bits | x[1] << (64 - bits) };
        Zeroizing::new(ints.iter().map(word).collect::<Vec<u64>>())
    };
    let mut all = Vec::with_capacity(2);
    if reach > TOLD_APART {
        // a - r is below 2^{b + 1}; without their low bits the difference may be one more.
        let width = (1 << (bound.max(TOLD_APART) + 1 - COARSE)) + 1;
        all.push(Window { words: cut(COARSE), width });
    }
    if bound <= TOLD_APART {
        all.push(Window { words: cut(0), width: 1 << (bound + 1) });
    }
    all
}

impl Cipher {
    /// Tests what was revealed, as far as it has to be: a at C0, r at C1.
    pub(super) fn tested(&mut self, op: Op, xs: &[Reveal<'_>], ints: &[&[Int]]) -> Result<()> {
        let untested: Vec<usize> = (0..xs.len()).filter(|i| xs[*i].untested()).collect();
        let window = |i: &usize| windows(xs[*i].reach(), xs[*i].bound, ints[*i]);
        if !self.within(op, untested.iter().flat_map(window).collect())? {
            let bound = untested.iter().map(|i| xs[*i].bound).max().unwrap_or(0);
            return Err(Error::Beyond { who: self.line.who().clone(), op, bound });
        }
        for i in untested {
            // |x + add| <= 2^bound, and nothing finer is known where all of the ring is meant.
            let bound = if xs[i].bound > TOLD_APART { TOLD_APART + 3 } else { xs[i].bound };
            let added = (xs[i].add as i64).unsigned_abs();
            xs[i].x.reach.lower(Reach::of_sum([(1, bound), (added, 0)].into_iter()));
        }
        Ok(())
    }

    /// Is every entry within its window? That is all either cloud learns.
    pub(super) fn within(&mut self, op: Op, windows: Vec<Window>) -> Result<bool> {
        let holds = self.ground.holds;
        let count: usize = windows.iter().map(|window| window.words.len()).sum();
        let (mut asked, mut own) = (Words::new(Vec::with_capacity(2 * count)), Vec::new());
        for window in &windows {
            asked.extend_from_slice(&window.words);
            own.extend(window.words.iter().map(|a| u64::from(!holds && *a < window.width)));
        }
        if asked.is_empty() {
            return Ok(true);
        }
        for Window { words, width } in &windows {
            asked.extend(words.iter().map(|a| if holds { *a } else { a.wrapping_sub(*width) }));
        }
        let less = self.compare(op, &[(64, asked)])?.swap_remove(0);
        let (less, shifted) = less.split_at(own.len());
        // All are 1 if and only if C0's bits are the opposite of C1's.
        let flip = u64::from(holds);
        let bits: Vec<u64> =
            own.iter().zip(less).zip(shifted).map(|((own, l), s)| own ^ l ^ s ^ flip).collect();
        self.alike(op, &bits)
    }

    /// Have both clouds the same bits? Each hears no more than that.
    fn alike(&mut self, op: Op, bits: &[u64]) -> Result<bool> {
        // Unlike bits have like sums for one in 2^64 of these functions.
        let seed = if self.ground.holds {
            let seed = crate::wire::all_words(&drawn(op, 32)?);
            self.line.swap(op, &seed, 0)?;
            seed
        } else {
            self.line.swap(op, &[], 4)?
        };
        let mut bytes = [0; 32];
        let drawn = seed.iter().flat_map(|word| word.to_le_bytes());
        bytes.iter_mut().zip(drawn).for_each(|(byte, drawn)| *byte = drawn);
        let mut weights = vec![0; bits.len()];
        let label = Label { step: 0, operation: 0, stream: Stream::Bits };
        Prg::new(&Seed::from_bytes(bytes)).fill(label, 0, &mut weights);
        let sum = bits.iter().zip(&weights).fold(0, |sum, (bit, w)| sum ^ (w & bit.wrapping_neg()));
        let orders = self.compare(op, &[(64, vec![sum, !sum].into())])?.swap_remove(0);
        let mine = orders.iter().fold(0, |any, bit| any ^ bit);
        let theirs = self.line.swap(op, &[mine], 1)?;
        Ok(theirs.first().is_some_and(|theirs| (theirs ^ mine) & 1 == 0))
    }
}
