//! Products over Z_{2^64} against f64 products of `matrixmultiply`, on one core.

use crate::figure::Figure;
use crate::measure::{Pair, compare, on_one_core};
use crate::{Bench, Done, Show};
use dyad_mpc::matrix::{Backend, Matrix, MatrixMut, Onto, multiply};
use rand::TryRng;
use rand::rngs::SysRng;
use std::error::Error;

pub(crate) const BENCHES: &[Bench] = &[
    Bench { name: "mpc.matmul", about: "1024³ over Z_{2^64}, fastest backend", run: matmul },
    Bench {
        name: "mpc.matmul.backends",
        about: "the same with each backend this processor has",
        run: backends,
    },
    Bench {
        name: "mpc.matmul.shapes",
        about: "the products of a training step, 784-128-128-10, batch 128",
        run: shapes,
    },
];

const BASELINE: &str = "matrixmultiply f64";

/// A product and how its factors lie.
#[derive(Clone, Copy)]
struct Shape {
    rows: usize,
    depth: usize,
    columns: usize,
    left_transposed: bool,
    right_transposed: bool,
}

impl Shape {
    const fn plain(rows: usize, depth: usize, columns: usize) -> Self {
        Self { rows, depth, columns, left_transposed: false, right_transposed: false }
    }

    const fn left(rows: usize, depth: usize, columns: usize) -> Self {
        Self { left_transposed: true, ..Self::plain(rows, depth, columns) }
    }

    const fn right(rows: usize, depth: usize, columns: usize) -> Self {
        Self { right_transposed: true, ..Self::plain(rows, depth, columns) }
    }

    fn describe(self) -> String {
        let t = |transposed| if transposed { "ᵀ" } else { "" };
        let Self { rows, depth, columns, left_transposed, right_transposed } = self;
        format!("{rows}x{depth}{} by {depth}x{columns}{}", t(left_transposed), t(right_transposed))
    }
}

const CUBE: Shape = Shape::plain(1024, 1024, 1024);

/// Forward, gradients of weights (activations transposed), gradients of activations (weights
/// transposed), and a prediction for one row.
const SHAPES: [Shape; 10] = [
    Shape::plain(128, 784, 128),
    Shape::plain(128, 128, 128),
    Shape::plain(128, 128, 10),
    Shape::left(784, 128, 128),
    Shape::left(128, 128, 128),
    Shape::left(128, 128, 10),
    Shape::right(128, 128, 128),
    Shape::right(128, 10, 128),
    Shape::plain(1, 784, 128),
    Shape::plain(1, 128, 128),
];

/// Random factors of both kinds.
struct World {
    shape: Shape,
    words: [Vec<u64>; 2],
    floats: [Vec<f64>; 2],
}

impl World {
    fn new(shape: Shape) -> Result<Self, Box<dyn Error>> {
        let lengths = [shape.rows * shape.depth, shape.depth * shape.columns];
        let mut words = lengths.map(|length| vec![0; length]);
        for words in &mut words {
            for word in words {
                *word = SysRng.try_next_u64()?;
            }
        }
        let floats = words.each_ref().map(|words| words.iter().map(|&x| x as f64).collect());
        Ok(Self { shape, words, floats })
    }

    /// Times our way and the baseline, each `count` times in a round.
    fn compare(
        &self,
        ours: impl Fn(Matrix<'_>, Matrix<'_>, MatrixMut<'_>) + Send + Sync,
    ) -> Result<Pair, Box<dyn Error>> {
        let Shape { rows, depth, columns, left_transposed, right_transposed } = self.shape;
        let side = |words, rows, columns, transposed| {
            if transposed {
                Matrix::new(words, columns, rows).transposed()
            } else {
                Matrix::new(words, rows, columns)
            }
        };
        let a = side(&self.words[0], rows, depth, left_transposed);
        let b = side(&self.words[1], depth, columns, right_transposed);
        // Row and column strides.
        let steps = |rows: usize, columns: usize, transposed| {
            if transposed { (1, rows as isize) } else { (columns as isize, 1) }
        };
        let (a_row, a_column) = steps(rows, depth, left_transposed);
        let (b_row, b_column) = steps(depth, columns, right_transposed);
        let mut out = vec![0; rows * columns];
        let mut floats = vec![0.0; rows * columns];
        let count = ((1 << 26) / (rows * depth * columns)).max(1);
        Ok(on_one_core(|| {
            compare(
                count,
                || {
                    for _ in 0..count {
                        ours(a, b, MatrixMut::new(&mut out, rows, columns));
                    }
                },
                count,
                || {
                    for _ in 0..count {
                        #[allow(unsafe_code)] // the baseline takes pointers
                        // SAFETY: the strides are those of vectors of these shapes.
                        unsafe {
                            matrixmultiply::dgemm(
                                rows,
                                depth,
                                columns,
                                1.0,
                                self.floats[0].as_ptr(),
                                a_row,
                                a_column,
                                self.floats[1].as_ptr(),
                                b_row,
                                b_column,
                                0.0,
                                floats.as_mut_ptr(),
                                columns as isize,
                                1,
                            );
                        }
                    }
                },
            )
        })?)
    }
}

fn figure(bench: &'static str, params: String, pair: &Pair) -> Figure {
    Figure {
        bench,
        params,
        value: pair.ours * 1e3,
        unit: "ms",
        baseline: Some(BASELINE),
        ratio: Some(pair.ratio()),
        ..Figure::default()
    }
}

fn matmul(show: Show<'_>) -> Done {
    let pair = World::new(CUBE)?.compare(multiply)?;
    show(figure("mpc.matmul", format!("1024³, {:?}", Backend::detect()), &pair))?;
    Ok(())
}

fn backends(show: Show<'_>) -> Done {
    let world = World::new(CUBE)?;
    for backend in Backend::available() {
        let pair =
            world.compare(|a, b, out| backend.sum_products(&[(a, b)], out, Onto::Nothing))?;
        show(figure("mpc.matmul.backends", format!("1024³, {backend:?}"), &pair))?;
    }
    Ok(())
}

fn shapes(show: Show<'_>) -> Done {
    for shape in SHAPES {
        let pair = World::new(shape)?.compare(multiply)?;
        let backend = Backend::for_shape(shape.rows, shape.depth, shape.columns);
        let params = format!("{}, {backend:?}", shape.describe());
        show(figure("mpc.matmul.shapes", params, &pair))?;
    }
    Ok(())
}
