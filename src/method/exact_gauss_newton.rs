//! Gauss and Newton's method on batches, exact by an identity of Duncan and Guttman.
//!
//! # Problem
//! min F(x) = (1/n) Σᵢ ℓᵢ(zᵢ(x)) + (μ/2)‖x‖², an [`OutputModel`](crate::OutputModel): c outputs z
//! of each term under a loss convex in them. Nonlinear least squares, and classification by
//! networks, where a batch has far fewer outputs than there are parameters.
//!
//! # Update
//! A batch S of b terms is drawn. With its Jacobian J (bc x d), slopes r, curvatures Q (block
//! diagonal, positive semidefinite), and λ = `lambda` + μ
//!
//! d = −(JᵀQJ/b + λI)⁻¹ g,  g = Jᵀr/b + μx,  x₊ = x + s d.
//!
//! Let Q = BBᵀ, r = Bs + e with e outside of what B reaches, and y = Jᵀe/b + μx. Since (J̃ᵀJ̃ +
//! bλI)J̃ᵀ = J̃ᵀ(J̃J̃ᵀ + bλI) for J̃ = BᵀJ, the same d comes from a matrix of the size of the
//! batch,
//!
//! (BᵀJJᵀB + bλI) a = s − BᵀJy/λ,  d = −JᵀBa − y/λ,
//!
//! which is symmetric, positive definite, and needs neither Q⁻¹ nor a regularized Q. Without
//! penalty, and for the losses that [`OutputLoss`](crate::OutputLoss) names, y = 0 and d = −JᵀBa. B
//! of a softmax has c − 1 columns, so that the matrix has b(c − 1) rows. A general loss takes B
//! from the eigenvectors of its Q. A target with log p < −600, whose s would overflow, has s = 0
//! and e = r.
//!
//! | [`GramSolve`] | solves | taken by `Auto` |
//! |---|---|---|
//! | `Dual` | the above, by Cholesky; JJᵀ from [`gram`](crate::OutputModel::gram), else from J | fewer rows than d |
//! | `Primal` | JᵀQJ/b + λI, d x d, by Cholesky | more rows than d |
//! | `Cg` | the d x d system by products with J and Jᵀ, to 10⁻⁵, at most 50 iterations | more than 4000 of both |
//!
//! Conjugate gradients run in the space of x: each of their iterates is a descent direction,
//! however early they end. With many outputs and λ near its default they are also the fastest: for
//! a network 64-32-10, λ = 1 and batches of 32 and 128 rows a step took 0.8 and 1.9 ms, with the
//! matrix of the batch 4.3 and 129 ms. `Auto` stays with the exact direction.
//!
//! # Defaults
//! λ = 1 and s = 1, fixed: for standardized inputs, a mean loss and ½ in squares, bλ is then of the
//! order of the mean diagonal of JJᵀ. With λ = 0.1 take s = 0.4 or less. Much smaller λ with s = 1
//! need not converge at all, nothing holds the steps back.
//! [`Averaging::Tail`](crate::Averaging::Tail) removes noise at the end: on the diamonds it took
//! the test RMSE from 598 to 584 $. [`adaptive_lambda`](crate::Raphson::adaptive_lambda) is off
//! because a batch is always easier to fit than the sum: its ratio says that less damping would do,
//! until λ has collapsed. Hence its floor λ/10 and slow factors; damping by the ratio of the next
//! batch errs the other way. [`line_search`](crate::Raphson::line_search) bounds the step on the
//! batch, it removes no noise.
//!
//! # Batches
//! [`Sampler`](crate::Sampler); by default every term once per epoch in random order, in batches of
//! 32 terms for the softmax and logistic losses and of 128 for others.
//!
//! # Stopping
//! As the [stochastic Newton methods](super::stochastic): F and its gradient are evaluated on all
//! terms once per epoch, and only there tests hold; 100 epochs, or 10 without progress. The
//! tests ask for a stationary point, not for a minimum.
//!
//! # Errors
//! Targets that do not fit the outputs, a Q with a negative eigenvalue, a matrix above 2 GiB with a
//! side that was asked for ([`Error::TooLarge`](crate::Error::TooLarge)), and options out of range.
//! If the matrix is not positive definite by rounding, λ is raised tenfold for this step up to
//! three times, then the run ends as `Failed(NotPositiveDefinite)`. Outputs, slopes or directions
//! that are not finite end it as `Failed(NonFinite)`, and
//! [`Report::offender`](crate::Report::offender) names the term.
//!
//! # Cost
//! Per step the outputs, JJᵀ and one product with Jᵀ; (bc)²d flops for a JJᵀ made from J, for a
//! network (bc)² times the sum of its widths, and N³/3 flops for the Cholesky factorization, N =
//! b(c − 1) for a softmax and bc else. A penalty adds a product with J; momentum, searches and an
//! adaptive λ a gradient. Storage: (bc)² + 2N² doubles, bcd more where J is made. `Primal`: Nd² +
//! d³/3 flops and 2d² + bcd doubles, J in parts of 32 MiB. `Cg`: two products an iteration.
//!
//! # When to use it
//! Where a rate would have to be searched for. Per step it was ahead of Adam at the better of two
//! rates on digits (loss 0.103 against 0.114 after 150 steps, mean of three seeds) and on a par on
//! prices of diamonds (test RMSE after 3000 steps 598 against 618 $, the best on the way 588
//! against 576 $). Per second it is behind on small networks: a step costs 4 gradients of a batch
//! of 128 for a regression with 5089 parameters, 48 of one of 32 for ten classes with 2410, 8 by
//! products. The example `train` shows both. For all terms at once and to full accuracy take a
//! deterministic method.
//!
//! # Differences from the source
//! The source solves (QK + bλI)u = r, which is not symmetric: its accuracy falls with λ (10⁻⁸ at λ
//! = 10⁻¹⁰, ours 10⁻¹⁴). B with s and e, the reduction to c − 1, the form with a penalty, the fixed
//! λ and conjugate gradients in the space of x are ours.
//!
//! # References
//! M. Korbit, A. D. Adeoye, A. Bemporad, M. Zanon, "Exact Gauss-Newton optimization for training
//! deep neural networks" (2024), section 3. W. J. Duncan, "Some devices for the solution of large
//! sets of simultaneous linear equations" (1944); L. Guttman, "Enlargement methods for computing
//! the inverse matrix" (1946).

