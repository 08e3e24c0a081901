//! Matrices of ciphertexts and matrices of integers: what the main cloud does with its blinds.
//!
//! ```text
//! [X] S     z_mj = prod_k c_mk ^ s_kj             decrypts to sum_k x_mk s_kj
//! packing   prod_j c_j ^ (2^(j w))                decrypts to sum_j x_j 2^{j w}
//! ```
//!
//! Who learns what: whoever computes learns nothing of X; S shows in nothing but the time's
//! dependence on its declared shape, bits and sign. The randomness of the results follows from that
//! of X and from S, so they are blinded with an encryption of zero before they leave
//! ([`PublicKey::blind_with`]).
//!
//! A signed s below 2^b in magnitude enters as s + 2^b, and (prod_k c_mk)^{-2^b}, which no secret is
//! in, takes the excess off again.

use crate::arith::limbs::{self, SecretLimbs};
use crate::ciphertext::{Ciphertext, RawCiphertext, same_length};
use crate::keys::PublicKey;
use crate::plaintext::Plaintext;
use crate::{Error, Result};
use num_bigint::BigUint;
use std::fmt;
use zeroize::Zeroizing;

/// An integer of 256 bits in two's complement, little-endian.
pub type Int = [u64; 4];

/// A matrix of secret integers, wiped when dropped, not printable.
pub struct SecretMatrix {
    rows: usize,
    cols: usize,
    bits: usize,
    signed: bool,
    numbers: Zeroizing<Vec<Int>>,
}

impl SecretMatrix {
    /// Row by row, each of a magnitude below 2^bits, bits at most 254; none negative unless
    /// `signed`. Shape, bits and `signed` are public.
    pub fn new(
        rows: usize,
        cols: usize,
        numbers: Vec<Int>,
        bits: usize,
        signed: bool,
    ) -> Result<Self> {
        let numbers = Zeroizing::new(numbers);
        same_length(rows * cols, numbers.len())?;
        if bits > 254 {
            let limit = "an integer of a secret matrix has at most 254 bits";
            return Err(Error::OutOfRange { index: 0, limit });
        }
        let fits = |x: &Int| {
            let mut x = Zeroizing::new(*x);
            if signed {
                // In [-2^bits, 2^bits): all of it once 2^bits is added.
                limbs::add_assign(&mut *x, &power(bits));
            }
            limbs::fits(&*x, bits + usize::from(signed))
        };
        match numbers.iter().position(|x| !fits(x)) {
            Some(index) => {
                Err(Error::OutOfRange { index, limit: "an integer has the declared bits and sign" })
            }
            None => Ok(Self { rows, cols, bits, signed, numbers }),
        }
    }
}

impl fmt::Debug for SecretMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretMatrix({}x{}, {} bits, redacted)", self.rows, self.cols, self.bits)
    }
}

/// 2^bit
fn power(bit: usize) -> Int {
    let mut x = [0; 4];
    x[bit / 64] = 1 << (bit % 64);
    x
}

impl PublicKey {
    /// `[X] S`: encryptions of the product of the matrix under `x`, row by row, with a secret one.
    pub fn times_matrix(&self, x: &[Ciphertext], s: &SecretMatrix) -> Result<Vec<Ciphertext>> {
        self.check_many(x)?;
        if s.rows == 0 || !x.len().is_multiple_of(s.rows) {
            return Err(Error::Length { expected: s.rows, found: x.len() });
        }
        if x.is_empty() || s.cols == 0 {
            return Ok(vec![]);
        }
        let exponents: Vec<Zeroizing<Int>> = s
            .numbers
            .iter()
            .map(|x| {
                let mut x = Zeroizing::new(*x);
                if s.signed {
                    limbs::add_assign(&mut *x, &power(s.bits));
                }
                x
            })
            .collect();
        let exponents: Vec<&[u64]> = exponents.iter().map(|e| &e[..]).collect();
        // A row of ciphertexts is two rows of residues.
        let residues: Vec<Vec<u64>> = x
            .chunks(s.rows)
            .flat_map(|row| {
                let a = row.iter().map(Ciphertext::a);
                a.chain(row.iter().map(Ciphertext::b)).map(|x| self.params().residue(x))
            })
            .collect();
        let bases: Vec<&[u64]> = residues.iter().map(Vec::as_slice).collect();
        let bits = s.bits + usize::from(s.signed);
        let powers = self.params().ring().matrix_pow(&bases, s.rows, &exponents, bits);
        let whole =
            |x: &crate::arith::ring::Pair| limbs::to_public(&x.join(self.params().n_limbs()));
        let rows = powers.chunks_exact(2 * s.cols).flat_map(|row| {
            let (a, b) = row.split_at(s.cols);
            a.iter().zip(b).map(|(a, b)| Ciphertext::new(self, whole(a), whole(b)))
        });
        let products: Vec<Ciphertext> = rows.collect();
        if !s.signed {
            return Ok(products);
        }
        let excess = self.excess(x, s)?;
        let each: Vec<_> =
            excess.iter().flat_map(|e| std::iter::repeat_n(e.clone(), s.cols)).collect();
        self.add_many(&products, &each)
    }

