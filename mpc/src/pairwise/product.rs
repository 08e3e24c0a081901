//! Shares of products of shared factors: the bits of one factor choose, the other is correlated.
//!
//! ```text
//! A B = A_0 B_0 + A_1 B_1 + A_0 B_1 + A_1 B_0
//! b x = sum of 2^i b_i x, x a row or column of the other factor: bit b_i chooses between 0 and x
//!       modulo 2^{64-i}, of which no more than 8 - ⌊i/8⌋ bytes an entry are sent
//! ```
//!
//! Gilboa, "Two Party RSA Key Generation", CRYPTO 1999. The factor with fewer entries chooses, in
//! both cross terms: either cloud by its own share, so both directions are as busy.
//!
//! Who learns what: see [`crate::transfer::forms`]: what is sent is under keys of which the other
//! has half. A simulator draws it at random.

use crate::engine::Product;
use crate::engine::clear::product;
use crate::error::{Op, Result};
use crate::line::Line;
use crate::ring::add;
use crate::tensor::Shape;
use crate::transfer::products::Asks;
use crate::transfer::{Rows, Transfers, Words, mask, zeros};
use rayon::prelude::*;
use zeroize::Zeroizing;

/// Bytes that are sent at once, about.
const AT_ONCE: usize = 8 << 20;

/// Bytes for one entry of a vector, over all 64 bits of what it is multiplied by.
const EACH: usize = 8 * (1 + 2 + 3 + 4 + 5 + 6 + 7 + 8);

/// The shape of the work: numbers that choose, and vectors that they are multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scaling {
    /// How many choose.
    pub choices: usize,
    /// Entries of a vector.
    pub width: usize,
}

impl Scaling {
    /// Of a product of these shapes, as it is multiplied.
    pub(crate) fn of(form: Product, x: Shape, y: Shape) -> Self {
        match form {
            Product::Entries => Self { choices: x.len(), width: 1 },
            Product::Matrix(t) => {
                let (rows, cols) = outer(t, x, y);
                if y.len() <= x.len() {
                    Self { choices: y.len(), width: rows }
                } else {
                    Self { choices: x.len(), width: cols }
                }
            }
        }
    }

    /// Nothing to be done?
    pub(crate) const fn is_empty(self) -> bool {
        self.choices == 0 || self.width == 0
    }

    /// Choices in a turn.
    fn turn(self) -> usize {
        (AT_ONCE / (EACH * self.width.max(1))).clamp(1, 1 << 14)
    }

    /// Words each cloud sends in each message.
    pub(crate) fn messages(self) -> Vec<usize> {
        if self.is_empty() {
            return vec![];
        }
        let (count, turn) = (self.choices, self.turn());
        let turns = (0..count).step_by(turn).map(|start| turn.min(count - start));
        turns.flat_map(|n| [crate::transfer::asked(n), self.words(n)]).collect()
    }

    fn words(self, choices: usize) -> usize {
        (choices * self.width * EACH).div_ceil(8)
    }
}

/// Rows and columns of the result.
fn outer(t: crate::engine::Transpose, x: Shape, y: Shape) -> (usize, usize) {
    let rows = if t.first() { x.cols } else { x.rows };
    let cols = if t.second() { y.rows } else { y.cols };
    (rows, cols)
}

/// This cloud's share of the product.
pub(super) fn share(
    transfers: &mut Transfers,
    line: &mut Line,
    op: Op,
    form: Product,
    (x, sx): (&[u64], Shape),
    (y, sy): (&[u64], Shape),
    out: Shape,
) -> Result<Vec<u64>> {
    let mut z = product(form, (x, sx), (y, sy), out);
    let scaling = Scaling::of(form, sx, sy);
    let Product::Matrix(t) = form else {
        let place = |e| (e, e);
        scale(transfers, line, op, scaling, y, x, place, &mut z)?;
        return Ok(z);
    };
    let (rows, cols) = outer(t, sx, sy);
    // As they are multiplied: x of rows by inner, y of inner by cols.
    let turned = |a: &[u64], shape: Shape| -> Words {
        let mut turned = zeros(a.len());
        for (i, row) in a.chunks_exact(shape.cols.max(1)).enumerate() {
            row.iter().enumerate().for_each(|(j, x)| turned[j * shape.rows + i] = *x);
        }
        turned
    };
    let copied = |a: &[u64]| Zeroizing::new(a.to_vec());
    if sy.len() <= sx.len() {
        // b_{kj} times column k of x goes to column j.
        let columns = if t.first() { copied(x) } else { turned(x, sx) };
        let inner = if t.second() { sy.cols } else { sy.rows };
        let place =
            |e: usize| if t.second() { (e % inner, e / inner) } else { (e / cols, e % cols) };
        let mut zt = zeros(z.len());
        scale(transfers, line, op, scaling, y, &columns, place, &mut zt)?;
        add(&mut z, &turned(&zt, Shape::new(cols, rows)));
    } else {
        // a_{ik} times row k of y goes to row i.
        let by_row = if t.second() { turned(y, sy) } else { copied(y) };
        let inner = if t.first() { sx.rows } else { sx.cols };
        let place =
            |e: usize| if t.first() { (e / rows, e % rows) } else { (e % inner, e / inner) };
        scale(transfers, line, op, scaling, x, &by_row, place, &mut z)?;
    }
    Ok(z)
}

