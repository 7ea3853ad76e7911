//! exp and sums over rows of doubles, vectorized.
//!
//! x = k ln 2 + r with |r| ≤ ½ ln 2; exp(r) = 1 + r + r² q(r) with q of degree 9, interpolated at
//! Chebyshev points (relative error 8·10⁻¹⁸), and 2ᵏ by its exponent bits. The error is at most
//! 2 ulp for −708 ≤ x ≤ 709; below the result is 0, so that no subnormal number occurs, and above
//! it is +∞. NaN stays NaN.
//!
//! The loops are plain code on slices, compiled once per instruction set. Bits depend on the
//! instruction set, not on the number of threads.

mod logistic;

pub(crate) use logistic::logistic;
use pulp::{Arch, Simd, WithSimd};

const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// ln 2 in two parts, the first with zeros at its end, so that k times it is exact.
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// 1.5·2⁵²: adding it rounds to an integer, which the low bits then hold.
const ROUND: f64 = 6_755_399_441_055_744.0;
const LOWEST: f64 = -708.0;
const HIGHEST: f64 = 709.0;
#[rustfmt::skip]
const Q: [f64; 10] = [
    0.500_000_000_000_000_1, 0.166_666_666_666_666_69, 0.041_666_666_666_623_824,
    0.008_333_333_333_330_039, 0.001_388_888_891_736_708_1, 0.000_198_412_698_631_715_57,
    2.480_152_105_786_820_4e-5, 2.755_726_827_690_569_6e-6, 2.762_020_159_103_154_7e-7,
    2.510_047_250_569_499_6e-8,
];

#[inline(always)]
pub(crate) fn mul_add<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f64) -> f64 {
    let shifted = mul_add::<FMA>(x, LOG2_E, ROUND);
    let k = shifted - ROUND;
    let r = mul_add::<FMA>(-k, LN2_LOW, mul_add::<FMA>(-k, LN2_HIGH, x));
    let mut q = Q[9];
    q = mul_add::<FMA>(q, r, Q[8]);
    q = mul_add::<FMA>(q, r, Q[7]);
    q = mul_add::<FMA>(q, r, Q[6]);
    q = mul_add::<FMA>(q, r, Q[5]);
    q = mul_add::<FMA>(q, r, Q[4]);
    q = mul_add::<FMA>(q, r, Q[3]);
    q = mul_add::<FMA>(q, r, Q[2]);
    q = mul_add::<FMA>(q, r, Q[1]);
    q = mul_add::<FMA>(q, r, Q[0]);
    let fraction = 1.0 + mul_add::<FMA>(r * r, q, r);
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    let value = fraction * power;
    let value = if x < LOWEST { 0.0 } else { value };
    if x > HIGHEST { f64::INFINITY } else { value }
}

/// A loop that is compiled for each instruction set.
pub(crate) trait Loop {
    type Output;
    fn run<const FMA: bool>(self) -> Self::Output;
}

struct Compiled<L>(L);

impl<L: Loop> WithSimd for Compiled<L> {
    type Output = L::Output;
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> L::Output {
        if S::IS_SCALAR {
            self.0.run::<false>()
        } else {
            self.0.run::<true>()
        }
    }
}

pub(crate) fn run<L: Loop>(body: L) -> L::Output {
    Arch::new().dispatch(Compiled(body))
}

/// Lanes of a fold, four vectors of four.
const LANES: usize = 16;

/// Joins the lanes of a fold.
#[inline(always)]
fn join(lanes: [f64; LANES], f: impl Fn(f64, f64) -> f64) -> f64 {
    // As it lies in memory: otherwise the compiler takes the last pairs of this tree for the best width
    // of the loop before, which then goes by vectors of two.
    let l = std::hint::black_box(lanes);
    let quarter: [f64; 4] = std::array::from_fn(|k| f(f(l[k], l[k + 4]), f(l[k + 8], l[k + 12])));
    f(f(quarter[0], quarter[2]), f(quarter[1], quarter[3]))
}

