//! What is made of rows, k^0 and k^1 being a row's two keys and k^b that of the receiver's bit b.
//!
//! ```text
//! random      k^0, k^1 at the sender, k^b at the receiver: the keys as they are ([`Rows::keys`])
//! chosen      sends m_0 ^ k^0 and m_1 ^ k^1
//! correlated  x of the sender's: sends y = x ^ k^0 ^ k^1; shares of b x by XOR: k^0, k^b ^ b y
//!             or sends y = x + k^0 - k^1; shares by addition: -k^0, k^b + b y
//! one of 16   four rows a transfer; message j lies under the sum (XOR) of the j-th bytes of the
//!             keys k_l^{bit l of j}, l = 0 .. 3 (Naor and Pinkas, J. Cryptology 2005)
//! ```
//!
//! Who learns what: each message lies under a key, or a byte of one, that is used for nothing else;
//! of two (of 16) keys the receiver has one, and the sender hears nothing. A simulator of the
//! receiver draws what it cannot read at random.

use super::extend::Rows;
use super::{Refused, Words, mask, sized, zeros};
use crate::bits::plane::{Plane, transpose, vectorised};
use rayon::prelude::*;
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

/// Words of 64 rows that are worked on together.
const WIDE: usize = 8;

/// Low halves of keys, bit by bit: plane l has bit l of each of 512 rows. From row word `start` on.
#[expect(clippy::inline_always, reason = "it must be compiled for wide vectors")]
#[inline(always)]
fn sliced(rows: &Rows, start: usize, width: usize, other: bool) -> [Plane<WIDE>; 64] {
    let mut keys = Zeroizing::new([0; 64 * WIDE]);
    let keys = &mut keys[..64 * width];
    let range = 64 * start..64 * (start + width);
    if other {
        rows.other_keys(range, 1, keys);
    } else {
        rows.keys(range, 1, keys);
    }
    let mut planes = [Plane::ZERO; 64];
    for (w, keys) in keys.chunks_exact(64).enumerate() {
        for (plane, key) in planes.iter_mut().zip(keys) {
            plane.0[w] = *key as u64;
        }
    }
    transpose(&mut planes);
    planes
}

/// The sender's part of b x for planes x of `blocks` words each, from row word `start` on: its
/// share in place of x, and what it sends. One bit of the receiver's goes with all planes.
pub(crate) fn send_bits(rows: &Rows, start: usize, x: &mut [Words]) -> Vec<u64> {
    debug_assert!(x.len() <= 64, "half a key");
    let blocks = x.first().map_or(0, |x| x.len());
    let mut message = vec![0; x.len() * blocks];
    for at in (0..blocks).step_by(WIDE) {
        let width = WIDE.min(blocks - at);
        vectorised(|| {
            let zero = sliced(rows, start + at, width, false);
            let one = sliced(rows, start + at, width, true);
            for (l, x) in x.iter_mut().enumerate() {
                for w in 0..width {
                    message[l * blocks + at + w] = x[at + w] ^ zero[l].0[w] ^ one[l].0[w];
                    x[at + w] = zero[l].0[w];
                }
            }
        });
    }
    message
}

/// The receiver's part, for its bits: its shares.
pub(crate) fn take_bits(
    rows: &Rows,
    start: usize,
    bits: &[u64],
    planes: usize,
    message: &[u64],
) -> Vec<Words> {
    let blocks = bits.len();
    let mut shares: Vec<Words> = (0..planes).map(|_| zeros(blocks)).collect();
    for at in (0..blocks).step_by(WIDE) {
        let width = WIDE.min(blocks - at);
        vectorised(|| {
            let keys = sliced(rows, start + at, width, false);
            for (l, share) in shares.iter_mut().enumerate() {
                for w in 0..width {
                    let came = message[l * blocks + at + w];
                    share[at + w] = keys[l].0[w] ^ bits[at + w] & came;
                }
            }
        });
    }
    shares
}

/// Blocks of keys for so many words.
const fn blocks_of(words: usize) -> usize {
    words.div_ceil(2)
}

/// Keys of rows that go through the hash together, in blocks.
const KEYS: usize = 1 << 10;

