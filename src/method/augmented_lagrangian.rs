//! Newton's method for equality constraints with an exact augmented Lagrangian.
//!
//! # Problem
//! min f(x) subject to c(x) = 0 with c: Rⁿ → Rᵐ, m ≤ n, all twice differentiable; see
//! [`constraints`](crate::constraints). The Lagrangian is L = f + λᵀc, G is the Jacobian of c, H
//! the Hessian of L, N = (∇L, c) vanishes at KKT points. Iterates need not be feasible. Fast
//! convergence wants G of full rank and H positive definite on the kernel of G at the solution.
//!
//! # Update
//!
//! | step | formula |
//! |---|---|
//! | direction z = (p, q) | K z = −N, K = \[\[H + tI, Gᵀ\], \[G, 0\]\] |
//! | merit | M = L + (ε₁/2)‖c‖² + (ε₂/2)‖∇L‖² |
//! | its gradient | (∇L + ε₂H∇L + ε₁Gᵀc, c + ε₂G∇L) |
//! | accuracy of z | ‖Kz + N‖ ≤ θδ‖N‖, θ = min(1, (‖N‖/‖N₀‖)^½) |
//! | enough descent | ⟨∇M, z⟩ ≤ −(ε₂/2)‖N‖² |
//! | if not | ε₁ ← ν²ε₁, ε₂ ← ε₂/ν, δ ← max(δ/ν⁴, 10⁻⁴); the solver goes on from z |
//! | step length | first α = 1, ½, ¼, … with M(x+αp, λ+αq) ≤ M + βα⟨∇M, z⟩ |
//!
//! ε₁ = 1, ε₂ = 0.1, δ = 0.1, β = 0.1, ν = 1.5 and λ = 0 at the start. Since M needs ∇L at a
//! trial, full steps are accepted near solutions where merits without it reject them (Maratos'
//! effect), unless ε₁ is large: it starts small.
//!
//! * **Shift.** t = 0 first, then 10⁻² max |H| or a third of the last t, whichever is larger, then
//!   4 times as much, until K has n positive and m negative eigenvalues. Solvers that do not
//!   factor test the curvature of H + tI along the part of p in the kernel of G instead, which
//!   sees less, and raise t also where no penalties make z a descent.
//! * **Rescue.** After α < 10⁻² or a search that failed, λ becomes the minimizer of ‖∇f + Gᵀλ‖,
//!   ε₁ is multiplied by 3 and ε₂ by 0.3; six times at most.
//! * **Noise.** Where M changes by less than 10⁻¹¹ of the sum of its terms, a step is accepted if
//!   ‖N‖ falls by a tenth.
//! * **Dependent constraints.** A direct solver regularizes K and refines z with K itself. If the
//!   system has no solution, the step leads towards the least ‖c‖ and λ stays.
//!
//! # Inner solvers
//! [`Inner`]. The number of steps hardly depends on them; their cost does:
//!
//! | LIBSVM set, 10 planes and the sphere | n | direct | MINRES | block Kaczmarz, q = 30 |
//! |---|---|---|---|---|
//! | sonar | 60 | 10, 0.04 | 26, 1580, 0.09 | 24, 1870, 0.50 |
//! | ionosphere | 34 | 11, 0.02 | 15, 595, 0.03 | 21, 567, 0.12 |
//! | splice | 60 | 11, 0.04 | 12, 174, 0.03 | 12, 692, 0.23 |
//! | mushrooms | 112 | 15, 0.12 | 21, 855, 0.43 | 13, 793, 0.70 |
//! | phishing | 68 | 11, 0.26 | 13, 158, 0.32 | 13, 379, 0.40 |
//! | a9a | 123 | 14, 0.67 | 16, 359, 0.32 | 18, 927, 0.58 |
//! | w8a | 300 | 14, 0.70 | 14, 286, 0.63 | 18, 2350, 4.10 |
//!
//! Steps, iterations (for sketches: of 30 rows each) and seconds to ‖N‖ ≤ 10⁻⁸ from x = 1 on two cores.
//! Sketching takes few steps too, but never was the fastest: single rows need (‖K‖_F/σ_min)² of them for
//! each factor e of the squared error, against the order of cond(K) products for MINRES, and of an
//! ill-conditioned K, such as that of a discretized differential equation, it does not get to the end. It is
//! here as the method of the source; [`Inner::Auto`] never chooses it.
//!
//! # Stopping
//! `Converged(Kkt)` if ‖∇L‖ ≤ tol · max(‖∇f(x₀)‖, ‖∇f‖, ‖Gᵀλ‖) and
//! ‖c‖ ≤ tol · max(‖c(x₀)‖, ‖G‖r), where r is the larger of ‖x₀‖ and the first step and ‖G‖ the
//! largest so far; tol is [`gradient_tol`](crate::Raphson::gradient_tol), 10⁻⁸. Or if ‖N‖ is at most
//! [`gradient_tol_abs`](crate::Raphson::gradient_tol_abs). `Converged(PrecisionFloor)` if neither M nor ‖N‖ can
//! fall by more than rounding and the test holds with tol = 10⁻⁵. Tolerances of the decrement, the
//! gap, steps and costs are refused: off the constraints they prove nothing.
//!
//! | end | found |
//! |---|---|
//! | `Failed(Infeasible)` | ‖Gᵀc‖ ≤ 10⁻⁸‖G‖‖c‖, a least point of ‖c‖; 10⁻² where the run ends anyway |
//! | `Failed(RankDeficient)` | dependent constraints left no descent |
//! | `Failed(Unbounded)` | ‖x‖ > 10¹²r, or f below [`lower_bound`](crate::Raphson::lower_bound) |
//! | `Failed(SearchFailed)` | no descent after six rescues |
//! | `Failed(NonFinite)` | at the start; a trial that is not finite is rejected |
//! | [`Overdetermined`](crate::Error::Overdetermined) | m > n |
//!
//! A run that has not converged returns the point of least relative residual, the larger of the
//! two in the test; [`Report`](crate::Report) has its multipliers. If K is factored, the report
//! also has the inertia of K at a converged point: less than n positive eigenvalues say that it
//! is no strict minimizer.
//!
//! # Cost
//! Per trial f, ∇f, c and G; per step one H. Direct: one factorization for each t, one more and
//! one H at the end for the inertia. MINRES: a product with H, G and Gᵀ per iteration and a Cholesky
//! factorization of an m x m matrix for each t, 9 vectors. Sketches: 2q²(n+m) flops and a product
//! with K each, K stored as a sparse matrix, q vectors.
//!
//! # Convergence
//! Global to KKT points if G keeps full rank; the rate is quadratic for direct solves, superlinear
//! with θ as above, and linear with factor δ for θ = 1 ([`superlinear`](crate::Raphson::superlinear)).
//! Where H is singular on the kernel of G at the solution, linear.
//!
//! # Differences from the source
//! H instead of ∇²f in the gradient of M, without which nonlinear constraints break it; the accuracy
//! without estimates of norms and constants; the shift, the rescue, the tests, the refinement
//! and the preconditioner are ours.
//!
//! # Reference
//! S. Hong, S. Na, M. W. Mahoney, M. Kolar, "Constrained optimization via exact augmented Lagrangian
//! and randomized iterative sketching", ICML 2023. Merit: D. P. Bertsekas, *Constrained
//! Optimization and Lagrange Multiplier Methods* (1982), section 4.3.

