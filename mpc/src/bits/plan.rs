//! How an [`Act`] is computed: its digits, its layers of products, and how much of everything there
//! is in a block of 64 entries. The clouds, the dealer and the cost model all read it here.

use super::fold::Layer;
use crate::engine::Act;
use std::ops::Range;

/// Widest digit: 16 entries in a one-hot table.
pub(crate) const DIGIT: u8 = 4;
/// Fewer words than this are dealt for a block, whatever the act.
pub(crate) const MOST_DEALT: usize = 1 << 10;
/// Most digits or groups that are folded at once.
const GROUP: usize = 4;

/// A digit: these bits of ẑ and of r.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digit {
    pub low: u8,
    pub width: u8,
}

impl Digit {
    /// T[0] is not dealt: all of T together is 1.
    pub(crate) const fn planes(self) -> usize {
        (1 << self.width) - 1
    }
}

/// How low bits are cut into digits, and folded.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    /// From the lowest bit up.
    pub digits: Vec<Digit>,
    /// Inputs of the first: eq and lt of digit i at 2i and 2i + 1. At most two.
    pub layers: Vec<Layer>,
    /// Where in what the last layer (or the tables) gives the wanted bits stand.
    pub results: Vec<usize>,
}

impl Cut {
    /// Where the borrow of the bits below is wanted.
    pub(crate) fn at(ends_at: &[u8]) -> Self {
        Self::new(ends_at, false)
    }

    /// A digit of a number.
    pub(crate) fn digit(&self, number: usize, z: u64) -> u8 {
        let Digit { low, width } = self.digits[number];
        (z >> low) as u8 & ((1 << width) - 1)
    }

    fn new(ends_at: &[u8], equality: bool) -> Self {
        let mut digits = Vec::new();
        let mut groups: Vec<Range<usize>> = Vec::new();
        // After how many groups a borrow is wanted.
        let mut ends = Vec::new();
        let mut low = 0;
        for end in ends_at {
            let first = digits.len();
            while low < *end {
                let width = DIGIT.min(end - low);
                digits.push(Digit { low, width });
                low += width;
            }
            let starts = (first..digits.len()).step_by(GROUP);
            groups.extend(starts.map(|start| start..digits.len().min(start + GROUP)));
            ends.push(groups.len());
        }
        let (layers, results) = match (digits.len(), groups.len()) {
            (0, _) => (vec![], vec![]),
            (1, _) => (vec![], vec![usize::from(!equality)]),
            (count, 1) => {
                let all: Vec<_> = (0..count).map(|i| (2 * i, 2 * i + 1)).collect();
                let result = if equality { Layer::equal(&all) } else { Layer::less(&all) };
                (vec![Layer::new(2 * count, &[result])], vec![0])
            }
            (count, _) => Self::two_layers(count, &groups, &ends, equality),
        };
        Self { digits, layers, results }
    }

    fn two_layers(
        digits: usize,
        groups: &[Range<usize>],
        ends: &[usize],
        equality: bool,
    ) -> (Vec<Layer>, Vec<usize>) {
        let mut outputs = Vec::new();
        // Where eq and lt of each group stand; what is not wanted is nowhere.
        let mut places = Vec::new();
        for (i, group) in groups.iter().enumerate() {
            let inputs: Vec<_> = group.clone().map(|i| (2 * i, 2 * i + 1)).collect();
            let (mut eq, mut lt) = (usize::MAX, usize::MAX);
            // Nothing is below the lowest group, so whether it is equal is not asked.
            if equality || i > 0 {
                eq = outputs.len();
                outputs.push(Layer::equal(&inputs));
            }
            if !equality {
                lt = outputs.len();
                outputs.push(Layer::less(&inputs));
            }
            places.push((eq, lt));
        }
        let results: Vec<_> = ends
            .iter()
            .map(|end| {
                let below = &places[..*end];
                if equality { Layer::equal(below) } else { Layer::less(below) }
            })
            .collect();
        let inputs = outputs.len();
        let layers = vec![Layer::new(2 * digits, &outputs), Layer::new(inputs, &results)];
        (layers, (0..ends.len()).collect())
    }
}

