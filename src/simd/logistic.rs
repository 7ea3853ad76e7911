//! The logistic loss of many rows, vectorized.
//!
//! With e = exp(−|z|), log(1 + e^−z) = max(−z, 0) + log1p(e), and log1p(e) = 2 s p(s²) with
//! s = e/(2 + e) ≤ 1/3, where p is the polynomial of degree 10 that interpolates atanh(√t)/√t at
//! Chebyshev points of \[0, 1/9\] (relative error 1.4·10⁻¹⁸). Every result is within 4 ulp.
//!
//! The logarithm is a third of the work. Rows of equal weight share one: with q = Π(1 + eᵢ) − 1, which
//! q ← q + eᵢ + q eᵢ gives to the last digits however small it is, Σ log1p(eᵢ) = log1p(q).

use super::{Loop, ROUND, exp, lanes, mul_add, run};

/// Rows in one loop.
const CHUNK: usize = 64;
/// Products of a loop; each has CHUNK/WIDTH factors of at most 2.
const WIDTH: usize = 8;
const LN_2: f64 = std::f64::consts::LN_2;

/// The bits of ¾, and of a fraction.
const THREE_QUARTERS: u64 = 0.75_f64.to_bits();
const MANTISSA: u64 = (1 << 52) - 1;
#[rustfmt::skip]
const P: [f64; 11] = [
    1.0, 0.333_333_333_333_330_76, 0.200_000_000_000_928_74,
    0.142_857_142_727_270_57, 0.111_111_120_403_738_37, 0.090_908_704_162_524_03,
    0.076_933_070_211_520_04, 0.066_501_870_163_373_13, 0.060_550_843_640_346_09,
    0.041_622_532_559_304_1, 0.085_220_817_813_906_99,
];

/// log1p(e) for 0 ≤ e ≤ 1.
#[inline(always)]
fn log_one_plus<const FMA: bool>(e: f64) -> f64 {
    twice_atanh::<FMA>(e / (2.0 + e))
}

/// log1p(q) for 0 ≤ q < 2¹⁰⁰⁰; NaN stays NaN.
#[inline(always)]
fn log_of_product<const FMA: bool>(q: f64) -> f64 {
    // 1 + q = 2ᵏ m with m from ¾ to 3/2.
    let bits = (1.0 + q).to_bits();
    let above = bits.wrapping_sub(THREE_QUARTERS);
    let k = f64::from_bits((above >> 52) | ROUND.to_bits()) - ROUND;
    let m = f64::from_bits((above & MANTISSA).wrapping_add(THREE_QUARTERS));
    // Where k = 0, m − 1 is q without the digits that 1 + q has lost.
    let rest = if k == 0.0 { q } else { m - 1.0 };
    let value = mul_add::<FMA>(k, LN_2, twice_atanh::<FMA>(rest / (2.0 + rest)));
    if q.is_nan() { q } else { value }
}

/// 2 atanh(s) for |s| ≤ 1/3.
#[inline(always)]
fn twice_atanh<const FMA: bool>(s: f64) -> f64 {
    let t = s * s;
    let mut p = P[10];
    p = mul_add::<FMA>(p, t, P[9]);
    p = mul_add::<FMA>(p, t, P[8]);
    p = mul_add::<FMA>(p, t, P[7]);
    p = mul_add::<FMA>(p, t, P[6]);
    p = mul_add::<FMA>(p, t, P[5]);
    p = mul_add::<FMA>(p, t, P[4]);
    p = mul_add::<FMA>(p, t, P[3]);
    p = mul_add::<FMA>(p, t, P[2]);
    p = mul_add::<FMA>(p, t, P[1]);
    p = mul_add::<FMA>(p, t, P[0]);
    2.0 * s * p
}

/// max(−z, 0) and e^−|z| of z = ym, the slope −c y σ(−z) and the curvature c σ(z) σ(−z).
#[inline(always)]
fn parts<const FMA: bool>(margin: f64, label: f64, share: f64) -> [f64; 4] {
    let z = label * margin;
    let e = exp::<FMA>(-z.abs());
    let likely = 1.0 / (1.0 + e);
    let rare = e * likely;
    let (excess, miss) = if z < 0.0 { (-z, likely) } else { (0.0, rare) };
    [excess, e, -share * label * miss, share * likely * rare]
}

