//! Everything that is not linear, from what C0 sees behind blinds and from transfers.
//!
//! ```text
//! reveal     z' = a - r, a = z' + 2^b + R at C0 and r = 2^b + R at C1
//! truncate   z' >> s = (a >> s) - (r >> s) - c,  c = [a_{low s} < r_{low s}]
//! sign       z' < 0:  bit b of a, xor that of r, xor [a_{low b} < r_{low b}], for |z'| < 2^b
//! zero       neither [a < r] nor [r < a], modulo 2^{b+1}
//! gate       v = b z':  b_0 a + b_1 (1 - 2 b_0) a - (b_1 r + b_0 (1 - 2 b_1) r), two transfers:
//!            u_0 + u_1 = v + 2^63 modulo 2^256, and as integers 2^256 more
//!            v >> s = (u_0 >> s) + (u_1 >> s) + c - 2^{256-s} - 2^{63-s},  c = [~u_0 < u_1] on s bits
//! ReLU       b = [z' >= 0] and b (z' >> s) = (b z') >> s
//! ```
//!
//! The paper's ReLU compares "over the ciphertext domain" and does not say how; schemes that blind z
//! by a factor show C0 how large z is. Here both clouds hold shares of the bit, and of b z' C0 sees
//! a share that is uniform. [b_0 z~] - rho [b_0] of the plan needs a ciphertext for each entry; two
//! transfers and one packed ciphertext for many entries say the same.
//!
//! Who learns what: see [`super::moves`], which all of this is made of.

use super::int::{Ints, add, bit, flipped, gated, low, neg, power, shifted, sub, unsigned};
use super::moves::Words;
use super::range::{Behind, Reveal, two_to};
use super::secret::{Form, Secret, sound};
use super::veil::bits_of_leaf;
use super::{Cipher, bound_of};
use crate::engine::{Act, Outcome, Task};
use crate::error::{Op, Result};
use dyad_bcp::matrix::Int;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A cloud's part of each entry of a result.
type Parts = Zeroizing<Vec<[u64; 6]>>;

/// A task under way.
struct Run {
    act: Act,
    /// |z'| < 2^bound.
    bound: u8,
    /// a at C0, r at C1; then u.
    ints: Ints,
    /// Share of the bit that gates or is asked for.
    bits: Vec<u64>,
    /// Share of the borrow or carry, and as a number.
    carry: Vec<u64>,
    number: Ints,
    /// |z'| is at most this.
    reach: f64,
}

impl Run {
    fn gates(&self) -> bool {
        matches!(self.act, Act::Relu(_) | Act::Gate(_))
    }

    /// By how many bits a number is cut.
    fn cut(&self) -> u8 {
        match self.act {
            Act::Truncate(s) | Act::Relu(s) | Act::Gate(s) => s,
            Act::Sign | Act::Zero => 0,
        }
    }
}

/// |z + add| < 2^this.
fn bound_with(task: &Task<'_, Cipher>) -> u8 {
    with_added(bound_of(task.meta), task.add)
}

/// The same, for |z| < 2^bound.
pub(super) fn with_added(bound: u8, add: u64) -> u8 {
    match add {
        0 => bound,
        add => bound.max(64 - (add.leading_zeros() as u8) - 1) + 1,
    }
}

