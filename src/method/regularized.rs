//! Newton's method regularized by the gradient norm, over any positive semidefinite curvature.
//!
//! # Problem
//! min f(x) for f continuously differentiable, with a symmetric matrix A(x) in
//! the place of the Hessian: the Hessian of a convex f, a Fisher or weighted
//! Gauss-Newton matrix, a term of rank one ([`RankOne`](crate::edge::RankOne)), a
//! quasi-Newton or sketched matrix.
//!
//! # Update
//! x₊ = x − (A + λB)⁻¹g with a metric B (default: the identity), norms dual to it:
//!
//! | solver | λ | accepted if | then |
//! |---|---|---|---|
//! | [`GradientRegularizedNewton`] | H‖g‖ᵃ, a = ⅔ | Gᵀ(−s) ≥ ‖G‖²/(4λ) | H/4 after each step, 4H after a rejection |
//! | [`GradientNormalizedNewton`] | ‖g‖/γ | f − f₊ ≥ ‖G‖²/(8λ) | 2γ after a first trial, γ/2 after a rejection |
//! | [`LazyRegularizedNewton`] | sqrt(M‖g‖) | Gᵀ(−s) ≥ ‖G‖²/(4λ) | M/4 after a step with a fresh Hessian, 4M after a rejection |
//!
//! Steps of `GradientNormalizedNewton` have ‖s‖_B ≤ γ; its test uses values, so
//! f need not be convex. The others want a convex f. Where A + λB is not positive
//! definite the trial is rejected, and λ grows. `LazyRegularizedNewton` keeps A
//! for several steps, as [`Refresh`] says, and evaluates it again after three
//! rejections.
//!
//! The first constants are H = 0.1 c/‖g₀‖ᵃ, γ = ‖g₀‖/c and M = 0.02 c²/‖g₀‖ with
//! c = |gᵀAg|/‖g‖² at the start, so none has a unit.
//!
//! # Cost
//! Per trial 1 factorization of A + λB (of rank one: O(d)), per iteration one A,
//! about 1.5 gradients. For products: conjugate gradients, O(sqrt((‖A‖ + λ)/λ))
//! products a trial. `LazyRegularizedNewton` with 10 steps per Hessian or more
//! reduces a dense one to tridiagonal form once, after which a step costs 4d²; a
//! sparse one is factored anew only when λ leaves a factor of 2.
//!
//! # Convergence
//! For convex f with a Lipschitz Hessian f − f* = O(1/k²); for quasi-self-concordant
//! losses (logistic, softmax) linear; errors of A only as large as
//! C₁ + C₂‖g‖ add C₁D²/k.
//!
//! # Differences from the source
//! Constants start from the curvature instead of 1; nothing is added to γ; γ grows only
//! after an iteration without rejections, which saves a fifth of the factorizations; a
//! search that ends without an acceptable trial is a failure, never a step.
//!
//! # References
//! N. Doikov, K. Mishchenko, Y. Nesterov, "Super-universal regularized Newton
//! method" (2022); K. Mishchenko, "Regularized Newton method with global O(1/k²)
//! convergence" (2021); A. Semenov, M. Jaggi, N. Doikov, "Gradient-normalized
//! smoothness for optimization with approximate Hessians" (2025); N. Doikov,
//! E. M. Chayti, M. Jaggi, "Second-order optimization with lazy Hessians" (2023),
//! algorithm 2.

use super::newton_type::{NewtonType, Preset};
use crate::edge::SymMat;
use crate::error::Error;
use crate::globalization::gradient::{GradientRegularization, Rule};
use crate::lazy::Refresh;
use crate::oracle::{Explicit, OnePass, Products};
use crate::solver::Raphson;
use crate::step::metric::Metric;
use crate::step::model::{Control, ModelStep};

/// The core of the three.
pub type RegularizedCore<T> = NewtonType<ModelStep, GradientRegularization, T>;

/// A preset of [`RegularizedCore`].
pub trait RegularizedPreset: Preset {
    #[doc(hidden)]
    fn core() -> RegularizedCore<Self>
    where
        Self: Sized;
}

macro_rules! presets {
    ($($tag:ident, $name:literal, $rule:expr, $refresh:expr;)+) => {$(
        #[doc = concat!("Names the solver \"", $name, "\".")]
        #[derive(Debug, Clone, Copy)]
        pub struct $tag;

        impl Preset for $tag {
            const NAME: &'static str = $name;
        }

        impl RegularizedPreset for $tag {
            fn core() -> RegularizedCore<Self> {
                let step = ModelStep::new(Control::Shift);
                let rule = GradientRegularization::new($rule);
                NewtonType::assemble(step, rule).reusing($refresh)
            }
        }
    )+};
}

presets! {
    LazyRegularized, "Lazy regularized Newton", Rule::Lazy, Refresh::Every(3);
    GradientRegularized, "Gradient-regularized Newton", Rule::Power(2.0 / 3.0), Refresh::Every(1);
    GradientNormalized, "Gradient-normalized Newton", Rule::Normalized, Refresh::Every(1);
}

