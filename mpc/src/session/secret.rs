//! Operations that mask, open or need what the dealer deals.

use super::local::bits;
use super::{Bit, Masked, Of, Session, Shared, Shift, Table, drawn, finer, program, sized};
use crate::bits::plan::{MOST_DEALT, Plan, blocks};
use crate::engine::{Act, Audience, Engine, Outcome, Product, Task, Transpose};
use crate::error::{Op, Result};
use crate::tensor::{MAX_BOUND, Meta, Shape, View, bits_of_sum};

impl<E: Engine> Session<E> {
    /// Masks tensors and opens them masked: one round. Every product with them is local then.
    pub fn mask(&mut self, xs: &[&Shared<E>]) -> Result<Vec<Masked<E>>> {
        let metas: Vec<Meta> = xs.iter().map(|x| x.meta).collect();
        let operands: Vec<_> = xs.iter().map(|x| x.operand()).collect();
        let op = self.op("mask", &operands, &[])?;
        drawn(op, metas.iter().map(|meta| meta.shape.len()))?;
        let data: Vec<_> = xs.iter().map(|x| (&x.data, x.meta)).collect();
        let masked = self.engine.mask(op, &data)?;
        Ok(masked.into_iter().zip(metas).map(|(data, meta)| self.made(meta, data)).collect())
    }

    /// One tensor masked.
    pub fn mask_one(&mut self, x: &Shared<E>) -> Result<Masked<E>> {
        Ok(only(self.mask(&[x])?))
    }

    /// The tensor behind its mask: free.
    pub fn unmask(&mut self, x: &Masked<E>) -> Result<Shared<E>> {
        self.op("unmask", &[x.operand()], &[])?;
        let data = self.engine.unmask(&x.data);
        Ok(self.made(x.meta, data))
    }

    /// Matrix product, either factor transposed first if so marked; no message.
    pub fn matmul(&mut self, x: &Masked<E>, y: &Masked<E>, t: Transpose) -> Result<Shared<E>> {
        let op = self.op("matmul", &[x.operand(), y.operand()], &[t as u64])?;
        let (a, b) = (x.meta.shape, y.meta.shape);
        let a = if t.first() { a.transposed() } else { a };
        let b = if t.second() { b.transposed() } else { b };
        if a.cols != b.rows {
            return Err(program(op, format!("{a} times {b}")));
        }
        let shape = Shape::new(a.rows, b.cols);
        self.product(op, Product::Matrix(t), x, y, shape, bits_of_sum(a.cols))
    }

    /// Product entry by entry; no message.
    pub fn multiply(&mut self, x: &Masked<E>, y: &Masked<E>) -> Result<Shared<E>> {
        let op = self.op("multiply", &[x.operand(), y.operand()], &[])?;
        if x.meta.shape != y.meta.shape {
            return Err(program(op, format!("{} times {}, entry by entry", x.meta, y.meta)));
        }
        self.product(op, Product::Entries, x, y, x.meta.shape, 0)
    }

    fn product(
        &mut self,
        op: Op,
        form: Product,
        x: &Masked<E>,
        y: &Masked<E>,
        shape: Shape,
        sum: u8,
    ) -> Result<Shared<E>> {
        sized(op, shape)?;
        drawn(op, std::iter::once(shape.len()))?;
        let scale = finer(op, x.meta, y.meta.scale)?;
        let bound = x.meta.bound.saturating_add(y.meta.bound).saturating_add(sum);
        let meta = Meta { shape, scale, bound };
        let data = self.engine.product(op, form, (&x.data, x.meta), (&y.data, y.meta), meta)?;
        Ok(self.made(meta, data))
    }

    /// x >> s each: the scale falls by s, the number stays.
    pub fn truncate(&mut self, xs: &[(&Shared<E>, Shift)]) -> Result<Vec<Shared<E>>> {
        let acts: Vec<_> =
            xs.iter().map(|(x, shift)| (Act::Truncate(shift.bits), *x, *shift, None)).collect();
        Ok(self.act("truncate", &acts)?.into_iter().map(|(value, _)| some(value)).collect())
    }

    /// One tensor truncated.
    pub fn truncate_one(&mut self, x: &Shared<E>, shift: Shift) -> Result<Shared<E>> {
        Ok(only(self.truncate(&[(x, shift)])?))
    }

    /// The bits x >= 0.
    pub fn not_negative(&mut self, xs: &[&Shared<E>]) -> Result<Vec<Bit<E>>> {
        self.test("compare", Act::Sign, xs)
    }