/// Folds `v` in interleaved lanes.
#[inline(always)]
pub(crate) fn lanes(v: &[f64], start: f64, f: impl Fn(f64, f64) -> f64) -> f64 {
    let mut acc = [start; LANES];
    let (chunks, rest) = v.as_chunks::<LANES>();
    for chunk in chunks {
        for k in 0..LANES {
            acc[k] = f(acc[k], chunk[k]);
        }
    }
    f(join(acc, &f), rest.iter().fold(start, |a, &b| f(a, b)))
}

/// aᵀb in interleaved lanes.
#[inline(always)]
pub(crate) fn lanes_of_products<const FMA: bool>(a: &[f64], b: &[f64]) -> f64 {
    let mut acc = [0.0; LANES];
    let (chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in chunks.iter().zip(b_chunks) {
        for k in 0..LANES {
            acc[k] = mul_add::<FMA>(a[k], b[k], acc[k]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    join(acc, |a, b| a + b) + rest
}

#[inline(always)]
fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

struct ExpSum<'a> {
    x: &'a mut [f64],
    shift: f64,
}

impl Loop for ExpSum<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        for x in self.x.iter_mut() {
            *x = exp::<FMA>(*x - self.shift);
        }
        lanes(self.x, 0.0, |a, b| a + b)
    }
}

/// x ← exp(x − `shift`); returns the sum.
pub(crate) fn exp_sum(x: &mut [f64], shift: f64) -> f64 {
    run(ExpSum { x, shift })
}

struct Exponents<'a> {
    out: &'a mut [f64],
    u: &'a [f64],
    cost: &'a [f64],
    offset: f64,
    scale: f64,
}

impl Loop for Exponents<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        for ((out, u), cost) in self.out.iter_mut().zip(self.u).zip(self.cost) {
            *out = mul_add::<FMA>(self.offset - cost, self.scale, *u);
        }
        lanes(self.out, f64::NEG_INFINITY, larger)
    }
}

/// `out`ⱼ = uⱼ − (cⱼ − `offset`)·`scale`; returns the largest.
pub(crate) fn exponents(out: &mut [f64], u: &[f64], cost: &[f64], offset: f64, scale: f64) -> f64 {
    run(Exponents {
        out,
        u,
        cost,
        offset,
        scale,
    })
}

struct Dot<'a> {
    a: &'a [f64],
    b: &'a [f64],
}

impl Loop for Dot<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        lanes_of_products::<FMA>(self.a, self.b)
    }
}

/// aᵀb, for vectors long enough to pay for the choice of instructions.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    run(Dot { a, b })
}

struct Axpy<'a> {
    alpha: f64,
    x: &'a [f64],
    y: &'a mut [f64],
}

impl Loop for Axpy<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (y, x) in self.y.iter_mut().zip(self.x) {
            *y = mul_add::<FMA>(self.alpha, *x, *y);
        }
    }
}

/// y ← y + α x.
pub(crate) fn axpy(alpha: f64, x: &[f64], y: &mut [f64]) {
    run(Axpy { alpha, x, y });
}

struct Narrow<'a> {
    x: &'a [f64],
    scale: f64,
    out: &'a mut [f32],
}

impl Loop for Narrow<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (out, x) in self.out.iter_mut().zip(self.x) {
            let x = x * self.scale;
            *out = if x < NEGLIGIBLE { 0.0 } else { x as f32 };
        }
    }
}

/// Below this a single-precision number is written as 0, so that no subnormal occurs in products.
const NEGLIGIBLE: f64 = 1e-30;

/// `out` = `scale` x for x ≥ 0 in single precision.
pub(crate) fn narrow(x: &[f64], scale: f64, out: &mut [f32]) {
    run(Narrow { x, scale, out });
}

