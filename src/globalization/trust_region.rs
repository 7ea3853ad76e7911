//! Trust region: the step minimizes the quadratic model over ‖s‖ ≤ Δ.
//!
//! With ρ = (f − f₊)/(predicted decrease), the step is accepted if ρ ≥ 0.1. Δ
//! becomes ‖s‖/2 after a rejected step, ‖s‖/4 after an accepted one with ρ < ¼, and
//! 3‖s‖ if ρ > ¾ and the step reached the boundary. There is no largest radius.
//!
//! A value costs less than a Hessian. So a step to the boundary with |ρ − 1| < 0.1 is
//! held while the radius 4Δ is tried from the same point, and taken only if that is no
//! better; without a matrix, whose use for another radius is cheap, it is taken at once.
//!
//! Once the predicted decrease is lost in the rounding of f, ρ says nothing:
//! then the gradient judges, and the run ends where it no longer falls.
//!
//! Reference: A. R. Conn, N. I. M. Gould, P. L. Toint, "Trust-Region Methods"
//! (2000), algorithm 6.1.1 and section 17.4.2.

use super::floor::{Floor, Near};
use super::{Globalization, MAX_TRIALS, Outcome, Probe, Trial};
use crate::error::Error;
use crate::status::Failed;
use crate::step::{Fault, Proposal};

/// Least ratio of an accepted step.
const ACCEPT: f64 = 0.1;
/// Below this ratio the radius becomes this part of the step.
const POOR: f64 = 0.25;
/// The radius becomes this part of a rejected step.
const SHRINK: f64 = 0.5;
/// Above this ratio the radius may grow.
const GOOD: f64 = 0.75;
/// The radius becomes at least this multiple of a good step to the boundary.
const GROW: f64 = 3.0;
/// A ratio so close to 1 asks for a longer step from the same point,
const EXACT: f64 = 0.1;
/// with the radius multiplied by this.
const EXTEND: f64 = 4.0;
/// The first radius in lengths of the Cauchy step.
const FIRST: f64 = 3.0;
/// A step of this part of the radius reached the boundary.
const BOUNDARY: f64 = 0.99;

/// The rule of the module's documentation.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TrustRegion {
    /// The user's first radius.
    pub(crate) initial: Option<f64>,
    radius: Option<f64>,
    /// A trial that a longer one may replace.
    #[cfg_attr(feature = "serde", serde(skip))]
    held: Trial,
}

impl Globalization for TrustRegion {
    fn check(&self) -> Result<(), Error> {
        match self.initial {
            Some(r) if !(r > 0.0 && r.is_finite()) => {
                Err(Error::parameter("radius", r, "positive and finite"))
            }
            _ => Ok(()),
        }
    }

    fn reset(&mut self) {
        self.radius = None;
    }

    fn control(&self) -> f64 {
        self.radius.unwrap_or(0.0)
    }

    fn search(&mut self, probe: &mut Probe<'_>) -> Result<Outcome, Fault> {
        let mut radius = match self.radius.or(self.initial) {
            Some(radius) => radius,
            None => {
                let scale = probe
                    .direction
                    .curvature_scale(&mut probe.oracle, probe.at)?;
                let radius = FIRST * probe.at.slope / scale;
                // A saddle point, where g = 0: any length will do.
                if radius > 0.0 { radius } else { 1.0 }
            }
        };
        self.radius = Some(radius);
        self.held.resize(probe.at.x.len());
        let mut floor = Floor::default();
        // f at the trial that is held.
        let mut held = None;
        let mut extends = probe.direction.is_reusable();
        while probe.trials < MAX_TRIALS {
            let mut proposal = match probe.step(radius) {
                Ok(Some(proposal)) => proposal,
                Ok(None) | Err(Fault::Fail(_)) if held.is_some() => Proposal::default(),
                Ok(None) => return Ok(Outcome::Failed(Failed::SubproblemFailed)),
                Err(fault) => return Err(fault),
            };
            if extends {
                let passes = proposal.length > 0.0
                    && probe.at.f - probe.value()? > probe.noise
                    && held.is_none_or(|f| probe.trial.point.f < f);
                let ratio = if passes {
                    ratio(probe, proposal)?
                } else {
                    f64::NEG_INFINITY
                };
                extends = passes
                    && (ratio - 1.0).abs() < EXACT
                    && reaches(proposal, radius)
                    && probe.trials < MAX_TRIALS / 2;
                if extends {
                    held = Some(probe.trial.point.f);
                    std::mem::swap(&mut *probe.trial, &mut self.held);
                    radius *= EXTEND;
                    continue;
                }
                if held.take().is_some() && !(passes && ratio >= ACCEPT && probe.is_finite()?) {
                    std::mem::swap(&mut *probe.trial, &mut self.held);
                    proposal = probe.trial.proposal;
                    radius = probe.trial.control;
                    probe.oracle.report.shift = proposal.multiplier;
                }
            }
            let (verdict, ratio) = judge(probe, &mut floor, proposal)?;
            radius = if ratio > GOOD && reaches(proposal, radius) {
                radius.max(GROW * proposal.length)
            } else if ratio >= POOR {
                radius
            } else if ratio >= ACCEPT {
                POOR * proposal.length
            } else {
                SHRINK * proposal.length
            };
            self.radius = Some(radius);
            match verdict {
                Near::Reached => return Ok(Outcome::Floor),
                Near::Accept => return Ok(Outcome::Accepted),
                Near::No => {}
            }
        }
        Ok(Outcome::Failed(Failed::SearchFailed))
    }
}

fn reaches(proposal: Proposal, radius: f64) -> bool {
    proposal.length >= BOUNDARY * radius
}

/// ρ; −∞ where f is not finite.
fn ratio(probe: &mut Probe<'_>, proposal: Proposal) -> Result<f64, Fault> {
    let f = probe.value()?;
    Ok(if f.is_finite() {
        (probe.at.f - f) / proposal.predicted
    } else {
        f64::NEG_INFINITY
    })
}

/// The verdict and ρ; a trial that is not finite has ρ = −∞.
fn judge(
    probe: &mut Probe<'_>,
    floor: &mut Floor,
    proposal: Proposal,
) -> Result<(Near, f64), Fault> {
    let ratio = ratio(probe, proposal)?;
    if ratio == f64::NEG_INFINITY {
        return Ok((Near::No, ratio));
    }
    let fall = probe.at.f - probe.value()?;
    let near = floor.judge(probe, proposal.predicted, fall)?;
    if !matches!(near, Near::No) {
        return Ok((near, 1.0));
    }
    if fall > probe.noise && ratio >= ACCEPT && probe.is_finite()? {
        return Ok((Near::Accept, ratio));
    }
    // A value without a finite gradient is outside the domain.
    Ok((Near::No, ratio.min(0.0)))
}
