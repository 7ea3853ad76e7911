//! Regularization by a power of the gradient norm.
//!
//! s = −(A + λB)⁻¹g with λ = H‖g‖ᵃ, norms dual to the metric B, for any
//! positive semidefinite A. While A + λB is not positive definite, or the test
//! fails, H grows. Two tests:
//!
//! Gᵀ(−s) ≥ ‖G‖²/(4λ)                                       (gradient, convex f)
//! f − f₊ ≥ ‖G‖²/(8λ)                                        (value, any f)
//!
//! For convex f the first implies f − f₊ ≥ ‖G‖²/(4λ). It uses no values, so
//! rounding of f does not stop it.

use super::floor::{Floor, Near};
use super::{Globalization, MAX_TRIALS, Outcome, Probe};
use crate::error::Error;
use crate::status::Failed;
use crate::step::{Fault, Proposal};

/// Which member of the family.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Rule {
    /// λ = sqrt(M‖g‖) with a Hessian that serves several steps; H = √M.
    Lazy,
    /// λ = H‖g‖ᵃ.
    Power(f64),
    /// λ = ‖g‖/γ with the value test; H = 1/γ, steps are no longer than γ.
    Normalized,
}

/// Rejections on a stale Hessian before it is evaluated again.
const PATIENCE: u32 = 2;
/// λ‖s‖² below this part of the predicted decrease is not lowered further.
const NEGLIGIBLE: f64 = 1e-10;

/// The rules of the module's documentation.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GradientRegularization {
    pub(crate) rule: Rule,
    /// The user's constant, never changed: M, H or 1/γ.
    pub(crate) fixed: Option<f64>,
    /// H, once known.
    constant: Option<f64>,
}

impl GradientRegularization {
    pub(crate) fn new(rule: Rule) -> Self {
        GradientRegularization {
            rule,
            fixed: None,
            constant: None,
        }
    }

    fn exponent(&self) -> f64 {
        match self.rule {
            Rule::Lazy => 0.5,
            Rule::Power(a) => a,
            Rule::Normalized => 1.0,
        }
    }

    /// Factor between trials.
    fn factor(&self) -> f64 {
        match self.rule {
            Rule::Lazy | Rule::Normalized => 2.0,
            Rule::Power(_) => 4.0,
        }
    }

    /// H of the first trial: its λ is `part` of the scale of the curvature.
    fn initial(&self, scale: f64, power: f64) -> f64 {
        let part = match self.rule {
            Rule::Lazy => 0.02_f64.sqrt(),
            Rule::Power(_) => 0.1,
            Rule::Normalized => 1.0,
        };
        part * scale / power
    }
}

impl Globalization for GradientRegularization {
    fn check(&self) -> Result<(), Error> {
        if let Rule::Power(a) = self.rule
            && !(0.5..=1.0).contains(&a)
        {
            return Err(Error::parameter("exponent", a, "in [1/2, 1]"));
        }
        match self.fixed {
            Some(c) if !(c > 0.0 && c.is_finite()) => {
                Err(Error::parameter("constant", c, "positive and finite"))
            }
            _ => Ok(()),
        }
    }

    fn reset(&mut self) {
        self.constant = None;
    }

    fn control(&self) -> f64 {
        let h = self.constant.unwrap_or(0.0);
        match self.rule {
            Rule::Lazy => h * h,
            Rule::Power(_) => h,
            Rule::Normalized if h > 0.0 => 1.0 / h,
            Rule::Normalized => 0.0,
        }
    }

    fn search(&mut self, probe: &mut Probe<'_>) -> Result<Outcome, Fault> {
        let slope = probe.direction.dual_norm(&probe.at.g);
        if slope == 0.0 {
            // A saddle point, where no multiple of the metric gives a step.
            return Ok(Outcome::Failed(Failed::NotPositiveDefinite));
        }
        let power = slope.powf(self.exponent());
        let mut h = match (self.fixed, self.constant) {
            (Some(m), _) if self.rule == Rule::Lazy => m.sqrt(),
            (Some(h), _) | (None, Some(h)) => h,
            (None, None) => {
                let scale = probe
                    .direction
                    .curvature_scale(&mut probe.oracle, probe.at)?;
                self.initial(scale, power)
            }
        };
        self.constant = Some(h);
        let mut floor = Floor::default();
        let mut ups = 0;
        while probe.trials < MAX_TRIALS {
            let proposal = probe.step(h * power)?;
            let passes = match proposal {
                None => false,
                Some(_) if self.fixed.is_some() => probe.is_finite()?,
                Some(proposal) => match self.judge(probe, &mut floor, proposal)? {
                    Near::Reached => return Ok(Outcome::Floor),
                    Near::Accept => true,
                    Near::No => false,
                },
            };
            if passes {
                if self.fixed.is_none() {
                    self.constant = Some(self.lowered(probe, proposal, h));
                }
                return Ok(Outcome::Accepted);
            }
            // The direction may have kept a factor of another λ.
            let used = proposal.map_or(h, |p| p.multiplier / power).max(h);
            h = self.factor() * used;
            ups += 1;
            if !probe.phase.is_fresh() && ups > PATIENCE {
                probe.refresh()?;
                ups = 0;
            }
        }
        Ok(Outcome::Failed(Failed::SearchFailed))
    }
}

impl GradientRegularization {
    fn judge(
        &self,
        probe: &mut Probe<'_>,
        floor: &mut Floor,
        proposal: Proposal,
    ) -> Result<Near, Fault> {
        let lambda = proposal.multiplier;
        // NaN compares false and rejects.
        let (passes, fall) = if self.rule == Rule::Normalized {
            let fall = probe.at.f - probe.value()?;
            let falls = fall > probe.noise;
            let passes = falls && fall >= probe.dual_norm()?.powi(2) / (8.0 * lambda);
            (passes, fall)
        } else {
            let needed = probe.dual_norm()?.powi(2) / (4.0 * lambda);
            (probe.descent()? >= needed, f64::NAN)
        };
        if passes && probe.is_finite()? {
            return Ok(Near::Accept);
        }
        floor.judge(probe, proposal.predicted, fall)
    }

    /// H after an accepted trial.
    fn lowered(&self, probe: &Probe<'_>, proposal: Option<Proposal>, h: f64) -> f64 {
        let lowers = match self.rule {
            Rule::Lazy => probe.phase.is_fresh(),
            Rule::Power(_) => true,
            Rule::Normalized => probe.trials == 1,
        };
        let matters =
            proposal.is_some_and(|p| p.multiplier * p.length * p.length > NEGLIGIBLE * p.predicted);
        if lowers && matters {
            h / self.factor()
        } else {
            h
        }
    }
}
