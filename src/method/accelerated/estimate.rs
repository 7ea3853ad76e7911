//! The estimating sequence: what all gradients so far say about the minimizer.
//!
//! With weights bₜ = (t+1)(t+2)/2 and their sums Bₜ = (t+1)(t+2)(t+3)/6,
//!
//! ψ(x) = Σ bᵢ(f(xᵢ₊₁) + ⟨gᵢ₊₁, x − xᵢ₊₁⟩) + (κ₂ + λ)/2 ‖x − x₀‖² + κ₃/3 ‖x − x₀‖³
//!
//! is minimized by y. As long as Bₜ f(xₜ₊₁) ≤ min ψ, convexity bounds
//! f(xₜ₊₁) − f* by the two powers of ‖x₀ − x*‖ over Bₜ.

use crate::linear::axpy;
use crate::parallel::norm;

/// Part of its bound at which κ₃ starts if it is certified.
const LEAST: f64 = 1e-6;
/// Doublings of κ₃ before the inequality is given up.
const DOUBLINGS: u32 = 60;
/// Halvings of log κ₃ after that.
const HALVINGS: u32 = 10;
/// Rounding of both sides of the inequality, relative to Bₜ|f|.
const ROUNDING: f64 = 1e-13;

/// ψ and its minimizer.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Estimate {
    /// x₀.
    origin: Vec<f64>,
    /// f(x₀), subtracted from all values.
    reference: f64,
    /// t.
    gathered: u64,
    /// Σ bᵢgᵢ₊₁.
    sum: Vec<f64>,
    /// Σ bᵢ(f(xᵢ₊₁) − f(x₀) + ⟨gᵢ₊₁, x₀ − xᵢ₊₁⟩).
    intercept: f64,
    /// κ₂.
    quadratic: f64,
    /// λ.
    noise: f64,
    /// κ₃.
    cubic: f64,
    /// y.
    minimizer: Vec<f64>,
}

impl Estimate {
    /// Forgets all gradients and starts from `x`, where f is `f`.
    pub(super) fn restart(&mut self, x: &[f64], f: f64) {
        for v in [&mut self.origin, &mut self.minimizer] {
            v.clear();
            v.extend_from_slice(x);
        }
        self.sum.clear();
        self.sum.resize(x.len(), 0.0);
        self.reference = f;
        self.gathered = 0;
        self.intercept = 0.0;
        self.quadratic = 0.0;
        self.noise = 0.0;
        self.cubic = 0.0;
    }

    /// Whether no gradient was gathered yet.
    pub(super) fn is_new(&self) -> bool {
        self.gathered == 0
    }

    /// t + 3.
    pub(super) fn age(&self) -> f64 {
        self.gathered as f64 + 3.0
    }

    /// bₜ and Bₜ.
    fn weights(&self) -> (f64, f64) {
        let t = self.gathered as f64;
        let weight = (t + 1.0) * (t + 2.0) / 2.0;
        (weight, weight * (t + 3.0) / 3.0)
    }

    /// `out` = (1 − α)x + αy with α = 3/(t + 3).
    pub(super) fn extrapolate(&self, x: &[f64], out: &mut [f64]) {
        let alpha = 3.0 / self.age();
        for ((out, x), y) in out.iter_mut().zip(x).zip(&self.minimizer) {
            *out = x + alpha * (y - x);
        }
        if self.is_new() {
            out.copy_from_slice(x);
        }
    }

    /// ‖y − x₀‖.
    pub(super) fn reach(&self) -> f64 {
        let pairs = self.minimizer.iter().zip(&self.origin);
        let squared: f64 = pairs.map(|(y, x)| (y - x) * (y - x)).sum();
        squared.sqrt()
    }

    /// Takes in xₜ₊₁ with its value and gradient, the δ̄ and M it was found with and the
    /// `drift` σ/R of the noise; κ₃ is certified if the value is exact.
    pub(super) fn gather(&mut self, found: &Found<'_>) {
        let (weight, total) = self.weights();
        axpy(weight, found.g, &mut self.sum);
        let offset: f64 = (found.g.iter().zip(&self.origin).zip(found.x))
            .map(|((g, o), x)| g * (o - x))
            .sum();
        self.intercept += weight * (found.f - self.reference + offset);
        let quadratic = 2.0 * found.quadratic * weight * weight / total;
        self.quadratic = self.quadratic.max(quadratic);
        self.noise = self.noise.max(found.drift * self.age().powf(2.5));
        let bound = 8.0 / 3.0 * found.m * weight * (weight / total) * (weight / total);
        let bound = self.cubic.max(bound);
        self.cubic = if found.certified {
            self.certify(bound, found.f)
        } else {
            bound
        };
        self.minimize();
        self.gathered += 1;
    }

