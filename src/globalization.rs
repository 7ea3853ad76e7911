//! Globalization: which trial step is accepted.
//!
//! A rule drives a [`Probe`]: it sets trials along the prepared direction and
//! looks at f, the gradient or its local dual norm there, each evaluated when
//! first asked for. A trial that is not finite is rejected, never data.

use crate::oracle::{Counted, Oracle};
use crate::parallel::norm;
use crate::status::Failed;
use crate::step::{Direction, Fault, Iterate};

pub(crate) mod damping;

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
    /// Name of the method it makes.
    fn name(&self) -> &'static str;
    /// Checks the user's options.
    fn check(&self) -> Result<(), crate::Error>;
    /// Forgets what earlier runs taught.
    fn reset(&mut self);
    /// Finds an acceptable trial.
    fn search(&mut self, probe: &mut Probe<'_>) -> Result<Outcome, Fault>;
    /// The adaptive constant, for the record.
    fn control(&self) -> f64;
}

/// The trial point and what is known there.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    pub(crate) step: Vec<f64>,
    pub(crate) point: Iterate,
    pub(crate) control: f64,
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
    pub(crate) at: &'a Iterate,
    pub(crate) trial: &'a mut Trial,
    /// Rounding noise of f.
    pub(crate) noise: f64,
    pub(crate) trials: u64,
}

impl Probe<'_> {
    /// Sets the trial x + p(control).
    pub(crate) fn step(&mut self, control: f64) -> Result<(), Fault> {
        if self.trials >= MAX_TRIALS {
            return Err(Failed::SearchFailed.into());
        }
        self.trials += 1;
        self.direction.step(control, &mut self.trial.step);
        let trial = &mut *self.trial;
        for ((y, x), p) in trial.point.x.iter_mut().zip(&self.at.x).zip(&trial.step) {
            *y = x + p;
        }
        trial.control = control;
        trial.has_value = false;
        trial.has_gradient = false;
        Ok(())
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
