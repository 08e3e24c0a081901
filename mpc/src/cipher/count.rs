//! The engine on ciphertexts, on layouts: the same program without a value, for what it costs.
//!
//! It goes by what C0 knows of a tensor: how its ciphertexts lie. So what is packed, what is taken
//! apart and what was encrypted before is as in a run, and bytes are counted frame by frame.

use super::cost::Costs;
use super::range::{Behind, Reveal, TESTED_LATEST, two_to};
use super::secret::{Form, Ground, Leaf, Secret, VALUE_BITS};
use super::veil::{MOST_BITS, Table, Veil};
use super::{bound_of, product};
use crate::cost::Count;
use crate::engine::{Act, Audience, Engine, Outcome, Product, Task};
use crate::error::{Op, Result};
use crate::tensor::{Meta, Shape};
use crate::transfer::{BASE, cost::less};
use crate::wire::{frame_bytes, pieces, waits};
use dyad_bcp::PublicKey;
use std::sync::Arc;

/// The program on layouts.
pub struct Counting {
    ground: Arc<Ground>,
    costs: Costs,
    count: Count,
    begun: bool,
    /// Has C0, has C1 sent something since it waited last?
    spoken: [bool; 2],
    /// How often each has waited.
    waited: [u64; 2],
}

impl Counting {
    /// Under a unified key: its size is all that matters.
    #[must_use]
    pub fn new(key: &PublicKey) -> Self {
        let ground = Arc::new(Ground::new(key, false));
        let costs = Costs::new(key.params().size());
        let mut count = Count::default();
        count.ciphertexts.size = 8 * costs.words() as u64;
        Self { ground, costs, count, begun: false, spoken: [false; 2], waited: [0; 2] }
    }

    /// What was done so far costs this.
    #[must_use]
    pub const fn count(&self) -> Count {
        self.count
    }

    /// One message, words of C0 and C1. Whoever receives waits, if it has said something before.
    fn message(&mut self, words: [usize; 2]) {
        for (i, words) in words.into_iter().enumerate().filter(|(_, words)| *words > 0) {
            self.count.messages[i] += pieces(words) as u64;
            self.count.bytes[i] += frame_bytes(words) as u64;
            self.spoken[i] = true;
        }
        for (i, words) in words.into_iter().enumerate().filter(|(_, words)| *words > 0) {
            let other = 1 - i;
            if std::mem::take(&mut self.spoken[other]) {
                self.waited[other] += waits(words) as u64;
            }
        }
        self.count.rounds = self.waited.into_iter().max().unwrap_or(0);
    }

    fn transfers(&mut self, messages: &[[usize; 2]]) {
        if messages.is_empty() {
            return;
        }
        if !std::mem::replace(&mut self.begun, true) {
            for words in BASE {
                self.message([words; 2]);
            }
        }
        for words in messages {
            self.message(*words);
        }
    }

    /// Ciphertexts from C1 that C0 opens, and the test of what may lie beyond its bound.
    fn reveal(&mut self, xs: &[Reveal<'_>]) {
        let groups = |reveal: &Reveal<'_>| match reveal.x.form() {
            Some(Form::Packed) => self.ground.groups(Form::Packed, reveal.x.shape).len(),
            _ => reveal.x.shape.len().div_ceil(self.ground.slots),
        };
        let count: usize = xs.iter().map(groups).sum();
        let blinded = xs.iter().filter(|reveal| reveal.behind != Behind::Nothing);
        let blinded: usize = blinded.map(|reveal| reveal.x.shape.len()).sum();
        self.count.ciphertexts.opened += count as u64;
        self.count.ciphertexts.blinded += blinded as u64;
        for words in self.costs.messages(count) {
            self.message([0, words]);
        }
        let untested: Vec<_> = xs.iter().filter(|reveal| reveal.untested()).collect();
        self.within(untested.iter().map(|reveal| reveal.windows() * reveal.x.shape.len()).sum());
        for reveal in untested {
            reveal.passed();
        }
    }

    /// A test of so many entries: two comparisons of each, and one of sums of their bits.
    fn within(&mut self, entries: usize) {
        if entries == 0 {
            return;
        }
        self.transfers(&less(2 * entries, 64));
        self.message([0, 4]);
        self.transfers(&less(2, 64));
        self.message([1, 1]);
    }

    /// Ciphertexts that C0 makes.
    fn deal(&mut self, count: usize) {
        self.count.ciphertexts.made += count as u64;
        for words in self.costs.messages(count) {
            self.message([words, 0]);
        }
    }

    /// Bits as numbers.
    fn numbers(&mut self, n: usize) {
        if n > 0 {
            self.transfers(&Costs::numbers_words(n));
        }
    }

