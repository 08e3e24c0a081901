//! Products of bits that both clouds share by XOR: all at once, in as many messages as the largest
//! product has factors, less one.
//!
//! ```text
//! m_S = m_i m_T, i the lowest of S, T the rest:  (a + a')(t + t') = a t + a t' + a' t + a' t'
//!       a cloud's a t is its own; a t' and a' t are correlated transfers, one each way, in which
//!       one choice a serves all T that go with i
//! ```
//!
//! Who learns what: see [`super::forms`]: choices stay with their owner, what is sent is uniform.

use super::extend::Rows;
use super::forms::{send_bits, take_bits};
use super::{Words, gathered, zeros};
use crate::bits::fold::Monomial;
use zeroize::Zeroizing;

/// Rows that are wanted of an extension, in words of 64.
#[derive(Default)]
pub(crate) struct Asks {
    /// This cloud's bits, for rows in which it receives.
    pub mine: Words,
    /// How many words of the other's.
    pub theirs: usize,
}

impl Asks {
    /// Rows in which this cloud receives, for these bits; where they begin.
    pub(crate) fn receive(&mut self, bits: &[u64]) -> usize {
        let at = self.mine.len();
        if self.mine.capacity() < at + bits.len() {
            // By hand: a vector that grows leaves its words where it was.
            let room = (2 * self.mine.capacity()).max(at + bits.len());
            let mut larger = Zeroizing::new(Vec::with_capacity(room));
            larger.extend_from_slice(&self.mine);
            self.mine = larger;
        }
        self.mine.extend_from_slice(bits);
        at
    }

    /// Rows in which it sends; where they begin.
    pub(crate) const fn send(&mut self, words: usize) -> usize {
        let at = self.theirs;
        self.theirs += words;
        at
    }
}

/// How products of some bits are made; public.
#[derive(Debug)]
pub(crate) struct Products {
    bits: usize,
    count: usize,
    factors: Vec<Factor>,
}

/// A bit, and what it is multiplied by.
#[derive(Debug)]
struct Factor {
    bit: usize,
    /// Bits, and behind them products.
    others: Vec<usize>,
    outputs: Vec<usize>,
    /// Messages before its own.
    stage: usize,
}

impl Products {
    /// Of so many bits, these products of two and more: sets of bits, with all their subsets.
    pub(crate) fn new(bits: usize, products: &[Monomial]) -> Self {
        let mut factors: Vec<Factor> = Vec::new();
        // From the highest down: what a bit is multiplied by begins with a higher one.
        for bit in (0..bits).rev() {
            let mut factor = Factor { bit, others: vec![], outputs: vec![], stage: 0 };
            for (output, s) in products.iter().enumerate() {
                if s.trailing_zeros() as usize != bit {
                    continue;
                }
                let (rest, next) = (s & (s - 1), (s & (s - 1)).trailing_zeros() as usize);
                if rest.is_power_of_two() {
                    factor.others.push(next);
                } else {
                    let place = products.iter().position(|t| *t == rest).unwrap_or(usize::MAX);
                    factor.others.push(bits + place);
                    let made = factors.iter().find(|factor| factor.bit == next);
                    factor.stage = factor.stage.max(made.map_or(0, |made| made.stage + 1));
                }
                factor.outputs.push(output);
            }
            if !factor.others.is_empty() {
                factors.push(factor);
            }
        }
        Self { bits, count: products.len(), factors }
    }

    /// All products of two and more of so many bits, in order of the sets as numbers.
    pub(crate) fn all(bits: usize) -> Self {
        let sets: Vec<Monomial> = (1..1 << bits).filter(|s: &u64| s.count_ones() > 1).collect();
        Self::new(bits, &sets)
    }

    /// Messages.
    pub(crate) fn stages(&self) -> usize {
        self.factors.iter().map(|factor| factor.stage + 1).max().unwrap_or(0)
    }

    /// Rows each way for an entry.
    pub(crate) const fn rows(&self) -> usize {
        self.factors.len()
    }

    /// Bits each way for an entry in a message.
    pub(crate) fn sent(&self, stage: usize) -> usize {
        let now = self.factors.iter().filter(|factor| factor.stage == stage);
        now.map(|factor| factor.others.len()).sum()
    }
}

/// Products of the bits of many entries on their way through the messages.
pub(crate) struct Multiplying<'a> {
    plan: &'a Products,
    /// This cloud's shares of the bits and, behind them, of the products: a plane each, 64 entries
    /// a word.
    planes: Vec<Words>,
    /// Where each factor's rows begin, for sending and for receiving.
    at: Vec<[usize; 2]>,
}

impl<'a> Multiplying<'a> {
    pub(crate) fn new(plan: &'a Products, bits: Vec<Words>, asks: &mut Asks) -> Self {
        debug_assert_eq!(bits.len(), plan.bits, "a plane for each bit");
        let factors = plan.factors.iter();
        let rows = factors.map(|factor| {
            let bits = &bits[factor.bit];
            [asks.send(bits.len()), asks.receive(bits)]
        });
        let at = rows.collect();
        let blocks = bits.first().map_or(0, |bits| bits.len());
        let mut planes = bits;
        planes.resize_with(plan.bits + plan.count, || zeros(blocks));
        Self { plan, planes, at }
    }

    /// Appends what is sent.
    pub(crate) fn send(&mut self, stage: usize, [sent, _]: &[Rows; 2], out: &mut Vec<u64>) {
        for (factor, [at, _]) in self.plan.factors.iter().zip(&self.at) {
            if factor.stage != stage {
                continue;
            }
            let mut shares: Vec<_> =
                factor.others.iter().map(|other| self.planes[*other].clone()).collect();
            out.extend(send_bits(sent, *at, &mut shares));
            for ((share, other), output) in
                shares.into_iter().zip(&factor.others).zip(&factor.outputs)
            {
                let [mine, theirs] = [factor.bit, *other].map(|i| self.planes[i].iter());
                let own = mine.zip(theirs).map(|(a, t)| a & t);
                let sum = gathered(share.len(), own.zip(&*share).map(|(own, share)| own ^ share));
                self.planes[self.plan.bits + output] = sum;
            }
        }
    }

    /// Takes what came, from its front.
    pub(crate) fn take(&mut self, stage: usize, [_, taken]: &[Rows; 2], came: &mut &[u64]) {
        for (factor, [_, at]) in self.plan.factors.iter().zip(&self.at) {
            if factor.stage != stage {
                continue;
            }
            let bits = &self.planes[factor.bit];
            let (message, rest) = came.split_at(factor.others.len() * bits.len());
            *came = rest;
            let shares = take_bits(taken, *at, bits, factor.others.len(), message);
            for (share, output) in shares.into_iter().zip(&factor.outputs) {
                let plane = &mut self.planes[self.plan.bits + output];
                plane.iter_mut().zip(&*share).for_each(|(sum, share)| *sum ^= share);
            }
        }
    }

    /// Shares of the bits, and of the products.
    pub(crate) fn planes(&self) -> (&[Words], &[Words]) {
        self.planes.split_at(self.plan.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_is_one_choice_for_all_it_is_multiplied_by() {
        let digit = Products::all(4);
        assert_eq!((digit.count, digit.rows(), digit.stages()), (11, 3, 3));
        assert_eq!([0, 1, 2].map(|stage| digit.sent(stage)), [1, 3, 7]);
        assert_eq!(Products::all(1).stages(), 0);
    }
}
