//! How a run ended.
//!
//! One [`Status`] serves every solver. Each value says whether it means
//! convergence, and its text says what to try. The texts are stable: argmin
//! carries them in `TerminationReason::SolverExit`.

use std::fmt;

/// Which test proved convergence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Converged {
    /// The gradient norm met its tolerance.
    GradientTolerance,
    /// Half the squared Newton decrement met its tolerance.
    DecrementTolerance,
    /// A bound on f minus its minimum met its tolerance.
    GapTolerance,
    /// An accepted step was shorter than its tolerance.
    StepTolerance,
    /// An accepted step changed f by less than its tolerance.
    CostTolerance,
    /// The gradient met its tolerance and the curvature is nonnegative.
    SecondOrder,
    /// The marginals of a transport plan met their tolerance.
    Marginal,
    /// The KKT residual met its tolerance.
    Kkt,
    /// The predicted decrease is at most the rounding noise of f: doubles can show no better point.
    PrecisionFloor,
}

/// Which budget ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Stopped {
    /// The iteration limit.
    MaxIterations,
    /// The limit on evaluations.
    MaxEvaluations,
    /// The limit on passes over the data.
    MaxEpochs,
    /// The time limit.
    Time,
    /// The target cost was reached.
    Target,
    /// Ctrl-C, or a callback asked to stop.
    Interrupted,
    /// Progress has levelled off at the noise of the estimates.
    Plateau,
}

/// What broke down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Failed {
    /// f, its gradient or its Hessian is NaN or infinite at an accepted point.
    NonFinite,
    /// The Hessian is not positive definite and no shift was allowed or sufficed.
    NotPositiveDefinite,
    /// No trial step was acceptable.
    SearchFailed,
    /// A subproblem could not be solved to its tolerance.
    SubproblemFailed,
    /// Steps no longer move the point although no tolerance is met.
    Stalled,
    /// f falls without bound, or the iterates run to infinity.
    Unbounded,
    /// The constraints have no common point nearby.
    Infeasible,
    /// A matrix that must have full rank has not.
    RankDeficient,
    /// The two classes can be separated, so unpenalized coefficients run to infinity.
    Separable,
    /// A recurrence broke down.
    Breakdown,
}

/// How a run stands or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Status {
    /// Not ended yet.
    #[default]
    Running,
    /// A test proved convergence.
    Converged(Converged),
    /// A budget ran out first.
    Stopped(Stopped),
    /// The method could not go on.
    Failed(Failed),
}

impl Status {
    /// True only if a convergence test holds at the returned point.
    pub fn is_converged(self) -> bool {
        matches!(self, Status::Converged(_))
    }

    /// True once the run has ended, in whatever way.
    pub fn is_final(self) -> bool {
        self != Status::Running
    }

    /// The variant's name, as in `GradientTolerance`.
    pub fn name(self) -> &'static str {
        use {Converged as C, Failed as F, Stopped as S};
        match self {
            Status::Running => "Running",
            Status::Converged(c) => match c {
                C::GradientTolerance => "GradientTolerance",
                C::DecrementTolerance => "DecrementTolerance",
                C::GapTolerance => "GapTolerance",
                C::StepTolerance => "StepTolerance",
                C::CostTolerance => "CostTolerance",
                C::SecondOrder => "SecondOrder",
                C::Marginal => "Marginal",
                C::Kkt => "Kkt",
                C::PrecisionFloor => "PrecisionFloor",
            },
            Status::Stopped(s) => match s {
                S::MaxIterations => "MaxIterations",
                S::MaxEvaluations => "MaxEvaluations",
                S::MaxEpochs => "MaxEpochs",
                S::Time => "Time",
                S::Target => "Target",
                S::Interrupted => "Interrupted",
                S::Plateau => "Plateau",
            },
            Status::Failed(f) => match f {
                F::NonFinite => "NonFinite",
                F::NotPositiveDefinite => "NotPositiveDefinite",
                F::SearchFailed => "SearchFailed",
                F::SubproblemFailed => "SubproblemFailed",
                F::Stalled => "Stalled",
                F::Unbounded => "Unbounded",
                F::Infeasible => "Infeasible",
                F::RankDeficient => "RankDeficient",
                F::Separable => "Separable",
                F::Breakdown => "Breakdown",
            },
        }
    }

    /// What the status means and what to try, in one stable sentence.
    pub fn message(self) -> &'static str {
        use {Converged as C, Failed as F, Stopped as S};
        match self {
            Status::Running => "still running",
            Status::Converged(c) => match c {
                C::GradientTolerance => "the gradient norm is below its tolerance",
                C::DecrementTolerance => "half the squared Newton decrement is below its tolerance",
                C::GapTolerance => "the bound on f minus its minimum is below its tolerance",
                C::StepTolerance => "the step is below its tolerance",
                C::CostTolerance => "the change of f is below its tolerance",
                C::SecondOrder => {
                    "the gradient is below its tolerance and the curvature is nonnegative"
                }
                C::Marginal => "the marginal error is below its tolerance",
                C::Kkt => "the KKT residual is below its tolerance",
                C::PrecisionFloor => {
                    "the predicted decrease is below the rounding noise of f; doubles can show no better point"
                }
            },
            Status::Stopped(s) => match s {
                S::MaxIterations => {
                    "the iteration limit was reached; raise it or loosen the tolerance"
                }
                S::MaxEvaluations => {
                    "the evaluation limit was reached; raise it or loosen the tolerance"
                }
                S::MaxEpochs => "the epoch limit was reached; raise it or loosen the tolerance",
                S::Time => "the time limit was reached",
                S::Target => "the target cost was reached",
                S::Interrupted => "the run was interrupted on request",
                S::Plateau => "progress has levelled off at the noise of the estimates",
            },
            Status::Failed(f) => match f {
                F::NonFinite => {
                    "f, its gradient or its Hessian is not finite; check the start point and the domain of f"
                }
                F::NotPositiveDefinite => {
                    "the Hessian is not positive definite; allow a shift, or use a solver for non-convex functions"
                }
                F::SearchFailed => {
                    "no trial step was acceptable; check the derivatives with `check`, or use the parameter-free schedule"
                }
                F::SubproblemFailed => "the inner problem could not be solved to its tolerance",
                F::Stalled => {
                    "the steps no longer move the point; the derivatives may be inconsistent with f"
                }
                F::Unbounded => {
                    "f falls without bound or the iterates run to infinity; add a penalty or a bound"
                }
                F::Infeasible => "the constraints have no common point near the iterate",
                F::RankDeficient => {
                    "a matrix that must have full rank has not; remove dependent columns or add a penalty"
                }
                F::Separable => {
                    "the classes are separable, so unpenalized coefficients run to infinity; add an l2 penalty"
                }
                F::Breakdown => "a recurrence broke down",
            },
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self {
            Status::Running => return out.write_str("Running"),
            Status::Converged(_) => "Converged",
            Status::Stopped(_) => "Stopped",
            Status::Failed(_) => "Failed",
        };
        write!(out, "{family}({}): {}", self.name(), self.message())
    }
}
