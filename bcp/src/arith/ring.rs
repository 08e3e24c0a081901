//! Batches of residues modulo squares, over one backend.

use super::Backend;
use super::comb::Comb;
#[cfg(target_arch = "x86_64")]
use super::ifma::Ifma;
use super::kernel::Kernel;
use super::limbs::{self, SecretLimbs};
use super::portable::Portable;
use rayon::prelude::*;
use std::sync::Arc;
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

/// x = x0 + x1 M with 0 <= x0, x1 < M: the canonical form of a residue modulo M², wiped when
/// dropped.
pub(crate) struct Pair {
    /// x mod M.
    pub x0: SecretLimbs,
    /// x / M.
    pub x1: SecretLimbs,
}

impl Pair {
    /// x0 + x1 M.
    pub(crate) fn join(&self, m: &[u64]) -> SecretLimbs {
        let mut x = limbs::mul(&self.x1, m);
        limbs::add_assign(&mut x, &self.x0);
        x
    }

    /// Is x0 = 1?
    pub(crate) fn is_one_mod_m(&self) -> Choice {
        self.x0[0].ct_eq(&1) & limbs::is_zero(&self.x0[1..])
    }
}

/// Batches of residues modulo squares, whatever the backend.
pub(crate) trait SquareRing: Send + Sync {
    /// The modulus M whose square item `i` of a batch is reduced by.
    fn modulus(&self, i: usize) -> &[u64];
    /// `bases[i] ^ exponents[i mod exponents.len()]`, exponents of `bits` bits. Bases of any
    /// length.
    fn pow_many(&self, bases: &[&[u64]], exponents: &[&[u64]], bits: usize) -> Vec<Pair>;
    /// `prod_k bases[m][k] ^ exponents[k][j]` for all m and j, row by row: matrices of `inner`
    /// columns and of `inner` rows, exponents of `bits` bits. One modulus only.
    fn matrix_pow(
        &self,
        bases: &[&[u64]],
        inner: usize,
        exponents: &[&[u64]],
        bits: usize,
    ) -> Vec<Pair>;
    /// `prod_j x[i][j] ^ (2^(j width))` for each i, `terms` factors each. One modulus only.
    fn shifted_products(&self, x: &[&[u64]], terms: usize, width: usize) -> Vec<Pair>;
    /// `x y` for each pair of factors of any length.
    fn mul_many(&self, factors: &[(&[u64], &[u64])]) -> Vec<Pair>;
    /// Tables for many powers of one base with exponents of up to `bits` bits. One modulus only.
    fn fixed_base(self: Arc<Self>, base: &[u64], bits: usize) -> Arc<dyn FixedBase>;
}

/// Powers of one base from tables.
pub(crate) trait FixedBase: Send + Sync {
    /// `base ^ exponents[i] (1 + plaintexts[i] M)`, or the power alone: the whole of one component
    /// of an encryption.
    fn pow_many(&self, exponents: &[&[u64]], plaintexts: Option<&[&[u64]]>) -> Vec<Pair>;
}

/// Arithmetic modulo the squares of `moduli` on the given backend.
pub(crate) fn square_ring(moduli: &[&[u64]], backend: Backend) -> Arc<dyn SquareRing> {
    match backend {
        Backend::Portable => Arc::new(RingOf::<Portable>::new(moduli)),
        #[cfg(target_arch = "x86_64")]
        Backend::Ifma => Arc::new(RingOf::<Ifma>::new(moduli)),
        #[cfg(not(target_arch = "x86_64"))]
        Backend::Ifma => Arc::new(RingOf::<Portable>::new(moduli)),
    }
}

impl<K: Kernel> SquareRing for RingOf<K> {
    fn modulus(&self, i: usize) -> &[u64] {
        &self.moduli[i % self.moduli.len()]
    }

    fn pow_many(&self, bases: &[&[u64]], exponents: &[&[u64]], bits: usize) -> Vec<Pair> {
        self.windowed_pow_many(bases, exponents, bits)
    }

    fn matrix_pow(
        &self,
        bases: &[&[u64]],
        inner: usize,
        exponents: &[&[u64]],
        bits: usize,
    ) -> Vec<Pair> {
        RingOf::matrix_pow(self, bases, inner, exponents, bits)
    }

    fn shifted_products(&self, x: &[&[u64]], terms: usize, width: usize) -> Vec<Pair> {
        RingOf::shifted_products(self, x, terms, width)
    }

    fn mul_many(&self, factors: &[(&[u64], &[u64])]) -> Vec<Pair> {
        self.each_chunk(factors, |first, group, chunk| {
            let mut scratch = Zeroizing::new(group.kernel.scratch());
            let (x, y): (Vec<_>, Vec<_>) = chunk.iter().copied().unzip();
            let mut x = group.enter(&x, &mut scratch);
            let y = group.enter(&y, &mut scratch);
            group.kernel.mul(&mut x, &y, &mut scratch);
            self.exit(group, first, x, &vec![None; chunk.len()], &mut scratch)
        })
    }

