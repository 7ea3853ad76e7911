//! Damping of saddle-free steps p(λ) = −(|H| + λI)⁻¹g.
//!
//! [`Damping::Grid`]: λ = ς 10⁻⁶, ς 10⁻⁵, …, ς, of which the one with the least f is taken; where f
//! falls by what the model predicts to a tenth for the first of them, which is the largest
//! prediction of all, the others are not tried. [`Damping::Marquardt`]: λ is carried from step to
//! step, starts at ς, and is multiplied by 3/2 if ρ < ¼ and by ⅔ if ρ > ¾, where ρ is the decrease
//! of f over that of the model gᵀp + ½pᵀHp (with H, not |H|). ς is ‖H‖, or 1 for a damping that is
//! absolute.
//!
//! An accepted step has
//!
//! f₊ ≤ f + 10⁻⁴ gᵀp,                                         (test)
//!
//! where gᵀp < 0 always. If no λ of the grid gives one, larger ones are tried, ten times each:
//! the steps become short ones along −g.
//!
//! Once decreases are lost in the rounding of f the gradient judges, as for every method.

use super::floor::{Floor, Near};
use super::{Globalization, MAX_TRIALS, Outcome, Probe, Trial};
use crate::error::Error;
use crate::parallel::dot;
use crate::status::Failed;
use crate::step::{Fault, Proposal};

/// Part of gᵀp by which f must fall.
const ARMIJO: f64 = 1e-4;
/// Decades of the grid below ς.
const DECADES: i32 = 6;
/// A ratio so close to 1 leaves nothing to gain for a larger λ.
const EXACT: f64 = 0.1;
/// Marquardt's thresholds and factors.
const POOR: f64 = 0.25;
const GOOD: f64 = 0.75;
const RAISE: f64 = 1.5;
const LOWER: f64 = 2.0 / 3.0;

/// How λ of a saddle-free step is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Damping {
    /// The best of seven values from 10⁻⁶ to 1 times the scale, at one value of f each.
    #[default]
    Grid,
    /// One value, adapted by the gain ratio: fewer values of f, more steps.
    Marquardt,
}

/// The rule of the module's documentation.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SaddleFreeDamping {
    pub(crate) damping: Damping,
    /// ς = 1.
    pub(crate) absolute: bool,
    lambda: Option<f64>,
    /// The best trial.
    #[cfg_attr(feature = "serde", serde(skip))]
    held: Trial,
}

impl Globalization for SaddleFreeDamping {
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    fn reset(&mut self) {
        self.lambda = None;
    }

    fn control(&self) -> f64 {
        self.lambda.unwrap_or(0.0)
    }

    fn search(&mut self, probe: &mut Probe<'_>) -> Result<Outcome, Fault> {
        loop {
            let outcome = match self.damping {
                Damping::Grid => self.grid(probe)?,
                Damping::Marquardt => self.marquardt(probe)?,
            };
            // A basis from an earlier point may miss the gradient.
            if outcome == Outcome::Accepted || probe.phase.is_fresh() {
                return Ok(outcome);
            }
            probe.refresh()?;
        }
    }
}

impl SaddleFreeDamping {
    fn scale(&self, probe: &mut Probe<'_>) -> Result<f64, Fault> {
        if self.absolute {
            return Ok(1.0);
        }
        probe.direction.curvature_scale(&mut probe.oracle, probe.at)
    }

    fn grid(&mut self, probe: &mut Probe<'_>) -> Result<Outcome, Fault> {
        let scale = self.scale(probe)?;
        self.held.resize(probe.at.x.len());
        let mut floor = Floor::default();
        let mut best: Option<f64> = None;
        let mut is_first = true;
        for decade in -DECADES..=0 {
            let Some(proposal) = probe.step(scale * 10f64.powi(decade))? else {
                continue;
            };
            let f = probe.value()?;
            match floor.judge(probe, proposal.predicted, probe.at.f - f)? {
                Near::Reached => return Ok(Outcome::Floor),
                Near::Accept => return Ok(self.accept(probe)),
                Near::No => {}
            }
            let ratio = (probe.at.f - f) / proposal.predicted;
            if is_first && (ratio - 1.0).abs() < EXACT && passes(probe)? {
                return Ok(self.accept(probe));
            }
            is_first = false;
            if f.is_finite() && best.is_none_or(|least| f < least) {
                best = Some(f);
                std::mem::swap(&mut *probe.trial, &mut self.held);
            }
        }
        if best.is_some() {
            std::mem::swap(&mut *probe.trial, &mut self.held);
            probe.oracle.report.shift = probe.trial.control;
            if passes(probe)? {
                return Ok(self.accept(probe));
            }
        }
        let mut lambda = scale;
        while probe.trials < MAX_TRIALS {
            lambda *= 10.0;
            let Some(proposal) = probe.step(lambda)? else {
                break;
            };
            match self.verdict(probe, &mut floor, proposal)? {
                Near::Reached => return Ok(Outcome::Floor),
                Near::Accept => return Ok(self.accept(probe)),
                Near::No => {}
            }
        }
        Ok(Outcome::Failed(Failed::SearchFailed))
    }

    fn marquardt(&mut self, probe: &mut Probe<'_>) -> Result<Outcome, Fault> {
        let mut lambda = match self.lambda {
            Some(lambda) => lambda,
            None => self.scale(probe)?,
        };
        let mut floor = Floor::default();
        while probe.trials < MAX_TRIALS {
            let proposal = probe.step(lambda)?;
            let (verdict, ratio) = match proposal {
                Some(proposal) => {
                    let verdict = self.verdict(probe, &mut floor, proposal)?;
                    let fall = probe.at.f - probe.value()?;
                    (verdict, fall / proposal.predicted)
                }
                None => (Near::No, f64::NEG_INFINITY),
            };
            let used = lambda;
            if ratio > GOOD {
                lambda *= LOWER;
            } else if ratio < POOR || ratio.is_nan() {
                lambda *= RAISE;
            }
            self.lambda = Some(lambda);
            match verdict {
                Near::Reached => return Ok(Outcome::Floor),
                Near::Accept => return Ok(Outcome::Accepted),
                // The same λ again would change nothing.
                Near::No => lambda = lambda.max(RAISE * used),
            }
        }
        Ok(Outcome::Failed(Failed::SearchFailed))
    }

    fn verdict(
        &self,
        probe: &mut Probe<'_>,
        floor: &mut Floor,
        proposal: Proposal,
    ) -> Result<Near, Fault> {
        let fall = probe.at.f - probe.value()?;
        match floor.judge(probe, proposal.predicted, fall)? {
            Near::No if passes(probe)? => Ok(Near::Accept),
            near => Ok(near),
        }
    }

    fn accept(&mut self, probe: &Probe<'_>) -> Outcome {
        self.lambda = Some(probe.trial.control);
        Outcome::Accepted
    }
}

/// The test, by more than the noise of f, at a point where the gradient is finite too.
fn passes(probe: &mut Probe<'_>) -> Result<bool, Fault> {
    let fall = probe.at.f - probe.value()?;
    let slope = dot(&probe.at.g, &probe.trial.step);
    Ok(fall >= -ARMIJO * slope && fall > probe.noise && probe.is_finite()?)
}