/// The sender's part of b x for `each` words x a row, from row `start` on: its share in place of x,
/// and what it sends.
pub(crate) fn send_words(rows: &Rows, start: usize, each: usize, x: &mut [u64]) -> Vec<u64> {
    let mut message = vec![0; x.len()];
    let (blocks, at_once) = (blocks_of(each), (KEYS / blocks_of(each)).max(1));
    x.par_chunks_mut(each * at_once)
        .zip(message.par_chunks_mut(each * at_once))
        .enumerate()
        .for_each(|(chunk, (x, message))| {
            let first = start + chunk * at_once;
            let range = first..first + x.len() / each;
            let mut zero = Zeroizing::new(vec![0; range.len() * blocks]);
            let mut one = zero.clone();
            rows.keys(range.clone(), blocks, &mut zero);
            rows.other_keys(range, blocks, &mut one);
            vectorised(|| {
                let keys = zero.chunks_exact(blocks).zip(one.chunks_exact(blocks));
                let pairs = x.chunks_exact_mut(each).zip(message.chunks_exact_mut(each));
                for ((x, message), (zero, one)) in pairs.zip(keys) {
                    for (i, (x, message)) in x.iter_mut().zip(message).enumerate() {
                        let (zero, one) = (word(zero, i), word(one, i));
                        *message = x.wrapping_add(zero).wrapping_sub(one);
                        *x = zero.wrapping_neg();
                    }
                }
            });
        });
    message
}

/// The receiver's part: its shares in place of what came. Row i has bit i of the words of `bits`,
/// the first of which goes with row `start`, the first in a word of rows.
pub(crate) fn take_words(rows: &Rows, start: usize, each: usize, bits: &[u64], came: &mut [u64]) {
    let (blocks, at_once) = (blocks_of(each), (KEYS / blocks_of(each)).max(1));
    came.par_chunks_mut(each * at_once).enumerate().for_each(|(chunk, came)| {
        let first = chunk * at_once;
        let range = start + first..start + first + came.len() / each;
        let mut keys = Zeroizing::new(vec![0; range.len() * blocks]);
        rows.keys(range, blocks, &mut keys);
        vectorised(|| {
            let rows = came.chunks_exact_mut(each).zip(keys.chunks_exact(blocks));
            for (row, (came, keys)) in (first..).zip(rows) {
                let set = mask(bits[row / 64] >> (row % 64));
                for (i, came) in came.iter_mut().enumerate() {
                    *came = word(keys, i).wrapping_add(set & *came);
                }
            }
        });
    });
}

#[expect(clippy::inline_always, reason = "it must be compiled for wide vectors")]
#[inline(always)]
const fn word(blocks: &[u128], i: usize) -> u64 {
    (blocks[i / 2] >> (64 * (i % 2))) as u64
}

/// What the sender sends so that the receiver learns one of two blocks a row. Rows and blocks are
/// used up: a key that came twice would give the difference of two blocks away. Rows that no pair
/// is for, at most 63 that fill up the last word, stay unused.
#[expect(clippy::needless_pass_by_value, reason = "a key serves once")]
pub fn send_chosen(rows: Rows, pairs: Zeroizing<Vec<[u128; 2]>>) -> Result<Vec<u64>, Refused> {
    if !rows.are_the_senders() {
        return Err(Refused::NotTheSenders);
    }
    sized("rows", rows.len() / 64, pairs.len().div_ceil(64))?;
    let mut keys = Zeroizing::new(vec![0; 2 * pairs.len()]);
    let (zero, one) = keys.split_at_mut(pairs.len());
    rows.keys(0..pairs.len(), 1, zero);
    rows.other_keys(0..pairs.len(), 1, one);
    let under = pairs.iter().zip(zero).zip(one);
    let under = under.flat_map(|(([m_0, m_1], k_0), k_1)| [m_0 ^ *k_0, m_1 ^ *k_1]);
    Ok(under.flat_map(|block| [block as u64, (block >> 64) as u64]).collect())
}

