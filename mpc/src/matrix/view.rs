//! Borrowed matrices: row-major words, seen as they lie, transposed or negated.

/// A matrix that lives elsewhere. Transposing and negating cost nothing: packing does both.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [u64],
    /// As they lie in memory, whatever `transposed` says.
    rows: usize,
    columns: usize,
    stride: usize,
    transposed: bool,
    negated: bool,
}

impl<'a> Matrix<'a> {
    /// `rows` rows of `columns` words, one after the other.
    ///
    /// # Panics
    ///
    /// If `data` is not of that length.
    #[must_use]
    pub fn new(data: &'a [u64], rows: usize, columns: usize) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(columns), "not {rows} x {columns} words");
        Self::with_stride(data, rows, columns, columns)
    }

    /// Rows that begin `stride` words apart.
    ///
    /// # Panics
    ///
    /// If the stride is less than a row or `data` ends before the last row does.
    #[must_use]
    pub fn with_stride(data: &'a [u64], rows: usize, columns: usize, stride: usize) -> Self {
        check(data.len(), rows, columns, stride);
        Self { data, rows, columns, stride, transposed: false, negated: false }
    }

    /// Rows become columns.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    /// Every entry becomes its negative.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { negated: !self.negated, ..self }
    }

    /// Height of what is seen.
    #[must_use]
    pub fn rows(&self) -> usize {
        if self.transposed { self.columns } else { self.rows }
    }

    /// Width of what is seen.
    #[must_use]
    pub fn columns(&self) -> usize {
        if self.transposed { self.rows } else { self.columns }
    }

    /// One entry.
    ///
    /// # Panics
    ///
    /// If it lies outside.
    #[must_use]
    pub fn at(&self, row: usize, column: usize) -> u64 {
        assert!(row < self.rows() && column < self.columns(), "outside the matrix");
        let (row, column) = if self.transposed { (column, row) } else { (row, column) };
        let entry = self.data[row * self.stride + column];
        if self.negated { entry.wrapping_neg() } else { entry }
    }

    pub(super) fn is_transposed(&self) -> bool {
        self.transposed
    }

    pub(super) fn is_negated(&self) -> bool {
        self.negated
    }

    /// The words from an entry on, of a matrix that is seen as it lies.
    pub(super) fn line(&self, row: usize, column: usize) -> &'a [u64] {
        debug_assert!(!self.transposed && !self.negated, "not seen as it lies");
        &self.data[row * self.stride + column..]
    }

    /// The words from the entry at (`row`, `column`) on and their stride, if rows of what is seen
    /// lie in memory as they are.
    pub(super) fn plain(&self, row: usize, column: usize) -> Option<(&'a [u64], usize)> {
        (!self.transposed && !self.negated).then(|| (self.line(row, column), self.stride))
    }

    /// Copies the block of `rows` x `columns` at (`row`, `column`) to `to`, whose rows are
    /// `to_stride` words apart.
    pub(super) fn copy_block(
        &self,
        (row, column): (usize, usize),
        (rows, columns): (usize, usize),
        to: &mut [u64],
        to_stride: usize,
    ) {
        if self.transposed {
            for j in 0..columns {
                let line = &self.data[(column + j) * self.stride + row..][..rows];
                for (i, &entry) in line.iter().enumerate() {
                    to[i * to_stride + j] = entry;
                }
            }
        } else {
            for i in 0..rows {
                let line = &self.data[(row + i) * self.stride + column..][..columns];
                to[i * to_stride..][..columns].copy_from_slice(line);
            }
        }
        if self.negated {
            for line in to.chunks_mut(to_stride).take(rows) {
                for entry in &mut line[..columns] {
                    *entry = entry.wrapping_neg();
                }
            }
        }
    }
}

/// A matrix that lives elsewhere, to be written.
pub struct MatrixMut<'a> {
    data: &'a mut [u64],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// `rows` rows of `columns` words, one after the other.
    ///
    /// # Panics
    ///
    /// If `data` is not of that length.
    #[must_use]
    pub fn new(data: &'a mut [u64], rows: usize, columns: usize) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(columns), "not {rows} x {columns} words");
        Self::with_stride(data, rows, columns, columns)
    }

    /// Rows that begin `stride` words apart; what lies between them is not touched.
    ///
    /// # Panics
    ///
    /// If the stride is less than a row or `data` ends before the last row does.
    #[must_use]
    pub fn with_stride(data: &'a mut [u64], rows: usize, columns: usize, stride: usize) -> Self {
        check(data.len(), rows, columns, stride);
        Self { data, rows, columns, stride }
    }

    /// Height.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Width.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    pub(super) fn start(&mut self) -> *mut u64 {
        self.data.as_mut_ptr()
    }

    pub(super) fn clear(&mut self) {
        for row in 0..self.rows {
            self.data[row * self.stride..][..self.columns].fill(0);
        }
    }
}

fn check(length: usize, rows: usize, columns: usize, stride: usize) {
    assert!(stride >= columns, "a stride of {stride} words is less than a row of {columns}");
    let needed = match rows.checked_sub(1) {
        Some(before) if columns > 0 => {
            before.checked_mul(stride).and_then(|words| words.checked_add(columns))
        }
        _ => Some(0),
    };
    assert!(
        needed.is_some_and(|needed| needed <= length),
        "{rows} x {columns} words are not there"
    );
}
