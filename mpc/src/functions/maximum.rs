//! The largest entry of each row, and where it is.
//!
//! A tournament of groups of at most 16. In a group of k all pairs are compared at once:
//!
//! ```text
//! β_ij = -[x_i < x_j], i < j          i beats j unless x_i < x_j: of equals the first wins
//! w_i  = Σ_{j>i} (1 + β_ij) - Σ_{j<i} β_ji         how many i beats
//! h_i  = 1 + ((w_i - (k-1)) >> s),  k <= 2^s       one-hot: who beats all others
//! max  = Σ h_i x_i
//! ```
//!
//! A knock-out of pairs would take k - 1 comparisons instead of k(k-1)/2, but 4 rounds for each
//! doubling; this takes 7 for up to 16 entries, 14 for up to 256. Groups are as small as the fewest
//! levels allow.
//! Range: |x| < 2^61 as a ring element. Exact. Nobody learns anything.
//! Rounds for each level: compare (4; 3 if |x| < 2^15), s bits of the wins (2; 0 in pairs), mask
//! (1, which argmax alone does not need if there is one level).

use super::steps::{below_zero, bits, filled, rounds as compare_rounds};
use super::truncation_rounds;
use crate::engine::Engine;
use crate::error::Result;
use crate::session::{Masked, Session, Shared, Shift};
use crate::tensor::{Axis, Meta, Shape, View};

/// Most entries of a group: their wins are one digit.
const MOST: usize = 16;

/// The largest entry of each row, as a column.
pub fn max<E: Engine>(e: &mut Session<E>, x: &Shared<E>) -> Result<Shared<E>> {
    Ok(tournament(e, x, true, false)?.0)
}

/// One-hot rows, as numbers 0 and 1 at scale 0: where the largest entry stands, the first of them.
pub fn argmax<E: Engine>(e: &mut Session<E>, x: &Shared<E>) -> Result<Shared<E>> {
    Ok(tournament(e, x, false, true)?.1)
}

/// Both, in the rounds of one.
pub fn max_and_argmax<E: Engine>(
    e: &mut Session<E>,
    x: &Shared<E>,
) -> Result<(Shared<E>, Shared<E>)> {
    tournament(e, x, true, true)
}

/// Rounds of [`max`] and [`max_and_argmax`]; [`argmax`] saves one where there is one level.
#[must_use]
pub fn max_rounds(x: Meta) -> u64 {
    let compare = compare_rounds(x.scale, x.bound + 1);
    levels(x.shape.cols)
        .iter()
        .map(|groups| compare + wins_shift(groups).map_or(0, truncation_rounds) + 1)
        .sum()
}

/// Sizes of the groups, level by level, down to a single winner.
fn levels(n: usize) -> Vec<Vec<usize>> {
    let mut count = 0;
    while MOST.pow(count) < n {
        count += 1;
    }
    // The smallest groups for so many levels.
    let size = (2..=MOST).find(|size| size.pow(count) >= n).unwrap_or(MOST);
    let mut left = n;
    (0..count)
        .map(|_| {
            let groups = left.div_ceil(size);
            let sizes = (0..groups).map(|g| (left * (g + 1)) / groups - (left * g) / groups);
            let sizes = sizes.collect();
            left = groups;
            sizes
        })
        .collect()
}

/// s, if wins must be truncated: in pairs they are one-hot already.
fn wins_shift(groups: &[usize]) -> Option<u8> {
    let most = groups.iter().max().copied().unwrap_or(0);
    (most > 2).then(|| bits(most as i64 - 1))
}

/// Candidates are rows here, and the rows of x columns.
fn tournament<E: Engine>(
    e: &mut Session<E>,
    x: &Shared<E>,
    with_max: bool,
    with_place: bool,
) -> Result<(Shared<E>, Shared<E>)> {
    let Shape { rows, cols } = x.shape();
    if cols == 0 {
        return Err(e.refusal("max", "rows without entries have no largest"));
    }
    let mut x = e.view(x, &View::Transpose)?;
    let mut place = filled(e, Shape::new(cols, rows), 0, 1)?;
    // Which candidate of this level each of the first belongs to.
    let mut owner: Vec<u32> = (0..cols as u32).collect();
    let levels = levels(cols);
    for (level, groups) in levels.iter().enumerate() {
        let h = winners(e, &x, groups)?;
        let needs_max = with_max || level + 1 < levels.len();
        let needs_place = with_place && level > 0;
        let mut masks = vec![&h];
        masks.extend(needs_max.then_some(&x));
        masks.extend(needs_place.then_some(&place));
        let mut masked = if masks.len() > 1 { e.mask(&masks)? } else { vec![] };
        if needs_place {
            let place_masked = masked.pop();
            place = together(e, masked.first(), place_masked.as_ref(), &owner, place)?;
        } else if level == 0 {
            place = h;
        }
        if needs_max {
            x = largest(e, &masked, groups, x)?;
        }
        let group_of: Vec<u32> =
            groups.iter().zip(0..).flat_map(|(k, g)| std::iter::repeat_n(g, *k)).collect();
        for owner in &mut owner {
            *owner = group_of[*owner as usize];
        }
    }
    // Without a maximum, what is left of x is not a column and is not asked for.
    Ok((e.view(&x, &View::Transpose)?, e.view(&place, &View::Transpose)?))
}