mod factors;
mod rule;
mod system;

pub use self::rule::BatchGaussNewton;
use super::stochastic::StochasticCore;
use crate::linear::GramSolve;
use crate::oracle::Outputs;
use crate::solver::Raphson;
use crate::stochastic::StepSchedule;

/// Gauss and Newton's method on batches; see the [module](self).
///
/// ```
/// use raphson::{Dataset, ExactGaussNewton, models::Mlp};
///
/// // A sine from 64 points.
/// let rows: Vec<Vec<f64>> = (0..64).map(|i| vec![i as f64 / 10.0 - 3.2]).collect();
/// let y: Vec<f64> = rows.iter().map(|r| r[0].sin()).collect();
/// let model = Mlp::regressor(&Dataset::from_rows(&rows, &y)?, &[16]);
/// let run = ExactGaussNewton::new()
///     .lambda(1e-2)
///     .max_iters(100)
///     .minimize(&model, model.fan_in(1))?;
/// assert!(run.f < 1e-4);
/// # Ok::<(), raphson::Error>(())
/// ```
pub type ExactGaussNewton = Raphson<StochasticCore<BatchGaussNewton>, Outputs>;

impl Raphson<StochasticCore<BatchGaussNewton>, Outputs> {
    /// For an [`OutputModel`](crate::OutputModel).
    pub fn new() -> Self {
        Raphson::from_method(StochasticCore::assemble())
    }

    /// λ in JᵀQJ/b + λI, nonnegative; see the defaults in the
    /// [module](crate::method::exact_gauss_newton). 0 asks for a system that is definite by itself.
    /// Default 1.
    pub fn lambda(mut self, lambda: f64) -> Self {
        self.method.rule.lambda = lambda;
        self
    }

    /// s, the same for all steps. Default 1. For other rules see [`schedule`](Raphson::schedule).
    pub fn step_length(mut self, s: f64) -> Self {
        self.method.options.schedule = StepSchedule::Constant(s);
        self
    }

    /// β in m ← βm + (1−β)d, p = m/(1−βᵗ), in \[0, 1); d itself is taken where gᵀp ≥ 0. Default
    /// 0; 0.9 is usual.
    pub fn momentum(mut self, beta: f64) -> Self {
        self.method.rule.momentum = beta;
        self
    }

    /// Lets λ follow actual over predicted change of the batch: below ¼ it grows by 1 %, above
    /// ¾ it falls by 1 %, to λ/10 at least and 10⁶ at most. Default: false.
    pub fn adaptive_lambda(mut self, adaptive: bool) -> Self {
        self.method.rule.adaptive = adaptive;
        self
    }

    /// Searches along each direction on its own batch: the first s with f(x + sp) − f(x) ≤ 0.1 s
    /// gᵀp, from min(1, 1.5 times the last), by factors 0.8. If 15 trials fail, no step is taken,
    /// and 0.1 counts as the last. Short for a [`schedule`](Raphson::schedule).
    pub fn line_search(mut self) -> Self {
        self.method.options.schedule = StepSchedule::BatchArmijo {
            c1: 0.1,
            shrink: 0.8,
            max_trials: 15,
            s_max: 1.0,
            growth: 1.5,
            take_last: false,
        };
        self
    }

    /// Which system is solved. Default: [`GramSolve::Auto`], the smaller of the two, and conjugate
    /// gradients if both are above 4000.
    pub fn solve_by(mut self, way: GramSolve) -> Self {
        self.method.rule.way = way;
        self
    }
}

impl Default for Raphson<StochasticCore<BatchGaussNewton>, Outputs> {
    fn default() -> Self {
        Self::new()
    }
}