struct Close<'a> {
    row: &'a [f32],
    v: &'a [f32],
    mass: f64,
    columns: &'a mut [f32],
}

impl Loop for Close<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        let mut acc = [0.0_f32; 32];
        let (row, rest) = self.row.as_chunks::<32>();
        let (v, v_rest) = self.v.as_chunks::<32>();
        for (row, v) in row.iter().zip(v) {
            for k in 0..32 {
                acc[k] = mul_add_single::<FMA>(row[k], v[k], acc[k]);
            }
        }
        for (k, (row, v)) in rest.iter().zip(v_rest).enumerate() {
            acc[k] = mul_add_single::<FMA>(*row, *v, acc[k]);
        }
        let mut half = 16;
        while half > 0 {
            for k in 0..half {
                acc[k] += acc[k + half];
            }
            half /= 2;
        }
        let sum = f64::from(acc[0]);
        let alpha = (self.mass / sum) as f32;
        for (column, row) in self.columns.iter_mut().zip(self.row) {
            *column = mul_add_single::<FMA>(alpha, *row, *column);
        }
        sum
    }
}

#[inline(always)]
fn mul_add_single<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// s = Σ_j `row`ⱼ vⱼ, which is returned; `columns` ← `columns` + (`mass`/s) `row`.
pub(crate) fn close(row: &[f32], v: &[f32], mass: f64, columns: &mut [f32]) -> f64 {
    run(Close {
        row,
        v,
        mass,
        columns,
    })
}

struct Least<'a> {
    cost: &'a [f64],
    offset: f64,
    scale: f64,
    f: f64,
    out: &'a mut [f64],
}

impl Loop for Least<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (out, c) in self.out.iter_mut().zip(self.cost) {
            *out = smaller(*out, (c - self.offset) * self.scale - self.f);
        }
    }
}

/// `out`ⱼ ← min(`out`ⱼ, (cⱼ − `offset`)·`scale` − f).
pub(crate) fn least_into(cost: &[f64], offset: f64, scale: f64, f: f64, out: &mut [f64]) {
    run(Least {
        cost,
        offset,
        scale,
        f,
        out,
    });
}

struct LeastOf<'a> {
    cost: &'a [f64],
    offset: f64,
    scale: f64,
    g: &'a [f64],
}

impl Loop for LeastOf<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        let mut acc = [f64::INFINITY; LANES];
        let (cost, rest) = self.cost.as_chunks::<LANES>();
        let (g, g_rest) = self.g.as_chunks::<LANES>();
        for (cost, g) in cost.iter().zip(g) {
            for k in 0..LANES {
                acc[k] = smaller(acc[k], (cost[k] - self.offset) * self.scale - g[k]);
            }
        }
        for (cost, g) in rest.iter().zip(g_rest) {
            acc[0] = smaller(acc[0], (cost - self.offset) * self.scale - g);
        }
        join(acc, smaller)
    }
}

/// min_j (cⱼ − `offset`)·`scale` − gⱼ.
pub(crate) fn least_of(cost: &[f64], offset: f64, scale: f64, g: &[f64]) -> f64 {
    run(LeastOf {
        cost,
        offset,
        scale,
        g,
    })
}

struct ReducedInto<'a> {
    cost: &'a [f64],
    offset: f64,
    scale: f64,
    g: &'a [f64],
    out: &'a mut [f64],
}

impl Loop for ReducedInto<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        for ((out, cost), g) in self.out.iter_mut().zip(self.cost).zip(self.g) {
            *out = (cost - self.offset) * self.scale - g;
        }
        lanes(self.out, f64::INFINITY, smaller)
    }
}

/// `out`ⱼ = (cⱼ − `offset`)·`scale` − gⱼ; returns the least.
pub(crate) fn reduced_into(
    cost: &[f64],
    offset: f64,
    scale: f64,
    g: &[f64],
    out: &mut [f64],
) -> f64 {
    run(ReducedInto {
        cost,
        offset,
        scale,
        g,
        out,
    })
}

