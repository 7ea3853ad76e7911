//! Accelerated cubic Newton, for inexact and stochastic derivatives of convex functions.
//!
//! # Problem
//! min f(x) for convex f whose Hessian has the Lipschitz constant L. Gradients may
//! carry noise of variance at most σ₁², Hessians an error of norm at most δ₂; they
//! are drawn by the problem's own functions.
//!
//! # Update
//! With bₜ = (t+1)(t+2)/2, Bₜ = (t+1)(t+2)(t+3)/6 and δ̄ = 2δ₂ + (σ₁+τ)(t+3)^(3/2)/R,
//!
//! | step | formula |
//! |---|---|
//! | point of the model | v = (1−α)xₜ + αyₜ, α = 3/(t+3) |
//! | cubic step | xₜ₊₁ = v + s, s minimizes g(v)ᵀs + ½sᵀ(H(v)+δ̄I)s + (M/6)‖s‖³ |
//! | gradients so far | S = Σ bᵢ g(xᵢ₊₁) |
//! | regularization | κ₂ ≥ 2δ̄bₜ²/Bₜ, κ₃ ≥ (8/3)Mbₜ³/Bₜ², λ ≥ (σ₁/R)(t+3)^(5/2) |
//! | aggregate | yₜ₊₁ minimizes Sᵀx + (κ₂+λ)/2 ‖x−x₀‖² + κ₃/3 ‖x−x₀‖³ |
//!
//! The gradient at v and the one at xₜ₊₁, which alone enters S, are separate calls,
//! so that a stochastic problem draws a fresh sample for each. Only at t = 0, where
//! v = x₀, the gradient of the start serves.
//!
//! * M: a step is accepted if −g(xₜ₊₁)ᵀs ≥ min(‖g(xₜ₊₁)‖²/(4δ̄), ‖g(xₜ₊₁)‖^(3/2)/√(3M)),
//!   else M is doubled; it is halved after each success. The first M is
//!   0.02 c²/‖g₀‖, c = |gᵀHg|/‖g‖² at the start, so no constant has a unit. With
//!   σ₁ > 0 the test is eased by 2σ₁‖s‖. Or M is fixed
//!   ([`constant`](crate::Raphson::constant)): the theory wants M ≥ 2L.
//! * κ₃ is raised only as far as Bₜ f(xₜ₊₁) ≤ min ψ needs it, ψ the estimate that y
//!   minimizes, from 10⁻⁶ of its formula on
//!   ([`certified`](crate::Raphson::certified)).
//! * Restart: if f(xₜ₊₁) > f(xₜ), the point is discarded and the method starts
//!   again from xₜ ([`restart`](crate::Raphson::restart)). A point v where a derivative is
//!   not finite restarts it as well.
//! * R is [`distance`](crate::Raphson::distance), or by a rule without proof
//!   max(‖g₀‖/c, 2‖yₜ−x₀‖) so far.
//!
//! With σ₁ > 0 values may be noisy too and are only reported: κ₃ has its formula,
//! there is no restart, the last point is returned (argmin's own best point is
//! still the one of least value), and 3σ₁ is added to ‖g‖ in tests of
//! convergence. Such a run wants a limit on iterations or time. The test of an
//! adaptive M sees the sample that enters S, which no proof covers; a fixed M is free of that.
//!
//! # Stopping
//! ‖g‖ ≤ 10⁻⁸ ‖g₀‖ by default. Where the predicted decrease is below the rounding
//! noise of f, a step is accepted if the gradient falls, and a change of f within
//! the noise counts as a rise unless the gradient is halved; the run ends as
//! `Converged(PrecisionFloor)` if the gradient does not fall from v = x either. f is not
//! monotone without restarts, so the best point is kept.
//!
//! # Cost
//! Per iteration 1 Hessian, 2 gradients, 1 value and the 2 to 5 Cholesky
//! factorizations of a cubic step, or one reduction to tridiagonal form (4d³/3
//! flops) if H + δ̄I is indefinite; a rejected trial costs a gradient more, a
//! restart a Hessian and two gradients. Sparse Hessians stay sparse. In
//! [`Report`](crate::Report) a discarded point is a rejected trial; each
//! iteration but the first after a start or restart evaluates the gradient at v.
//!
//! # Convergence
//! E f(x_T) − f* = O(σ₁R/√T + δ₂R²/T² + MR³/T³); for exact gradients
//! f(x_T) − f* ≤ 9δ̄R²/T² + 24MR³/T³ with R = ‖x₀ − x*‖. Plain cubic Newton has MR³/T².
//!
//! # When to use it
//! For inexact or sampled derivatives, where the errors enter with these powers and
//! the Hessian may be much cruder than the gradient, and for the guarantee. With
//! exact derivatives [`CubicNewton`](crate::CubicNewton) was faster in all our
//! measurements, 1.6 to 6 times on logistic regression: near the minimizer this method's
//! rate stays a power of k until a restart, and where the Hessian is singular at the minimizer f
//! may never rise, so that none comes.
//!
//! # Differences from the source
//! The constants are derived anew; the certified κ₃, the adaptive M with its test,
//! the rule for R and the multipliers of the noise are ours.
//!
//! # Reference
//! A. Agafonov, D. Kamzolov, A. Gasnikov, A. Kavis, K. Antonakopoulos, V. Cevher,
//! M. Takáč, "Advancing the lower bounds: an accelerated, stochastic, second-order
//! method with optimal adaptation to inexactness" (2023).

