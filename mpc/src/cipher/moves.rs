//! What the two clouds say to each other, out of which every operation is made.
//!
//! ```text
//! reveal     C1 -> C0   [x + 2^b + R], R uniform below 2^{b + 1 + sigma}, for |x| <= 2^b; C0 opens it
//! deal       C0 -> C1   encryptions of what C0 computed
//! correlate  both       shares modulo 2^256 of b v, v the sender's and b the chooser's bit, from
//!                       transfers: v + k^0 - k^1 is sent, -k^0 and k^b + b (what came) are kept
//! compare    both       shares by XOR of [a < r], from transfers
//! ```
//!
//! Who learns what: C0 sees x + 2^b + R, within 2^-sigma of what it would be for any other x, in
//! ciphertexts whose randomness is that of a fresh encryption of zero, so that it tells nothing of
//! what they were made of. C1 sees ciphertexts it has no key for. Of the transfers either sees
//! uniform words. A simulator of C0 opens blinds of its own; one of C1 encrypts zeros.

use super::Cipher;
use super::int::{Ints, add, flipped, neg, power, signed, sub};
use super::range::{Behind, Reveal, any_beyond, drawn};
use super::secret::{Body, Form, Leaf, Secret, VALUE_BITS, WIDTH};
use crate::error::{Error, Op, Result};
use crate::transfer::Transfers;
use dyad_bcp::matrix::Int;
use dyad_bcp::{Ciphertext, Plaintext};
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What is compared, as secret as the blinds of which it is.
pub(super) type Words = Zeroizing<Vec<u64>>;

/// Ciphertexts in a message: more go in several, so that the other has something to do, and hears
/// from this end, while they are made.
pub(super) const AT_ONCE: usize = 512;

impl Cipher {
    pub(super) fn failed(op: Op) -> impl Fn(dyad_bcp::Error) -> Error {
        move |source| Error::Ciphertexts { op, source }
    }

    fn transfers(&mut self, op: Op) -> Result<&mut Transfers> {
        // Base transfers are made at the first use, by both: anew in each attempt.
        if self.transfers.is_none() {
            self.transfers = Some(Transfers::begin(&mut self.line, op)?);
        }
        self.transfers.as_mut().ok_or_else(|| unreachable!("begun"))
    }

    /// Ciphertexts from C1 to C0, or the other way.
    fn send(&mut self, op: Op, ciphertexts: &[Ciphertext]) -> Result<()> {
        let words = self.ground.key.to_words(ciphertexts).map_err(Self::failed(op))?;
        self.line.swap(op, &words, 0).map(|_| ())
    }

    /// As many as come in one message.
    pub(super) fn take(&mut self, op: Op, count: usize) -> Result<Vec<Ciphertext>> {
        let words = self.line.swap(op, &[], count * self.ground.key.words())?;
        let admitted = self.ground.key.admit_words(&words);
        admitted.map_err(|error| self.malformed(op, &error))
    }

    /// Ciphertexts with a blind, from C1.
    pub(super) fn send_blinded(
        &mut self,
        op: Op,
        bases: &[Ciphertext],
        plain: &[Plaintext],
        refused: impl Fn(dyad_bcp::Error) -> Error,
    ) -> Result<()> {
        for (bases, plain) in bases.chunks(AT_ONCE).zip(plain.chunks(AT_ONCE)) {
            let fresh = self.fresh(op, bases.len())?;
            let blinded = self.ground.key.blind_with(bases, plain, fresh).map_err(&refused)?;
            self.send(op, &blinded)?;
        }
        Ok(())
    }

    /// What they hold, at C0.
    pub(super) fn take_opened(&mut self, op: Op, count: usize) -> Result<Vec<Plaintext>> {
        let mut all = Vec::with_capacity(count);
        for at in (0..count).step_by(AT_ONCE) {
            let ciphertexts = self.take(op, AT_ONCE.min(count - at))?;
            let opened = self.opener()?.open(&ciphertexts);
            all.extend(opened.map_err(|error| self.malformed(op, &error))?);
        }
        Ok(all)
    }

    /// What the other sent is no ciphertext under the unified key.
    fn malformed(&self, op: Op, error: &dyad_bcp::Error) -> Error {
        let expected = "ciphertexts under the unified key";
        Error::frame(
            self.line.who(),
            op,
            self.line.peer(),
            format!("what is none: {error}"),
            expected,
        )
    }