struct EachBelow<'a, F> {
    x: &'a [f64],
    limit: f64,
    f: F,
}

impl<F: FnMut(usize, f64)> Loop for EachBelow<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let (chunks, rest) = self.x.as_chunks::<16>();
        for (k, chunk) in chunks.iter().enumerate() {
            if chunk.iter().fold(false, |any, x| any | (*x <= self.limit)) {
                for (l, x) in chunk.iter().enumerate() {
                    if *x <= self.limit {
                        (self.f)(16 * k + l, *x);
                    }
                }
            }
        }
        let first = 16 * chunks.len();
        for (l, x) in rest.iter().enumerate() {
            if *x <= self.limit {
                (self.f)(first + l, *x);
            }
        }
    }
}

/// Calls `f` with index and value of every entry of at most `limit`.
pub(crate) fn each_below(x: &[f64], limit: f64, f: impl FnMut(usize, f64)) {
    run(EachBelow { x, limit, f });
}

#[inline(always)]
fn smaller(a: f64, b: f64) -> f64 {
    if b < a { b } else { a }
}

struct CostSum<'a> {
    p: &'a [f64],
    cost: &'a [f64],
    offset: f64,
}

impl Loop for CostSum<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        let mut acc = [0.0; LANES];
        let (p, p_rest) = self.p.as_chunks::<LANES>();
        let (cost, cost_rest) = self.cost.as_chunks::<LANES>();
        // An infinite cost goes with p = 0.
        let term = |p: f64, cost: f64| match p > 0.0 {
            true => p * (cost - self.offset),
            false => 0.0,
        };
        for (p, cost) in p.iter().zip(cost) {
            for k in 0..LANES {
                acc[k] += term(p[k], cost[k]);
            }
        }
        let rest = p_rest.iter().zip(cost_rest).map(|(p, c)| term(*p, *c));
        join(acc, |a, b| a + b) + rest.sum::<f64>()
    }
}

/// Σ p_j (c_j − `offset`), where 0·∞ counts as 0.
pub(crate) fn cost_sum(p: &[f64], cost: &[f64], offset: f64) -> f64 {
    run(CostSum { p, cost, offset })
}

struct Distance<'a, F> {
    y: &'a [f64],
    stride: usize,
    x: &'a [f64],
    out: &'a mut [f64],
    term: F,
}

impl<F: Fn(f64) -> f64> Loop for Distance<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let mut coordinates = self.y.chunks(self.stride).zip(self.x);
        if let Some((coordinate, x)) = coordinates.next() {
            for (out, y) in self.out.iter_mut().zip(coordinate) {
                *out = (self.term)(x - y);
            }
        }
        for (coordinate, x) in coordinates {
            for (out, y) in self.out.iter_mut().zip(coordinate) {
                *out += (self.term)(x - y);
            }
        }
    }
}

