//! Residuals of the problems in any number n of variables.

use super::algebraic;
use crate::autodiff::Number;

/// 20: an ordinary differential equation in 29 points, by a polynomial with coefficients x.
pub fn watson<T: Number>(x: &[T], r: &mut [T]) {
    for (i, r) in r.iter_mut().take(29).enumerate() {
        let t = (i + 1) as f64 / 29.0;
        // Horner's rule for the polynomial and its derivative.
        let (mut value, mut slope) = (T::zero(), T::zero());
        for x in x.iter().rev() {
            slope = slope * t + value;
            value = value * t + *x;
        }
        *r = slope - value.powi(2) - 1.0;
    }
    r[29] = x[0];
    r[30] = x[1] - x[0].powi(2) - 1.0;
}

/// 21: valleys in pairs of variables.
pub fn extended_rosenbrock<T: Number>(x: &[T], r: &mut [T]) {
    for (x, r) in x.chunks(2).zip(r.chunks_mut(2)) {
        algebraic::rosenbrock(x, r);
    }
}

/// 22: Powell's singular function of four variables each.
pub fn extended_powell_singular<T: Number>(x: &[T], r: &mut [T]) {
    for (x, r) in x.chunks(4).zip(r.chunks_mut(4)) {
        algebraic::powell_singular(x, r);
    }
}

/// a of the penalty functions; its root weighs the residuals.
pub const PENALTY: f64 = 1e-5;

/// 23: √a(xᵢ − 1) and Σxⱼ² − 1/4.
pub fn penalty_1<T: Number>(x: &[T], r: &mut [T]) {
    for (x, r) in x.iter().zip(r.iter_mut()) {
        *r = (*x - 1.0) * PENALTY.sqrt();
    }
    r[x.len()] = square(x) - 0.25;
}

/// 24.
pub fn penalty_2<T: Number>(x: &[T], r: &mut [T]) {
    let n = x.len();
    let root = PENALTY.sqrt();
    r[0] = x[0] - 0.2;
    for i in 1..n {
        // Variables are counted from 1 in y.
        let y = ((i + 1) as f64 / 10.0).exp() + (i as f64 / 10.0).exp();
        r[i] = ((x[i] / 10.0).exp() + (x[i - 1] / 10.0).exp() - y) * root;
        r[n + i - 1] = ((x[i] / 10.0).exp() - (-0.1_f64).exp()) * root;
    }
    let weighted = x.iter().enumerate();
    r[2 * n - 1] = weighted.map(|(j, x)| x.powi(2) * (n - j) as f64).sum::<T>() - 1.0;
}

/// 25: xᵢ − 1, Σ j(xⱼ − 1) and its square.
pub fn variably_dimensioned<T: Number>(x: &[T], r: &mut [T]) {
    for (x, r) in x.iter().zip(r.iter_mut()) {
        *r = *x - 1.0;
    }
    let sum: T = numbered(x).map(|(j, x)| (x - 1.0) * j).sum();
    r[x.len()] = sum;
    r[x.len() + 1] = sum.powi(2);
}

/// 26: n − Σ cos xⱼ + i(1 − cos xᵢ) − sin xᵢ.
pub fn trigonometric<T: Number>(x: &[T], r: &mut [T]) {
    let cosines = x.iter().map(|x| x.cos()).sum::<T>();
    let n = x.len() as f64;
    for ((i, x), r) in numbered(x).zip(r) {
        let (sin, cos) = x.sin_cos();
        *r = -cosines - cos * i - sin + (n + i);
    }
}

/// 27: xᵢ + Σxⱼ − (n + 1), and Πxⱼ − 1 in the last place.
pub fn brown_almost_linear<T: Number>(x: &[T], r: &mut [T]) {
    let n = x.len();
    let sum: T = x.iter().copied().sum();
    for (x, r) in x.iter().zip(r.iter_mut()) {
        *r = *x + sum - (n + 1) as f64;
    }
    r[n - 1] = x.iter().copied().product::<T>() - 1.0;
}

/// 28: 2xᵢ − xᵢ₋₁ − xᵢ₊₁ + h²(xᵢ + tᵢ + 1)³/2 with tᵢ = i h, h = 1/(n + 1), zero at both ends.
pub fn discrete_boundary_value<T: Number>(x: &[T], r: &mut [T]) {
    let h = 1.0 / (x.len() + 1) as f64;
    for (i, r) in r.iter_mut().enumerate() {
        let t = (i + 1) as f64 * h;
        let bend = x[i] * 2.0 - before(x, i) - after(x, i);
        *r = bend + (x[i] + (t + 1.0)).powi(3) * (h * h / 2.0);
    }
}