    fn fixed_base(self: Arc<Self>, base: &[u64], bits: usize) -> Arc<dyn FixedBase> {
        Arc::new(Comb::new(self, base, bits))
    }
}

/// Batches modulo the squares of one or a few odd moduli, item i of a batch modulo the square of
/// modulus i mod k. The number k of moduli divides 8; they are of about one size.
pub(crate) struct RingOf<K: Kernel> {
    /// The moduli in 64-bit limbs, all of the same number.
    moduli: Vec<SecretLimbs>,
    /// One per distinct arrangement of moduli over lanes.
    groups: Vec<Group<K>>,
}

/// A kernel with its constants.
pub(super) struct Group<K: Kernel> {
    pub(super) kernel: K,
    /// R: one, in Montgomery form.
    pub(super) one: K::Value,
    /// R²: into Montgomery form.
    r2: K::Value,
    /// 2^(64 chunk) R: moves a residue up by one chunk.
    shift: K::Value,
    /// 64-bit limbs that certainly fit in the digits of a component.
    chunk: usize,
}

impl<K: Kernel> RingOf<K> {
    pub(crate) fn new(moduli: &[&[u64]]) -> Self {
        assert!(8usize.is_multiple_of(moduli.len()), "one, two, four or eight moduli");
        assert!(moduli.iter().all(|m| m[0] & 1 == 1 && limbs::bit_length(m) > 1), "odd moduli");
        let bits = moduli.iter().map(|m| limbs::bit_length(m)).max().unwrap_or(0);
        let len = limbs::limbs_for(bits);
        let padded = |m: &&[u64]| -> SecretLimbs {
            (0..len).map(|i| m.get(i).copied().unwrap_or(0)).collect::<Vec<_>>().into()
        };
        let moduli: Vec<SecretLimbs> = moduli.iter().map(padded).collect();
        let group = |g: usize| {
            let lane = |lane: usize| moduli[(g * K::LANES + lane) % moduli.len()].as_slice();
            Group::new(&(0..K::LANES).map(lane).collect::<Vec<_>>())
        };
        let groups = (0..moduli.len().div_ceil(K::LANES)).map(group).collect();
        Self { moduli, groups }
    }

    /// The kernel of a ring with one modulus.
    pub(super) fn only_group(&self) -> &Group<K> {
        assert_eq!(self.moduli.len(), 1, "a fixed base has one modulus");
        &self.groups[0]
    }

    /// Calls `work` for each chunk of `LANES` items, on all cores: (index of its first item,
    /// kernel, items).
    pub(super) fn each_chunk<T: Sync, O: Send>(
        &self,
        items: &[T],
        work: impl Fn(usize, &Group<K>, &[T]) -> Vec<O> + Sync,
    ) -> Vec<O> {
        let chunks = items.par_chunks(K::LANES).enumerate();
        chunks
            .flat_map_iter(|(c, items)| {
                work(c * K::LANES, &self.groups[c % self.groups.len()], items)
            })
            .collect()
    }

    /// Out of Montgomery form and into canonical pairs, each multiplied by 1 + x1 M on the way
    /// where an x1 < M is given.
    pub(super) fn exit(
        &self,
        group: &Group<K>,
        first: usize,
        mut x: Zeroizing<K::Value>,
        x1: &[Option<&[u64]>],
        scratch: &mut K::Scratch,
    ) -> Vec<Pair> {
        let one_and = Zeroizing::new(group.raw(x1.len(), |lane| (&[1], x1[lane].unwrap_or(&[0]))));
        group.kernel.mul(&mut x, &one_and, scratch);
        (0..x1.len()).map(|lane| group.canonical(&x, lane, self.modulus(first + lane))).collect()
    }
}

// A modulus may be a secret prime, and these constants give it away.
impl<K: Kernel> Drop for Group<K> {
    fn drop(&mut self) {
        self.one.zeroize();
        self.r2.zeroize();
        self.shift.zeroize();
    }
}

impl<K: Kernel> Group<K> {
    fn new(moduli: &[&[u64]]) -> Self {
        let kernel = K::new(moduli);
        let n = kernel.digits();
        let room = n * kernel.digit_bits();
        let chunk = room / limbs::LIMB_BITS;
        let one = Self::montgomery_one(&kernel, moduli);
        let mut scratch = kernel.scratch();
        let r2 = two_to(&kernel, &one, room, &mut scratch);
        let shift = two_to(&kernel, &one, chunk * limbs::LIMB_BITS, &mut scratch);
        scratch.zeroize();
        Self { kernel, one, r2, shift, chunk }
    }