    /// The bits x = 0.
    pub fn is_zero(&mut self, xs: &[&Shared<E>]) -> Result<Vec<Bit<E>>> {
        self.test("equal", Act::Zero, xs)
    }

    fn test(&mut self, name: &'static str, act: Act, xs: &[&Shared<E>]) -> Result<Vec<Bit<E>>> {
        let acts: Vec<_> = xs.iter().map(|x| (act, *x, Shift::floor(0), None)).collect();
        Ok(self.act(name, &acts)?.into_iter().map(|(_, bit)| some(bit)).collect())
    }

    /// The bits x >= t for a public t, given as a ring element of x's scale.
    pub fn at_least(&mut self, x: &Shared<E>, t: i64) -> Result<Bit<E>> {
        let threshold = self.constant(Meta { bound: bits(t) + 1, ..x.meta }, t)?;
        let difference = self.sub(x, &threshold)?;
        Ok(only(self.not_negative(&[&difference])?))
    }

    /// The bits x = t for a public t, given as a ring element of x's scale.
    pub fn equals(&mut self, x: &Shared<E>, t: i64) -> Result<Bit<E>> {
        let value = self.constant(Meta { bound: bits(t) + 1, ..x.meta }, t)?;
        let difference = self.sub(x, &value)?;
        Ok(only(self.is_zero(&[&difference])?))
    }

    /// Where b is set x >> s, else 0.
    pub fn gate(&mut self, xs: &[(&Bit<E>, &Shared<E>, Shift)]) -> Result<Vec<Shared<E>>> {
        let acts: Vec<_> =
            xs.iter().map(|(b, x, shift)| (Act::Gate(shift.bits), *x, *shift, Some(*b))).collect();
        Ok(self.act("gate", &acts)?.into_iter().map(|(value, _)| some(value)).collect())
    }

    /// Where b is set x, else y: y + b (x - y).
    pub fn select(&mut self, b: &Bit<E>, x: &Shared<E>, y: &Shared<E>) -> Result<Shared<E>> {
        let difference = self.sub(x, y)?;
        let kept = only(self.gate(&[(b, &difference, Shift::floor(0))])?);
        let mut chosen = self.add(y, &kept)?;
        chosen.meta.bound = x.meta.bound.max(y.meta.bound);
        Ok(chosen)
    }

    /// max(x >> s, 0) and the bits x >= 0, s > 0; x with the rounding constant in it.
    pub fn relu(&mut self, xs: &[(&Shared<E>, Shift)]) -> Result<Vec<(Shared<E>, Bit<E>)>> {
        let acts: Vec<_> =
            xs.iter().map(|(x, shift)| (Act::Relu(shift.bits), *x, *shift, None)).collect();
        let outcomes = self.act("relu", &acts)?;
        Ok(outcomes.into_iter().map(|(value, bit)| (some(value), some(bit))).collect())
    }

    /// The bits as numbers 0 and 1 at scale 0: free.
    pub fn number(&mut self, b: &Bit<E>) -> Result<Shared<E>> {
        self.op("number", &[b.operand()], &[])?;
        let data = self.engine.number(&b.data);
        Ok(self.made(Meta { bound: 1, ..b.meta }, data))
    }

    /// The opposite bits: free.
    pub fn not(&mut self, b: &Bit<E>) -> Result<Bit<E>> {
        self.op("not", &[b.operand()], &[])?;
        let data = self.engine.not(&b.data);
        Ok(self.made(b.meta, data))
    }

    /// Masks a table once; its rows are products' factors as often as one likes.
    pub fn prepare(&mut self, x: Shared<E>) -> Result<Table<E>> {
        let op = self.op("prepare", &[x.operand()], &[])?;
        drawn(op, std::iter::once(x.meta.shape.len()))?;
        let Of { meta, data, .. } = x;
        let data = self.engine.prepare(op, data, meta)?;
        Ok(self.made(meta, data))
    }

    /// Rows of a table: no message.
    pub fn rows(&mut self, table: &Table<E>, rows: &[u32]) -> Result<Masked<E>> {
        let words: Vec<u64> = rows.iter().map(|row| (*row).into()).collect();
        let op = self.op("rows", &[table.operand()], &words)?;
        let shape = View::Rows(rows).shape(table.meta.shape).map_err(|what| program(op, what))?;
        let data = self.engine.rows(&table.data, table.meta, rows)?;
        Ok(self.made(Meta { shape, ..table.meta }, data))
    }

