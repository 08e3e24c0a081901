//! The engine without secrets: the same fixed point, bit for bit. It is the reference all others
//! are held against, and the only one that sees a value leave its declared range.

use super::{Act, Audience, Engine, Outcome, Product, Task, Transpose, Wide};
use crate::error::{Error, Op, Result};
use crate::matrix::{Matrix, MatrixMut, multiply};
use crate::tensor::{Axis, MAX_BOUND, Meta, Shape};
use std::collections::HashMap;

/// The program in the clear.
#[derive(Default)]
pub struct Clear {
    inputs: HashMap<String, (Meta, Vec<u64>)>,
}

impl Clear {
    /// With no inputs yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives an input.
    #[must_use]
    pub fn with(mut self, name: &str, meta: Meta, values: Vec<u64>) -> Self {
        self.inputs.insert(name.to_owned(), (meta, values));
        self
    }
}

/// A tensor in the clear, as `Clear` and `Party` open it: ring elements, row by row, as signed
/// numbers at some scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// Shape and scale.
    pub meta: Meta,
    /// The ring elements; none where they were opened to the other party alone.
    pub words: Vec<u64>,
}

impl Opened {
    /// The numbers they stand for.
    #[must_use]
    pub fn numbers(&self) -> Vec<f64> {
        let unit = (-f64::from(self.meta.scale)).exp2();
        self.words.iter().map(|z| *z as i64 as f64 * unit).collect()
    }

    /// Signed.
    #[must_use]
    pub fn signed(&self) -> Vec<i64> {
        self.words.iter().map(|z| *z as i64).collect()
    }
}

impl Engine for Clear {
    type Shared = Vec<u64>;
    type Masked = Vec<u64>;
    type Bit = Vec<u64>;
    type Rows = Vec<u64>;
    type Opened = Opened;