    fn settle(&mut self, xs: &[&Secret]) -> Vec<Secret> {
        let mut found: Vec<Arc<Leaf>> = Vec::new();
        for x in xs {
            x.pending(false, &mut found);
        }
        if !found.is_empty() {
            let (bits, packed): (Vec<_>, Vec<_>) =
                found.iter().partition(|leaf| leaf.form == Form::Bits);
            let packed: Vec<Secret> =
                packed.iter().map(|leaf| Secret::of_leaf(&self.ground, leaf)).collect();
            let reveals = packed.iter().map(|x| Reveal {
                x,
                add: 0,
                bound: VALUE_BITS as u8,
                behind: Behind::Blind,
            });
            if !packed.is_empty() {
                self.reveal(&reveals.collect::<Vec<_>>());
            }
            self.numbers(bits.iter().map(|leaf| leaf.shape.len()).sum());
            self.deal(found.iter().map(|leaf| leaf.shape.len()).sum());
            for leaf in &found {
                leaf.singles.get_or_init(Vec::new);
            }
        }
        xs.iter().map(|x| x.settled()).collect()
    }

    fn veiled(&mut self, xs: &[(&Secret, Meta)]) -> Vec<Veil> {
        let settled = self.settle(&xs.iter().map(|(x, _)| *x).collect::<Vec<_>>());
        let reveals = settled.iter().zip(xs).map(|(x, (_, meta))| Reveal {
            x,
            add: 0,
            bound: bound_of(*meta),
            behind: Behind::Mask,
        });
        self.reveal(&reveals.collect::<Vec<_>>());
        for (x, (given, _)) in settled.iter().zip(xs) {
            given.reach.lower(x.reach.most());
        }
        // Wider than any that is multiplied: so nobody asks for its numbers.
        settled.into_iter().map(|x| Veil::new(x, vec![].into(), MOST_BITS + 1, false)).collect()
    }

    /// One that gives a result: its shape and form.
    fn leaf(&self, shape: Shape, reach: f64) -> Secret {
        Secret::leaf(&self.ground, shape, Form::Packed, reach, Vec::new)
    }

    fn bits(&self, shape: Shape) -> Secret {
        Secret::bits(&self.ground, shape, vec![0; shape.len()])
    }
}

/// |z + add| < 2^this.
fn bound_with(task: &Task<'_, Counting>) -> u8 {
    super::act::with_added(bound_of(task.meta), task.add).clamp(1, 63)
}

impl Engine for Counting {
    type Shared = Secret;
    type Masked = Veil;
    type Bit = Secret;
    type Rows = Table;
    type Opened = Meta;

