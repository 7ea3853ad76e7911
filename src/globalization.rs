//! Globalization: which trial step is accepted.
//!
//! A rule drives a [`Probe`]: it sets trials along the prepared direction and
//! looks at f, the gradient or its local dual norm there, each evaluated when
//! first asked for. A trial that is not finite is rejected, never data.

use crate::lazy::Phase;
use crate::oracle::{Counted, Oracle};
use crate::parallel::{dot, norm};
use crate::status::Failed;
use crate::step::{Direction, Fault, Iterate, Proposal};

pub(crate) mod cubic;
pub(crate) mod damping;
pub(crate) mod escape;
pub(crate) mod floor;
pub(crate) mod gradient;
pub(crate) mod saddle_free;
pub(crate) mod trust_region;

/// Most trials in one iteration.
pub(crate) const MAX_TRIALS: u64 = 60;

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// The probe holds the accepted trial.
    Accepted,
    /// The predicted decrease is below the noise of f and the gradient no longer falls.
    Floor,
    /// No trial was acceptable.
    Failed(Failed),
}

/// Judges trials.
pub trait Globalization {
    /// Checks the user's options.
    fn check(&self) -> Result<(), crate::Error>;
    /// Forgets what earlier runs taught.
    fn reset(&mut self);
    /// Finds an acceptable trial.
    fn search(&mut self, probe: &mut Probe<'_>) -> Result<Outcome, Fault>;
    /// The adaptive constant, for the record.
    fn control(&self) -> f64;
    /// Whether a trial is tested, so that an old Hessian does no harm.
    fn judges(&self) -> bool {
        true
    }
}

/// The trial point and what is known there.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    pub(crate) step: Vec<f64>,
    pub(crate) point: Iterate,
    pub(crate) control: f64,
    pub(crate) proposal: Proposal,
    has_value: bool,
    has_gradient: bool,
}

impl Trial {
    pub(crate) fn resize(&mut self, n: usize) {
        self.step.resize(n, 0.0);
        self.point.x.resize(n, 0.0);
        self.point.g.resize(n, 0.0);
    }
}

/// Lets a rule try steps from one point.
pub struct Probe<'a> {
    pub(crate) oracle: Counted<'a>,
    pub(crate) direction: &'a mut dyn Direction,
    pub(crate) phase: &'a mut Phase,
    pub(crate) at: &'a Iterate,
    pub(crate) trial: &'a mut Trial,
    /// Rounding noise of f.
    pub(crate) noise: f64,
    pub(crate) forcing: f64,
    pub(crate) trials: u64,
}

impl Probe<'_> {
    /// Sets the trial x + s(control); [`None`] if the model has no such step.
    pub(crate) fn step(&mut self, control: f64) -> Result<Option<Proposal>, Fault> {
        if self.trials >= MAX_TRIALS {
            return Err(Failed::SearchFailed.into());
        }
        self.trials += 1;
        let (at, trial) = (self.at, &mut *self.trial);
        let proposal = self
            .direction
            .step(&mut self.oracle, at, control, &mut trial.step)?;
        trial.has_value = false;
        trial.has_gradient = false;
        trial.control = control;
        trial.proposal = proposal.unwrap_or_default();
        if proposal.is_some() {
            for ((y, x), p) in trial.point.x.iter_mut().zip(&at.x).zip(&trial.step) {
                *y = x + p;
            }
        }
        Ok(proposal)
    }

    /// Sets the trial x + s u, which counts as one.
    pub(crate) fn walk(&mut self, u: &[f64], s: f64, proposal: Proposal) {
        self.trials += 1;
        self.place(u, s, proposal);
    }

    /// Goes back to the trial x + s u, where f is known.
    pub(crate) fn walk_back(&mut self, u: &[f64], proposal: Proposal, f: f64) {
        self.place(u, proposal.length, proposal);
        self.trial.point.f = f;
        self.trial.has_value = true;
    }

    fn place(&mut self, u: &[f64], s: f64, proposal: Proposal) {
        let trial = &mut *self.trial;
        for (p, u) in trial.step.iter_mut().zip(u) {
            *p = s * u;
        }
        for ((y, x), p) in trial.point.x.iter_mut().zip(&self.at.x).zip(&trial.step) {
            *y = x + p;
        }
        trial.has_value = false;
        trial.has_gradient = false;
        trial.control = s;
        trial.proposal = proposal;
    }

    /// Evaluates the Hessian at the current point in place of a stale one.
    pub(crate) fn refresh(&mut self) -> Result<(), Fault> {
        self.oracle.refresh(&self.at.x)?;
        self.phase.begin(&self.at.x, &self.oracle);
        self.direction
            .load(&mut self.oracle, self.at.x.len(), false)?;
        self.direction
            .prepare(&mut self.oracle, self.at, self.forcing)
    }

    /// f at the trial.
    pub(crate) fn value(&mut self) -> Result<f64, Fault> {
        let Trial {
            point, has_value, ..
        } = &mut *self.trial;
        if !*has_value {
            point.f = self.oracle.value(&point.x)?;
            *has_value = true;
        }
        Ok(point.f)
    }

    /// Norm of the gradient at the trial; not finite if an entry is not.
    pub(crate) fn slope(&mut self) -> Result<f64, Fault> {
        let trial = &mut *self.trial;
        if !trial.has_gradient {
            let Iterate { x, f, g, slope } = &mut trial.point;
            if self.oracle.is_fused() && !trial.has_value {
                *f = self.oracle.value_gradient(x, g)?;
                trial.has_value = true;
            } else {
                self.oracle.gradient(x, g)?;
            }
            *slope = norm(g);
            trial.has_gradient = true;
        }
        Ok(trial.point.slope)
    }

    /// Whether f and the gradient at the trial are finite.
    pub(crate) fn is_finite(&mut self) -> Result<bool, Fault> {
        Ok(self.slope()?.is_finite() && self.value()?.is_finite())
    }

    /// −Gᵀs at the trial.
    pub(crate) fn descent(&mut self) -> Result<f64, Fault> {
        self.slope()?;
        Ok(-dot(&self.trial.point.g, &self.trial.step))
    }

    /// Norm of the gradient at the trial, dual to the metric of the method.
    pub(crate) fn dual_norm(&mut self) -> Result<f64, Fault> {
        self.slope()?;
        Ok(self.direction.dual_norm(&self.trial.point.g))
    }

    /// The decrease that the model predicts without regularization.
    pub(crate) fn unrestricted(&mut self) -> Result<f64, Fault> {
        let control = self.trial.control;
        self.direction
            .unrestricted(&mut self.oracle, self.at, control)
    }

    /// Gᵀn at the trial.
    pub(crate) fn along(&mut self) -> Result<f64, Fault> {
        self.slope()?;
        Ok(self.direction.along(&self.trial.point.g))
    }

    /// Squared local dual norm GᵀH⁻¹G at the trial.
    pub(crate) fn dual_squared(&mut self) -> Result<f64, Fault> {
        self.slope()?;
        self.direction
            .inverse_norm_squared(&mut self.oracle, &self.trial.point.g)
            .ok_or(Fault::Fail(Failed::Breakdown))
    }
}
