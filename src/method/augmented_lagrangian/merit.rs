//! The exact augmented Lagrangian and its penalties.
//!
//! M(x, λ) = f + λᵀc + (ε₁/2)‖c‖² + (ε₂/2)‖∇L‖² has, with H = ∇²L,
//!
//! ∂M/∂x = ∇L + ε₂H∇L + ε₁Gᵀc and ∂M/∂λ = c + ε₂G∇L.

use super::point::Point;
use crate::parallel::dot;

/// ε₁ and ε₂ never go beyond these multiples of where they started.
const LARGEST: f64 = 1e12;

/// ε₁, ε₂ and the accuracy δ of inner solves.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Penalties {
    /// ε₁ of ‖c‖².
    pub(super) constraints: f64,
    /// ε₂ of ‖∇L‖².
    pub(super) gradient: f64,
    /// δ.
    pub(super) accuracy: f64,
}

impl Penalties {
    /// M.
    pub(super) fn merit(&self, at: &Point) -> f64 {
        at.f + at.dual_term()
            + 0.5 * self.constraints * at.violation * at.violation
            + 0.5 * self.gradient * at.slope * at.slope
    }

    /// Sum of the sizes of the terms of M, which its rounding error is proportional to.
    pub(super) fn magnitude(&self, at: &Point) -> f64 {
        at.f.abs()
            + at.dual_term().abs()
            + 0.5 * self.constraints * at.violation * at.violation
            + 0.5 * self.gradient * at.slope * at.slope
    }

    /// ε₁ ← ν²ε₁, ε₂ ← ε₂/ν, δ ← δ/ν⁴ but at least `least`.
    pub(super) fn raise(&mut self, nu: f64, least: f64) {
        self.constraints *= nu * nu;
        self.gradient /= nu;
        self.accuracy = (self.accuracy / nu.powi(4)).max(least.min(self.accuracy));
    }

    /// Whether the penalties have gone as far as they may from `start`.
    pub(super) fn are_exhausted(&self, start: &Penalties) -> bool {
        self.constraints > LARGEST * start.constraints || self.gradient * LARGEST < start.gradient
    }
}

/// ⟨∇M, z⟩ along a direction z = (p, q), as a function of the penalties.
#[derive(Debug, Clone, Copy)]
pub(super) struct Derivative {
    /// ∇Lᵀp + cᵀq.
    lagrangian: f64,
    /// (Gᵀc)ᵀp.
    constraints: f64,
    /// (H∇L)ᵀp + (G∇L)ᵀq.
    gradient: f64,
}

/// What derivatives of M at one point need of its second derivatives.
#[derive(Debug, Clone, Default)]
pub(super) struct MeritGradient {
    /// Gᵀc.
    pub(super) constraints: Vec<f64>,
    /// (H∇L, G∇L).
    pub(super) gradient: Vec<f64>,
}

impl MeritGradient {
    /// Takes over Gᵀc and G∇L; the first n entries of `gradient`, H∇L, are the caller's.
    pub(super) fn load(&mut self, at: &Point) {
        let (n, order) = (at.x.len(), at.residual.len());
        self.constraints.resize(n, 0.0);
        self.gradient.resize(order, 0.0);
        at.jacobian.mul_transpose(&at.c, &mut self.constraints);
        at.jacobian.mul(&at.residual[..n], &mut self.gradient[n..]);
    }

    pub(super) fn along(&self, at: &Point, z: &[f64]) -> Derivative {
        Derivative {
            lagrangian: dot(&at.residual, z),
            constraints: dot(&self.constraints, &z[..at.x.len()]),
            gradient: dot(&self.gradient, z),
        }
    }
}

impl Derivative {
    pub(super) fn at(&self, penalties: &Penalties) -> f64 {
        self.lagrangian
            + penalties.constraints * self.constraints
            + penalties.gradient * self.gradient
    }
}

#[cfg(all(test, feature = "problems"))]
mod tests {
    use super::super::inner::hessian_times;
    use super::*;
    use crate::oracle::{Constrained, Counted, HostOracle, Oracle};
    use crate::problems::HockSchittkowski;
    use crate::record::Report;
    use std::collections::HashMap;

    #[test]
    fn the_gradient_is_that_of_the_merit_for_all_penalties() {
        let problem = HockSchittkowski::Hs77;
        let x = [1.3, 0.4, 1.1, -0.2, 0.9];
        let multipliers = [0.7, -1.4];
        let (n, m) = (x.len(), multipliers.len());
        let (mut counts, mut report) = (HashMap::new(), Report::default());
        let mut host = HostOracle::<_, Constrained>::new(&problem, &mut counts, x.to_vec());
        let mut oracle = Counted {
            inner: &mut host,
            report: &mut report,
        };
        let mut at = Point::default();
        at.resize(n, m);
        let mut evaluate = |x: &[f64], l: &[f64]| {
            at.x.copy_from_slice(x);
            at.multipliers.copy_from_slice(l);
            assert!(at.evaluate(&mut oracle).unwrap());
            at.clone()
        };
        let base = evaluate(&x, &multipliers);
        let step = 1e-5;
        let moved: Vec<[Point; 2]> = (0..n + m)
            .map(|k| {
                [-step, step].map(|h| {
                    let (mut x, mut l) = (x, multipliers);
                    if k < n {
                        x[k] += h;
                    } else {
                        l[k - n] += h;
                    }
                    evaluate(&x, &l)
                })
            })
            .collect();
        oracle.refresh_lagrangian(&x, &multipliers).unwrap();
        let mut gradient = MeritGradient::default();
        gradient.load(&base);
        let product = &mut gradient.gradient[..n];
        hessian_times(&mut oracle, &base.residual[..n], product).unwrap();
        for (constraints, weight) in [(1.0, 0.1), (50.0, 1e-3), (1e-2, 30.0), (1e4, 1e-6)] {
            let penalties = Penalties {
                constraints,
                gradient: weight,
                accuracy: 0.1,
            };
            let mut unit = vec![0.0; n + m];
            let (mut size, mut error) = (0.0f64, 0.0f64);
            for (k, [before, after]) in moved.iter().enumerate() {
                unit[k] = 1.0;
                let exact = gradient.along(&base, &unit).at(&penalties);
                let difference = penalties.merit(after) - penalties.merit(before);
                error = error.max((difference / (2.0 * step) - exact).abs());
                size = size.max(exact.abs());
                unit[k] = 0.0;
            }
            assert!(error <= 1e-6 * size, "{constraints}: {error:e} of {size:e}");
        }
    }

    #[test]
    fn penalties_go_as_far_as_they_may() {
        let start = Penalties::default();
        let mut penalties = start;
        penalties.raise(1.5, 1e-4);
        assert_eq!(penalties.constraints, 2.25);
        assert!((penalties.gradient - 0.1 / 1.5).abs() < 1e-17);
        assert!((penalties.accuracy - 0.1 / 5.0625).abs() < 1e-16);
        let mut rounds = 1;
        while !penalties.are_exhausted(&start) {
            penalties.raise(1.5, 1e-4);
            rounds += 1;
        }
        assert!(rounds < 60 && penalties.accuracy == 1e-4);
    }
}
