//! Coefficients, from additions, multiplications, divisions and square roots alone: these are
//! rounded alike on every machine, which a library's exponential is not, and the clouds and the
//! dealer must have the same.

/// 2^n
pub(super) fn power(n: i32) -> f64 {
    f64::from_bits(((1023 + n) as u64) << 52)
}

/// e^x for |x| < 700: Taylor's series on what is left of x by the nearest multiple of ln 2.
pub(super) fn exp(x: f64) -> f64 {
    // ln 2 in two parts, so that n times the first is exact.
    let (high, low) = (0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10);
    let n = (x * std::f64::consts::LOG2_E).round();
    let r = (x - n * high) - n * low;
    let series = (1..=14).rev().fold(1.0, |sum, k| 1.0 + sum * r / f64::from(k));
    series * power(n as i32)
}

/// ln x for x > 0: 2 artanh((x - 1)/(x + 1)) on x brought to [1, 2).
pub(super) fn ln(mut x: f64) -> f64 {
    let mut n = 0.0;
    while x >= 2.0 {
        (x, n) = (x / 2.0, n + 1.0);
    }
    while x < 1.0 {
        (x, n) = (x * 2.0, n - 1.0);
    }
    let z = (x - 1.0) / (x + 1.0);
    let series = (0..20).rev().fold(0.0, |sum, k| 1.0 / f64::from(2 * k + 1) + sum * z * z);
    2.0 * z * series + n * std::f64::consts::LN_2
}

/// Degrees go up to here.
pub(super) const DEGREE: usize = 3;

/// A polynomial in r = x - m. C\[k\] is an integer at scale `out` - k `scale`, so that all terms
/// have the scale `out` when r has the scale `scale`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Polynomial {
    /// The middle, at `scale`.
    pub m: i64,
    /// From the constant up.
    pub c: [i64; DEGREE + 1],
}

/// Interpolates f on [low, high] at Chebyshev's points. The highest coefficient is rounded first,
/// and the lower ones, whose grids are finer, make good for it.
pub(super) fn fit(
    f: impl Fn(f64) -> f64,
    (low, high): (f64, f64),
    degree: usize,
    (scale, out): (u8, u8),
) -> Polynomial {
    // (l+h)/2 is on the grid or half a step off.
    let unit = power(scale.into());
    let m = (f64::midpoint(low, high) * unit).round();
    let middle = m / unit;
    let (centre, half) = (f64::midpoint(low, high) - middle, (high - low) / 2.0);
    let mut c = [0; DEGREE + 1];
    let mut rounded = [0.0; DEGREE + 1];
    for k in (0..=degree).rev() {
        let nodes: Vec<f64> = chebyshev(k).iter().map(|t| centre + half * t).collect();
        // The coefficient of r^k in what interpolates the rest: a divided difference.
        let coefficient: f64 = nodes
            .iter()
            .enumerate()
            .map(|(i, r)| {
                let above = rounded[k + 1..].iter().rev().fold(0.0, |sum, c| (sum + c) * r);
                let above = (0..k).fold(above, |sum, _| sum * r);
                let others = nodes.iter().enumerate().filter(|(j, _)| *j != i);
                (f(middle + r) - above) / others.fold(1.0, |product, (_, s)| product * (r - s))
            })
            .sum();
        let unit = power(i32::from(out) - k as i32 * i32::from(scale));
        let nearest = (coefficient * unit).round();
        (c[k], rounded[k]) = (nearest as i64, nearest / unit);
    }
    Polynomial { m: m as i64, c }
}

/// The zeros of Chebyshev's polynomial of degree k + 1.
fn chebyshev(k: usize) -> &'static [f64] {
    const ROOT_HALF: f64 = std::f64::consts::FRAC_1_SQRT_2;
    const ROOT_THREE_QUARTERS: f64 = 0.866_025_403_784_438_6;
    const COS_1: f64 = 0.923_879_532_511_286_7;
    const COS_3: f64 = 0.382_683_432_365_089_8;
    match k {
        0 => &[0.0],
        1 => &[-ROOT_HALF, ROOT_HALF],
        2 => &[-ROOT_THREE_QUARTERS, 0.0, ROOT_THREE_QUARTERS],
        _ => &[-COS_1, -COS_3, COS_3, COS_1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_the_library() {
        for i in -20_000..=20_000 {
            let x = f64::from(i) / 1000.0;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-15, "exp {x}");
            let x = x.exp();
            assert!((ln(x) - x.ln()).abs() < 1e-14, "ln {x}");
        }
    }

    #[test]
    fn fits_a_cubic() {
        let p = fit(|x| 1.0 + x * (2.0 + x * (3.0 + x * 4.0)), (-1.0, 1.0), 3, (8, 40));
        assert_eq!((p.m, p.c), (0, [1 << 40, 2 << 32, 3 << 24, 4 << 16]));
    }
}