    fn step(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn input(&mut self, _: Op, _: &str, meta: Meta) -> Result<Secret> {
        let (n, bound) = (meta.shape.len(), bound_of(meta));
        if usize::from(bound) != VALUE_BITS {
            self.within(n);
        }
        self.transfers(&less(n, 64));
        self.numbers(n);
        let x = self.leaf(meta.shape, two_to(bound));
        let form = x.form().unwrap_or(Form::Single);
        self.deal(self.ground.groups(form, meta.shape).len());
        Ok(x)
    }

    fn dealer_input(&mut self, op: Op, name: &str, meta: Meta) -> Result<Secret> {
        self.input(op, name, meta)
    }

    fn public(&mut self, shape: Shape, values: Vec<u64>) -> Secret {
        Secret::known(&self.ground, shape, values)
    }

    fn mask(&mut self, _: Op, xs: &[(&Secret, Meta)]) -> Result<Vec<Veil>> {
        Ok(self.veiled(xs))
    }

    fn unmask(&mut self, x: &Veil) -> Secret {
        x.0.x.clone()
    }

    fn product(
        &mut self,
        _: Op,
        form: Product,
        (x, _): (&Veil, Meta),
        (y, _): (&Veil, Meta),
        out: Meta,
    ) -> Result<Secret> {
        let out = out.shape;
        if out.is_empty() {
            return Ok(Secret::known(&self.ground, out, vec![]));
        }
        let wanted = product::wanted(form, x, y);
        let reach = x.0.x.reach.most() * y.0.x.reach.most();
        let (made, raised, result) = match form {
            Product::Matrix(t) => {
                let inner = if t.first() { x.shape().rows } else { x.shape().cols };
                let result = self.leaf(out, reach * inner as f64);
                let form = result.form().unwrap_or(Form::Single);
                let made = self.ground.groups(form, out).len();
                // Enc(-X~) S entry by entry, R Enc(-Y~) on packed rows.
                (made, inner * (out.len() + made), result)
            }
            Product::Entries => {
                let result = Secret::of_singles(&self.ground, out, reach, Vec::new);
                (out.len(), 2 * out.len(), result)
            }
        };
        self.count.ciphertexts.raised += raised as u64;
        self.deal(wanted + made);
        Ok(result)
    }

    fn act(&mut self, _: Op, tasks: &[Task<'_, Self>]) -> Result<Vec<Outcome<Self>>> {
        let zs: Vec<&Secret> = tasks.iter().map(|task| task.z).collect();
        let zs = self.settle(&zs);
        let reveals = zs.iter().zip(tasks).map(|(x, task)| {
            let bound = super::act::with_added(bound_of(task.meta), task.add).min(63);
            Reveal { x, add: task.add, bound, behind: Behind::Blind }
        });
        let reveals: Vec<_> = reveals.collect();
        self.reveal(&reveals);
        let reaches: Vec<f64> = reveals.iter().map(Reveal::most).collect();
        for (x, task) in zs.iter().zip(tasks) {
            task.z.reach.lower(x.reach.most());
        }
        let len = |task: &Task<'_, Self>| task.meta.shape.len();
        let gates = |task: &&Task<'_, Self>| matches!(task.act, Act::Relu(_) | Act::Gate(_));
        let cut = |task: &&Task<'_, Self>| match task.act {
            Act::Truncate(s) | Act::Relu(s) | Act::Gate(s) => s,
            Act::Sign | Act::Zero => 0,
        };
        // Those of one width go together.
        let mut tested: Vec<(u8, usize)> = vec![];
        for task in tasks {
            match task.act {
                Act::Truncate(s) => tested.push((s, len(task))),
                Act::Sign | Act::Relu(_) => tested.push((bound_with(task), len(task))),
                Act::Zero => tested.extend([(bound_with(task) + 1, len(task)); 2]),
                Act::Gate(_) => {}
            }
        }
        self.compared(tested);
        let gated: usize = tasks.iter().filter(gates).map(len).sum();
        if gated > 0 {
            self.transfers(&Costs::gate_words(gated));
        }
        let cuts = tasks.iter().filter(|task| gates(task) && cut(task) > 0);
        self.compared(cuts.map(|task| (cut(&task), len(task))).collect());
        let carried = tasks.iter().filter(|task| cut(task) > 0).map(len).sum();
        self.numbers(carried);
        let outcomes: Vec<Outcome<Self>> = tasks
            .iter()
            .zip(reaches)
            .map(|(task, most)| {
                let (shape, reach) = (task.meta.shape, (most / two_to(cut(&task))).ceil());
                let number = !matches!(task.act, Act::Sign | Act::Zero);
                let bit = matches!(task.act, Act::Sign | Act::Zero | Act::Relu(_));
                Outcome {
                    value: number.then(|| self.leaf(shape, reach)),
                    bit: bit.then(|| self.bits(shape)),
                }
            })
            .collect();
        let values = outcomes.iter().filter_map(|outcome| outcome.value.as_ref());
        let made =
            values.map(|x| self.ground.groups(x.form().unwrap_or(Form::Single), x.shape).len());
        let made = made.sum();
        if made > 0 {
            self.deal(made);
        }
        Ok(outcomes)
    }

    fn number(&mut self, b: &Secret) -> Secret {
        b.clone()
    }

    fn not(&mut self, b: &Secret) -> Secret {
        self.bits(b.shape)
    }

    fn prepare(&mut self, _: Op, x: Secret, meta: Meta) -> Result<Table> {
        Ok(Table::new(self.veiled(&[(&x, meta)]).swap_remove(0)))
    }

    fn rows(&mut self, table: &Table, _: Meta, rows: &[u32]) -> Result<Veil> {
        Ok(table.rows(rows))
    }

    fn open(&mut self, _: Op, xs: &[(&Secret, Meta)], to: Audience) -> Result<Vec<Meta>> {
        let secrets: Vec<&Secret> = xs.iter().map(|(x, _)| *x).collect();
        let settled = self.settle(&secrets);
        let blinded = to == Audience::One(crate::prg::Party::One);
        let behind = if blinded { Behind::Blind } else { Behind::Nothing };
        let reveals = settled.iter().zip(xs).map(|(x, (_, meta))| Reveal {
            x,
            add: 0,
            bound: bound_of(*meta),
            behind,
        });
        self.reveal(&reveals.collect::<Vec<_>>());
        if to != Audience::One(crate::prg::Party::Zero) {
            self.message([xs.iter().map(|(_, meta)| meta.shape.len()).sum(), 0]);
        }
        Ok(xs.iter().map(|(_, meta)| *meta).collect())
    }

    fn check(&mut self, _: Op, x: &Secret, meta: Meta) -> Result<()> {
        let bound = bound_of(meta);
        if x.reach.bits() > bound.max(TESTED_LATEST) {
            for settled in &self.settle(&[x]) {
                self.reveal(&[Reveal { x: settled, add: 0, bound, behind: Behind::Blind }]);
                x.reach.lower(settled.reach.most());
            }
        }
        Ok(())
    }

    fn agree(&mut self, _: Op, trace: [u8; 32]) -> Result<()> {
        self.message([trace.len() / 8; 2]);
        Ok(())
    }
}

impl Counting {
    /// Comparisons of these widths, of so many entries each.
    fn compared(&mut self, asked: Vec<(u8, usize)>) {
        let mut widths = std::collections::BTreeMap::new();
        for (bits, n) in asked.into_iter().filter(|(_, n)| *n > 0) {
            *widths.entry(bits).or_insert(0) += n;
        }
        for (bits, n) in widths {
            self.transfers(&less(n, bits));
        }
    }
}
