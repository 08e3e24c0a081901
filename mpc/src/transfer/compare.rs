//! Comparison of two private integers, a of C0's and b of C1's: shares by XOR of [a < b].
//!
//! ```text
//! digits   of 4 bits: C0 offers, for each digit j that C1's may be, [a_d = j] ^ s and
//!          [a_d < j] ^ s', s and s' being its shares; C1 takes those of its b_d, one of 16
//! tree     groups of at most 4 digits, then one of all groups: lt = lt_3 ^ eq_3 lt_2 ^ ..., each
//!          bit masked and opened, products of the masks made by transfers ([`super::products`])
//! ```
//!
//! Rathee et al., "CrypTFlow2: Practical 2-Party Secure Inference", CCS 2020, section 3, with the
//! tree of [`crate::bits::fold`]: two openings instead of one for each doubling.
//!
//! Who learns what: C1 reads one message of each 16, masked by bits of C0's; C0 hears nothing of b;
//! what is opened is masked by uniform bits used once. A simulator draws all of it at random.

use super::base::fresh;
use super::forms::{send_tables, table_words, take_tables};
use super::products::{Asks, Multiplying, Products};
use super::{Transfers, Words, mask, misfit, zeros};
use crate::bits::fold::Layer;
use crate::bits::plan::{Cut, blocks};
use crate::bits::plane::{Plane, vectorised};
use crate::error::{Op, Result};
use crate::line::Line;
use crate::prg::{Label, Party as Side, Prg, Seed, Stream};
use zeroize::Zeroizing;

/// Integers that are compared in the same messages; more go in several turns, so that rows of no
/// more than some tens of megabytes are held.
pub const AT_ONCE: usize = 1 << 15;

/// Bits of a message: eq and lt.
pub(super) const OFFERED: u32 = 2;

impl Transfers {
    /// Shares of [a mod 2^bits < b mod 2^bits], 64 a word, of a at C0 and b at C1, for 1 to 64 bits.
    pub fn less(&mut self, line: &mut Line, op: Op, bits: u8, values: &[u64]) -> Result<Words> {
        Ok(self.less_each(line, op, &[bits], values)?.swap_remove(0))
    }

    /// The same for one number of low bits or two that rise, in the rounds of one: what a truncation
    /// and a sign need together. More would make groups that two layers of products do not hold.
    pub fn less_each(
        &mut self,
        line: &mut Line,
        op: Op,
        bits: &[u8],
        values: &[u64],
    ) -> Result<Vec<Words>> {
        let rising = bits.is_sorted_by(|a, b| a < b);
        let within = bits.iter().all(|bits| (1..=64).contains(bits));
        if !(1..=2).contains(&bits.len()) || !rising || !within {
            let what = "a comparison is of one number of bits or two that rise, from 1 to 64";
            return Err(misfit(op, format!("{what}: not of {bits:?}")));
        }
        let cut = Cut::at(bits);
        let plans: Vec<Products> = cut
            .layers
            .iter()
            .map(|layer| Products::new(layer.opened.len(), &layer.products))
            .collect();
        let mut shares: Vec<Words> = bits.iter().map(|_| zeros(blocks(values.len()))).collect();
        for (turn, values) in values.chunks(AT_ONCE).enumerate() {
            let planes = self.less_at_once(line, op, (&cut, &plans), values)?;
            for (share, result) in shares.iter_mut().zip(&cut.results) {
                let plane = &planes[*result];
                share[turn * blocks(AT_ONCE)..][..plane.len()].copy_from_slice(plane);
            }
        }
        Ok(shares)
    }