/// What an act needs.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub act: Act,
    /// From the lowest bit up.
    pub digits: Vec<Digit>,
    /// Inputs of the first: eq and lt of digit i at 2i and 2i + 1. At most two.
    pub layers: Vec<Layer>,
    /// Where in what the last layer (or the tables) gives the wanted bits stand.
    pub results: Vec<usize>,
}

impl Plan {
    pub(crate) fn new(act: Act) -> Self {
        // Where the borrow (or equality) of the bits below is wanted.
        let ends_at: &[u8] = match act {
            Act::Gate(0) => &[],
            Act::Truncate(s) | Act::Gate(s) => &[s],
            Act::Sign => &[63],
            Act::Relu(s) => &[s, 63],
            Act::Zero => &[64],
        };
        let Cut { digits, layers, results } = Cut::new(ends_at, act == Act::Zero);
        Self { act, digits, layers, results }
    }

    /// Openings: of ẑ, of each layer's bits, of the results.
    pub(crate) fn rounds(&self) -> usize {
        1 + self.layers.len() + usize::from(!self.results.is_empty())
    }

    /// Does it give a number?
    pub(crate) const fn gives_number(&self) -> bool {
        !matches!(self.act, Act::Sign | Act::Zero)
    }

    /// Does it give bits?
    pub(crate) const fn gives_bits(&self) -> bool {
        matches!(self.act, Act::Sign | Act::Zero | Act::Relu(_))
    }

    /// Does the sign of r take part in a result?
    pub(crate) const fn uses_sign(&self) -> bool {
        matches!(self.act, Act::Sign | Act::Relu(_))
    }

    /// Words of one kind that are dealt for each entry: see [`Words`].
    pub(crate) const fn words(&self) -> usize {
        match self.act {
            Act::Truncate(_) => 3,
            Act::Sign | Act::Zero | Act::Gate(0) => 1,
            Act::Relu(_) => 7,
            Act::Gate(_) => 6,
        }
    }

    /// Planes of one-hot tables dealt for a block.
    pub(crate) fn table_planes(&self) -> usize {
        self.digits.iter().map(|digit| digit.planes()).sum()
    }

    /// Planes dealt for a block: tables, the sign of r, products of masks.
    pub(crate) fn dealt_planes(&self) -> usize {
        let products: usize = self.layers.iter().map(|layer| layer.products.len()).sum();
        self.table_planes() + usize::from(self.uses_sign()) + products
    }

    /// 64-bit words dealt for a block of 64 entries.
    pub(crate) fn dealt(&self) -> usize {
        self.dealt_planes() + 64 * self.words()
    }

    /// Planes opened for a block in each round after the first.
    pub(crate) fn opened(&self, round: usize) -> usize {
        match self.layers.get(round - 1) {
            Some(layer) => layer.opened.len(),
            None if round == self.layers.len() + 1 => self.results.len(),
            None => 0,
        }
    }

    /// Planes of masks of bits a party draws for a block: one for each plane it opens.
    pub(crate) fn bit_masks(&self) -> usize {
        (1..self.rounds()).map(|round| self.opened(round)).sum()
    }

    /// Words this party sends in a round, for so many entries.
    pub(crate) fn sent(&self, round: usize, entries: usize) -> usize {
        if round == 0 { entries } else { self.opened(round) * blocks(entries) }
    }
}

/// Blocks of 64 entries; the last may be partly empty.
pub(crate) const fn blocks(entries: usize) -> usize {
    entries.div_ceil(64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_dealt_less_than_is_said() {
        let cut = (1..=62).flat_map(|s| [Act::Truncate(s), Act::Relu(s), Act::Gate(s)]);
        for act in cut.chain([Act::Sign, Act::Zero, Act::Gate(0)]) {
            let plan = Plan::new(act);
            // What is dealt is also the most that any stream of an act is asked for.
            assert!(plan.dealt() < MOST_DEALT && plan.dealt() >= plan.bit_masks().max(64));
        }
    }
}
