//! From the borrow c and the sign bit b to the result: arithmetic in the ring, on words that the
//! dealer shares by addition.
//!
//! ```text
//! ĉ = c ^ γ and b̂ = b ^ β are open, so  c = ĉ + (1 - 2ĉ) γ,  b = b̂ + (1 - 2b̂) β
//! ρ = r >> s,  M = msb(r) 2^{64-s},  n = 1 - msb(ẑ)  (so that n msb(r) says whether z + r wrapped)
//! P = ẑ >> s, less 2^{62-s} where z was lifted by 2^62 to be positive
//!
//! L(1; γ, ρ, M) = (P - ĉ) 1 - ρ - (1 - 2ĉ) γ + n M         = z >> s
//! truncate   L(1; γ, ρ, M)
//! gate, ReLU b̂ L(1; γ, ρ, M) + (1 - 2b̂) L(β; βγ, βρ, βM)   = b (z >> s)
//! gate, s=0  b̂ (ẑ - r) + (1 - 2b̂) (β ẑ - βr)               = b z
//! ```
//!
//! ReLU needs no lift: where b is set, z is not negative, and where it is not, L is not used.
//!
//! Who learns what: ĉ and b̂ are masked by uniform bits used once, the dealt words are uniform for
//! either cloud. A simulator draws all of them at random.

use crate::engine::Act;

/// z is lifted by this where it may be negative and its bits are wanted.
pub(crate) const LIFT: u64 = 1 << 62;

/// Is z lifted?
pub(crate) const fn lifted(act: Act) -> bool {
    matches!(act, Act::Truncate(_)) || matches!(act, Act::Gate(s) if s > 0)
}

/// The dealer's side of a block of 64 entries: `out` has C0's shares of the words of each kind and
/// gets C1's. β and γ are one bit an entry, or words for a gate, whose bits came before.
#[inline(always)]
pub(crate) fn deal(act: Act, r: &[u64], beta: Masks<'_>, gamma: u64, out: &mut [&mut [u64]]) {
    match act {
        Act::Sign | Act::Zero => each(r, out, |e, _| [beta.word(e)]),
        Act::Gate(0) => each(r, out, |e, r| [r & beta.word(e).wrapping_neg()]),
        Act::Truncate(s) => each(r, out, |e, r| cut(r, gamma >> (e & 63) & 1, s)),
        Act::Gate(s) => each(r, out, |e, r| {
            let [c, rho, m] = cut(r, gamma >> (e & 63) & 1, s);
            let kept = beta.word(e).wrapping_neg();
            [c, rho, m, c & kept, rho & kept, m & kept]
        }),
        Act::Relu(s) => each(r, out, |e, r| {
            let [c, rho, m] = cut(r, gamma >> (e & 63) & 1, s);
            let kept = beta.word(e).wrapping_neg();
            [c, rho, m, c & kept, rho & kept, m & kept, beta.word(e)]
        }),
    }
}

/// γ, ρ, M
#[inline(always)]
const fn cut(r: u64, gamma: u64, s: u8) -> [u64; 3] {
    [gamma, r >> s, (r >> 63) << (64 - s)]
}

/// C1's shares: the words less C0's shares.
#[inline(always)]
fn each<const K: usize>(r: &[u64], out: &mut [&mut [u64]], words: impl Fn(usize, u64) -> [u64; K]) {
    let Some(out) = out.first_chunk_mut::<K>() else { return };
    for (e, r) in r.iter().enumerate() {
        let words = words(e, *r);
        for (word, out) in words.iter().zip(out.iter_mut()) {
            out[e] = word.wrapping_sub(out[e]);
        }
    }
}

/// β of a block, as the dealer has it.
#[derive(Clone, Copy)]
pub(crate) enum Masks<'a> {
    /// One bit an entry.
    Bits(u64),
    /// One word, 0 or 1, an entry.
    Words(&'a [u64]),
}

impl Masks<'_> {
    #[inline(always)]
    fn word(self, e: usize) -> u64 {
        match self {
            Self::Bits(bits) => bits >> (e & 63) & 1,
            Self::Words(words) => words[e],
        }
    }
}