/// The blocks that the receiver's bits choose, 64 bits a word: of so many rows that were asked for
/// with these bits, from what came for them.
#[expect(clippy::needless_pass_by_value, reason = "a key serves once")]
pub fn take_chosen(
    rows: Rows,
    bits: Words,
    count: usize,
    message: Vec<u64>,
) -> Result<Zeroizing<Vec<u128>>, Refused> {
    sized("rows", rows.len() / 64, count.div_ceil(64))?;
    sized("choices", bits.len(), count.div_ceil(64))?;
    sized("chosen blocks", message.len(), 4 * count)?;
    let mut keys = Zeroizing::new(vec![0; count]);
    rows.keys(0..count, 1, &mut keys);
    for (i, (key, came)) in keys.iter_mut().zip(message.chunks_exact(4)).enumerate() {
        let set = mask(bits[i / 64] >> (i % 64));
        let half = |i: usize| u128::from(came[i] ^ set & (came[i] ^ came[i + 2]));
        *key ^= half(0) | half(1) << 64;
    }
    Ok(keys)
}

/// Bytes j of a block with bit l of j set.
const SET: [u128; 4] = [
    0xff00_ff00_ff00_ff00_ff00_ff00_ff00_ff00,
    0xffff_0000_ffff_0000_ffff_0000_ffff_0000,
    0xffff_ffff_0000_0000_ffff_ffff_0000_0000,
    0xffff_ffff_ffff_ffff_0000_0000_0000_0000,
];

/// Transfers of one of 16 that are worked on together.
const TABLES: usize = 64;

/// Of messages of `bits` bits (at most 8), one table of 16 a transfer, message j in byte j, what
/// the sender sends: under their keys, and without the bits that are not used. From row `start` on.
pub(crate) fn send_tables(rows: &Rows, start: usize, bits: u32, tables: &[u128]) -> Vec<u64> {
    let mut packed = Packer::new(16 * bits, tables.len());
    let mut keys = Zeroizing::new([0; 8 * TABLES]);
    for (chunk, tables) in tables.chunks(TABLES).enumerate() {
        let first = start + 4 * TABLES * chunk;
        let range = first..first + 4 * tables.len();
        let (zero, one) = keys.split_at_mut(4 * TABLES);
        rows.keys(range.clone(), 1, &mut zero[..range.len()]);
        rows.other_keys(range.clone(), 1, &mut one[..range.len()]);
        for (i, table) in tables.iter().enumerate() {
            let mut under = *table;
            for (l, set) in SET.iter().enumerate() {
                under ^= zero[4 * i + l] & !set ^ one[4 * i + l] & set;
            }
            packed.put(squeezed(under, bits));
        }
    }
    packed.words
}

/// Words of `count` transfers of one of 16.
pub(crate) const fn table_words(bits: u32, count: usize) -> usize {
    (16 * bits as usize * count).div_ceil(64)
}

/// The messages that the receiver's digits choose: 4 bits each, whose rows begin at `start`.
pub(crate) fn take_tables(
    rows: &Rows,
    start: usize,
    bits: u32,
    digits: &[u8],
    message: &[u64],
) -> Zeroizing<Vec<u8>> {
    let mut keys = Zeroizing::new([0; 4 * TABLES]);
    let mut chosen = Zeroizing::new(Vec::with_capacity(digits.len()));
    for (chunk, digits) in digits.chunks(TABLES).enumerate() {
        let first = start + 4 * TABLES * chunk;
        let keys = &mut keys[..4 * digits.len()];
        rows.keys(first..first + keys.len(), 1, keys);
        for (i, (digit, keys)) in digits.iter().zip(keys.chunks_exact(4)).enumerate() {
            let under = stretched(read(message, 16 * bits, TABLES * chunk + i), bits);
            let key = keys[0] ^ keys[1] ^ keys[2] ^ keys[3];
            let byte = byte_at(under ^ key, *digit);
            chosen.push(byte & (u8::MAX >> (8 - bits)));
        }
    }
    chosen
}

/// Byte number `place`, a secret below 16: a shift of two words at once may be compiled to a branch
/// on whether it is by more than one.
fn byte_at(block: u128, place: u8) -> u8 {
    let (low, high) = (block as u64, (block >> 64) as u64);
    let half = u64::conditional_select(&low, &high, Choice::from(place >> 3 & 1));
    (half >> (8 * (place & 7))) as u8
}

/// How many bits stand together, and how far apart.
const fn steps(bits: u32) -> [(u32, u32); 4] {
    [(bits, 8), (2 * bits, 16), (4 * bits, 32), (8 * bits, 64)]
}