/// c log(1 + e^−ym), its slope −c y σ(−ym) and its curvature c σ(ym) σ(−ym).
#[inline(always)]
fn row<const FMA: bool>(margin: f64, label: f64, share: f64) -> (f64, f64, f64) {
    let [excess, e, slope, curvature] = parts::<FMA>(margin, label, share);
    let value = share * (excess + log_one_plus::<FMA>(e));
    // A row of no weight is left out, whatever its margin.
    let or_none = |x: f64| if share == 0.0 { 0.0 } else { x };
    (or_none(value), or_none(slope), or_none(curvature))
}

/// The sum of the values of rows of the same weight c ≠ 0, their slopes and curvatures.
#[inline(always)]
fn alike<const FMA: bool>(
    margin: &[f64; CHUNK],
    label: &[f64; CHUNK],
    share: f64,
    slope: &mut [f64; CHUNK],
    curvature: &mut [f64; CHUNK],
) -> f64 {
    let (mut excess, mut product) = ([0.0; WIDTH], [0.0; WIDTH]);
    for first in (0..CHUNK).step_by(WIDTH) {
        for k in 0..WIDTH {
            let i = first + k;
            let [over, e, g, h] = parts::<FMA>(margin[i], label[i], share);
            (slope[i], curvature[i]) = (g, h);
            excess[k] += over;
            product[k] = mul_add::<FMA>(product[k], e, product[k] + e);
        }
    }
    for (excess, product) in excess.iter_mut().zip(product) {
        *excess += log_of_product::<FMA>(product);
    }
    share * lanes(&excess, 0.0, |a, b| a + b)
}

struct Rows<'a> {
    margin: &'a [f64],
    label: &'a [f64],
    share: &'a [f64],
    slope: &'a mut [f64],
    curvature: &'a mut [f64],
}

impl Loop for Rows<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        let mut sum = 0.0;
        let mut values = [0.0; CHUNK];
        let rows = self.margin.chunks(CHUNK).zip(self.label.chunks(CHUNK));
        let rows = rows.zip(self.share.chunks(CHUNK));
        let out = self.slope.chunks_mut(CHUNK);
        let out = out.zip(self.curvature.chunks_mut(CHUNK));
        for (((margin, label), share), (slope, curvature)) in rows.zip(out) {
            let first = share[0];
            if first != 0.0
                && share.iter().fold(true, |alike, c| alike & (*c == first))
                && let (Ok(margin), Ok(label)) = (margin.try_into(), label.try_into())
                && let (Ok(slope), Ok(curvature)) =
                    ((&mut *slope).try_into(), (&mut *curvature).try_into())
            {
                sum += alike::<FMA>(margin, label, first, slope, curvature);
                continue;
            }
            let values = &mut values[..margin.len()];
            // One plain loop, which the compiler vectorizes.
            let rows = margin.iter().zip(label).zip(share);
            let out = values.iter_mut().zip(slope).zip(curvature);
            for (((m, y), c), ((value, slope), curvature)) in rows.zip(out) {
                (*value, *slope, *curvature) = row::<FMA>(*m, *y, *c);
            }
            sum += lanes(values, 0.0, |a, b| a + b);
        }
        sum
    }
}

