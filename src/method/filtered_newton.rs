//! Newton's method on batches with a Bayesian filter for gradient and Hessian.
//!
//! # Problem
//! min F(x) = (1/n) Σ fᵢ(x), a [`FiniteSum`](crate::FiniteSum) of convex fᵢ with dense Hessians in
//! a moderate number d of variables.
//!
//! # Model
//! A latent state z follows zₜ = A zₜ₋₁ + N(0, Γ), and given batch t with gradient f and damped
//! Hessian Q = H + δI, zₜ is N(f, Q). The filter keeps zₜ ~ N(μₜ, Σₜ): μ is a filtered gradient, Σ a
//! filtered Hessian, and pₜ = −Σₜ⁻¹μₜ. By default A = αI and Γ = βI.
//!
//! # Update
//! In the state Λ = Σ⁻¹ and ν = Σ⁻¹μ no covariance is inverted:
//!
//! | quantity | A = αI, Γ = βI | general |
//! |---|---|---|
//! | matrix | C = α²I + βΛ | K = Λ + AᵀΓ⁻¹A |
//! | memory | M = αC⁻¹ | M = Γ⁻¹A K⁻¹ |
//! | Λ ← | C⁻¹Λ + Q⁻¹ \[− S⁻¹\] | Γ⁻¹ − Γ⁻¹A K⁻¹AᵀΓ⁻¹ + Q⁻¹ \[− S⁻¹\] |
//! | ν ← | Mν + Q⁻¹f | Mν + Q⁻¹f |
//!
//! so pₜ = nₜ + Mₜpₜ₋₁ with the batch's Newton direction nₜ = −Q⁻¹f: a heavy ball whose momentum is
//! a matrix. S = ASAᵀ + Γ is the stationary covariance; see [`MarginalPrecision`].
//!
//! * β = 0.2 τ, τ the running average (0.9) of tr(Q)/d, so that nothing has a unit; β falls by at
//!   most 5 % a step.
//! * Start: ν₁ = Q₁⁻¹f and Λ₁ = Q₁⁻¹ + S⁻¹ ([`capped_start`](crate::Raphson::capped_start)), so the first step is
//!   Newton's and ‖Mₜ‖ ≤ α for every t, whatever the Hessians, while β does not fall: what is i
//!   steps old has at most the weight αⁱ. Without the cap ‖Mₜ‖ may reach 1/α at first.
//! * [`normalize`](crate::Raphson::normalize): W ← I + MW and p = −W⁻¹ν, a matrix-weighted mean of the Newton
//!   directions; of identical batches exactly Newton's direction. Default: if the schedule is a constant step
//!   or a line search.
//! * In a line search a direction with gᵀp ≥ 0 on its batch (5 to 12 in 100) is replaced by nₜ.
//!
//! Step lengths, batches and stopping are those of [`stochastic`](super::stochastic); sₜ = 1/(1 + t).
//!
//! # Report
//! ‖Mₜ‖ is [`IterationRecord::memory`](crate::IterationRecord::memory), from below to
//! about three digits; [`Report::memory_grows`](crate::Report::memory_grows) warns if it was above 1 for ten steps in a row.
//!
//! # Failure
//! Q not positive definite although δ was raised five times, or Λ no longer positive definite:
//! `Failed(NotPositiveDefinite)`. W singular: `Failed(Breakdown)`. See
//! [`stochastic`](super::stochastic) for values that are not finite.
//!
//! # Cost
//! Two Cholesky factorizations, Q⁻¹ (of which Λ is made: the one place where an explicit inverse is formed) and a solve with d
//! right-hand sides: about 4d³ multiplications and 5d² of memory; normalized another solve with d
//! right-hand sides and an LU factorization; robust another eigenvalue decomposition.
//!
//! # When to use it
//! It smooths like a heavy ball. It helps, normalized, with constant steps or a line search, where
//! Newton's own steps keep all the noise of their batches; and with a line search so strict that
//! Newton's steps are cut to 1/16, as in the published comparison: there its directions have
//! half the squared angular error in the first steps, and it is three times as close after ten.
//! It does not help with steps 1/(1 + t), which average by themselves: it is behind in the first
//! steps and level with [`StochasticNewton`](crate::StochasticNewton) later, and
//! [`AveragedHessianNewton`](crate::AveragedHessianNewton), which is cheaper, is ahead of both.
//! On full batches it is slower than Newton: its rate is linear, √‖M‖.
//!
//! # Differences from the source
//! The information form, β that scales with the Hessian, the capped start, the normalized
//! direction, the damping and the general A and Γ are ours; [`paper_mode`](crate::Raphson::paper_mode) is
//! the published experiment. Its author's program was the source of the robust rule.
//!
//! # Reference
//! M. C. Burkhart, "Discriminative Bayesian filtering lends momentum to the stochastic Newton
//! method for minimizing log-convex functions", Optimization Letters (2022).

mod dynamics;
mod filter;
#[cfg(test)]
mod tests;

pub use filter::{BayesianFilter, MarginalPrecision};

use self::dynamics::Dynamics;
use crate::error::Error;
use crate::method::stochastic::StochasticCore;
use crate::oracle::Batches;
use crate::solver::Raphson;
use crate::stochastic::StepSchedule;
use faer::MatRef;

