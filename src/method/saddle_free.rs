//! Saddle-free Newton, for functions with many saddle points.
//!
//! # Problem
//! min f(x) for f twice continuously differentiable and bounded below, not convex.
//!
//! # Update
//! With H = UDUᵀ and |H| = U|D|Uᵀ
//!
//! p(λ) = −(|H| + λI)⁻¹ g,   x₊ = x + p(λ).
//!
//! This minimizes the linear model gᵀp where the quadratic term may change it by a bounded
//! amount: |pᵀHp| ≤ pᵀ|H|p, and pᵀ|H|p ≤ Δ gives the formula. Along positive
//! curvature it is Newton's step, along negative curvature that step reversed: the saddle point
//! that Newton's method would go to is left. One decomposition serves all λ.
//!
//! λ is the best of 10⁻⁶ς, 10⁻⁵ς, …, ς with ς = ‖H‖ ([`Damping`]); every accepted step has
//! f₊ ≤ f + 10⁻⁴gᵀp. Where f falls by what the model predicts to a tenth already for 10⁻⁶ς,
//! no other λ is tried.
//!
//! # Krylov version
//! [`matrix_free`](crate::Raphson::matrix_free) restricts all this to the Krylov space of H and g of k
//! dimensions, k = 30 by default, with basis V (Lanczos, full orthogonalization) and
//! VᵀHV = YΘYᵀ: p = −VY(|Θ| + λI)⁻¹(VY)ᵀg. Because Θ ↦ |Θ| is not smooth in H,
//! this step does **not** approach the dense one gradually: on linear networks with 56 weights the
//! relative difference was 0.8, 1.7, 0.6 and 0.5 for k of 5, 10, 20 and 40 with λ = 10⁻³, and 1.0,
//! 0.5, 0.05 and 0.01 with the λ of the grid; for k = 56 it is rounding. It is a method of its own,
//! which coincides with the dense one for k = d.
//! [`inner`](crate::Raphson::inner) steps may share a basis; only their gradients are new.
//!
//! # Stationary points
//! A gradient test counts only where the Hessian has no negative eigenvalue; see
//! [`second_order`](crate::Raphson::second_order) for how saddle points are left and
//! [`probes`](crate::Raphson::probes) for degenerate ones. This needs an eigenvector of its own: the Krylov
//! space of g contains nothing that is orthogonal to g. A run that ends as
//! `Converged(SecondOrder)` has a zero gradient and nonnegative curvature; that this is a minimum
//! is for [`certify`](crate::Run::certify) to say. Near a strict saddle the
//! distance about doubles with every step.
//!
//! # Stopping
//! ‖g‖ ≤ 10⁻⁸‖g₀‖, and 10⁻⁶‖g₀‖ without a matrix, with the test above.
//!
//! # Cost
//! Per iteration 1 Hessian, 1 gradient, an eigendecomposition (9d³ operations, 3d² doubles), and per trial a
//! value and 2d² operations: 1 trial near a minimizer, 7 elsewhere. Krylov: k products, 4dk² operations, dk doubles.
//!
//! # When to use it
//! For d up to about 1500 with a matrix, above without. Where a Cholesky factorization
//! is much cheaper than an eigendecomposition, [`TrustRegionNewton`](crate::TrustRegionNewton) is the first
//! choice, and a well-shifted Newton method finds losses as low: what this method has to offer is the directness
//! with which it passes saddles.
//!
//! # Batches
//! [`StochasticSaddleFreeNewton`] takes gradient, Hessian and the values of the search for λ on the
//! same batch of a [`FiniteSum`](crate::FiniteSum). Take large batches.
//!
//! # Differences from the source
//! λ relative to ‖H‖, the early end of the grid, the test of descent and the rule at stationary points are ours.
//!
//! # Reference
//! Y. N. Dauphin, R. Pascanu, C. Gulcehre, K. Cho, S. Ganguli, Y. Bengio, "Identifying and attacking
//! the saddle point problem in high-dimensional non-convex optimization" (2014), section 6.

mod batches;

pub use self::batches::BatchSaddleFree;
use super::newton_type::{NewtonType, Preset};
use super::stochastic::StochasticCore;
pub use crate::globalization::saddle_free::Damping;
use crate::globalization::saddle_free::SaddleFreeDamping;
use crate::lazy::Refresh;
use crate::oracle::{BatchProducts, Batches, Explicit, OnePass, Products};
use crate::solver::Raphson;
use crate::step::saddle_free::SaddleFreeStep;

/// Names [`SaddleFreeNewton`].
#[derive(Debug, Clone, Copy)]
pub struct SaddleFree;

impl Preset for SaddleFree {
    const NAME: &'static str = "Saddle-free Newton";
}

/// The core of [`SaddleFreeNewton`].
pub type SaddleFreeCore = NewtonType<SaddleFreeStep, SaddleFreeDamping, SaddleFree>;

