//! The matrix product over Z_{2^64}.

/// A matrix to read, row by row or transposed.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    data: &'a [u64],
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    /// Of entries row by row.
    #[must_use]
    pub const fn new(data: &'a [u64], rows: usize, columns: usize) -> Self {
        Self { data, rows, columns, transposed: false }
    }

    /// Transposed, without moving anything.
    #[must_use]
    pub const fn transposed(self) -> Self {
        let Self { data, rows, columns, transposed } = self;
        Self { data, rows: columns, columns: rows, transposed: !transposed }
    }

    fn at(&self, row: usize, column: usize) -> u64 {
        if self.transposed {
            self.data[column * self.rows + row]
        } else {
            self.data[row * self.columns + column]
        }
    }
}

/// A matrix to write.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    data: &'a mut [u64],
    columns: usize,
}

impl<'a> MatrixMut<'a> {
    /// Of entries row by row.
    #[must_use]
    pub const fn new(data: &'a mut [u64], _rows: usize, columns: usize) -> Self {
        Self { data, columns }
    }
}

/// out = a b
pub fn multiply(a: Matrix<'_>, b: Matrix<'_>, out: MatrixMut<'_>) {
    out.data.fill(0);
    multiply_add(a, b, out);
}

/// out = out + a b
pub fn multiply_add(a: Matrix<'_>, b: Matrix<'_>, out: MatrixMut<'_>) {
    for i in 0..a.rows {
        for k in 0..a.columns {
            let x = a.at(i, k);
            for j in 0..b.columns {
                let out = &mut out.data[i * out.columns + j];
                *out = out.wrapping_add(x.wrapping_mul(b.at(k, j)));
            }
        }
    }
}