/// The place so far where its group wins, else 0.
fn together<E: Engine>(
    e: &mut Session<E>,
    h: Option<&Masked<E>>,
    place: Option<&Masked<E>>,
    owner: &[u32],
    otherwise: Shared<E>,
) -> Result<Shared<E>> {
    let (Some(h), Some(place)) = (h, place) else { return Ok(otherwise) };
    let h = e.view_masked(h, &View::Rows(owner))?;
    let both = e.multiply(&h, place)?;
    e.declare(&both, 1)
}

/// Σ h x in each group.
fn largest<E: Engine>(
    e: &mut Session<E>,
    masked: &[Masked<E>],
    groups: &[usize],
    x: Shared<E>,
) -> Result<Shared<E>> {
    let [h, y] = masked else { return Ok(x) };
    let (n, columns) = (x.shape().rows, x.shape().cols);
    let kept = e.multiply(h, y)?;
    let nothing = filled(e, Shape::new(1, columns), x.scale(), 0)?;
    let kept = e.join(&[&kept, &nothing], Axis::Rows)?;
    let most = groups.iter().max().copied().unwrap_or(0);
    let starts = starts(groups);
    // The i-th of each group side by side; the row behind the last is nothing.
    let rows: Vec<u32> = (0..most)
        .flat_map(|i| {
            let at = |(k, start): (&usize, &usize)| if i < *k { start + i } else { n };
            groups.iter().zip(&starts).map(at).map(|row| row as u32).collect::<Vec<_>>()
        })
        .collect();
    let kept = e.view(&kept, &View::Rows(&rows))?;
    let kept = e.view(&kept, &View::Reshape(Shape::new(most, groups.len() * columns)))?;
    let sum = e.sum(&kept, Axis::Rows)?;
    let sum = e.view(&sum, &View::Reshape(Shape::new(groups.len(), columns)))?;
    e.declare(&sum, x.meta().bound)
}

fn starts(groups: &[usize]) -> Vec<usize> {
    groups
        .iter()
        .scan(0, |next, k| {
            *next += k;
            Some(*next - k)
        })
        .collect()
}

/// h: in each group one-hot.
fn winners<E: Engine>(e: &mut Session<E>, x: &Shared<E>, groups: &[usize]) -> Result<Shared<E>> {
    let (n, columns) = (x.shape().rows, x.shape().cols);
    let all = Shape::new(n, columns);
    let (mut firsts, mut seconds) = (vec![], vec![]);
    // For each candidate the pairs it is in, and whether it is the second of them.
    let mut fights = vec![vec![]; n];
    let mut place = Vec::with_capacity(n);
    for (k, start) in groups.iter().zip(starts(groups)) {
        place.extend((0..*k as i64).map(|i| -i));
        for i in start..start + k {
            for j in i + 1..start + k {
                fights[i].push((firsts.len(), false));
                fights[j].push((firsts.len(), true));
                firsts.push(i as u32);
                seconds.push(j as u32);
            }
        }
    }
    let a = e.view(x, &View::Rows(&firsts))?;
    let b = e.view(x, &View::Rows(&seconds))?;
    let difference = e.sub(&a, &b)?;
    let beta = below_zero(e, &difference)?;
    // β, -β and a row of nothing, so that a place in them says the sign.
    let minus = e.linear(&[(-1, &beta)])?;
    let nothing = filled(e, Shape::new(1, columns), 0, 0)?;
    let signed = e.join(&[&beta, &minus, &nothing], Axis::Rows)?;
    let pairs = firsts.len();
    let most = groups.iter().max().copied().unwrap_or(0);
    let rows: Vec<u32> = (0..most - 1)
        .flat_map(|o| {
            let row = move |fights: &Vec<(usize, bool)>| match fights.get(o) {
                Some((pair, second)) => pair + if *second { pairs } else { 0 },
                None => 2 * pairs,
            };
            fights.iter().map(row).map(|row| row as u32).collect::<Vec<_>>()
        })
        .collect();
    let signed = e.view(&signed, &View::Rows(&rows))?;
    let signed = e.view(&signed, &View::Reshape(Shape::new(most - 1, n * columns)))?;
    let wins = e.sum(&signed, Axis::Rows)?;
    let wins = e.view(&wins, &View::Reshape(all))?;
    // w_i - (k-1): of its k - 1 pairs a candidate is second in as many as stand before it.
    let place = e.public(Meta::new(n, 1, 0, bits(most as i64)), &place)?;
    let place = e.view(&place, &View::RepeatColumn(columns))?;
    let missing = e.add(&wins, &place)?;
    let missing = match wins_shift(groups) {
        None => missing,
        Some(s) => {
            let missing = e.declare(&missing, s)?;
            let missing = e.halve(&missing, s)?;
            e.truncate_one(&missing, Shift::floor(s))?
        }
    };
    let one = filled(e, all, 0, 1)?;
    let h = e.add(&one, &missing)?;
    e.declare(&h, 1)
}
