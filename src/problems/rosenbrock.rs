//! Rosenbrock's valley.

use super::{Analytic, argmin_traits};
use crate::error::Error;
use faer::Mat;

/// f(x) = Σᵢ₍ₙ 100(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)², n ≥ 2: minimum 0 at (1, …, 1).
///
/// Not convex; for n ≥ 4 there is a second minimum near (−1, 1, …, 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rosenbrock {
    n: usize,
}

impl Rosenbrock {
    /// In `n` variables.
    ///
    /// # Errors
    /// Fewer than two variables.
    pub fn new(n: usize) -> Result<Self, Error> {
        if n < 2 {
            return Err(Error::parameter("n", n, "at least 2"));
        }
        Ok(Rosenbrock { n })
    }

    /// (−1.2, 1, −1.2, 1, …).
    pub fn start(&self) -> Vec<f64> {
        (0..self.n)
            .map(|i| if i % 2 == 0 { -1.2 } else { 1.0 })
            .collect()
    }

    /// All ones.
    pub fn minimizer(&self) -> Vec<f64> {
        vec![1.0; self.n]
    }

    /// f there: 0.
    pub fn minimum(&self) -> f64 {
        0.0
    }
}

impl Analytic for Rosenbrock {
    fn dimension(&self) -> usize {
        self.n
    }
    fn value(&self, x: &[f64]) -> f64 {
        x.windows(2)
            .map(|w| 100.0 * (w[1] - w[0] * w[0]).powi(2) + (1.0 - w[0]).powi(2))
            .sum()
    }
    fn slope(&self, x: &[f64]) -> Vec<f64> {
        let mut g = vec![0.0; self.n];
        for (i, w) in x.windows(2).enumerate() {
            let u = w[1] - w[0] * w[0];
            g[i] += -400.0 * w[0] * u - 2.0 * (1.0 - w[0]);
            g[i + 1] += 200.0 * u;
        }
        g
    }
    fn curvature(&self, x: &[f64]) -> Mat<f64> {
        let mut h = Mat::zeros(self.n, self.n);
        for (i, w) in x.windows(2).enumerate() {
            h[(i, i)] += 1200.0 * w[0] * w[0] - 400.0 * w[1] + 2.0;
            h[(i + 1, i + 1)] += 200.0;
            h[(i + 1, i)] -= 400.0 * w[0];
            h[(i, i + 1)] -= 400.0 * w[0];
        }
        h
    }
}

argmin_traits!(Rosenbrock);