/// Newton's method on batches with filtered gradient and Hessian; see the [module](self).
///
/// ```
/// use argmin::core::Error;
/// use raphson::{Batch, FilteredNewton, FiniteSum, StepSchedule};
///
/// /// The mean of qᵢ(x − aᵢ)²/2.
/// struct Parabolas(Vec<[f64; 2]>);
///
/// impl Parabolas {
///     fn mean(&self, batch: Batch<'_>, f: impl Fn(f64, f64) -> f64) -> f64 {
///         let at = |&[q, a]: &[f64; 2]| f(q, a);
///         match batch {
///             Batch::All => self.0.iter().map(at).sum::<f64>() / self.0.len() as f64,
///             Batch::Terms(s) => s.iter().map(|&i| at(&self.0[i])).sum::<f64>() / s.len() as f64,
///         }
///     }
/// }
///
/// impl FiniteSum for Parabolas {
///     type Param = f64;
///     type Gradient = f64;
///     type Hessian = f64;
///     fn terms(&self) -> usize {
///         self.0.len()
///     }
///     fn value(&self, x: &f64, batch: Batch<'_>) -> Result<f64, Error> {
///         Ok(self.mean(batch, |q, a| 0.5 * q * (x - a).powi(2)))
///     }
///     fn value_gradient(&self, x: &f64, batch: Batch<'_>) -> Result<(f64, f64), Error> {
///         Ok((self.value(x, batch)?, self.mean(batch, |q, a| q * (x - a))))
///     }
///     fn hessian(&self, _: &f64, batch: Batch<'_>) -> Result<f64, Error> {
///         Ok(self.mean(batch, |q, _| q))
///     }
/// }
///
/// let sum = Parabolas((0..200).map(|i| [1.0 + (i % 3) as f64, (i % 7) as f64]).collect());
/// let run = FilteredNewton::new()
///     .seed(1)
///     .schedule(StepSchedule::Constant(0.25)) // normalized, as full steps would overshoot
///     .max_epochs(20)
///     .minimize(&sum, 100.0)?;
/// assert!((run.x - 3.0).abs() < 0.2);
/// assert!(run.report.epochs <= 20.0 && !run.report.memory_grows);
/// # Ok::<(), raphson::Error>(())
/// ```
pub type FilteredNewton = Raphson<StochasticCore<BayesianFilter>, Batches>;

impl Raphson<StochasticCore<BayesianFilter>, Batches> {
    /// α in \[0, 1), the part of the state that lasts a step. 0 is
    /// [`StochasticNewton`](crate::StochasticNewton). Default 0.9.
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.method.rule.alpha = alpha;
        self
    }

    /// β as a multiple of the running average of tr(Q)/d. Default 0.2. The larger, the shorter
    /// the memory.
    pub fn relative_beta(mut self, factor: f64) -> Self {
        self.method.rule.beta_factor = factor;
        self.method.rule.beta_fixed = None;
        self
    }

    /// A fixed β, in the units of the Hessian.
    pub fn beta(mut self, beta: f64) -> Self {
        self.method.rule.beta_fixed = Some(beta);
        self
    }

    /// Allows α ≥ 1 and β = 0, with which nothing fades: steps then grow with their number and
    /// the run need not converge. Default: false.
    pub fn allow_no_decay(mut self, allow: bool) -> Self {
        self.method.rule.allow_no_decay = allow;
        self
    }

    /// Starts with Λ₁ = Q₁⁻¹ + S⁻¹ instead of Q₁⁻¹, which bounds ‖M‖ by α. Default: true.
    pub fn capped_start(mut self, capped: bool) -> Self {
        self.method.rule.capped = capped;
        self
    }

    /// Whether the stationary precision is subtracted. Default: [`MarginalPrecision::Omit`].
    pub fn marginal(mut self, marginal: MarginalPrecision) -> Self {
        self.method.rule.marginal = marginal;
        self
    }

    /// Divides the direction by the sum of its weights. Default: if the schedule is a constant
    /// step or a line search.
    pub fn normalize(mut self, normalize: bool) -> Self {
        self.method.rule.normalize = Some(normalize);
        self
    }

    /// General dynamics A and Γ (d x d, Γ symmetric positive definite in the units of the Hessian) in place of
    /// αI and βI. Only ‖Mₜ‖ in the record tells whether the memory fades.
    ///
    /// # Errors
    /// If the shapes differ or an entry is not finite. Γ not positive definite, and, where S is
    /// needed, an A whose powers do not fade, are errors at the start of the run.
    pub fn dynamics(mut self, a: MatRef<'_, f64>, gamma: MatRef<'_, f64>) -> Result<Self, Error> {
        self.method.rule.general = Some(Dynamics::new(a, gamma)?);
        Ok(self)
    }

    /// The published experiment: α = 0.9, β = 0.2, [`MarginalPrecision::Robust`], Σ₁ = Q₁, δ = 10⁻¹², no
    /// normalization, and steps 1, ½, …, 1/16 by batch Armijo with the constant 0.95, the last of
    /// which is taken anyway. For reproduction: so strict a constant cuts Newton's steps on
    /// quadratics to 1/16.
    pub fn paper_mode(mut self) -> Self {
        self.method.options.uphill = true;
        self.alpha(0.9)
            .beta(0.2)
            .marginal(MarginalPrecision::Robust)
            .capped_start(false)
            .normalize(false)
            .damping(0.0, 1e-12)
            .schedule(StepSchedule::BatchArmijo {
                c1: 0.95,
                shrink: 0.5,
                max_trials: 5,
                s_max: 1.0,
                growth: 16.0,
                take_last: true,
            })
    }
}