/// λ = sqrt(M‖g‖) with Hessians that serve several steps, for convex f; see the [module](self).
///
/// ```
/// use raphson::{LazyRegularizedNewton, Refresh, problem};
///
/// let f = |x: &[f64]| (x[0] + x[1]).exp() + x[0] * x[0] + 2.0 * x[1] * x[1];
/// let g = |x: &[f64]| {
///     let e = (x[0] + x[1]).exp();
///     vec![e + 2.0 * x[0], e + 4.0 * x[1]]
/// };
/// let h = |x: &[f64]| {
///     let e = (x[0] + x[1]).exp();
///     [[e + 2.0, e], [e, e + 4.0]]
/// };
/// let run = LazyRegularizedNewton::new()
///     .refresh(Refresh::Every(5))
///     .minimize(&problem::from_fn(f, g, h), vec![2.0, 1.0])?;
/// assert!(run.converged() && run.report.hessians < run.report.iterations);
/// # Ok::<(), raphson::Error>(())
/// ```
pub type LazyRegularizedNewton<C = Explicit> = Raphson<RegularizedCore<LazyRegularized>, C>;

/// λ = H‖g‖ᵃ, for convex f; see the [module](self).
///
/// ```
/// use raphson::{GradientRegularizedNewton, problem};
///
/// // Singular at its minimizer.
/// let f = |x: &[f64]| x[0].powi(4) + x[1].powi(6);
/// let g = |x: &[f64]| vec![4.0 * x[0].powi(3), 6.0 * x[1].powi(5)];
/// let h = |x: &[f64]| [[12.0 * x[0] * x[0], 0.0], [0.0, 30.0 * x[1].powi(4)]];
/// let run = GradientRegularizedNewton::new()
///     .minimize(&problem::from_fn(f, g, h), vec![1.0, 2.0])?;
/// assert!(run.converged());
/// # Ok::<(), raphson::Error>(())
/// ```
pub type GradientRegularizedNewton<C = Explicit> = Raphson<RegularizedCore<GradientRegularized>, C>;

/// λ = ‖g‖/γ over approximate Hessians; see the [module](self).
///
/// ```
/// use raphson::{GradientNormalizedNewton, problem};
///
/// // Rosenbrock's function by its Gauss-Newton matrix.
/// let f = |x: &[f64]| 100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2);
/// let g = |x: &[f64]| {
///     let r = x[1] - x[0] * x[0];
///     vec![-400.0 * r * x[0] - 2.0 * (1.0 - x[0]), 200.0 * r]
/// };
/// let gauss_newton = |x: &[f64]| {
///     let off = -400.0 * x[0];
///     [[800.0 * x[0] * x[0] + 2.0, off], [off, 200.0]]
/// };
/// let run = GradientNormalizedNewton::new()
///     .minimize(&problem::from_fn(f, g, gauss_newton), vec![-1.2, 1.0])?;
/// assert!(run.converged() && (run.x[0] - 1.0).abs() < 1e-6);
/// # Ok::<(), raphson::Error>(())
/// ```
pub type GradientNormalizedNewton<C = Explicit> = Raphson<RegularizedCore<GradientNormalized>, C>;

impl<T: RegularizedPreset> Raphson<RegularizedCore<T>, Explicit> {
    /// For problems with argmin's `CostFunction`, `Gradient` and `Hessian`, which may return
    /// an approximation.
    pub fn new() -> Self {
        Raphson::from_method(T::core())
    }
}

impl<T: RegularizedPreset> Default for Raphson<RegularizedCore<T>, Explicit> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: RegularizedPreset> Raphson<RegularizedCore<T>, OnePass> {
    /// For problems with our [`Fused`](crate::Fused): value and gradient in one pass.
    pub fn fused() -> Self {
        Raphson::from_method(T::core())
    }
}

impl<T: RegularizedPreset> Raphson<RegularizedCore<T>, Products> {
    /// For problems with argmin's `CostFunction` and `Gradient` and our
    /// [`HessianProduct`](crate::HessianProduct): conjugate gradients, nothing is formed and
    /// nothing reused.
    pub fn matrix_free() -> Self {
        Raphson::from_method(T::core())
    }
}

impl<T: RegularizedPreset, C> Raphson<RegularizedCore<T>, C> {
    /// The metric B of step lengths and regularization. Default: the identity.
    ///
    /// Dense, it costs d³ flops a Hessian; diagonal, d², and a sparse Hessian stays sparse.
    ///
    /// # Errors
    /// If B is not symmetric or not positive definite.
    pub fn metric(mut self, matrix: &impl SymMat) -> Result<Self, Error> {
        self.method.direction.metric = Metric::new(matrix)?;
        Ok(self)
    }

    /// A fixed constant (M, H or 1/γ by the solver): every step is accepted whose value is
    /// finite. Default: adaptive.
    pub fn constant(mut self, constant: f64) -> Self {
        self.method.globalization.fixed = Some(constant);
        self
    }
}

impl<C> Raphson<RegularizedCore<LazyRegularized>, C> {
    /// When the Hessian is evaluated again. Default: [`Refresh::Every`] 3 steps, the fastest by
    /// the clock on logistic regressions.
    pub fn refresh(mut self, refresh: Refresh) -> Self {
        self.method = self.method.reusing(refresh);
        self
    }
}

impl<C> Raphson<RegularizedCore<GradientRegularized>, C> {
    /// The exponent a in \[½, 1\]. Default ⅔, which serves every degree of smoothness; ½
    /// belongs to a Lipschitz Hessian, 1 to a quasi-self-concordant f.
    pub fn exponent(mut self, a: f64) -> Self {
        self.method.globalization.rule = Rule::Power(a);
        self
    }
}
