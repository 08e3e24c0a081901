//! Comparison of a public number with a dealt one, bit-sliced: what truncations, comparisons and
//! ReLU have in common.
//!
//! Given ẑ = z + r with r known to the dealer alone, the borrow c_k = [ẑ mod 2^k < r mod 2^k] is
//! all that lacks to z >> k and to the sign of z.
//!
//! ```text
//! digits   the k bits are cut into digits of at most 4; the dealer shares each digit of r one-hot,
//!          T[j] = [digit = j], by XOR. With ẑ's digit d public,
//!          eq = T[d],  lt = T[d+1] ^ T[d+2] ^ ...        are local
//! fold     groups of at most 4 digits, then one of all groups (at most 5), from the highest down:
//!          lt = lt_3 ^ eq_3 lt_2 ^ eq_3 eq_2 lt_1 ^ eq_3 eq_2 eq_1 lt_0,  eq = eq_3 eq_2 eq_1 eq_0
//! product  each bit x of a product is masked, x̂ = x ^ m, and opened; the dealer shares the
//!          products m_S of masks by XOR:  x_1 ... x_n = XOR over subsets S of m_S AND of x̂_i, i not in S
//! ```
//!
//! - [`plan`]: how digits and groups are cut, what is opened and what is dealt, as counts
//! - [`plane`]: one bit of 64 entries is a word; transposing entries into such planes
//! - [`fold`]: the layers of products
//! - [`tables`]: one-hot digits, and what is looked up in them
//! - [`words`]: from the borrow to the result, by 64-bit words
//! - [`parts`]: where a tensor's blocks stand in what is drawn, dealt and sent

#![expect(
    clippy::inline_always,
    reason = "what runs with wide vectors must be compiled into the function that has them"
)]

pub(crate) mod fold;
pub(crate) mod parts;
pub(crate) mod plan;
pub(crate) mod plane;
pub(crate) mod tables;
pub(crate) mod words;
