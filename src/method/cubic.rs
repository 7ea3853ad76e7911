//! Cubic regularization of Newton's method, with a Hessian that serves several steps.
//!
//! # Problem
//! min f(x) for f twice continuously differentiable with a Lipschitz Hessian;
//! f need not be convex.
//!
//! # Update
//! With the Hessian H at an anchor z, a step minimizes the model
//!
//! gᵀs + ½sᵀHs + (M/6)‖s‖³
//!
//! globally: (H + λI)s = −g with λ = (M/2)‖s‖ and H + λI ⪰ 0. It is accepted if
//! f − f₊ ≥ (M/24)‖s‖³, else M grows by 4; after three rejections a stale H is
//! evaluated again. M falls by 4 after a step with a fresh Hessian. The first M
//! is 0.002 c²/‖g₀‖, c = |gᵀHg|/‖g‖² at the start, so no constant has a unit.
//!
//! * [`LazyCubicNewton`]: H is evaluated when [`Refresh`] says so.
//! * [`CubicNewton`]: H at every point; with [`matrix_free`](crate::Raphson::matrix_free)
//!   the model is minimized over a Krylov space of 40 vectors.
//!
//! # Subproblem
//! A scalar equation for λ ([`subproblem`](crate::subproblem)), hard case
//! included, verified by its residual. A Hessian for 10 steps and more is
//! reduced to tridiagonal form once (4d³/3 flops), after which a step costs 4d²;
//! one for fewer steps is factored by Cholesky for one to four values of λ a step, and
//! reduced once that has cost as much, or where its least eigenvalue is needed. Sparse Hessians stay
//! sparse.
//!
//! # Stopping
//! ‖g‖ ≤ 10⁻⁸ ‖g₀‖ by default. With [`second_order`](crate::Raphson::second_order)
//! the test counts only where no eigenvalue of H is below −10⁻⁸ times its scale;
//! elsewhere the run goes on along negative curvature.
//!
//! # Cost
//! Per accepted step 1 gradient and 1/m Hessian; a rejected trial costs a value
//! and O(d²). Storage: one d x d matrix and the reflectors of its reduction.
//!
//! # Convergence
//! For m steps per Hessian and M = 6mL, ‖g‖ after k steps is
//! O((sqrt(mL)(f₀ − f*)/k)^(2/3)), and f − f* = O(mLD³/k²) for convex f: a
//! Hessian that costs m gradients is worth m steps.
//!
//! # Differences from the source
//! M is found by steps, not by phases that are taken back; its test constant and
//! the rules [`Refresh::Auto`] and [`Refresh::Contraction`] are ours.
//!
//! # References
//! Y. Nesterov, B. T. Polyak, "Cubic regularization of Newton method and its
//! global performance" (2006); N. Doikov, E. M. Chayti, M. Jaggi, "Second-order
//! optimization with lazy Hessians" (2023), algorithm 1; C. Cartis, N. I. M. Gould,
//! P. L. Toint, "Adaptive cubic regularisation methods for unconstrained
//! optimization" (2011).

use super::newton_type::{NewtonType, Preset};
use crate::globalization::cubic::CubicRegularization;
use crate::lazy::Refresh;
use crate::oracle::{Explicit, OnePass, Products};
use crate::solver::Raphson;
use crate::step::model::{Control, ModelStep};

/// Names [`LazyCubicNewton`].
#[derive(Debug, Clone, Copy)]
pub struct LazyCubic;

impl Preset for LazyCubic {
    const NAME: &'static str = "Lazy cubic Newton";
}

/// Names [`CubicNewton`].
#[derive(Debug, Clone, Copy)]
pub struct Cubic;

impl Preset for Cubic {
    const NAME: &'static str = "Cubic Newton";
}

/// The core of both.
pub type CubicCore<T> = NewtonType<ModelStep, CubicRegularization, T>;