    fn less_at_once(
        &mut self,
        line: &mut Line,
        op: Op,
        (cut, plans): (&Cut, &[Products]),
        values: &[u64],
    ) -> Result<Vec<Words>> {
        let first = line.side() == Side::Zero;
        let (n, digits) = (values.len(), cut.digits.len());
        let own = Own::new();
        let mut asks = Asks::default();
        let chosen = digit_bits(values, cut);
        // Four rows a digit.
        let leaves = if first { asks.send(chosen.len()) } else { asks.receive(&chosen) };
        let mut layers: Vec<Multiplying<'_>> = plans
            .iter()
            .zip(&cut.layers)
            .enumerate()
            .map(|(i, (plan, layer))| {
                let masks = own.planes(i, layer.opened.len(), blocks(n));
                Multiplying::new(plan, masks, &mut asks)
            })
            .collect();
        let rows = self.rows(line, op, &asks)?;
        let digit = |i: usize| cut.digit(i % digits, values[i / digits]);
        let mut offered = Zeroizing::new(vec![]);
        let stages = plans.iter().map(Products::stages).max().unwrap_or(0).max(1);
        for stage in 0..stages {
            let mut out = vec![];
            if stage == 0 && first {
                offered = own.bytes(n * digits);
                let mut tables = Zeroizing::new(Vec::with_capacity(offered.len()));
                tables.extend(offered.iter().enumerate().map(|(i, s)| table(digit(i), *s)));
                out = send_tables(&rows[0], 64 * leaves, OFFERED, &tables);
            }
            for layer in &mut layers {
                layer.send(stage, &rows, &mut out);
            }
            let leaf_words = if stage == 0 { table_words(OFFERED, n * digits) } else { 0 };
            let products: usize = plans.iter().map(|plan| plan.sent(stage) * blocks(n)).sum();
            let theirs = products + if first { 0 } else { leaf_words };
            let came = line.swap(op, &out, theirs)?;
            let mut came = &came[..];
            if stage == 0 && !first {
                let (leaf, rest) = came.split_at(leaf_words);
                came = rest;
                let mut chosen = Zeroizing::new(Vec::with_capacity(n * digits));
                chosen.extend((0..n * digits).map(digit));
                offered = take_tables(&rows[1], 64 * leaves, OFFERED, &chosen, leaf);
            }
            for layer in &mut layers {
                layer.take(stage, &rows, &mut came);
            }
        }
        let mut inputs = planes_of(&offered, digits, n);
        for (layer, products) in cut.layers.iter().zip(&layers) {
            let (masks, products) = products.planes();
            inputs = open_and_fold(line, op, layer, &inputs, masks, products)?;
        }
        Ok(inputs)
    }
}

/// Opens the masked inputs of a layer and gives shares of its outputs: one round.
fn open_and_fold(
    line: &mut Line,
    op: Op,
    layer: &Layer,
    inputs: &[Words],
    masks: &[Words],
    products: &[Words],
) -> Result<Vec<Words>> {
    let first = line.side() == Side::Zero;
    let blocks = inputs.first().map_or(0, |input| input.len());
    let masked = layer.opened.iter().zip(masks);
    let mine: Vec<u64> =
        masked.flat_map(|(i, mask)| inputs[*i].iter().zip(&**mask).map(|(x, m)| x ^ m)).collect();
    let theirs = line.swap(op, &mine, mine.len())?;
    let mut outputs: Vec<Words> = (0..layer.outputs()).map(|_| zeros(blocks)).collect();
    vectorised(|| {
        let room = |count: usize| Zeroizing::new(vec![Plane::<1>::ZERO; count]);
        let (mut taken, mut shares) = (room(inputs.len()), room(masks.len() + products.len()));
        let (mut hats, mut out) = (room(masks.len()), room(layer.outputs()));
        for at in 0..blocks {
            for (taken, input) in taken.iter_mut().zip(inputs) {
                taken.0[0] = input[at];
            }
            for (share, words) in shares.iter_mut().zip(masks.iter().chain(products)) {
                share.0[0] = words[at];
            }
            for (i, hat) in hats.iter_mut().enumerate() {
                hat.0[0] = mine[i * blocks + at] ^ theirs[i * blocks + at];
            }
            layer.evaluate(&taken, &hats, &shares, first, &mut out);
            for (plane, out) in outputs.iter_mut().zip(&*out) {
                plane[at] = out.0[0];
            }
        }
    });
    Ok(outputs)
}

/// What a cloud draws for itself, for one batch.
struct Own(Prg);

impl Own {
    fn new() -> Self {
        Self(Prg::new(&Seed::from_bytes(*fresh::<32>())))
    }

    fn planes(&self, stream: usize, planes: usize, blocks: usize) -> Vec<Words> {
        let label = Label { step: 0, operation: stream as u32, stream: Stream::Bits };
        (0..planes)
            .map(|i| {
                let mut plane = zeros(blocks);
                self.0.fill(label, (i * blocks) as u64, &mut plane);
                plane
            })
            .collect()
    }

    fn bytes(&self, count: usize) -> Zeroizing<Vec<u8>> {
        let label = Label { step: 0, operation: 0, stream: Stream::Share };
        let mut words = zeros(count.div_ceil(8));
        self.0.fill(label, 0, &mut words);
        let mut bytes = Zeroizing::new(Vec::with_capacity(count));
        bytes.extend((0..count).map(|i| (words[i / 8] >> (8 * (i % 8))) as u8 & 3));
        bytes
    }
}

