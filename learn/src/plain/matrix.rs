//! Products in floating point, plain: rows that are zero in part, as pixels are, cost less.

/// Row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matrix {
    pub(crate) data: Vec<f64>,
    rows: usize,
    cols: usize,
}

impl Matrix {
    pub(crate) fn new(data: Vec<f64>, rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "as many entries as {rows}x{cols}");
        Self { data, rows, cols }
    }

    pub(crate) fn zero(rows: usize, cols: usize) -> Self {
        Self::new(vec![0.0; rows * cols], rows, cols)
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.data[row * self.cols..(row + 1) * self.cols]
    }

    pub(crate) fn rows_mut(&mut self) -> impl Iterator<Item = &mut [f64]> {
        self.data.chunks_exact_mut(self.cols)
    }

    pub(crate) fn add_row(&mut self, row: &[f64]) {
        self.rows_mut().for_each(|to| add(to, 1.0, row));
    }

    pub(crate) fn sum_of_rows(&self) -> Vec<f64> {
        let mut sum = vec![0.0; self.cols];
        (0..self.rows).for_each(|i| add(&mut sum, 1.0, self.row(i)));
        sum
    }

    pub(crate) fn keep_where(&mut self, other: &Self, keep: impl Fn(f64) -> bool) {
        for (x, other) in self.data.iter_mut().zip(&other.data) {
            if !keep(*other) {
                *x = 0.0;
            }
        }
    }
}

fn add(to: &mut [f64], k: f64, row: &[f64]) {
    to.iter_mut().zip(row).for_each(|(to, x)| *to += k * x);
}

/// A B
pub(crate) fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let mut c = Matrix::zero(a.rows, b.cols);
    for (i, c) in c.rows_mut().enumerate() {
        for (k, a) in a.row(i).iter().enumerate().filter(|(_, a)| **a != 0.0) {
            add(c, *a, b.row(k));
        }
    }
    c
}

/// Aᵀ B
pub(crate) fn product_first(a: &Matrix, b: &Matrix) -> Matrix {
    let mut c = Matrix::zero(a.cols, b.cols);
    for i in 0..a.rows {
        for (k, a) in a.row(i).iter().enumerate().filter(|(_, a)| **a != 0.0) {
            add(&mut c.data[k * b.cols..(k + 1) * b.cols], *a, b.row(i));
        }
    }
    c
}

/// A Bᵀ
pub(crate) fn product_second(a: &Matrix, b: &Matrix) -> Matrix {
    let mut t = Matrix::zero(b.cols, b.rows);
    for i in 0..b.rows {
        for (j, x) in b.row(i).iter().enumerate() {
            t.data[j * b.rows + i] = *x;
        }
    }
    product(a, &t)
}
