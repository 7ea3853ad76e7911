//! Problems in separable form: powers, and one softplus.

use super::{Analytic, argmin_traits};
use crate::error::Error;
use faer::Mat;

/// f(x) = Σ |xᵢ|ᴾ / P, P ≥ 2: minimum 0 at 0, where for P > 2 the Hessian vanishes.
///
/// With n = x/(P − 1) per coordinate, a step α multiplies x by 1 − α/(P − 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Power {
    n: usize,
    exponent: f64,
}

impl Power {
    /// In `n` variables, with the given exponent.
    ///
    /// # Errors
    /// No variables, or an exponent that is not finite and at least 2.
    pub fn new(n: usize, exponent: f64) -> Result<Self, Error> {
        at_least_one(n)?;
        exponent_in_range("exponent", exponent)?;
        Ok(Power { n, exponent })
    }

    /// All ones.
    pub fn start(&self) -> Vec<f64> {
        vec![1.0; self.n]
    }

    /// The origin.
    pub fn minimizer(&self) -> Vec<f64> {
        vec![0.0; self.n]
    }

    /// f there: 0.
    pub fn minimum(&self) -> f64 {
        0.0
    }

    /// f(x₊)/f(x) of a full Newton step, (1 − 1/(P − 1))ᴾ.
    ///
    /// Every method whose damping vanishes has this linear rate in the end.
    pub fn newton_ratio(&self) -> f64 {
        (1.0 - 1.0 / (self.exponent - 1.0)).powf(self.exponent)
    }
}

impl Analytic for Power {
    fn dimension(&self) -> usize {
        self.n
    }
    fn value(&self, x: &[f64]) -> f64 {
        x.iter().map(|x| x.abs().powf(self.exponent)).sum::<f64>() / self.exponent
    }
    fn slope(&self, x: &[f64]) -> Vec<f64> {
        let p = self.exponent;
        x.iter().map(|x| x * x.abs().powf(p - 2.0)).collect()
    }
    fn curvature(&self, x: &[f64]) -> Mat<f64> {
        let p = self.exponent;
        let mut h = Mat::zeros(self.n, self.n);
        for (i, x) in x.iter().enumerate() {
            h[(i, i)] = (p - 1.0) * x.abs().powf(p - 2.0);
        }
        h
    }
}

/// f(x) = x²/2 + log(1 + eˣ) in one variable: strongly convex, with a known
/// constant in the local norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Softplus;

impl Softplus {
    /// sup |f‴| / (f″)^(3/2) = 2/(15√3), the L of
    /// [`Schedule::Aicn`](crate::Schedule::Aicn).
    pub const LOCAL_LIPSCHITZ: f64 = 0.076_980_035_891_950_11;

    /// x = 50, far on the side where f is nearly quadratic.
    pub fn start(&self) -> Vec<f64> {
        vec![50.0]
    }

    /// The solution of x = −1/(1 + e⁻ˣ).
    pub fn minimizer(&self) -> Vec<f64> {
        vec![MINIMIZER]
    }

    /// f there.
    pub fn minimum(&self) -> f64 {
        self.value(&[MINIMIZER])
    }
}

const MINIMIZER: f64 = -0.401_058_137_541_547;

/// 1/(1 + e⁻ˣ).
fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    (if x >= 0.0 { 1.0 } else { e }) / (1.0 + e)
}

impl Analytic for Softplus {
    fn dimension(&self) -> usize {
        1
    }
    fn value(&self, x: &[f64]) -> f64 {
        let x = x[0];
        0.5 * x * x + x.max(0.0) + (-x.abs()).exp().ln_1p()
    }
    fn slope(&self, x: &[f64]) -> Vec<f64> {
        vec![x[0] + sigmoid(x[0])]
    }
    fn curvature(&self, x: &[f64]) -> Mat<f64> {
        Mat::from_fn(1, 1, |_, _| 1.0 + sigmoid(x[0]) * sigmoid(-x[0]))
    }
}

argmin_traits!(Power, Softplus);

pub(super) fn at_least_one(n: usize) -> Result<(), Error> {
    if n == 0 {
        return Err(Error::parameter("n", n, "at least 1"));
    }
    Ok(())
}

pub(super) fn exponent_in_range(name: &'static str, p: f64) -> Result<(), Error> {
    if p >= 2.0 && p.is_finite() {
        return Ok(());
    }
    Err(Error::parameter(name, p, "finite and at least 2"))
}