    /// The least κ₃ in sight, not below the present one, for which Bₜ f ≤ min ψ; the `bound`
    /// of the theory if there is none, as where f is not convex.
    fn certify(&self, bound: f64, f: f64) -> f64 {
        let (_, total) = self.weights();
        let holds = |cubic: f64| {
            let slack = ROUNDING * total * f.abs().max(self.reference.abs());
            total * (f - self.reference) <= self.least(cubic) + slack
        };
        let mut low = if self.cubic > 0.0 {
            self.cubic
        } else {
            LEAST * bound
        };
        if holds(low) {
            return low;
        }
        let mut high = bound.max(2.0 * low);
        let mut doublings = 0;
        while !holds(high) {
            if doublings == DOUBLINGS {
                return bound;
            }
            doublings += 1;
            low = high;
            high *= 2.0;
        }
        for _ in 0..HALVINGS {
            let middle = low.sqrt() * high.sqrt();
            if holds(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    }

    /// ‖y − x₀‖ for this κ₃.
    fn radius(&self, cubic: f64) -> f64 {
        let pull = norm(&self.sum);
        if pull == 0.0 {
            return 0.0;
        }
        let a = self.quadratic + self.noise;
        2.0 * pull / (a + a.hypot(2.0 * cubic.sqrt() * pull.sqrt()))
    }

    /// min ψ − Bₜ f(x₀) for this κ₃.
    fn least(&self, cubic: f64) -> f64 {
        let r = self.radius(cubic);
        let a = self.quadratic + self.noise;
        self.intercept + r * (-norm(&self.sum) + r * (0.5 * a + r * cubic / 3.0))
    }

    fn minimize(&mut self) {
        self.minimizer.copy_from_slice(&self.origin);
        let r = self.radius(self.cubic);
        let pull = norm(&self.sum);
        if r > 0.0 && r.is_finite() {
            axpy(-r / pull, &self.sum, &mut self.minimizer);
        }
    }
}

/// An accepted point, for [`Estimate::gather`].
pub(super) struct Found<'a> {
    pub(super) x: &'a [f64],
    pub(super) f: f64,
    pub(super) g: &'a [f64],
    /// δ̄.
    pub(super) quadratic: f64,
    /// σ/R.
    pub(super) drift: f64,
    /// M.
    pub(super) m: f64,
    pub(super) certified: bool,
}

#[cfg(test)]
impl Estimate {
    /// min ψ − Bf(x) for the last point gathered, whose value is `f`, and B.
    pub(super) fn margin(&self, f: f64) -> (f64, f64) {
        let t = self.gathered as f64 - 1.0;
        let total = (t + 1.0) * (t + 2.0) * (t + 3.0) / 6.0;
        let margin = self.least(self.cubic) - total * (f - self.reference);
        (margin, total)
    }

    /// The bound on f − f* for ‖x₀ − x*‖ = `distance`.
    pub(super) fn guarantee(&self, distance: f64) -> f64 {
        let (_, total) = self.margin(0.0);
        let square = distance * distance;
        (0.5 * (self.quadratic + self.noise) * square + self.cubic * square * distance / 3.0)
            / total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::dot;

    #[test]
    fn y_minimizes_the_estimate() {
        let mut estimate = Estimate::default();
        estimate.restart(&[1.0, -2.0, 0.5], 3.0);
        for k in 0..4 {
            let x = [0.3, 0.1 * f64::from(k), -1.0];
            let found = Found {
                x: &x,
                f: 2.0 - f64::from(k),
                g: &[0.5, -1.0, 0.25 * f64::from(k)],
                quadratic: 0.1,
                drift: 0.01,
                m: 2.0,
                certified: false,
            };
            estimate.gather(&found);
            let psi = |x: &[f64]| {
                let d: Vec<f64> = x.iter().zip(&estimate.origin).map(|(x, o)| x - o).collect();
                let r = norm(&d);
                estimate.intercept
                    + dot(&estimate.sum, &d)
                    + 0.5 * (estimate.quadratic + estimate.noise) * r * r
                    + estimate.cubic * r.powi(3) / 3.0
            };
            let least = psi(&estimate.minimizer);
            assert!((least - estimate.least(estimate.cubic)).abs() <= 1e-13 * least.abs());
            for i in 0..3 {
                for h in [-1e-3, 1e-3] {
                    let mut near = estimate.minimizer.clone();
                    near[i] += h;
                    assert!(psi(&near) > least);
                }
            }
        }
    }

    #[test]
    fn weights_are_sums() {
        let mut estimate = Estimate::default();
        let mut sum = 0.0;
        for t in 0..20 {
            estimate.gathered = t;
            let (weight, total) = estimate.weights();
            sum += weight;
            assert_eq!(total, sum);
            assert!((weight / total - 3.0 / estimate.age()).abs() < 1e-15);
        }
    }
}
