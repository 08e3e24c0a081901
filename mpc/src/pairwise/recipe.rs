//! What an act needs of transfers, as counts: read by those who make it and by the cost model.

use crate::bits::plan::Plan;
use crate::engine::Act;
use crate::prg::Party as Side;
use crate::transfer::products::Products;

/// How the randomness of an act is made.
pub(crate) struct Recipe {
    pub plan: Plan,
    /// One-hot tables of each digit.
    pub digits: Vec<Products>,
    /// Products of bit masks of each layer.
    pub layers: Vec<Products>,
    /// Bits that become numbers: those of r, then γ and β. C0 sends those at even places, C1 the
    /// others.
    pub numbers: usize,
    /// Numbers that are multiplied by β.
    pub gated: usize,
}

impl Recipe {
    pub(crate) fn new(act: Act) -> Self {
        let plan = Plan::new(act);
        let digits = plan.digits.iter().map(|digit| Products::all(digit.width.into())).collect();
        let layers = plan.layers.iter();
        let layers =
            layers.map(|layer| Products::new(layer.opened.len(), &layer.products)).collect();
        let (numbers, gated) = match act {
            Act::Gate(0) => (0, 1),
            Act::Gate(_) | Act::Relu(_) => (64 + plan.results.len(), 3),
            Act::Truncate(_) | Act::Sign | Act::Zero => (64 + plan.results.len(), 0),
        };
        Self { plan, digits, layers, numbers, gated }
    }

    fn products(&self) -> impl Iterator<Item = &Products> {
        self.digits.iter().chain(&self.layers)
    }

    /// Does this cloud send what makes bit i a number?
    pub(crate) const fn sends(side: Side, i: usize) -> bool {
        i % 2 == side.index()
    }

    /// Bits that become numbers by what this cloud sends.
    fn numbers_of(&self, sender: Side) -> usize {
        (0..self.numbers).filter(|i| Self::sends(sender, *i)).count()
    }

    /// Which message is gated: what is multiplied by β must be a number before.
    pub(crate) const fn gated_at(&self) -> usize {
        if self.numbers == 0 { 0 } else { 1 }
    }

    /// Rows for an entry in which this cloud sends.
    pub(crate) fn rows(&self, sender: Side) -> usize {
        let products: usize = self.products().map(Products::rows).sum();
        products + self.numbers_of(sender) + usize::from(self.gated > 0)
    }

    /// Messages behind the one that asks for rows.
    pub(crate) fn stages(&self) -> usize {
        let products = self.products().map(Products::stages).max().unwrap_or(0);
        let gated = if self.gated > 0 { self.gated_at() + 1 } else { 0 };
        products.max(gated).max(usize::from(self.numbers > 0))
    }

    /// Words this cloud sends for a block of 64 entries in one of them.
    pub(crate) fn words(&self, stage: usize, sender: Side) -> usize {
        let products: usize = self.products().map(|products| products.sent(stage)).sum();
        let numbers = if stage == 0 { 64 * self.numbers_of(sender) } else { 0 };
        let gated = if stage == self.gated_at() { 64 * self.gated } else { 0 };
        products + numbers + gated
    }
}