/// Cubic regularization with Hessians that serve several steps; see the [module](self).
///
/// ```
/// use raphson::{LazyCubicNewton, Refresh, problem};
///
/// // A saddle at the origin, minima at (±1, 0).
/// let f = |x: &[f64]| 0.25 * x[0].powi(4) - 0.5 * x[0] * x[0] + x[1] * x[1];
/// let g = |x: &[f64]| vec![x[0].powi(3) - x[0], 2.0 * x[1]];
/// let h = |x: &[f64]| [[3.0 * x[0] * x[0] - 1.0, 0.0], [0.0, 2.0]];
/// let run = LazyCubicNewton::new()
///     .refresh(Refresh::Every(3))
///     .second_order(true)
///     .minimize(&problem::from_fn(f, g, h), vec![0.0, 1.0])?;
/// assert!(run.converged() && (run.f + 0.25).abs() < 1e-12);
/// # Ok::<(), raphson::Error>(())
/// ```
pub type LazyCubicNewton<C = Explicit> = Raphson<CubicCore<LazyCubic>, C>;

/// Cubic regularization with a Hessian, or a Krylov space, at every point; see the [module](self).
///
/// ```
/// use raphson::{CubicNewton, problem};
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
/// let run = CubicNewton::new().minimize(&problem::from_fn(f, g, h), vec![-1.2, 1.0])?;
/// assert!(run.converged() && (run.x[0] - 1.0).abs() < 1e-6);
/// # Ok::<(), raphson::Error>(())
/// ```
pub type CubicNewton<C = Explicit> = Raphson<CubicCore<Cubic>, C>;

fn core<T: Preset>(refresh: Refresh) -> CubicCore<T> {
    let step = ModelStep::new(Control::Cubic);
    NewtonType::assemble(step, CubicRegularization::default()).reusing(refresh)
}

/// What [`LazyCubicNewton`] does by default.
const LAZY: Refresh = Refresh::Contraction(0.3);

impl Raphson<CubicCore<LazyCubic>, Explicit> {
    /// For problems with argmin's `CostFunction`, `Gradient` and `Hessian`.
    pub fn new() -> Self {
        Raphson::from_method(core(LAZY))
    }
}

impl Default for Raphson<CubicCore<LazyCubic>, Explicit> {
    fn default() -> Self {
        Self::new()
    }
}

impl Raphson<CubicCore<LazyCubic>, OnePass> {
    /// For problems with our [`Fused`](crate::Fused): value and gradient in one pass.
    pub fn fused() -> Self {
        Raphson::from_method(core(LAZY))
    }
}

impl Raphson<CubicCore<Cubic>, Explicit> {
    /// For problems with argmin's `CostFunction`, `Gradient` and `Hessian`.
    pub fn new() -> Self {
        Raphson::from_method(core(Refresh::Every(1)))
    }
}

impl Default for Raphson<CubicCore<Cubic>, Explicit> {
    fn default() -> Self {
        Self::new()
    }
}

impl Raphson<CubicCore<Cubic>, OnePass> {
    /// For problems with our [`Fused`](crate::Fused): value and gradient in one pass.
    pub fn fused() -> Self {
        Raphson::from_method(core(Refresh::Every(1)))
    }
}

impl Raphson<CubicCore<Cubic>, Products> {
    /// For problems with argmin's `CostFunction` and `Gradient` and our
    /// [`HessianProduct`](crate::HessianProduct): the model is minimized over a Krylov space.
    pub fn matrix_free() -> Self {
        Raphson::from_method(core(Refresh::Every(1)))
    }

    /// Most vectors of the Krylov space, at least 1, each a product and a vector of storage.
    /// Default: 40.
    pub fn krylov(mut self, vectors: usize) -> Self {
        self.method.direction.krylov = vectors;
        self
    }
}

impl<C> Raphson<CubicCore<LazyCubic>, C> {
    /// When the Hessian is evaluated again. Default: [`Refresh::Contraction`] of 0.3.
    pub fn refresh(mut self, refresh: Refresh) -> Self {
        self.method = self.method.reusing(refresh);
        self
    }
}

impl<T: Preset, C> Raphson<CubicCore<T>, C> {
    /// A fixed M, as for f whose Hessian has the Lipschitz constant L: every step is accepted
    /// whose value is finite. The theory of m steps per Hessian wants M = 6mL. Default: adaptive.
    pub fn constant(mut self, m: f64) -> Self {
        self.method.globalization.fixed = Some(m);
        self
    }
}
