//! All backends against the definition.

use super::*;
use proptest::prelude::*;

fn naive(a: Matrix<'_>, b: Matrix<'_>) -> Vec<u64> {
    let mut out = Vec::new();
    for i in 0..a.rows() {
        for j in 0..b.columns() {
            let products = (0..a.columns()).map(|k| a.at(i, k).wrapping_mul(b.at(k, j)));
            out.push(products.fold(0, u64::wrapping_add));
        }
    }
    out
}

/// Words that look random; every fourth is a value at an edge.
fn words(seed: u64, count: usize) -> Vec<u64> {
    const EDGES: [u64; 8] =
        [0, 1, u64::MAX, 1 << 63, (1 << 63) - 1, (1 << 52) - 1, 1 << 52, 0xff00_ff00_ff00_ff00];
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let word = (state ^ (state >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            if word >> 62 == 0 { EDGES[(word >> 8) as usize % 8] } else { word ^ (word >> 31) }
        })
        .collect()
}

/// A factor somewhere in memory, as it lies or transposed or negated.
#[derive(Clone, Copy, Debug)]
struct Form {
    gap: usize,
    transposed: bool,
    negated: bool,
}

fn form() -> impl Strategy<Value = Form> {
    (0..3usize, any::<bool>(), any::<bool>()).prop_map(|(gap, transposed, negated)| Form {
        gap,
        transposed,
        negated,
    })
}

struct Factor {
    words: Vec<u64>,
    rows: usize,
    columns: usize,
    form: Form,
}

impl Factor {
    fn new(seed: u64, rows: usize, columns: usize, form: Form) -> Self {
        let (rows, columns) = if form.transposed { (columns, rows) } else { (rows, columns) };
        Self { words: words(seed, rows * (columns + form.gap)), rows, columns, form }
    }

    fn view(&self) -> Matrix<'_> {
        let Self { words, rows, columns, form } = self;
        let mut m = Matrix::with_stride(words, *rows, *columns, columns + form.gap);
        if form.transposed {
            m = m.transposed();
        }
        if form.negated {
            m = m.negated();
        }
        m
    }
}

/// Checks every backend with several threads and with one, overwriting and adding, in an output
/// with gaps, which must stay as they are.
fn check(terms: &[(Matrix<'_>, Matrix<'_>)], rows: usize, columns: usize, gap: usize) {
    let stride = columns + gap;
    let before = words(99, rows * stride);
    let mut expected = [before.clone(), before.clone()];
    for i in 0..rows {
        expected[0][i * stride..][..columns].fill(0);
    }
    for &(a, b) in terms {
        let product = naive(a, b);
        for expected in &mut expected {
            for i in 0..rows {
                for j in 0..columns {
                    let to = &mut expected[i * stride + j];
                    *to = to.wrapping_add(product[i * columns + j]);
                }
            }
        }
    }
    for backend in Backend::available() {
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
            for (onto, expected) in [Onto::Nothing, Onto::Sum].into_iter().zip(&expected) {
                let mut out = before.clone();
                pool.install(|| {
                    let out = MatrixMut::with_stride(&mut out, rows, columns, stride);
                    backend.sum_products(terms, out, onto);
                });
                assert!(out == *expected, "{backend:?}, {threads} threads, {onto:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn products_are_right(
        seed in any::<u64>(),
        (rows, depth, columns) in (0..=70usize, 0..=70usize, 0..=70usize),
        forms in [form(), form()],
        gap in 0..3usize,
    ) {
        let a = Factor::new(seed, rows, depth, forms[0]);
        let b = Factor::new(!seed, depth, columns, forms[1]);
        check(&[(a.view(), b.view())], rows, columns, gap);
    }

    #[test]
    fn sums_of_products_are_right(
        seed in any::<u64>(),
        (rows, columns) in (1..=40usize, 1..=40usize),
        depths in [0..=140usize, 0..=140usize, 0..=9usize],
        forms in [form(), form()],
    ) {
        let factors = depths.map(|depth| {
            (Factor::new(seed, rows, depth, forms[0]), Factor::new(!seed, depth, columns, forms[1]))
        });
        let terms = factors.each_ref().map(|(a, b)| (a.view(), b.view()));
        check(&terms, rows, columns, 0);
    }
}

#[test]
fn long_sums_do_not_overflow() {
    let form = Form { gap: 0, transposed: false, negated: false };
    for depth in [511, 512, 513, 1025, 17_000] {
        for word in [u64::MAX, 0xff, 1 << 63, 0xffff_ffff] {
            let ones = vec![word; 17 * depth];
            let (a, b) = (Matrix::new(&ones, 17, depth), Matrix::new(&ones, 17, depth));
            check(&[(a, b.transposed())], 17, 17, 0);
        }
        let (a, b) = (Factor::new(1, 3, depth, form), Factor::new(2, depth, 33, form));
        check(&[(a.view(), b.view()), (a.view().negated(), b.view())], 3, 33, 0);
        check(&[(a.view(), b.view()), (a.view(), b.view())], 3, 33, 0);
    }
}

#[test]
fn big_products_are_cut_into_blocks() {
    let form = Form { gap: 1, transposed: false, negated: false };
    for (rows, depth, columns) in [(500, 90, 20), (20, 520, 700), (700, 520, 20), (1, 500, 700)] {
        let (a, b) = (Factor::new(3, rows, depth, form), Factor::new(4, depth, columns, form));
        check(&[(a.view(), b.view())], rows, columns, 1);
    }
}

#[test]
fn the_choice_by_shape_is_right_too() {
    for (rows, depth, columns) in [(1, 1, 1), (1, 300, 70), (70, 300, 1), (40, 40, 40), (20, 9, 9)]
    {
        let (a, b) = (words(5, rows * depth), words(6, depth * columns));
        let (a, b) = (Matrix::new(&a, rows, depth), Matrix::new(&b, depth, columns));
        let mut out = vec![1; rows * columns];
        multiply(a, b, MatrixMut::new(&mut out, rows, columns));
        assert_eq!(out, naive(a, b));
        multiply_add(a.negated(), b, MatrixMut::new(&mut out, rows, columns));
        assert!(out.iter().all(|&sum| sum == 0));
    }
}

#[test]
fn packed_words_are_wiped() {
    use scratch::Scratch;
    Scratch::with([40, 9], |left, right| {
        left.fill(7);
        right.fill(7);
        // A product within a product has memory of its own.
        Scratch::with([40, 9], |left, _| assert!(left.iter().all(|&word| word == 0)));
        assert!(left.iter().all(|&word| word == 7));
    });
    Scratch::with([40, 9], |left, right| {
        assert!(left.iter().chain(right.iter()).all(|&word| word == 0));
    });
}

#[test]
#[should_panic(expected = "do not fit")]
fn factors_must_fit() {
    let mut out = [0; 4];
    let m = Matrix::new(&[1, 2, 3, 4, 5, 6], 2, 3);
    multiply(m, m, MatrixMut::new(&mut out, 2, 2));
}

#[test]
#[should_panic(expected = "are not there")]
fn a_view_must_have_its_words() {
    assert_eq!(Matrix::with_stride(&[0; 7], 2, 4, 4).rows(), 2);
}

#[test]
#[should_panic(expected = "less than a row")]
fn rows_must_not_overlap() {
    assert_eq!(MatrixMut::with_stride(&mut [0; 9], 2, 4, 3).rows(), 2);
}