    /// X + add + R at C0, R at C1, of each.
    pub(super) fn reveal(&mut self, op: Op, xs: &[Reveal<'_>]) -> Result<Vec<Ints>> {
        for reveal in xs {
            reveal.check(op)?;
        }
        let blinded = xs.iter().filter(|reveal| reveal.behind != Behind::Nothing);
        self.blind(op, blinded.map(|reveal| reveal.x.shape.len()).sum())?;
        let ints = if self.ground.holds { self.show(op, xs) } else { self.read(op, xs) }?;
        let all: Vec<&[Int]> = ints.iter().map(|ints| &**ints).collect();
        self.tested(op, xs, &all)?;
        Ok(ints)
    }

    /// How many entries each ciphertext has that is revealed.
    fn revealed(&self, xs: &[Reveal<'_>]) -> Vec<Vec<usize>> {
        let ground = &self.ground;
        xs.iter()
            .map(|reveal| {
                let shape = reveal.x.shape;
                if reveal.x.form() == Some(Form::Packed) {
                    return ground.groups(Form::Packed, shape);
                }
                // One behind the other.
                let n = shape.len();
                (0..n).step_by(ground.slots).map(|at| ground.slots.min(n - at)).collect()
            })
            .collect()
    }

    /// C0 opens, and refuses what cannot be.
    fn read(&mut self, op: Op, xs: &[Reveal<'_>]) -> Result<Vec<Ints>> {
        let groups = self.revealed(xs);
        let opened = self.take_opened(op, groups.iter().map(Vec::len).sum())?;
        let mut opened = opened.iter();
        let mut all = Vec::with_capacity(xs.len());
        for (reveal, groups) in xs.iter().zip(&groups) {
            let mut ints = Ints::with_capacity(reveal.x.shape.len());
            for (n, m) in groups.iter().zip(&mut opened) {
                let slots = m.slots(WIDTH, *n);
                ints.append(slots.map_err(|error| self.malformed(op, &error))?);
            }
            if any_beyond(&ints, &reveal.limit()) {
                return Err(self.beyond(op, reveal));
            }
            all.push(ints);
        }
        Ok(all)
    }

    /// Something was opened that no value within its range explains.
    fn beyond(&self, op: Op, reveal: &Reveal<'_>) -> Error {
        let who = self.line.who();
        if reveal.behind == Behind::Nothing {
            return Error::Beyond { who: who.clone(), op, bound: reveal.bound };
        }
        let got = format!("a blinded value beyond 2^{}", reveal.blind_bits());
        Error::frame(
            who,
            op,
            self.line.peer(),
            got,
            "ciphertexts under the unified key, within range",
        )
    }

    /// C1 sends x + add + 2^b + R, and keeps 2^b + R.
    fn show(&mut self, op: Op, xs: &[Reveal<'_>]) -> Result<Vec<Ints>> {
        let ground = Arc::clone(&self.ground);
        let groups = self.revealed(xs);
        let (mut bases, mut plain, mut blinds) = (Vec::new(), Vec::new(), Vec::new());
        for (reveal, groups) in xs.iter().zip(&groups) {
            let ints = Self::blinds(op, reveal)?;
            let known = |i: usize| match &reveal.x.body {
                Body::Known(words) => signed(words[i] as i64),
                _ => [0; 4],
            };
            let added = |(i, r)| add(&add(r, &signed(reveal.add as i64)), &known(i));
            let added: Ints = ints.iter().enumerate().map(added).collect::<Vec<_>>().into();
            plain.extend(ground.plaintexts(groups, &added));
            match &reveal.x.body {
                Body::Leaf(leaf) if leaf.form == Form::Packed => {
                    bases.extend_from_slice(&leaf.ciphertexts);
                }
                Body::Leaf(leaf) => bases.extend(ground.pack(&leaf.ciphertexts, groups)),
                _ => bases.extend(groups.iter().map(|_| ground.zero())),
            }
            blinds.push(ints);
        }
        self.send_blinded(op, &bases, &plain, Self::failed(op))?;
        Ok(blinds)
    }

    /// 2^b + R for each entry.
    fn blinds(op: Op, reveal: &Reveal<'_>) -> Result<Ints> {
        let n = reveal.x.shape.len();
        let offset = power(reveal.bound.into());
        if reveal.behind == Behind::Nothing {
            return Ok(vec![offset; n].into());
        }
        Self::uniform(op, n, reveal.blind_bits(), &offset)
    }

    /// Uniform below 2^bits, and more by `offset`.
    pub(super) fn uniform(op: Op, n: usize, bits: usize, offset: &Int) -> Result<Ints> {
        let words = bits.div_ceil(64);
        let bytes = drawn(op, 8 * words * n)?;
        let blind = |bytes: &[u8]| {
            let mut r: Int = [0; 4];
            for (word, bytes) in r.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            if !bits.is_multiple_of(64) {
                r[words - 1] &= (1 << (bits % 64)) - 1;
            }
            add(&r, offset)
        };
        Ok(bytes.chunks_exact(8 * words).map(blind).collect::<Vec<_>>().into())
    }

    /// C0 encrypts, C1 has the ciphertexts.
    pub(super) fn deal(
        &mut self,
        op: Op,
        plain: &[Plaintext],
        count: usize,
    ) -> Result<Vec<Ciphertext>> {
        let mut all = vec![];
        for at in (0..count).step_by(AT_ONCE) {
            let some = at..count.min(at + AT_ONCE);
            if self.ground.holds {
                all.append(&mut self.take(op, some.len())?);
                continue;
            }
            let fresh = self.fresh(op, some.len())?;
            let made = self.ground.key.encrypt_with(&plain[some], fresh);
            self.send(op, &made.map_err(Self::failed(op))?)?;
        }
        Ok(all)
    }

    /// Tensors of which nothing waits any more.
    pub(super) fn settle(&mut self, op: Op, xs: &[&Secret]) -> Result<Vec<Secret>> {
        let mut found: Vec<Arc<Leaf>> = Vec::new();
        for x in xs {
            x.pending(false, &mut found);
        }
        if !found.is_empty() {
            self.unpack(op, &found)?;
        }
        Ok(xs.iter().map(|x| x.settled()).collect())
    }

    /// Packed values and bits into ciphertexts of their own: C0 encrypts x + R, and its share of a
    /// bit, C1 takes R off and adds its own.
    fn unpack(&mut self, op: Op, leaves: &[Arc<Leaf>]) -> Result<()> {
        let ground = Arc::clone(&self.ground);
        let (bits, packed): (Vec<_>, Vec<_>) =
            leaves.iter().partition(|leaf| leaf.form == Form::Bits);
        let secrets: Vec<Secret> =
            packed.iter().map(|leaf| Secret::of_leaf(&ground, leaf)).collect();
        let reveals: Vec<_> = secrets
            .iter()
            .map(|x| Reveal { x, add: 0, bound: VALUE_BITS as u8, behind: Behind::Blind })
            .collect();
        let opened = if packed.is_empty() { vec![] } else { self.reveal(op, &reveals)? };
        let shares: Vec<u64> = bits.iter().flat_map(|leaf| leaf.bits.iter().copied()).collect();
        let numbers = self.numbers(op, &shares)?;
        // What each cloud adds to the entries, packed ones first.
        let count = opened.iter().map(|ints| ints.len()).sum::<usize>() + numbers.len();
        let mut mine: Zeroizing<Vec<[u64; 5]>> = Zeroizing::new(Vec::with_capacity(count));
        for x in opened.iter().flat_map(|ints| ints.iter()) {
            let x = super::int::unsigned(x);
            mine.push(if ground.holds { neg(&x) } else { x });
        }
        for share in numbers.iter() {
            mine.push(self.lifted(share));
        }
        let plain = ground.plaintexts(&vec![1; mine.len()], &mine);
        let dealt = self.deal(op, &plain, mine.len())?;
        let mut singles = if ground.holds {
            ground.key.add_plain_many(&dealt, &plain).map_err(Self::failed(op))?
        } else {
            vec![]
        };
        for leaf in packed.iter().chain(&bits) {
            let rest = singles.split_off(leaf.shape.len().min(singles.len()));
            leaf.singles.get_or_init(|| std::mem::replace(&mut singles, rest));
        }
        Ok(())
    }

    /// A share modulo 2^256 of what is small and not negative as an integer: the two are uniform, so
    /// that their sum is 2^256 too large but with probability 2^-190, and C1 takes that off.
    pub(super) fn lifted<const L: usize>(&self, share: &Int) -> [u64; L] {
        let x = super::int::unsigned(share);
        if self.ground.holds { sub(&x, &power(256)) } else { x }
    }

    /// Shares of `send` where the other's bit is set, and of what the other sends where `choose` is:
    /// modulo 2^256. Two rounds.
    pub(super) fn correlate(
        &mut self,
        op: Op,
        send: &[Int],
        choose: &[u64],
    ) -> Result<(Ints, Ints)> {
        const BLOCKS: usize = 2;
        let mut asks = crate::transfer::products::Asks::default();
        let bits = planes(choose);
        asks.send(send.len().div_ceil(64));
        asks.receive(&bits);
        self.transfers(op)?;
        let transfers = self.transfers.as_mut().unwrap_or_else(|| unreachable!("begun"));
        let [sent, taken] = transfers.rows(&mut self.line, op, &asks)?;
        let int = |key: &[u128]| -> Int {
            [key[0] as u64, (key[0] >> 64) as u64, key[1] as u64, (key[1] >> 64) as u64]
        };
        let mut zero = Zeroizing::new(vec![0; BLOCKS * send.len()]);
        let mut one = zero.clone();
        sent.keys(0..send.len(), BLOCKS, &mut zero);
        sent.other_keys(0..send.len(), BLOCKS, &mut one);
        let keys = || zero.chunks_exact(BLOCKS).zip(one.chunks_exact(BLOCKS));
        let message: Vec<u64> = send
            .iter()
            .zip(keys())
            .flat_map(|(v, (zero, one))| sub(&add(v, &int(zero)), &int(one)))
            .collect();
        let mine: Vec<Int> = keys().map(|(zero, _)| neg(&int(zero))).collect();
        let came = self.line.swap(op, &message, 4 * choose.len())?;
        let mut keys = Zeroizing::new(vec![0; BLOCKS * choose.len()]);
        taken.keys(0..choose.len(), BLOCKS, &mut keys);
        let theirs: Vec<Int> = came
            .as_chunks::<4>()
            .0
            .iter()
            .zip(keys.chunks_exact(BLOCKS))
            .zip(choose)
            .map(|((came, key), bit)| add(&int(key), &super::int::gated(*bit, came)))
            .collect();
        Ok((mine.into(), theirs.into()))
    }

    /// Shares modulo 2^256 of bits shared by XOR: c = c_0 + c_1 (1 - 2 c_0).
    pub(super) fn numbers(&mut self, op: Op, bits: &[u64]) -> Result<Ints> {
        if bits.is_empty() {
            return Ok(Ints::default());
        }
        if self.ground.holds {
            return Ok(self.correlate(op, &[], bits)?.1);
        }
        let signs: Ints = bits.iter().map(|c| flipped(*c, &signed(1))).collect::<Vec<_>>().into();
        let (shares, _) = self.correlate(op, &signs, &[])?;
        let shares = shares.iter().zip(bits).map(|(share, c)| add(share, &signed(*c as i64)));
        Ok(shares.collect::<Vec<_>>().into())
    }

    /// Shares by XOR of [a < b] on the low bits, a at C0 and b at C1; bits one by one.
    pub(super) fn compare(&mut self, op: Op, asked: &[(u8, Words)]) -> Result<Vec<Vec<u64>>> {
        // All of one width together.
        let mut widths: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
        for (i, (bits, values)) in asked.iter().enumerate() {
            if !values.is_empty() {
                widths.entry(*bits).or_default().push(i);
            }
        }
        let mut answers = vec![vec![]; asked.len()];
        for (bits, which) in widths {
            let count = which.iter().map(|i| asked[*i].1.len()).sum();
            let mut values = Words::new(Vec::with_capacity(count));
            for i in &which {
                values.extend_from_slice(&asked[*i].1);
            }
            self.transfers(op)?;
            let transfers = self.transfers.as_mut().unwrap_or_else(|| unreachable!("begun"));
            let less = transfers.less(&mut self.line, op, bits, &values)?;
            let mut at = 0;
            for i in which {
                let n = asked[i].1.len();
                answers[i] = (at..at + n).map(|e| less[e / 64] >> (e % 64) & 1).collect();
                at += n;
            }
        }
        Ok(answers)
    }
}

/// 64 bits a word.
fn planes(bits: &[u64]) -> Vec<u64> {
    let word = |bits: &[u64]| bits.iter().enumerate().fold(0, |word, (i, bit)| word | bit << i);
    bits.chunks(64).map(word).collect()
}
