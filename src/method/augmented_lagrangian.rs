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
//! | step length | first of α = 1, α₁, α₂, … with M(x+αp, λ+αq) ≤ M + βα⟨∇M, z⟩ |
//! | next α | minimizer of the parabola through M, ⟨∇M, z⟩ and the trial, within \[α/4, α/2\] |
//!
//! ε₁ = 1, ε₂ = 0.1, δ = 0.1, β = 0.1, ν = 1.5 and λ = 0 at the start. Since M needs ∇L at a
//! trial, full steps are accepted near solutions where merits without it reject them (Maratos'
//! effect), unless ε₁ is large: it starts small.
//!
//! * **Shift.** t = 0 first, then 10⁻² max |H| or a third of the last t, whichever is larger, then
//!   4 times as much, until K has n positive and m negative eigenvalues; at once the third, if the last point lacked
//!   curvature and it is larger than 10⁻² max |H|. Solvers that do not factor test the curvature of H + tI along the part of p in the kernel of G instead, which
//!   sees less, and raise t also where no penalties make z a descent.
//! * **Rescue.** After α < 10⁻² or a search that failed, λ becomes the minimizer of ‖∇f + Gᵀλ‖,
//!   ε₁ is multiplied by 3 and ε₂ by 0.3; twelve times at most. z was too long then: until the next
//!   full step, t is at least 4 max(t, 10⁻² max |H|). The constants matter little: of 45
//!   problems from 41 starts each, 1,715 to 1,752 of 1,845 are solved with factors from 1.5 to 10
//!   and from 0.1 to 1.
//! * **Noise.** Where M changes by less than 10⁻¹¹ of the sum of its terms, a step is accepted if
//!   ‖N‖ falls by a tenth.
//! * **Dependent constraints.** A direct solver regularizes K and refines z with K itself. If the
//!   system has no solution, the step leads towards the least ‖c‖ and λ stays.
//!
//! # Inner solvers
//! [`Inner`]. The number of steps hardly depends on them; their cost does:
//!
//! | LIBSVM set, 10 planes and the sphere | n | direct | MINRES | `Auto` | block Kaczmarz, q = 30 |
//! |---|---|---|---|---|---|
//! | sonar | 60 | 12, 14, 1.8 | 11, 441, 2.2 | 1.8 | 14, 417, 16 |
//! | ionosphere | 34 | 9, 9, 0.6 | 14, 353, 1.2 | 0.6 | 16, 174, 5 |
//! | splice | 60 | 10, 10, 4.5 | 10, 101, 2.9 | 4.2 | 12, 1090, 41 |
//! | mushrooms | 112 | 12, 14, 10.8 | 12, 442, 10.2 | 10.8 | 17, 801, 61 |
//! | phishing | 68 | 10, 10, 16.1 | 10, 136, 15.0 | 16.3 | 13, 384, 35 |
//! | a9a | 123 | 16, 16, 26.2 | 31, 1348, 62 | 25.7 | 14, 936, 89 |
//! | w8a | 300 | 12, 12, 86 | 13, 264, 77 | 79 | 19, 2248, 520 |
//!
//! Steps, inner iterations (for sketches: of 30 rows each) and milliseconds to ‖N‖ ≤ 10⁻⁸ from x = 1: CPU time
//! of one thread, medians of 9 alternating runs (3 of sketches). On
//! [`OptimalControl`](crate::problems::OptimalControl) of 100, 1,000 and 10,000 cells, K of order 300 to 30,000, a direct solver takes
//! 0.25, 2.6 and 38 ms, with 8 entries of L for each cell, MINRES 0.25, 1.8 and 23, for its
//! preconditioner is nearly exact, and `Auto` 0.29, 1.9 and 20. `Auto` takes MINRES for w8a, 1,000 and 10,000 cells, begins with it
//! for 100, and factors the others; on splice MINRES would take 0.7 of its time, and on a9a 2.4 times.
//!
//! Sketches of other sizes to ‖N‖ ≤ 10⁻⁴: steps, sketches and seconds, or what was reached where a run was stopped
//! after 45 CPU seconds, at the end of a step (the example `constrained` with `--rows` or `--gaussian` and `--time-limit`).
//! These runs, MINRES too, began with t = 0 at each point; since they begin with the last t, blocks of 10 rows take 0.5 s on splice, 1.4 s on
//! mushrooms and 8.7 s on phishing, and do not end on a9a, where they wander:
//!
//! | set | MINRES | 30 rows | 10 rows | single rows | single normal vectors |
//! |---|---|---|---|---|---|
//! | sonar | 13, 407, 0.002 | 19, 638, 0.030 | 11, 557,872, 4.4 | ‖N‖ = 3·10⁻⁴ after 14,477,439 | ‖N‖ = 0.014 after 5,479,472 |
//! | ionosphere | 15, 473, 0.002 | 16, 115, 0.005 | ‖N‖ = 0.077 after 9,747,708 | ‖N‖ = 1.7 after 33,000,135 | 10, 8,904,036, 38 |
//! | splice | 16, 377, 0.006 | 12, 25,533, 1 | 10, 11,649, 0.095 | 13, 5,715,164, 21 | 13, 1,087,791, 9.5 |
//! | mushrooms | 18, 779, 0.018 | 17, 604, 0.051 | 10, 213,890, 3.9 | 9, 3,836,628, 35 | ‖N‖ = 7.1 after 1,880,299 |
//! | phishing | 11, 280, 0.020 | 28, 359, 0.067 | 10, 838,465, 8.6 | ‖N‖ = 0.62 after 12,001,149 | ‖N‖ = 0.19 after 4,612,810 |
//! | a9a | 21, 1,244, 0.045 | 14, 558, 0.066 | 11, 342,084, 6.7 | ‖N‖ = 2·10⁻³ after 4,530,751 | ‖N‖ = 1.2 after 2,578,272 |
//! | w8a | 14, 289, 0.086 | 21, 1,578, 0.45 | ‖N‖ = 0.1 after 529,746 | ‖N‖ = 17 after 3,000,411 | ‖N‖ = 17 after 280,050 |
//!
//! With 10 rows in place of 30 a block covers a twelfth of K on mushrooms and takes 350 times as many sketches; single rows and
//! single vectors end on two of seven sets each, after 1,500 times the time of MINRES or more. Spectra decide, not
//! orders: splice is solved by all.
//!
//! Steps and work to ‖N‖ ≤ 10⁻⁴ on small problems: iterations of a direct solver with its refinement and of MINRES, rows
//! of sketches:
//!
//! | problem | n + m | direct | MINRES | single rows | single normal vectors | 4 rows | 30 rows, that is all |
//! |---|---|---|---|---|---|---|---|
//! | HS6 | 3 | 11, 11 | 12, 34 | 13, 110642 | 13, 17625 | 11, 33 | 11, 33 |
//! | HS7 | 3 | 13, 13 | 13, 66 | 26, 51332455 | 11, 1355497 | 13, 66 | 13, 66 |
//! | HS28 | 4 | 1, 1 | 1, 4 | 4, 8378 | 4, 1986 | 1, 4 | 1, 4 |
//! | HS40 | 7 | 3, 3 | 3, 27 | 3, 1586 | 3, 898 | 3, 460 | 3, 21 |
//! | HS42 | 6 | 4, 4 | 5, 14 | 4, 7990 | 4, 3586 | 4, 36 | 4, 24 |
//! | HS46 | 7 | 12, 12 | 12, 77 | 25, 33082077 | 18, 16238101 | 12, 640284 | 12, 84 |
//! | HS48 | 7 | 1, 1 | 3, 15 | 4, 848 | 4, 433 | 4, 308 | 1, 7 |
//! | HS51 | 8 | 1, 1 | 2, 8 | 4, 43887 | 3, 16891 | 3, 1932 | 1, 8 |
//! | HS52 | 8 | 1, 1 | 3, 19 | 3, 1195887 | 3, 186527 | 3, 56416 | 1, 8 |
//! | HS77 | 7 | 9, 9 | 9, 56 | 10, 739107 | 11, 365935 | 9, 85348 | 9, 63 |
//! | HS78 | 8 | 4, 4 | 4, 28 | 4, 917 | 5, 954 | 4, 252 | 4, 32 |
//! | HS79 | 8 | 4, 4 | 4, 27 | 4, 3578 | 5, 4214 | 4, 1696 | 4, 32 |
//!
//! **Sketching loses everywhere**: where it takes as few steps, each costs more. Single rows need (‖K‖_F/σ_min)² of them for
//! each factor e of the squared error, against the order of cond(K) products for MINRES; HS7, HS46 and HS52 show what that
//! means on three to eight unknowns. Blocks help only as they come near all of K, when they solve it. Of an
//! ill-conditioned K, such as that of a discretized differential equation, sketches do not get to the end, and of a system
//! without a solution they spend a million rows before they notice. They are here as the method of the source;
//! [`Inner::Auto`] never chooses them.
//!
//! # Stopping
//! `Converged(Kkt)` if ‖∇L‖ ≤ tol · max(‖∇f(x₀)‖, ‖∇f‖, ‖Gᵀλ‖) and
//! ‖c‖ ≤ tol · max(‖c(x₀)‖, ‖G‖r), where r is the larger of ‖x₀‖ and the first step and ‖G‖ the
//! largest so far; tol is [`gradient_tol`](crate::Raphson::gradient_tol), 10⁻⁸. Or if ‖N‖ is at most
//! [`gradient_tol_abs`](crate::Raphson::gradient_tol_abs). `Converged(PrecisionFloor)` if neither M nor ‖N‖ can
//! fall by more than rounding, ‖∇L‖ ≤ 10⁻⁵ max(‖∇f‖, ‖Gᵀλ‖) and ‖c‖ ≤ 10⁻⁵‖G‖‖x‖. Tolerances of the decrement, the
//! gap, steps and costs are refused: off the constraints they prove nothing.
//!
//! | end | found |
//! |---|---|
//! | `Failed(Infeasible)` | ‖Gᵀc‖ ≤ 10⁻⁸‖G‖‖c‖, or 10⁻² where the run ends anyway, and ‖Gᵀc‖r ≤ ‖c‖²/10: to first order a step as long as r lowers ‖c‖ by less than a tenth |
//! | `Failed(RankDeficient)` | dependent constraints left no descent |
//! | `Failed(Unbounded)` | ‖x‖ > 10¹²r, or f below [`lower_bound`](crate::Raphson::lower_bound) |
//! | `Failed(SearchFailed)` | no descent after twelve rescues |
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