/// What a cloud holds of a block of 64 entries when all is open.
pub(crate) struct Block<'a> {
    pub act: Act,
    /// Is this the cloud that adds what is public?
    pub first: bool,
    /// ẑ
    pub hat: &'a [u64],
    /// Its share of r.
    pub r: &'a [u64],
    /// ĉ, one bit each.
    pub c: u64,
    /// Its shares of the dealt words: 64 of each kind, `stride` apart.
    pub words: &'a [u64],
    pub stride: usize,
    /// b̂ and its share of β, of the gate's bits or the ReLU's own.
    pub b: Bits<'a>,
}

/// Bits behind masks.
pub(crate) enum Bits<'a> {
    None,
    /// b̂ of each entry as one bit; β is the last of the words.
    Own(u64),
    /// b̂ and the share of β of each entry, as words.
    Given(&'a [u64], &'a [u64]),
}

impl Block<'_> {
    #[inline(always)]
    fn word(&self, kind: usize) -> &[u64] {
        &self.words[kind * self.stride..][..self.hat.len()]
    }

    /// The results.
    #[inline(always)]
    pub(crate) fn combine(&self, out: &mut [u64]) {
        let one = u64::from(self.first);
        let bit = |bits: u64, e: usize| bits >> (e & 63) & 1;
        match self.act {
            Act::Sign | Act::Zero => {}
            Act::Gate(0) => {
                let Bits::Given(b, beta) = self.b else { return };
                let beta_r = self.word(0);
                for e in 0..out.len() {
                    let z = self.hat[e].wrapping_mul(one).wrapping_sub(self.r[e]);
                    let flipped = self.hat[e].wrapping_mul(beta[e]).wrapping_sub(beta_r[e]);
                    out[e] = choose(b[e], z, flipped);
                }
            }
            Act::Truncate(s) => {
                let [gamma, rho, m] = [0, 1, 2].map(|kind| self.word(kind));
                for e in 0..out.len() {
                    let public = Public::new(self.hat[e], s, LIFT, bit(self.c, e));
                    out[e] = public.cut(one, gamma[e], rho[e], m[e]);
                }
            }
            Act::Gate(s) | Act::Relu(s) => {
                let lift = if lifted(self.act) { LIFT } else { 0 };
                let [gamma, rho, m] = [0, 1, 2].map(|kind| self.word(kind));
                let [beta_gamma, beta_rho, beta_m] = [3, 4, 5].map(|kind| self.word(kind));
                let mut each = |e: usize, b: u64, beta: u64| {
                    let public = Public::new(self.hat[e], s, lift, bit(self.c, e));
                    let kept = public.cut(one, gamma[e], rho[e], m[e]);
                    let flipped = public.cut(beta, beta_gamma[e], beta_rho[e], beta_m[e]);
                    out[e] = choose(b, kept, flipped);
                };
                match self.b {
                    Bits::None => {}
                    Bits::Own(bits) => {
                        let beta = self.word(6);
                        for (e, beta) in beta.iter().enumerate() {
                            each(e, bit(bits, e), *beta);
                        }
                    }
                    Bits::Given(b, beta) => {
                        for (e, (b, beta)) in b.iter().zip(beta).enumerate() {
                            each(e, *b, *beta);
                        }
                    }
                }
            }
        }
    }
}

/// b̂ x + (1 - 2b̂) y for a public bit.
#[inline(always)]
fn choose(b: u64, x: u64, y: u64) -> u64 {
    let set = b.wrapping_neg();
    // y or -y
    (x & set).wrapping_add((y ^ set).wrapping_add(b))
}

/// What is public of an entry.
struct Public {
    /// P - ĉ
    p: u64,
    /// ĉ
    c: u64,
    /// n as a mask of all bits.
    n: u64,
}

impl Public {
    #[inline(always)]
    fn new(hat: u64, s: u8, lift: u64, c: u64) -> Self {
        let p = (hat >> s).wrapping_sub(lift >> s).wrapping_sub(c);
        Self { p, c, n: (hat >> 63).wrapping_sub(1) }
    }

    /// L(one; γ, ρ, M)
    #[inline(always)]
    fn cut(&self, one: u64, gamma: u64, rho: u64, m: u64) -> u64 {
        let set = self.c.wrapping_neg();
        // (1 - 2ĉ) γ
        let gamma = (gamma ^ set).wrapping_add(self.c);
        self.p.wrapping_mul(one).wrapping_sub(rho).wrapping_sub(gamma).wrapping_add(m & self.n)
    }
}
