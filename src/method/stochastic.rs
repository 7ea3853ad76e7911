//! Newton's method on batches, and with an averaged Hessian.
//!
//! # Problem
//! min F(x) = (1/n) Σ fᵢ(x), a [`FiniteSum`](crate::FiniteSum) of convex fᵢ in a moderate number
//! d of variables (to about 2000) and with many terms: least squares, logistic, Poisson and
//! softmax regression.
//!
//! # Update
//! At each step a batch S is drawn; g and Q are gradient and Hessian of the mean over S at xₜ, and
//! δ = 10⁻⁸ tr(Q)/d + 10⁻¹².
//!
//! | solver | direction |
//! |---|---|
//! | [`StochasticNewton`] | p = −(Q + δI)⁻¹ g |
//! | [`AveragedHessianNewton`] | H̄ ← ρH̄ + (1−ρ)Q, p = −(H̄ + δI)⁻¹ g, ρ = 0.9 |
//! | [`FilteredNewton`](crate::FilteredNewton) | gradient and Hessian from a Bayesian filter |
//!
//! [`ExactGaussNewton`](crate::ExactGaussNewton) runs by the same loop, on outputs.
//!
//! xₜ₊₁ = xₜ + sₜ p with sₜ = 1/(1 + t) by default ([`StepSchedule`]): on a quadratic with H̄ = ∇²F
//! that is the running mean of the batches' minimizers.
//!
//! If Q + δI is not positive definite, δ is raised tenfold up to five times. If that does not
//! help (terms that are not convex), the run ends as `Failed(NotPositiveDefinite)`; curvature is
//! never taken by its absolute value. A batch with fewer independent terms than variables has a
//! singular Q: the step then stays in the span of its gradients, and is long. Take larger
//! batches, or average.
//!
//! # Batches
//! [`Sampler`]; by default every term once per epoch in random order, in batches of
//! max(32, 4d) terms. All randomness comes from [`seed`](crate::Raphson::seed). A short last batch is a mean
//! over its own terms, and weighs by its size where batch losses are averaged.
//!
//! # Stopping
//! One batch proves nothing, so F and its gradient are evaluated on all terms, once per epoch by
//! default ([`evaluate_every`](crate::Raphson::evaluate_every)), at the start and at the end. Only there ‖∇F‖ ≤ 10⁻⁸ ‖∇F(x₀)‖, the
//! gap and the target are tested and the best point is judged. Between them `f` of the record
//! and argmin's `cost` keep the last evaluated value; `loss` is the smoothed batch loss. A run
//! also ends after 100 epochs, or if the smoothed loss has not improved by 10⁻⁴ of itself for 10
//! epochs, as `Stopped(Plateau)`: the usual end, since noise remains unless the steps fall.
//! Under argmin, limits and Ctrl-C of the host work as well; at its iteration limit the last
//! point is still evaluated, after a time-out or Ctrl-C it is not.
//!
//! A batch whose loss, gradient or Hessian is not finite ends the run as `Failed(NonFinite)` at
//! the last point that was finite, and [`Report::offender`](crate::Report::offender) names the term.
//!
//! # Cost
//! Per step a gradient and a dense Hessian of a batch, d²-storage and one Cholesky factorization, d³/3 multiplications;
//! a trial of a line search is one value on the same batch; an evaluation point one gradient of the whole sum.
//!
//! # When to use it
//! For many terms and few variables, to moderate accuracy. [`AveragedHessianNewton`] was the most
//! accurate of the three with both fair schedules that we compared, 1/(1 + t) and a constant ¼: the
//! average takes most of the noise out of the inverse Hessian, and the gradient stays current. When a few passes over all
//! data are affordable, [`DampedNewton`](crate::DampedNewton) reaches full accuracy in about ten.
//!
//! # Differences from the source
//! The averaged Hessian, δ and its retries, the plateau test and the size of batches are ours.
//!
//! # Reference
//! R. H. Byrd, G. M. Chin, W. Neveitt, J. Nocedal, "On the use of stochastic Hessian information
//! in optimization methods for machine learning", SIAM J. Optim. 21 (2011).

mod core;
pub(crate) mod hessian;
mod on_batch;
pub(crate) mod rule;

pub use self::core::StochasticCore;
pub use self::rule::{AveragedHessian, BatchNewton, Rule};
pub(crate) use self::rule::{Found, OutputBatch};

use crate::oracle::Batches;
use crate::solver::Raphson;
use crate::stochastic::{Averaging, Sampler, StepSchedule};