/// 29: the same boundary value problem as an integral equation.
pub fn discrete_integral_equation<T: Number>(x: &[T], r: &mut [T]) {
    let h = 1.0 / (x.len() + 1) as f64;
    let t = |i: usize| (i + 1) as f64 * h;
    let cubes: Vec<T> = x
        .iter()
        .enumerate()
        .map(|(j, x)| (*x + (t(j) + 1.0)).powi(3))
        .collect();
    let mut upper: T = cubes
        .iter()
        .enumerate()
        .map(|(j, c)| *c * (1.0 - t(j)))
        .sum();
    let mut lower = T::zero();
    for (i, r) in r.iter_mut().enumerate() {
        lower += cubes[i] * t(i);
        upper -= cubes[i] * (1.0 - t(i));
        *r = x[i] + (lower * (1.0 - t(i)) + upper * t(i)) * (h / 2.0);
    }
}

/// 30: (3 − 2xᵢ)xᵢ − xᵢ₋₁ − 2xᵢ₊₁ + 1, zero at both ends.
pub fn broyden_tridiagonal<T: Number>(x: &[T], r: &mut [T]) {
    for (i, r) in r.iter_mut().enumerate() {
        *r = (-x[i] * 2.0 + 3.0) * x[i] - before(x, i) - after(x, i) * 2.0 + 1.0;
    }
}

/// 31: xᵢ(2 + 5xᵢ²) + 1 − Σ xⱼ(1 + xⱼ) over i − 5 ≤ j ≤ i + 1, j ≠ i.
pub fn broyden_banded<T: Number>(x: &[T], r: &mut [T]) {
    for (i, r) in r.iter_mut().enumerate() {
        let band = i.saturating_sub(5)..x.len().min(i + 2);
        let near: T = band.filter(|j| *j != i).map(|j| x[j] * (x[j] + 1.0)).sum();
        *r = x[i] * (x[i].powi(2) * 5.0 + 2.0) + 1.0 - near;
    }
}

/// 32: xᵢ − (2/m)Σxⱼ − 1, without xᵢ for i > n.
pub fn linear_full_rank<T: Number>(x: &[T], r: &mut [T]) {
    let mean = x.iter().copied().sum::<T>() * (2.0 / r.len() as f64);
    for (i, r) in r.iter_mut().enumerate() {
        *r = x.get(i).copied().unwrap_or(T::zero()) - mean - 1.0;
    }
}

/// 33: i Σ j xⱼ − 1.
pub fn linear_rank_1<T: Number>(x: &[T], r: &mut [T]) {
    let sum: T = numbered(x).map(|(j, x)| x * j).sum();
    for (i, r) in r.iter_mut().enumerate() {
        *r = sum * (i + 1) as f64 - 1.0;
    }
}

/// 34: (i − 1)Σ_{1<j<n} j xⱼ − 1 for 1 < i < m, else −1.
pub fn linear_rank_1_with_zeros<T: Number>(x: &[T], r: &mut [T]) {
    let (m, n) = (r.len(), x.len());
    let inner = numbered(x).take(n - 1).skip(1);
    let sum: T = inner.map(|(j, x)| x * j).sum();
    for (i, r) in r.iter_mut().enumerate() {
        let weight = if i + 1 < m { i as f64 } else { 0.0 };
        *r = sum * weight - 1.0;
    }
}

/// 35: (1/n)Σ Tᵢ(xⱼ) − ∫Tᵢ with the Chebyshev polynomials Tᵢ shifted to [0, 1].
pub fn chebyquad<T: Number>(x: &[T], r: &mut [T]) {
    let n = x.len() as f64;
    r.fill(T::zero());
    for x in x {
        let argument = *x * 2.0 - 1.0;
        let (mut last, mut now) = (T::from(1.0), argument);
        for r in r.iter_mut() {
            *r += now / n;
            (last, now) = (now, argument * now * 2.0 - last);
        }
    }
    for (i, r) in r.iter_mut().enumerate().skip(1).step_by(2) {
        let degree = (i + 1) as f64;
        *r += 1.0 / (degree * degree - 1.0);
    }
}

/// The variables with their numbers 1, 2, … as doubles.
fn numbered<T: Number>(x: &[T]) -> impl Iterator<Item = (f64, T)> {
    (1..).map(f64::from).zip(x.iter().copied())
}

/// xᵢ₋₁, zero before the first.
fn before<T: Number>(x: &[T], i: usize) -> T {
    if i == 0 { T::zero() } else { x[i - 1] }
}

/// xᵢ₊₁, zero after the last.
fn after<T: Number>(x: &[T], i: usize) -> T {
    x.get(i + 1).copied().unwrap_or(T::zero())
}

/// Σxⱼ².
fn square<T: Number>(x: &[T]) -> T {
    x.iter().map(|x| x.powi(2)).sum()
}