    fn step(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn input(&mut self, op: Op, name: &str, meta: Meta) -> Result<Vec<u64>> {
        let x = take_input(&mut self.inputs, op, name, meta)?;
        within(op, &x, meta.bound)?;
        Ok(x)
    }

    fn dealer_input(&mut self, op: Op, name: &str, meta: Meta) -> Result<Vec<u64>> {
        self.input(op, name, meta)
    }

    fn public(&mut self, _: Shape, values: Vec<u64>) -> Vec<u64> {
        values
    }

    fn mask(&mut self, op: Op, xs: &[(&Vec<u64>, Meta)]) -> Result<Vec<Vec<u64>>> {
        xs.iter().map(|(x, meta)| within(op, x, meta.bound).map(|()| (*x).clone())).collect()
    }

    fn unmask(&mut self, x: &Vec<u64>) -> Vec<u64> {
        x.clone()
    }

    fn product(
        &mut self,
        op: Op,
        form: Product,
        (x, mx): (&Vec<u64>, Meta),
        (y, my): (&Vec<u64>, Meta),
        out: Meta,
    ) -> Result<Vec<u64>> {
        if out.bound > MAX_BOUND {
            nearly_within(op, form, (x, mx), (y, my))?;
        }
        Ok(product(form, (x, mx.shape), (y, my.shape), out.shape))
    }

    fn act(&mut self, op: Op, tasks: &[Task<'_, Self>]) -> Result<Vec<Outcome<Self>>> {
        tasks.iter().map(|task| act(op, task)).collect()
    }

    fn number(&mut self, b: &Vec<u64>) -> Vec<u64> {
        b.clone()
    }

    fn not(&mut self, b: &Vec<u64>) -> Vec<u64> {
        b.iter().map(|b| 1 - b).collect()
    }

    fn prepare(&mut self, op: Op, x: Vec<u64>, meta: Meta) -> Result<Vec<u64>> {
        within(op, &x, meta.bound)?;
        Ok(x)
    }

    fn rows(&mut self, table: &Vec<u64>, meta: Meta, rows: &[u32]) -> Result<Vec<u64>> {
        use crate::tensor::{Tensor, View};
        Ok(table.view(meta.shape, &View::Rows(rows)))
    }

    fn open(&mut self, _: Op, xs: &[(&Vec<u64>, Meta)], _: Audience) -> Result<Vec<Opened>> {
        Ok(xs.iter().map(|(x, meta)| Opened { meta: *meta, words: (*x).clone() }).collect())
    }

    fn check(&mut self, op: Op, x: &Vec<u64>, meta: Meta) -> Result<()> {
        within(op, x, meta.bound)
    }

    fn check_wide(&mut self, op: Op, wide: &Wide<'_, Vec<u64>>) -> Result<()> {
        let long = |x: u64| i128::from(x as i64);
        let exact: Vec<i128> = match wide {
            Wide::Linear(terms) => {
                let len = terms.first().map_or(0, |(_, x)| x.len());
                let entry = |i| terms.iter().map(|(k, x)| long(*k) * long(x[i])).sum();
                (0..len).map(entry).collect()
            }
            Wide::Weigh(x, factors) => {
                x.iter().zip(*factors).map(|(x, k)| long(*x) * long(*k)).collect()
            }
            Wide::Sum(x, shape, axis) => {
                let (count, terms) = match axis {
                    Axis::Rows => (shape.cols, shape.rows),
                    Axis::Columns => (shape.rows, shape.cols),
                };
                let at = |i, j| match axis {
                    Axis::Rows => j * shape.cols + i,
                    Axis::Columns => i * shape.cols + j,
                };
                (0..count).map(|i| (0..terms).map(|j| long(x[at(i, j)])).sum()).collect()
            }
        };
        match exact.iter().position(|z| i64::try_from(*z).is_err()) {
            None => Ok(()),
            Some(index) => {
                Err(Error::Overflow { op, index, value: exact[index] as f64, bound: 63 })
            }
        }
    }

    fn agree(&mut self, _: Op, _: [u8; 32]) -> Result<()> {
        Ok(())
    }
}

/// The input of this name, if it is what the program expects. It is handed over, not copied: a
/// program reads each once.
pub(crate) fn take_input(
    inputs: &mut HashMap<String, (Meta, Vec<u64>)>,
    op: Op,
    name: &str,
    meta: Meta,
) -> Result<Vec<u64>> {
    let wrong = |what| Error::Input { op, name: name.to_owned(), what };
    let Some((given, words)) = inputs.remove(name) else {
        let mut names: Vec<_> = inputs.keys().map(String::as_str).collect();
        names.sort_unstable();
        let names = names.join(", ");
        return Err(wrong(format!("not given, or read before (given and not read are: {names})")));
    };
    if given != meta || words.len() != meta.shape.len() {
        let len = words.len();
        return Err(wrong(format!("given as {given} ({len} entries), the program takes {meta}")));
    }
    Ok(words)
}

/// x y in the ring.
pub(crate) fn product(
    form: Product,
    (x, sx): (&[u64], Shape),
    (y, sy): (&[u64], Shape),
    out: Shape,
) -> Vec<u64> {
    match form {
        Product::Entries => x.iter().zip(y).map(|(x, y)| x.wrapping_mul(*y)).collect(),
        Product::Matrix(t) => {
            let mut z = vec![0; out.len()];
            multiply(
                oriented(x, sx, t.first()),
                oriented(y, sy, t.second()),
                MatrixMut::new(&mut z, out.rows, out.cols),
            );
            z
        }
    }
}

/// A matrix, transposed if so marked.
pub(crate) fn oriented(x: &[u64], shape: Shape, transposed: bool) -> Matrix<'_> {
    let x = Matrix::new(x, shape.rows, shape.cols);
    if transposed { x.transposed() } else { x }
}

/// The first entry that is out of its range.
fn within(op: Op, x: &[u64], bound: u8) -> Result<()> {
    if bound >= 64 {
        return Ok(());
    }
    let limit = 1u64 << bound;
    match x.iter().position(|z| (*z as i64).unsigned_abs() >= limit) {
        None => Ok(()),
        Some(index) => Err(Error::Overflow { op, index, value: x[index] as i64 as f64, bound }),
    }
}

/// Where the worst case leaves the ring: did the values? By floating point, which is near enough to
/// tell a number beyond 2^63 from what it is modulo 2^64.
fn nearly_within(
    op: Op,
    form: Product,
    (x, mx): (&[u64], Meta),
    (y, my): (&[u64], Meta),
) -> Result<()> {
    let float = |x: &[u64]| x.iter().map(|z| *z as i64 as f64).collect::<Vec<_>>();
    let (x, y) = (float(x), float(y));
    let z: Vec<f64> = match form {
        Product::Entries => x.iter().zip(&y).map(|(x, y)| x * y).collect(),
        Product::Matrix(t) => float_product((&x, mx.shape), (&y, my.shape), t),
    };
    let limit = f64::from(MAX_BOUND).exp2();
    match z.iter().position(|z| z.abs() >= limit) {
        None => Ok(()),
        Some(index) => Err(Error::Overflow { op, index, value: z[index], bound: MAX_BOUND }),
    }
}

fn float_product((x, sx): (&[f64], Shape), (y, sy): (&[f64], Shape), t: Transpose) -> Vec<f64> {
    // Strides: of a row, of a column.
    let strides = |shape: Shape, transposed| {
        if transposed { (1, shape.cols) } else { (shape.cols, 1) }
    };
    let (a, b) = (strides(sx, t.first()), strides(sy, t.second()));
    let (rows, inner) = if t.first() { (sx.cols, sx.rows) } else { (sx.rows, sx.cols) };
    let cols = if t.second() { sy.rows } else { sy.cols };
    let mut z = vec![0.0; rows * cols];
    for i in 0..rows {
        for k in 0..inner {
            let x = x[i * a.0 + k * a.1];
            for j in 0..cols {
                z[i * cols + j] += x * y[k * b.0 + j * b.1];
            }
        }
    }
    z
}

fn act(op: Op, task: &Task<'_, Clear>) -> Result<Outcome<Clear>> {
    let Task { act, z, add, bit, .. } = task;
    let z: Vec<u64> = z.iter().map(|z| z.wrapping_add(*add)).collect();
    if !matches!(act, Act::Zero | Act::Gate(0)) {
        within(op, &z, MAX_BOUND)?;
    }
    let each = |f: &dyn Fn(i64) -> i64| z.iter().map(|z| f(*z as i64) as u64).collect::<Vec<_>>();
    let sign = || each(&|z| i64::from(z >= 0));
    Ok(match *act {
        Act::Truncate(s) => Outcome { value: Some(each(&|z| z >> s)), bit: None },
        Act::Sign => Outcome { value: None, bit: Some(sign()) },
        Act::Zero => Outcome { value: None, bit: Some(each(&|z| i64::from(z == 0))) },
        Act::Relu(s) => Outcome { value: Some(each(&|z| (z >> s).max(0))), bit: Some(sign()) },
        Act::Gate(s) => {
            let bits = bit.unwrap_or_else(|| unreachable!("a gate has bits"));
            let kept = |(z, b): (&u64, &u64)| ((*z as i64 >> s) as u64) * b;
            Outcome { value: Some(z.iter().zip(bits.iter()).map(kept).collect()), bit: None }
        }
    })
}
