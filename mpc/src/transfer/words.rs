//! From bits that both clouds share by XOR to numbers, and products of such bits with numbers.
//!
//! ```text
//! number       b = a + a' - 2 a a' = a + a' (1 - 2a): one correlated transfer of 1 - 2a for a'
//! multiplexer  b v = sum over both clouds of a v_i + a' (1 - 2a) v_i: one each way
//! ```
//!
//! Who learns what: see [`super::forms`].

use super::extend::Rows;
use super::forms::{send_words, take_words};
use super::products::Asks;
use super::{Transfers, Words, gathered, mask, misfit};
use crate::bits::plan::blocks;
use crate::error::{Op, Result};
use crate::line::Line;
use crate::prg::Party as Side;
use zeroize::Zeroizing;

/// Bit e of planes of 64 entries a word.
pub(crate) const fn bit(plane: &[u64], e: usize) -> u64 {
    plane[e / 64] >> (e % 64) & 1
}

/// -x where the bit is set, else x.
pub(crate) fn signed(x: u64, bit: u64) -> u64 {
    let set = mask(bit);
    (x ^ set).wrapping_sub(set)
}

/// Shares of bits as numbers, of as many entries as there are rows in a word: on their way.
pub(crate) struct Numbers {
    at: usize,
    /// Does this cloud send?
    sends: bool,
    /// Its share: a while it sends or receives, then of the number.
    share: Words,
    bits: Words,
}

impl Numbers {
    /// `sender` has the numbers and the other the choices.
    pub(crate) fn new(bits: &[u64], sends: bool, asks: &mut Asks) -> Self {
        let at = if sends { asks.send(bits.len()) } else { asks.receive(bits) };
        Self { at, sends, share: Words::default(), bits: Zeroizing::new(bits.to_vec()) }
    }

    pub(crate) fn send(&mut self, [sent, _]: &[Rows; 2], out: &mut Vec<u64>) {
        if !self.sends {
            return;
        }
        let entries = 64 * self.bits.len();
        self.share = gathered(entries, (0..entries).map(|e| signed(1, bit(&self.bits, e))));
        out.extend(send_words(sent, 64 * self.at, 1, &mut self.share));
        for (e, share) in self.share.iter_mut().enumerate() {
            *share = share.wrapping_add(bit(&self.bits, e));
        }
    }

    pub(crate) fn take(&mut self, [_, taken]: &[Rows; 2], came: &mut &[u64]) {
        if self.sends {
            return;
        }
        let (message, rest) = came.split_at(64 * self.bits.len());
        *came = rest;
        self.share = Zeroizing::new(message.to_vec());
        take_words(taken, 64 * self.at, 1, &self.bits, &mut self.share);
    }

    /// One for each entry, those that fill up the last word included.
    pub(crate) fn share(&self) -> &[u64] {
        &self.share
    }
}

/// Products of bits with `each` numbers an entry: on their way.
pub(crate) struct Gated {
    at: [usize; 2],
    each: usize,
    bits: Words,
    /// Of the products.
    share: Words,
}

impl Gated {
    pub(crate) fn new(bits: &[u64], each: usize, asks: &mut Asks) -> Self {
        let at = [asks.send(bits.len()), asks.receive(bits)];
        Self { at, each, bits: Zeroizing::new(bits.to_vec()), share: Words::default() }
    }

    /// `values` are this cloud's shares, `each` for an entry, for all entries of the words of bits.
    pub(crate) fn send(&mut self, [sent, _]: &[Rows; 2], values: &[u64], out: &mut Vec<u64>) {
        let each = self.each;
        let signs = values.iter().enumerate().map(|(i, v)| signed(*v, bit(&self.bits, i / each)));
        let mut share = gathered(values.len(), signs);
        out.extend(send_words(sent, 64 * self.at[0], each, &mut share));
        for (i, (share, v)) in share.iter_mut().zip(values).enumerate() {
            *share = share.wrapping_add(v & mask(bit(&self.bits, i / each)));
        }
        self.share = share;
    }

    pub(crate) fn take(&mut self, [_, taken]: &[Rows; 2], came: &mut &[u64]) {
        let (message, rest) = came.split_at(64 * self.bits.len() * self.each);
        *came = rest;
        let mut share = Zeroizing::new(message.to_vec());
        take_words(taken, 64 * self.at[1], self.each, &self.bits, &mut share);
        crate::ring::add(&mut self.share, &share);
    }

    pub(crate) fn share(&self) -> &[u64] {
        &self.share
    }
}

/// As many words of bits as entries need.
fn words_of(op: Op, bits: &[u64], entries: usize) -> Result<&[u64]> {
    let due = blocks(entries);
    bits.get(..due).ok_or_else(|| {
        misfit(op, format!("{} words of bits, where {due} are due for {entries}", bits.len()))
    })
}

impl Transfers {
    /// Shares by addition of bits shared by XOR, 64 a word: one round and a half.
    pub fn numbers(
        &mut self,
        line: &mut Line,
        op: Op,
        bits: &[u64],
        entries: usize,
    ) -> Result<Words> {
        let bits = words_of(op, bits, entries)?;
        let mut asks = Asks::default();
        let sends = line.side() == Side::Zero;
        let mut numbers = Numbers::new(bits, sends, &mut asks);
        let rows = self.rows(line, op, &asks)?;
        let mut out = vec![];
        numbers.send(&rows, &mut out);
        let came = line.swap(op, &out, if sends { 0 } else { 64 * bits.len() })?;
        numbers.take(&rows, &mut &came[..]);
        numbers.share.truncate(entries);
        Ok(numbers.share)
    }

    /// Shares of v where a bit is set and of 0 elsewhere, of bits shared by XOR, 64 a word, and
    /// numbers shared by addition: two rounds.
    pub fn multiplex(
        &mut self,
        line: &mut Line,
        op: Op,
        bits: &[u64],
        values: &[u64],
    ) -> Result<Words> {
        let bits = words_of(op, bits, values.len())?;
        let mut asks = Asks::default();
        let mut gated = Gated::new(bits, 1, &mut asks);
        let rows = self.rows(line, op, &asks)?;
        let mut whole = super::zeros(64 * bits.len());
        whole[..values.len()].copy_from_slice(values);
        let mut out = vec![];
        gated.send(&rows, &whole, &mut out);
        let came = line.swap(op, &out, out.len())?;
        gated.take(&rows, &mut &came[..]);
        gated.share.truncate(values.len());
        Ok(gated.share)
    }
}
