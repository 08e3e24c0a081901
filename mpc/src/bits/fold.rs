//! A layer of products: XOR-shared bits in, XOR-shared bits out, one opening between.
//!
//! ```text
//! output = XOR of monomials x_T = AND of x_i, i in T
//! x_T    = AND of (x̂_i ^ m_i) = XOR over S in T of m_S x̂_{T\S}
//! ```
//!
//! Who learns what: both clouds see x̂_i = x_i ^ m_i, and m_i is uniform and used for x_i alone.
//! The shares of the m_S are uniform for either cloud. A simulator draws x̂_i and the shares at random.

use super::plane::Plane;

/// Inputs multiplied: their numbers, as bits.
pub(crate) type Monomial = u64;

/// Where eq and lt of a digit or group stand among the inputs.
pub(crate) type Place = (usize, usize);

/// A layer of products.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub inputs: usize,
    /// Inputs that stand in a product of two or more: they are masked and opened.
    pub opened: Vec<usize>,
    /// Sets of two or more masks whose product is dealt, as bits over `opened`.
    pub products: Vec<Monomial>,
    outputs: Vec<Output>,
}

#[derive(Clone, Debug)]
struct Output {
    /// Inputs that stand alone.
    linear: Vec<usize>,
    /// x̂_U without any mask.
    public: Vec<Monomial>,
    /// (S, the sets U with m_S x̂_U): S as an index into what is shared: masks, then products.
    terms: Vec<(usize, Vec<Monomial>)>,
}

impl Layer {
    /// lt = lt_n ^ eq_n lt_{n-1} ^ ..., of places from the lowest up.
    pub(crate) fn less(places: &[Place]) -> Vec<Monomial> {
        let mut above: Monomial = 0;
        let mut sum = Vec::new();
        for (eq, lt) in places.iter().rev() {
            sum.push(above | 1 << lt);
            // The lowest one's eq stands nowhere and is not used.
            above |= 1u64.checked_shl(*eq as u32).unwrap_or(0);
        }
        sum
    }

    /// eq = eq_n eq_{n-1} ...
    pub(crate) fn equal(places: &[Place]) -> Vec<Monomial> {
        vec![places.iter().fold(0, |all, (eq, _)| all | 1 << eq)]
    }

    /// Outputs are XORs of monomials over the inputs.
    pub(crate) fn new(inputs: usize, outputs: &[Vec<Monomial>]) -> Self {
        let factors = |t: Monomial| (0..inputs).filter(move |i| t >> i & 1 == 1);
        let all = || outputs.iter().flatten().copied().filter(|t| t.count_ones() > 1);
        let mut opened: Vec<usize> = all().flat_map(factors).collect();
        opened.sort_unstable();
        opened.dedup();
        // From here on, monomials are over the opened inputs.
        let over_opened = |t: Monomial| {
            opened
                .iter()
                .enumerate()
                .filter(|(_, i)| t >> **i & 1 == 1)
                .fold(0, |t, (j, _)| t | 1 << j)
        };
        let mut products: Vec<Monomial> =
            all().flat_map(|t| subsets(over_opened(t))).filter(|s| s.count_ones() > 1).collect();
        products.sort_unstable();
        products.dedup();
        let place = |s: Monomial| match s.count_ones() {
            1 => s.trailing_zeros() as usize,
            _ => opened.len() + products.iter().position(|p| *p == s).unwrap_or(usize::MAX),
        };
        let outputs = outputs
            .iter()
            .map(|monomials| {
                let mut output = Output { linear: vec![], public: vec![], terms: vec![] };
                for t in monomials {
                    if t.is_power_of_two() {
                        output.linear.push(t.trailing_zeros() as usize);
                        continue;
                    }
                    let t = over_opened(*t);
                    output.public.push(t);
                    for s in subsets(t) {
                        let place = place(s);
                        match output.terms.iter_mut().find(|(p, _)| *p == place) {
                            Some((_, sets)) => sets.push(t & !s),
                            None => output.terms.push((place, vec![t & !s])),
                        }
                    }
                }
                output
            })
            .collect();
        Self { inputs, opened, products, outputs }
    }

    pub(crate) const fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// The dealer: products of the masks of the opened inputs.
    #[inline(always)]
    pub(crate) fn multiply_masks<const W: usize>(
        &self,
        masks: &[Plane<W>],
        mut each: impl FnMut(usize, Plane<W>),
    ) {
        for (i, s) in self.products.iter().enumerate() {
            each(i, product(masks, *s));
        }
    }

    /// A cloud: shares of the outputs. `shares` are masks, then products of masks; `first` is set
    /// for the cloud that adds what is public.
    #[inline(always)]
    pub(crate) fn evaluate<const W: usize>(
        &self,
        inputs: &[Plane<W>],
        hats: &[Plane<W>],
        shares: &[Plane<W>],
        first: bool,
        outputs: &mut [Plane<W>],
    ) {
        for (output, out) in self.outputs.iter().zip(outputs) {
            let mut sum = Plane::ZERO;
            for i in &output.linear {
                sum ^= inputs[*i];
            }
            if first {
                for u in &output.public {
                    sum ^= product(hats, *u);
                }
            }
            for (s, sets) in &output.terms {
                let mut factor = Plane::ZERO;
                for u in sets {
                    factor ^= product(hats, *u);
                }
                sum ^= shares[*s] & factor;
            }
            *out = sum;
        }
    }
}

/// All subsets but the empty one.
fn subsets(t: Monomial) -> impl Iterator<Item = Monomial> {
    std::iter::successors(Some(t), move |s| Some(s.wrapping_sub(1) & t)).take_while(|s| *s != 0)
}

/// AND of the planes in a set.
#[inline(always)]
fn product<const W: usize>(planes: &[Plane<W>], mut set: Monomial) -> Plane<W> {
    let mut all = Plane::ONES;
    while set != 0 {
        all = all & planes[set.trailing_zeros() as usize];
        set &= set - 1;
    }
    all
}