mod core;
mod direction;
mod inner;
mod jacobian;
mod least_squares;
mod merit;
mod point;

pub use self::core::AugmentedLagrangianCore;
pub use inner::{Inner, Sketch};

use crate::oracle::{Constrained, ConstrainedProducts};
use crate::solver::Raphson;

/// Newton's method for equality constraints; see the [module](self).
///
/// ```
/// use raphson::AugmentedLagrangianNewton;
/// use raphson::problems::HockSchittkowski;
///
/// let problem = HockSchittkowski::Hs78;
/// let run = AugmentedLagrangianNewton::new().minimize(&problem, problem.start())?;
/// assert!(run.converged());
/// assert!((run.f + 2.91970041).abs() < 1e-8);
/// assert_eq!(run.report.multipliers.len(), 3);
/// # Ok::<(), raphson::Error>(())
/// ```
pub type AugmentedLagrangianNewton<C = Constrained> = Raphson<AugmentedLagrangianCore, C>;

impl Raphson<AugmentedLagrangianCore, Constrained> {
    /// For problems with argmin's `CostFunction` and `Gradient` and our
    /// [`LagrangianHessian`](crate::LagrangianHessian).
    pub fn new() -> Self {
        Raphson::from_method(AugmentedLagrangianCore::default())
    }
}

impl Default for Raphson<AugmentedLagrangianCore, Constrained> {
    fn default() -> Self {
        Self::new()
    }
}

impl Raphson<AugmentedLagrangianCore, ConstrainedProducts> {
    /// For problems with our [`LagrangianProduct`](crate::LagrangianProduct) in place of the
    /// matrix; [`Inner::Minres`] solves the systems.
    pub fn matrix_free() -> Self {
        Raphson::from_method(AugmentedLagrangianCore::default())
    }
}

impl<C> Raphson<AugmentedLagrangianCore, C> {
    /// How the linear systems are solved. Default: [`Inner::Auto`].
    pub fn inner(mut self, inner: Inner) -> Self {
        self.method.options.inner = inner;
        self
    }

    /// The seed of [`Inner::Sketch`]. Default 0.
    pub fn sketch_seed(mut self, seed: u64) -> Self {
        self.method.options.seed = seed;
        self
    }

    /// ε₁ and ε₂ of the start, in the units of f/c² and x²/f. Default 1 and 0.1.
    pub fn penalties(mut self, constraints: f64, gradient: f64) -> Self {
        self.method.options.penalties.constraints = constraints;
        self.method.options.penalties.gradient = gradient;
        self
    }

    /// ν: penalties that do not make z a descent become ν²ε₁ and ε₂/ν. Default 1.5.
    pub fn penalty_factor(mut self, nu: f64) -> Self {
        self.method.options.factor = nu;
        self
    }

    /// δ of the start and the least δ, the relative residual to which iterative inner solvers
    /// go. Default 0.1 and 10⁻⁴.
    pub fn accuracy(mut self, start: f64, least: f64) -> Self {
        self.method.options.penalties.accuracy = start;
        self.method.options.least_accuracy = least;
        self
    }

    /// β of the line search. Default 0.1.
    pub fn armijo(mut self, beta: f64) -> Self {
        self.method.options.armijo = beta;
        self
    }

    /// θ = min(1, (‖N‖/‖N₀‖)^½) rather than 1, so that iterative inner solves become more accurate towards
    /// the end. Default: true.
    pub fn superlinear(mut self, on: bool) -> Self {
        self.method.options.superlinear = on;
        self
    }
}