/// Saddle-free Newton; see the [module](self).
///
/// ```
/// use raphson::{SaddleFreeNewton, problem};
///
/// // A saddle at the origin, minima at (±1, 0).
/// let f = |x: &[f64]| 0.25 * x[0].powi(4) - 0.5 * x[0] * x[0] + 0.5 * x[1] * x[1];
/// let g = |x: &[f64]| vec![x[0].powi(3) - x[0], x[1]];
/// let h = |x: &[f64]| [[3.0 * x[0] * x[0] - 1.0, 0.0], [0.0, 1.0]];
/// let run = SaddleFreeNewton::new().minimize(&problem::from_fn(f, g, h), vec![0.0, 1.0])?;
/// assert!(run.converged() && (run.f + 0.25).abs() < 1e-12);
/// # Ok::<(), raphson::Error>(())
/// ```
pub type SaddleFreeNewton<C = Explicit> = Raphson<SaddleFreeCore, C>;

fn core() -> SaddleFreeCore {
    let mut core = NewtonType::assemble(SaddleFreeStep::default(), SaddleFreeDamping::default());
    core.second_order = true;
    core
}

impl Raphson<SaddleFreeCore, Explicit> {
    /// For problems with argmin's `CostFunction`, `Gradient` and `Hessian`.
    pub fn new() -> Self {
        Raphson::from_method(core())
    }
}

impl Default for Raphson<SaddleFreeCore, Explicit> {
    fn default() -> Self {
        Self::new()
    }
}

impl Raphson<SaddleFreeCore, OnePass> {
    /// For problems with our [`Fused`](crate::Fused): value and gradient in one pass.
    pub fn fused() -> Self {
        Raphson::from_method(core())
    }
}

impl Raphson<SaddleFreeCore, Products> {
    /// For problems with argmin's `CostFunction` and `Gradient` and our
    /// [`HessianProduct`](crate::HessianProduct): the step is made in a Krylov space.
    pub fn matrix_free() -> Self {
        Raphson::from_method(core()).gradient_tol(1e-6)
    }

    /// k, the most vectors of the Krylov space, at least 2, each a product and a vector of storage.
    /// Default: 30, or d if that is less.
    pub fn krylov(mut self, vectors: usize) -> Self {
        self.method.direction.krylov = vectors;
        self
    }
}

impl<C> Raphson<SaddleFreeCore, C> {
    /// How λ is chosen. Default: [`Damping::Grid`].
    pub fn damping(mut self, damping: Damping) -> Self {
        self.method.globalization.damping = damping;
        self
    }

    /// λ of 10⁻⁶ to 1 as it is, not times ‖H‖. Default: false.
    pub fn absolute_damping(mut self, absolute: bool) -> Self {
        self.method.globalization.absolute = absolute;
        self
    }

    /// Steps that share a decomposition or a Krylov basis, at least 1. Default: 1.
    pub fn inner(mut self, steps: u64) -> Self {
        self.method = self.method.reusing(Refresh::Every(steps));
        self
    }
}

/// Saddle-free Newton on batches; see the [module](self).
///
/// Steps are the whole p(λ), or what [`schedule`](crate::Raphson::schedule) leaves of it. Budgets,
/// evaluation points and stopping are those of
/// [`StochasticNewton`](crate::StochasticNewton); saddle points are not looked for at evaluation
/// points, the noise of the batches leaves them.
///
/// ```
/// use raphson::{Dataset, StochasticSaddleFreeNewton, models::Mlp};
///
/// // Exclusive or, which no linear model can tell.
/// let rows = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]].map(|r| r.to_vec());
/// let data = Dataset::from_rows(&rows, &[0.0, 1.0, 1.0, 0.0])?;
/// let model = Mlp::classifier(&data, &[4]).l2(1e-3);
/// let run = StochasticSaddleFreeNewton::new().minimize(&model, model.initial(1, 0.5))?;
/// assert_eq!(model.error_rate(&run.x, &data)?, 0.0);
/// # Ok::<(), raphson::Error>(())
/// ```
pub type StochasticSaddleFreeNewton<C = Batches> = Raphson<StochasticCore<BatchSaddleFree>, C>;

impl Raphson<StochasticCore<BatchSaddleFree>, BatchProducts> {
    /// For a [`FiniteSum`](crate::FiniteSum) with products: steps in a Krylov space of k dimensions.
    pub fn matrix_free() -> Self {
        Raphson::from_method(StochasticCore::assemble())
    }

    /// k, as for [`SaddleFreeNewton`].
    pub fn krylov(mut self, vectors: usize) -> Self {
        self.method.rule.step.krylov = vectors;
        self
    }
}

impl<C> Raphson<StochasticCore<BatchSaddleFree>, C> {
    /// How λ is chosen. Default: [`Damping::Grid`].
    pub fn saddle_damping(mut self, damping: Damping) -> Self {
        self.method.rule.damping.damping = damping;
        self
    }
}