/// `out`ⱼ = Σ_d `term`(x_d − y_dj), where y holds one coordinate of all points after the other.
pub(crate) fn distances(
    out: &mut [f64],
    x: &[f64],
    y: &[f64],
    stride: usize,
    term: impl Fn(f64) -> f64,
) {
    run(Distance {
        y,
        stride,
        x,
        out,
        term,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exp_of(x: &[f64]) -> Vec<f64> {
        let mut y = x.to_vec();
        exp_sum(&mut y, 0.0);
        y
    }

    fn ulps(a: f64, b: f64) -> u64 {
        a.to_bits().abs_diff(b.to_bits())
    }

    #[test]
    fn within_two_ulp_of_the_standard_library() {
        // Dense in the interval of reduction, and over the whole range.
        let mut x: Vec<f64> = (-200_000..=200_000).map(|k| k as f64 * 2.1e-6).collect();
        x.extend((0..=400_000).map(|k| -708.0 + 1417.0 * (k as f64 / 400_000.0)));
        let worst = x
            .iter()
            .zip(exp_of(&x))
            .map(|(x, y)| ulps(y, x.exp()))
            .max();
        assert!(worst <= Some(2), "{worst:?}");
        let scalar = x.iter().map(|&x| ulps(exp::<false>(x), x.exp())).max();
        assert!(scalar <= Some(2), "{scalar:?}");
    }

    #[test]
    fn ends_of_the_range() {
        let x = [f64::NEG_INFINITY, -1e300, -708.1, 709.1, f64::INFINITY, 0.0];
        assert_eq!(
            exp_of(&x),
            [0.0, 0.0, 0.0, f64::INFINITY, f64::INFINITY, 1.0]
        );
        assert!(exp_of(&[f64::NAN])[0].is_nan());
    }

    #[test]
    fn single_precision_rows_and_least_entries() {
        for n in 0..80 {
            let row: Vec<f64> = (0..n).map(|k| (k as f64).cos().abs() + 0.1).collect();
            let v: Vec<f32> = (0..n).map(|k| 1.0 + k as f32 / 64.0).collect();
            let mut single = vec![0.0_f32; n];
            narrow(&row, 0.5, &mut single);
            let exact: f64 = row
                .iter()
                .zip(&v)
                .map(|(p, v)| 0.5 * p * f64::from(*v))
                .sum();
            let mut columns = vec![1.0_f32; n];
            let sum = close(&single, &v, 3.0, &mut columns);
            assert!((sum - exact).abs() <= 1e-6 * exact, "{n}");
            for (column, p) in columns.iter().zip(&row) {
                let exact = 1.0 + 3.0 / sum * 0.5 * p;
                assert!((f64::from(*column) - exact).abs() <= 1e-6 * exact);
            }
            let zeros = vec![0.0; n];
            for at in 0..n {
                let mut cost = vec![5.0; n];
                cost[at] = 2.0;
                assert_eq!(least_of(&cost, 1.0, 3.0, &zeros), 3.0);
                let mut reduced = vec![0.0; n];
                let v: Vec<f64> = (0..n).map(|k| k as f64 / 64.0).collect();
                let least = reduced_into(&cost, 1.0, 3.0, &v, &mut reduced);
                let exact = cost.iter().zip(&v).map(|(c, v)| (c - 1.0) * 3.0 - v);
                assert!(reduced.iter().copied().eq(exact));
                assert_eq!(least, reduced.iter().copied().fold(f64::INFINITY, f64::min));
                let mut below = Vec::new();
                each_below(&reduced, reduced[at], |k, v| below.push((k, v)));
                let all = reduced.iter().copied().enumerate();
                assert!(below.into_iter().eq(all.filter(|(_, v)| *v <= reduced[at])));
                let mut out = vec![4.0; n];
                least_into(&cost, 1.0, 3.0, 0.5, &mut out);
                let found = out.iter().position(|&v| v == 2.5);
                assert!(found == Some(at) && out.iter().filter(|v| **v == 4.0).count() == n - 1);
            }
        }
        let mut tiny = [1.0_f32; 2];
        narrow(&[1e-31, 1e-29], 1.0, &mut tiny);
        assert_eq!(tiny, [0.0, 1e-29]);
    }

    #[test]
    fn every_entry_counts() {
        for n in 0..40 {
            let mut x: Vec<f64> = (0..n).map(|k| (k as f64).ln_1p()).collect();
            let sum = exp_sum(&mut x, 0.0);
            let exact = (n * (n + 1) / 2) as f64;
            assert!((sum - exact).abs() <= 1e-13 * exact, "{n}");
            let zeros = vec![0.0; n];
            for at in 0..n {
                let mut u = zeros.clone();
                u[at] = 3.0;
                let mut out = zeros.clone();
                assert_eq!(exponents(&mut out, &u, &zeros, 0.5, 2.0), 4.0);
            }
        }
    }
}