    /// R modulo M² in each lane: one in Montgomery form.
    pub(super) fn montgomery_one(kernel: &K, moduli: &[&[u64]]) -> K::Value {
        let room = kernel.digits() * kernel.digit_bits();
        let lanes: Vec<Zeroizing<Vec<u64>>> = moduli
            .iter()
            .map(|m| {
                let (x0, x1) = power_of_two_pair(m, room);
                digits_of(kernel, &x0, &x1)
            })
            .collect();
        kernel.gather(&lanes.iter().map(|l| l.as_slice()).collect::<Vec<_>>())
    }

    /// Pairs as they stand, not in Montgomery form; lanes without one hold zero.
    fn raw<'a>(&self, count: usize, pair: impl Fn(usize) -> (&'a [u64], &'a [u64])) -> K::Value {
        let zero = vec![0; 2 * self.kernel.digits()];
        let lanes: Vec<_> = (0..count)
            .map(|lane| {
                let (x0, x1) = pair(lane);
                digits_of(&self.kernel, x0, x1)
            })
            .collect();
        let lane = |i| lanes.get(i).map_or(zero.as_slice(), |l: &Zeroizing<Vec<u64>>| l.as_slice());
        self.kernel.gather(&(0..K::LANES).map(lane).collect::<Vec<_>>())
    }

    /// Numbers of any length into Montgomery form modulo M²: chunks of digits by Horner's rule, no
    /// division. That a chunk need not be below 8M: see the head of [`super::kernel`].
    pub(super) fn enter(&self, x: &[&[u64]], scratch: &mut K::Scratch) -> Zeroizing<K::Value> {
        let chunks = x.iter().map(|x| x.len()).max().unwrap_or(0).div_ceil(self.chunk).max(1);
        let mut acc: Option<Zeroizing<K::Value>> = None;
        for c in (0..chunks).rev() {
            let chunk = |lane: usize| {
                let x = x[lane];
                let from = (c * self.chunk).min(x.len());
                (&x[from..(from + self.chunk).min(x.len())], &[0][..])
            };
            let mut part = Zeroizing::new(self.raw(x.len(), chunk));
            self.kernel.mul(&mut part, &self.r2, scratch);
            if let Some(mut above) = acc {
                self.kernel.mul(&mut above, &self.shift, scratch);
                self.kernel.add(&mut part, &above);
            }
            acc = Some(part);
        }
        acc.expect("at least one chunk")
    }

    /// The pair in one lane, not in Montgomery form, x0 <= M, x1 < 2M, brought into canonical form.
    fn canonical(&self, x: &K::Value, lane: usize, m: &[u64]) -> Pair {
        let digits = Zeroizing::new(self.kernel.scatter(x, lane));
        let (x0, x1) = digits.split_at(self.kernel.digits());
        // Moduli of unlike lengths come padded.
        let [mut x0, mut x1] = [x0, x1].map(|x| {
            let x = Zeroizing::new(self.kernel.join(x));
            limbs::widened(&x, x.len().max(m.len()))
        });
        let wrapped = limbs::reduce_once(&mut x0, m);
        limbs::add_assign(&mut x1, &[wrapped]);
        limbs::reduce_once(&mut x1, m);
        limbs::reduce_once(&mut x1, m);
        x0.truncate(m.len());
        x1.truncate(m.len());
        Pair { x0, x1 }
    }
}

fn digits_of<K: Kernel>(kernel: &K, x0: &[u64], x1: &[u64]) -> Zeroizing<Vec<u64>> {
    let n = kernel.digits();
    let mut digits = Zeroizing::new(vec![0; 2 * n]);
    kernel.split(x0, &mut digits[..n]);
    kernel.split(x1, &mut digits[n..]);
    digits
}

/// 2^exponent mod m² as a pair, by doubling.
fn power_of_two_pair(m: &[u64], exponent: usize) -> (SecretLimbs, SecretLimbs) {
    let bits = limbs::bit_length(m);
    let padded = limbs::widened(m, m.len() + 1);
    let mut x0 = Zeroizing::new(vec![0u64; padded.len()]);
    let mut x1 = x0.clone();
    x0[(bits - 1) / limbs::LIMB_BITS] = 1 << ((bits - 1) % limbs::LIMB_BITS);
    for _ in bits - 1..exponent {
        limbs::double(&mut x0);
        limbs::double(&mut x1);
        let wrapped = limbs::reduce_once(&mut x0, &padded);
        limbs::add_assign(&mut x1, &[wrapped]);
        limbs::reduce_once(&mut x1, &padded);
    }
    (x0, x1)
}

/// 2^e R, from R: square and double, e public.
fn two_to<K: Kernel>(kernel: &K, one: &K::Value, e: usize, scratch: &mut K::Scratch) -> K::Value {
    let mut two = Zeroizing::new(one.clone());
    kernel.add(&mut two, one);
    let mut x = one.clone();
    for bit in (0..usize::BITS - e.leading_zeros()).rev() {
        kernel.square(&mut x, scratch);
        if e >> bit & 1 == 1 {
            kernel.mul(&mut x, &two, scratch);
        }
    }
    x
}