/// Adds shares of each choice times its vector: `place` says which vector, and which vector of the
/// result.
#[expect(clippy::too_many_arguments, reason = "two factors, a result, and who does it")]
fn scale(
    transfers: &mut Transfers,
    line: &mut Line,
    op: Op,
    scaling: Scaling,
    choices: &[u64],
    vectors: &[u64],
    place: impl Fn(usize) -> (usize, usize) + Sync,
    out: &mut [u64],
) -> Result<()> {
    let width = scaling.width;
    for (turn, choices) in choices.chunks(scaling.turn()).enumerate() {
        let first = turn * scaling.turn();
        // A word of rows for each.
        let mine = Zeroizing::new(choices.to_vec());
        let asks = Asks { mine, theirs: choices.len() };
        let [sent, taken] = transfers.rows(line, op, &asks)?;
        let n = choices.len();
        let mut bytes = vec![0u8; 8 * scaling.words(n)];
        let vector = |e: usize| &vectors[width * place(first + e).0..][..width];
        let mut sums = Zeroizing::new(vec![0; n * width]);
        bytes
            .par_chunks_exact_mut(width * EACH)
            .zip(sums.par_chunks_exact_mut(width))
            .enumerate()
            .for_each(|(e, (bytes, sum))| send(&sent, e, vector(e), bytes, sum));
        let message: Vec<u64> =
            bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
        let came = line.swap(op, &message, message.len())?;
        let came: Vec<u8> = came.iter().flat_map(|word| word.to_le_bytes()).collect();
        came.par_chunks_exact(width * EACH)
            .zip(sums.par_chunks_exact_mut(width))
            .enumerate()
            .for_each(|(e, (came, sum))| take(&taken, e, choices[e], came, sum));
        for (e, sum) in sums.chunks_exact(width).enumerate() {
            add(&mut out[width * place(first + e).1..][..width], sum);
        }
    }
    Ok(())
}

/// Rows of the bits 8 g .. 8 g + 8: how many bytes an entry.
const fn bytes_of(g: usize) -> usize {
    8 - g
}

/// Number i of so many bytes each; what is read beyond them is cut off.
fn number(bytes: &[u8], i: usize, each: usize) -> u64 {
    let mut word = [0; 8];
    match bytes[i * each..].first_chunk() {
        Some(whole) => word = *whole,
        None => word[..each].copy_from_slice(&bytes[i * each..][..each]),
    }
    u64::from_le_bytes(word) & u64::MAX >> (64 - 8 * each)
}

/// Blocks of keys for a row.
const fn blocks(width: usize, each: usize) -> usize {
    (width * each).div_ceil(16)
}

/// Has the low byte of each block lie first, as both machines must have it.
fn low_first(keys: &mut [u128]) {
    if cfg!(target_endian = "big") {
        for key in keys {
            *key = key.swap_bytes();
        }
    }
}

fn bytes(keys: &[u128]) -> &[u8] {
    bytemuck::cast_slice(keys)
}

/// The sender's part of choice e: adds its share to `sum`, fills what is sent.
fn send(rows: &Rows, e: usize, x: &[u64], out: &mut [u8], sum: &mut [u64]) {
    let mut out = out;
    let mut keys = Zeroizing::new(vec![0u128; 16 * blocks(x.len(), 8)]);
    for g in 0..8 {
        let each = bytes_of(g);
        let blocks = blocks(x.len(), each);
        let range = 64 * e + 8 * g..64 * e + 8 * g + 8;
        let (zero, one) = keys[..16 * blocks].split_at_mut(8 * blocks);
        rows.keys(range.clone(), blocks, zero);
        rows.other_keys(range, blocks, one);
        low_first(zero);
        low_first(one);
        for i in 0..8 {
            let [zero, one] =
                [&*zero, &*one].map(|keys| bytes(&keys[i * blocks..(i + 1) * blocks]));
            let (row, rest) = out.split_at_mut(x.len() * each);
            out = rest;
            for (l, x) in x.iter().enumerate() {
                let (zero, one) = (number(zero, l, each), number(one, l, each));
                let word = x.wrapping_add(zero).wrapping_sub(one).to_le_bytes();
                row[l * each..(l + 1) * each].copy_from_slice(&word[..each]);
                sum[l] = sum[l].wrapping_sub(zero << (8 * g + i));
            }
        }
    }
}

/// The receiver's part: adds its share to `sum`.
fn take(rows: &Rows, e: usize, choice: u64, came: &[u8], sum: &mut [u64]) {
    let mut came = came;
    let width = sum.len();
    let mut keys = Zeroizing::new(vec![0u128; 8 * blocks(width, 8)]);
    for g in 0..8 {
        let each = bytes_of(g);
        let blocks = blocks(width, each);
        let keys = &mut keys[..8 * blocks];
        rows.keys(64 * e + 8 * g..64 * e + 8 * g + 8, blocks, keys);
        low_first(keys);
        for i in 0..8 {
            let key = bytes(&keys[i * blocks..(i + 1) * blocks]);
            let (row, rest) = came.split_at(width * each);
            came = rest;
            let set = mask(choice >> (8 * g + i));
            for (l, sum) in sum.iter_mut().enumerate() {
                let word = number(key, l, each).wrapping_add(set & number(row, l, each));
                *sum = sum.wrapping_add(word << (8 * g + i));
            }
        }
    }
}