impl Cipher {
    pub(super) fn acts(&mut self, op: Op, tasks: &[Task<'_, Self>]) -> Result<Vec<Outcome<Self>>> {
        let zs: Vec<&Secret> = tasks.iter().map(|task| task.z).collect();
        let zs = self.settle(op, &zs)?;
        let reveals: Vec<Reveal<'_>> = zs
            .iter()
            .zip(tasks)
            .map(|(x, task)| {
                let bound = bound_with(task).min(63);
                Reveal { x, add: task.add, bound, behind: Behind::Blind }
            })
            .collect();
        let opened = self.reveal(op, &reveals)?;
        let reaches: Vec<f64> = reveals.iter().map(Reveal::most).collect();
        for (x, task) in zs.iter().zip(tasks) {
            task.z.reach.lower(x.reach.most());
        }
        let mut runs: Vec<Run> = tasks
            .iter()
            .zip(opened)
            .zip(reaches)
            .map(|((task, ints), reach)| Run {
                act: task.act,
                bound: bound_with(task).clamp(1, 63),
                ints,
                bits: task.bit.map_or_else(Vec::new, |bit| bits_of_leaf(bit).to_vec()),
                carry: vec![],
                number: Ints::default(),
                reach,
            })
            .collect();
        self.test(op, &mut runs)?;
        self.gate(op, &mut runs)?;
        self.carries(op, &mut runs)?;
        self.results(op, tasks, runs)
    }

    /// Signs, zeros, and borrows of truncations.
    fn test(&mut self, op: Op, runs: &mut [Run]) -> Result<()> {
        let mut asked: Vec<(u8, Words)> = Vec::new();
        for run in &*runs {
            let words = || Words::new(run.ints.iter().map(|x| x[0]).collect());
            match run.act {
                Act::Truncate(s) => asked.push((s, words())),
                Act::Sign | Act::Relu(_) => asked.push((run.bound, words())),
                Act::Zero => {
                    let others = Words::new(run.ints.iter().map(|x| !x[0]).collect());
                    asked.extend([(run.bound + 1, words()), (run.bound + 1, others)]);
                }
                Act::Gate(_) => {}
            }
        }
        let mut less = self.compare(op, &asked)?.into_iter();
        let mut next = || less.next().unwrap_or_else(|| unreachable!("as many as were asked for"));
        let first = u64::from(!self.ground.holds);
        for run in runs {
            match run.act {
                Act::Truncate(_) => run.carry = next(),
                Act::Sign | Act::Relu(_) => {
                    let top = run.ints.iter().map(|x| bit(x, run.bound));
                    run.bits = next().iter().zip(top).map(|(l, top)| l ^ top ^ first).collect();
                }
                Act::Zero => {
                    let (less, more) = (next(), next());
                    run.bits = less.iter().zip(&more).map(|(l, m)| l ^ m ^ first).collect();
                }
                Act::Gate(_) => {}
            }
        }
        Ok(())
    }

    /// b z' + 2^63, shared modulo 2^256.
    fn gate(&mut self, op: Op, runs: &mut [Run]) -> Result<()> {
        let holds = self.ground.holds;
        let count = runs.iter().filter(|run| run.gates()).map(|run| run.ints.len()).sum();
        let [mut mine, mut send] = [(); 2].map(|()| Ints::with_capacity(count));
        let mut choose: Vec<u64> = Vec::new();
        for run in runs.iter().filter(|run| run.gates()) {
            for (x, bit) in run.ints.iter().zip(&run.bits) {
                let v = if holds { neg(x) } else { *x };
                send.push(flipped(*bit, &v));
                let own = gated(*bit, &v);
                mine.push(if holds { add(&own, &power(63)) } else { own });
            }
            choose.extend_from_slice(&run.bits);
        }
        if send.is_empty() {
            return Ok(());
        }
        let (sent, taken) = self.correlate(op, &send, &choose)?;
        let mut shares = mine
            .iter()
            .zip(sent.iter().zip(taken.iter()))
            .map(|(mine, (sent, taken))| add(mine, &add(sent, taken)));
        for run in runs.iter_mut().filter(|run| run.gates()) {
            run.ints = shares.by_ref().take(run.bits.len()).collect::<Vec<_>>().into();
        }
        Ok(())
    }

    /// Carries of what was gated, and all carries as numbers.
    fn carries(&mut self, op: Op, runs: &mut [Run]) -> Result<()> {
        let holds = self.ground.holds;
        let cuts = |run: &Run| run.gates() && run.cut() > 0;
        let word = |x: &Int| if holds { x[0] } else { !x[0] };
        let asked: Vec<(u8, Words)> = runs
            .iter()
            .filter(|run| cuts(run))
            .map(|run| {
                let words = run.ints.iter().map(|x| low(word(x), run.cut()));
                (run.cut(), Words::new(words.collect()))
            })
            .collect();
        let carries = self.compare(op, &asked)?;
        for (run, carry) in runs.iter_mut().filter(|run| cuts(run)).zip(carries) {
            run.carry = carry;
        }
        let all: Vec<u64> = runs.iter().flat_map(|run| run.carry.iter().copied()).collect();
        let numbers = self.numbers(op, &all)?;
        let mut numbers = numbers.iter();
        for run in runs {
            let count = run.carry.len();
            run.number = numbers.by_ref().take(count).copied().collect::<Vec<_>>().into();
        }
        Ok(())
    }

    /// What each cloud knows of a result: C0 encrypts its part, C1 adds its own.
    fn results(
        &mut self,
        op: Op,
        tasks: &[Task<'_, Self>],
        runs: Vec<Run>,
    ) -> Result<Vec<Outcome<Self>>> {
        let ground = Arc::clone(&self.ground);
        let mut plain = Vec::new();
        let mut counts = Vec::new();
        for (run, task) in runs.iter().zip(tasks) {
            let number = !matches!(run.act, Act::Sign | Act::Zero);
            let parts = if number { self.parts(run) } else { Parts::default() };
            let shape = task.meta.shape;
            let form = if ground.packs(shape) { Form::Packed } else { Form::Single };
            let groups = if number { ground.groups(form, shape) } else { vec![] };
            plain.extend(ground.plaintexts(&groups, &parts));
            counts.push(groups.len());
        }
        let dealt = if plain.is_empty() { vec![] } else { self.deal(op, &plain, plain.len())? };
        let mut sums =
            if ground.holds { sound(ground.key.add_plain_many(&dealt, &plain)) } else { vec![] };
        let outcomes = runs.into_iter().zip(tasks).zip(counts).map(|((run, task), count)| {
            let shape = task.meta.shape;
            let value = (!matches!(run.act, Act::Sign | Act::Zero)).then(|| {
                let rest = sums.split_off(count.min(sums.len()));
                let made = std::mem::replace(&mut sums, rest);
                Secret::leaf(
                    &ground,
                    shape,
                    Form::Packed,
                    (run.reach / two_to(run.cut())).ceil(),
                    || made,
                )
            });
            let bit = matches!(run.act, Act::Sign | Act::Zero | Act::Relu(_))
                .then(|| Secret::bits(&ground, shape, run.bits.clone()));
            Outcome { value, bit }
        });
        Ok(outcomes.collect())
    }

    /// This cloud's part of each entry of a result.
    fn parts(&self, run: &Run) -> Parts {
        let holds = self.ground.holds;
        let s = run.cut();
        let cut = |x: &Int| -> [u64; 6] { unsigned(&shifted(x, s)) };
        if !run.gates() {
            let carries = run.number.iter().map(|c| self.lifted::<6>(c));
            let part = |(x, c): (&Int, [u64; 6])| {
                let x = cut(x);
                sub(&if holds { neg(&x) } else { x }, &c)
            };
            return Parts::new(run.ints.iter().zip(carries).map(part).collect());
        }
        // C1 takes off what the two parts are too large by.
        let excess = add(&power::<6>(256 - usize::from(s)), &power(63 - usize::from(s)));
        let part = |(i, x): (usize, &Int)| {
            let x = if holds { sub(&cut(x), &excess) } else { cut(x) };
            run.number.get(i).map_or(x, |c| add(&x, &self.lifted(c)))
        };
        Parts::new(run.ints.iter().enumerate().map(part).collect())
    }
}
