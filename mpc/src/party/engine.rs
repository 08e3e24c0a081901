//! A cloud's operations: see the parent module for formulas and for who learns what.

use super::act::{Offsets, Run};
use super::{MaskedRows, Party, Source, row_masks};
use crate::contract::same_trace;
use crate::engine::clear::{Opened, oriented, take_input};
use crate::engine::{Act, Audience, Engine, Outcome, Product, Task};
use crate::error::{Op, Result};
use crate::matrix::{MatrixMut, Onto, sum_products};
use crate::prg::Stream;
use crate::ring::add;
use crate::tensor::{Meta, Shape, Tensor, Veiled, View};
use crate::wire::{self, Header, Kind, PIECE, pieces};
use std::sync::Arc;

impl Engine for Party {
    type Shared = Vec<u64>;
    type Masked = Veiled;
    type Bit = Veiled;
    type Rows = MaskedRows;
    type Opened = Opened;

    fn step(&mut self, step: u64) -> Result<()> {
        match &mut self.source {
            Source::Dealt(correlations) => correlations.step(Op { step, number: 0, name: "step" }),
            Source::Seed | Source::Pairwise(_) => Ok(()),
        }
    }

    fn input(&mut self, op: Op, name: &str, meta: Meta) -> Result<Vec<u64>> {
        take_input(&mut self.inputs, op, name, meta)
    }

    fn dealer_input(&mut self, op: Op, name: &str, meta: Meta) -> Result<Vec<u64>> {
        // Nothing is opened, but a second value under the same share would tell how they differ.
        self.once.open(op.step, op.number)?;
        if let Source::Pairwise(_) = self.source {
            // Nobody deals: each cloud was given its share of it.
            return take_input(&mut self.inputs, op, name, meta);
        }
        let mut share = vec![0; meta.shape.len()];
        let shape = wire::shape(op, [meta].into_iter(), &[]);
        self.dealt(op, shape, share.len())?.read(0, &mut share);
        Ok(share)
    }

    fn public(&mut self, _: Shape, values: Vec<u64>) -> Vec<u64> {
        if self.first() { values } else { vec![0; values.len()] }
    }

    fn mask(&mut self, op: Op, xs: &[(&Vec<u64>, Meta)]) -> Result<Vec<Veiled>> {
        self.once.open(op.step, op.number)?;
        let shape = wire::shape(op, xs.iter().map(|(_, meta)| *meta), &[]);
        let shares = self.masks(op, xs);
        let mine: Vec<u64> = xs
            .iter()
            .zip(&shares)
            .flat_map(|((x, _), r)| x.iter().zip(r).map(|(x, r)| x.wrapping_add(*r)))
            .collect();
        let theirs = self.line.exchange(op, shape, 0, &mine)?;
        let mut hats = mine.iter().zip(&theirs).map(|(a, b)| a.wrapping_add(*b));
        Ok(shares
            .into_iter()
            .map(|share| Veiled { hat: hats.by_ref().take(share.len()).collect(), share })
            .collect())
    }

    fn unmask(&mut self, x: &Veiled) -> Vec<u64> {
        let one = u64::from(self.first());
        let pairs = x.hat.iter().zip(&x.share);
        pairs.map(|(hat, r)| hat.wrapping_mul(one).wrapping_sub(*r)).collect()
    }

    fn product(
        &mut self,
        op: Op,
        form: Product,
        (x, mx): (&Veiled, Meta),
        (y, my): (&Veiled, Meta),
        out: Meta,
    ) -> Result<Vec<u64>> {
        // Nothing is opened, but the same share of another product would tell how they differ.
        self.once.open(op.step, op.number)?;
        let shape = wire::shape(op, [mx, my].into_iter(), &[]);
        // [C]
        let mut z = self.product_of_masks(op, form, shape, (&x.share, mx), (&y.share, my), out)?;
        // D
        let d = self.unmask(y);
        match form {
            Product::Entries => {
                for (i, z) in z.iter_mut().enumerate() {
                    let public = x.hat[i].wrapping_mul(d[i]);
                    let masked = x.share[i].wrapping_mul(y.hat[i]);
                    *z = z.wrapping_add(public).wrapping_sub(masked);
                }
            }
            Product::Matrix(t) => {
                let left = |a| oriented(a, mx.shape, t.first());
                let right = |b| oriented(b, my.shape, t.second());
                let terms = [(left(&x.hat), right(&d)), (left(&x.share).negated(), right(&y.hat))];
                let out = MatrixMut::new(&mut z, out.shape.rows, out.shape.cols);
                sum_products(&terms, out, Onto::Sum);
            }
        }
        Ok(z)
    }