/// Slopes and curvatures of the logistic loss by its margins; returns the sum of the values.
///
/// Labels are ±1; `share` is the weight of each row.
pub(crate) fn logistic(
    margin: &[f64],
    label: &[f64],
    share: &[f64],
    slope: &mut [f64],
    curvature: &mut [f64],
) -> f64 {
    run(Rows {
        margin,
        label,
        share,
        slope,
        curvature,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ulps(a: f64, b: f64) -> u64 {
        a.to_bits().abs_diff(b.to_bits())
    }

    #[test]
    fn within_four_ulp_of_the_standard_library() {
        let mut e: Vec<f64> = (0..=300_000).map(|k| k as f64 / 300_000.0).collect();
        e.extend((0..300).map(|k| 0.5_f64.powi(k)));
        for e in e {
            assert!(ulps(log_one_plus::<false>(e), e.ln_1p()) <= 3, "{e}");
        }
        let margin: Vec<f64> = (-200_000..=200_000).map(|k| k as f64 * 3.5e-3).collect();
        let n = margin.len();
        for y in [-1.0, 1.0] {
            let (label, share) = (vec![y; n], vec![0.5; n]);
            let (mut slope, mut curvature) = (vec![0.0; n], vec![0.0; n]);
            let total = logistic(&margin, &label, &share, &mut slope, &mut curvature);
            let mut sum = 0.0;
            for i in 0..n {
                let z = y * margin[i];
                let e = (-z.abs()).exp();
                let (likely, rare) = (1.0 / (1.0 + e), e / (1.0 + e));
                let miss = if z < 0.0 { likely } else { rare };
                let value = 0.5 * ((-z).max(0.0) + e.ln_1p());
                sum += value;
                let (own, _, _) = row::<true>(margin[i], y, 0.5);
                assert!(ulps(own, value) <= 4, "value at {z}");
                assert!(ulps(slope[i], -0.5 * y * miss) <= 4, "slope at {z}");
                assert!(
                    ulps(curvature[i], 0.5 * likely * rare) <= 5,
                    "curvature at {z}"
                );
            }
            assert!((total - sum).abs() <= 1e-13 * sum);
        }
    }

    #[test]
    fn rows_of_equal_weight_share_a_logarithm_to_the_last_digits() {
        let mut q: Vec<f64> = (0..=200_000).map(|k| f64::from(k) / 100_000.0).collect();
        q.extend((-1000..1000).map(|k| 1.37 * 2.0_f64.powi(k)));
        for q in q {
            assert!(ulps(log_of_product::<false>(q), q.ln_1p()) <= 4, "{q}");
            assert!(ulps(log_of_product::<true>(q), q.ln_1p()) <= 4, "{q}");
        }
        assert!(log_of_product::<true>(f64::NAN).is_nan());
        // One row in 64 has another weight, or none has: the same sum but for rounding, at every scale.
        let values = |margin: &[f64], other: f64| {
            let n = margin.len();
            let mut share = vec![0.25; n];
            share.iter_mut().step_by(CHUNK).for_each(|c| *c = other);
            let (mut slope, mut curvature) = (vec![0.0; n], vec![0.0; n]);
            let ones = vec![1.0; n];
            let sum = logistic(margin, &ones, &share, &mut slope, &mut curvature);
            (sum, slope, curvature)
        };
        for far in [0.0, 1.0, 20.0, 40.0, 300.0, 700.0, -0.5, -30.0, -1e3] {
            let margin: Vec<f64> = (0..1000)
                .map(|i| far + f64::from(i * i % 997) / 997.0)
                .collect();
            let (alike, slope, curvature) = values(&margin, 0.25);
            let each: f64 = margin.iter().map(|m| row::<true>(*m, 1.0, 0.25).0).sum();
            assert!(
                (alike - each).abs() <= 1e-14 * each,
                "{far}: {alike} and {each}"
            );
            let (apart, slopes, curvatures) = values(&margin, 0.0);
            let rest: f64 = margin
                .iter()
                .step_by(CHUNK)
                .map(|m| row::<true>(*m, 1.0, 0.25).0)
                .sum();
            assert!((alike - rest - apart).abs() <= 1e-14 * each, "{far}");
            for i in (0..1000).filter(|i| i % CHUNK != 0) {
                assert_eq!((slope[i], curvature[i]), (slopes[i], curvatures[i]));
            }
        }
        for bad in [f64::NAN, f64::NEG_INFINITY] {
            let mut margin = vec![1.0; 256];
            margin[77] = bad;
            let (sum, ..) = values(&margin, 0.25);
            assert!(sum.is_nan() || sum == f64::INFINITY, "{bad}: {sum}");
            assert_eq!(sum.is_nan(), bad.is_nan());
        }
    }

    #[test]
    fn every_row_counts_and_extremes_hold() {
        for n in 0..30 {
            let (margin, ones) = (vec![0.0; n], vec![1.0; n]);
            let (mut slope, mut curvature) = (vec![0.0; n], vec![0.0; n]);
            let total = logistic(&margin, &ones, &ones, &mut slope, &mut curvature);
            assert!((total - n as f64 * 2.0_f64.ln()).abs() <= 1e-14 * n as f64);
            assert!(slope.iter().all(|s| *s == -0.5));
            assert!(curvature.iter().all(|h| *h == 0.25));
        }
        assert_eq!(row::<true>(1e300, 1.0, 1.0), (0.0, -0.0, 0.0));
        assert_eq!(row::<true>(1e300, -1.0, 1.0), (1e300, 1.0, 0.0));
        assert_eq!(row::<false>(f64::INFINITY, -1.0, 1.0).0, f64::INFINITY);
        assert_eq!(row::<true>(f64::INFINITY, -1.0, 0.0), (0.0, 0.0, 0.0));
        assert_eq!(row::<false>(f64::NAN, 1.0, 0.0), (0.0, 0.0, 0.0));
        assert!(row::<true>(f64::NAN, 1.0, 1.0).0.is_nan());
        assert!(row::<true>(f64::NAN, 1.0, 1.0).1.is_nan());
    }
}
