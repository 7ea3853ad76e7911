//! A chain of powers, the worst case of second-order methods.

use super::power::{at_least_one, exponent_in_range};
use super::{Analytic, argmin_traits};
use crate::error::Error;
use faer::Mat;

/// f(x) = (1/q)(Σᵢ₍ₙ |xᵢ − xᵢ₊₁|^q + |xₙ|^q) − l x₁, convex, q ≥ 2, l ≥ 0.
///
/// The Hessian is tridiagonal, so a Newton step moves information by one
/// variable. Minimizer xᵢ = t(n + 1 − i) with t = l^(1/(q−1)), minimum
/// n(tᑫ/q − l t). At l > 0 and x = 0 the Hessian vanishes for q > 2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chain {
    n: usize,
    q: f64,
    lin: f64,
}

impl Chain {
    /// Euclidean Lipschitz constant of the Hessian for q = 3 and n ≥ 10.
    pub const CUBIC_LIPSCHITZ: f64 = 7.7414;

    /// In `n` variables with exponent `q` and linear term `lin`.
    ///
    /// # Errors
    /// No variables, q not finite and at least 2, `lin` not finite and nonnegative.
    pub fn new(n: usize, q: f64, lin: f64) -> Result<Self, Error> {
        at_least_one(n)?;
        exponent_in_range("q", q)?;
        if !(lin >= 0.0 && lin.is_finite()) {
            return Err(Error::parameter("lin", lin, "nonnegative and finite"));
        }
        Ok(Chain { n, q, lin })
    }

    /// All ones without a linear term, the origin with one.
    pub fn start(&self) -> Vec<f64> {
        vec![if self.lin == 0.0 { 1.0 } else { 0.0 }; self.n]
    }

    /// t(n, n − 1, …, 1).
    pub fn minimizer(&self) -> Vec<f64> {
        let t = self.tension();
        (1..=self.n).rev().map(|i| t * i as f64).collect()
    }

    /// n(tᑫ/q − l t).
    pub fn minimum(&self) -> f64 {
        let t = self.tension();
        self.n as f64 * (t.powf(self.q) / self.q - self.lin * t)
    }

    /// t, each link's length at the minimizer.
    fn tension(&self) -> f64 {
        self.lin.powf(1.0 / (self.q - 1.0))
    }

    /// xᵢ − xᵢ₊₁ with xₙ₊₁ = 0.
    fn link(&self, x: &[f64], i: usize) -> f64 {
        x[i] - x.get(i + 1).copied().unwrap_or(0.0)
    }
}

impl Analytic for Chain {
    fn dimension(&self) -> usize {
        self.n
    }
    fn value(&self, x: &[f64]) -> f64 {
        let powers = (0..self.n).map(|i| self.link(x, i).abs().powf(self.q));
        powers.sum::<f64>() / self.q - self.lin * x[0]
    }
    fn slope(&self, x: &[f64]) -> Vec<f64> {
        let mut g = vec![0.0; self.n];
        for i in 0..self.n {
            let u = self.link(x, i);
            let pull = u * u.abs().powf(self.q - 2.0);
            g[i] += pull;
            if let Some(next) = g.get_mut(i + 1) {
                *next -= pull;
            }
        }
        g[0] -= self.lin;
        g
    }
    fn curvature(&self, x: &[f64]) -> Mat<f64> {
        let mut h = Mat::zeros(self.n, self.n);
        for i in 0..self.n {
            let stiffness = (self.q - 1.0) * self.link(x, i).abs().powf(self.q - 2.0);
            h[(i, i)] += stiffness;
            if i + 1 < self.n {
                h[(i + 1, i + 1)] += stiffness;
                h[(i + 1, i)] -= stiffness;
                h[(i, i + 1)] -= stiffness;
            }
        }
        h
    }
}

argmin_traits!(Chain);
