//! Nonlinear least squares: Levenberg-Marquardt in a trust region, and Gauss-Newton.
//!
//! # Problem
//! min f(x) = ½‖r(x)‖² for m residuals r of n variables, m and n in any order, with Jacobian J of
//! any rank. With [`loss`](crate::Raphson::loss) f = ½s² Σ ρ((rᵢ/s)²) instead; write W = diag(√Q)
//! and t for the weighted residuals of the [loss](RobustLoss), without one W = I and t = r.
//! The gradient is (WJ)ᵀt and the model of f
//!
//! m(p) = ½‖t + WJp‖² − ½‖t‖², whose curvature JᵀQJ is semidefinite.
//!
//! # Update
//! [`LevenbergMarquardt`] minimizes m over ‖Dp‖ ≤ Δ, D = diag of the largest column norms of WJ so
//! far, so it does not see the units of the variables: with A = WJD⁻¹ and α ≥ 0
//!
//! (AᵀA + αI) Dp = −Aᵀt, and α = 0 or ‖Dp‖ = Δ to 1 % (10 % if J is sparse).
//!
//! Δ₀ = ‖Dx₀‖ (‖r₀‖ if that is 0). A trial is accepted if f falls by more than 10⁻⁴ of what m
//! predicts. Below a quarter of it, or where a residual is not finite, Δ = ‖Dp‖/4; above three
//! quarters with α > 0, Δ triples.
//!
//! [`GaussNewton`] takes x₊ = x + ap with the minimizer p of m and a = 1, ½, ¼, … by the same rule
//! of acceptance. Of several minimizers it takes the shortest in the units of x: a linear problem
//! is solved in one step from anywhere, from x₀ = 0 to its solution of least norm.
//!
//! # How the step is computed
//! A dense A is reduced by Householder's QR to its shorter side, rows if m < n, and the square
//! factor to its singular values: AᵀA is not formed and every α costs O(min(m, n)). Singular values
//! up to ε·max(m, n) times the largest count as zero. A sparse J is never made dense: normal
//! equations of the shorter side, sparse Cholesky after one symbolic analysis, and one step of
//! refinement with A itself; where they are singular they are damped by 10⁻⁸ and refined four
//! times, which tends to the solution of least ‖Dp‖.
//!
//! # Stopping
//! * [`gradient_tol`](crate::Raphson::gradient_tol): **the largest cosine between t and a column of
//!   WJ** is at most this, 10⁻¹⁰ by default; it has no unit. Any one variable can then lower f
//!   by 10⁻²⁰ of it at most; digits of x are lost to the condition of J.
//! * `PrecisionFloor`: the undamped step predicts a decrease below the rounding noise of f, or is
//!   itself below that of x (4ε‖Dx‖, D the present column norms); up to three more such steps are
//!   taken as long as f does not rise, because they still improve x. After two rejected trials it is
//!   also enough that the predicted decrease is below the rounding of r, 16ε‖t‖‖Dx‖, or that both
//!   the trial and each variable alone (½‖t‖² times its squared cosine) promise less than the noise
//!   of f: large residuals make J a poor guide there.
//! * [`step_tol`](crate::Raphson::step_tol), [`cost_tol`](crate::Raphson::cost_tol),
//!   [`gradient_tol_abs`](crate::Raphson::gradient_tol_abs),
//!   [`decrement_tol`](crate::Raphson::decrement_tol) (λ²/2 is the decrease that the undamped step
//!   predicts) as everywhere, off by default. r = 0 or g = 0 ends at once.
//!
//! r or J not finite at the start, or J at an accepted point: `Failed(NonFinite)`, the row in
//! [`Report::offender`](crate::Report); so too if no trial of a step is finite. 60 rejected trials:
//! `Failed(SearchFailed)`; a trial that rounds to x although the model promises more: `Failed(Stalled)`.
//!
//! # Cost
//! Exactly one evaluation of r per trial and one of J per accepted step, beside one of each at
//! x₀; after a resumption one more J, counted as `rebuilt`. Per accepted step 2mn·k flops and about
//! 20k³, k = min(m, n), per trial O(n·k); storage J once and 3k². Sparse: BᵀB costs half the sum of
//! squared row lengths, per trial 1 to 4 sparse factorizations.
//!
//! # Convergence
//! Every accumulation point is stationary (J Lipschitz, bounded level set). Quadratic if r* = 0 and
//! J* has full rank, linear with the factor ‖Σ rᵢ∇²rᵢ‖ relative to JᵀJ if not.
//!
//! # Differences from the source
//! Singular values instead of a new elimination for every α; the radius triples; a column of zeros
//! has no scale instead of the scale 1; the tests of the floor are ours.
//!
//! # References
//! J. J. Moré, "The Levenberg-Marquardt algorithm: implementation and theory", Lecture Notes in
//! Mathematics 630 (1978), sections 4 to 6. Å. Björck, *Numerical Methods for Least Squares
//! Problems* (1996), section 6.6 on refinement of normal equations. B. Triggs et al., "Bundle
//! adjustment: a modern synthesis" (2000), section 4.3 on weights of robust losses.

