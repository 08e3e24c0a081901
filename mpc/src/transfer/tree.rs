//! All seeds of a tree but one: a tree of 2^K seeds at the receiver, of which the sender has all
//! but that at a place of its own, Δ_g.
//!
//! ```text
//! receiver   root random; child b of node s is AES_s(b); for each level, S_b = sum (XOR) of all
//!            children b; sends S_0 ^ k_0 and S_1 ^ k_1 under the keys of a base transfer
//! sender     has chosen 1 - α for a level where the path to its place takes α: S_{1-α} less the
//!            children it knows is the one child beside the path
//! ```
//!
//! Goldreich, Goldwasser and Micali's tree with one leaf left out, as in Boyle et al.'s silent
//! transfers in two rounds, CCS 2019, and Roy's SoftSpoken transfers, CRYPTO 2022.
//!
//! The sender numbers a level's nodes by d = y ^ (the path so far), so that the one it lacks is
//! always number 0 and nothing is looked up at a secret place.
//!
//! Who learns what: the sums not chosen stay under keys the sender lacks, so the left-out leaf is
//! uniform to it; the receiver sends and learns nothing. A simulator draws that leaf at random.

use super::base::fresh;
use super::hash::encrypt;
use aes::Aes128Enc;
use aes::cipher::KeyInit;
use zeroize::Zeroizing;

/// Levels of a tree: 2^K seeds for K bits of Δ. Bits on the line fall as 128 / K, streams grow as
/// 2^K / K.
pub(super) const K: usize = 4;

/// Seeds of a tree.
pub(super) const LEAVES: usize = 1 << K;

fn children(node: u128) -> [u128; 2] {
    let mut children = [0, 1];
    encrypt(&Aes128Enc::new(&node.to_le_bytes().into()), &mut children);
    children
}

/// Seeds of a tree, wiped when dropped.
pub(super) type Leaves = Zeroizing<[u128; LEAVES]>;

/// The receiver's: all seeds, and what it sends, two sums a level.
pub(super) fn grow(keys: &[[u128; 2]; K]) -> (Leaves, [[u128; 2]; K]) {
    let mut leaves = Zeroizing::new([0; LEAVES]);
    leaves[0] = u128::from_le_bytes(*fresh::<16>());
    let mut sums = *keys;
    for (level, sums) in sums.iter_mut().enumerate() {
        for y in (0..1 << level).rev() {
            let pair = children(leaves[y]);
            for (b, child) in pair.into_iter().enumerate() {
                leaves[2 * y + b] = child;
                sums[b] ^= child;
            }
        }
    }
    (leaves, sums)
}

/// The sender's: seed y is number y ^ Δ_g, and number 0 it has not. `path` has Δ_g's highest bit
/// first, as a mask of all bits.
pub(super) fn prune(keys: &[u128; K], path: &[u128; K], sums: &[[u128; 2]; K]) -> Leaves {
    let mut leaves = Zeroizing::new([0; LEAVES]);
    for level in 0..K {
        let alpha = path[level];
        // S_{1-α}
        let mut beside = sums[level][1] ^ alpha & (sums[level][0] ^ sums[level][1]) ^ keys[level];
        for d in (1..1 << level).rev() {
            let [zero, one] = children(leaves[d]);
            // Child b is number 2d + (b ^ α).
            let swap = alpha & (zero ^ one);
            (leaves[2 * d], leaves[2 * d + 1]) = (zero ^ swap, one ^ swap);
            beside ^= leaves[2 * d + 1];
        }
        leaves[1] = beside;
    }
    leaves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_has_all_seeds_but_its_own() {
        for place in 0..LEAVES {
            let keys: [[u128; 2]; K] = std::array::from_fn(|i| [i as u128 + 9, i as u128 + 70]);
            let (all, sums) = grow(&keys);
            let bit = |level: usize| place >> (K - 1 - level) & 1;
            let path = std::array::from_fn(|level| (bit(level) as u128).wrapping_neg());
            let chosen = std::array::from_fn(|level| keys[level][1 - bit(level)]);
            let pruned = prune(&chosen, &path, &sums);
            for (y, seed) in all.iter().enumerate() {
                let expected = if y == place { 0 } else { *seed };
                assert_eq!(pruned[y ^ place], expected, "seed {y}, place {place}");
            }
        }
    }
}
