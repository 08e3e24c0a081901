//! A cloud's operations: see the parent module for formulas and for who learns what.

use super::int::{Ints, add, mul, neg, power, sub, unsigned};
use super::moves::Words;
use super::range::{Behind, Reveal, TESTED_LATEST, Window, two_to};
use super::secret::{Form, Secret, VALUE_BITS, sound};
use super::veil::{Table, Veil};
use super::{Cipher, Given, bound_of};
use crate::contract::same_trace;
use crate::engine::clear::Opened;
use crate::engine::{Audience, Engine, Outcome, Product, Task};
use crate::error::{Error, Op, Result};
use crate::prg::Party as Side;
use crate::tensor::{Meta, Shape};
use crate::wire;
use std::sync::Arc;
use zeroize::Zeroizing;

impl Engine for Cipher {
    type Shared = Secret;
    type Masked = Veil;
    type Bit = Secret;
    type Rows = Table;
    type Opened = Opened;

    fn step(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn input(&mut self, op: Op, name: &str, meta: Meta) -> Result<Secret> {
        let wrong = |what| Error::Input { op, name: name.to_owned(), what };
        let Some((given, data)) = self.inputs.remove(name) else {
            let mut names: Vec<_> = self.inputs.keys().map(String::as_str).collect();
            names.sort_unstable();
            let names = names.join(", ");
            return Err(wrong(format!("not given, or read before (not read are: {names})")));
        };
        let expected = meta.shape.len();
        let len = match &data {
            Given::Share(words) => words.len(),
            Given::Ciphertexts(all) if self.ground.holds => all.len(),
            Given::Ciphertexts(_) | Given::Kept(_) => expected,
        };
        if given != meta || len != expected {
            return Err(wrong(format!(
                "given as {given} ({len} entries), the program takes {meta}"
            )));
        }
        match data {
            Given::Share(words) => self.of_shares(op, name, meta, &words),
            Given::Ciphertexts(all) => self.of_ciphertexts(op, name, meta, &all),
            Given::Kept(kept) => self.of_kept(op, name, meta.shape, &kept),
        }
    }

    fn dealer_input(&mut self, op: Op, name: &str, meta: Meta) -> Result<Secret> {
        // No dealer is online: whoever drew the numbers gave the clouds shares of them.
        self.input(op, name, meta)
    }

    fn public(&mut self, shape: Shape, values: Vec<u64>) -> Secret {
        Secret::known(&self.ground, shape, values)
    }

    fn mask(&mut self, op: Op, xs: &[(&Secret, Meta)]) -> Result<Vec<Veil>> {
        self.veiled(op, xs)
    }

    fn unmask(&mut self, x: &Veil) -> Secret {
        x.0.x.clone()
    }

    fn product(
        &mut self,
        op: Op,
        form: Product,
        x: (&Veil, Meta),
        y: (&Veil, Meta),
        out: Meta,
    ) -> Result<Secret> {
        self.multiplied(op, form, x, y, out)
    }

    fn act(&mut self, op: Op, tasks: &[Task<'_, Self>]) -> Result<Vec<Outcome<Self>>> {
        self.acts(op, tasks)
    }

    fn number(&mut self, b: &Secret) -> Secret {
        // They become ciphertexts when somebody wants them.
        b.clone()
    }

    fn not(&mut self, b: &Secret) -> Secret {
        let first = u64::from(!self.ground.holds);
        let bits = super::veil::bits_of_leaf(b).iter().map(|b| b ^ first).collect();
        Secret::bits(&self.ground, b.shape, bits)
    }

    fn prepare(&mut self, op: Op, x: Secret, meta: Meta) -> Result<Table> {
        let veil = self.veiled(op, &[(&x, meta)])?.swap_remove(0);
        Ok(Table::new(veil))
    }

    fn rows(&mut self, table: &Table, _: Meta, rows: &[u32]) -> Result<Veil> {
        Ok(table.rows(rows))
    }

    fn open(&mut self, op: Op, xs: &[(&Secret, Meta)], to: Audience) -> Result<Vec<Opened>> {
        let secrets: Vec<&Secret> = xs.iter().map(|(x, _)| *x).collect();
        let settled = self.settle(op, &secrets)?;
        // C0 is shown what it may read, and else a blinded value.
        let blinded = to == Audience::One(Side::One);
        let behind = if blinded { Behind::Blind } else { Behind::Nothing };
        let reveals: Vec<_> = settled
            .iter()
            .zip(xs)
            .map(|(x, (_, meta))| Reveal { x, add: 0, bound: bound_of(*meta), behind })
            .collect();
        let bounds: Vec<u8> = reveals.iter().map(|reveal| reveal.bound).collect();
        let ints = self.reveal(op, &reveals)?;
        let low = |ints: &Ints| Words::new(ints.iter().map(|x| x[0]).collect());
        let low: Vec<Words> = ints.iter().map(low).collect();
        let words: Vec<Vec<u64>> = if to == Audience::One(Side::Zero) && self.ground.holds {
            vec![vec![]; xs.len()]
        } else if self.ground.holds {
            let theirs = self.line.swap(op, &[], low.iter().map(|x| x.len()).sum())?;
            let mut theirs = theirs.iter();
            let own =
                |r: &Words| r.iter().zip(&mut theirs).map(|(r, x)| x.wrapping_sub(*r)).collect();
            low.iter().map(own).collect()
        } else {
            if to != Audience::One(Side::Zero) {
                let message: Vec<u64> = low.iter().flat_map(|x| x.iter().copied()).collect();
                self.line.swap(op, &message, 0)?;
            }
            let read = |(x, bound): (&Words, &u8)| {
                x.iter().map(|x| x.wrapping_sub(1 << bound)).collect::<Vec<u64>>()
            };
            if blinded {
                vec![vec![]; xs.len()]
            } else {
                low.iter().zip(&bounds).map(read).collect()
            }
        };
        let opened = xs.iter().zip(words);
        Ok(opened.map(|((_, meta), words)| Opened { meta: *meta, words }).collect())
    }

    fn check(&mut self, op: Op, x: &Secret, meta: Meta) -> Result<()> {
        // What is added to in every step and never masked is tested here, before it could be too
        // large for a blind: once in a great many steps.
        let bound = bound_of(meta);
        if x.reach.bits() <= bound.max(TESTED_LATEST) {
            return Ok(());
        }
        let settled = self.settle(op, &[x])?;
        for settled in &settled {
            self.reveal(op, &[Reveal { x: settled, add: 0, bound, behind: Behind::Blind }])?;
            x.reach.lower(settled.reach.most());
        }
        Ok(())
    }

    fn agree(&mut self, op: Op, trace: [u8; 32]) -> Result<()> {
        let ours = wire::all_words(&trace);
        let theirs = self.line.swap(op, &ours, ours.len())?;
        same_trace(self.line.who(), op, self.line.peer(), &theirs, &ours)
    }
}

impl Cipher {
    /// Whether all is below what is declared, of x_0 + 2^b at C0 and -x_1 at C1; its reach then.
    fn shares_tested(&mut self, op: Op, name: &str, meta: Meta, share: &[u64]) -> Result<u8> {
        let bound = bound_of(meta);
        if usize::from(bound) == VALUE_BITS {
            return Ok(bound);
        }
        let (holds, raised) = (self.ground.holds, 1 << bound);
        let word = |x: &u64| if holds { x.wrapping_neg() } else { x.wrapping_add(raised) };
        let words = share.iter().map(word).collect::<Vec<u64>>().into();
        if self.within(op, &[Window { words, width: 2 * raised }])? {
            return Ok(bound);
        }
        let what = format!(
            "an entry is not below 2^{bound}, as its schema or its program declares: whoever gave it \
             mends the value or its scale"
        );
        Err(Error::Input { op, name: name.to_owned(), what })
    }

    /// Ring shares as integers: C0's x_0', C1's x_1, and the bit that says whether they wrap.
    pub(super) fn of_shares(
        &mut self,
        op: Op,
        name: &str,
        meta: Meta,
        share: &[u64],
    ) -> Result<Secret> {
        let ground = Arc::clone(&self.ground);
        let reach = self.shares_tested(op, name, meta, share)?;
        let half = 1u64 << VALUE_BITS;
        let word = |x: &u64| if ground.holds { *x } else { x.wrapping_add(half) };
        let mine = Words::new(share.iter().map(word).collect());
        // x_0' + x_1 >= 2^64  <=>  ~x_0' < x_1
        let asked: Vec<u64> = mine.iter().map(|x| if ground.holds { *x } else { !x }).collect();
        let wraps = self.compare(op, &[(64, asked.into())])?.swap_remove(0);
        let wraps = self.numbers(op, &wraps)?;
        let part = |(x, w): (&u64, &dyad_bcp::matrix::Int)| -> [u64; 6] {
            let wrapped = mul(&power::<6>(64), &self.lifted(w));
            let x = sub(&unsigned(&[*x]), &wrapped);
            if ground.holds { add(&x, &neg(&power(VALUE_BITS))) } else { x }
        };
        let parts: Zeroizing<Vec<[u64; 6]>> =
            Zeroizing::new(mine.iter().zip(wraps.iter()).map(part).collect());
        let form = if ground.packs(meta.shape) { Form::Packed } else { Form::Single };
        let plain = ground.plaintexts(&ground.groups(form, meta.shape), &parts);
        let dealt = self.deal(op, &plain, plain.len())?;
        Ok(Secret::leaf(&ground, meta.shape, form, two_to(reach), || {
            sound(ground.key.add_plain_many(&dealt, &plain))
        }))
    }
}