    /// Opens.
    pub fn open(&mut self, xs: &[&Shared<E>], to: Audience) -> Result<Vec<E::Opened>> {
        let operands: Vec<_> = xs.iter().map(|x| x.operand()).collect();
        let audience = match to {
            Audience::All => 2,
            Audience::One(party) => party.index() as u64,
        };
        let op = self.op("open", &operands, &[audience])?;
        let data: Vec<_> = xs.iter().map(|x| (&x.data, x.meta)).collect();
        self.engine.open(op, &data, to)
    }

    /// Opens one tensor to both clouds.
    pub fn open_one(&mut self, x: &Shared<E>) -> Result<E::Opened> {
        Ok(only(self.open(&[x], Audience::All)?))
    }

    /// Checks what can be checked and lets the engine act.
    #[expect(clippy::type_complexity, reason = "what an act takes, in one place")]
    fn act(
        &mut self,
        name: &'static str,
        acts: &[(Act, &Shared<E>, Shift, Option<&Bit<E>>)],
    ) -> Result<Vec<(Option<Shared<E>>, Option<Bit<E>>)>> {
        let gated = |bit: Option<&Bit<E>>| bit.map(Of::operand);
        let operands: Vec<_> = acts
            .iter()
            .flat_map(|(_, x, _, bit)| std::iter::once(x.operand()).chain(gated(*bit)))
            .collect();
        let shifts: Vec<u64> = acts
            .iter()
            .flat_map(|(.., shift, _)| [shift.bits.into(), shift.rounding as u64])
            .collect();
        let op = self.op(name, &operands, &shifts)?;
        for (act, x, shift, bit) in acts {
            check_act(op, *act, x.meta, *shift, bit.map(|b| b.meta))?;
        }
        let blocks = |x: &Shared<E>| blocks(x.meta.shape.len());
        let most = acts.iter().map(|(_, x, ..)| MOST_DEALT.saturating_mul(blocks(x)));
        if drawn(op, most).is_err() {
            // Near the end, counted exactly.
            let dealt = |act| Plan::new(act).dealt();
            drawn(op, acts.iter().map(|(act, x, ..)| dealt(*act).saturating_mul(blocks(x))))?;
        }
        let tasks: Vec<Task<'_, E>> = acts
            .iter()
            .map(|(act, x, shift, bit)| Task {
                act: *act,
                z: &x.data,
                meta: x.meta,
                add: shift.constant(),
                bit: bit.map(|b| &b.data),
            })
            .collect();
        let outcomes = self.engine.act(op, &tasks)?;
        Ok(outcomes
            .into_iter()
            .zip(acts)
            .map(|(Outcome { value, bit }, (_, x, shift, _))| {
                let bits = Meta { scale: 0, bound: 1, ..x.meta };
                (
                    value.map(|data| self.made(shift.of(x.meta), data)),
                    bit.map(|data| self.made(bits, data)),
                )
            })
            .collect())
    }
}

fn check_act(op: Op, act: Act, x: Meta, shift: Shift, bit: Option<Meta>) -> Result<()> {
    let lowest = match act {
        Act::Sign | Act::Zero | Act::Gate(_) => 0,
        Act::Truncate(_) | Act::Relu(_) => 1,
    };
    if !(lowest..=62).contains(&shift.bits) || shift.bits > x.scale {
        return Err(program(op, format!("a shift of {} bits of {x}", shift.bits)));
    }
    // With the rounding constant, half of what is cut off.
    let bound = match shift.constant() {
        0 => x.bound,
        _ => x.bound.max(shift.bits - 1).saturating_add(1),
    };
    // A gate without a shift and a test for zero hold for all of the ring.
    let any = matches!(act, Act::Zero | Act::Gate(0));
    if bound > MAX_BOUND && !any {
        let what = format!("{x} exceeds 2^{MAX_BOUND}: declare its bound or lower the scales");
        return Err(program(op, what));
    }
    match bit {
        Some(bit) if bit.shape != x.shape => {
            Err(program(op, format!("bits {} for {x}", bit.shape)))
        }
        _ => Ok(()),
    }
}

fn only<T>(mut all: Vec<T>) -> T {
    all.pop().unwrap_or_else(|| unreachable!("an engine answers for each tensor"))
}

fn some<T>(value: Option<T>) -> T {
    value.unwrap_or_else(|| unreachable!("an engine gives what the act promises"))
}