    fn act(&mut self, op: Op, tasks: &[Task<'_, Self>]) -> Result<Vec<Outcome<Self>>> {
        self.once.open(op.step, op.number)?;
        let acts: Vec<Act> = tasks.iter().map(|task| task.act).collect();
        let shape = wire::shape(op, tasks.iter().map(|task| task.meta), &acts);
        let [masks, dealt] = self.for_acts(op, shape, tasks)?;
        let mut at = Offsets::default();
        let mut runs = Vec::with_capacity(tasks.len());
        for task in tasks {
            let run = Run::new(
                task.act,
                (task.z, task.add),
                task.bit,
                self.first(),
                Arc::clone(&self.prg),
                (op.step, op.number),
                at,
                [masks.skip(at.masks), dealt.skip(at.dealt)],
            );
            at = at.after(&run.plan, task.z.len());
            runs.push(run);
        }
        self.rounds(op, shape, runs)
    }

    fn number(&mut self, b: &Veiled) -> Vec<u64> {
        // b = b̂ + (1 - 2b̂) β
        let one = u64::from(self.first());
        let pairs = b.hat.iter().zip(&b.share);
        pairs
            .map(|(hat, beta)| {
                let factor = 1u64.wrapping_sub(2 * hat);
                hat.wrapping_mul(one).wrapping_add(factor.wrapping_mul(*beta))
            })
            .collect()
    }

    fn not(&mut self, b: &Veiled) -> Veiled {
        Veiled { hat: b.hat.iter().map(|hat| 1 - hat).collect(), share: b.share.clone() }
    }

    fn prepare(&mut self, op: Op, mut x: Vec<u64>, meta: Meta) -> Result<MaskedRows> {
        self.once.open(op.step, op.number)?;
        let shape = wire::shape(op, [meta].into_iter(), &[]);
        let label = Self::label(op, Stream::Rows);
        // In place, piece by piece: a table is by far the largest thing a cloud holds.
        let mut r = vec![0; x.len().min(PIECE)];
        for (piece, x) in x.chunks_mut(PIECE).enumerate() {
            let r = &mut r[..x.len()];
            self.prg.fill(label, (piece * PIECE) as u64, r);
            add(x, r);
        }
        let header = Header::new(Kind::Opening, op, shape, 0);
        self.line.exchange_pieces(op, header, &mut x, |x, at, theirs| {
            for (x, theirs) in x[at..].iter_mut().zip(theirs.as_chunks::<8>().0) {
                *x = x.wrapping_add(u64::from_le_bytes(*theirs));
            }
        })?;
        Ok(MaskedRows { hat: x, label })
    }

    fn rows(&mut self, table: &MaskedRows, meta: Meta, rows: &[u32]) -> Result<Veiled> {
        let hat = table.hat.view(meta.shape, &View::Rows(rows));
        let share = row_masks(&self.prg, table.label, meta, rows);
        Ok(Veiled { hat, share })
    }

    fn open(&mut self, op: Op, xs: &[(&Vec<u64>, Meta)], to: Audience) -> Result<Vec<Opened>> {
        let shape = wire::shape(op, xs.iter().map(|(_, meta)| *meta), &[]);
        let mine: Vec<u64> = xs.iter().flat_map(|(x, _)| x.iter().copied()).collect();
        let header = Header::new(Kind::Opening, op, shape, 0);
        let mut theirs = Vec::new();
        match to {
            Audience::All => theirs = self.line.exchange(op, shape, 0, &mine)?,
            Audience::One(side) if side == self.line.side() => {
                for piece in 0..pieces(mine.len()) {
                    let words = self.line.recv_piece(op, header, piece, mine.len())?;
                    wire::append(&words, &mut theirs);
                }
            }
            Audience::One(_) => {
                for piece in 0..pieces(mine.len()) {
                    self.line.send_piece(op, header, &mine, piece)?;
                }
            }
        }
        let mut words = mine.iter().zip(&theirs).map(|(a, b)| a.wrapping_add(*b));
        let take = if to == Audience::One(self.line.side().peer()) { 0 } else { usize::MAX };
        Ok(xs
            .iter()
            .map(|(x, meta)| Opened {
                meta: *meta,
                words: words.by_ref().take(x.len().min(take)).collect(),
            })
            .collect())
    }

    fn check(&mut self, _: Op, _: &Vec<u64>, _: Meta) -> Result<()> {
        Ok(())
    }

    fn agree(&mut self, op: Op, trace: [u8; 32]) -> Result<()> {
        // The dealer first: what C0 then goes on with, C1 and the dealer have agreed on.
        if let Source::Dealt(correlations) = &mut self.source {
            correlations.agree(op, trace)?;
        }
        let mine = wire::all_words(&trace);
        let theirs = self.line.exchange(op, 0, 0, &mine)?;
        same_trace(self.line.who(), op, self.line.peer(), &theirs, &mine)
    }
}