    /// (prod_k c_mk)^{-2^bits} for each row m.
    fn excess(&self, x: &[Ciphertext], s: &SecretMatrix) -> Result<Vec<Ciphertext>> {
        let sums: Vec<Ciphertext> = x
            .chunks(s.rows)
            .map(|row| self.sum(row))
            .filter_map(Result::transpose)
            .collect::<Result<_>>()?;
        self.negate_many(&self.shift_many(&sums, s.bits)?)
    }

    /// 2^bits m for each.
    pub fn shift_many(&self, x: &[Ciphertext], bits: usize) -> Result<Vec<Ciphertext>> {
        // 0 + x 2^bits: two terms, the lower of them one.
        let zero = self.trivial(&Plaintext::from_u64(self.params(), 0));
        let terms: Vec<Ciphertext> = x.iter().flat_map(|x| [zero.clone(), x.clone()]).collect();
        self.combine_many(&terms, 2, bits)
    }

    /// `sum_j x_ij 2^{j width}` for each i, `terms` ciphertexts in a row each: many values in one.
    pub fn combine_many(
        &self,
        x: &[Ciphertext],
        terms: usize,
        width: usize,
    ) -> Result<Vec<Ciphertext>> {
        self.check_many(x)?;
        if terms == 0 || !x.len().is_multiple_of(terms) {
            return Err(Error::Length { expected: terms, found: x.len() });
        }
        if terms == 1 {
            return Ok(x.to_vec());
        }
        let halves = |part: fn(&Ciphertext) -> &BigUint| -> Vec<Vec<u64>> {
            x.iter().map(|c| self.params().residue(part(c))).collect()
        };
        let rows = |limbs: &[Vec<u64>]| limbs.chunks(terms).map(<[_]>::to_vec).collect::<Vec<_>>();
        let (a, b) = (rows(&halves(Ciphertext::a)), rows(&halves(Ciphertext::b)));
        let both: Vec<&[u64]> =
            a.iter().zip(&b).flat_map(|(a, b)| a.iter().chain(b).map(Vec::as_slice)).collect();
        Ok(self.collect(&self.params().ring().shifted_products(&both, terms, width)))
    }

    /// k m for each and a public k: the time depends on k.
    pub fn scale_by_vartime(&self, x: &[Ciphertext], k: i64) -> Result<Vec<Ciphertext>> {
        self.check_many(x)?;
        let magnitude = k.unsigned_abs();
        let scaled = if magnitude == 1 {
            x.to_vec()
        } else if magnitude.is_power_of_two() {
            self.shift_many(x, magnitude.trailing_zeros() as usize)?
        } else {
            let bits = (u64::BITS - magnitude.leading_zeros()) as usize;
            let k = Plaintext::from_u64(self.params(), magnitude);
            self.scale_many_bounded(x, &vec![k; x.len()], bits.min(self.params().bits()))?
        };
        if k < 0 { self.negate_many(&scaled) } else { Ok(scaled) }
    }

    /// (1, 1 + mN): an encryption of m that hides nothing, to add to others or to blind.
    #[must_use]
    pub fn trivial(&self, m: &Plaintext) -> Ciphertext {
        let b = limbs::to_public(&self.shift(m));
        Ciphertext::new(self, BigUint::from(1u8), b)
    }