/// Newton's method on batches; see the [module](self).
///
/// ```
/// use argmin::core::Error;
/// use raphson::{Batch, FiniteSum, Sampler, StepSchedule, StochasticNewton};
///
/// /// The mean of (x − aᵢ)²/2.
/// struct Mean(Vec<f64>);
///
/// impl Mean {
///     fn over(&self, batch: Batch<'_>, f: impl Fn(f64) -> f64) -> f64 {
///         match batch {
///             Batch::All => self.0.iter().map(|&a| f(a)).sum::<f64>() / self.0.len() as f64,
///             Batch::Terms(s) => s.iter().map(|&i| f(self.0[i])).sum::<f64>() / s.len() as f64,
///         }
///     }
/// }
///
/// impl FiniteSum for Mean {
///     type Param = f64;
///     type Gradient = f64;
///     type Hessian = f64;
///     fn terms(&self) -> usize {
///         self.0.len()
///     }
///     fn value(&self, x: &f64, batch: Batch<'_>) -> Result<f64, Error> {
///         Ok(self.over(batch, |a| 0.5 * (x - a).powi(2)))
///     }
///     fn value_gradient(&self, x: &f64, batch: Batch<'_>) -> Result<(f64, f64), Error> {
///         Ok((self.value(x, batch)?, self.over(batch, |a| x - a)))
///     }
///     fn hessian(&self, _: &f64, _: Batch<'_>) -> Result<f64, Error> {
///         Ok(1.0)
///     }
/// }
///
/// // With steps 1/(1 + t) one epoch gives the mean.
/// let run = StochasticNewton::new()
///     .sampler(Sampler::EpochShuffle { b: 2, drop_last: false })
///     .damping(0.0, 0.0)
///     .minimize(&Mean(vec![3.0, 5.0, 1.0, 7.0]), 100.0)?;
/// assert!(run.converged() && (run.x - 4.0).abs() < 1e-12 && run.report.epochs == 1.0);
/// # Ok::<(), raphson::Error>(())
/// ```
pub type StochasticNewton = Raphson<StochasticCore<BatchNewton>, Batches>;

/// Newton's method on batches with an exponentially averaged Hessian; see the [module](self).
///
/// The honest baseline of [`FilteredNewton`](crate::FilteredNewton): simpler, and more accurate.
pub type AveragedHessianNewton = Raphson<StochasticCore<AveragedHessian>, Batches>;

impl<R: Rule> Raphson<StochasticCore<R>, Batches> {
    /// For a [`FiniteSum`](crate::FiniteSum).
    pub fn new() -> Self {
        Raphson::from_method(StochasticCore::assemble())
    }
}

impl<R: Rule> Default for Raphson<StochasticCore<R>, Batches> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: Rule, C> Raphson<StochasticCore<R>, C> {
    /// How batches are drawn. Default: [`Sampler::EpochShuffle`] with max(32, 4d) terms, enough
    /// for a Hessian of full rank, or all terms if these are fewer.
    pub fn sampler(mut self, sampler: Sampler) -> Self {
        self.method.options.sampler = Some(sampler);
        self
    }

    /// The seed of all random numbers of the run. Default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.method.options.seed = seed;
        self
    }

    /// Step lengths. Default: 1/(1 + t).
    pub fn schedule(mut self, schedule: StepSchedule) -> Self {
        self.method.options.schedule = schedule;
        self
    }

    /// An average of the iterates, evaluated at the end of the run. Default: none.
    pub fn averaging(mut self, averaging: Averaging) -> Self {
        self.method.options.averaging = averaging;
        self
    }

    /// δ = `relative` · tr(Q)/d + `absolute`, added to the diagonal of the Hessian. Default 10⁻⁸ and 10⁻¹²:
    /// the first has no unit, the second only serves a Hessian of zero.
    pub fn damping(mut self, relative: f64, absolute: f64) -> Self {
        let damping = &mut self.method.options.damping;
        (damping.relative, damping.absolute) = (relative, absolute);
        self
    }

    /// Most passes over the terms by batches. Default 100; [`None`]: no limit.
    pub fn max_epochs(mut self, limit: impl Into<Option<u64>>) -> Self {
        self.method.options.budget.epochs = limit.into();
        self
    }

    /// Most gradients of single terms, those of evaluation points included. Default: no limit.
    pub fn max_evaluations(mut self, limit: u64) -> Self {
        self.method.options.budget.evaluations = Some(limit);
        self
    }

    /// Stops once F is at most `f` at an evaluation point. Default: none.
    pub fn target(mut self, f: f64) -> Self {
        self.method.options.budget.target = Some(f);
        self
    }

    /// Stops after `patience` epochs in which the smoothed loss did not improve by the part
    /// `improvement` of itself. Default 10 and 10⁻⁴; a patience of 0 switches the test off.
    pub fn plateau(mut self, patience: u64, improvement: f64) -> Self {
        let budget = &mut self.method.options.budget;
        (budget.patience, budget.improvement) = (patience, improvement);
        self
    }

    /// Steps between points where F is evaluated on all terms; 0: only at the start and the end.
    /// Default: at the end of each epoch.
    pub fn evaluate_every(mut self, steps: u64) -> Self {
        self.method.options.budget.every = Some(steps);
        self
    }

    /// Measures b‖g‖²/tr Cov from the gradients of the single terms of each batch, which doubles the cost of
    /// gradients; see [`Report::signal_to_noise`](crate::Report::signal_to_noise). Default: false.
    pub fn noise_report(mut self, measure: bool) -> Self {
        self.method.options.noise = measure;
        self
    }
}

impl Raphson<StochasticCore<AveragedHessian>, Batches> {
    /// ρ in H̄ ← ρH̄ + (1−ρ)Q, in \[0, 1). Default 0.9: a memory of about ten batches.
    pub fn decay(mut self, rho: f64) -> Self {
        self.method.rule.decay = rho;
        self
    }
}
