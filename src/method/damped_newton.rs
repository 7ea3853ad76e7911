//! Damped Newton: parameter-free, one factorization per iteration.
//!
//! # Problem
//! min f(x) for f twice continuously differentiable and convex, H(x) positive
//! definite on the level set. Smoothness is measured in the local norms
//! ‖h‖ₓ = sqrt(hᵀHh), so the method does not see affine changes of variables.
//!
//! # Update
//! x₊ = x − α H⁻¹g. The default [`Schedule::Universal`] takes α = 1/(1 + θ),
//! θ = σλ^(2/3) with the Newton decrement λ = sqrt(gᵀH⁻¹g), and multiplies σ by
//! 4 until
//!
//! Gᵀn ≥ ‖G‖*² / (2αθ),
//!
//! where n = H⁻¹g, G is the gradient at the trial and ‖·‖* its local dual norm;
//! an accepted step divides σ by 4. If θ ≤ ¼ a full step is tried first and taken
//! if ‖G‖* ≤ λ/2 and f falls by 0.1 λ²: so the end is quadratic. All trials share
//! n and the factor. The first σ makes θ = 0.1; no constant has a unit.
//!
//! # Matrix-free
//! With [`matrix_free`](crate::Raphson::matrix_free) (and for linear models too
//! large to factor) n comes from conjugate gradients to the relative residual
//! min(0.3, max(sqrt(‖g‖/‖g₀‖), t/(4‖g‖))), where t is the ‖g‖ that ends the run: the order is
//! 1.5, and the last step is solved no further than it needs. The
//! preconditioner is diag(H)^½ or diag(H), whichever showed the better rate. The tests are
//! replaced by f(x₊) ≤ f − 10⁻⁴αλ², since the dual norm would cost another solve.
//!
//! # Stopping
//! ‖g‖ ≤ 10⁻⁸ ‖g₀‖ by default. Where the predicted decrease falls below the
//! rounding noise of f (16 ε|f|) the gradient alone judges; if it no longer
//! falls, the run ends as `Converged(PrecisionFloor)`.
//!
//! # Cost
//! Per iteration 1 Hessian, 1 factorization (d³/3 flops), one gradient and two
//! triangular solves a trial (usually 1 to 2 trials), one value. Storage: the
//! factor and 10 vectors.
//!
//! # Convergence
//! f(x_k) − f* = O(k^(1−q)), q ∈ \[2, 4\] by the smoothness of f, without
//! knowing q; locally quadratic.
//!
//! # Differences from the source
//! The full-step rule, the scale-free start of σ and the rules near the rounding
//! floor are ours; the constant γ of the paper's theory is not an input.
//!
//! # References
//! S. Hanzely, F. Abdukhakimov, M. Takáč, "Newton Method Revisited: Global
//! Convergence Rates up to O(1/k³) for Stepsize Schedules and Linesearch
//! Procedures" (2024), the method UN and Theorem on its rate.

use super::newton_type::{NewtonType, Preset};
pub use crate::globalization::damping::{Damping, Schedule};
use crate::lazy::Refresh;
use crate::oracle::{Explicit, OnePass, Products};
use crate::solver::Raphson;
pub use crate::step::newton::{Indefinite, NewtonDirection};

/// Names [`DampedNewton`].
#[derive(Debug, Clone, Copy)]
pub struct Damped;

impl Preset for Damped {
    const NAME: &'static str = "Damped Newton";
}

/// The core of [`DampedNewton`].
pub type DampedCore = NewtonType<NewtonDirection, Damping, Damped>;

/// Damped Newton, parameter-free by default; see the [module](self).
///
/// ```
/// use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian};
/// use raphson::{DampedNewton, Outcome};
///
/// struct Quadratic;
/// impl CostFunction for Quadratic {
///     type Param = Vec<f64>;
///     type Output = f64;
///     fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
///         Ok((x[0] - 1.0).powi(2) + 2.0 * (x[1] + 3.0).powi(2))
///     }
/// }
/// impl Gradient for Quadratic {
///     type Param = Vec<f64>;
///     type Gradient = Vec<f64>;
///     fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
///         Ok(vec![2.0 * (x[0] - 1.0), 4.0 * (x[1] + 3.0)])
///     }
/// }
/// impl Hessian for Quadratic {
///     type Param = Vec<f64>;
///     type Hessian = [[f64; 2]; 2];
///     fn hessian(&self, _: &Vec<f64>) -> Result<[[f64; 2]; 2], Error> {
///         Ok([[2.0, 0.0], [0.0, 4.0]])
///     }
/// }
///
/// let result = Executor::new(Quadratic, DampedNewton::new())
///     .configure(|state| state.param(vec![0.0, 0.0]))
///     .run()?;
/// assert!(result.status().is_converged());
/// let x = result.state.best_param.unwrap_or_default();
/// assert!((x[0] - 1.0).abs() < 1e-14 && (x[1] + 3.0).abs() < 1e-14);
/// # Ok::<(), Error>(())
/// ```
pub type DampedNewton<C = Explicit> = Raphson<DampedCore, C>;

fn core() -> DampedCore {
    NewtonType::assemble(NewtonDirection::default(), Damping::default())
}

impl Raphson<DampedCore, Explicit> {
    /// For problems with argmin's `CostFunction`, `Gradient` and `Hessian`.
    pub fn new() -> Self {
        Raphson::from_method(core())
    }
}

impl Default for Raphson<DampedCore, Explicit> {
    fn default() -> Self {
        Self::new()
    }
}

impl Raphson<DampedCore, Products> {
    /// For problems with argmin's `CostFunction` and `Gradient` and our
    /// [`HessianProduct`](crate::HessianProduct): no Hessian is formed.
    pub fn matrix_free() -> Self {
        Raphson::from_method(core())
    }
}

impl Raphson<DampedCore, OnePass> {
    /// For problems with our [`Fused`](crate::Fused): value and gradient in one pass.
    pub fn fused() -> Self {
        Raphson::from_method(core())
    }
}

impl<C> Raphson<DampedCore, C> {
    /// How the step length is chosen. Default: [`Schedule::Universal`].
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.method.globalization.schedule = schedule;
        self
    }

    /// When the Hessian is evaluated again. Default: [`Refresh::Every`] step.
    ///
    /// A factor that is kept for several steps gives the direction and the local norms of all of
    /// them, updated by BFGS from the gradients of the steps: the rate is that of limited-memory BFGS
    /// which starts from the factor, for 2 more vectors in storage and 8d more flops for each kept step, 16 at most. The tests of [`Schedule::Universal`], [`Schedule::Armijo`] and [`Schedule::Greedy`]
    /// hold for any positive definite matrix, the other schedules have none and take no other
    /// rule than every step. Where a step by an old Hessian fails, a new one is evaluated.
    /// Conjugate gradients and the dual form of a Gram matrix keep nothing.
    pub fn refresh(mut self, refresh: Refresh) -> Self {
        self.method = self.method.reusing(refresh);
        self
    }

    /// What to do where the Hessian is not positive definite. Default: [`Indefinite::Shift`].
    pub fn indefinite(mut self, policy: Indefinite) -> Self {
        self.method.direction.indefinite = policy;
        self
    }
}