    /// Numbers in two's complement, of any length, modulo N: what signed sums of packed values are
    /// as plaintexts. In constant time.
    #[must_use]
    pub fn reduce_many(&self, x: &[Zeroizing<Vec<u64>>]) -> Vec<Plaintext> {
        let n = self.params().n_limbs();
        // x + N 2^(64 len) is not negative.
        let raised: Vec<Zeroizing<Vec<u64>>> = x
            .iter()
            .map(|x| {
                let sign = limbs::mask(x.last().map_or(0, |top| top >> 63));
                let mut wide = Zeroizing::new(vec![sign; x.len() + n.len()]);
                wide[..x.len()].copy_from_slice(x);
                limbs::add_assign(&mut wide[x.len()..], n);
                wide
            })
            .collect();
        let factors: Vec<(&[u64], &[u64])> =
            raised.iter().map(|x| (x.as_slice(), &[1u64][..])).collect();
        let reduced = self.params().ring().mul_many(&factors);
        reduced.into_iter().map(|x| Plaintext::from_limbs(x.x0)).collect()
    }

    /// `sum_j x_ij 2^{j width}` modulo N for each row of numbers in two's complement: numbers may be
    /// wider than their slots, if what is added to them in the end is not.
    #[must_use]
    pub fn pack_ints<'a, const L: usize>(
        &self,
        rows: impl IntoIterator<Item = &'a [[u64; L]]>,
        width: usize,
    ) -> Vec<Plaintext> {
        let wide: Vec<SecretLimbs> = rows
            .into_iter()
            .map(|row| {
                let len = limbs::limbs_for(row.len().saturating_sub(1) * width) + L + 1;
                let mut sum = Zeroizing::new(vec![0; len]);
                for (j, x) in row.iter().enumerate() {
                    add_shifted(&mut sum, x, j * width);
                }
                sum
            })
            .collect();
        self.reduce_many(&wide)
    }

    /// 64-bit words of a ciphertext in [`to_words`](Self::to_words).
    #[must_use]
    pub fn words(&self) -> usize {
        2 * limbs::limbs_for(2 * self.params().bits())
    }

    /// A and B of each, little-endian, for a line whose ends know the key.
    pub fn to_words(&self, x: &[Ciphertext]) -> Result<Vec<u64>> {
        self.check_many(x)?;
        let len = self.words() / 2;
        Ok(x.iter().flat_map(|c| [c.a(), c.b()]).flat_map(|x| limbs::from_public(x, len)).collect())
    }

    /// Admits what such words spell, as [`admit_many`](Self::admit_many) does.
    pub fn admit_words(&self, words: &[u64]) -> Result<Vec<Ciphertext>> {
        if !words.len().is_multiple_of(self.words()) {
            return Err(Error::Length { expected: self.words(), found: words.len() });
        }
        let pairs = words.chunks_exact(self.words()).map(|words| {
            let (a, b) = words.split_at(self.words() / 2);
            RawCiphertext::new(self.id(), limbs::to_public(a), limbs::to_public(b))
        });
        self.admit_many(pairs.collect())
    }
}

impl Plaintext {
    /// The first `count` slots of `width` bits (at most 254); what lies beyond them must be zero.
    pub fn slots(&self, width: usize, count: usize) -> Result<Vec<Int>> {
        if width > 254 || !limbs::fits(self.limbs(), count * width) {
            let limit = "a packed plaintext has nothing beyond its slots";
            return Err(Error::OutOfRange { index: 0, limit });
        }
        let slot = |j: usize| {
            let mut x = [0; 4];
            for at in (0..width).step_by(32) {
                let bits = (width - at).min(32);
                x[at / 64] |= limbs::bits_at(self.limbs(), j * width + at, bits) << (at % 64);
            }
            x
        };
        Ok((0..count).map(slot).collect())
    }
}

/// sum += x << at, x in two's complement, modulo what the sum holds.
fn add_shifted(sum: &mut [u64], x: &[u64], at: usize) {
    let (limb, shift) = (at / 64, at % 64);
    let sign = limbs::mask(x.last().map_or(0, |top| top >> 63));
    let len = sum.len() - limb;
    let digit = |i: usize| x.get(i).copied().unwrap_or(sign);
    let shifted = |i: usize| {
        let low = digit(i) << shift;
        match (shift, i) {
            (0, _) | (_, 0) => low,
            _ => low | digit(i - 1) >> (64 - shift),
        }
    };
    let shifted: Zeroizing<Vec<u64>> = Zeroizing::new((0..len).map(shifted).collect());
    limbs::add_assign(&mut sum[limb..], &shifted);
}