mod core;
mod estimate;

pub use self::core::AcceleratedCubicCore;

use crate::oracle::{Explicit, OnePass};
use crate::solver::Raphson;

/// Accelerated cubic Newton for inexact derivatives of convex functions; see the [module](self).
///
/// ```
/// use raphson::{AcceleratedCubicNewton, problem};
///
/// // A constant in place of the Hessian, off by at most 4 near the optimum.
/// let f = |x: &[f64]| (x[0] + x[1]).exp() + x[0] * x[0] + 2.0 * x[1] * x[1];
/// let g = |x: &[f64]| {
///     let e = (x[0] + x[1]).exp();
///     vec![e + 2.0 * x[0], e + 4.0 * x[1]]
/// };
/// let h = |_: &[f64]| [[4.0, 2.0], [2.0, 6.0]];
/// let run = AcceleratedCubicNewton::new()
///     .hessian_error(4.0)
///     .minimize(&problem::from_fn(f, g, h), vec![1.0, -1.0])?;
/// assert!(run.converged());
/// # Ok::<(), raphson::Error>(())
/// ```
pub type AcceleratedCubicNewton<C = Explicit> = Raphson<AcceleratedCubicCore, C>;

impl Raphson<AcceleratedCubicCore, Explicit> {
    /// For problems with argmin's `CostFunction`, `Gradient` and `Hessian`.
    pub fn new() -> Self {
        Raphson::from_method(AcceleratedCubicCore::default())
    }
}

impl Default for Raphson<AcceleratedCubicCore, Explicit> {
    fn default() -> Self {
        Self::new()
    }
}

impl Raphson<AcceleratedCubicCore, OnePass> {
    /// For problems with our [`Fused`](crate::Fused): value and gradient in one pass.
    pub fn fused() -> Self {
        Raphson::from_method(AcceleratedCubicCore::default())
    }
}

impl<C> Raphson<AcceleratedCubicCore, C> {
    /// σ₁, the root of E‖g − ∇f‖², in the units of g: of a mean over b samples the root of
    /// tr Cov/b. Default 0: exact gradients and values.
    pub fn gradient_noise(mut self, sigma: f64) -> Self {
        self.method.options.gradient_noise = sigma;
        self
    }

    /// δ₂, a bound on ‖H − ∇²f‖, in the units of H: of a mean over b samples about three
    /// standard deviations. Default 0.
    pub fn hessian_error(mut self, delta: f64) -> Self {
        self.method.options.hessian_error = delta;
        self
    }

    /// The parts of [`gradient_noise`](Raphson::gradient_noise) and
    /// [`hessian_error`](Raphson::hessian_error) that enter the formulas. Default 0.05 and 0.3,
    /// with which runs were faster in our measurements; the guarantees hold for 1 and 1.
    pub fn noise_multipliers(mut self, gradient: f64, hessian: f64) -> Self {
        self.method.options.multipliers = [gradient, hessian];
        self
    }

    /// τ, a bound on the gradient of the model at the step, in the units of g. Matters to a
    /// linear model with more features than rows, whose Hessian is never formed; all other steps are exact.
    /// Default 0: min(0.1, sqrt(‖g(v)‖/‖g₀‖)) ‖g(v)‖ where the solve is iterative.
    pub fn subproblem_error(mut self, tau: f64) -> Self {
        self.method.options.subproblem_error = tau;
        self
    }

    /// R ≥ ‖x₀ − x*‖, which σ₁ and τ are weighed against. Default: from the iterates.
    pub fn distance(mut self, distance: f64) -> Self {
        self.method.options.distance = Some(distance);
        self
    }

    /// A fixed M, as for f whose Hessian has the Lipschitz constant L: the theory wants M ≥ 2L
    /// and every step is accepted that is finite. Default: adaptive.
    pub fn constant(mut self, m: f64) -> Self {
        self.method.options.constant = Some(m);
        self
    }

    /// Raises κ₃ only as far as the proof needs it, judged by values of f, instead of by its
    /// formula: the same guarantee, faster. Without effect if there is noise. Default: true.
    pub fn certified(mut self, certified: bool) -> Self {
        self.method.options.certified = certified;
        self
    }

    /// Starts again from the last point where f would rise. Without effect if there is noise.
    /// Default: true.
    pub fn restart(mut self, restart: bool) -> Self {
        self.method.options.restart = restart;
        self
    }
}