/// The low bits of 16 bytes, one behind the other.
fn squeezed(x: u128, bits: u32) -> u128 {
    steps(bits).into_iter().fold(x & repeat(bits, 8), |x, (have, apart)| {
        let low = repeat(have, 2 * apart);
        x & low | (x >> apart & low) << have
    })
}

/// Back into the low bits of 16 bytes.
fn stretched(x: u128, bits: u32) -> u128 {
    steps(bits).into_iter().rev().fold(x, |x, (have, apart)| {
        let low = repeat(have, 2 * apart);
        x & low | (x >> have & low) << apart
    })
}

/// So many low bits set, again and again.
const fn repeat(bits: u32, apart: u32) -> u128 {
    let ones = u128::MAX >> (128 - bits);
    let mut all = 0;
    let mut at = 0;
    while at < 128 {
        all |= ones << at;
        at += apart;
    }
    all
}

/// Writes numbers of so many bits, a multiple of 16, one behind the other.
struct Packer {
    words: Vec<u64>,
    bits: u32,
    at: usize,
}

impl Packer {
    fn new(bits: u32, count: usize) -> Self {
        Self { words: vec![0; (bits as usize * count).div_ceil(64)], bits, at: 0 }
    }

    fn put(&mut self, x: u128) {
        for part in 0..self.bits / 16 {
            let x = (x >> (16 * part)) as u64 & 0xffff;
            self.words[self.at / 64] |= x << (self.at % 64);
            self.at += 16;
        }
    }
}

