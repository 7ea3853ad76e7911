//! The semi-dual: f eliminated.
//!
//! For given g the best f is f_i = (ε log a_i − ε log Σ_j exp((g_j − C_ij)/ε))/(1 + λ_a), which closes
//! the rows: r_i = a_i exp(−λ_a f_i/ε). Here λ = ε/ρ; λ = 0 is the balanced problem, where r = a. Then
//!
//! ```text
//! F(g) = Σ a_i φ(f_i; ρ_a) + Σ b_j φ(g_j; ρ_b) − ε Σ P_ij,   φ(x; ρ) = ρ (1 − exp(−x/ρ)), x for ρ = ∞
//! ∇F = b exp(−g/ρ_b) − c,   −∇²F = W/ε
//! W = diag(c + λ_b b exp(−g/ρ_b)) − Pᵀ diag(1/(r (1 + λ_a))) P .
//! ```
//!
//! F is concave; if both sides are balanced it is constant along g + const. A Sinkhorn sweep is
//! g_j ← (g_j + ε log(b_j/c_j))/(1 + λ_b); a
//! Newton step is g ← g + t ε q with W q = ∇F, the step of the full dual after elimination of
//! f. Both cost one pass, which closes the rows and gives c at the new point. Nothing overflows,
//! whatever g is.

use super::bands::{Bands, row_sum};
use super::problem::Reduced;

/// A column sum below this underflows or has lost digits.
const LIGHT: f64 = 1e-290;

/// A point g with what its pass gives, in units of ε.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Point {
    /// g/ε, padded by zeros.
    pub(crate) u: Vec<f64>,
    /// f/ε.
    pub(crate) f: Vec<f64>,
    /// Row sums.
    pub(crate) r: Vec<f64>,
    /// Column sums, padded.
    pub(crate) c: Vec<f64>,
    /// What the column sums should be: b, if it is not relaxed.
    pub(crate) target: Vec<f64>,
    /// F/ε.
    pub(crate) value: f64,
    /// ‖∇F‖₁, relative to the mass.
    pub(crate) error: f64,
}

/// φ(x)/ε for x in units of ε.
pub(crate) fn phi(x: f64, lambda: f64) -> f64 {
    if lambda == 0.0 {
        x
    } else {
        -(-lambda * x).exp_m1() / lambda
    }
}

impl Point {
    pub(crate) fn resize(&mut self, problem: &Reduced) {
        self.u.resize(problem.stride(), 0.0);
        self.c.resize(problem.stride(), 0.0);
        self.target.resize(problem.m(), 0.0);
        self.f.resize(problem.n(), 0.0);
        self.r.resize(problem.n(), 0.0);
    }

    /// Closes the rows at `u`.
    pub(crate) fn evaluate(&mut self, problem: &Reduced, eps: f64, bands: &mut Bands) {
        let out = (&mut self.f[..], &mut self.c[..]);
        bands.close_rows(problem, eps, &self.u, out, false);
        self.judge(problem, eps);
    }

    /// Closes the rows at `u` and stores the kernel there.
    pub(crate) fn evaluate_stored(&mut self, problem: &Reduced, eps: f64, bands: &mut Bands) {
        let out = (&mut self.f[..], &mut self.c[..]);
        bands.close_rows(problem, eps, &self.u, out, true);
        self.judge(problem, eps);
    }

    /// Row sums, value and error from u, f and c.
    pub(crate) fn judge(&mut self, problem: &Reduced, eps: f64) {
        let (la, lb) = problem.slack(eps);
        let (mut value, mut error) = (0.0, 0.0);
        for ((r, a), f) in self.r.iter_mut().zip(&problem.a).zip(&self.f) {
            *r = row_sum(*a, *f, la);
            value += a * phi(*f, la) - *r;
        }
        let columns = self.target.iter_mut().zip(&problem.b);
        for ((target, b), (u, c)) in columns.zip(self.u.iter().zip(&self.c)) {
            *target = row_sum(*b, *u, lb);
            value += b * phi(*u, lb);
            error += (*target - c).abs();
        }
        self.value = value;
        self.error = error / problem.unit;
    }

    /// One Sinkhorn sweep: closes the columns, then the rows.
    pub(crate) fn sweep(&mut self, problem: &Reduced, eps: f64, bands: &mut Bands) {
        self.close_columns(problem, eps, bands);
        self.evaluate(problem, eps, bands);
    }

    fn close_columns(&mut self, problem: &Reduced, eps: f64, bands: &mut Bands) {
        let (m, (_, lb)) = (problem.m(), problem.slack(eps));
        let light = self.c[..m].iter().any(|c| *c < LIGHT);
        if light {
            bands.log_columns(problem, eps, &self.f, &self.c, LIGHT);
        }
        for (j, u) in self.u[..m].iter_mut().enumerate() {
            let log_sum = if self.c[j] < LIGHT {
                bands.log_column(j)
            } else {
                self.c[j].ln() - *u
            };
            *u = (problem.log_b[j] - log_sum) / (1.0 + lb);
        }
    }

    /// max g − min g, in the units of ε.
    pub(crate) fn spread(&self, m: usize) -> f64 {
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        let (low, high) = self.u[..m]
            .iter()
            .fold(ends, |(l, h), &u| (l.min(u), h.max(u)));
        high - low
    }
}
