//! How far values can lie from nought, and what is done about one that leaves its bound.
//!
//! ```text
//! bound b    what the program declares: |z| < 2^b, or the run is worth nothing
//! reach ρ    what follows from what was tested: |z| <= 2^ρ whatever the values; ρ is public
//! masks      R of max(b + 81, ρ + 65) bits, at most 144; then |x| <= 2^b is tested, if ρ > b
//! others     R of 144 bits; the test, if ρ > 80, and when such a tensor is declared to be less
//! test       all of A - r mod 2^64 in [0, w), for A = a + 2^b at C0 and r at C1:
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
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// What a blind exceeds a value within its bound by.
pub(super) const SIGMA: usize = 80;
/// What a mask exceeds a value by that has left its bound.
pub(super) const MARGIN: usize = 64;
/// Bits of the longest blind a slot has room for.
pub(super) const BLIND_BITS: usize = 144;
/// Beyond 2^this no value is blinded.
pub(super) const MOST_REACH: u8 = 102;
/// What can lie further off is tested as soon as it is opened, or declared to be less.
pub(super) const TESTED_LATEST: u8 = (BLIND_BITS - MARGIN) as u8;
/// Values blinded in all attempts at a job: 2^-80 for each are 2^-40 together.
pub(super) const MOST_BLINDED: u64 = 1 << 40;
/// Numbers modulo 2^64 tell values of so many bits apart.
const TOLD_APART: u8 = 62;
/// Bits left out of the first comparison otherwise.
const COARSE: u8 = 40;

/// |z| is at most this for all entries of a tensor and of its copies, as the bits of a number: sums
/// over many steps would gain a bit at each if it were rounded to powers of two.
#[derive(Clone)]
pub(super) struct Reach(Arc<AtomicU64>);

/// 2^bits
pub(super) const fn two_to(bits: u8) -> f64 {
    f64::from_bits((1023 + bits as u64) << 52)
}

/// The bits of at most so much, by its exponent: logarithms are not the same on every machine.
const fn bits_of(most: f64) -> u8 {
    let bits = most.to_bits();
    let more = if bits << 12 == 0 { 0 } else { 1 };
    let bits = (bits >> 52).saturating_sub(1023) + more;
    if most <= 1.0 {
        0
    } else if bits > 255 {
        255
    } else {
        bits as u8
    }
}

impl Reach {
    pub(super) fn new(most: f64) -> Self {
        Self(Arc::new(AtomicU64::new(most.to_bits())))
    }

    pub(super) fn most(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// ρ
    pub(super) fn bits(&self) -> u8 {
        bits_of(self.most())
    }

    /// It was tested. (Numbers that are not negative lie in the order of their bits.)
    pub(super) fn lower(&self, most: f64) {
        self.0.fetch_min(most.to_bits(), Ordering::Relaxed);
    }

    /// Of a sum of |k| z each.
    pub(super) fn of_sum(terms: impl Iterator<Item = (u64, f64)>) -> f64 {
        terms.map(|(k, most)| (k as i64).unsigned_abs() as f64 * most).sum()
    }

    /// Of public numbers.
    pub(super) fn of_words(words: &[u64]) -> f64 {
        words.iter().map(|x| (*x as i64).unsigned_abs()).max().unwrap_or(0) as f64
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
    /// |x + add| is at most this, whatever the program says.
    pub(super) fn most(&self) -> f64 {
        Reach::of_sum([(1, self.x.reach.most()), (self.add, 1.0)].into_iter())
    }

    /// |x + add| <= 2^this.
    fn reach(&self) -> u8 {
        bits_of(self.most())
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
            Behind::Blind => self.reach() > TESTED_LATEST,
        }
    }

    /// In how many windows it is tested.
    pub(super) fn windows(&self) -> usize {
        usize::from(self.reach() > TOLD_APART) + usize::from(self.bound <= TOLD_APART)
    }

    /// It was tested: |x + add| <= 2^bound, and nothing finer is known where all of the ring is meant.
    pub(super) fn passed(&self) {
        let bound = if self.bound > TOLD_APART { TOLD_APART + 3 } else { self.bound };
        self.x.reach.lower(Reach::of_sum([(1, two_to(bound)), (self.add, 1.0)].into_iter()));
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

/// What has to be asked about x = a - r with |x| <= 2^reach: that x + 2^bound is below 2^(bound + 1).
/// `raised` is 2^bound at C0, and nothing at C1.
fn windows(reach: u8, bound: u8, ints: &[Int], raised: &Int) -> Vec<Window> {
    let cut = |bits: u8| {
        let word = |x: &Int| {
            let x = add(x, raised);
            if bits == 0 { x[0] } else { x[0] >> bits | x[1] << (64 - bits) }
        };
        Zeroizing::new(ints.iter().map(word).collect::<Vec<u64>>())
    };
    let mut all = Vec::with_capacity(2);
    if reach > TOLD_APART {
        // Without their low bits the difference may be one more.
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
        let window = |i: &usize| {
            let bound = xs[*i].bound;
            let raised = if self.ground.holds { [0; 4] } else { power(bound.into()) };
            windows(xs[*i].reach(), bound, ints[*i], &raised)
        };
        let windows: Vec<Window> = untested.iter().flat_map(window).collect();
        if !self.within(op, &windows)? {
            let bound = untested.iter().map(|i| xs[*i].bound).max().unwrap_or(0);
            return Err(Error::Beyond { who: self.line.who().clone(), op, bound });
        }
        for i in untested {
            xs[i].passed();
        }
        Ok(())
    }

    /// Is every entry within its window? That is all either cloud learns.
    pub(super) fn within(&mut self, op: Op, windows: &[Window]) -> Result<bool> {
        let holds = self.ground.holds;
        let count: usize = windows.iter().map(|window| window.words.len()).sum();
        let (mut asked, mut own) = (Words::new(Vec::with_capacity(2 * count)), Vec::new());
        for window in windows {
            asked.extend_from_slice(&window.words);
            own.extend(window.words.iter().map(|a| u64::from(!holds && *a < window.width)));
        }
        if asked.is_empty() {
            return Ok(true);
        }
        for Window { words, width } in windows {
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