/// The digits one behind the other, four bits to each.
fn digit_bits(values: &[u64], cut: &Cut) -> Words {
    let mut packed = zeros((values.len() * cut.digits.len()).div_ceil(16));
    let digits =
        values.iter().flat_map(|value| (0..cut.digits.len()).map(|d| cut.digit(d, *value)));
    for (i, digit) in digits.enumerate() {
        packed[i / 16] |= u64::from(digit) << (4 * (i % 16));
    }
    packed
}

/// For each j a byte: bit 0 is [a = j], bit 1 is [a < j], both under s. a is secret: a shift of two
/// words at once may be compiled to a branch on whether it is by more than one.
fn table(a: u8, s: u8) -> u128 {
    const EACH: u64 = u64::MAX / 255;
    let high = mask(u64::from(a >> 3));
    let place = 8 * (a & 7);
    // Of the half that a is in; the other is all below it, or all above.
    let eq = 1u64 << place;
    let lt = (EACH << place) ^ eq;
    let eq = [eq & !high, eq & high];
    let lt = [lt & !high, lt & high | EACH & !high];
    let under = EACH * u64::from(s);
    let [low, high] = [0, 1].map(|half| u128::from(eq[half] ^ (lt[half] << 1) ^ under));
    low | high << 64
}

/// eq and lt of digit d in planes 2d and 2d + 1.
fn planes_of(offered: &[u8], digits: usize, n: usize) -> Vec<Words> {
    let mut planes: Vec<Words> = (0..2 * digits).map(|_| zeros(blocks(n))).collect();
    for (e, bytes) in offered.chunks_exact(digits).enumerate() {
        for (pair, byte) in planes.chunks_exact_mut(2).zip(bytes) {
            pair[0][e / 64] |= u64::from(byte & 1) << (e % 64);
            pair[1][e / 64] |= u64::from(byte >> 1) << (e % 64);
        }
    }
    planes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::link::{Traffic, memory};
    use std::thread;

    const OP: Op = Op { step: 0, number: 0, name: "test" };

    /// What both hold together.
    fn opened(shares: [&[u64]; 2], e: usize) -> bool {
        (shares[0][e / 64] ^ shares[1][e / 64]) >> (e % 64) & 1 == 1
    }

    /// What both make of it, and what C0 sent for it.
    pub(crate) fn both<T: Send>(
        work: impl Fn(&mut Transfers, &mut Line, Side) -> Result<T> + Sync,
    ) -> ([T; 2], [Traffic; 2]) {
        let (zero, one) = memory::pair();
        let run = |side, link| {
            let attempt = crate::prg::Attempt { job: [7; 32], nonces: [[8; 16], [9; 16]] };
            let mut line = Line::new(side, &attempt, link);
            let mut transfers = Transfers::begin(&mut line, OP).unwrap();
            let before = line.traffic();
            let made = work(&mut transfers, &mut line, side).unwrap();
            let after = line.traffic();
            (
                made,
                Traffic {
                    bytes_sent: after.bytes_sent - before.bytes_sent,
                    rounds: after.rounds - before.rounds,
                    ..after
                },
            )
        };
        thread::scope(|scope| {
            let one = scope.spawn(|| run(Side::One, Box::new(one)));
            let (zero, traffic_0) = run(Side::Zero, Box::new(zero));
            let (one, traffic_1) = one.join().unwrap();
            ([zero, one], [traffic_0, traffic_1])
        })
    }

    fn pairs(n: usize) -> [Vec<u64>; 2] {
        let mut a = vec![0, 0, 1, u64::MAX, u64::MAX, u64::MAX - 1, 1 << 62, 5, 5];
        let mut b = vec![0, 1, 0, u64::MAX, u64::MAX - 1, u64::MAX, 1 << 63, 5, 6];
        let mut state = 1u64;
        while a.len() < n {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            a.push(state);
            // Often equal in the high digits.
            b.push(if a.len() % 3 == 0 { state ^ state >> 40 } else { state.rotate_left(31) });
        }
        [a[..n].to_vec(), b[..n].to_vec()]
    }

    #[test]
    fn private_integers_are_compared() {
        for bits in 1..=64 {
            let n = [9, 64, 70, 600][usize::from(bits) % 4];
            let values = pairs(n);
            let (shares, _) =
                both(|transfers, line, side| transfers.less(line, OP, bits, &values[side.index()]));
            let low = u64::MAX >> (64 - bits);
            for (e, (a, b)) in values[0].iter().zip(&values[1]).enumerate() {
                let less = opened([&shares[0], &shares[1]], e);
                assert_eq!(less, a & low < b & low, "{a} < {b}, {bits} bits");
            }
        }
    }

    #[test]
    fn several_numbers_of_bits_are_compared_together() {
        for ends in [[1, 2], [13, 63], [24, 63], [62, 63], [3, 64]] {
            let values = pairs(130);
            let (shares, _) = both(|transfers, line, side| {
                transfers.less_each(line, OP, &ends, &values[side.index()])
            });
            for (i, bits) in ends.into_iter().enumerate() {
                let low = u64::MAX >> (64 - bits);
                for (e, (a, b)) in values[0].iter().zip(&values[1]).enumerate() {
                    let less = opened([&shares[0][i], &shares[1][i]], e);
                    assert_eq!(less, a & low < b & low, "{a} < {b}, {bits} bits");
                }
            }
        }
    }

    /// The truncations of every ReLU, neighbours, and what lies on the edges of digits and groups:
    /// numbers that differ in one bit, at each place.
    #[test]
    fn any_two_numbers_of_bits_are_compared_together() {
        let mut a = vec![0u64; 64];
        let mut b: Vec<u64> = (0..64).map(|i| 1 << i).collect();
        a.extend(&b[..]);
        b.extend(vec![0; 64]);
        a.extend((0..64).map(|i| (u64::MAX >> 1 >> i) ^ 0x5555_0000_1111_8008));
        b.extend((0..64).map(|i| (u64::MAX >> 1 >> i) ^ 0x5555_0000_1111_8007));
        let values = [a, b];
        let ends: Vec<[u8; 2]> = (1..64u8)
            .flat_map(|s| [s + 1, s + 4, s + 16, s + 17, 43, 63, 64].map(|t| [s, t]))
            .filter(|[s, t]| s < t && *t <= 64)
            .collect();
        let (shares, _) = both(|transfers, line, side| {
            let mut all = vec![];
            for ends in &ends {
                all.push(transfers.less_each(line, OP, ends, &values[side.index()])?);
            }
            Ok(all)
        });
        for (case, ends) in ends.iter().enumerate() {
            for (i, bits) in ends.iter().enumerate() {
                let low = u64::MAX >> (64 - bits);
                for (e, (a, b)) in values[0].iter().zip(&values[1]).enumerate() {
                    let less = opened([&shares[0][case][i], &shares[1][case][i]], e);
                    assert_eq!(less, a & low < b & low, "{a:x} < {b:x}, {bits} bits of {ends:?}");
                }
            }
        }
    }

    /// More than go into one turn, with a last turn that fills no word, and none at all.
    #[test]
    fn many_are_compared_in_turns() {
        let n = 2 * AT_ONCE + 70;
        let values = pairs(n);
        let (shares, _) = both(|transfers, line, side| {
            assert_eq!(transfers.less(line, OP, 5, &[])?.len(), 0);
            transfers.less_each(line, OP, &[2, 7], &values[side.index()])
        });
        for (i, low) in [3, 127].into_iter().enumerate() {
            assert_eq!(shares[0][i].len(), blocks(n));
            for (e, (a, b)) in values[0].iter().zip(&values[1]).enumerate() {
                let less = opened([&shares[0][i], &shares[1][i]], e);
                assert_eq!(less, a & low < b & low, "number {e}");
            }
        }
    }

    /// Before anything is sent.
    #[test]
    fn what_cannot_be_asked_is_refused() {
        let cases: [&[u8]; 8] =
            [&[], &[0], &[65], &[7, 7], &[8, 7], &[1, 2, 3], &[1, 65], &[13, 43, 63]];
        let (said, traffic) = both(|transfers, line, _| {
            let refused = |bits| transfers.less_each(line, OP, bits, &[1, 2]).unwrap_err();
            let mut said: Vec<crate::Error> = cases.map(refused).into();
            said.push(transfers.numbers(line, OP, &[1, 2], 129).unwrap_err());
            said.push(transfers.multiplex(line, OP, &[1], &[0; 65]).unwrap_err());
            Ok(said)
        });
        for said in said {
            for (case, said) in said.iter().enumerate() {
                assert!(matches!(said, crate::Error::Program { .. }), "{said}");
                let text = said.to_string();
                assert!(text.starts_with("step 0, operation 0 (test): "), "{text}");
                match cases.get(case) {
                    Some(bits) => assert!(text.ends_with(&format!("not of {bits:?}")), "{text}"),
                    None => assert!(text.contains("words of bits, where"), "{text}"),
                }
            }
        }
        assert_eq!(traffic.map(|traffic| traffic.bytes_sent), [0, 0]);
    }

    #[test]
    fn a_table_has_a_byte_for_each_digit() {
        for (a, s) in (0..16).flat_map(|a| (0..4).map(move |s| (a, s))) {
            for j in 0..16 {
                let byte = (table(a, s) >> (8 * j)) as u8;
                assert_eq!(byte, (u8::from(a == j) | u8::from(a < j) << 1) ^ s);
            }
        }
    }

    #[test]
    fn bits_become_numbers_and_gate_numbers() {
        let bits = [vec![0x0123_4567_89ab_cdef, 77], vec![0xfedc_0000_1111_2222, 1 << 5]];
        let values = pairs(70);
        let (shares, _) = both(|transfers, line, side| {
            let (bits, values) = (&bits[side.index()], &values[side.index()]);
            let numbers = transfers.numbers(line, OP, bits, 70)?;
            Ok((numbers, transfers.multiplex(line, OP, bits, values)?))
        });
        for e in 0..70 {
            let bit = u64::from(opened([&bits[0], &bits[1]], e));
            assert_eq!(shares[0].0[e].wrapping_add(shares[1].0[e]), bit);
            let v = values[0][e].wrapping_add(values[1][e]);
            assert_eq!(shares[0].1[e].wrapping_add(shares[1].1[e]), v * bit);
            // Neither share is the value, nor nothing.
            assert!(shares.iter().all(|(numbers, gated)| numbers[e] > 1 && gated[e] != 0));
        }
        assert_eq!([shares[0].0.len(), shares[1].1.len()], [70, 70]);
    }

    /// Products of masks, and bits of masks that are factors, of a group of k places: lt alone, or
    /// with eq.
    fn group(k: usize, eq: bool) -> [usize; 2] {
        let lt: usize = (1..k).map(|i| (1 << i) - 1).sum::<usize>() + (1 << (k - 1)) - k;
        if eq { [lt + (1 << (k - 1)) - 1, 2 * k - 2] } else { [lt, 2 * k - 3] }
    }

    #[test]
    fn a_comparison_costs_what_the_formula_says() {
        for (bits, n) in [(13, 64), (16, 1), (63, 64), (64, 700), (40, 130)] {
            let values = pairs(n);
            let (_, traffic) =
                both(|transfers, line, side| transfers.less(line, OP, bits, &values[side.index()]));
            let blocks = blocks(n);
            let digits = usize::from(bits).div_ceil(4);
            let groups: Vec<usize> =
                (0..digits).step_by(4).map(|first| (digits - first).min(4)).collect();
            let mut layers = vec![];
            // The first layer: lt of the lowest group, lt and eq of the others. A single place is
            // passed on as it is.
            let first = groups.iter().enumerate().filter(|(_, k)| **k > 1);
            layers.push(first.map(|(i, k)| (*k, i > 0)).collect::<Vec<_>>());
            if groups.len() > 1 {
                layers.push(vec![(groups.len(), false)]);
            }
            let all = || layers.iter().flatten();
            let products: usize = all().map(|(k, eq)| group(*k, *eq)[0]).sum();
            let rows: usize = all().map(|(k, eq)| group(*k, *eq)[1]).sum();
            let opened: usize = all().map(|(k, eq)| 2 * (k - 1) + usize::from(*eq)).sum();
            // 4 bytes a row, in pairs of blocks; 32 bits a digit from C0; a bit for each product
            // and each opening.
            let asked = |rows: usize| 32 * 2 * rows.div_ceil(2);
            let leaves = (4 * digits * n).div_ceil(64);
            let words = [asked(rows * blocks), asked(leaves + rows * blocks)];
            let stages = 4.min(groups.len().max(groups[0])) - 1;
            let offered = (32 * digits * n).div_ceil(64);
            let sent = [offered + (products + opened) * blocks, (products + opened) * blocks];
            let frames = 1 + stages + layers.len();
            for side in [0, 1] {
                let expected = words[side] + sent[side];
                let headers = frames * crate::wire::HEADER;
                assert_eq!(
                    traffic[side].bytes_sent as usize,
                    8 * expected + headers,
                    "{bits} bits, {n} numbers, C{side}"
                );
                assert_eq!(traffic[side].rounds as usize, frames, "{bits} bits, {n} numbers");
            }
        }
    }
}
