//! Trust-region Newton, the safe choice for functions that are not convex.
//!
//! # Problem
//! min f(x) for f twice continuously differentiable.
//!
//! # Update
//! The step minimizes gᵀs + ½sᵀHs over ‖s‖ ≤ Δ globally (Moré and Sorensen): s is
//! the Newton step where that is short enough and H positive definite, else
//! (H + λI)s = −g with H + λI ⪰ 0 and ‖s‖ = Δ, hard case included. It is accepted
//! if f falls by a tenth of what the model predicts. Δ is halved by a rejected step,
//! quartered below one quarter of the prediction, and tripled above three quarters if
//! the step reached the boundary; where f falls as predicted to a tenth, 4Δ is tried
//! from the same point before the step is taken, since a value costs less than a
//! Hessian. The first Δ is 3‖g₀‖/c with c = |gᵀHg|/‖g‖² at the start: three Cauchy
//! steps. There is no largest Δ.
//!
//! With [`matrix_free`](crate::Raphson::matrix_free) the step comes from truncated
//! conjugate gradients (Steihaug and Toint): they end on the boundary, at negative
//! curvature, or at the relative residual min(0.1, sqrt(‖g‖/‖g₀‖)).
//!
//! # Stopping
//! ‖g‖ ≤ 10⁻⁸ ‖g₀‖ by default. Near the optimum the ratio of the two decreases is
//! lost in rounding; from there the gradient judges, and the run ends as
//! `Converged(PrecisionFloor)` if it no longer falls. With
//! [`second_order`](crate::Raphson::second_order) the tests count only where no
//! eigenvalue of H is below −10⁻⁸ times its scale.
//!
//! # Cost
//! Per iteration 1 Hessian, 1 gradient and one Cholesky factorization while the
//! Newton step is short enough, else 2 to 5 for the boundary; a dense H is
//! reduced to tridiagonal form (4d³/3 flops) once these have cost as much or its least
//! eigenvalue is needed, which then serves all trials.
//! Sparse Hessians stay sparse. A rejected trial costs a value.
//!
//! # Convergence
//! To points with zero gradient and nonnegative curvature; quadratic at a
//! minimizer with positive definite Hessian.
//!
//! # References
//! J. J. Moré, D. C. Sorensen, "Computing a trust region step" (1983);
//! T. Steihaug, "The conjugate gradient method and trust regions in large scale
//! optimization" (1983); A. R. Conn, N. I. M. Gould, P. L. Toint, "Trust-Region
//! Methods" (2000).

use super::newton_type::{NewtonType, Preset};
use crate::globalization::trust_region::TrustRegion;
use crate::oracle::{Explicit, OnePass, Products};
use crate::solver::Raphson;
use crate::step::model::{Control, ModelStep};

/// Names [`TrustRegionNewton`].
#[derive(Debug, Clone, Copy)]
pub struct TrustRegionPreset;

impl Preset for TrustRegionPreset {
    const NAME: &'static str = "Trust-region Newton";
}

/// The core of [`TrustRegionNewton`].
pub type TrustRegionCore = NewtonType<ModelStep, TrustRegion, TrustRegionPreset>;

/// Trust-region Newton; see the [module](self).
///
/// ```
/// use raphson::{TrustRegionNewton, problem};
///
/// let f = |x: &[f64]| 100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2);
/// let g = |x: &[f64]| {
///     let r = x[1] - x[0] * x[0];
///     vec![-400.0 * r * x[0] - 2.0 * (1.0 - x[0]), 200.0 * r]
/// };
/// let h = |x: &[f64]| {
///     let off = -400.0 * x[0];
///     [[1200.0 * x[0] * x[0] - 400.0 * x[1] + 2.0, off], [off, 200.0]]
/// };
/// let run = TrustRegionNewton::new().minimize(&problem::from_fn(f, g, h), vec![-1.2, 1.0])?;
/// assert!(run.converged() && (run.x[0] - 1.0).abs() < 1e-6);
/// # Ok::<(), raphson::Error>(())
/// ```
pub type TrustRegionNewton<C = Explicit> = Raphson<TrustRegionCore, C>;

fn core() -> TrustRegionCore {
    NewtonType::assemble(ModelStep::new(Control::Radius), TrustRegion::default())
}

impl Raphson<TrustRegionCore, Explicit> {
    /// For problems with argmin's `CostFunction`, `Gradient` and `Hessian`.
    pub fn new() -> Self {
        Raphson::from_method(core())
    }
}

impl Default for Raphson<TrustRegionCore, Explicit> {
    fn default() -> Self {
        Self::new()
    }
}

impl Raphson<TrustRegionCore, OnePass> {
    /// For problems with our [`Fused`](crate::Fused): value and gradient in one pass.
    pub fn fused() -> Self {
        Raphson::from_method(core())
    }
}

impl Raphson<TrustRegionCore, Products> {
    /// For problems with argmin's `CostFunction` and `Gradient` and our
    /// [`HessianProduct`](crate::HessianProduct): truncated conjugate gradients.
    pub fn matrix_free() -> Self {
        Raphson::from_method(core())
    }
}

impl<C> Raphson<TrustRegionCore, C> {
    /// The first radius, in the units of x. Default: three times the length of the Cauchy step.
    pub fn radius(mut self, radius: f64) -> Self {
        self.method.globalization.initial = Some(radius);
        self
    }
}