mod core;
mod restraint;
mod robust;
mod secular;
mod statistics;
mod system;

pub use self::core::LeastSquaresCore;
use crate::oracle::Residuals;
use crate::solver::Raphson;
pub use restraint::{Halving, Region, Restraint};
pub use robust::RobustLoss;
pub use statistics::Statistics;

/// Nonlinear least squares in a trust region, the default choice; see the [module](self).
///
/// For problems with argmin's `Operator` (r) and `Jacobian`. The best value is f = ½‖r‖², half
/// the sum of squares.
///
/// ```
/// use argmin::core::{Error, Jacobian, Operator};
/// use raphson::LevenbergMarquardt;
///
/// // Rosenbrock's function: r = (10(x₂ − x₁²), 1 − x₁).
/// struct Valley;
/// impl Operator for Valley {
///     type Param = Vec<f64>;
///     type Output = Vec<f64>;
///     fn apply(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
///         Ok(vec![10.0 * (x[1] - x[0] * x[0]), 1.0 - x[0]])
///     }
/// }
/// impl Jacobian for Valley {
///     type Param = Vec<f64>;
///     type Jacobian = [[f64; 2]; 2];
///     fn jacobian(&self, x: &Vec<f64>) -> Result<[[f64; 2]; 2], Error> {
///         Ok([[-20.0 * x[0], 10.0], [-1.0, 0.0]])
///     }
/// }
///
/// let run = LevenbergMarquardt::new().minimize(&Valley, vec![-1.2, 1.0])?;
/// assert!(run.converged() && run.f == 0.0);
/// assert_eq!(run.counts["operator_count"], 1 + run.report.trials);
/// assert_eq!(run.counts["jacobian_count"], 1 + run.report.iterations);
/// # Ok::<(), raphson::Error>(())
/// ```
///
/// Without a Jacobian: exactly by [`AutoDiff`](crate::AutoDiff) around a
/// [`VectorFunction`](crate::autodiff::VectorFunction), or by differences in
/// [`FromResiduals`](crate::difference::FromResiduals).
pub type LevenbergMarquardt = Raphson<LeastSquaresCore<Region>, Residuals>;

/// Gauss-Newton with step halving and steps of least norm; see the [module](self).
///
/// For linear and nearly linear residuals. [`LevenbergMarquardt`] converges from farther away and
/// where J is nearly singular.
///
/// ```
/// use raphson::{GaussNewton, problem};
/// // A line through three points, from a poor start: one step.
/// let line = problem::residuals_fn(
///     |x: &[f64]| [(1.0, 1.0), (2.0, 2.0), (3.0, 2.0)].map(|(t, y)| x[0] + x[1] * t - y).to_vec(),
///     |_: &[f64]| [[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]],
/// );
/// let run = GaussNewton::new().max_iters(1).minimize(&line, vec![100.0, -100.0])?;
/// assert!((run.x[0] - 2.0 / 3.0).abs() < 1e-12 && (run.x[1] - 0.5).abs() < 1e-12);
/// # Ok::<(), raphson::Error>(())
/// ```
pub type GaussNewton = Raphson<LeastSquaresCore<Halving>, Residuals>;

impl Raphson<LeastSquaresCore<Region>, Residuals> {
    /// For problems with argmin's `Operator` and `Jacobian`.
    pub fn new() -> Self {
        Raphson::from_method(LeastSquaresCore::new())
    }
}

impl Default for Raphson<LeastSquaresCore<Region>, Residuals> {
    fn default() -> Self {
        Self::new()
    }
}

impl Raphson<LeastSquaresCore<Halving>, Residuals> {
    /// For problems with argmin's `Operator` and `Jacobian`.
    pub fn new() -> Self {
        Raphson::from_method(LeastSquaresCore::new())
    }
}

impl Default for Raphson<LeastSquaresCore<Halving>, Residuals> {
    fn default() -> Self {
        Self::new()
    }
}

impl<G: Restraint> Raphson<LeastSquaresCore<G>, Residuals> {
    /// A robust loss with its `scale` s, in the units of r, instead of the square. Default: none.
    ///
    /// Residuals well below s count as squares. f = ½s² Σ ρ((rᵢ/s)²).
    pub fn loss(mut self, loss: RobustLoss, scale: f64) -> Self {
        self.method.set_loss(loss, scale);
        self
    }

    /// Standard errors and covariance at the present point; see
    /// [`Run::statistics`](crate::Run::statistics).
    pub fn statistics(&self) -> Option<Statistics> {
        crate::method::Method::statistics(&self.method)
    }
}