/// Number i of those.
fn read(words: &[u64], bits: u32, i: usize) -> u128 {
    let first = bits as usize * i;
    let parts = (0..bits as usize / 16).map(|part| {
        let at = first + 16 * part;
        u128::from(words[at / 64] >> (at % 64) & 0xffff) << (16 * part)
    });
    parts.fold(0, |all, part| all | part)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::transfer::{Receiver, Sender};

    /// Rows of both, for these bits.
    fn rows(bits: &[u64]) -> [Rows; 2] {
        let attempt = crate::prg::Attempt { job: [1; 32], nonces: [[2; 16], [3; 16]] };
        let context = crate::transfer::Context::new(&attempt, crate::prg::Party::One);
        let (begun, asks) = Sender::begin(&context);
        let (mut receiver, answer) = Receiver::begin(&context, &asks).unwrap();
        let mut sender = begun.finish(&asks, &answer).unwrap();
        let (message, taken) = receiver.ask(bits);
        [sender.answer(&message, bits.len()).unwrap(), taken]
    }

    fn numbers(count: usize) -> Vec<u64> {
        (1..=count as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
    }

    #[test]
    fn shares_of_bits_are_products_with_the_bit() {
        for (start, blocks) in [(0, 1), (2, 7), (1, 8), (3, 21)] {
            let bits = numbers(start + blocks);
            let [sent, taken] = rows(&bits);
            let x: Vec<Words> =
                (0..5).map(|l| Zeroizing::new(numbers(blocks + l)[l..].to_vec())).collect();
            let mut mine = x.clone();
            let message = send_bits(&sent, start, &mut mine);
            let theirs = take_bits(&taken, start, &bits[start..], 5, &message);
            for l in 0..5 {
                for w in 0..blocks {
                    assert_eq!(mine[l][w] ^ theirs[l][w], x[l][w] & bits[start + w]);
                    assert_ne!(mine[l][w], 0);
                }
            }
        }
    }

    #[test]
    fn shares_of_words_are_products_with_the_bit() {
        for each in [1, 2, 3, 40] {
            let bits = numbers(33);
            let [sent, taken] = rows(&bits);
            let x = numbers(64 * 32 * each);
            let mut mine = x.clone();
            let mut theirs = send_words(&sent, 64, each, &mut mine);
            take_words(&taken, 64, each, &bits[1..], &mut theirs);
            for (i, x) in x.iter().enumerate() {
                let bit = bits[1 + i / each / 64] >> (i / each % 64) & 1;
                assert_eq!(mine[i].wrapping_add(theirs[i]), x * bit, "word {i} of {each} a row");
            }
        }
    }

    #[test]
    fn the_chosen_block_is_read() {
        let bits = numbers(3);
        let [sent, taken] = rows(&bits);
        let pairs: Vec<[u128; 2]> = (0..150u128).map(|i| [i << 70 | i, !i]).collect();
        let message = send_chosen(sent, Zeroizing::new(pairs.clone())).unwrap();
        let chosen = take_chosen(taken, Zeroizing::new(bits.clone()), 150, message).unwrap();
        for (i, block) in chosen.iter().enumerate() {
            assert_eq!(*block, pairs[i][(bits[i / 64] >> (i % 64) & 1) as usize]);
        }
    }

    #[test]
    fn what_does_not_fit_the_rows_is_refused() {
        let bits = || Zeroizing::new(numbers(3));
        let refused = |what, got, due| Some(Refused::Length { what, got, due });
        let pairs = |count: usize| Zeroizing::new(vec![[5u128, 6]; count]);
        for (count, words) in [(0, 0), (1, 1), (128, 2), (193, 4)] {
            let [sent, taken] = rows(&bits());
            assert_eq!(send_chosen(sent, pairs(count)).err(), refused("rows", 3, words));
            let taken = take_chosen(taken, bits(), count, vec![0; 4 * count]);
            assert_eq!(taken.err(), refused("rows", 3, words));
        }
        let taken = |bits, count, message| {
            let [_, taken] = rows(&numbers(3));
            take_chosen(taken, bits, count, message).err()
        };
        for got in [0, 599, 601, 768] {
            let refused = refused("chosen blocks", got, 600);
            assert_eq!(taken(bits(), 150, vec![0; got]), refused);
        }
        for got in [0, 2, 4] {
            let choices = Zeroizing::new(numbers(got));
            assert_eq!(taken(choices, 150, vec![0; 600]), refused("choices", got, 3));
        }
        assert_eq!(taken(bits(), 150, vec![0; 600]), None);
        let [_, mine] = rows(&bits());
        assert_eq!(send_chosen(mine, pairs(150)).err(), Some(Refused::NotTheSenders));
    }

    #[test]
    fn a_byte_is_taken_at_any_place() {
        let block = 0x0f1e_2d3c_4b5a_6978_8796_a5b4_c3d2_e1f0;
        for place in 0..16 {
            assert_eq!(byte_at(block, place), (block >> (8 * place)) as u8);
        }
    }

    #[test]
    fn the_chosen_of_16_is_read_and_no_other() {
        for bits in [1, 2, 5, 8] {
            let choices = numbers(10);
            let [sent, taken] = rows(&choices);
            let low = (1u128 << bits) - 1;
            let tables: Vec<u128> =
                (0..140u128).map(|i| i.wrapping_mul(0x0123_4567_89ab_cdef << 50 | 0x77)).collect();
            let message = send_tables(&sent, 16, bits, &tables);
            assert_eq!(message.len(), table_words(bits, tables.len()));
            let digit = |i: usize| (choices[(16 + 4 * i) / 64] >> ((16 + 4 * i) % 64) & 15) as u8;
            let digits: Vec<u8> = (0..140).map(digit).collect();
            let chosen = take_tables(&taken, 16, bits, &digits, &message);
            for (i, (table, chosen)) in tables.iter().zip(&*chosen).enumerate() {
                assert_eq!(u128::from(*chosen), table >> (8 * digit(i)) & low, "transfer {i}");
            }
            // Another digit than was asked for gives noise.
            let others: Vec<u8> = digits.iter().map(|digit| digit ^ 1).collect();
            let wrong = take_tables(&taken, 16, bits, &others, &message);
            let right = |(table, (i, wrong)): (&u128, (usize, &u8))| {
                u128::from(*wrong) == table >> (8 * (digit(i) ^ 1)) & low
            };
            let hits = tables.iter().zip(wrong.iter().enumerate()).filter(|x| right(*x)).count();
            assert!(hits < 110, "{hits} of 140 at {bits} bits");
        }
    }

    #[test]
    fn bits_are_squeezed_and_stretched() {
        for bits in 1..=8 {
            let x = 0x0123_4567_89ab_cdef_u128.wrapping_mul(0xfedc_ba98_7654_3210_1122_3344);
            let small = squeezed(x, bits);
            assert!(bits == 8 || small >> (16 * bits) == 0);
            assert_eq!(stretched(small, bits), x & repeat(bits, 8));
        }
    }
}
