//! The ladder of ε: from a twentieth of the range of the costs down to the target, by halves.
//!
//! At a small ε Newton's method from a cold start fails or crawls; from the solution at 2ε it
//! takes a few steps. Intermediate levels are solved to 10⁻² only, and a level starts from potentials
//! extrapolated from the two levels before.

/// First ε, relative to the range of the costs.
const FIRST: f64 = 0.05;
/// From level to level.
const FACTOR: f64 = 0.5;
/// Of the extrapolation that is linear in ε; the whole goes too far where supports change.
const EXTRAPOLATION: f64 = 0.7;
/// Marginal error at which an intermediate level ends.
const TOLERANCE: f64 = 1e-2;
/// Newton steps of a level at most, intermediate and last.
const STEPS: u64 = 50;
const LAST_STEPS: u64 = 200;

/// A level of the ladder.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Level {
    pub(crate) eps: f64,
    target: f64,
    /// Newton steps of this level.
    pub(crate) steps: u64,
}

impl Level {
    /// The first level.
    pub(crate) fn first(target: f64, range: f64) -> Self {
        Level {
            eps: target.max(FIRST * range),
            target,
            steps: 0,
        }
    }

    /// The last level at once, for potentials that are nearly right.
    pub(crate) fn last(target: f64) -> Self {
        Level {
            eps: target,
            target,
            steps: 0,
        }
    }

    /// Share of the last change of g that is made again on the way to `next`, from the level `before`.
    pub(crate) fn extrapolation(&self, before: f64, next: f64) -> f64 {
        EXTRAPOLATION * (self.eps - next) / (before - self.eps)
    }

    pub(crate) fn is_last(&self) -> bool {
        self.eps <= self.target
    }

    /// The next level; a step that would end just above the target goes to it.
    pub(crate) fn next(&self) -> Self {
        Level {
            eps: self.target.max(FACTOR * self.eps),
            steps: 0,
            ..*self
        }
    }

    /// The error at which the level ends; `tol` is that of the last one.
    pub(crate) fn tolerance(&self, tol: f64) -> f64 {
        if self.is_last() {
            tol
        } else {
            TOLERANCE.max(tol)
        }
    }

    /// Whether its Newton steps are used up.
    pub(crate) fn is_spent(&self) -> bool {
        self.steps >= if self.is_last() { LAST_STEPS } else { STEPS }
    }
}
